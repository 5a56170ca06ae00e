-- damage.lua - a stored session of 50 messages, and what must hold when its
-- bytes are not as they were written: it is an error, or all of the
-- conversation; never fewer messages in silence; and the damaged bytes stay
-- until the caller says that they may be replaced, and then they lie beside.

local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local damage = {
  BLOCK = 512,
  full = (os.getenv("DA_FULL") or "") ~= "",
}

-- ---- the session ----

-- Words that differ, so that no two blocks are alike.
local function said(i)
  return ("%d: \"Grüße\"\n€ \u{1f600} "):format(i)
    .. ("and so on, up to %d. "):format(i * 7919):rep(i % 5 + 1)
end

function damage.agent()
  return deepagent.new { provider = models.echo() }:with_session_id("s")
    :with_memory_backend(damage.backend)
end

-- valid, messages: the file's bytes and what it holds; newer, newer_messages:
-- the same after one more turn.
function damage.setup()
  damage.root = disk.temp()
  damage.directory = damage.root .. "/sessions"
  damage.file = damage.directory .. "/s.json"
  damage.backend = deepagent.file_backend { path = damage.directory,
    durable = false }
  local list = {}
  for i = 1, 50 do
    list[i] = { role = i % 2 == 1 and "user" or "assistant",
      content = said(i) }
  end
  local agent <close> = damage.agent()
  assert(agent:set_history(list))
  assert(agent:save_session())
  damage.valid, damage.messages = disk.read(damage.file), agent:get_history()
  assert(agent:ask("one more"))
  assert(agent:flush())
  damage.newer = disk.read(damage.file)
  damage.newer_messages = agent:get_history()
  assert(#damage.valid > 16 * damage.BLOCK)
end

function damage.teardown()
  disk.remove(damage.root)
end

-- Writing anew is faster than over what is there, which ext4 flushes.
function damage.put(bytes)
  os.remove(damage.file)
  disk.write(damage.file, bytes)
end

function damage.load(bytes)
  damage.put(bytes)
  return damage.backend:load("s")
end

-- ---- damaging ----

function damage.flipped(bytes, at, bit)
  return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ (1 << bit))
    .. bytes:sub(at + 1)
end

function damage.block(bytes, i)
  return bytes:sub(i * damage.BLOCK + 1, (i + 1) * damage.BLOCK)
end

-- `bytes` with block i replaced.
function damage.with_block(bytes, i, new)
  return bytes:sub(1, i * damage.BLOCK) .. new
    .. bytes:sub(i * damage.BLOCK + #new + 1)
end

function damage.swapped(bytes, i, k)
  local a, b = damage.block(bytes, i), damage.block(bytes, k)
  return damage.with_block(damage.with_block(bytes, i, b), k, a)
end

function damage.lines(text)
  local list = {}
  for line in text:gmatch "[^\n]*\n" do list[#list + 1] = line end
  return list
end

-- ---- what must hold ----

-- Whether they are the same messages. assert.same is slow on so many.
function damage.same(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i].id ~= b[i].id or a[i].content ~= b[i].content
      or a[i].role ~= b[i].role or a[i].created_at ~= b[i].created_at then
      return false
    end
  end
  return true
end

local counts

function damage.begin()
  counts = { states = 0, refused = 0, agents = 0 }
  damage.counts = counts
end

function damage.tell()
  if counts.states + counts.agents > 0 then
    io.write(("\n%d states, %d of them refused; %d met by agents\n"):format(
      counts.states, counts.refused, counts.agents))
  end
end

-- An error, or one of the conversations that there were.
function damage.assert_no_less(bytes, note, wanted, other)
  local list, err = damage.load(bytes)
  counts.states = counts.states + 1
  if list then
    if not damage.same(list, wanted)
      and not (other and damage.same(list, other)) then
      error(("%s: it loads as another conversation, of %d messages")
        :format(note, #list))
    end
    return
  end
  counts.refused = counts.refused + 1
  if err.code ~= "session_corrupt" and err.code ~= "version_too_new" then
    error(note .. ": " .. tostring(err))
  end
end

function damage.assert_corrupt(bytes, note)
  local list, err = damage.load(bytes)
  counts.states = counts.states + 1
  if list then error(("%s: it loads, with %d"):format(note, #list)) end
  counts.refused = counts.refused + 1
  if err.code ~= "session_corrupt" then
    error(note .. ": " .. tostring(err))
  end
end

function damage.assert_untouched(bytes, note)
  if disk.read(damage.file) ~= bytes then error(note .. ": other bytes") end
  for _, name in ipairs(disk.names(damage.directory)) do
    if name ~= "s.json" and name ~= ".lock" then
      error(note .. ": there is " .. name)
    end
  end
end

local function take_aside(bytes, note)
  local asides = 0
  for _, name in ipairs(disk.names(damage.directory)) do
    if name:find("^s%.json%.corrupt%-") then
      asides = asides + 1
      assert(disk.read(damage.directory .. "/" .. name) == bytes, note)
      os.remove(damage.directory .. "/" .. name)
    end
  end
  assert(asides == 1, note)
end

local function assert_fails(note, ok, err)
  assert(ok == nil and err.code == "session_corrupt", note)
end

-- An agent meets the damaged file: it answers, says why nothing is saved,
-- and leaves the bytes alone, until it is told to save.
function damage.assert_guarded(bytes, note)
  damage.put(bytes)
  local agent <close> = damage.agent()
  assert(agent:ask("hello") == "re: hello", note)
  assert_fails(note, agent:flush())
  assert(agent:save_status() == "failed", note)
  assert_fails(note, agent:load_session())
  damage.assert_untouched(bytes, note)
  assert(agent:save_session())
  take_aside(bytes, note)
  local stored = damage.backend:load("s")
  assert(#stored == 2 and stored[1].content == "hello", note)
  counts.agents = counts.agents + 1
end

return damage
