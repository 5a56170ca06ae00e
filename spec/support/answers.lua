-- answers.lua - answers of a chat service, for a server's script:
--
--   server:script { answers.plain("Hello"), answers.stream { "Hel", "lo" } }
--
-- The last argument of each holds further members of the answer, such as
-- { delay_ms = 5 }; spec/support/server.py tells which there are.

local json = require "dkjson"
local server = require "support.server"

local answers = {}

answers.usage = { prompt_tokens = 3, completion_tokens = 4,
  total_tokens = 7 }

--- Tokens as the library tells them.
function answers.tokens(prompt, completion, more)
  local tokens = { prompt_tokens = prompt, completion_tokens = completion,
    total_tokens = prompt + completion, cached_tokens = 0,
    reasoning_tokens = 0, audio_tokens = 0 }
  for name, value in pairs(more or {}) do tokens[name] = value end
  return tokens
end

local function with(answer, more)
  for name, value in pairs(more or {}) do answer[name] = value end
  return answer
end

function answers.plain(text, more)
  return with({ json = {
    id = "chatcmpl-1", object = "chat.completion", model = "scripted-1",
    choices = { { index = 0, finish_reason = "stop",
      message = { role = "assistant", content = text } } },
    usage = answers.usage,
  } }, more)
end

--- An event of a stream: a delta, and a finish reason or nil.
function answers.event(delta, finish)
  return "data: " .. json.encode { model = "scripted-1", choices = { {
    index = 0, finish_reason = finish,
    delta = setmetatable(delta, { __jsontype = "object" }),
  } } } .. "\n\n"
end

answers.done = "data: [DONE]\n\n"

--- A whole stream, or the events given as a table of texts; each event is
--- sent by itself.
function answers.events(events, more)
  return with({ chunks = events,
    headers = { ["content-type"] = "text/event-stream" } }, more)
end

function answers.stream(pieces, more)
  local events = { answers.event { role = "assistant", content = "" } }
  for _, piece in ipairs(pieces) do
    events[#events + 1] = answers.event { content = piece }
  end
  events[#events + 1] = answers.event({}, "stop")
  events[#events + 1] = "data: " .. json.encode {
    choices = setmetatable({}, { __jsontype = "array" }),
    usage = answers.usage } .. "\n\n"
  events[#events + 1] = answers.done
  return answers.events(events, more)
end

function answers.failure(status, message, more)
  return with({ status = status, json = { error = { message = message,
    type = "test_error", code = "test_code" } } }, more)
end

--- All bytes of an answer.
function answers.raw(bytes, more)
  return with({ raw = server.base64(bytes) }, more)
end

--- Bytes of a body.
function answers.bytes(bytes, more)
  return with({ base64 = server.base64(bytes) }, more)
end

return answers
