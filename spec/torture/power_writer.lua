-- power_writer.lua - a program whose disk is recorded: it has conversations
-- and puts a mark into the record before and after what it does.
--
--   local writer = require("torture.power_writer").open(arg)
--   writer:talk("user-alice", "a", 10)  -- 10 turns by "a", each flushed
--   writer:delete("user-alice")
--
-- Marks, where a turn is told by its session, its speaker and its number
-- among the speaker's:
--
--   begin <session> <speaker> turn|delete
--   done <session> <speaker> <number>    -- so many of them are acknowledged
--   damaging <session>                   -- its file is about to hold DAMAGED
--   damaged <session>                    -- it does, durably
--
-- A "done" stands behind everything that the disk was asked for meanwhile,
-- a "begin" before it: writing a mark ends when it is in the record.

local deepagent = require "deepagent"
local models = require "support.models"

local writer = {}
writer.__index = writer

writer.DAMAGED = '{"version": 1, "messages": [{"role": "user"'

-- What the nth turn of a speaker asks: from a line to some blocks.
function writer.question(speaker, n)
  return ("%s %d %s"):format(speaker, n, ("."):rep(n * n * 37 % 3000))
end

function writer.open(arguments)
  local file, marks_at, directory, durable = table.unpack(arguments)
  local self = setmetatable({
    marks = assert(io.open(file, "r+b")), marks_at = marks_at,
    backend = deepagent.file_backend { path = directory,
      durable = durable == "durable" },
    agents = {}, steps = {},
  }, writer)
  self.marks:setvbuf "no"
  return self
end

function writer:mark(...)
  assert(self.marks:seek("set", self.marks_at))
  assert(self.marks:write(table.concat({ ... }, " ")))
end

function writer:agent(id)
  if not self.agents[id] then
    self.agents[id] = deepagent.new { provider = models.echo() }
      :with_session_id(id):with_memory_backend(self.backend)
      :with_save_timeout(60)
  end
  return self.agents[id]
end

function writer:begin(id, speaker, what)
  self:mark("begin", id, speaker, what)
  local key = id .. " " .. speaker
  self.steps[key] = (self.steps[key] or 0) + 1
  return self.steps[key]
end

function writer:done(id, speaker)
  self:mark("done", id, speaker, self.steps[id .. " " .. speaker])
end

-- A turn that is answered, and not yet said to be stored.
function writer:ask(id, speaker)
  local n = self:begin(id, speaker, "turn")
  assert(self:agent(id):ask(writer.question(speaker, n)))
end

function writer:flush(id, speaker)
  assert(self:agent(id):flush())
  self:done(id, speaker)
end

function writer:talk(id, speaker, turns)
  for _ = 1, turns do
    self:ask(id, speaker)
    self:flush(id, speaker)
  end
end

function writer:delete(id, speaker)
  self:begin(id, speaker, "delete")
  assert(self:agent(id):delete_session())
  self:done(id, speaker)
end

-- The last word of an agent: to close it also acknowledges.
function writer:close(id, speaker)
  assert(self:agent(id):close())
  self.agents[id] = nil
  self:done(id, speaker)
end

-- Puts bytes into the place of a session that nobody can read.
function writer:damage(id)
  local path = self.backend:path()
  local name = path .. "/" .. id .. ".json"
  self:mark("damaging", id)
  local file = assert(io.open(name, "wb"))
  assert(file:write(writer.DAMAGED))
  assert(file:close())
  assert(os.execute(("sync '%s' '%s'"):format(name, path)))
  self:mark("damaged", id)
end

-- Where a session is corrupt, only what is asked for by name is saved.
function writer:replace(id, speaker)
  self:ask(id, speaker)
  local ok, err = self:agent(id):flush()
  assert(not ok and err.code == "session_corrupt", tostring(err))
  assert(self:agent(id):save_session())
  self:done(id, speaker)
end

return writer
