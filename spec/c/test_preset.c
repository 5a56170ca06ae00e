/* test_preset.c - the services that are known by name: where they are, which
** key they get, what their requests are called. */
#include "chat_members.h"
#include "da_agent.h"

#include "check.h"

static da_err err;
static da_runtime *rt;

/* ---- by name ---- */

static const struct {
  const char *name, *url, *variable, *key_help;
} known[] = {
    {"openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI"},
    {"ollama", "http://127.0.0.1:11434/v1", NULL, NULL},
    {"llamacpp", "http://127.0.0.1:8080/v1", "LLAMA_API_KEY", NULL},
    {"vllm", "http://127.0.0.1:8000/v1", "VLLM_API_KEY", NULL},
    {"groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "GROQ"},
    {"mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "MISTRAL"},
    {"deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY",
     "DEEPSEEK"},
    {"openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY",
     "OPENROUTER"},
    {"together", "https://api.together.xyz/v1", "TOGETHER_API_KEY",
     "TOGETHER"},
    {"xai", "https://api.x.ai/v1", "XAI_API_KEY", "XAI"},
};
enum { KNOWN = sizeof known / sizeof *known };

static void each_has_its_url_and_key(void) {
  for (size_t i = 0; i < KNOWN; i++) {
    const char *variable = known[i].variable;
    da_agent *a;
    CHECK_INT(da_agent_of(&a, rt, known[i].name, "m", NULL, &err), DA_OK);
    CHECK_STR(a->settings.base_url, known[i].url);
    CHECK_STR(a->settings.service->name, known[i].name);
    CHECK(a->settings.api_key == NULL);
    CHECK((known[i].key_help != NULL) ==
          (a->settings.service->key_help != NULL));
    da_agent_free(a);
    if (!variable)
      continue;
    setenv(variable, "sk-env", 1);
    CHECK_INT(da_agent_of(&a, rt, known[i].name, "m", NULL, &err), DA_OK);
    CHECK_STR(a->settings.api_key, "sk-env");
    da_agent_free(a);
    CHECK_INT(da_agent_of(&a, rt, known[i].name, "m", "sk-given", &err),
              DA_OK);
    CHECK_STR(a->settings.api_key, "sk-given");
    da_agent_free(a);
    unsetenv(variable);
  }
}

static void a_missing_key_is_told_by_its_variable(void) {
  for (size_t i = 0; i < KNOWN; i++) {
    char *text;
    da_agent *a;
    if (!known[i].key_help)
      continue;
    CHECK_INT(da_agent_of(&a, rt, known[i].name, "m", NULL, &err), DA_OK);
    CHECK_INT(da_agent_ask(a, "hi", &text, &err), DA_EKEY);
    CHECK(strstr(err.message, known[i].name) == err.message);
    CHECK(strstr(err.message, known[i].variable) != NULL);
    da_agent_free(a);
  }
}

static void no_such_service(void) {
  static const char *const names[] = {"", "chat", "azure", "OpenAI",
                                      "openai "};
  da_agent *a;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    CHECK_INT(da_agent_of(&a, rt, names[i], "m", NULL, &err), DA_EINVAL);
}

/* ---- names of members ---- */

/* As they are sent; nulls are left out later. */
static const char *members(da_agent *a) {
  static char text[256];
  chat_options o;
  da_buf set, out;
  memset(&o, 0, sizeof o);
  da_buf_init(&set, sizeof text);
  da_buf_init(&out, sizeof text);
  CHECK_INT(da_settings_put_members(&a->settings, &set), DA_OK);
  o.names = a->settings.service->names;
  o.no_stream_options = a->settings.service->no_stream_options;
  CHECK_INT(chat_members(&out, da_buf_text(&set), &o, &err), DA_OK);
  da_buf_dispose(&set);
  snprintf(text, sizeof text, "%s", da_buf_text(&out).data);
  da_buf_dispose(&out);
  da_agent_free(a);
  return text;
}

static da_agent *set(const char *service) {
  da_agent *a;
  CHECK_INT(da_agent_of(&a, rt, service, "m", NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "max_tokens", "5", &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "seed", "7", &err), DA_OK);
  return a;
}

static void members_have_the_services_names(void) {
  CHECK_STR(members(set("ollama")), "\"max_tokens\":5,\"seed\":7");
  CHECK_STR(members(set("openai")), "\"max_completion_tokens\":5,\"seed\":7");
  CHECK_STR(members(set("groq")), "\"max_completion_tokens\":5,\"seed\":7");
  CHECK_STR(members(set("xai")), "\"max_completion_tokens\":5,\"seed\":7");
  CHECK_STR(members(set("deepseek")), "\"max_tokens\":5,\"seed\":7");
  CHECK_STR(members(set("mistral")), "\"max_tokens\":5,\"random_seed\":7,"
                                     "\"stream_options\":null");
}

/* By whichever name; and stream_options if somebody knows better. */
static void extras_win(void) {
  da_agent *a = set("openai");
  CHECK_INT(da_agent_set_extra(a, "max_tokens", "9", &err), DA_OK);
  CHECK_STR(members(a),
            "\"seed\":7,\"max_tokens\":9,\"max_completion_tokens\":null");
  a = set("openai");
  CHECK_INT(da_agent_set_extra(a, "max_completion_tokens", "9", &err), DA_OK);
  CHECK_STR(members(a), "\"seed\":7,\"max_completion_tokens\":9");
  a = set("mistral");
  CHECK_INT(da_agent_set_extra(a, "seed", "null", &err), DA_OK);
  CHECK_INT(da_agent_set_extra(a, "stream_options", "{}", &err), DA_OK);
  CHECK_STR(members(a), "\"max_tokens\":5,\"seed\":null,\"stream_options\":{},"
                        "\"random_seed\":null");
}

static void a_clone_is_of_the_same_service(void) {
  da_agent *a = set("mistral"), *b;
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  da_agent_free(a);
  CHECK_STR(members(b), "\"max_tokens\":5,\"random_seed\":7,"
                        "\"stream_options\":null");
}

/* ---- Azure ---- */

#define DATED "2024-10-21"

static void azure_urls(void) {
  static const struct {
    const char *endpoint, *version, *deployment, *url;
  } cases[] = {
      {"https://r.example", DATED, "gpt",
       "https://r.example/openai/deployments/gpt?api-version=" DATED},
      {"https://r.example///", DATED, "gpt",
       "https://r.example/openai/deployments/gpt?api-version=" DATED},
      {"https://r.example/openai/", DATED, "gpt",
       "https://r.example/openai/deployments/gpt?api-version=" DATED},
      {"https://r.example/a", DATED, "g/p t?#%\xc3\xa4-._~",
       "https://r.example/a/openai/deployments/"
       "g%2Fp%20t%3F%23%25%C3%A4-._~?api-version=" DATED},
      {"https://r.example", NULL, "gpt", "https://r.example/openai/v1"},
      {"https://r.example", "v1", "gpt", "https://r.example/openai/v1"},
      {"https://r.example", "preview", "gpt",
       "https://r.example/openai/v1?api-version=preview"},
      {"https://r.example/openai/v1/", DATED, "gpt",
       "https://r.example/openai/v1"},
      {"https://r.example/openai/v1", "preview", "gpt",
       "https://r.example/openai/v1?api-version=preview"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    da_azure_options o = {0};
    da_agent *a;
    o.endpoint = cases[i].endpoint;
    o.api_version = cases[i].version;
    CHECK_INT(da_azure(&a, rt, cases[i].deployment, &o, &err), DA_OK);
    CHECK_STR(a->settings.base_url, cases[i].url);
    CHECK_STR(a->settings.model, cases[i].deployment);
    da_agent_free(a);
  }
}

static void azure_keys_and_tokens(void) {
  da_azure_options o = {"https://r.example", NULL, "key-1", NULL};
  da_agent *a;
  CHECK_INT(da_azure(&a, rt, "d", &o, &err), DA_OK);
  CHECK_STR(a->settings.service->key_header, "api-key");
  CHECK_STR(a->settings.api_key, "key-1");
  CHECK_INT(a->settings.headers.count, 0);
  da_agent_free(a);
  o.token = "token-1";
  CHECK_INT(da_azure(&a, rt, "d", &o, &err), DA_EINVAL);
  o.api_key = NULL;
  setenv("AZURE_OPENAI_API_KEY", "key-2", 1); /* the token wins over it */
  CHECK_INT(da_azure(&a, rt, "d", &o, &err), DA_OK);
  CHECK(a->settings.api_key == NULL);
  CHECK_STR(a->settings.headers.items[0], "Authorization: Bearer token-1");
  da_agent_free(a);
  o.token = NULL;
  CHECK_INT(da_azure(&a, rt, "d", &o, &err), DA_OK);
  CHECK_STR(a->settings.api_key, "key-2");
  da_agent_free(a);
  unsetenv("AZURE_OPENAI_API_KEY");
}

static void azure_from_the_environment(void) {
  da_agent *a;
  CHECK_INT(da_azure(&a, rt, "d", NULL, &err), DA_EURL);
  CHECK(strstr(err.message, "AZURE_OPENAI_ENDPOINT") != NULL);
  setenv("AZURE_OPENAI_ENDPOINT", "https://env.example", 1);
  setenv("OPENAI_API_VERSION", DATED, 1);
  CHECK_INT(da_azure(&a, rt, "d", NULL, &err), DA_OK);
  CHECK_STR(a->settings.base_url,
            "https://env.example/openai/deployments/d?api-version=" DATED);
  da_agent_free(a);
  unsetenv("AZURE_OPENAI_ENDPOINT");
  unsetenv("OPENAI_API_VERSION");
}

/* Which members an old version of the API knows. */
static void azure_members(void) {
  static const struct {
    const char *version, *members;
  } cases[] = {
      {"2024-06-01", "\"max_tokens\":5,\"stream_options\":null"},
      {"2024-09-01-preview", "\"max_completion_tokens\":5"},
      {DATED, "\"max_completion_tokens\":5"},
      {NULL, "\"max_completion_tokens\":5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    da_azure_options o = {"https://r.example", NULL, NULL, NULL};
    da_agent *a;
    o.api_version = cases[i].version;
    CHECK_INT(da_azure(&a, rt, "d", &o, &err), DA_OK);
    CHECK_INT(da_agent_set_member(a, "max_tokens", "5", &err), DA_OK);
    CHECK_STR(members(a), cases[i].members);
  }
}

static void azure_refuses(void) {
  static const struct {
    const char *deployment, *endpoint, *version, *key, *token;
    int code;
  } cases[] = {
      {"", "https://r.example", NULL, NULL, NULL, DA_EINVAL},
      {".", "https://r.example", NULL, NULL, NULL, DA_EINVAL},
      {"..", "https://r.example", NULL, NULL, NULL, DA_EINVAL},
      {"d\r\nX: secret", "https://r.example", NULL, NULL, NULL, DA_EINVAL},
      {"\xff", "https://r.example", NULL, NULL, NULL, DA_EUTF8},
      {"d", "https://r.example?secret", NULL, NULL, NULL, DA_EURL},
      {"d", "https://r.example#secret", NULL, NULL, NULL, DA_EURL},
      {"d", "https://r.example", "1\nsecret", NULL, NULL, DA_EINVAL},
      {"d", "https://r.example", "1&secret=1", NULL, NULL, DA_EINVAL},
      {"d", "https://r.example", NULL, "secret\n", NULL, DA_EINVAL},
      {"d", "https://r.example", NULL, NULL, "secret\r", DA_EINVAL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    da_azure_options o = {cases[i].endpoint, cases[i].version, cases[i].key,
                          cases[i].token};
    da_agent *a;
    CHECK_INT(da_azure(&a, rt, cases[i].deployment, &o, &err), cases[i].code);
    CHECK(strstr(err.message, "secret") == NULL);
  }
}

int main(void) {
  if (da_runtime_new(&rt, &da_transport_curl, &err))
    return 1;
  RUN(each_has_its_url_and_key);
  RUN(a_missing_key_is_told_by_its_variable);
  RUN(no_such_service);
  RUN(members_have_the_services_names);
  RUN(extras_win);
  RUN(a_clone_is_of_the_same_service);
  RUN(azure_urls);
  RUN(azure_keys_and_tokens);
  RUN(azure_from_the_environment);
  RUN(azure_members);
  RUN(azure_refuses);
  da_runtime_free(rt);
  return check_done();
}
