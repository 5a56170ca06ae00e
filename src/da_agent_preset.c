/* da_agent_preset.c - agents for the services that are known by name
** (floor 5). */
#include <stdlib.h>
#include <string.h>

#include "da_agent.h"

#define URL_MAX 4096

/* The value of an environment variable, NULL if it is empty or not there. */
static const char *env(const char *name) {
  const char *value = name ? getenv(name) : NULL;
  return value && *value ? value : NULL;
}

static int env_headers(da_agent *a, const da_preset *s, da_err *err) {
  int code = DA_OK;
  for (const da_rename *h = s->headers; h->ours && !code; h++) {
    const char *value = env(h->theirs);
    if (value)
      code = da_settings_header(&a->settings, h->ours, value, err);
  }
  return code;
}

static int make(da_agent **out, da_runtime *rt, const da_preset *s,
                const char *model, const char *base_url, const char *api_key,
                da_err *err) {
  int code = da_agent_new(out, rt, model, base_url, api_key, err);
  if (code)
    return code;
  (*out)->settings.service = s;
  code = env_headers(*out, s, err);
  if (code)
    da_agent_free(*out);
  return code;
}

int da_agent_of(da_agent **out, da_runtime *rt, const char *service,
                const char *model, const char *api_key, da_err *err) {
  const da_preset *s = da_preset_find(service);
  const char *url;
  if (!s)
    return da_fail(err, DA_EINVAL, "there is no service '%s'", service);
  url = env(s->url_env);
  return make(out, rt, s, model, url ? url : s->base_url,
              api_key ? api_key : env(s->key_env), err);
}

int da_openai(da_agent **out, da_runtime *rt, const char *model,
              const char *api_key, da_err *err) {
  return da_agent_of(out, rt, "openai", model, api_key, err);
}

int da_ollama(da_agent **out, da_runtime *rt, const char *model, da_err *err) {
  return da_agent_of(out, rt, "ollama", model, NULL, err);
}

/* ---- Azure ---- */

static int is_plain(char c) {
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
         c == '-' || c == '.';
}

static int check_version(const char *version, da_err *err) {
  for (const char *p = version; p && *p; p++)
    if (!is_plain(*p))
      return da_fail(err, DA_EINVAL,
                     "the API's version has other characters than letters, "
                     "digits, '-' and '.'");
  return DA_OK;
}

/* What is left of the rest is the resource's own address. */
static size_t without_end(const char *url, size_t len, const char *end) {
  size_t n = strlen(end);
  while (len && url[len - 1] == '/')
    len--;
  return len >= n && memcmp(url + len - n, end, n) == 0 ? len - n : len;
}

/* As one segment of a path. */
static void put_segment(da_buf *url, const char *s) {
  for (; *s; s++)
    if (is_plain(*s) || *s == '_' || *s == '~')
      da_buf_put(url, s, 1);
    else
      da_buf_printf(url, "%%%02X", (unsigned char)*s);
}

/* Without a version, or with the endpoint of those without (.../openai/v1),
** the deployment is the request's model and *version becomes NULL. Else both
** are in the URL. */
static int put_url(da_buf *url, const char *endpoint, const char *deployment,
                   const char **version) {
  size_t len = without_end(endpoint, strlen(endpoint), "");
  size_t root = without_end(endpoint, len, "/openai/v1");
  int preview = *version && strcmp(*version, "preview") == 0;
  int unversioned =
      preview || root < len || !*version || strcmp(*version, "v1") == 0;
  if (root == len)
    root = without_end(endpoint, len, "/openai");
  da_buf_put(url, endpoint, root);
  da_buf_puts(url, unversioned ? "/openai/v1" : "/openai/deployments/");
  if (!unversioned)
    put_segment(url, deployment);
  if (preview || !unversioned)
    da_buf_printf(url, "?api-version=%s", *version);
  if (unversioned)
    *version = NULL;
  return url->failed;
}

static int check_azure(const char *deployment, const char *endpoint,
                       const char *version, da_err *err) {
  da_text name = {deployment, strlen(deployment)};
  int code = da_model_check(name, err);
  if (!code)
    code = check_version(version, err);
  if (code)
    return code;
  if (!endpoint)
    return da_fail(err, DA_EURL,
                   "azure has no endpoint: set AZURE_OPENAI_ENDPOINT, or give "
                   "one when the agent is made");
  if (strpbrk(endpoint, "?#"))
    return da_fail(err, DA_EURL,
                   "the endpoint must have neither a query nor a fragment");
  if (strcmp(deployment, ".") == 0 || strcmp(deployment, "..") == 0)
    return da_fail(err, DA_EINVAL, "'%s' cannot be a deployment", deployment);
  return DA_OK;
}

static int set_token(da_agent *a, const char *token, da_err *err) {
  da_buf value;
  int code;
  da_buf_init(&value, SIZE_MAX / 2);
  da_buf_printf(&value, "Bearer %s", token);
  code = value.failed ? da_nomem(err)
                      : da_settings_header(&a->settings, "Authorization",
                                           value.data, err);
  da_buf_dispose(&value);
  return code;
}

int da_azure(da_agent **out, da_runtime *rt, const char *deployment,
             const da_azure_options *options, da_err *err) {
  static const da_azure_options none = {0};
  const da_azure_options *o = options ? options : &none;
  const char *endpoint =
      o->endpoint ? o->endpoint : env("AZURE_OPENAI_ENDPOINT");
  const char *version =
      o->api_version ? o->api_version : env("OPENAI_API_VERSION");
  const char *key = o->api_key;
  const da_preset *s;
  da_buf url;
  int code = check_azure(deployment, endpoint, version, err);
  if (!code && o->api_key && o->token)
    code = da_fail(err, DA_EINVAL, "either api_key or token is to be given");
  if (code)
    return code;
  da_buf_init(&url, URL_MAX);
  if (put_url(&url, endpoint, deployment, &version))
    code = da_buf_check(&url, "the base URL", err);
  s = da_preset_azure(version);
  if (!key && !o->token)
    key = env(s->key_env);
  if (!code)
    code = make(out, rt, s, deployment, url.data, key, err);
  da_buf_dispose(&url);
  if (!code && o->token) {
    code = set_token(*out, o->token, err);
    if (code)
      da_agent_free(*out);
  }
  return code;
}
