-- models.lua - providers for tests: small, in Lua, deterministic.

local models = {}

-- Answers "re: <question>" with 2 + 3 tokens; keeps the requests.
function models.echo()
  local model = { requests = {} }
  function model:complete(request, on_delta)
    self.requests[#self.requests + 1] = request
    local question = request.messages[#request.messages].content
    on_delta("re: ")
    on_delta(question)
    return { role = "assistant", content = "re: " .. question },
      { finish_reason = "stop", model = "echo-1",
        usage = { prompt_tokens = 2, completion_tokens = 3 } }
  end
  return model
end

-- Does what `behave` does, which can be changed.
function models.acting(behave)
  local model = { behave = behave }
  function model:complete(...) return self.behave(...) end
  return model
end

-- role and content of each message, as one text.
function models.told(messages)
  local parts = {}
  for i, message in ipairs(messages) do
    parts[i] = message.role .. ":" .. tostring(message.content)
  end
  return table.concat(parts, "|")
end

return models
