-- Answers that do not come: a network that fails, and time that runs out.

local answers = require "support.answers"
local deepagent = require "deepagent"
local failing = require "support.failing"
local patience = require "support.patience"
local process = require "support.process"
local socket = require "socket"
local test_server = require "support.server"

local KEY, fails = failing.key, failing.fails

describe("an answer that never comes", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
  end)

  local function agent(options)
    options = options or {}
    options.model = options.model or "m"
    options.base_url = options.base_url or server.url
    options.api_key = KEY
    options.retry = options.retry or false
    return deepagent.new(options)
  end

  it("as nobody listens", function()
    local url = "http://127.0.0.1:" .. process.free_port() .. "/v1"
    local err = fails(agent { base_url = url }, "network")
    assert.is_true(err.retryable)
    assert.is_nil(err.status)
    assert.truthy(err.message:find("127.0.0.1", 1, true))
  end)

  it("as the host does not exist", function()
    fails(agent { base_url = "https://nonexistent.invalid/v1" }
      :with_timeout { connect = patience.long }, "network")
  end)

  it("as the connection is closed or reset", function()
    for _, how in ipairs { {}, { reset = true } } do
      server:script({ answers.raw("", how) }, "repeat")
      assert.is_true(fails(agent(), "network").retryable)
    end
  end)

  it("within the time for all of it", function()
    server:script({ answers.raw("", { hang = true }) }, "repeat")
    local done = patience.watch()
    local err = fails(agent():with_timeout(0.3), "timeout")
    done(0.3)
    assert.is_true(err.retryable)
    assert.truthy(err.message:find("0.3 s", 1, true))
  end)

  it("in whole, within the time for all of it", function()
    server:script { answers.plain("x", { chunk_size = 1, delay_ms = 50 }),
      answers.stream({ "x" }, { chunk_size = 1, delay_ms = 50 }) }
    for _, streamed in ipairs { false, true } do
      local done = patience.watch()
      fails(agent():with_timeout { total = 0.4, idle = patience.long },
        "timeout", streamed)
      done(0.4)
    end
  end)

  it("in whole, as it falls silent", function()
    server:script { answers.plain(("x"):rep(99), { cut = 9, hang = true }),
      answers.stream({ "x" }, { cut = 9, hang = true }) }
    for _, streamed in ipairs { false, true } do
      local done = patience.watch()
      fails(agent():with_timeout { total = patience.long, idle = 0.3 },
        "timeout", streamed)
      done(0.3)
    end
  end)

  it("but a whole answer may be thought about longer", function()
    server:script { answers.plain("x", { wait_ms = 500 }),
      answers.stream({ "x" }, { wait_ms = 1000 * patience.long }) }
    local a = agent():with_timeout { idle = 0.2 }
    assert.equal("x", a:ask("hi"))
    fails(a, "timeout", true)
  end)

  it("as no connection comes about", function()
    -- Accepted by the system, never answered: no TLS.
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local done = patience.watch()
    local a = agent { base_url = "https://127.0.0.1:" .. port .. "/v1" }
    local err = fails(a:with_timeout { connect = 0.3,
      total = patience.long }, "timeout")
    done(0.3)
    assert.truthy(err.message:find("no connection", 1, true))
    listener:close()
  end)

  it("leaves no open files behind", function()
    local function open_files()
      collectgarbage()
      local pipe = io.popen("ls /proc/$PPID/fd | wc -l")
      local count = tonumber(pipe:read("a"))
      pipe:close()
      return count
    end
    local ways = { answers.raw("", { reset = true }), answers.raw(""),
      answers.plain("x", { cut = 20 }), answers.stream({ "x" }, { cut = 90,
        reset = true }), answers.failure(500, "no"),
      { body = "x", times = 200000, status = 400 },
      answers.plain("x", { cut = 9, hang = true }) }
    local function all()
      local a = agent():with_timeout(0.3)
      for _, answer in ipairs(ways) do
        server:script({ answer }, "repeat")
        assert.is_nil((a:ask("hi")))
        assert.is_nil((a:stream("hi", function() return false end)))
      end
    end
    all()
    local before = open_files()
    for _ = 1, 4 do all() end
    assert.truthy(open_files() <= before + 4,
      ("%d, then %d"):format(before, open_files()))
  end)

  it("and the next ask is none the worse", function()
    local a = agent()
    for _, answer in ipairs { answers.raw("", { hang = true }),
      answers.plain("x", { cut = 9, hang = true }) } do
      server:script({ answer }, "repeat")
      fails(a:with_timeout(0.3), "timeout")
    end
    server:reset()
    assert.equal("echo: hi", a:with_timeout(patience.long):ask("hi"))
  end)
end)
