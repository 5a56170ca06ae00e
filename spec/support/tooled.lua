-- tooled.lua - models that ask for tools, and agents with them.
--
--   local model = tooled.model { { tooled.call("add", '{"a":1}') }, "Done." }
--   local agent = deepagent.new { provider = model }:with_tool(add)
--   agent:ask "hi"
--   tooled.results(model.requests[2])  -- { id1 = "content", ... }, in order
--
-- A step of a script is a text, a list of calls, or a function that gets the
-- request and on_delta and returns what `complete` may.

local tooled = {}

local serial = 0

--- A call as services send it; `arguments` is JSON text, "{}" without.
function tooled.call(name, arguments, id)
  serial = serial + 1
  return { id = id or ("call_%d"):format(serial), type = "function",
    ["function"] = { name = name, arguments = arguments or "{}" } }
end

function tooled.asking(calls, content)
  return { role = "assistant", content = content, tool_calls = calls }
end

--- Plays the steps of a script, a request each; the last one again and again.
function tooled.model(steps)
  local model = { requests = {}, steps = steps }
  function model:complete(request, on_delta)
    local n = #self.requests + 1
    self.requests[n] = request
    local step = self.steps[n] or self.steps[#self.steps]
    if type(step) == "function" then return step(request, on_delta) end
    local usage = { usage = { prompt_tokens = 10, completion_tokens = 1 } }
    if type(step) == "string" then return step, usage end
    usage.finish_reason = "tool_calls"
    return tooled.asking(step), usage
  end
  return model
end

--- The tools' results in a request: a list of { id =, content = }.
function tooled.results(request)
  local list = {}
  for _, message in ipairs(request.messages) do
    if message.role == "tool" then
      list[#list + 1] = { id = message.tool_call_id,
        content = message.content }
    end
  end
  return list
end

--- "user assistant(2) tool tool assistant", with the calls of each answer.
function tooled.shape(messages)
  local words = {}
  for i, message in ipairs(messages) do
    local calls = message.tool_calls
    words[i] = message.role .. (calls and ("(%d)"):format(#calls) or "")
  end
  return table.concat(words, " ")
end

--- A tool without parameters that does what `run` does.
function tooled.tool(name, run, more)
  local tool = { name = name, run = run }
  for field, value in pairs(more or {}) do tool[field] = value end
  return tool
end

return tooled
