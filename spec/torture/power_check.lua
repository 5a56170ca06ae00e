-- power_check.lua - what must be in an image of the disk, and whether it is.
--
--   local check = require "torture.power_check"
--   local expected = check.expect()
--   expected:mark("begin user-alice a turn")     -- in the order of the record
--   local why, detail = check.image(image, expected, options)
--
-- `why` is nil if all is well, else "lost" (an acknowledged turn or session
-- is missing, or a deleted one is back), "corrupt" (what is there cannot be
-- read, or is no state that was ever saved), or "stuck" (it cannot be
-- mounted, or the next writer cannot save, or leaves something behind).

local blocks = require "test.blocks"
local deepagent = require "deepagent"
local models = require "support.models"
local support = require "support.disk"
local writer = require "torture.power_writer"

local check = {}

-- --- what is expected ---------------------------------------------------

local expectation = {}
expectation.__index = expectation

-- sessions[id][speaker] = { begun = {"turn", "delete" ...}, done = n };
-- damaged[id] = "damaging", and anything may be in its place, or "damaged"
function check.expect()
  return setmetatable({ sessions = {}, damaged = {} }, expectation)
end

local function at(map, key, fresh)
  if not map[key] then map[key] = fresh end
  return map[key]
end

function expectation:mark(text)
  local verb, id, speaker, what = text:match("^(%S+) (%S+) ?(%S*) ?(%S*)$")
  local speakers = at(self.sessions, id, {})
  if verb == "damaging" or verb == "damaged" then
    self.damaged[id] = verb
    return
  end
  local steps = at(speakers, speaker, { begun = {}, done = 0 })
  if verb == "begin" then
    table.insert(steps.begun, what)
  else
    assert(verb == "done", text)
    steps.done = math.tointeger(what)
  end
end

-- The numbers of the turns that are there after the first n steps, as text.
local function turns_after(steps, n)
  local there = {}
  for i = 1, n do
    if steps.begun[i] == "delete" then
      there = {}
    else
      there[#there + 1] = i
    end
  end
  return table.concat(there, " ")
end

-- --- what is found --------------------------------------------------------

-- The turns of each speaker, as text; or nil and what is wrong.
local function turns_of(messages)
  local found = {}
  if #messages % 2 ~= 0 then return nil, "half a turn" end
  for i = 1, #messages, 2 do
    local question, answer = messages[i].content, messages[i + 1].content
    local speaker, n = question:match("^(%S+) (%d+) ")
    if not speaker or messages[i].role ~= "user"
      or messages[i + 1].role ~= "assistant"
      or question ~= writer.question(speaker, math.tointeger(n))
      or answer ~= "re: " .. question then
      return nil, "a turn that nobody said"
    end
    found[speaker] = (found[speaker] and found[speaker] .. " " or "") .. n
  end
  return found
end

-- A speaker's turns are those after a step that may have been the last.
local function judge(steps, found)
  for n = steps.done, #steps.begun do
    if turns_after(steps, n) == found then return end
  end
  for n = 0, steps.done do
    if turns_after(steps, n) == found then return "lost" end
  end
  return "corrupt"
end

-- nil, or why not.
local function check_turns(id, speakers, messages)
  local found, wrong = turns_of(messages)
  if not found then return "corrupt", id .. ": " .. wrong end
  for speaker, steps in pairs(speakers) do
    local why = judge(steps, found[speaker] or "")
    if why then
      return why, ("%s: %s has [%s] of %d, acknowledged %d"):format(id,
        speaker, found[speaker] or "", #steps.begun, steps.done)
    end
    found[speaker] = nil
  end
  if next(found) then return "corrupt", id .. ": a stranger's turns" end
end

-- The bytes that nobody could read are in their place or aside, whatever
-- else is there. True if in their place.
local function find_damaged(path, id)
  local in_place, aside = false, false
  for _, name in ipairs(support.names(path)) do
    if support.read(path .. "/" .. name) == writer.DAMAGED then
      in_place = in_place or name == id .. ".json"
      aside = aside or name:find(id .. ".json.corrupt-", 1, true) == 1
    end
  end
  return in_place, aside
end

local function check_session(backend, expected, id)
  if expected.damaged[id] == "damaging" then return end
  local messages, err = backend:load(id)
  if messages then err = nil end -- what stands there is the metadata
  if expected.damaged[id] then
    local in_place, aside = find_damaged(backend:path(), id)
    if in_place == aside then return "lost", id .. ": the damaged bytes" end
    if in_place and err and err.code == "session_corrupt" then
      messages, err = {}, nil
    end
  end
  if err then return "corrupt", id .. ": " .. tostring(err) end
  return check_turns(id, expected.sessions[id], messages or {})
end

local function check_all(backend, expected)
  for id in pairs(expected.sessions) do
    local why, detail = check_session(backend, expected, id)
    if why then return why, detail end
  end
  for _, id in ipairs((assert(backend:list()))) do
    if not expected.sessions[id] then
      return "corrupt", "a session that nobody began: " .. id
    end
  end
end

-- The next writer: saves, and clears away what the one before has left.
local function check_next(backend)
  local agent <close> = deepagent.new { provider = models.echo() }
    :with_session_id("next"):with_memory_backend(backend)
    :with_save_timeout(60)
  assert(agent:ask("hello"))
  local ok, err = agent:flush()
  if not ok then return "stuck", "cannot save: " .. tostring(err) end
  for _, name in ipairs(support.names(backend:path())) do
    if name ~= ".lock" and not name:find("%.json$")
      and not name:find("%.json%.corrupt%-") then
      return "stuck", "left behind: " .. name
    end
  end
end

local function look(path, expected)
  local backend = deepagent.file_backend { path = path }
  local why, detail = check_all(backend, expected)
  if why then return why, detail end
  return check_next(backend)
end

local function mount(image, options)
  return blocks.mount(image, options.size, options.mounted, "ext4",
    options.options)
end

-- options: size, options (of the mount), mounted (where), path (of the
-- sessions).
function check.image(image, expected, options)
  local ok, err = mount(image, options)
  if not ok then return "stuck", "cannot mount: " .. tostring(err) end
  local good, why, detail = pcall(look, options.path, expected)
  collectgarbage() -- the backend has its directory open until it is gone
  collectgarbage()
  assert(blocks.unmount(options.mounted))
  assert(good, why)
  return why, detail
end

return check
