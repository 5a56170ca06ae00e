-- offline_provider.lua - a model of one's own: a table with one function.
-- This one is a calculator that knows its last result as "it".

local deepagent = require "deepagent"

local calculator = {}

-- `request`: model, messages (role, content ...), and what was set, such as
-- temperature. `on_delta(text)` gives text as it comes; it may be left out.
-- Returns a message (or just its text) and, if known, usage, finish_reason
-- and model; or nil and an error: a text, or a table with code and message.
function calculator.complete(_, request, on_delta)
  local messages = request.messages
  local it = 0
  for _, message in ipairs(messages) do
    if message.role == "assistant" then it = tonumber(message.content) end
  end
  local expression = messages[#messages].content
  if expression:find "[^%d%s%.%+%-%*/%%%^%(%)it]" then
    return nil, { code = "bad_request", message = "I only calculate" }
  end
  local run, why = load("return " .. expression, "=it", "t", { it = it })
  if not run then return nil, why end
  local text = tostring(run())
  on_delta(text)
  return { role = "assistant", content = text }, {
    finish_reason = "stop",
    usage = { prompt_tokens = #messages, completion_tokens = 1 },
  }
end

local agent = deepagent.new { provider = calculator, memory = true }

for _, question in ipairs { "6 * 7", "it + 0.5", "2 ^", "who are you?" } do
  local answer, err = agent:ask(question)
  print(question, answer or err)
end
print("messages: " .. #agent:get_history() .. ", tokens: "
  .. agent:usage().total.total_tokens)
