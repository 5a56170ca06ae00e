-- hostile.lua - the servers of ../shared/vectors/http, and what must hold of
-- any outcome: bounded time and memory, valid texts, no key, nothing kept of a
-- turn that failed.
--
--   local hostile = require "support.hostile"
--   local servers = hostile.start()
--   local text, err, agent = servers:ask(case)      -- a line of its index
--   servers:stop()

local assert = require "luassert"
local deepagent = require "deepagent"
local http = require "support.http"
local json = require "dkjson"
local patience = require "support.patience"
local process = require "support.process"
local socket = require "socket"

local hostile = {}
hostile.__index = hostile

local shared = os.getenv "DA_SHARED" or "../shared"
local folder = shared .. "/vectors/http"
hostile.folder = folder

local KEY = "sk-canary-9f3b1c"

-- Seconds: of all others, and of those that hang, or never end, of which one
-- is as good as the other.
local LONG = patience.long
local TIMEOUTS = { connect = LONG, idle = LONG, total = LONG }
local IDLE = { connect = LONG, idle = 0.5, total = LONG }
local TOTAL = { connect = LONG, idle = LONG, total = 1.5 }
local hanging = { ["211-slow-loris-body.http"] = TOTAL,
  ["213-hang-after-headers.http"] = IDLE,
  ["215-heartbeats-forever.http"] = TOTAL }
local TIME_SCALE = 0.2
local MOST_MEGABYTES = 200

function hostile.present()
  local probe <close> = io.open(folder .. "/index.jsonl")
  return probe ~= nil
end

--- All cases; arrays have dkjson's marks.
function hostile.cases()
  local cases = {}
  for line in io.lines(folder .. "/index.jsonl") do
    cases[#cases + 1] = assert(json.decode(line))
  end
  return cases
end

local function wait_for(port, server)
  patience.eventually(function()
    local connection = socket.connect("127.0.0.1", port)
    if connection then connection:close() end
    assert(connection or server:alive(),
      "the replay server did not start: " .. server:output())
    return connection
  end)
end

--- The replay server and, before it, a relay (spec/support/relay.py).
function hostile.start()
  local self = setmetatable({ most = 0 }, hostile)
  self.port, self.relay_port = process.free_port(), process.free_port()
  self.replay = process.start(
    ("python3 -I %s/vectors/tools/replay.py %s %d %d %g"):format(shared,
      folder, self.port, process.free_port(), TIME_SCALE), "")
  wait_for(self.port, self.replay)
  self.relay = process.start(("python3 -I %s/spec/support/relay.py %d %d")
    :format(os.getenv "DA_ROOT" or ".", self.relay_port, self.port), "ready")
  return self
end

function hostile:stop()
  self.relay:stop()
  self.replay:stop()
end

--- What came to the second listener of the replay server: nothing, "".
function hostile:leaks()
  return self.replay:output():match "LEAK.*" or ""
end

local function name_of(case)
  return (case.file:gsub("%.http$", ""))
end

--- The bodies of the requests that came through the relay for this case.
function hostile:requests(case)
  local text = http.request(self.relay_port, "GET", "/_requests/"
    .. name_of(case))
  return assert(json.decode(text))
end

--- An agent for a case; through the relay or straight.
function hostile:agent(case, relayed)
  local a = deepagent.new { model = "m", api_key = KEY, memory = true,
    base_url = ("http://127.0.0.1:%d/%s"):format(
      relayed and self.relay_port or self.port, name_of(case)) }
  return a:with_timeout(hanging[case.file] or TIMEOUTS)
end

--- Resident memory in megabytes: "VmRSS" now, "VmHWM" at its peak since
--- the last forget_peak.
local function memory(name)
  local status <close> = assert(io.open("/proc/self/status"))
  return tonumber(status:read("a"):match(name .. ":%s*(%d+)")) / 1024
end

local function forget_peak()
  local file <close> = io.open("/proc/self/clear_refs", "w")
  if file then file:write("5") end
end

local function check_answer(a, case, text, heard)
  assert.truthy(utf8.len(text))
  if case.stream then
    local all = table.concat(heard)
    assert.equal(text, all:sub(#all - #text + 1))
  end
  local history = a:get_history()
  assert.equal("user", history[1].role)
  assert.equal("assistant", history[#history].role)
  return history
end

local function check_error(a, err)
  assert.equal(0, #a:get_history())
  local shown = { tostring(err) }
  for _, value in pairs(err) do shown[#shown + 1] = tostring(value) end
  shown = table.concat(shown, " ")
  assert.truthy(utf8.len(shown))
  assert.is_nil(shown:find("%c"))
  assert.is_nil(shown:find(KEY, 1, true))
  assert.truthy(#shown < 4000)
end

--- Asks, or streams, as the case says.
function hostile:ask(case, a)
  local heard, done = {}, patience.watch()
  collectgarbage()
  forget_peak()
  local before = memory "VmRSS"
  local text, err
  if case.stream then
    text, err = a:stream("hi", function(delta)
      assert(utf8.len(delta))
      heard[#heard + 1] = delta
    end)
  else
    text, err = a:ask("hi")
  end
  local grown = memory "VmHWM" - before
  done()
  self.most = math.max(self.most, grown)
  if os.getenv "DA_CONFIG" == "release" then
    assert.truthy(grown < MOST_MEGABYTES, ("%.0f MB"):format(grown))
  end
  if text then
    check_answer(a, case, text, heard)
  else
    check_error(a, err)
  end
  return text, err
end

return hostile
