-- What is told to a logger, and that nothing is printed without one.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local process = require "support.process"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c"
local QUESTION, ANSWER = "canary question", "canary answer"

describe("a logger", function()
  local server, log, count

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
    server:script({ answers.plain(ANSWER) }, "repeat")
    log, count = {}, 0
  end)

  local function logger(level, message, fields)
    assert.equal("string", type(message))
    assert.equal("table", type(fields))
    log[#log + 1] = { level = level, message = message, fields = fields }
  end

  local function agent(options)
    options = options or {}
    options.model, options.api_key = "m", KEY
    options.base_url = options.base_url or server.url
    count = count + 1
    options.retry = options.retry or false
    return deepagent.new(options):with_logger(logger)
  end

  local function lines(level, pattern)
    local found = {}
    for _, record in ipairs(log) do
      if record.level == level and record.message:find(pattern or "") then
        found[#found + 1] = record
      end
    end
    return found
  end

  --- Nothing secret, nothing that forges lines, nothing but known levels.
  local function clean()
    local levels = { debug = true, info = true, warn = true, error = true }
    for _, record in ipairs(log) do
      assert.is_true(levels[record.level])
      assert.is_nil(record.message:find("%c"))
      local fields = ""
      for name, value in pairs(record.fields) do
        fields = fields .. name .. tostring(value)
      end
      assert.is_nil((record.message .. fields):find("canary"),
        record.message)
    end
  end

  it("is told of requests and answers, on the level debug", function()
    local a = agent():with_memory():with_system("canary system")
    assert(a:ask(QUESTION))
    assert.equal(2, #log)
    assert.equal(2, #lines("debug"))
    assert.truthy(log[1].message:find("asking m", 1, true))
    assert.truthy(log[2].message:find("stop", 1, true))
    assert.truthy(log[2].message:find("7 tokens", 1, true))
    assert.same({}, log[1].fields)
    assert(a:stream(QUESTION))
    assert.equal(4, #lines("debug"))
    clean()
  end)

  it("is told of a failed turn as a warning, with its code", function()
    server:script({ answers.failure(429, "slow down"),
      answers.failure(429, "slow down") })
    local a = agent():with_session_id("log-1")
    for _ = 1, 2 do assert.is_nil((a:ask(QUESTION))) end
    local warnings = lines("warn")
    assert.equal(2, #warnings)
    assert.truthy(warnings[1].message:find("slow down", 1, true))
    assert.same({ code = "rate_limited", session_id = "log-1" },
      warnings[1].fields)
    clean()
  end)

  it("is told of each way to fail, once", function()
    local dead = "http://127.0.0.1:" .. process.free_port() .. "/v1"
    local cases = {
      { "network", agent { base_url = dead } },
      { "callback_error", agent(), function() error("no") end },
      { "cancelled", agent(), function() return false end },
      { "invalid_utf8", agent(), nil, "\xff" },
    }
    for _, case in ipairs(cases) do
      log = {}
      local text, err = case[2]:stream(case[4] or QUESTION, case[3])
      assert.is_nil(text)
      assert.equal(case[1], err.code)
      local warnings = lines("warn")
      assert.equal(1, #warnings, case[1])
      assert.equal(case[1], warnings[1].fields.code)
    end
    clean()
  end)

  it("is told of a missing key", function()
    local out = child.run(([[local a = require "deepagent".openai("m",
      { base_url = "%s" }):with_logger(function(level, _, fields)
        if level == "warn" then print(level, fields.code) end end)
      a:ask("hi")]]):format(server.url), { env = { OPENAI_API_KEY = false } })
    assert.equal("warn\tmissing_api_key\n", out)
  end)

  it("gets what a service says without what could forge lines", function()
    server:script { answers.failure(400, "a\r\nerror: forged \27[31m") }
    assert.is_nil((agent():ask(QUESTION)))
    assert.equal(1, #lines("warn", "forged"))
    clean()
  end)

  it("is told of saves", function()
    local a = agent():with_session_id("log-2"):with_memory_backend("memory")
    assert(a:ask(QUESTION))
    assert(a:flush())
    assert.truthy(#lines("debug", "[Ss]aved") >= 1)
    assert.equal("log-2", lines("debug", "[Ss]aved")[1].fields.session_id)
    assert.equal(0, #lines("warn"))
    clean()
  end)

  describe("is told of a save that failed", function()
    local function failing(message)
      return { load = function() end, list = function() return {} end,
        delete = function() return false end,
        save = function() return nil, message end }
    end

    it("in a store of the user's own", function()
      local a = agent():with_session_id("log-3")
        :with_memory_backend(failing("disk on fire"))
      assert(a:ask(QUESTION))
      a:flush()
      local warnings = lines("warn", "disk on fire")
      assert.truthy(#warnings >= 1)
      assert.same({ code = "backend_error", session_id = "log-3" },
        warnings[1].fields)
      clean()
    end)

    it("by the worker, on this thread, at the next use", function()
      local home = os.getenv "HOME"
      local directory = home .. "/a-file"
      io.open(directory, "w"):close()
      local thread = coroutine.running()
      local heard_on
      local a = agent():with_session_id("log-4")
        :with_memory_backend(deepagent.file_backend { path = directory })
      a:with_logger(function(...)
        heard_on = coroutine.running()
        logger(...)
      end)
      assert(a:ask(QUESTION))
      assert.is_nil((a:flush()))
      assert.equal(thread, heard_on)
      local warnings = lines("warn")
      assert.truthy(#warnings >= 1)
      local last = warnings[#warnings].fields
      assert.equal("log-4", last.session_id)
      assert.equal("string", type(last.code))
      assert.equal("failed", (a:save_status()))
      os.remove(directory)
      clean()
    end)
  end)

  it("is told of a session that cannot be read", function()
    local a = agent():with_session_id("log-5"):with_memory_backend {
      load = function() error("no such luck") end, save = function() end,
      list = function() return {} end, delete = function() end }
    assert(a:ask(QUESTION))
    local warnings = lines("warn", "load failed.*no such luck")
    assert.equal(2, #warnings) -- of the loading, and of the saving
    assert.same({ code = "backend_error", session_id = "log-5" },
      warnings[1].fields)
    clean()
  end)

  it("may fail, which concerns nobody", function()
    for _, value in ipairs { "x", {}, 7 } do
      local a = agent():with_logger(function()
        count = count + 1
        error(value)
      end)
      assert.equal(ANSWER, a:ask(QUESTION))
      assert.equal(ANSWER, a:stream(QUESTION))
    end
    assert.truthy(count >= 12)
    local a = agent():with_logger(function() coroutine.yield() end)
    assert.equal(ANSWER, coroutine.wrap(function()
      return a:ask(QUESTION)
    end)())
  end)

  it("that fails is told to Lua's warn, with its error", function()
    local out = child.run(([[local a = require "deepagent".new
      { model = "m", base_url = "%s" }
      warn "@on"
      a:with_logger(function(level)
        if level == "debug" then error("told", 0) end end)
      assert(a:ask("hi"))]]):format(server.url))
    local line = "Lua warning: deepagent: an error in the logger: told\n"
    assert.equal(line:rep(2), out)
  end)

  it("may use other agents, and look at its own", function()
    local other, a = agent():with_logger(nil), agent()
    local asked = 0
    a:with_memory():with_logger(function()
      asked = asked + 1
      assert(other:ask("x"))
      tostring(a)
      local text, err = a:ask("x")
      assert(not text and err.code == "busy")
    end)
    assert.equal(ANSWER, a:ask(QUESTION))
    assert.equal(2, asked)
    assert.equal(2, #a:get_history())
  end)

  it("may be taken away, replaced, and is a clone's too", function()
    local a = agent()
    assert(a:clone():ask(QUESTION))
    assert.equal(2, #log)
    a:with_logger(nil)
    assert(a:ask(QUESTION))
    assert.equal(2, #log)
    local others = 0
    a:with_logger(function() others = others + 1 end)
    assert(a:ask(QUESTION))
    assert.equal(2, #log)
    assert.equal(2, others)
  end)

  it("must be a function", function()
    for _, value in ipairs { true, 1, "print", {} } do
      assert.error(function() agent():with_logger(value) end)
    end
    assert.error(function() agent().with_logger(agent()) end)
  end)
end)

describe("without a logger nothing is printed", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  local function silent(program)
    local out, status = child.run("local d = require 'deepagent' "
      .. "local url = '" .. server.url .. "' " .. program)
    assert.equal("", out)
    assert.equal(0, status)
  end

  it("by answers", function()
    silent [[local a = d.new { model = "m", base_url = url, insecure = true }
      assert(a:with_memory():ask("hi"))
      assert(a:stream("hi"))
      tostring(a)]]
  end)

  it("by failures", function()
    server:script({ answers.failure(500, "told"), answers.raw("nonsense"),
      answers.plain("x", { cut = 9 }) }, "fail")
    silent [[local a = d.new { model = "m", base_url = url }
      for _ = 1, 4 do assert(not a:ask("hi")) end
      assert(not a:stream("hi", function() error("no") end))
      assert(not d.openai("m", { base_url = url }):ask("hi"))
      assert(not d.new { model = "m", base_url = "http://127.0.0.1:1/" }
        :ask("hi"))]]
  end)

  it("by sessions that cannot be read or saved", function()
    silent([[assert(os.execute('mkdir -p "$HOME/.deepagent/sessions"'))
      local path = os.getenv "HOME" .. "/.deepagent/sessions/"
      local file <close> = io.open(path .. "bad.json", "w")
      file:write("{") file:close()
      for _, id in ipairs { "bad", "good" } do
        local a = d.new { model = "m", base_url = url }:with_session_id(id)
        assert(a:ask("hi"))
        a:flush()
      end
      local a = d.new { model = "m", base_url = url }:with_session_id("x")
        :with_memory_backend { load = error, save = error, list = error,
          delete = error }
      assert(a:ask("hi"))
      a:close()
      os.exit(0)]])
  end)

  it("by a logger that fails", function()
    silent [[local a = d.new { model = "m", base_url = url }
      assert(a:with_logger(function() error("no") end):ask("hi"))]]
  end)
end)
