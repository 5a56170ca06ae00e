-- process.lua - a process beside a test, such as shared/recorded/replay.py:
--
--   local process = require "support.process"
--   local port = process.free_port()
--   local replay = process.start("python3 replay.py chat " .. port, "ready")
--   replay:output()     -- all that it has printed
--   replay:stop()       -- that process only, not those that it started
--
-- It ends with the process that started it, whatever happens.

local patience = require "support.patience"
local socket = require "socket"

local process = {}
process.__index = process

-- Nobody else has it now; soon somebody may.
function process.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

-- Waits until its output holds the text `ready`.
function process.start(command, ready)
  local pipe = io.popen(([[
    out=$(mktemp)
    { exec %s; } </dev/null >"$out" 2>&1 &
    pid=$!
    { while kill -0 $PPID && kill -0 $pid; do sleep 0.2; done
      kill $pid; } </dev/null >/dev/null 2>&1 &
    echo $pid $! $out]]):format(command))
  local pid, watcher, file = pipe:read("n", "n", "l")
  pipe:close()
  local self = setmetatable({ pid = pid, watcher = watcher,
    file = file:sub(2) }, process)
  local deadline = socket.gettime() + patience.long
  while not self:output():find(ready, 1, true) do
    if socket.gettime() > deadline or not self:alive() then
      local output = self:output()
      self:stop()
      error(command .. " did not get ready: " .. output)
    end
    socket.sleep(0.02)
  end
  return self
end

function process:output()
  local file <close> = io.open(self.file)
  return file and file:read("a") or ""
end

-- It has ended also where nobody has asked for its status yet.
function process:alive()
  local file <close> = io.open(("/proc/%d/stat"):format(self.pid))
  local state = file and file:read("a"):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

function process:stop()
  os.execute(("kill %d %d 2>/dev/null"):format(self.watcher, self.pid))
  os.remove(self.file)
end

return process
