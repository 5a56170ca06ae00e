/* deepagent.h - an LLM agent that remembers, from C. MIT licence.
**
**   da_runtime *rt;  da_agent *a;  da_err err;  char *text;
**   if (da_runtime_new(&rt, &da_transport_curl, &err) ||
**       da_openai(&a, rt, "gpt-4o-mini", NULL, &err) ||
**       da_agent_set_session_id(a, "user-alice", &err) ||
**       da_agent_ask(a, "Hello!", &text, &err))
**     fprintf(stderr, "%s: %s\n", da_code_name(err.code), err.message);
**
** Functions that can fail return DA_OK or a negative DA_E... code and then
** fill *err, which must not be NULL. Strings are UTF-8 and copied; times
** are seconds. A runtime and its agents are used by one thread at a time;
** different runtimes share nothing. Link with libdeepagent.a -lcurl
** -lpthread -lm. The plain types (da_err, da_text, da_usage, da_delta_fn ...)
** are in deepagent_types.h, which this includes.
*/
#ifndef DEEPAGENT_H
#define DEEPAGENT_H

#include "deepagent_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The stable name of a code, as in "timeout". */
const char *da_code_name(int code);

/* ---- runtime: connections, threads that save ---- */

typedef struct da_runtime da_runtime;
struct da_transport_ops;

/* HTTP by libcurl. */
extern const struct da_transport_ops da_transport_curl;

/* `transport` NULL: agents of this runtime can only use providers of their
** own. DA_ENOMEM. */
int da_runtime_new(da_runtime **out, const struct da_transport_ops *transport,
                   da_err *err);

/* After its agents. Waits for what is pending to be saved, for at most the
** save timeout. NULL is fine. */
void da_runtime_free(da_runtime *rt);

/* `fn` is told, with DA_ERROR, of each session that ends with turns that could
** not be saved: in da_runtime_free; at exit(), if that is called on the thread
** that first opened a session; and, of a store of DA_STORE_OWNER_THREAD, when
** its agent goes. It must not use the runtime's agents. */
void da_runtime_on_loss(da_runtime *rt, da_log_fn fn, void *ctx);

/* ---- stores ---- */

/* Sessions as files, {id}.json each. Touches nothing on disk before the
** first save. Give it to da_agent_set_store. */
int da_store_file(da_store **out, const da_file_options *options, da_err *err);

/* Sessions in memory. */
int da_store_memory(da_store **out, da_err *err);

/* ---- agents ---- */

typedef struct da_agent da_agent;

/* `api_key` NULL: from OPENAI_API_KEY. Base URL, organization and project
** come from OPENAI_BASE_URL, OPENAI_ORG_ID and OPENAI_PROJECT_ID. */
int da_openai(da_agent **out, da_runtime *rt, const char *model,
              const char *api_key, da_err *err);

/* http://127.0.0.1:11434/v1, no key. */
int da_ollama(da_agent **out, da_runtime *rt, const char *model, da_err *err);

/* A service by name: "openai", "ollama", "llamacpp", "vllm", "groq",
** "mistral", "deepseek", "openrouter", "together", "xai". `api_key` NULL: from
** its variable (GROQ_API_KEY ...). DA_EINVAL: there is none of that name.
** docs/services.md tells what differs. */
int da_agent_of(da_agent **out, da_runtime *rt, const char *service,
                const char *model, const char *api_key, da_err *err);

/* For da_azure. NULL: what the variable says. */
typedef struct da_azure_options {
  const char *endpoint;    /* AZURE_OPENAI_ENDPOINT */
  const char *api_version; /* OPENAI_API_VERSION; without any, or "v1":
                           ** {endpoint}/openai/v1 */
  const char *api_key;     /* AZURE_OPENAI_API_KEY */
  const char *token;       /* of Entra ID, instead of a key */
} da_azure_options;

/* Azure OpenAI. DA_EURL without an endpoint. `options` may be NULL. */
int da_azure(da_agent **out, da_runtime *rt, const char *deployment,
             const da_azure_options *options, da_err *err);

/* Any service that speaks the chat-completions protocol. */
int da_agent_new(da_agent **out, da_runtime *rt, const char *model,
                 const char *base_url, const char *api_key, da_err *err);

/* An independent agent with the same settings and no history but the one
** that they say it starts from. */
int da_agent_clone(da_agent **out, const da_agent *a, da_err *err);

/* Waits for its session to be saved, for at most the save timeout; the agent
** can do nothing else afterwards. DA_OK also the second time. */
int da_agent_close(da_agent *a, da_err *err);

/* Frees it; what is pending is still saved in the background. NULL is
** fine. */
void da_agent_free(da_agent *a);

/* ---- settings, in any order ---- */

int da_agent_set_system(da_agent *a, const char *text, size_t len,
                        da_err *err);

/* A further "Name: value" of the requests' headers. */
int da_agent_add_header(da_agent *a, const char *name, const char *value,
                        da_err *err);

/* http to hosts beyond loopback; no check of certificates; a PEM file of
** authorities; a proxy's URL, or "env" for what the environment says. DA_EURL
** for a proxy that is none. */
int da_agent_set_allow_http(da_agent *a, int on, da_err *err);
int da_agent_set_insecure(da_agent *a, int on, da_err *err);
int da_agent_set_ca_file(da_agent *a, const char *path, da_err *err);
int da_agent_set_proxy(da_agent *a, const char *proxy, da_err *err);

/* DA_EINVAL if it cannot be a header's value. NULL: none. */
int da_agent_set_api_key(da_agent *a, const char *key, da_err *err);

/* https, or http to loopback; a query goes behind the path that is added.
** Checked at the first turn: DA_EURL. */
int da_agent_set_base_url(da_agent *a, const char *url, da_err *err);

/* A member of the request body: ("temperature", "0.7"), ("stop", "[\"x\"]").
** "messages", "model" and "stream" are not for here: DA_EINVAL. `json` NULL
** or "null" takes the member out, also one that is sent by default. An extra
** wins over a member of the same name, whichever came first. */
int da_agent_set_member(da_agent *a, const char *name, const char *json,
                        da_err *err);
int da_agent_set_extra(da_agent *a, const char *name, const char *json,
                       da_err *err);

/* Answers must be JSON: of a schema, which is JSON, too, or any. One setting
** replaces the other; `schema` NULL, `on` 0: any text will do. `name`: 1 to 64
** letters, digits, '_' and '-'. `strict`: 1, 0, or -1: if the schema is one
** that services take as strict. What is looked at in a schema is told in
** da_schema.h and docs/structured.md; DA_EINVAL, DA_EJSON: it is none. The text
** of an answer is then nothing but the JSON, and it fits; else the turn fails:
** DA_EREFUSED, DA_ETRUNCATED, DA_EFILTER, DA_EOUTPUT. */
int da_agent_set_json_schema(da_agent *a, const char *name, const char *schema,
                             int strict, da_err *err);
int da_agent_set_json_mode(da_agent *a, int on, da_err *err);

/* 1: the conversation accumulates (0: each ask stands alone). A session id
** implies it unless it was set to 0. */
void da_agent_set_memory(da_agent *a, int on);

/* At most `n` messages of the conversation are sent, the new one included,
** whole turns only; 0: all. What is stored is never shortened. */
void da_agent_set_max_history(da_agent *a, size_t n);

/* Default: 10, 120, 600. */
void da_agent_set_timeouts(da_agent *a, const da_timeouts *t);

/* Tries after a failure that may pass: no connection, silence, HTTP 408, 409,
** 429 and 5xx, as long as nothing of an answer was handed on. Default: 2, 0.5,
** 8, 0. The total timeout counts over all of them. DA_EINVAL. */
int da_agent_set_retry(da_agent *a, const da_retry *r, da_err *err);

/* Requests of this agent and its clones together, each try counted: so many a
** second, after `burst` at once; the others wait. Per second 0: no limit.
** DA_EINVAL. */
int da_agent_set_rate_limit(da_agent *a, double per_second, int burst,
                            da_err *err);

/* Where to ask, with the same conversation, when the agent's own service is
** down or limited: the services of these agents as they are set now, one
** after the other (model, URL, key, headers, members of the request, timeouts,
** limits, provider, rate limit). Replaces what was given before; `count` 0:
** none. The agents must be of the same runtime: DA_EINVAL; also what
** da_agent_ask would say of their URL. */
int da_agent_set_fallback(da_agent *a, da_agent *const *others, size_t count,
                          da_err *err);

/* Answers to identical requests (service, URL, model, body) come from `store`,
** which is taken, also upon failure; NULL: no cache. `ttl`: seconds that an
** answer is good for; <= 0: for ever. */
int da_agent_set_cache(da_agent *a, da_store *store, double ttl, da_err *err);

/* Memory, tries and timeouts as a program in production wants them: memory is
** on, unless it was set; the others are so by default (2 further tries; 10,
** 120, 600 seconds), unless they were set. */
void da_agent_set_defaults(da_agent *a);

/* Replaces them all. DA_EINVAL: beyond what a limit can be; DA_ETOOLARGE: a
** message that the conversation starts from is larger. */
int da_agent_set_limits(da_agent *a, const da_limits *limits, da_err *err);

/* The history to start from where no stored session takes its place: wire
** objects, one call each, in order. DA_ETOOLARGE: see da_limits. */
int da_agent_add_message(da_agent *a, const char *json, da_err *err);

/* DA_EBUSY once the session is in use (the first ask, load, save ...). */
int da_agent_set_session_id(da_agent *a, const char *id, da_err *err);

/* Takes `store`, also upon failure. Without one: files, durable. To share a
** store between agents, make the others by da_agent_clone. */
int da_agent_set_store(da_agent *a, da_store *store, da_err *err);

void da_agent_set_auto_save(da_agent *a, int on);            /* default 1 */
void da_agent_set_save_timeout(da_agent *a, double seconds); /* default 5 */

/* What a save does where somebody else (another agent, another process) has
** changed the stored session since this agent last loaded or saved it.
** Default: DA_CONFLICT_MERGE. */
void da_agent_set_on_conflict(da_agent *a, da_conflict policy);

void da_agent_set_logger(da_agent *a, da_log_fn fn, void *ctx);

/* ---- talking ---- */

/* *text: from malloc, NUL-terminated, the caller's (an answer with a NUL
** inside is whole in the history). A failed ask leaves history and session
** as they were. */
int da_agent_ask(da_agent *a, const char *question, char **text, da_err *err);
int da_agent_stream(da_agent *a, const char *question, da_delta_fn delta,
                    void *ctx, char **text, da_err *err);

/* A question of several parts, in order: texts, images, audio, files. What
** fails adds nothing. Files are read at once, only regular ones (else
** DA_EUNSAFE) and within their limit (DA_ETOOLARGE); DA_EUNSUPPORTED: what
** it is said to be, it is not. */
typedef struct da_content da_content;
int da_content_new(da_content **out, da_err *err);
int da_content_text(da_content *c, const char *text, size_t len, da_err *err);
int da_content_image(da_content *c, const da_media *m, da_err *err);
int da_content_audio(da_content *c, const da_media *m, da_err *err);
int da_content_file(da_content *c, const da_media *m, da_err *err);

/* An image that the service fetches: https, http or data; DA_EURL. `detail`
** NULL: not sent. */
int da_content_image_url(da_content *c, const char *url, const char *detail,
                         da_err *err);

/* A file that the service has already. */
int da_content_file_id(da_content *c, const char *id, da_err *err);

/* Any other part: a JSON object with a "type". */
int da_content_json(da_content *c, const char *json, size_t len, da_err *err);
void da_content_free(da_content *c); /* NULL is fine */

/* Like da_agent_ask and da_agent_stream; `c` may be asked again. */
int da_agent_ask_content(da_agent *a, const da_content *c, char **text,
                         da_err *err);
int da_agent_stream_content(da_agent *a, const da_content *c,
                            da_delta_fn delta, void *ctx, char **text,
                            da_err *err);

/* Ends the turn that is under way, with DA_ECANCELLED, as soon as it can: what
** runs, a tool or a listener, is not interrupted. Also from other threads, and
** from signal handlers, as long as the agent lives. */
void da_agent_cancel(da_agent *a);

/* ---- tools ---- */

/* Copies what `tool` points to, and takes its ctx, which is dropped also upon
** failure. The same name again replaces the former. DA_EINVAL. */
int da_agent_add_tool(da_agent *a, const da_tool *tool, da_err *err);

/* Appends to a tool's result. DA_ETOOLARGE beyond da_limits.result, then the
** model reads that instead. */
int da_tool_put(da_tool_result *r, const char *bytes, size_t len);

/* "auto", "none", "required", or a tool's name; NULL: not sent. What forces a
** call is for the first request of a turn. DA_EINVAL at the turn if there is
** no such tool. */
int da_agent_set_tool_choice(da_agent *a, const char *choice, da_err *err);

/* Whether one answer may have several calls; < 0: the service's default. */
void da_agent_set_parallel_tools(da_agent *a, int on);

/* Default 8: a turn in which the model asks for tools once more ends with
** DA_ETOOLLIMIT. */
void da_agent_set_max_tool_rounds(da_agent *a, size_t rounds);

/* What da_tool_call.seconds says; <= 0: what is left of the turn. */
void da_agent_set_tool_timeout(da_agent *a, double seconds);

/* Asked before each run. NULL: nobody. */
void da_agent_on_tool_call(da_agent *a, da_approve_fn fn, void *ctx);

/* Goes on with the last turn that tools were called in and that was not
** finished: it failed, or the program ended. Of a call that has no result the
** model is told that it was interrupted, unless its tool is idempotent: then
** it runs again. `delta` may be NULL. DA_ENOTFOUND: there is none. */
int da_agent_resume(da_agent *a, da_delta_fn delta, void *ctx, char **text,
                    da_err *err);

/* Forgets it instead. DA_ENOTFOUND. */
int da_agent_discard_turn(da_agent *a, da_err *err);

/* Its messages so far as a JSON array, from malloc. DA_ENOTFOUND. */
int da_agent_unfinished_turn(da_agent *a, char **json, da_err *err);

/* Tokens: of this agent's last turn, and of all turns of the session. NULL is
** fine. */
int da_agent_usage(da_agent *a, da_usage *last, da_usage *total, da_err *err);

/* The last answer's finish reason, "" if there was none. */
const char *da_agent_finish_reason(const da_agent *a);

/* What the last answer of this agent said of itself. Texts are JSON, empty
** where the service sent none. */
typedef struct da_last {
  da_text message;   /* the assistant's message */
  da_text choices;   /* of n > 1: an array of the further choices */
  da_text logprobs;  /* an object */
  da_text raw_usage; /* an object: all that the service counted */
  da_usage usage;    /* of the whole turn */
  int refused;       /* 1: the message has a refusal and no content */
  int cached;        /* 1: it came out of the agent's own cache */
  double first;      /* seconds from the start of the turn to its first delta,
                     ** or to its end where there was none */
  double total;      /* to its end, tools and all */
  const char *finish_reason, *model, *request_id; /* "": not told */
} da_last;

/* 1, or 0 if there was no answer yet. Borrowed: until the next turn, or until
** the session is deleted. */
int da_agent_last(const da_agent *a, da_last *out);

/* What the last turn had for a text before it failed; empty if it did not.
** Borrowed: until the next turn. */
da_text da_agent_partial(const da_agent *a);

/* ---- history ---- */

/* Loads the session if that has not been done; DA_OK, or why it cannot be
** read (the agent goes on without). */
int da_agent_count(da_agent *a, size_t *messages, da_err *err);

/* The stored line of message i (from 0): wire members with our "id",
** "created_at" and, of an answer, "usage" in front. Borrowed: until the history changes. */
da_text da_agent_message(const da_agent *a, size_t i);

/* Empties the conversation; with auto-save also the stored one. */
int da_agent_clear(da_agent *a, da_err *err);

/* ---- sessions ---- */

const char *da_agent_session_id(const da_agent *a); /* NULL: none */

/* Stores the conversation now and waits for it. DA_ENOID. */
int da_agent_save(da_agent *a, da_err *err);

/* Replaces the conversation by the stored one. DA_ENOTFOUND: nothing is
** stored, the conversation stays as it is. */
int da_agent_load(da_agent *a, da_err *err);

/* Deletes the stored session and empties the conversation. `id` NULL: its
** own. DA_ENOTFOUND: there was none. */
int da_agent_delete(da_agent *a, const char *id, da_err *err);

/* Calls ids->id for each stored session, in no particular order. */
int da_agent_list(da_agent *a, da_store_ids *ids, da_err *err);

/* Waits for what is pending; saves nothing that nobody asked for (without
** auto-save: da_agent_save). `seconds` < 0: the save timeout. */
int da_agent_flush(da_agent *a, double seconds, da_err *err);

/* *err tells why, of DA_SAVE_FAILED. Of a closed agent: how it stood then. */
da_save_state da_agent_save_state(da_agent *a, da_err *err);

/* What happened to its saves, since its session was opened. */
void da_agent_save_counts(da_agent *a, da_save_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
