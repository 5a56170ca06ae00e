/* da_preset.c - the services that are known by name. */
#include "da_preset.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define KEY(variable)                                                         \
  .key_env = (variable),                                                      \
  .key_help = "set " variable ", or give a key when the agent is made"

/* max_tokens is deprecated, and refused by the models that reason. */
#define COMPLETION_TOKENS                                                     \
  { "max_tokens", "max_completion_tokens" }

const da_preset da_preset_chat = {.name = "chat"};

static const da_preset services[] = {
    {.name = "openai",
     .base_url = "https://api.openai.com/v1",
     .url_env = "OPENAI_BASE_URL",
     KEY("OPENAI_API_KEY"),
     .names = {COMPLETION_TOKENS},
     .refuses_thoughts = 1,
     .headers = {{"OpenAI-Organization", "OPENAI_ORG_ID"},
                 {"OpenAI-Project", "OPENAI_PROJECT_ID"}}},
    {.name = "ollama", .base_url = "http://127.0.0.1:11434/v1"},
    {.name = "llamacpp",
     .base_url = "http://127.0.0.1:8080/v1",
     .key_env = "LLAMA_API_KEY"},
    {.name = "vllm",
     .base_url = "http://127.0.0.1:8000/v1",
     .key_env = "VLLM_API_KEY"},
    {.name = "groq",
     .base_url = "https://api.groq.com/openai/v1",
     KEY("GROQ_API_KEY"),
     .names = {COMPLETION_TOKENS},
     .refuses_thoughts = 1},
    /* Answers 422 "Extra inputs are not permitted" to every member that it
    ** does not know; usage is in a stream's last chunk anyway. */
    {.name = "mistral",
     .base_url = "https://api.mistral.ai/v1",
     KEY("MISTRAL_API_KEY"),
     .names = {{"seed", "random_seed"}},
     .no_stream_options = 1,
     .refuses_thoughts = 1},
    {.name = "deepseek",
     .base_url = "https://api.deepseek.com/v1",
     KEY("DEEPSEEK_API_KEY")},
    {.name = "openrouter",
     .base_url = "https://openrouter.ai/api/v1",
     KEY("OPENROUTER_API_KEY")},
    {.name = "together",
     .base_url = "https://api.together.xyz/v1",
     KEY("TOGETHER_API_KEY")},
    {.name = "xai",
     .base_url = "https://api.x.ai/v1",
     KEY("XAI_API_KEY"),
     .names = {COMPLETION_TOKENS}},
};

static const da_preset azure = {.name = "azure",
                                .key_header = "api-key",
                                KEY("AZURE_OPENAI_API_KEY"),
                                .names = {COMPLETION_TOKENS},
                                .refuses_thoughts = 1};

/* Before this version both are "unrecognized request arguments" (400). */
#define AZURE_NEW "2024-09-01"
static const da_preset azure_old = {.name = "azure",
                                    .key_header = "api-key",
                                    KEY("AZURE_OPENAI_API_KEY"),
                                    .no_stream_options = 1,
                                    .refuses_thoughts = 1};

const da_preset *da_preset_find(const char *name) {
  for (size_t i = 0; i < COUNT(services); i++)
    if (strcmp(services[i].name, name) == 0)
      return &services[i];
  return NULL;
}

const da_preset *da_preset_azure(const char *version) {
  return version && strcmp(version, AZURE_NEW) < 0 ? &azure_old : &azure;
}
