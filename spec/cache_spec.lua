-- Answers that are kept for identical requests.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local failing = require "support.failing"
local models = require "support.models"
local patience = require "support.patience"
local test_server = require "support.server"

local KEY = failing.key

describe("with_cache", function()
  local server, log, store

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
    log, store = {}, deepagent.memory_backend()
  end)

  local function agent(options, cache, ttl)
    options = options or {}
    options.model = options.model or "m"
    options.base_url = options.base_url or server.url
    if options.retry == nil then options.retry = false end
    options.api_key = KEY
    return deepagent.new(options):with_cache(cache or store, ttl)
      :with_logger(function(level, message, fields)
        log[#log + 1] = { level = level, message = message,
          code = fields.code }
      end)
  end

  local function count() return #server:requests() end

  local function warned(pattern)
    local n = 0
    for _, record in ipairs(log) do
      if record.level == "warn" then
        assert.truthy(record.message:find(pattern), record.message)
        n = n + 1
      end
    end
    return n
  end

  it("answers an identical request without asking", function()
    for _, verb in ipairs { "ask", "stream", "ask" } do
      local a = agent()
      assert.equal("echo: hi", a[verb](a, "hi"))
    end
    assert.equal(1, count())
    assert.equal(0, warned "")
  end)

  it("says so, with what was said of the answer", function()
    server:script { answers.plain("x", { headers = {
      ["x-request-id"] = "req_1" } }) }
    local a = agent()
    a:ask "hi"
    local fresh = a:last()
    assert.is_nil(fresh.cached)
    assert.equal("x", a:ask "hi")
    local kept = a:last()
    assert.is_true(kept.cached)
    kept.cached, kept.timings, fresh.timings = nil, nil, nil
    assert.same(fresh, kept)
    assert.equal("req_1", kept.request_id)
    assert.equal(7, kept.usage.total_tokens)
    -- Tokens were spent once.
    assert.equal(7, a:usage().total.total_tokens)
  end)

  it("streams it as one delta, or breaks off", function()
    server:script { answers.stream { "one ", "two" } }
    local function heard()
      local deltas = {}
      agent():stream("hi", function(delta) deltas[#deltas + 1] = delta end)
      return deltas
    end
    assert.same({ "one ", "two" }, heard())
    assert.same({ "one two" }, heard())
    local text, err = agent():stream("hi", function() return false end)
    assert.is_nil(text)
    assert.equal("cancelled", err.code)
    assert.equal(1, count())
  end)

  it("is off by default, and can be put off", function()
    local a = deepagent.new { model = "m", base_url = server.url }
    a:ask "hi"
    a:ask "hi"
    assert.equal(2, count())
    a:with_cache(store)
    a:ask "hi"
    a:ask "hi"
    assert.equal(3, count())
    a:with_cache(false)
    a:ask "hi"
    assert.equal(4, count())
  end)

  it("tells requests apart by all that they are", function()
    local ways = {
      function(a) return a, "other" end,
      function(a) return a:with_system "S" end,
      function(a) return a:with_temperature(0) end,
      function(a) return a:with_temperature(0.5) end,
      function(a) return a:with_extra { x = 1 } end,
      function(a) return a:with_messages { { role = "user",
        content = "before" } } end,
      function(a) return a:with_messages { { role = "user", content = "be" },
        { role = "user", content = "fore" } } end,
    }
    for round = 1, 2 do
      assert.truthy(agent():ask "hi")
      assert.truthy(agent { model = "n" }:ask "hi")
      assert.truthy(agent { base_url = server.url .. "/" }:ask "hi")
      for _, way in ipairs(ways) do
        local a, text = way(agent())
        assert.truthy(a:ask(text or "hi"))
      end
      assert.equal(#ways + 3, count(), round)
    end
  end)

  it("knows a conversation by its texts", function()
    local function talk()
      local a = agent { memory = true }
      a:ask "one"
      a:ask "two"
      return models.told(a:get_history())
    end
    local said = talk()
    assert.equal(said, talk()) -- other ids, other times
    assert.equal(2, count())
  end)

  it("never takes one request for another, whatever the ids", function()
    -- A store in which all entries have one id: as if all hashes were equal.
    local one
    local cache = {
      save = function(_, _, messages) one = messages return true end,
      load = function() return one end,
      delete = function() one = nil return true end,
      list = function() return {} end,
    }
    for _ = 1, 2 do
      assert.equal("echo: a", agent(nil, cache):ask "a")
      assert.equal("echo: b", agent(nil, cache):ask "b")
    end
    assert.equal(4, count())
    assert.equal("echo: b", agent(nil, cache):ask "b")
    assert.equal(4, count())
  end)

  it("keeps an answer for ever, or for its time", function()
    local a = agent()
    a:ask "hi"
    assert.equal(1, #store:list())
    local id = store:list()[1]
    assert.truthy(id:find "^cache%-%x+$")
    local function age(seconds)
      local messages = store:load(id)
      messages[1].created_at = os.time() - seconds
      assert(store:save(id, messages))
    end
    age(1e9)
    agent():ask "hi"
    assert.equal(1, count())
    age(100)
    agent(nil, nil, 1000):ask "hi"
    assert.equal(1, count())
    agent(nil, nil, 50):ask "hi"
    assert.equal(2, count())
    agent(nil, nil, 50):ask "hi" -- kept anew
    assert.equal(2, count())
    age(-1e6) -- a clock that was put back
    agent(nil, nil, 50):ask "hi"
    assert.equal(3, count())
  end)

  it("keeps no answer that was cut, filtered, refused or broken", function()
    for _, reason in ipairs { "length", "content_filter", "odd" } do
      server:script({ { json = { choices = { { index = 0,
        finish_reason = reason,
        message = { role = "assistant", content = "x" } } } } } }, "echo")
      agent():ask(reason)
      assert.equal(0, #store:list(), reason)
    end
    server:script({ { json = { choices = { { index = 0,
      finish_reason = "stop", message = { role = "assistant",
      refusal = "no" } } } } }, answers.failure(500, "x"),
      answers.plain("x", { cut = 9 }) }, "echo")
    for _ = 1, 3 do agent():ask "hi" end
    assert.equal(0, #store:list())
    agent():stream("hi", function() return false end)
    assert.equal(0, #store:list())
    agent():ask "hi"
    assert.equal(1, #store:list())
  end)

  it("keeps no answer that is not what was asked for", function()
    local said = "sorry"
    local a = deepagent.new { cache = store, json_mode = true,
      provider = { complete = function() return said end } }
    assert.equal("invalid_output", select(2, a:ask "hi").code)
    said = "[1]"
    assert.same({ 1 }, a:ask "hi")
    said = "sorry"
    assert.same({ 1 }, a:ask "hi")
    assert.is_true(a:last().cached)
  end)

  it("keeps no key, also none of the URL's query", function()
    local directory = disk.temp()
    local cache = deepagent.file_backend { path = directory }
    local url = server.url .. "?key=" .. KEY
    server:script({ answers.plain "x" }, "repeat")
    for _, address in ipairs { url, url .. "1", url } do
      agent({ base_url = address }, cache):ask "hi"
    end
    local found = disk.shell("grep -rl %s %s | wc -l", KEY, directory)
    local files = disk.shell("ls %s | wc -l", directory)
    disk.remove(directory)
    assert.equal(2, count())
    assert.equal("2", (files:gsub("%s", "")))
    assert.equal("0", (found:gsub("%s", "")))
  end)

  it("keeps no other service's answer as its own", function()
    server:script({ answers.failure(503, "x") }, "echo")
    local a = agent():with_fallback(deepagent.offline())
    a:ask "My name is Alice."
    assert.equal(0, #store:list())
    assert.equal("echo: My name is Alice.", a:ask "My name is Alice.")
  end)

  it("takes a table, a file backend and a name", function()
    local sessions = {}
    local lua = {
      save = function(_, id, messages)
        sessions[id] = {}
        for i, m in ipairs(messages) do sessions[id][i] = m.json end
      end,
      load = function(_, id) return sessions[id] end,
      delete = function(_, id) sessions[id] = nil end,
      list = function() return {} end,
    }
    local path = os.tmpname()
    os.remove(path)
    for _, cache in ipairs { lua, deepagent.file_backend { path = path },
      "memory" } do
      server:reset()
      local a = agent(nil, cache)
      local b = a:clone()
      collectgarbage()
      assert.equal("echo: \"\u{e4}\"\n", a:ask "\"\u{e4}\"\n")
      assert.equal("echo: \"\u{e4}\"\n", b:ask "\"\u{e4}\"\n")
      assert.equal(1, count())
    end
    -- Nothing secret is in the file.
    local pipe = io.popen("cat " .. path .. "/*.json")
    local text = pipe:read "a"
    pipe:close()
    os.execute("rm -r " .. path)
    assert.truthy(text:find('"role":"cache"', 1, true))
    assert.is_nil(text:find(KEY, 1, true))
    assert.equal(0, warned "")
  end)

  it("outlives its process", function()
    local path = os.tmpname()
    os.remove(path)
    local program = ([[
      local deepagent = require "deepagent"
      local a = deepagent.new { model = "m", base_url = %q }:with_cache(
        deepagent.file_backend { path = %q })
      io.write(assert(a:ask "hi"), " ", tostring(a:last().cached))]])
      :format(server.url, path)
    assert.equal("echo: hi nil", (child.run(program)))
    assert.equal("echo: hi true", (child.run(program)))
    assert.equal(1, count())
    os.execute("rm -r " .. path)
  end)

  it("that fails is logged, and fails no turn", function()
    local ways = {
      load = function() error "broken" end,
      save = function() return nil, "broken" end,
    }
    for name, way in pairs(ways) do
      log = {}
      local cache = { save = function() return true end,
        load = function() return nil end, delete = function() end,
        list = function() return {} end }
      cache[name] = way
      assert.equal("echo: hi", agent(nil, cache):ask "hi")
      assert.equal(1, warned "^the cache could not be %a+: .*broken")
      assert.equal("backend_error", log[#log].code or log[#log - 1].code)
    end
  end)

  it("that hangs is left behind after the save timeout", function()
    local cache = { save = function() return true end,
      load = function() while true do end end, delete = function() end,
      list = function() return {} end }
    assert.equal("echo: hi", agent(nil, cache):with_save_timeout(0.1)
      :ask "hi")
    assert.equal(1, warned "^the cache could not be read")
  end)

  it("that holds nonsense is not believed", function()
    agent():ask "hi"
    local id = store:list()[1]
    local good = store:load(id)
    local bad = {
      { good[2] }, { good[2], good[1] }, { good[1] },
      { good[1], { role = "user", content = "x" } },
      { { role = "cache" }, good[2] }, { { role = "user",
        content = "x", request = good[1].request }, good[2] },
      { { role = "cache", request = good[1].request .. " " }, good[2] },
      { { role = "cache", request = 1 }, good[2] },
      { good[1], good[2], good[2] },
    }
    for i, messages in ipairs(bad) do
      assert(store:save(id, messages))
      server:reset()
      assert.equal("echo: hi", agent():ask "hi", i)
      assert.equal(1, count(), i)
      assert.equal("echo: hi", agent():ask "hi", i)
      assert.equal(1, count(), i)
    end
  end)

  it("works for a model in Lua, by its name", function()
    local echo = models.echo()
    local function lua(model)
      return deepagent.new { model = model, provider = echo }
        :with_cache(store)
    end
    assert.equal("re: hi", lua "a":ask "hi")
    assert.equal("re: hi", lua "a":ask "hi")
    assert.equal("re: hi", lua "b":ask "hi")
    assert.equal(2, #echo.requests)
  end)

  it("takes no token of the rate limit for what it has", function()
    local a = agent({ rate_limit = 0.001 }):with_timeout(patience.long)
    for _ = 1, 3 do assert.equal("echo: hi", a:ask "hi") end
    assert.equal(1, count())
  end)

  it("checks its arguments", function()
    local a = deepagent.offline()
    for _, bad in ipairs { 1, true, {}, { load = print } } do
      assert.error_matches(function() a:with_cache(bad) end,
        "bad argument #1 to 'with_cache'")
    end
    assert.error(function() a:with_cache() end)
    assert.error(function() a:with_cache "no such backend" end)
    for _, bad in ipairs { 0, -1, "1", {}, 0 / 0 } do
      assert.error_matches(function() a:with_cache(store, bad) end,
        "bad argument #2 to 'with_cache'")
    end
    assert.equal(a, a:with_cache(store, 5))
    assert.truthy(deepagent.offline { cache = store })
  end)
end)
