-- Hostile servers: ../shared/vectors/http, answered as its index expects, in
-- bounded time and memory, with nothing reaching its second listener.

local deepagent = require "deepagent"
local json = require "dkjson"
local process = require "support.process"
local socket = require "socket"

local shared = os.getenv "DA_SHARED" or "../shared"
local folder = shared .. "/vectors/http"
local KEY = "sk-canary-9f3b1c"

-- Names that differ from ours.
local names = { rate_limit = "rate_limited" }

-- Cases that are for later issues, by what is in their names.
local later = { { "%-tool%-", "tools (issue 4)" },
  { "%-anthropic%-", "the Messages API" } }

-- What is expected otherwise than the index says, and why.
local exceptions = {}

-- Seconds. The last two send something all the time, so that only the limit
-- of the whole ends them.
local TIMEOUTS = { connect = 2, idle = 0.5, total = 1.5 }
local WITHOUT_IDLE = { connect = 2, idle = 60, total = 1.5 }
local never_idle = { ["211-slow-loris-body.http"] = true,
  ["215-heartbeats-forever.http"] = true }
local TIME_SCALE = 0.2
local MOST_SECONDS = 3
local MOST_MEGABYTES = 200

local function read_index()
  local cases, left_out, total = {}, {}, 0
  for line in io.lines(folder .. "/index.jsonl") do
    local case = assert(json.decode(line))
    local why
    total = total + 1
    for _, rule in ipairs(later) do
      if case.file:find(rule[1]) then why = rule[2] end
    end
    if why then
      left_out[why] = left_out[why] or {}
      table.insert(left_out[why], case)
    else
      cases[#cases + 1] = case
    end
  end
  return cases, left_out, total
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

local function allowed(expect, code)
  for name in (expect.error or ""):gmatch "[^|]+" do
    if code == (names[name] or name) then return true end
  end
  return false
end

describe("hostile servers:", function()
  local probe <close> = io.open(folder .. "/index.jsonl")
  if not probe then
    it("all", function() pending(folder .. " is not there") end)
    return
  end
  local cases, left_out, total = read_index()
  local replay, port, outcomes
  local most = 0 -- megabytes

  setup(function()
    outcomes = {}
    local leaks = process.free_port()
    port = process.free_port()
    replay = process.start(("python3 -I %s/vectors/tools/replay.py %s %d %d %g")
      :format(shared, folder, port, leaks, TIME_SCALE), "")
    for _ = 1, 200 do
      local connection = socket.connect("127.0.0.1", port)
      if connection then
        connection:close()
        return
      end
      socket.sleep(0.02)
    end
    error("the replay server did not start: " .. replay:output())
  end)

  teardown(function() replay:stop() end)

  --- Asks; checks what must hold of any outcome.
  local function ask(case)
    local a = deepagent.new { model = "m", api_key = KEY, memory = true,
      retry = false,
      base_url = ("http://127.0.0.1:%d/%s"):format(port,
        (case.file:gsub("%.http$", ""))) }
    a:with_timeout(never_idle[case.file] and WITHOUT_IDLE or TIMEOUTS)
    local heard, from = {}, socket.gettime()
    collectgarbage()
    forget_peak()
    local before = memory("VmRSS")
    local text, err
    if case.stream then
      text, err = a:stream("hi", function(delta)
        assert(utf8.len(delta))
        heard[#heard + 1] = delta
      end)
    else
      text, err = a:ask("hi")
    end
    local seconds, grown = socket.gettime() - from, memory("VmHWM")
      - before
    assert.truthy(seconds < MOST_SECONDS, ("%.1f s"):format(seconds))
    most = math.max(most, grown)
    if os.getenv "DA_CONFIG" == "release" then
      assert.truthy(grown < MOST_MEGABYTES, ("%.0f MB"):format(grown))
    end
    if text then
      assert.truthy(utf8.len(text))
      if case.stream then assert.equal(text, table.concat(heard)) end
      local history = a:get_history()
      assert.equal(2, #history)
      assert.equal("assistant", history[2].role)
    else
      assert.equal(0, #a:get_history())
      local shown = { tostring(err) }
      for _, value in pairs(err) do shown[#shown + 1] = tostring(value) end
      shown = table.concat(shown, " ")
      assert.truthy(utf8.len(shown))
      assert.is_nil(shown:find("%c"))
      assert.is_nil(shown:find(KEY, 1, true))
      assert.truthy(#shown < 4000)
    end
    return text, err, a
  end

  local function check(case, expect)
    local text, err, a = ask(case)
    local outcome = text and "ok" or "error"
    outcomes[#outcomes + 1] = ("%-40s %s"):format(case.file, text
      and ("ok: %q"):format(text:sub(1, 40)) or tostring(err))
    assert.truthy(("|" .. expect.outcome .. "|"):find("|" .. outcome .. "|", 1,
      true), tostring(err or text))
    if text then
      if expect.text then assert.equal(expect.text, text) end
      return a
    end
    if expect.error then
      assert.truthy(allowed(expect, err.code), tostring(err))
    end
    if expect.retryable ~= nil and expect.outcome == "error" then
      assert.equal(expect.retryable, err.retryable, tostring(err))
    end
    return a
  end

  -- What the index tells in words only.
  local more = {
    ["102-refusal.http"] = function(a)
      local message = a:get_history()[2]
      assert.equal("string", type(message.refusal))
    end,
    ["105-reasoning-content.http"] = function(a)
      assert.equal("string", type(a:get_history()[2].reasoning_content))
    end,
    ["110-finish-content_filter.http"] = function(a)
      assert.equal("content_filter", a:last().finish_reason)
    end,
    ["112-finish-eos.http"] = function(a)
      assert.equal("eos", a:last().finish_reason)
    end,
    ["113-finish-STOP.http"] = function(a)
      assert.equal("STOP", a:last().finish_reason)
    end,
  }

  for _, case in ipairs(cases) do
    local exception = exceptions[case.file]
    it(case.file .. ": " .. case.proves, function()
      local a = check(case, exception and exception.expect or case.expect)
      if more[case.file] then more[case.file](a) end
    end)
  end

  -- The index gives these as "wait_ms expected N".
  it("tell how long to wait", function()
    local count = 0
    for _, case in ipairs(cases) do
      local wait = case.proves:match "wait_ms expected (%w+)"
      if wait then
        local err = select(2, ask(case))
        local seconds = wait ~= "None" and tonumber(wait) / 1000 or nil
        assert.equal(seconds, err.retry_after, case.file)
        count = count + 1
      end
    end
    assert.truthy(count >= 7)
  end)

  it("are answered by nobody else", function()
    assert.is_nil(replay:output():find("LEAK", 1, true), replay:output())
  end)

  it("(the table of it)", function()
    print("\n" .. table.concat(outcomes, "\n"))
    print(("at most %.0f MB more at once"):format(most))
    for file, exception in pairs(exceptions) do
      print("EXCEPTION " .. file .. ": " .. exception.why)
    end
    assert.truthy(#outcomes == #cases, "a case did not come to its end")
  end)

  -- What they ask for is not there yet; it must do no harm.
  it("may ask for tools, and get a clear error", function()
    local codes = { unsupported = true, protocol = true, truncated = true,
      tool_limit = true }
    for _, case in ipairs(left_out[later[1][2]]) do
      local text, err = ask(case)
      assert.truthy(text or codes[err.code], case.file .. tostring(err))
      if text then assert.truthy(#text > 0, case.file) end
    end
  end)

  for why, list in pairs(left_out) do
    it(("%d of %d are left out"):format(#list, total), function()
      pending(why)
    end)
  end
end)
