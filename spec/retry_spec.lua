-- Requests that are tried again: which, when, how often, and with what.

local answers = require "support.answers"
local deepagent = require "deepagent"
local failing = require "support.failing"
local models = require "support.models"
local patience = require "support.patience"
local process = require "support.process"
local test_server = require "support.server"

local KEY, fails = failing.key, failing.fails

-- Longer than any request here has: what goes on all the same does not wait
-- for its own reasons.
local NEVER = { base = 1000, cap = 1000 }
local SOON = { base = 0.01, cap = 0.02 }

describe("a request that failed", function()
  local server, log

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
    log = {}
  end)

  local function agent(retry, options)
    options = options or {}
    options.model, options.api_key = "m", KEY
    options.base_url = options.base_url or server.url
    options.retry = retry
    return deepagent.new(options):with_logger(function(level, message, fields)
      log[#log + 1] = { level = level, message = message, code = fields.code }
    end)
  end

  local function count() return #server:requests() end

  local function told(level, pattern)
    local found = {}
    for _, record in ipairs(log) do
      if record.level == level and record.message:find(pattern) then
        found[#found + 1] = record
      end
    end
    return found
  end

  local function refusal(status, headers)
    return answers.failure(status, "told", { headers = headers })
  end

  it("is tried again twice by default", function()
    server:script({ refusal(503, { ["retry-after-ms"] = "1" }) }, "repeat")
    local err = fails(agent(), "server")
    assert.equal(3, count())
    assert.is_true(err.retryable)
    assert.equal(503, err.status)
  end)

  it("in passing is tried again, whole and streamed", function()
    for _, status in ipairs { 408, 409, 429, 500, 502, 503, 504, 529 } do
      for _, verb in ipairs { "ask", "stream" } do
        server:reset()
        server:script({ refusal(status), refusal(status) }, "echo")
        assert.equal("echo: hi", agent(SOON)[verb](agent(SOON), "hi"))
        assert.equal(3, count())
      end
    end
  end)

  it("for good is not", function()
    for status, code in pairs { [400] = "bad_request", [401] = "auth",
      [402] = "quota", [403] = "auth", [404] = "not_found",
      [413] = "too_large", [422] = "bad_request", [302] = "redirect" } do
      server:reset()
      server:script({ refusal(status) }, "repeat")
      fails(agent(SOON), code)
      assert.equal(1, count(), status)
    end
  end)

  it("as the account is empty is not, whatever the status", function()
    server:script({ { status = 429, json = { error = { message = "x",
      code = "insufficient_quota" } } } }, "repeat")
    fails(agent(SOON), "quota")
    assert.equal(1, count())
  end)

  it("is tried as often as max says, and not at all without", function()
    for max = 0, 4 do
      server:reset()
      server:script({ refusal(500) }, "repeat")
      fails(agent { base = 0.001, max = max }, "server")
      assert.equal(max + 1, count())
    end
    server:reset()
    server:script({ refusal(500) }, "repeat")
    fails(agent(false), "server")
    fails(agent(SOON):with_retry(false), "server")
    assert.equal(2, count())
    fails(agent(false):with_retry(true):with_retry(SOON), "server")
    assert.equal(5, count())
  end)

  it("as nobody listens is tried again", function()
    local url = "http://127.0.0.1:" .. process.free_port() .. "/v1"
    fails(agent(SOON, { base_url = url }), "network")
    assert.equal(2, #told("info", "^try %d of 3 failed"))
  end)

  it("as the connection breaks is tried again, before an answer and in the "
    .. "middle of one that nobody has heard of", function()
    for _, broken in ipairs { answers.raw(""), answers.raw("",
      { reset = true }), answers.plain("x", { cut = 0 }),
      answers.plain("x", { cut = 20 }), answers.plain("x", { cut = 20,
      reset = true }), { body = "" }, answers.stream({ "x" }, { cut = 30 }) }
    do
      for _, verb in ipairs { "ask", "stream" } do
        server:reset()
        server:script({ broken }, "echo")
        local a = agent(SOON)
        assert.equal("echo: hi", a[verb](a, "hi"))
        assert.equal(2, count())
      end
    end
  end)

  it("by the words of a 200 is tried again", function()
    server:script({ { json = { error = { message = "x",
      type = "overloaded_error" } } }, answers.events { "data: "
      .. '{"error":{"message":"x","code":"rate_limit_exceeded"}}\n\n' } },
      "echo")
    assert.equal("echo: hi", agent(SOON):stream("hi", function() end))
    assert.equal(3, count())
  end)

  it("is silent: tried again if it said nothing at all", function()
    server:script({ answers.raw("", { hang = true }) }, "echo")
    assert.equal("echo: hi", agent { base = 0, max = 50 }
      :with_timeout { idle = 0.5 }:stream("hi", function() end))
    assert.truthy(count() >= 2)
  end)

  it("falls silent: not tried again, it is at work", function()
    server:script({ answers.plain("x", { cut = 9, hang = true }),
      answers.stream({ "x" }, { cut = 9, hang = true }) }, "echo")
    local a = agent(SOON):with_timeout { idle = 0.2 }
    fails(a, "timeout") -- the silence before the first byte does not count
    fails(a:with_timeout { idle = 3 }, "timeout", true)
    assert.equal(2, count())
  end)

  it("after a delta is not tried again", function()
    local events = { answers.event { content = "one" }, answers.event
      { content = "two" } }
    local ways = { events, { events[1], "data: {\"error\":{\"message\":\"x\","
      .. "\"type\":\"server_error\"}}\n\n" } }
    for i, way in ipairs(ways) do
      server:reset()
      server:script({ answers.events(way) }, "echo")
      local heard = {}
      local text, err = agent(SOON):stream("hi", function(delta)
        heard[#heard + 1] = delta
      end)
      assert.is_nil(text)
      assert.equal(i == 1 and "truncated" or "api_error", err.code)
      assert.is_true(err.retryable)
      assert.equal(1, count())
      assert.equal(i == 1 and "onetwo" or "one", table.concat(heard))
    end
  end)

  it("by its listener is not tried again", function()
    for _, listener in ipairs { function() return false end,
      function() error { code = "server", retryable = true } end } do
      server:reset()
      local text = agent(SOON):stream("hi", listener)
      assert.is_nil(text)
      assert.equal(1, count())
    end
  end)

  describe("waits", function()
    --- Whether it went on although its own wait would never end.
    local function goes_on(headers, status)
      server:reset()
      server:script({ refusal(status or 503, headers) }, "echo")
      local text, err = agent(NEVER):ask "hi"
      assert.equal(text and 2 or 1, count())
      if text then
        local times = server:requests()
        return times[2].at - times[1].at
      end
      return nil, err
    end

    it("as Retry-After says, in seconds", function()
      assert.truthy(goes_on { ["Retry-After"] = "0" })
      assert.truthy(goes_on { ["Retry-After"] = "0.2" } >= 0.19)
      assert.truthy(goes_on({ ["Retry-After"] = "1" }, 429) >= 0.99)
    end)

    it("as retry-after-ms says, which comes first", function()
      assert.truthy(goes_on { ["retry-after-ms"] = "200" } >= 0.19)
      assert.truthy(goes_on { ["retry-after-ms"] = "5",
        ["Retry-After"] = "3600" })
    end)

    it("as the date of Retry-After says", function()
      local form = "!%a, %d %b %Y %H:%M:%S GMT"
      assert.truthy(goes_on { ["Retry-After"] = os.date(form,
        os.time() - 100) })
      assert.truthy(goes_on { ["Retry-After"] = os.date(form,
        os.time() + 1) })
      local text, err = goes_on { ["Retry-After"] = os.date(form,
        os.time() + 1000) }
      assert.is_nil(text)
      assert.truthy(err.retry_after > 120 and err.retry_after <= 1000)
    end)

    it("no longer than two minutes: then it fails at once", function()
      local text, err = goes_on { ["Retry-After"] = "120.5" }
      assert.is_nil(text)
      assert.equal("server", err.code)
      assert.equal(120.5, err.retry_after)
      -- 120 s would do, if there were time for them.
      server:script({ refusal(503, { ["Retry-After"] = "120" }) }, "repeat")
      err = fails(agent(SOON):with_timeout(patience.soon), "server")
      assert.equal(120, err.retry_after)
    end)

    it("by itself where the service says nothing sensible", function()
      assert.is_nil((goes_on { ["Retry-After"] = "soon" }))
      server:script({ refusal(503, { ["Retry-After"] = "soon" }) }, "echo")
      assert.equal("echo: hi", agent(SOON):ask "hi")
    end)

    it("twice as long each time, up to the cap, half of it at random",
      function()
        server:script({ refusal(500) }, "repeat")
        fails(agent { max = 4, base = 0.02, cap = 0.05 }, "server")
        local waits = {}
        for i, record in ipairs(told("info", "the next in")) do
          waits[i] = tonumber(record.message:match "in ([%d.e+-]+) s$")
        end
        assert.equal(4, #waits)
        for i, most in ipairs { 0.02, 0.04, 0.05, 0.05 } do
          assert.truthy(waits[i] >= most / 2 - 1e-4
            and waits[i] <= most + 1e-4, i .. ": " .. waits[i])
        end
        local times = server:requests()
        for i = 1, 4 do
          assert.truthy(times[i + 1].at - times[i].at >= waits[i] - 0.005)
        end
      end)

    it("as x-should-retry says", function()
      assert.is_nil((goes_on { ["x-should-retry"] = "false",
        ["retry-after-ms"] = "1" }))
      assert.truthy(goes_on({ ["x-should-retry"] = "true",
        ["retry-after-ms"] = "1" }, 400))
      assert.is_nil((goes_on({ ["x-should-retry"] = "perhaps",
        ["retry-after-ms"] = "1" }, 400)))
    end)
  end)

  it("has one deadline over all tries", function()
    server:script({ refusal(503), answers.raw("", { hang = true }) },
      "repeat")
    local err = fails(agent(SOON):with_timeout(3), "timeout")
    assert.equal(2, count())
    assert.equal("no whole answer within 3 s, waits and all tries together",
      err.message)
  end)

  it("does not wait beyond its deadline: the last error is told", function()
    server:script({ refusal(503) }, "repeat")
    fails(agent(NEVER):with_timeout(patience.long), "server")
    assert.equal(1, count())
  end)

  it("is not tried again beyond its budget", function()
    server:script({ refusal(503, { ["Retry-After"] = "5" }) }, "repeat")
    fails(agent { budget = 4 }, "server")
    assert.equal(1, count())
    server:reset()
    server:script({ refusal(503, { ["retry-after-ms"] = "60" }) }, "repeat")
    fails(agent { budget = 0.1, max = 9 }, "server")
    assert.truthy(count() <= 2)
  end)

  it("has one Idempotency-Key over the tries, the next ask another",
    function()
      server:script({ refusal(500), refusal(500) }, "echo")
      local a = agent(SOON)
      assert.truthy(a:ask "one")
      assert.truthy(a:ask "two")
      local keys = {}
      for i, request in ipairs(server:requests()) do
        keys[i] = request.headers["idempotency-key"]
      end
      assert.equal(4, #keys)
      assert.truthy(#keys[1] >= 32)
      assert.same({ keys[1], keys[1], keys[1] }, { table.unpack(keys, 1, 3) })
      assert.not_equal(keys[1], keys[4])
      assert.not_equal(keys[4], (function()
        assert.truthy(agent(SOON):ask "two")
        return server:requests()[5].headers["idempotency-key"]
      end)())
    end)

  it("carries the user's own Idempotency-Key, and none without tries",
    function()
      local a = agent(SOON, { headers = { ["idempotency-KEY"] = "mine" } })
      assert.truthy(a:ask "hi")
      assert.truthy(agent(false):ask "hi")
      local list = server:requests()
      assert.equal("mine", list[1].headers["idempotency-key"])
      local seen = 0
      for _, pair in ipairs(list[1].header_list) do
        seen = seen + (pair[1]:lower() == "idempotency-key" and 1 or 0)
      end
      assert.equal(1, seen)
      assert.is_nil(list[2].headers["idempotency-key"])
    end)

  it("is sent the same again, and is remembered once", function()
    server:script({ refusal(500), refusal(500) }, "echo")
    local a = agent(SOON):with_memory():with_system "S"
      :with_extra { x = { 1, "\u{e4}" } }
    assert.equal("echo: one", a:ask "one")
    server:script({ refusal(500) }, "echo")
    assert.equal("echo: two", a:ask "two")
    local list = server:requests()
    assert.equal(5, #list)
    assert.equal(list[1].body, list[2].body)
    assert.equal(list[1].body, list[3].body)
    assert.equal(list[4].body, list[5].body)
    assert.equal("user:one|assistant:echo: one|user:two|assistant:echo: two",
      models.told(a:get_history()))
  end)

  it("is logged, each time, without the key", function()
    server:script({ refusal(429, { ["retry-after-ms"] = "7" }),
      refusal(500) }, "echo")
    assert.truthy(agent(SOON):ask "hi")
    local lines = told("info", "^try ")
    assert.equal(2, #lines)
    assert.equal("rate_limited", lines[1].code)
    assert.equal("try 1 of 3 failed: told; the next in 0.007 s",
      lines[1].message)
    assert.equal("server", lines[2].code)
    assert.truthy(lines[2].message:find "^try 2 of 3 failed: told; the next")
    assert.equal(0, #told("warn", ""))
    for _, record in ipairs(log) do
      assert.is_nil(record.message:find(KEY, 1, true))
    end
  end)

  it("of a provider in Lua is tried again, if it says so", function()
    local calls = 0
    local function failing_with(err)
      calls = 0
      return deepagent.new { retry = SOON, provider = models.acting(
        function(_, on_delta)
          calls = calls + 1
          if calls < 3 then
            if err.text then on_delta(err.text) end
            return nil, err
          end
          return "done"
        end) }
    end
    local again = { code = "server", message = "x", retryable = true }
    assert.equal("done", failing_with(again):ask "hi")
    assert.equal(3, calls)
    assert.is_nil((failing_with { code = "server" }:ask "hi"))
    assert.equal(1, calls)
    again.text = "heard"
    assert.is_nil((failing_with(again):stream("hi", function() end)))
    assert.equal(1, calls)
    assert.equal("done", failing_with(again):ask "hi") -- nobody listened
    assert.equal(3, calls)
    assert.is_nil((failing_with { code = "server", retryable = true,
      retry_after = 121 }:ask "hi"))
    assert.equal(1, calls)
  end)
end)

describe("with_retry", function()
  local function agent() return deepagent.offline() end

  it("checks its argument", function()
    for _, bad in ipairs { 3, "x", { max = -1 }, { max = 1.5 }, { max = "1" },
      { max = 101 }, { base = -1 }, { base = "1" }, { cap = -0.1 },
      { cap = 0 / 0 }, { base = 1 / 0 }, { budget = -1 }, { tries = 2 },
      { 2 } } do
      assert.error_matches(function() agent():with_retry(bad) end,
        "bad argument #1 to 'with_retry'")
    end
    assert.error(function() agent():with_retry() end)
    assert.error(function() agent():with_retry(nil) end)
  end)

  it("names what is wrong", function()
    assert.error_matches(function() agent():with_retry { max = -1 } end,
      "max must be an integer from 0 to 100")
    assert.error_matches(function() agent():with_retry { cap = -1 } end,
      "cap must be from 0 to 3600 seconds")
    assert.error_matches(function() agent():with_retry { tries = 1 } end,
      "unknown member 'tries'")
  end)

  it("returns the agent and is an option", function()
    local a = agent()
    assert.equal(a, a:with_retry { max = 0, base = 0, cap = 0, budget = 0 })
    assert.truthy(deepagent.offline { retry = false })
    assert.truthy(deepagent.offline { retry = { max = 5 } })
    assert.error_matches(function() deepagent.offline { retry = 1 } end,
      "retry")
  end)
end)

describe("with_timeout", function()
  it("takes parts, and leaves those that it does not name", function()
    local server <close> = setmetatable({ s = test_server.start() },
      { __close = function(self) self.s:stop() end })
    server.s:script({ answers.raw("", { hang = true }) }, "repeat")
    local a = deepagent.new { model = "m", base_url = server.s.url,
      timeout = { connect = patience.long, idle = patience.long,
        total = 0.2 } }
    local err = fails(a:with_timeout { idle = patience.soon }, "timeout")
    assert.truthy(err.message:find("0.2 s", 1, true))
    err = fails(a:with_timeout(0.1), "timeout")
    assert.truthy(err.message:find("0.1 s", 1, true))
    for _, bad in ipairs { 0, -1, "1", { total = 0 }, { totl = 1 },
      { 1 }, { idle = "1" } } do
      assert.error_matches(function() a:with_timeout(bad) end,
        "bad argument #1 to 'with_timeout'")
    end
  end)
end)

describe("with_defaults", function()
  it("turns memory on, and is without order", function()
    local function remembers(a)
      a:ask "one"
      return #a:get_history() == 2
    end
    assert.is_false(remembers(deepagent.offline()))
    assert.is_true(remembers(deepagent.offline():with_defaults()))
    assert.is_true(remembers(deepagent.offline { defaults = true }))
    assert.is_false(remembers(deepagent.offline():with_defaults()
      :with_memory(false)))
    assert.is_false(remembers(deepagent.offline():with_memory(false)
      :with_defaults()))
    assert.error(function() deepagent.offline { defaults = false } end)
  end)
end)

describe("with_rate_limit", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  local function agent(options)
    options.model, options.base_url = "m", server.url
    return deepagent.new(options)
  end

  it("lets a burst go, then so many a second, clones included", function()
    local a = agent { memory = false }:with_rate_limit(10, 3)
    local b = a:clone()
    local ended = patience.watch()
    for _ = 1, 3 do
      assert.truthy(a:ask "hi")
      assert.truthy(b:ask "hi")
    end
    -- Six requests, three of them after a wait of 0.1 s for each.
    ended(0.3)
    assert.equal(6, #server:requests())
  end)

  it("has a burst of 1 by default, and counts each try", function()
    server:script({ answers.failure(500, "x"), answers.failure(500, "x") },
      "echo")
    local ended = patience.watch()
    assert.truthy(agent { rate_limit = 10, retry = { base = 0 } }:ask "hi")
    ended(0.2)
    assert.equal(3, #server:requests())
  end)

  it("fails where there is no time to wait", function()
    local a = agent { rate_limit = 0.001 }:with_timeout(patience.long)
    assert.truthy(a:ask "hi")
    local err = fails(a, "timeout")
    assert.truthy(err.message:find("rate limit", 1, true))
    assert.equal(1, #server:requests())
    assert.truthy(a:with_rate_limit(false):ask "hi")
  end)

  it("checks its arguments", function()
    local a = deepagent.offline()
    for _, bad in ipairs { 0, -1, "1", 0 / 0, 1 / 0, true, {} } do
      assert.error_matches(function() a:with_rate_limit(bad) end,
        "bad argument #1 to 'with_rate_limit'")
    end
    for _, bad in ipairs { 0, -1, "1", 1.5, 2000000, {} } do
      assert.error_matches(function() a:with_rate_limit(1, bad) end,
        "bad argument #2 to 'with_rate_limit'")
    end
    assert.equal(a, a:with_rate_limit(0.5, 2))
  end)
end)
