-- The limits of what is taken from outside: each of them just kept and just
-- passed, as it is by default and as it was set, by answers that come whole
-- and by streams, and by what never ends. What passes one ends the turn and
-- nothing else. Their C parts: spec/c/test_limits.c.

local answers = require "support.answers"
local deepagent = require "deepagent"
local failing = require "support.failing"
local models = require "support.models"
local patience = require "support.patience"
local test_server = require "support.server"

local KIB, MIB = 1 << 10, 1 << 20
local BODY = '{"choices":[{"message":{"content":"ok"}}]}'
local STREAM = answers.event({ content = "ok" }, "stop") .. answers.done
local defaults = { line = 16 * MIB, header = 256 * KIB, body = 64 * MIB,
  depth = 512, message = 256 * MIB }
local EVENTS = { ["content-type"] = "text/event-stream" }

--- The bytes of a message as it is sent.
local function size(role, text)
  return #('{"role":"%s","content":"%s"}'):format(role, text)
end

--- Resident memory in megabytes: now, or ("VmHWM") at its peak.
local function memory(name)
  local status <close> = assert(io.open("/proc/self/status"))
  return tonumber(status:read("a"):match(name .. ":%s*(%d+)")) / KIB
end

--- Calls f, during which the process may grow by so many megabytes. The
--- sanitizers, which keep freed memory, are spared that.
local function within(megabytes, f)
  if os.getenv "DA_CONFIG" ~= "release" then return f() end
  collectgarbage()
  local file = io.open("/proc/self/clear_refs", "w")
  if file then
    file:write("5")
    file:close()
  end
  local before = memory("VmRSS")
  f()
  local grown = memory("VmHWM") - before
  assert.truthy(grown < megabytes, ("%.1f MB"):format(grown))
end

describe("a limit", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
  end)

  local function agent(limits)
    return deepagent.new { model = "m", base_url = server.url, memory = true,
      retry = false,
      api_key = failing.key, timeout = patience.long, limits = limits }
  end

  local function talk(a, streamed)
    if streamed then return a:stream("hi", function() end) end
    return a:ask("hi")
  end

  --- The answer is taken, whether asked for as a stream or not.
  local function keeps(limits, answer, text, only)
    server:script { answer, answer }
    for _, streamed in ipairs(only ~= nil and { only } or { false, true }) do
      assert.equal(text or "ok", assert(talk(agent(limits), streamed)))
    end
  end

  --- The answer fails, the conversation stays as it was, and goes on.
  local function passes(limits, answer, code, message, only)
    local errors = {}
    for _, streamed in ipairs(only ~= nil and { only } or { false, true }) do
      server:script({ answers.plain("before"), answer }, "echo")
      local a = agent()
      assert.equal("before", a:ask("first"))
      a:with_limits(limits or {})
      local history = a:get_history()
      local err = failing.fails(a, code, streamed)
      assert.same(history, a:get_history())
      assert.is_false(err.retryable)
      if message then assert.equal(message, err.message) end
      a:with_limits(defaults)
      assert.equal("echo: again", a:ask("again"))
      assert.equal(4, #a:get_history())
      errors[#errors + 1] = err
    end
    return errors[1]
  end

  describe("of the header", function()
    --- An answer whose header has so many bytes, in lines of up to 50,000.
    local function with_header(bytes, before, after)
      local head = (before or "") .. "HTTP/1.1 200 OK\r\n"
        .. "Connection: close\r\n"
      local left = bytes - #head - 2 - #(after or "")
      local lines = { head }
      while left > 0 do
        local n = left > 50100 and 50000 or left
        lines[#lines + 1] = "X: " .. ("x"):rep(n - 5) .. "\r\n"
        left = left - n
      end
      return table.concat(lines) .. "\r\n"
    end

    local function large(bytes)
      return ("the header of the answer is larger than %d bytes"):format(bytes)
    end

    it("counts each byte of its lines #smoke", function()
      for _, most in ipairs { 200, 5000, 150 * KIB } do
        keeps({ header = most }, answers.raw(with_header(most) .. BODY))
        passes({ header = most }, answers.raw(with_header(most + 1) .. BODY),
          "too_large", large(most))
      end
    end)

    it("is 256 KiB by default", function()
      keeps(nil, answers.raw(with_header(256 * KIB) .. BODY))
      passes(nil, answers.raw(with_header(256 * KIB + 1) .. BODY),
        "too_large", large(256 * KIB))
    end)

    it("counts interim answers, too", function()
      local before = ("HTTP/1.1 103 Hints\r\nX: y\r\n\r\n"):rep(10)
      keeps({ header = 1000 }, answers.raw(with_header(1000, before) .. BODY))
      passes({ header = 1000 },
        answers.raw(with_header(1001, before) .. BODY), "too_large",
        large(1000))
    end)

    it("counts trailers, too", function()
      local trailer = "X-T: " .. ("t"):rep(100) .. "\r\n"
      local chunked = "Transfer-Encoding: chunked\r\n"
      local function answer(bytes)
        local head = with_header(bytes - #chunked, nil, trailer .. "\r\n")
        return answers.raw(head:sub(1, -3) .. chunked
          .. ("\r\n%x\r\n%s\r\n0\r\n%s\r\n"):format(#BODY, BODY, trailer))
      end
      keeps({ header = 1000 }, answer(998))
      passes({ header = 900 }, answer(1002), "too_large", large(900))
    end)

    it("is libcurl's own where that is lower", function()
      local most = { header = 1 << 40 }
      local message = "the header of the answer is too large"
      for _, head in ipairs {
        "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(110 * KIB) .. "\r\n\r\n",
        "HTTP/1.1 200 " .. ("x"):rep(110 * KIB) .. "\r\n\r\n",
        with_header(700 * KIB),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
          .. "X: " .. ("x"):rep(8 * KIB) .. "\r\n\r\n",
      } do
        passes(most, answers.raw(head .. BODY), "too_large", message)
      end
    end)

    it("ends what never ends", function()
      local begin = "HTTP/1.1 200 OK\r\n"
      for _, case in ipairs {
        { "HTTP/1.1 200 ", "x" },
        { begin, "X" },
        { begin .. "X: ", "x" },
        { begin, "X: " .. ("x"):rep(1000) .. "\r\n" },
        { begin, "X:\r\n" },
        { "", "HTTP/1.1 100 Continue\r\n\r\n" },
        { "", "HTTP/1.1 103 Hints\r\nX: y\r\n\r\n" },
        { begin .. "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n" },
        { begin .. "Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", "x" },
      } do
        within(8, function()
          passes(nil, answers.raw(case[1],
            { endless = test_server.base64(case[2]) }), "too_large")
        end)
      end
    end)

    it("holds over HTTP/2, where the connection stays", function()
      local h2 = test_server.start { h2 = true }
      finally(function() h2:stop() end)
      local function ask(header)
        local a = deepagent.new { model = "m", base_url = h2.url,
          ca_file = h2.ca_file, timeout = patience.long, retry = false,
          limits = { header = header } }
        return a:ask("hi")
      end
      h2:script({ { body = BODY, headers = { x = ("x"):rep(5000) } } },
        "repeat")
      local text, err = ask(20000)
      if h2:requests()[1].protocol ~= "2" then
        return pending "no HTTP/2 here"
      end
      assert.equal("ok", text, tostring(err))
      assert.equal("too_large", select(2, ask(4000)).code)
      assert.equal("ok", ask(20000))
      assert.equal(1, h2:stats().connections)
    end)
    it("apart, a timeout over HTTP/2 leaves no dead connection", function()
      local h2 = test_server.start { h2 = true }
      finally(function() h2:stop() end)
      local a = deepagent.new { model = "m", base_url = h2.url, retry = false,
        ca_file = h2.ca_file, memory = true }
      assert.equal("echo: first", a:ask("first"))
      h2:script({ { body = BODY, cut = 5, hang = true } }, "echo")
      failing.fails(a:with_timeout(1), "timeout")
      patience.eventually(function()
        return h2:stats().answers_left == 0
      end)
      assert.equal("echo: again", a:with_timeout(patience.long):ask("again"))
      assert.equal(2, h2:stats().connections)
    end)
  end)

  describe("of a line", function()
    local function event(bytes) -- its data has so many
      local data = '{"choices":[{"delta":{"content":"ok"},'
        .. '"finish_reason":"stop"}],"x":"%s"}'
      return "data: " .. data:format(("x"):rep(bytes - #data + 2)) .. "\n\n"
    end

    local function large(bytes)
      return ("an event of the stream is larger than %d bytes"):format(bytes)
    end

    it("counts the bytes of a line #smoke", function()
      for _, most in ipairs { 200, 70000 } do
        local line = #"data: "
        keeps({ line = most }, { headers = EVENTS,
          body = event(most - line) })
        local err = passes({ line = most }, { headers = EVENTS,
          body = event(most - line + 1) }, "too_large", large(most))
        assert.equal(200, err.status)
      end
    end)

    it("counts the lines of an event together", function()
      local first = ('{"y":"%s",'):format(("y"):rep(600))
      local second = event(700):match "{(.*)\n\n"
      local data = ("data: %s\ndata: %s\n\n"):format(first, second)
      local most = #first + 1 + #second
      keeps({ line = most }, { headers = EVENTS, body = data })
      passes({ line = most - 1 }, { headers = EVENTS, body = data },
        "too_large", large(most - 1))
    end)

    it("ends what never ends", function()
      local head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
      for _, case in ipairs { { "data: ", "x" }, { "", "data: x\n" },
        { ":", "x" }, { "data", "data" } } do
        within(16, function()
          passes({ line = MIB }, answers.raw(head .. case[1],
            { endless = test_server.base64(case[2]) }), "too_large",
            large(MIB))
        end)
      end
    end)

    it("is 16 MiB by default", function()
      within(80, function()
        passes(nil, answers.raw("HTTP/1.1 200 OK\r\n\r\ndata: ",
          { endless = test_server.base64 "x" }), "too_large",
          large(16 * MIB), true)
      end)
    end)
  end)

  describe("of the body", function()
    local function large(bytes)
      return ("the answer is larger than %d bytes"):format(bytes)
    end

    it("counts its bytes, unpacked #smoke", function()
      for _, gzip in ipairs { false, true } do
        for _, most in ipairs { 100, 100000 } do
          local body = BODY .. (" "):rep(most - #BODY)
          keeps({ body = most }, { body = body, gzip = gzip })
          passes({ body = most }, { body = body .. " ", gzip = gzip },
            "too_large", large(most))
        end
        local body = ": x\n" .. STREAM
        keeps({ body = #body }, { body = body, headers = EVENTS,
          gzip = gzip })
      end
    end)

    it("counts all of a stream", function()
      local events = answers.event { content = "a" }
      passes({ body = 10 * #events + 5 }, { body = events, times = 11,
        headers = EVENTS }, "too_large", large(10 * #events + 5))
      -- What is complete is complete.
      keeps({ body = #STREAM }, { body = STREAM .. ": more\n\n",
        headers = EVENTS })
    end)

    it("stops a small text that unpacks to a large one", function()
      within(16, function()
        passes({ body = MIB }, { body = " ", times = 24 * MIB, gzip = true },
          "too_large", large(MIB))
        passes({ body = MIB }, { body = ":\n", times = 12 * MIB, gzip = true,
          headers = EVENTS }, "too_large", large(MIB))
      end)
    end)

    it("is no limit of an error, of which only the beginning is read",
      function()
        passes({ body = 10 }, answers.failure(400, "told"), "bad_request",
          "told")
        within(8, function()
          passes(nil, answers.raw("HTTP/1.1 400 No\r\n\r\nbegins ",
            { endless = test_server.base64 "x" }), "bad_request")
        end)
      end)

    it("ends what never ends", function()
      local head = "HTTP/1.1 200 OK\r\n"
      for _, case in ipairs {
        { "\r\n" .. BODY, " " },
        { "\r\n", "\n" }, -- nothing tells what it is
        { "\r\n", "x" },
        { "Content-Type: text/event-stream\r\n\r\n", ":\n\n" },
        { "Content-Type: text/event-stream\r\n\r\n", "data: {}\n\n" },
        { "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n" },
      } do
        within(16, function()
          passes({ body = 2 * MIB }, answers.raw(head .. case[1],
            { endless = test_server.base64(case[2]) }), "too_large",
            large(2 * MIB))
        end)
      end
    end)

    it("does not make blanks slow, which tell nothing yet", function()
      local before = os.clock()
      passes(nil, answers.raw("HTTP/1.1 200 OK\r\n\r\n",
        { endless = test_server.base64 "\n" }), "too_large", large(64 * MIB),
        true)
      -- Looked at again with each piece, they took minutes.
      assert.truthy(os.clock() - before < patience.soon)
    end)
  end)

  describe("of the depth", function()
    local function nested(levels, close)
      return ("["):rep(levels) .. (close and ("]"):rep(levels) or "")
    end
    local function answer(levels)
      return { body = BODY:sub(1, -2) .. ',"x":' .. nested(levels - 1, true)
        .. "}" }
    end
    local function event(levels)
      return { headers = EVENTS, body = 'data: {"x":'
        .. nested(levels - 1, true) .. "}\n\n" .. STREAM }
    end
    local function deep(limits, given)
      local err = passes(limits, given, "protocol")
      assert.truthy(err.message:find("nested too deep", 1, true), err.message)
      assert.equal(200, err.status)
    end

    it("counts levels, of an answer and of an event #smoke", function()
      for _, most in ipairs { 4, 5, 100 } do
        for _, make in ipairs { answer, event } do
          keeps({ depth = most }, make(most))
          deep({ depth = most }, make(most + 1))
        end
      end
      deep({ depth = 3 }, { body = BODY })
      deep({ depth = 3 }, { body = STREAM, headers = EVENTS })
    end)

    it("is 512 by default", function()
      for _, make in ipairs { answer, event } do
        keeps(nil, make(512))
        deep(nil, make(513))
      end
    end)

    it("holds for a million levels", function()
      local many = nested(100000)
      for _, given in ipairs {
        { body = "[", times = 1000000 },
        { body = '{"a":', times = 1000000 },
        { body = '{"choices":' .. many },
        { body = nested(100000, true) },
        { headers = EVENTS, body = 'data: {"choices":[{"delta":' .. many
          .. "\n\n" },
        answers.raw("HTTP/1.1 200 OK\r\n\r\ndata: " .. nested(1000000)
          .. "\n\n"),
      } do
        deep(nil, given)
      end
    end)

    it("makes a text of an error that is deeper", function()
      local told = { status = 400,
        body = '{"error":{"message":"told","x":[[[]]]}}' }
      passes({ depth = 5 }, told, "bad_request", "told")
      local err = passes({ depth = 4 }, told, "bad_request")
      assert.truthy(err.message:find('{"error":{"message":"told"', 1, true))
    end)
  end)

  describe("of a message", function()
    it("is that of a question, which is not even sent #smoke", function()
      local loads = 0
      local backend = { load = function() loads = loads + 1 end,
        save = function() return true end, delete = function() end,
        list = function() return {} end }
      for _, verb in ipairs { "ask", "stream" } do
        for _, text in ipairs { "hello", "\1\n\"\\", "ü" } do
          local escaped = text:gsub("[\n\"\\]", "\\%0")
            :gsub("\1", "\\u0001")
          local most = size("user", escaped)
          loads = 0
          server:reset()
          local a = agent { message = most - 1 }
          a:with_memory_backend(backend):with_session_id("s")
          local answer, err = a[verb](a, text)
          assert.is_nil(answer)
          assert.equal("too_large", err.code)
          assert.is_false(err.retryable)
          assert.equal(0, loads)
          assert.same({}, server:requests())
          a:with_limits { message = most + 1000 }
          assert.equal("echo: " .. text, a[verb](a, text))
          assert.equal(2, #a:get_history())
          assert.equal(1, loads)
        end
      end
    end)

    it("stops a question of any size before it is copied", function()
      local text = ("x"):rep(64 * MIB)
      local a = agent { message = 1000 }
      within(8, function()
        assert.equal("a question of 67108864 bytes is larger than 1000 bytes",
          select(2, a:ask(text)).message)
      end)
    end)

    it("is that of an answer", function()
      local text = ("x"):rep(5000)
      local most = size("assistant", text)
      local large = ("the answer is larger than %d bytes"):format(most - 1)
      for _, how in ipairs {
        { body = '{"choices":[{"message":{"role":"assistant","content":"'
          .. text .. '"}}]}' },
        answers.stream { text:sub(1, 2000), text:sub(2001) },
      } do
        keeps({ message = most }, how, text)
        local err = passes({ message = most - 1 }, how, "too_large", large)
        assert.equal(200, err.status)
      end
    end)

    it("stops a stream as soon as it is passed", function()
      local heard = {}
      server:script({ answers.events({}, {
        endless = test_server.base64(answers.event { content = "1234567890" }),
        framing = "close", chunks = { answers.event { content = "" } },
      }) }, "echo")
      local a = agent { message = 1005 }
      local answer, err = a:stream("hi", function(delta)
        heard[#heard + 1] = delta
      end)
      assert.is_nil(answer)
      assert.equal("too_large", err.code)
      assert.equal(1000, #table.concat(heard))
      assert.same({}, a:get_history())
      assert.equal("echo: again", a:ask("again"))
    end)

    it("is that of a refusal and of reasoning", function()
      for _, name in ipairs { "refusal", "reasoning", "reasoning_content" } do
        passes({ message = 1000 }, answers.events {
          answers.event { [name] = ("x"):rep(600) },
          answers.event { [name] = ("x"):rep(600) },
          answers.event({}, "stop") }, "too_large",
          "the answer is larger than 1000 bytes")
      end
    end)

    it("is that of a provider in Lua", function()
      local behave
      local a = deepagent.new { memory = true, provider = models.acting(
        function(...) return behave(...) end) }
        :with_limits { message = size("assistant", "12345") }
      local function refused(f)
        behave = f
        return failing.fails(a, "too_large", true).message
      end
      local large = "the answer is larger than 38 bytes"
      assert.equal(large, refused(function() return "123456" end))
      assert.equal(large, refused(function()
        return { content = "123456" }
      end))
      assert.equal(large, refused(function(_, on_delta)
        for _ = 1, math.huge do on_delta("1234567890") end
      end))
      assert.equal(large, refused(function(_, on_delta)
        for _ = 1, 3 do on_delta("1234567890") end
        pcall(on_delta, "1234567890") -- caught: it counts all the same
        return "1"
      end))
      behave = function(_, on_delta)
        on_delta("12345")
        return "12345"
      end
      assert.equal("12345", a:stream("hi", function() end))
      assert.equal(2, #a:get_history())
    end)

    it("is that of messages that are given", function()
      local fits = { { role = "user", content = "12345" } }
      local large = { { role = "user", content = "1" },
        { role = "user", content = "123456" } }
      local limits = { message = size("user", "12345") }
      local a = agent(limits)
      assert.is_true(a:set_history(fits))
      local before = a:get_history()
      local ok, err = a:set_history(large)
      assert.is_nil(ok)
      assert.equal("too_large", err.code)
      assert.same(before, a:get_history())
      -- What get_history gives may be given back.
      assert.is_true(a:set_history(before))
      a:with_messages(fits)
      local raised, why = pcall(a.with_messages, a, large)
      assert.is_false(raised)
      assert.truthy(why:find("too_large: a message of 34 bytes", 1, true))
      -- In any order.
      for _, order in ipairs { { "messages", "limits" },
        { "limits", "messages" } } do
        local given = { messages = large, limits = limits }
        local b = agent()
        raised, why = pcall(function()
          for _, name in ipairs(order) do
            b["with_" .. name](b, given[name])
          end
        end)
        assert.is_false(raised)
        assert.truthy(why:find("too_large", 1, true))
      end
    end)

    it("is none of what is stored: a session always loads", function()
      local store = deepagent.memory_backend()
      local long = ("x"):rep(5000)
      assert(store:save("s", { { role = "user", content = long },
        { role = "assistant", content = long } }))
      local a = agent { message = 100 }
      a:with_memory_backend(store):with_session_id("s")
      assert.equal("echo: hi", a:ask("hi"))
      assert.truthy(server:requests()[1].body:find(long, 1, true))
      assert.is_true(a:flush())
      assert.equal(4, #a:get_history())
      assert.equal(4, #store:load("s"))
      assert.is_true(a:load_session())
      assert.equal(4, #a:get_history())
    end)
  end)

  it("that is given replaces that one alone", function()
    local a = agent { message = 100, body = 1000 }
    a:with_limits { body = 2000 }
    server:script({ { body = BODY .. (" "):rep(1500) } }, "echo")
    assert.equal("ok", a:ask("hi"))
    assert.equal("too_large", select(2, a:ask(("x"):rep(100))).code)
    -- What is refused changes nothing, wherever it stands in the table.
    assert.is_false(pcall(a.with_limits, a, { message = 1000, body = 0 }))
    assert.is_false(pcall(a.with_limits, a, { message = 1000, depth = 513 }))
    assert.equal("too_large", select(2, a:ask(("x"):rep(100))).code)
    a:with_limits { message = 1000 }:with_limits {}
    assert.equal("echo: " .. ("x"):rep(100), a:ask(("x"):rep(100)))
  end)

  it("goes to a clone", function()
    local a = agent { body = 10 }
    local b = a:clone()
    a:with_limits { body = 1000 }
    failing.fails(b, "too_large")
    assert.truthy(a:ask("hi"))
    failing.fails(b:clone(), "too_large")
  end)

  it("may change in the middle of a turn, for the next one", function()
    local a = agent()
    server:script({ answers.stream { "a", "b" } }, "echo")
    assert.equal("ab", a:stream("hi", function()
      a:with_limits { body = 10 }
    end))
    failing.fails(a, "too_large")
  end)
end)
