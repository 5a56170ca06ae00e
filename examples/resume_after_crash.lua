-- resume_after_crash.lua - a turn that outlives its process. This program
-- starts itself: that process is killed in the middle of a turn, between a
-- payment that was made and the mail about it. Then it goes on.

local deepagent = require "deepagent"

local directory = arg[1]
if not directory then
  local pipe = io.popen "mktemp -d"
  directory = pipe:read "l"
  pipe:close()
end

local model = {} -- pays, sends a mail, and says so

function model.complete(_, request)
  local last = request.messages[#request.messages]
  local function calls(...)
    local list = {}
    for i, name in ipairs { ... } do
      list[i] = { id = name, type = "function",
        ["function"] = { name = name, arguments = "{}" } }
    end
    return { tool_calls = list }
  end
  if last.role == "user" then return calls "pay" end
  if last.tool_call_id == "pay" then return calls("mail", "look") end
  local said = {}
  for _, message in ipairs(request.messages) do
    if message.role == "tool" then
      said[#said + 1] = message.tool_call_id .. ": " .. message.content
    end
  end
  return table.concat(said, "\n")
end

local agent = deepagent.new { provider = model, session_id = "shop",
  memory_backend = deepagent.file_backend { path = directory } }
  :with_tools {
    { name = "pay", run = function()
      print "  paying"
      return "paid"
    end },
    { name = "mail", run = function()
      print "  sending a mail ... and the process is killed"
      io.stdout:flush()
      os.execute "kill -9 $PPID"
    end },
    { name = "look", idempotent = true, run = function() -- may run twice
      print "  looking"
      return "all is well"
    end },
  }

if arg[1] then -- the process that dies
  agent:ask "Pay, and tell me by mail."
  os.exit(1) -- never reached
end

print "first process:"
os.execute(("lua5.4 '%s' '%s' 2>/dev/null"):format(arg[0], directory))

print "second process:"
print("messages", #agent:get_history()) -- the conversation has no half turns
print("unfinished", #assert(agent:unfinished_turn()))
print(assert(agent:resume()))
print("messages", #agent:get_history())
print("resume again:", select(2, agent:resume()).code)

assert(agent:delete_session())
agent:close()
os.execute(("rm -r '%s'"):format(directory))
