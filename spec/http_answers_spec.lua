-- What is made of the answers of a service, good and bad ones, and of a
-- network that fails.

local answers = require "support.answers"
local deepagent = require "deepagent"
local process = require "support.process"
local socket = require "socket"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c"

describe("an answer", function()
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
    return deepagent.new(options)
  end

  --- Everything that can be seen of an error, to look for secrets in.
  local function shown(err)
    local parts = { tostring(err) }
    for name, value in pairs(err) do
      parts[#parts + 1] = name .. "=" .. tostring(value)
    end
    return table.concat(parts, "\n")
  end

  --- Fails, says how, and leaves the agent as it was. Returns the error.
  local function fails(a, code, streamed)
    a:with_memory()
    local before = #a:get_history()
    local text, err
    if streamed then
      text, err = a:stream("hi", function() end)
    else
      text, err = a:ask("hi")
    end
    assert.is_nil(text)
    assert.equal(code, err.code, shown(err))
    assert.equal(before, #a:get_history())
    assert.is_nil(shown(err):find(KEY, 1, true))
    assert.truthy(utf8.len(shown(err)))
    assert.is_nil(tostring(err):find("%c"))
    assert.truthy(#err.message > 0)
    return err
  end

  describe("is taken", function()
    local text = ("Hello ✓ "):rep(1000)

    local function both(how)
      local a = agent()
      server:script { answers.plain(text, how), answers.plain(text, how),
        answers.stream({ text, "!" }, how) }
      assert.equal(text, a:ask("hi"))
      assert.equal(text, a:stream("hi", function() end))
      assert.equal(text .. "!", a:stream("hi", function() end))
      assert.same(answers.usage, a:usage().last)
      local last = a:last()
      assert.same({ "stop", "scripted-1" }, { last.finish_reason,
        last.model })
    end

    it("with a length", function() both { framing = "length" } end)
    it("in chunks", function() both { framing = "chunked" } end)
    it("that ends with the connection", function()
      both { framing = "close" }
    end)
    it("in pieces of 7 bytes", function()
      both { framing = "chunked", chunk_size = 7 }
      both { framing = "close", chunk_size = 7 }
    end)
    it("compressed", function()
      both { gzip = true }
      both { gzip = true, chunk_size = 5, framing = "chunked" }
    end)
    it("with status 201", function() both { status = 201 } end)

    it("after 100 Continue and early hints", function()
      local body = '{"choices":[{"message":{"content":"ok"}}]}'
      server:script { answers.raw("HTTP/1.1 100 Continue\r\n\r\n"
        .. "HTTP/1.1 103 Early Hints\r\nX-Request-Id: wrong\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nX-Request-Id: right\r\n"
        .. "Content-Length: " .. #body .. "\r\n\r\n" .. body) }
      local a = agent()
      assert.equal("ok", a:ask("hi"))
      assert.equal("right", a:last().request_id)
    end)
  end)

  describe("with status", function()
    local expected = {
      [300] = "redirect", [301] = "redirect", [302] = "redirect",
      [303] = "redirect", [304] = "redirect", [307] = "redirect",
      [308] = "redirect", [400] = "bad_request", [401] = "auth",
      [402] = "quota", [403] = "auth", [404] = "not_found",
      [405] = "http_status", [408] = "server", [409] = "server",
      [413] = "too_large", [418] = "http_status", [422] = "bad_request",
      [429] = "rate_limited", [451] = "http_status", [500] = "server",
      [501] = "server", [502] = "server", [503] = "server",
      [504] = "server", [529] = "server", [599] = "server",
      [600] = "http_status", [999] = "http_status",
    }
    local retryable = { rate_limited = true, server = true }

    for status, code in pairs(expected) do
      it(status .. " is " .. code, function()
        local more = { headers = { ["x-request-id"] = "req-" .. status } }
        server:script { answers.failure(status, "told", more) }
        local err = fails(agent(), code)
        assert.equal(status, err.status)
        assert.equal(retryable[code] or false, err.retryable)
        assert.equal("req-" .. status, err.request_id)
        if code == "redirect" then
          assert.truthy(err.message:find("redirects are not followed"))
        else
          assert.equal("test_code", err.service_code)
          assert.equal("told", err.message)
          assert.equal(("%s: told (HTTP %d, request req-%d)"):format(code,
            status, status), tostring(err))
        end
      end)
    end

    it("4xx may be the quota or the context", function()
      local function code_of(status, message, service_code)
        server:script { { status = status, json = { error = {
          message = message, code = service_code } } } }
        local err = select(2, agent():ask("hi"))
        return err.code .. (err.retryable and " again" or "")
      end
      assert.equal("quota", code_of(429, "x", "insufficient_quota"))
      assert.equal("context_length",
        code_of(400, "x", "context_length_exceeded"))
      assert.equal("context_length", code_of(400,
        "This model's maximum context length is 4096 tokens."))
      assert.equal("rate_limited again", code_of(429, "x", "other"))
    end)

    it("204 is empty", function()
      server:script { { status = 204, framing = "length" } }
      assert.equal(204, fails(agent(), "empty_response").status)
    end)

    it("1xx only is none", function()
      server:script { answers.raw("HTTP/1.1 100 Continue\r\n\r\n") }
      fails(agent(), "network")
    end)
  end)

  describe("that is an error", function()
    local function told(answer, code)
      server:script { answer }
      return fails(agent(), code or "server")
    end

    it("may be empty", function()
      assert.equal("HTTP 502 (no text)",
        told { status = 502, body = "" }.message)
    end)

    it("may be HTML, which is not shown", function()
      local err = told { status = 500, body = "\n<!doctype html><p>x" }
      assert.equal("HTTP 500 (an HTML page)", err.message)
    end)

    it("may be plain text, which is shown", function()
      assert.equal("HTTP 500: upstream  gone",
        told { status = 500, body = " upstream  gone\n" }.message)
    end)

    it("may come in other forms than OpenAI's", function()
      for _, body in ipairs { { error = "told" }, { { error = {
        message = "told" } } }, { message = "told" }, { detail = "told" },
        { detail = { { msg = "told" } } } } do
        assert.equal("told", told { status = 500, json = body }.message)
      end
    end)

    it("may be large: its beginning is shown", function()
      local err = told { status = 500, body = "begins " , times = 1 << 20 }
      assert.truthy(#err.message < 1000)
      assert.truthy(err.message:find("HTTP 500: begins begins", 1, true))
      err = told(answers.failure(400, ("ü"):rep(9000)), "bad_request")
      assert.truthy(err.message:find("^üüü"))
      assert.truthy(#err.message < 1000)
    end)

    it("may have anything in it: it is made printable", function()
      local err = told(answers.bytes("a\xffb\0c\r\nd\27[31m\xe2\x80",
        { status = 500 }))
      assert.truthy(err.message:find("^HTTP 500: a\u{fffd}b%?c%?%?d%?%[31m"),
        err.message)
      err = told(answers.failure(400, "x\r\nforged: line\0\27[0m\u{9b}"),
        "bad_request")
      assert.equal("x??forged: line??[0m?", err.message)
      err = told({ status = 400, headers = { { "x-request-id",
        "a\27[1m\tb" } } }, "bad_request")
      assert.is_nil(err.request_id:find("%c"))
    end)

    it("does not repeat our key", function()
      local text = "Incorrect API key: " .. KEY .. ", Bearer " .. KEY
      assert.equal("Incorrect API key: ***, Bearer ***",
        told(answers.failure(401, text), "auth").message)
      fails(agent():with_header("X-Other", "y"), "server")
      told({ status = 401, body = text }, "auth")
      told({ status = 401, json = { error = { message = "x", code = KEY } } },
        "auth")
      server:script { answers.failure(400, "no: s3cr3t-token-1") }
      local a = agent():with_header("X-Token", "s3cr3t-token-1")
      assert.equal("no: ***", fails(a, "bad_request").message)
    end)

    it("says when to come back", function()
      for value, seconds in pairs { ["7"] = 7, ["0.5"] = 0.5, ["0"] = 0,
        ["Sun, 06 Nov 1994 08:49:37 GMT"] = 0 } do
        assert.equal(seconds, told(answers.failure(503, "x",
          { headers = { ["Retry-After"] = value } })).retry_after)
      end
      for _, value in ipairs { "-1", "soon", "1e9999", "" } do
        assert.is_nil(told(answers.failure(503, "x",
          { headers = { ["Retry-After"] = value } })).retry_after)
      end
      assert.equal(0.25, told(answers.failure(429, "x", { headers = {
        ["retry-after-ms"] = "250", ["Retry-After"] = "9" } }),
        "rate_limited").retry_after)
    end)

    it("may have status 200", function()
      assert.equal("told", told({ json = { error = { message = "told" } } },
        "api_error").message)
      assert.equal("told", told({ json = { error = "told" } },
        "api_error").message)
      assert.equal("rate_limited", told({ json = { error = {
        message = "told", code = "rate_limit_exceeded" } } },
        "rate_limited").code)
    end)
  end)

  describe("with status 200", function()
    local function told(answer, code)
      server:script { answer, answer }
      local err = fails(agent(), code)
      assert.equal(code, fails(agent(), code, true).code)
      assert.equal(200, err.status)
      return err
    end

    it("may be empty", function()
      assert.is_true(told({ body = "" }, "empty_response").retryable)
      told({ body = " \r\n" }, "empty_response")
    end)

    it("may be no JSON", function()
      told({ body = "<html>Log in</html>" }, "content_type")
      told({ body = "hello" }, "content_type")
      for _, body in ipairs { "{", "{}", "[]", '{"choices":[]}', "{}{}",
        '{"choices":[{}]}', '{"choices":[{"message":null}]}',
        '{"choices":{"message":{"content":"x"}}}', '{"choices":[null]}',
        '{"choices":[{"message":{"content":{}}}]}',
        '{"choices":[{"message":{"content":"x"}}]} x',
        ("["):rep(100000) } do
        told({ body = body }, "protocol")
      end
    end)

    it("may ask for a tool, which is not supported yet", function()
      told({ body = [[{"choices":[{"finish_reason":"tool_calls","message":{
        "role":"assistant","content":null,"tool_calls":[{"id":"1","type":
        "function","function":{"name":"f","arguments":"{}"}}]}}]}]] },
        "unsupported")
    end)

    it("may be too large, also when it is unpacked", function()
      local before = collectgarbage("count")
      server:script { { body = "x", times = 65 << 20, framing = "close" },
        { body = "x", times = 65 << 20, gzip = true } }
      for _ = 1, 2 do
        local err = fails(agent(), "too_large")
        assert.truthy(err.message:find("67108864 bytes", 1, true))
        assert.is_false(err.retryable)
      end
      assert.truthy(collectgarbage("count") < before + 10000)
    end)

    it("may be cut off", function()
      for _, framing in ipairs { "length", "chunked" } do
        server:script { answers.plain("x", { cut = 20, framing = framing }) }
        assert.is_true(fails(agent(), "truncated").retryable)
      end
      server:script { answers.plain("x", { cut = 20, framing = "close" }) }
      fails(agent(), "protocol")
      server:script { answers.plain(("x"):rep(9999),
        { reset = true, cut = 40 }) }
      local err = select(2, agent():ask("hi"))
      assert.truthy(err.code == "network" or err.code == "truncated")
      assert.is_true(err.retryable)
    end)
  end)

  describe("that redirects", function()
    it("is not followed", function()
      local other = test_server.start()
      for _, status in ipairs { 301, 302, 303, 307, 308 } do
        server:script { { status = status, headers = {
          Location = other.url .. "/chat/completions" } } }
        fails(agent(), "redirect")
        server:script { { status = status, headers = {
          Location = "/v1/chat/completions" } } }
        fails(agent(), "redirect")
      end
      assert.equal(10, #server:requests())
      assert.equal(0, other:stats().connections)
      other:stop()
    end)
  end)

  describe("that never comes", function()
    local function took(from, least, most)
      local seconds = socket.gettime() - from
      assert.truthy(seconds >= least and seconds <= most,
        ("took %.2f s, not %g to %g"):format(seconds, least, most))
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
        :with_timeout(5), "network")
    end)

    it("as the connection is closed or reset", function()
      for _, how in ipairs { {}, { reset = true } } do
        server:script({ answers.raw("", how) }, "repeat")
        assert.is_true(fails(agent(), "network").retryable)
      end
    end)

    it("within the time for all of it", function()
      server:script({ answers.raw("", { hang = true }) }, "repeat")
      local from = socket.gettime()
      local err = fails(agent():with_timeout(0.3), "timeout")
      took(from, 0.3, 0.8)
      assert.is_true(err.retryable)
      assert.truthy(err.message:find("0.3 s", 1, true))
    end)

    it("in whole, within the time for all of it", function()
      server:script { answers.plain("x", { chunk_size = 1, delay_ms = 50 }),
        answers.stream({ "x" }, { chunk_size = 1, delay_ms = 50 }) }
      for _, streamed in ipairs { false, true } do
        local from = socket.gettime()
        fails(agent():with_timeout { total = 0.4, idle = 10 }, "timeout",
          streamed)
        took(from, 0.4, 0.9)
      end
    end)

    it("in whole, as it falls silent", function()
      server:script { answers.plain(("x"):rep(99), { cut = 9, hang = true }),
        answers.stream({ "x" }, { cut = 9, hang = true }) }
      for _, streamed in ipairs { false, true } do
        local from = socket.gettime()
        fails(agent():with_timeout { total = 60, idle = 0.3 }, "timeout",
          streamed)
        took(from, 0.3, 0.8)
      end
    end)

    it("but a whole answer may be thought about longer", function()
      server:script { answers.plain("x", { wait_ms = 500 }),
        answers.stream({ "x" }, { wait_ms = 500 }) }
      local a = agent():with_timeout { idle = 0.2 }
      assert.equal("x", a:ask("hi"))
      fails(a, "timeout", true)
    end)

    it("as no connection comes about", function()
      -- Accepted by the system, never answered: no TLS.
      local listener = assert(socket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      local from = socket.gettime()
      local a = agent { base_url = "https://127.0.0.1:" .. port .. "/v1" }
      local err = fails(a:with_timeout { connect = 0.3, total = 60 },
        "timeout")
      took(from, 0.3, 0.8)
      assert.truthy(err.message:find("no connection", 1, true))
      listener:close()
    end)

    it("and the next ask is none the worse", function()
      server:script({ answers.raw("", { hang = true }),
        answers.plain("x", { cut = 9, hang = true }) }, "echo")
      local a = agent():with_timeout { total = 0.3 }
      fails(a, "timeout")
      fails(a, "timeout")
      assert.equal("echo: hi", a:ask("hi"))
    end)
  end)
end)
