-- lua_backend.lua - a backend of one's own: a Lua table with save, load,
-- delete and list. This one keeps all sessions in one file, as Lua text.

local deepagent = require "deepagent"

local backend = { path = os.tmpname() }

-- %q writes strings and numbers so that Lua reads the same ones back.
local function text_of(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for key, item in pairs(value) do
    parts[#parts + 1] = ("[%q] = %s"):format(key, text_of(item))
  end
  return "{ " .. table.concat(parts, ",\n") .. " }"
end

function backend:read()
  local file <close> = assert(io.open(self.path))
  return load("return " .. file:read "a", "=sessions", "t", {})() or {}
end

function backend:write(sessions)
  local file = assert(io.open(self.path .. ".new", "w"))
  assert(file:write(text_of(sessions)) and file:close())
  assert(os.rename(self.path .. ".new", self.path)) -- all or nothing
end

-- Each message's exact text, message.json, is all that has to be kept of it.
-- What is raised here is logged; the agent keeps the turn and tries again.
function backend:save(id, messages, info)
  local sessions, texts = self:read(), {}
  for i, message in ipairs(messages) do texts[i] = message.json end
  sessions[id] = { texts = texts, info = info }
  self:write(sessions)
  return true
end

function backend:load(id) -- nil: there is no such session
  local session = self:read()[id]
  if session then return session.texts, session.info end
end

function backend:delete(id) -- false: there was none
  local sessions = self:read()
  if not sessions[id] then return false end
  sessions[id] = nil
  self:write(sessions)
  return true
end

function backend:list()
  local ids = {}
  for id in pairs(self:read()) do ids[#ids + 1] = id end
  return ids
end

local function agent_of(id)
  return deepagent.offline():with_session_id(id):with_memory_backend(backend)
end
agent_of("alice"):ask "My name is Alice."
print(agent_of("alice"):ask "What is my name?")
print(agent_of("bob"):ask "What is my name?")
print("stored: " .. #agent_of("alice"):list_sessions())
print("deleted: " .. tostring(agent_of("alice"):delete_session()))
os.remove(backend.path)
