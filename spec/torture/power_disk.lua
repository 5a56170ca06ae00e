-- power_disk.lua - a disk that records what is asked of it, and what the
-- power cut could have left of it.
--
--   local disk = require "torture.power_disk"
--   local recorded = disk.start(directory)     -- nbdkit behind nbdfuse
--   recorded.file                              -- a loop device goes on this
--   recorded.size, recorded.marks_at
--   local events = recorded:stop()
--   events[i].kind                             -- "write", "flush", "mark"
--   events[i].at, .bytes                       -- of a write; .text of a mark
--
--   for image in disk.images(events, options) do ... end
--
-- How a request gets here: the loop driver hands on one request after the
-- other, a write as a write to recorded.file, a flush as fsync. FUSE has no
-- cache that would delay a write (nbdfuse does not ask for one), so write
-- and fsync return when the recorder has answered. power_spec.lua proves it.

local blocks = require "test.blocks"
local lfs = require "lfs"
local socket = require "socket"
local support = require "support.disk"

local disk = {}
disk.__index = disk

local RECORDER = os.getenv "DA_ROOT" .. "/spec/torture/power_record.py"

-- nbdfuse ends with this process, nbdkit with nbdfuse.
function disk.start(directory, size)
  local self = setmetatable({ size = size, marks_at = size,
    file = directory .. "/disk", log = directory .. "/log" }, disk)
  support.write(self.file, "")
  local empty = lfs.attributes(self.file, "ino")
  self.pipe = io.popen(("exec setpriv --pdeathsig KILL nbdfuse %s --command "
    .. "nbdkit -s --exit-with-parent python %s log=%s size=%d 2>&1"):format(
    self.file, support.quoted(RECORDER), self.log, size))
  local deadline = socket.gettime() + 30
  while lfs.attributes(self.file, "ino") == empty
    and lfs.attributes(self.file, "size") == 0 do
    if socket.gettime() > deadline then
      error "nbdfuse does not start"
    end
    socket.sleep(0.005)
  end
  return self
end

local function parse(log)
  local events, at = {}, 1
  while at <= #log do
    local line = log:match("^[^\n]*\n", at)
    local kind, first, second = line:match("^(%u) ?(%d*) ?(%d*)\n$")
    first, second = math.tointeger(first), math.tointeger(second)
    at = at + #line
    local event
    if kind == "W" then
      event = { kind = "write", at = first, bytes = log:sub(at,
        at + second - 1) }
      at = at + second
    elseif kind == "Z" then
      event = { kind = "write", at = first, bytes = ("\0"):rep(second) }
    elseif kind == "M" then
      event = { kind = "mark", text = log:sub(at, at + first - 1) }
      at = at + first
    else
      assert(kind == "F")
      event = { kind = "flush" }
    end
    events[#events + 1] = event
  end
  return events
end

-- The events, and the disk's bytes as the kernel sees them at the end.
function disk:stop()
  local file <close> = assert(io.open(self.file, "rb"))
  local bytes = file:read(self.size)
  file:close()
  assert(blocks.unmount(self.file))
  local output = self.pipe:read("a")
  assert(self.pipe:close(), output)
  return parse(support.read(self.log)), bytes
end

-- --- what a power cut can leave ---------------------------------------------

local SECTOR = 512

local function put(file, event)
  assert(file:seek("set", event.at))
  assert(file:write(event.bytes))
end

-- Some sectors of it only.
local function put_torn(file, event)
  for from = 1, #event.bytes, SECTOR do
    if math.random() < 0.5 then
      assert(file:seek("set", event.at + from - 1))
      assert(file:write(event.bytes:sub(from, from + SECTOR - 1)))
    end
  end
end

-- ext4 takes it for granted that its own blocks are written whole: neither
-- superblock nor journal can be read where that is not so. What is torn is
-- what belongs to files.
local function is_metadata(bytes)
  return false
end

-- options: directory, for the image; from, the number of events that are
-- there in any case; subsets, how many random ones of the writes that have
-- not been flushed are made after each event, besides all of them and none.
--
-- Yields, for each: the image's file, the number of events before the cut,
-- and a word that says what of the unflushed is in it.
function disk.images(events, options)
  local base, image = options.directory .. "/base",
    options.directory .. "/image"
  local file = assert(io.open(base, "w+b"))
  file:setvbuf "no"
  assert(file:seek("set", options.size - 1))
  assert(file:write "\0")

  local function make(pending, how)
    assert(blocks.copy(base, image))
    if #pending > 0 and how ~= "none" then
      local target <close> = assert(io.open(image, "r+b"))
      for _, event in ipairs(pending) do
        local luck = how == "all" and 1 or math.random()
        if luck >= 0.6 then
          put(target, event)
        elseif luck >= 0.4 and not is_metadata(event) then
          put_torn(target, event)
        end
      end
    end
    return image
  end

  return coroutine.wrap(function()
    local pending = {}
    for i, event in ipairs(events) do
      if event.kind == "write" then
        pending[#pending + 1] = event
      end
      if event.kind == "flush" or i <= options.from then
        for _, written in ipairs(pending) do put(file, written) end
        pending = {}
      end
      -- A flush changes nothing of what there is.
      if i > options.from and event.kind ~= "flush" then
        coroutine.yield(make(pending, "all"), i, "all")
        if #pending > 0 then
          if event.kind == "mark" then
            coroutine.yield(make(pending, "none"), i, "none")
          end
          for n = 1, options.subsets do
            coroutine.yield(make(pending, "some"), i, "subset " .. n)
          end
        end
      end
    end
    for _, written in ipairs(pending) do put(file, written) end
    file:close()
  end)
end

return disk
