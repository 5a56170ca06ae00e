-- session_persistence.lua - five ways with stored sessions: a simple one,
-- several users, list and inspect, saving by hand, deleting.

local deepagent = require "deepagent"

-- A throwaway directory. Without a backend, sessions lie in
-- ~/.deepagent/sessions.
local directory = os.tmpname()
os.remove(directory)
local store = deepagent.file_backend { path = directory }

-- Each call gives a new agent that knows nothing but its session.
local function agent_of(id)
  return deepagent.offline():with_session_id(id):with_memory_backend(store)
end

print "1. Simple: a session id is all it takes"
local agent = agent_of "user-alice"
print(agent:ask "My name is Alice.")
agent:close()
agent = agent_of "user-alice" -- as another process would, later
print(agent:ask "What is my name?")

print "\n2. Several users: a session each"
local bob = agent_of "user-bob"
bob:ask "My name is Bob."
print(bob:ask "What is my name?")
print(agent:ask "What is my name?")

print "\n3. List and inspect"
assert(agent:flush() and bob:flush()) -- saving goes on in the background
local ids = agent:list_sessions()
table.sort(ids)
for _, id in ipairs(ids) do
  local messages, info = store:load(id)
  print(("%s: %d messages, %d tokens"):format(id, #messages,
    info.usage.total_tokens))
  print("  first: " .. messages[1].role .. ": " .. messages[1].content)
end

print "\n4. Saving by hand"
local draft = agent_of("draft"):with_auto_save(false)
draft:ask "This is not stored until I say so."
print("stored before save_session():", store:load "draft" ~= nil)
assert(draft:save_session())
print("stored after save_session():", store:load "draft" ~= nil)

print "\n5. Deleting"
for _, id in ipairs { "user-alice", "user-bob", "draft", "nobody" } do
  print(id, agent:delete_session(id)) -- true, also if there was none
end
print("left:", #agent:list_sessions())

os.remove(directory .. "/.lock")
os.remove(directory)
