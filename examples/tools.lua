-- tools.lua - functions that the model may call. The model here is a few
-- lines of Lua, so that this runs without a network; any service will do.

local deepagent = require "deepagent"

local model = {}

-- Asks for the weather in two cities at once, then for a mail to be sent, and
-- then answers with what it has read.
function model.complete(_, request)
  local read = {}
  for _, message in ipairs(request.messages) do
    if message.role == "tool" then read[#read + 1] = message.content end
  end
  local function call(id, name, arguments)
    return { id = id, type = "function",
      ["function"] = { name = name, arguments = arguments } }
  end
  if #read == 0 then
    return { tool_calls = {
      call("1", "weather", '{"city":"Rome","days":2}'),
      call("2", "weather", '{"city":"Oslo","days":"two"}') } }
  elseif #read == 2 then
    return { tool_calls = { call("3", "send_mail", '{"to":"bob"}') } }
  end
  return "What I have read:\n  " .. table.concat(read, "\n  ")
end

local agent = deepagent.new { provider = model }
  :with_tool {
    name = "weather",
    description = "The weather of the next days in a city.",
    parameters = { city = "string", days = { "integer", optional = true } },
    run = function(arguments)
      if arguments.city ~= "Rome" then return nil, "no such city" end
      local sky = {}
      for day = 1, arguments.days or 1 do sky[day] = "clear" end
      return { sky = sky }
    end,
  }
  :with_tool {
    name = "send_mail",
    parameters = { to = "string" },
    run = function() error "this must not happen" end,
  }
  :on_tool_call(function(call) -- who may refuse it
    print("call", call.name, call.arguments.city or call.arguments.to)
    return call.name ~= "send_mail", "the user does not want mail to be sent"
  end)

print(assert(agent:ask "What will the weather be? Tell Bob."))
