-- Other services to go to when one is down.

local answers = require "support.answers"
local deepagent = require "deepagent"
local failing = require "support.failing"
local json = require "dkjson"
local models = require "support.models"
local patience = require "support.patience"
local process = require "support.process"
local test_server = require "support.server"

local KEY, fails = failing.key, failing.fails
local SOON = { base = 0.001, cap = 0.001 }

describe("with_fallback", function()
  local first, second, log

  setup(function()
    first, second = test_server.start(), test_server.start()
  end)
  teardown(function()
    first:stop()
    second:stop()
  end)
  before_each(function()
    collectgarbage()
    first:reset()
    second:reset()
    log = {}
  end)

  local function logger(level, message, fields)
    log[#log + 1] = { level = level, message = message, code = fields.code }
  end

  local function agent(server, options)
    options = options or {}
    options.model = options.model or "first"
    options.base_url = options.base_url or server.url
    if options.retry == nil then options.retry = SOON end
    return deepagent.new(options):with_logger(logger)
  end

  local function other(options)
    options = options or {}
    options.model = options.model or "second"
    return agent(second, options)
  end

  local function down(server, answer)
    server:script({ answer or answers.failure(503, "told") }, "repeat")
  end

  local function body(server, i) return
    json.decode(server:requests()[i].body)
  end

  it("goes on with the next service when one is down", function()
    down(first)
    for _, verb in ipairs { "ask", "stream" } do
      local a = agent(first):with_fallback(other())
      assert.equal("echo: hi", a[verb](a, "hi"))
      assert.equal("second", a:last().model)
    end
    assert.equal(6, #first:requests())
    assert.equal(2, #second:requests())
  end)

  it("does so for what another may be better at, and for nothing else",
    function()
      local ways = { [429] = true, [500] = true, [402] = true, [408] = true,
        [503] = true, [400] = false, [401] = false, [403] = false,
        [404] = false, [413] = false, [422] = false }
      for status, goes_on in pairs(ways) do
        down(first, answers.failure(status, "told"))
        local a = agent(first, { retry = false }):with_fallback(other())
        assert.equal(goes_on and "echo: hi" or nil, (a:ask "hi"), status)
      end
      for answer, goes_on in pairs {
        [answers.raw("")] = true, [answers.plain("x", { cut = 9 })] = true,
        [{ body = "" }] = true, [{ body = "<html>" }] = false,
        [{ status = 400, json = { error = { message = "x",
          code = "context_length_exceeded" } } }] = false,
        [{ status = 429, json = { error = { message = "x",
          code = "insufficient_quota" } } }] = true,
        [{ status = 503, headers = { ["x-should-retry"] = "false" } }] = true,
        [{ status = 503, headers = { ["Retry-After"] = "600" } }] = true,
      } do
        down(first, answer)
        local a = agent(first, { retry = false }):with_fallback(other())
        assert.equal(goes_on and "echo: hi" or nil, (a:ask "hi"),
          json.encode(answer))
      end
    end)

  it("does so as nobody listens", function()
    local url = "http://127.0.0.1:" .. process.free_port() .. "/v1"
    local a = agent(nil, { base_url = url }):with_fallback(other())
    assert.equal("echo: hi", a:ask "hi")
  end)

  it("does so as it takes too long, while there is time", function()
    down(first, answers.raw("", { hang = true }))
    local a = agent(first, { retry = false })
      :with_timeout { idle = 2, total = patience.long }:with_fallback(other())
    assert.equal("echo: hi", a:stream("hi", function() end))
    a:with_timeout { total = 0.2 }
    fails(a, "timeout")
    assert.equal(1, #second:requests())
  end)

  it("does so with a try of its own in each, in their order", function()
    local third = test_server.start()
    down(first)
    down(second, answers.failure(429, "told"))
    local a = agent(first):with_fallback(other(), agent(third,
      { model = "third" }))
    local text = a:ask "hi"
    local asked = #third:requests()
    third:stop()
    assert.equal("echo: hi", text)
    assert.equal(1, asked)
    assert.equal(3, #first:requests())
    assert.equal(3, #second:requests())
    local switches = {}
    for _, record in ipairs(log) do
      if record.level == "warn" then switches[#switches + 1] = record end
    end
    assert.equal(2, #switches)
    assert.equal("first failed: told; going on with second",
      switches[1].message)
    assert.equal("server", switches[1].code)
    assert.equal("second failed: told; going on with third",
      switches[2].message)
    assert.equal("rate_limited", switches[2].code)
  end)

  it("gives the last one's error if all are down", function()
    down(first)
    down(second, answers.failure(429, "the other"))
    local a = agent(first):with_fallback(other())
    assert.equal("the other", fails(a, "rate_limited").message)
  end)

  it("begins with its own service each time", function()
    first:script({ answers.failure(503, "x") }, "echo")
    local a = agent(first, { retry = false }):with_fallback(other())
    a:ask "one"
    assert.equal("second", a:last().model)
    a:ask "two"
    assert.equal("first", a:last().model)
  end)

  it("does not go on after a delta", function()
    down(first, answers.events { answers.event { content = "x" } })
    local a = agent(first):with_fallback(other())
    fails(a, "truncated", true)
    assert.equal(0, #second:requests())
  end)

  it("sends the same conversation, with what the other agent was told "
    .. "beside", function()
    down(first)
    local b = other { api_key = KEY, headers = { ["X-Other"] = "b" } }
      :with_temperature(0.5):with_extra { seed = deepagent.null }
      :with_system "not this":with_messages { { role = "user",
        content = "nor this" } }
    local a = agent(first, { api_key = "sk-first-canary", memory = true,
      headers = { ["X-Own"] = "a" } }):with_system "S":with_max_tokens(7)
      :with_seed(9):with_temperature(1):with_fallback(b)
    assert.truthy(a:ask "one")
    assert.truthy(a:ask "two")
    local request = body(second, 2)
    assert.equal("system:S|user:one|assistant:echo: one|user:two",
      models.told(request.messages))
    assert.equal("second", request.model)
    assert.equal(0.5, request.temperature)
    assert.equal(7, request.max_tokens)
    assert.is_nil(request.seed)
    local headers = second:requests()[2].headers
    assert.equal("b", headers["x-other"])
    assert.is_nil(headers["x-own"])
    assert.equal("Bearer " .. KEY, headers.authorization)
    for _, server in ipairs { first, second } do
      for _, seen in ipairs(server:requests()) do
        local text = json.encode(seen.header_list) .. seen.body
        assert.equal(server == second, text:find(KEY, 1, true) ~= nil)
        assert.equal(server == first, text:find("first-canary", 1, true)
          ~= nil)
      end
    end
    assert.equal(9, body(first, 1).seed)
    -- To another service it is another request.
    assert.not_equal(first:requests()[1].headers["idempotency-key"],
      second:requests()[1].headers["idempotency-key"])
  end)

  it("takes the other agent as it is then, and needs it no more", function()
    down(first)
    local b = other()
    local a = agent(first):with_fallback(b)
    b:with_extra { later = true }
    b:close()
    b = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal("echo: hi", a:ask "hi")
    assert.is_nil(body(second, 1).later)
  end)

  it("goes on with a model written in Lua, which it keeps alive", function()
    down(first)
    local a = agent(first):with_fallback(
      deepagent.new { model = "mine", provider = models.acting(
        function(request) return "lua: " .. request.messages[1].content end) },
      deepagent.offline())
    local b = a:clone()
    collectgarbage()
    collectgarbage()
    assert.equal("lua: hi", a:ask "hi")
    assert.equal("mine", a:last().model)
    a = nil -- luacheck: ignore
    collectgarbage()
    assert.equal("lua: hi", b:stream("hi", function() end))
    b:with_fallback(deepagent.offline())
    collectgarbage()
    assert.truthy(b:ask "My name is Alice.":find "Alice")
    b:with_fallback(false)
    fails(b, "server")
  end)

  it("goes on from a model written in Lua", function()
    local a = deepagent.new { provider = models.acting(function()
      return nil, { code = "quota", message = "x" }
    end) }:with_fallback(other())
    assert.equal("echo: hi", a:ask "hi")
    assert.equal("second", a:last().model)
  end)

  it("has each service's own rate limit", function()
    down(first)
    local b = other { rate_limit = 10 }
    local a = agent(first, { retry = false }):with_fallback(b)
    assert.truthy(b:ask "hi")
    assert.truthy(a:ask "hi")
    local list = second:requests()
    assert.truthy(list[2].at - list[1].at >= 0.09)
  end)

  it("warns of a service whose certificate is not looked at", function()
    down(first)
    local a = agent(first):with_fallback(other { insecure = true })
    assert.truthy(a:ask "hi")
    local warned = 0
    for _, record in ipairs(log) do
      warned = warned + (record.message:find "^certificates" and 1 or 0)
    end
    assert.equal(1, warned)
  end)

  it("checks its arguments", function()
    local a = deepagent.offline()
    for _, bad in ipairs { 1, "x", true, {}, { 1 }, deepagent.memory_backend() }
    do
      assert.error_matches(function() a:with_fallback(bad) end,
        "bad argument #1 to 'with_fallback'")
    end
    assert.error(function() a:with_fallback() end)
    assert.error(function() a:with_fallback(deepagent.offline(), 1) end)
    assert.equal(a, a:with_fallback(deepagent.offline()))
    assert.equal(a, a:with_fallback { deepagent.offline(),
      deepagent.offline() })
    assert.truthy(deepagent.offline { fallback = deepagent.offline() })
    assert.truthy(deepagent.offline { fallback = { deepagent.offline() } })
  end)
end)
