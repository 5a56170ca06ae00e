-- The power is cut while conversations are saved: an ext4 file system lies on
-- a disk that records every write and flush in their order, and the writer's
-- acknowledgements between them. Then the disk is made anew as it may be after
-- a cut at each place of the record: with all that was flushed until then, and
-- with all, none or some of the writes since, whole or torn. Each is mounted
-- and read: every acknowledged turn is there, or a newer state, nothing is
-- corrupt, the next writer can save.

local blocks = require "test.blocks"
local check = require "torture.power_check"
local child = require "support.child"
local disk = require "torture.power_disk"
local support = require "support.disk"

local FULL = os.getenv "DA_FULL" and os.getenv "DA_FULL" ~= ""
local SEED = 20261124
local SIZE = 8 << 20
local NOSYNC = os.getenv "DA_BUILD" .. "/spec/torture/preload_nosync.so"

-- Each has its name, how long it is, usually and at full length, and the
-- programs that run at once; `also`: another file system that the short run
-- does not leave out.
local WORKLOADS = {
  { "a session that grows", 6, 40, [[
    writer:talk("user-alice", "a", turns)]] },
  { "turns that are flushed together", 8, 36, [[
    for i = 1, turns do
      writer:ask("burst", "a")
      if i % 3 == 0 then writer:flush("burst", "a") end
      if i % 4 == 0 then writer:close("burst", "a") end
    end
    writer:flush("burst", "a")]] },
  { "many sessions", 6, 24, [[
    for i = 1, turns do writer:talk("user-" .. i * 7 % 11, "a", 1) end]] },
  { "sessions that are deleted", 4, 24, [[
    writer:talk("stays", "a", 2)
    for i = 1, turns, 2 do
      writer:talk("goes", "a", 2)
      writer:delete("goes", "a")
      if i % 3 == 0 then writer:delete("goes", "a") end
    end]] },
  { "a damaged session that is put aside", 4, 24, [[
    writer:talk("whole", "a", 1)
    for i = 1, turns, 4 do
      writer:damage("damaged-" .. i)
      writer:replace("damaged-" .. i, "a")
      writer:talk("damaged-" .. i, "a", 1)
    end]] },
  { "two processes with one session", 3, 16, [[
    for _ = 1, turns do
      writer:talk("shared", "a", 1)
      writer:talk("own-a", "a", 1)
    end]], [[
    for _ = 1, turns do
      writer:talk("shared", "b", 1)
      writer:talk("own-b", "b", 1)
    end]], also = 4 },
}

-- mkfs's words and mount's options. The first is ext4 as it comes, but for
-- the size of its blocks and journal; auto_da_alloc is what saves, sometimes,
-- those who rename without a flush. With data=writeback, a file that lost its
-- name gives its blocks to other files at once. Not here: fast_commit, whose
-- log does not survive that some of its blocks are there and others not, or
-- halves (see docs/durability.md).
local SYSTEMS = {
  { "-b 1024 -J size=1", "" },
  { "-b 4096", "noauto_da_alloc" },
  { "-b 1024 -J size=1", "data=journal" },
  { "-b 1024 -J size=1", "data=writeback,noauto_da_alloc" },
  { "-b 1024 -J size=1", "nodelalloc" },
}
local PLAIN = SYSTEMS[1]
local ONLY = tonumber(os.getenv "DA_POWER_FS") -- one of them, to look closer

-- A place for all files of a test that vanishes with this process.
local root, recorded
local function begin()
  root = support.temp()
  assert(blocks.tmpfs(root))
  support.shell("mkdir %s/mounted", root)
end
local function finish()
  collectgarbage()
  blocks.detach(root .. "/mounted")
  if recorded then recorded:kill() end
  recorded = nil
  blocks.detach(root)
  support.remove(root)
end

local function make_file_system(words, file)
  support.shell("mkfs.ext4 -q -F %s -E nodiscard,lazy_itable_init=0,"
    .. "lazy_journal_init=0 %s %dk", words, file, SIZE // 1024)
end

-- Why nothing of this can be done here, or nil.
local function missing()
  for _, name in ipairs { "nbdkit", "nbdfuse", "mkfs.ext4", "e2fsck",
    "setpriv" } do
    if not os.execute("command -v " .. name .. " >/dev/null") then
      return name .. " is missing"
    end
  end
  if not os.execute "nbdkit --dump-plugin python >/dev/null 2>&1" then
    return "nbdkit has no plugin for Python"
  end
  if support.shell "id -u" ~= "0\n" then return "needs root" end
  for _, device in ipairs { "/dev/fuse", "/dev/loop-control" } do
    if not support.exists(device) then return "no " .. device end
  end
  local ok, err = blocks.private()
  if not ok then return err end
  begin()
  local image = root .. "/image"
  make_file_system(PLAIN[1], image)
  ok, err = blocks.mount(image, SIZE, root .. "/mounted", "ext4")
  finish()
  return not ok and "cannot mount ext4: " .. err or nil
end

-- Runs the programs on a recorded disk: its events, and how many of them
-- there were before the first mark. `changes`: durable = false; before, words
-- in front of the interpreter.
local function record(workload, system, turns, changes)
  recorded = disk.start(root, SIZE)
  make_file_system(system[1], recorded.file)
  assert(blocks.mount(recorded.file, SIZE, root .. "/mounted", "ext4",
    system[2]))
  local running = {}
  for i = 4, #workload do
    running[#running + 1] = child.start(
      [[local writer = require("torture.power_writer").open(arg)
        local turns = ]] .. turns .. "\n" .. workload[i], {
        args = { recorded.file, SIZE, root .. "/mounted/home/sessions",
          changes.durable == false and "quick" or "durable" },
        before = changes.before,
      })
  end
  for _, writer in ipairs(running) do
    local output, status = writer:wait()
    assert(status == 0, output)
  end
  assert(blocks.unmount(root .. "/mounted"))
  local events, bytes = recorded:stop()
  recorded = nil
  for i, event in ipairs(events) do
    if event.kind == "mark" then return events, i - 1, bytes end
  end
end

-- Makes and reads the images: a count of each result, and the first bad ones
-- as text.
local function replay(events, from, bytes, system, subsets)
  local counts = { images = 0, lost = 0, corrupt = 0, stuck = 0 }
  local expected, told, bad = check.expect(), from, {}
  local options = { size = SIZE, mounted = root .. "/mounted",
    options = system[2], path = root .. "/mounted/home/sessions" }
  for image, n, how in disk.images(events, { directory = root, size = SIZE,
    from = from, subsets = subsets }) do
    for i = told + 1, n do
      if events[i].kind == "mark" then expected:mark(events[i].text) end
    end
    told = n
    if how == "whole" then
      assert(support.read(image) == bytes, "the record is not complete")
      break
    end
    local why, detail = check.image(image, expected, options)
    counts.images = counts.images + 1
    if not why and counts.images % 50 == 0
      and not os.execute("e2fsck -fn " .. image .. " >/dev/null 2>&1") then
      why, detail = "stuck", "the file system is not sound"
    end
    if why then
      counts[why] = counts[why] + 1
      if #bad < 5 then
        bad[#bad + 1] = ("%s after event %d (%s of the unflushed): %s")
          :format(why, n, how, detail)
      end
    end
  end
  return counts, table.concat(bad, "\n")
end

local function tell(what, counts)
  print(("\n    %s: %d images, %d lost, %d corrupt, %d stuck"):format(what,
    counts.images, counts.lost, counts.corrupt, counts.stuck))
end

local function systems(workload)
  if ONLY then return { ONLY } end
  if not FULL then return { 1, workload.also } end
  local all = {}
  for i in ipairs(SYSTEMS) do all[i] = i end
  return all
end

local why_not = missing()

local function test(name, body)
  it(name, function()
    if why_not then pending(why_not) end
    math.randomseed(SEED)
    body()
  end)
end

describe("a power cut", function()
  before_each(function() if not why_not then begin() end end)
  after_each(function() if not why_not then finish() end end)

  for _, workload in ipairs(WORKLOADS) do
    test("loses nothing that was acknowledged: " .. workload[1], function()
      for _, i in ipairs(systems(workload)) do
        local system = SYSTEMS[i]
        local events, from, bytes = record(workload, system,
          workload[FULL and 3 or 2], {})
        local counts, bad = replay(events, from, bytes, system,
          FULL and 2 or 1)
        tell(("mkfs.ext4 %s, mount -o '%s', seed %d"):format(system[1],
          system[2], SEED), counts)
        assert.equal("", bad)
        assert.is_true(counts.images > 10 * workload[2])
      end
    end)
  end
end)

-- A test that finds nothing must be one that would have found something.
describe("what shows a power cut's losses", function()
  before_each(function() if not why_not then begin() end end)
  after_each(function() if not why_not then finish() end end)

  local TURNS = 3

  -- Turns of which none may be lost, but some are.
  local function losses(what, system, changes)
    local events, from, bytes = record(WORKLOADS[1], system, TURNS, changes)
    if changes.events then events = changes.events(events) end
    local counts = replay(events, from, bytes, system, 1)
    tell(what, counts)
    assert.equal(0, counts.stuck)
    return counts
  end
  local function without(kind)
    if ({ asan = true, tsan = true })[os.getenv "DA_CONFIG"] then
      pending "the sanitizer is what is preloaded"
    end
    return { before = ("env DA_NOSYNC=%s LD_PRELOAD=%s"):format(kind,
      support.quoted(NOSYNC)) }
  end

  test("the record has all writes, each flush after its writes, and marks "
    .. "where they were made", function()
    recorded = disk.start(root, SIZE)
    local device <close> = assert(blocks.attach(recorded.file, SIZE))
    local marks <close> = assert(io.open(recorded.file, "r+b"))
    marks:setvbuf "no"
    local function put(file, at, bytes)
      assert(file:seek("set", at))
      assert(file:write(bytes))
    end
    local written, expected = {}, {}
    for i = 1, 100 do
      written[i] = { at = i * 7 % 100 * 4096,
        bytes = ("%-8d"):format(i):rep(512) }
      put(device, written[i].at, written[i].bytes)
      put(marks, SIZE, "written " .. i)
      assert(blocks.sync(device))
      put(marks, SIZE, "flushed " .. i)
      expected[i] = ("written %d: write flush; flushed %d:"):format(i, i)
    end
    device:close()
    marks:close()
    local events = recorded:stop()
    recorded = nil
    local got = {}
    for _, event in ipairs(events) do
      if event.kind == "mark" then
        got[#got + 1] = event.text .. ":"
      elseif #got > 0 and #got < 200 then
        got[#got] = got[#got] .. " " .. event.kind
        if event.kind == "write" then
          local wanted = table.remove(written, 1)
          assert.is_true(wanted.at == event.at)
          assert.is_true(wanted.bytes == event.bytes)
        end
      end
    end
    for i = 1, 100 do
      assert.equal(expected[i], got[2 * i - 1] .. "; " .. got[2 * i])
    end
  end)

  test("turns are lost where a backend is told not to flush", function()
    local counts = losses("durable = false", PLAIN, { durable = false })
    assert.is_true(counts.lost > 0)
  end)

  test("turns are lost where the directory is not flushed", function()
    local counts = losses("no fsync of directories", PLAIN,
      without "directories")
    assert.is_true(counts.lost > 0)
    assert.equal(0, counts.corrupt)
  end)

  test("sessions are corrupt where the file is not flushed", function()
    local counts = losses("no fsync of files", PLAIN, without "files")
    assert.is_true(counts.corrupt > 0)
  end)

  test("turns are lost where they are acknowledged one flush too early",
    function()
      local early = function(events)
        local moved = {}
        for _, event in ipairs(events) do
          local at = #moved + 1
          if event.kind == "mark" and event.text:find "^done" then
            while moved[at - 1].kind ~= "flush" do at = at - 1 end
            at = at - 1
          end
          table.insert(moved, at, event)
        end
        return moved
      end
      local counts = losses("early", PLAIN, { events = early })
      assert.is_true(counts.lost > 0)
      assert.equal(0, counts.corrupt)
    end)
end)
