/* chat_usage.c - the tokens that services say an answer took. */
#include "chat_answer.h"

static int64_t get_count(da_text object, const char *name) {
  da_text raw;
  int64_t n = 0;
  if (da_json_get(object, name, &raw) != DA_JSON_NUMBER)
    return 0;
  if (!da_json_int64(raw, &n)) { /* some count in floats: 12.0 */
    double d = da_json_double(raw);
    n = d >= 0 && d < 1e15 ? (int64_t)d : 0;
  }
  return n > 0 ? n : 0;
}

static int64_t get_detail(da_text usage, const char *details,
                          const char *name) {
  da_text object;
  return da_json_get(usage, details, &object) == DA_JSON_OBJECT
             ? get_count(object, name)
             : 0;
}

static int64_t sum(int64_t a, int64_t b) {
  int64_t n;
  return __builtin_add_overflow(a, b, &n) ? INT64_MAX : n;
}

/* OpenAI and most; DeepSeek; Moonshot and others; Mistral. */
static int64_t get_cached(da_text usage) {
  static const char *const names[] = {"prompt_cache_hit_tokens",
                                      "cached_tokens", "num_cached_tokens"};
  int64_t n = get_detail(usage, "prompt_tokens_details", "cached_tokens");
  for (size_t i = 0; !n && i < sizeof names / sizeof *names; i++)
    n = get_count(usage, names[i]);
  return n;
}

void chat_read_usage(da_answer *a, da_text usage) {
  da_usage *u = &a->usage;
  u->prompt = get_count(usage, "prompt_tokens");
  u->completion = get_count(usage, "completion_tokens");
  u->total = get_count(usage, "total_tokens");
  if (!u->total)
    u->total = sum(u->prompt, u->completion);
  u->cached = get_cached(usage);
  u->reasoning =
      get_detail(usage, "completion_tokens_details", "reasoning_tokens");
  if (!u->reasoning)
    u->reasoning = get_count(usage, "reasoning_tokens");
  u->audio =
      sum(get_detail(usage, "prompt_tokens_details", "audio_tokens"),
          get_detail(usage, "completion_tokens_details", "audio_tokens"));
  a->has_usage = u->total > 0;
  da_buf_reset(&a->raw_usage);
  da_buf_put(&a->raw_usage, usage.data, usage.len);
}

int chat_find_usage(da_text answer, da_text *usage) {
  da_text groq;
  if (da_json_get(answer, "usage", usage) == DA_JSON_OBJECT)
    return 1;
  return da_json_get(answer, "x_groq", &groq) == DA_JSON_OBJECT &&
         da_json_get(groq, "usage", usage) == DA_JSON_OBJECT;
}
