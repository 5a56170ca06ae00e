-- power_disk.lua - a disk that records what is asked of it, and what a power
-- cut could have left of it.
--
--   local disk = require "torture.power_disk"
--   local recorded = disk.start(directory, size) -- nbdkit behind nbdfuse
--   recorded.file                             -- for a loop device to go on
--   recorded.size                             -- where the marks begin, too
--   local events, bytes = recorded:stop()
--   events[i].kind                            -- "write", "flush" or "mark"
--   events[i].at, events[i].bytes             -- of a write
--   events[i].text                            -- of a mark
--
--   for image, n, how in disk.images(events, options) do ... end
--
-- How a request gets here: the loop driver does one after the other, a write
-- as a write to recorded.file, a flush as its fsync. FUSE delays no write, as
-- nbdfuse does not ask for a cache that would. So both return when the
-- recorder has answered; power_spec.lua shows that.

local blocks = require "test.blocks"
local lfs = require "lfs"
local socket = require "socket"
local support = require "support.disk"

local disk = {}
disk.__index = disk

local RECORDER = os.getenv "DA_ROOT" .. "/spec/torture/power_record.py"

-- --- recording --------------------------------------------------------------

-- nbdfuse ends with this process, and nbdkit with nbdfuse.
function disk.start(directory, size)
  local self = setmetatable({ size = size, file = directory .. "/disk",
    log = directory .. "/log" }, disk)
  support.write(self.file, "")
  self.pipe = io.popen(("echo $$; exec setpriv --pdeathsig KILL nbdfuse %s "
    .. "--command nbdkit -s --exit-with-parent python %s log=%s size=%d 2>&1")
    :format(self.file, support.quoted(RECORDER), self.log, size))
  self.pid = self.pipe:read("n")
  local deadline = socket.gettime() + 120
  while lfs.attributes(self.file, "size") == 0 do
    if socket.gettime() > deadline or not self:alive() then
      error("nbdfuse does not start: " .. self:kill())
    end
    socket.sleep(0.005)
  end
  return self
end

-- A zombie, as long as nobody has waited for it, has no memory.
function disk:alive()
  return (support.read(("/proc/%d/statm"):format(self.pid)) or "0")
    :find("^[1-9]")
end

-- Whatever state it is in.
function disk:kill()
  if io.type(self.pipe) ~= "file" then return end
  os.execute("kill -KILL " .. self.pid)
  local output = self.pipe:read("a")
  self.pipe:close()
  blocks.detach(self.file)
  return output
end

local READERS = {
  W = function(log, at, offset, length)
    return { kind = "write", at = offset, bytes = log:sub(at,
      at + length - 1) }, at + length
  end,
  Z = function(_, at, offset, length)
    return { kind = "write", at = offset, bytes = ("\0"):rep(length) }, at
  end,
  F = function(_, at) return { kind = "flush" }, at end,
  M = function(log, at, length)
    return { kind = "mark", text = log:sub(at, at + length - 1) }, at + length
  end,
}

local function parse(log)
  local events, at = {}, 1
  while at <= #log do
    local line = log:match("^[^\n]*\n", at)
    local kind, first, second = line:match("^(%u) ?(%d*) ?(%d*)\n$")
    events[#events + 1], at = READERS[kind](log, at + #line,
      math.tointeger(tonumber(first)), math.tointeger(tonumber(second)))
  end
  return events
end

-- The events, and what the kernel sees on the disk at the end.
function disk:stop()
  local file <close> = assert(io.open(self.file, "rb"))
  local bytes = file:read(self.size)
  file:close()
  assert(blocks.unmount(self.file))
  local output = self.pipe:read("a")
  -- nbdfuse may find its device gone in the middle of a read: that is how it
  -- was ended.
  assert(self.pipe:close() or output:find("connection abort", 1, true),
    output)
  return parse(support.read(self.log)), bytes
end

-- --- what a power cut can leave ---------------------------------------------

local SECTOR = 512

local function put(file, at, bytes)
  assert(file:seek("set", at))
  assert(file:write(bytes))
end

-- Some of its sectors only.
local function put_torn(file, event)
  for from = 1, #event.bytes, SECTOR do
    if math.random() < 0.5 then
      put(file, event.at + from - 1, event.bytes:sub(from, from + SECTOR - 1))
    end
  end
end

-- A disk writes a block of 4096 bytes as a whole, an old one a sector of 512.
-- The superblock is two of these, with one checksum: a file system that has
-- half of it is not mounted, so that one is not torn.
local function has_superblock(event)
  return event.at <= 1024 and event.at + #event.bytes > 1024
end

-- Of ten writes four are not there and two are torn.
local function put_luckily(file, event)
  local luck = math.random()
  if luck >= 0.6 or luck >= 0.4 and has_superblock(event) then
    put(file, event.at, event.bytes)
  elseif luck >= 0.4 then
    put_torn(file, event)
  end
end

-- options: directory, for the files; size, of the disk; from, the number of
-- events that are there in any case; subsets, how many random ones are made
-- after each event of the writes that no flush has followed yet, besides all
-- of these writes and, after a mark, none. (Right after a flush there is
-- nothing new: that is all of the writes before it.)
--
-- Yields the file that holds the image, the number of events before the power
-- cut, and "all", "none" or "some"; and at the end "whole", which is the disk
-- after all events.
function disk.images(events, options)
  local base, image = options.directory .. "/base",
    options.directory .. "/image"
  local file = assert(io.open(base, "w+b"))
  file:setvbuf "no"
  put(file, options.size - 1, "\0")
  local pending = {}

  local function settle()
    for _, event in ipairs(pending) do put(file, event.at, event.bytes) end
    pending = {}
  end

  local function give(i, how)
    assert(blocks.copy(base, image))
    local target <close> = assert(io.open(image, "r+b"))
    for _, event in ipairs(how == "none" and {} or pending) do
      if how == "all" then
        put(target, event.at, event.bytes)
      else
        put_luckily(target, event)
      end
    end
    assert(target:close())
    coroutine.yield(image, i, how)
  end

  return coroutine.wrap(function()
    for i, event in ipairs(events) do
      if event.kind == "write" then
        pending[#pending + 1] = event
      elseif event.kind == "flush" then
        settle()
      end
      if i <= options.from then
        settle()
      elseif event.kind ~= "flush" then
        give(i, "all")
        if #pending > 0 and event.kind == "mark" then give(i, "none") end
        for _ = 1, #pending > 0 and options.subsets or 0 do
          give(i, "some")
        end
      end
    end
    settle()
    file:close()
    coroutine.yield(base, #events, "whole")
  end)
end

return disk
