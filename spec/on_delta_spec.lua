-- Functions that hear a stream, over HTTP: what they may do, and what comes
-- of it.

local answers = require "support.answers"
local deepagent = require "deepagent"
local patience = require "support.patience"
local test_server = require "support.server"

describe("on_delta", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
  end)

  local function agent(options)
    options = options or {}
    options.model = "m"
    options.base_url = options.base_url or server.url
    options.retry = options.retry or false
    return deepagent.new(options):with_memory()
  end

  --- The next asks of the agent are as if nothing had been.
  local function unharmed(a)
    assert.equal(0, #a:get_history())
    assert.same(answers.tokens(0, 0), a:usage().total)
    server:script({}, "echo")
    assert.equal("echo: one", a:ask("one"))
    assert.equal("echo: two", a:stream("two", function() end))
    local contents = {}
    for i, message in ipairs(a:get_history()) do
      contents[i] = message.content
    end
    assert.same({ "one", "echo: one", "two", "echo: two" }, contents)
  end

  --- Streams with `hear`, which stops it at the first of endless deltas.
  local function stopped(hear, code, how)
    local pieces = {}
    for i = 1, 2000 do pieces[i] = "delta " .. i .. " " end
    server:script { answers.stream(pieces, how) }
    local a, calls = agent(), 0
    local text, err = a:stream("hi", function(delta)
      calls = calls + 1
      return hear(delta)
    end)
    assert.is_nil(text)
    assert.equal(code, err.code)
    assert.equal(1, calls)
    assert.is_false(err.retryable)
    unharmed(a)
    -- What nobody hears is not paid for: the connection was ended.
    patience.eventually(function() return server:stats().open <= 1 end)
    return err
  end

  local ways = { ["while the answer is still coming"] = { delay_ms = 1 },
    ["when all of it is there"] = {}, ["that then hangs"] = { cut = 500,
      hang = true } }

  for name, how in pairs(ways) do
    it("stops a stream by false, " .. name, function()
      local done = patience.watch()
      stopped(function() return false end, "cancelled", how)
      done()
    end)

    it("stops a stream by an error, " .. name, function()
      local err = stopped(function() error("why not") end, "callback_error",
        how)
      assert.truthy(err.message:find("on_delta_spec.lua:%d+: why not"))
      assert.truthy(tostring(err):find("^callback_error: "))
    end)
  end

  it("may raise anything", function()
    local function message(value)
      return stopped(function() error(value) end, "callback_error").message
    end
    assert.equal("plain", message(setmetatable({}, { __tostring =
      function() return "plain" end })))
    assert.truthy(#message(nil) > 0)
    assert.truthy(#message({}) > 0)
    assert.truthy(#message(setmetatable({}, { __tostring =
      function() error("worse") end })) > 0)
    assert.equal("inner", message({ code = "timeout", message = "inner" }))
    assert.is_nil(message("a\r\nb\0c"):find("%c"))
    assert.truthy(#message(("x"):rep(1 << 20)) < 2000)
  end)

  it("may return anything but false", function()
    for _, value in ipairs { true, 0, "", {} } do
      server:script { answers.stream { "a", "b" } }
      assert.equal("ab", agent():stream("hi", function() return value end))
    end
    server:script { answers.stream { "a", "b" } }
    assert.equal("ab", agent():stream("hi", function() return nil end))
  end)

  it("may be something that can be called", function()
    local heard = {}
    server:script { answers.stream { "a", "b" } }
    assert.equal("ab", agent():stream("hi", setmetatable({}, {
      __call = function(_, delta) heard[#heard + 1] = delta end })))
    assert.same({ "a", "b" }, heard)
    assert.error(function() agent():stream("hi", 7) end)
    assert.error(function() agent():stream("hi", {}) end)
  end)

  it("is io.write if that is given", function()
    local file <close> = assert(io.tmpfile())
    io.output(file)
    server:script { answers.stream { "a", "ü", "b" } }
    local text = agent():stream("hi", io.write)
    io.output(io.stdout)
    file:seek("set")
    assert.equal("aüb", text)
    assert.equal("aüb", file:read("a"))
  end)

  it("may be left out", function()
    server:script { answers.stream { "a", "b" } }
    assert.equal("ab", agent():stream("hi"))
    assert.equal(true, server:requests()[1].body:find('"stream":true', 1, true)
      ~= nil)
  end)

  it("is the on_stream function unless one is given", function()
    local default, given = {}, {}
    local a = agent():on_stream(function(delta)
      default[#default + 1] = delta
    end)
    server:script { answers.stream { "a", "b" }, answers.stream { "c" },
      answers.stream { "d" }, answers.plain("e"), answers.stream { "f" } }
    assert.equal("ab", a:stream("hi"))
    assert.equal("c", a:stream("hi", function(delta)
      given[#given + 1] = delta
    end))
    assert.equal("d", a:clone():stream("hi"))
    assert.equal("e", a:ask("hi"))
    a:with_on_stream(nil)
    assert.equal("f", a:stream("hi"))
    assert.same({ "a", "b", "d" }, default)
    assert.same({ "c" }, given)
  end)

  it("stops a stream as on_stream function too", function()
    local a = agent():with_on_stream(function() return false end)
    server:script { answers.stream { "a" }, answers.stream { "a" } }
    assert.equal("cancelled", select(2, a:stream("hi")).code)
    a:with_on_stream(function() error("no") end)
    assert.equal("callback_error", select(2, a:stream("hi")).code)
    unharmed(a:with_on_stream(nil))
  end)

  it("may ask another agent, also one in the middle of which it is",
    function()
      local outer, inner, innermost = agent(), agent(), agent()
      server:script({ answers.stream({ "a", "b", "c" }, { delay_ms = 10 }) },
        "echo")
      local heard = {}
      local text = outer:stream("outer", function(delta)
        heard[#heard + 1] = delta
        local answer = assert(inner:stream(delta, function(piece)
          if piece == "echo:" then
            local inmost = assert(innermost:ask("inmost " .. delta))
            heard[#heard + 1] = inmost
          end
        end))
        heard[#heard + 1] = answer
      end)
      assert.equal("abc", text)
      assert.same({ "a", "echo: inmost a", "echo: a", "b", "echo: inmost b",
        "echo: b", "c", "echo: inmost c", "echo: c" }, heard)
      assert.equal(2, #outer:get_history())
      assert.equal(6, #inner:get_history())
      assert.equal(6, #innermost:get_history())
      assert.truthy(server:stats().connections <= 3)
    end)

  it("may fail inside, unnoticed by the outer stream #smoke", function()
    local other = test_server.start()
    other:script({ answers.failure(500, "told") }, "repeat")
    server:script { answers.stream { "a", "b" } }
    local inner = agent { base_url = other.url }
    local codes = {}
    assert.equal("ab", agent():stream("hi", function()
      codes[#codes + 1] = select(2, inner:ask("hi")).code
      codes[#codes + 1] = select(2, inner:stream("hi", function()
        return false
      end)).code
    end))
    assert.same({ "server", "server", "server", "server" }, codes)
    other:stop()
  end)

  it("may wait long inside without the outer stream being lost", function()
    server:script({ answers.stream({ "a", "b" }, { delay_ms = 100 }),
      answers.plain("x", { wait_ms = 3500 }) }, "echo")
    local outer, inner = agent(), agent()
    outer:with_timeout { idle = 3 }
    assert.equal("ab", outer:stream("hi", function(delta)
      if delta == "a" then assert(inner:ask("slow")) end
    end))
  end)

  it("may not ask its own agent", function()
    local a = agent()
    local codes = {}
    server:script { answers.stream { "a", "b" } }
    assert.equal("ab", a:stream("hi", function()
      local text, err = a:ask("again")
      codes[#codes + 1] = text or err.code
      codes[#codes + 1] = select(2, a:stream("again", function() end)).code
      codes[#codes + 1] = select(2, a:close()).code
    end))
    assert.same({ "busy", "busy", "busy", "busy", "busy", "busy" }, codes)
    assert.equal(2, #a:get_history())
    assert.equal(1, server:stats().requests)
  end)

  it("sees the history as it was before", function()
    local a = agent()
    assert(a:ask("first"))
    assert(a:stream("second", function()
      assert.equal(2, #a:get_history())
      assert.truthy(tostring(a):find("2 messages", 1, true))
    end))
    assert.equal(4, #a:get_history())
  end)

  it("may collect garbage and drop its agent", function()
    server:script { answers.stream { "a", "b", "c" } }
    assert.equal("abc", agent():stream("hi", function()
      collectgarbage()
      collectgarbage()
    end))
  end)

  it("may run in a coroutine, which it may not leave", function()
    server:script({ answers.stream { "a", "b" } }, "echo")
    local a = agent()
    local routine = coroutine.wrap(function()
      return a:stream("hi", function(delta) coroutine.yield(delta) end)
    end)
    local text, err = routine()
    assert.is_nil(text)
    assert.equal("callback_error", err.code)
    unharmed(a)
  end)
end)
