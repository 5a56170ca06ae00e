-- Settings and constructors: what they refuse, at once and by name; errors
-- as objects; what a closed agent still does. Providers are in
-- provider_spec.lua; URLs, keys and headers in refusal_spec.lua.

local child = require "support.child"
local deepagent = require "deepagent"
local models = require "support.models"

local nan, inf = 0 / 0, math.huge

-- The message of the error that `f` raises, which must point at this file.
local function complaint(f)
  local ok, why = pcall(f)
  assert.is_false(ok, "it is accepted")
  assert.is_string(why)
  assert.truthy(why:find("^spec/api_spec%.lua:%d+: ")
    or why:find("/spec/api_spec%.lua:%d+: "), why)
  return why
end

describe("a setting", function()
  local any = { "wrong", 5, true, {}, print, io.stdout }

  -- All of `any` but those whose type is in `types`, and then `more`.
  local function all_but(types, more)
    local list = {}
    for _, value in ipairs(any) do
      if not types:find(io.type(value) or type(value), 1, true) then
        list[#list + 1] = value
      end
    end
    for _, value in ipairs(more) do list[#list + 1] = value end
    return list
  end

  local wrong = {
    with_system = all_but("string", { "\xff" }),
    with_memory = all_but("boolean", {}),
    with_max_history = all_but("number", { 0, -1, 1.5, nan, inf }),
    with_temperature = all_but("number", { -0.1, 2.1, nan, inf, -inf }),
    with_top_p = all_but("number", { -0.1, 1.1, nan }),
    with_max_tokens = all_but("number", { 0, -1, 1.5, 2.0 ^ 70 }),
    with_stop = all_but("string table", { {}, { 1 }, { "a", false },
      { "a", x = 1 }, "\xff", { "\xff" } }),
    with_seed = all_but("number", { 1.5, nan }),
    with_presence_penalty = all_but("number", { -2.1, 2.1, nan }),
    with_frequency_penalty = all_but("number", { -2.1, 2.1, nan }),
    with_timeout = all_but("number table", { 0, -1, nan, inf,
      { total = 0 }, { total = "1" }, { wrong = 1 }, { 1 }, { idle = nan } }),
    with_limits = all_but("table", { { line = 0 }, { header = -1 },
      { body = 1.5 }, { body = 2.0 ^ 70 }, { body = nan }, { line = "1" },
      { depth = 513 }, { message = (256 << 20) + 1 }, { wrong = 1 }, { 1 },
      { line = 1 << 20, depth = true } }),
    with_header = all_but("", {}),
    with_json_schema = all_but("", { {}, { name = "x" }, { x = 1 } }),
    with_json_mode = all_but("boolean", {}),
    with_extra = all_but("table", { { 1 }, { a = print }, { a = nan },
      { ["a\0b"] = 1 }, { ["\xff"] = 1 }, { a = "\xff" },
      { messages = {} }, { model = "m" }, { stream = true } }),
    with_messages = all_but("table", { { 1 }, { {} }, { "x" } }),
    with_session_id = all_but("string", { "", "..", "a/b", "a\0b", "\xff",
      ("x"):rep(201) }),
    with_memory_backend = all_but("string", { {} }),
    with_auto_save = all_but("boolean", {}),
    with_save_timeout = all_but("number", { 0, -1, nan, inf }),
    with_logger = all_but("function", {}),
    with_on_stream = all_but("function", {}),
    on_stream = all_but("function", {}),
  }

  for name, values in pairs(wrong) do
    it(name .. " refuses wrong types and impossible values", function()
      local agent = deepagent.offline()
      for i, value in ipairs(values) do
        local why = complaint(function()
          local _ = agent[name](agent, value)
        end)
        assert.truthy(why:find("bad argument", 1, true)
          or why:find("cannot be JSON", 1, true)
          or why:find("deepagent.backend", 1, true), i .. ": " .. why)
      end
      if name ~= "with_memory" and name ~= "with_json_mode" then
        assert.is_false((pcall(agent[name], agent)))
      end
      -- Nothing of it was taken over.
      assert.is_string(agent:ask("still there?"))
      assert.is_nil(agent:get_session_id())
    end)
  end

  it("names itself when it complains", function()
    local agent = deepagent.offline()
    for call, name in pairs {
      [function() agent:with_temperature("hot") end] = "with_temperature",
      [function() agent:with_session_id("a/b") end] = "with_session_id",
      [function() agent:with_header("A", 5) end] = "with_header",
    } do
      assert.truthy(complaint(call):find("'" .. name .. "'", 1, true))
    end
    assert.truthy(complaint(function() agent:with_header("A", 5) end)
      :find("#2", 1, true))
    assert.truthy(complaint(function() agent:with_header("A") end)
      :find("#2", 1, true))
  end)

  it("returns the agent", function()
    local agent = deepagent.offline()
    for name, value in pairs {
      with_system = "x", with_memory = true, with_max_history = 1,
      with_temperature = 0, with_top_p = 1, with_max_tokens = 1,
      with_stop = "x", with_seed = -1, with_presence_penalty = -2,
      with_frequency_penalty = 2, with_timeout = 0.5,
      with_limits = { line = 1 << 20, depth = 512 },
      with_json_schema = { name = "x", schema = {} }, with_json_mode = false,
      with_extra = { a = 1 }, with_messages = {}, with_session_id = "s",
      with_memory_backend = "memory", with_auto_save = false,
      with_save_timeout = 1, with_logger = print, with_on_stream = print,
      on_stream = print,
    } do
      assert.equal(agent, agent[name](agent, value), name)
    end
    assert.equal(agent, agent:with_header("A", "b"))
    assert.equal(agent, agent:with_memory())
    assert.equal(agent, agent:with_timeout { connect = 1, idle = 1 })
    assert.equal(agent, agent:with_logger(nil):with_on_stream(nil))
  end)

  it("reaches the request", function()
    local model = models.echo()
    local agent = deepagent.new { provider = model, model = "m1" }
      :with_temperature(0.5):with_top_p(1):with_max_tokens(7)
      :with_stop { "a", "b" }:with_seed(math.mininteger)
      :with_presence_penalty(-2):with_frequency_penalty(0.25)
      :with_extra { top_k = 5, nested = { list = deepagent.array {} } }
    assert(agent:ask("x"))
    local request = model.requests[1]
    assert.equal("m1", request.model)
    assert.is_nil(request.stream)
    assert.equal(0.5, request.temperature)
    assert.equal(1, request.top_p)
    assert.equal(7, request.max_tokens)
    assert.same(deepagent.array { "a", "b" }, request.stop)
    assert.equal(math.mininteger, request.seed)
    assert.equal(-2, request.presence_penalty)
    assert.equal(0.25, request.frequency_penalty)
    assert.equal(5, request.top_k)
    assert.same({ list = deepagent.array {} }, request.nested)
    agent:with_temperature(1):with_extra { top_k = 6, top_p = 0.5 }
    assert(agent:stream("x"))
    request = model.requests[2]
    assert.is_true(request.stream)
    assert.equal(1, request.temperature)
    assert.equal(6, request.top_k)
    assert.equal(0.5, request.top_p)
  end)
end)

describe("a constructor", function()
  it("refuses what is no model, key, options or provider", function()
    local call = deepagent
    for expected, f in pairs {
      ["model must be a string"] = function() local _ = call.openai() end,
      ["model must be a string, not a number"] = function()
        local _ = call.openai(5) end,
      ["options must be a table"] = function()
        local _ = call.openai("m", 5) end,
      ["api_key must be a string"] = function()
        local _ = call.openai("m", { api_key = 5 }) end,
      ["organization must be a string"] = function()
        local _ = call.openai("m", { organization = {} }) end,
      ["headers must be a table"] = function()
        local _ = call.openai("m", { headers = "x" }) end,
      ["bad option 'headers'"] = function()
        local _ = call.openai("m", { headers = { "x" } }) end,
      ["base_url must be a string"] = function()
        local _ = call.ollama("m", { base_url = 5 }) end,
      ["allow_http must be a boolean"] = function()
        local _ = call.ollama("m", { allow_http = "yes" }) end,
      ["deepagent.ollama: options must be"] = function()
        local _ = call.ollama("m", "x") end,
      ["deepagent.new: options must be a table"] = function()
        local _ = call.new("x") end,
      ["base_url or provider is needed"] = function()
        local _ = call.new {} end,
      ["deepagent.new: model must be"] = function()
        local _ = call.new { base_url = "http://127.0.0.1" } end,
      ["provider must be a table"] = function()
        local _ = call.new { provider = print } end,
      ["the provider has no function 'complete'"] = function()
        local _ = call.new { provider = { complete = 5 } } end,
      ["unknown option 'temprature'"] = function()
        local _ = call.offline { temprature = 1 } end,
      ["unknown option '1'"] = function() local _ = call.offline { "x" } end,
      ["bad option 'temperature'"] = function()
        local _ = call.offline { temperature = "hot" } end,
      ["bad option 'limits' (unknown limit 'lines'"] = function()
        local _ = call.offline { limits = { lines = 1 } } end,
      ["bad option 'limits' (body must be a positive"] = function()
        local _ = call.offline { limits = { body = 0 } } end,
      ["bad option 'session_id' (invalid_session_id"] = function()
        local _ = call.offline { session_id = "a/b" } end,
      ["bad option 'memory_backend' (the backend lacks"] = function()
        local _ = call.offline { memory_backend = {} } end,
      ["unknown option 'pth'"] = function()
        local _ = call.file_backend { pth = "/x" } end,
      ["path must be a string"] = function()
        local _ = call.file_backend { path = "" } end,
      ["path: '~' is the shell's"] = function()
        local _ = call.file_backend { path = "~/sessions" } end,
      ["deepagent.backend: path: '~' is the shell's"] = function()
        local _ = call.backend("file", { path = "~" }) end,
      ["durable must be a boolean"] = function()
        local _ = call.file_backend { durable = 1 } end,
      ["max_bytes must be a positive integer"] = function()
        local _ = call.file_backend { max_bytes = 0 } end,
      ["table expected"] = function() local _ = call.file_backend "x" end,
      ["unknown option 'path'"] = function()
        local _ = call.memory_backend { path = "/x" } end,
      ["deepagent.backend: unknown option 'x'"] = function()
        local _ = call.backend("memory", { x = 1 }) end,
      ["(table expected, got string"] = function()
        local _ = call.array "x" end,
    } do
      local why = complaint(f)
      assert.truthy(why:find(expected, 1, true), why)
    end
  end)

  it("takes every setting as an option", function()
    local model = models.echo()
    local agent = deepagent.new { provider = model, model = "m",
      system = "S", memory = true, max_history = 3, temperature = 1,
      top_p = 1, max_tokens = 5, stop = "x", seed = 1, timeout = 5,
      limits = { body = 1 << 20, message = 1 << 20 },
      presence_penalty = 1, frequency_penalty = 1, extra = { a = 1 },
      messages = {}, session_id = "s", memory_backend = "memory",
      auto_save = true, save_timeout = 1, logger = function() end,
      on_stream = function() end, headers = { ["X-A"] = "b" },
      base_url = "https://example.com", insecure = false,
      organization = "o", project = "p" }
    assert(agent:stream("x"))
    assert.equal(1, model.requests[1].a)
    assert.equal("S", model.requests[1].messages[1].content)
    assert.equal("s", agent:get_session_id())
  end)

  it("makes objects that tell what they are, without their key", function()
    local key = "sk-very-secret-key-0123456789"
    local agent = deepagent.openai("gpt-x", key):with_session_id("u")
      :with_memory_backend("memory")
    assert.equal("deepagent.agent (gpt-x, session u, 0 messages)",
      tostring(agent))
    assert.equal("deepagent.agent (gpt-x, no session, 0 messages)",
      tostring(deepagent.openai("gpt-x", { api_key = key })))
    for _, object in ipairs { agent, agent:clone(),
      deepagent.memory_backend(), deepagent.file_backend() } do
      assert.is_nil(tostring(object):find("secret", 1, true))
      assert.truthy(tostring(object):find("^deepagent%."))
    end
    assert.equal("string", type(deepagent.version))
  end)

  it("needs no key until the first ask, and then says what to set",
    function()
      local output, status = child.run([[
        local deepagent = require "deepagent"
        local agent = deepagent.openai "gpt-x":with_memory()
        for _, verb in ipairs { "ask", "stream" } do
          local answer, err = agent[verb](agent, "hi")
          assert(answer == nil and err.code == "missing_api_key")
          assert(err.retryable == false and err.status == nil)
          assert(err.message:find("OPENAI_API_KEY", 1, true))
        end
        assert(#agent:get_history() == 0)
        print(select(2, pcall(function() assert(agent:ask "hi") end)))]],
        { env = { OPENAI_API_KEY = false } })
      assert.equal("missing_api_key: openai has no API key: set "
        .. "OPENAI_API_KEY, or give a key when the agent is made\n", output)
      assert.equal(0, status)
    end)

  it("are those of Lua 5.4, and say so elsewhere", function()
    local output, status = child.run([[
      _VERSION = "Lua 5.1"
      print(pcall(require, "deepagent"))]])
    assert.equal("false\tdeepagent needs Lua 5.4; this is Lua 5.1\n", output)
    assert.equal(0, status)
  end)
end)

describe("the offline model", function()
  it("knows names of any letters", function()
    local agent = deepagent.offline():with_memory()
    for _, case in ipairs { { "My name is %s.", "Zoé" },
      { "my name's %s!", "Ørsted" }, { "I am called %s", "d'Arc" },
      { "Call me %s, please.", "李" }, { "My name is %s", "Jean-Luc" } } do
      assert.equal(("Nice to meet you, %s."):format(case[2]),
        agent:ask(case[1]:format(case[2])))
      assert.equal(("Your name is %s."):format(case[2]),
        agent:ask "What is my name?")
    end
  end)
end)

describe("an error", function()
  local function error_of(given)
    local agent = deepagent.new { retry = false,
      provider = models.acting(function() return nil, given end) }
    return select(2, agent:ask("x"))
  end

  it("has a code, a message, and whether to try again", function()
    local err = error_of("plain")
    assert.equal("provider_error", err.code)
    assert.equal("plain", err.message)
    assert.is_false(err.retryable)
    assert.is_nil(err.status)
    assert.equal("provider_error: plain", tostring(err))
    err = error_of { code = "rate_limited", message = "slow down",
      status = 429, retryable = true }
    assert.equal("rate_limited", err.code)
    assert.equal(429, err.status)
    assert.is_true(err.retryable)
    assert.equal("rate_limited: slow down (HTTP 429)", tostring(err))
  end)

  it("keeps all that a provider tells, returned or raised", function()
    local told = { code = "rate_limited", message = "M", retryable = true,
      status = 429, retry_after = 1.5, request_id = "req_1",
      service_code = "tokens" }
    local function members(err)
      assert.equal("table", type(err))
      local copy = {}
      for name, value in pairs(err) do copy[name] = value end
      return copy
    end
    local raising = deepagent.new { retry = false,
      provider = models.acting(function() error(told) end) }
    assert.same(told, members(error_of(told)))
    assert.same(told, members(select(2, raising:ask("x"))))
    assert.same(told, members(select(2, raising:stream("x"))))
    assert.equal("rate_limited: M (HTTP 429, request req_1)",
      tostring(error_of(told)))
    -- What has another type is left out; texts are printable, and short.
    assert.same({ code = "auth", message = "M", retryable = false },
      members(error_of { code = "auth", message = "M", status = "x",
        retry_after = "1", request_id = {}, service_code = 5 }))
    local odd = error_of { request_id = "a\nb", service_code = ("x"):rep(999) }
    assert.equal("a", odd.request_id)
    assert.equal(("x"):rep(63), odd.service_code)
  end)

  it("does not tell its status twice", function()
    assert.equal("server: HTTP 503: down", tostring(error_of {
      code = "server", message = "HTTP 503: down", status = 503 }))
    assert.equal("server: down (HTTP 503)", tostring(error_of {
      code = "server", message = "down", status = 503 }))
  end)

  it("passes from one agent to another as it is", function()
    local first = error_of { code = "server", message = "down", status = 503,
      retryable = true, retry_after = 2 }
    local second = error_of(first)
    for name, value in pairs(first) do
      assert.equal(value, second[name], name)
    end
    assert.equal(tostring(first), tostring(second))
  end)

  it("reads well where it is raised", function()
    local ok, why = pcall(function()
      assert(deepagent.offline():save_session())
    end)
    assert.is_false(ok)
    assert.truthy(tostring(why):find("^session_id_required: "))
  end)

  it("has no control characters and no half letters in its message",
    function()
      local err = error_of("a\nb\0c\27[2J\xff\u{85}" .. ("é"):rep(1000))
      assert.is_nil(err.message:find("%c"))
      assert.truthy(utf8.len(err.message))
      assert.truthy(#err.message < 512)
      assert.equal("a?b?c?[2J??é", err.message:sub(1, 13))
    end)
end)

describe("a closed agent", function()
  it("does nothing more, and says so", function()
    local agent = deepagent.offline():with_session_id("s")
      :with_memory_backend("memory")
    assert(agent:ask("x"))
    assert.is_true(agent:close())
    assert.is_true(agent:close())
    for _, verb in ipairs { "ask", "stream", "get_history", "usage",
      "set_history", "clear", "save_session", "load_session",
      "delete_session", "list_sessions" } do
      local result, err = agent[verb](agent,
        verb == "set_history" and {} or verb ~= "delete_session" and "x"
        or nil)
      assert.is_nil(result)
      assert.equal("closed", err.code, verb)
    end
    assert.equal("s", agent:get_session_id())
    assert.equal("saved", (agent:save_status()))
    assert.equal("closed", select(2, agent:flush()).code)
    assert.truthy(tostring(agent):find("closed", 1, true))
    assert.equal(2, #agent:clone():get_history())
  end)

  it("is closed by the end of its block", function()
    local kept
    do
      local agent <close> = deepagent.offline()
      kept = agent
    end
    assert.equal("closed", select(2, kept:ask("x")).code)
  end)

  it("is no agent any more where there never was one", function()
    local methods = debug.getmetatable(deepagent.offline()).__index
    assert.is_function(methods.ask)
    for _, wrong in ipairs { {}, 5, io.stdout, deepagent.memory_backend() } do
      for _, name in ipairs { "ask", "close", "with_system", "clone" } do
        assert.has_error(function() methods[name](wrong, "x") end)
      end
    end
  end)
end)
