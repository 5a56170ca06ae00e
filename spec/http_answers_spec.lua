-- What is made of the answers of a service, good and bad ones.

local answers = require "support.answers"
local deepagent = require "deepagent"
local failing = require "support.failing"
local test_server = require "support.server"

local KEY, fails = failing.key, failing.fails

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
    options.retry = options.retry or false
    return deepagent.new(options)
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
      assert.same(answers.tokens(3, 4), a:usage().last)
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
    it("compressed #smoke", function()
      both { gzip = true }
      both { gzip = true, chunk_size = 5, framing = "chunked" }
      both { deflate = true }
      both { deflate = true, chunk_size = 5, framing = "close" }
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

    it("413 may come before the question was sent", function()
      server:script({ answers.failure(413, "too much", { early = true,
        wait_ms = 50 }) }, "echo")
      local a = agent()
      local text, err = a:ask(("x"):rep(8 << 20))
      assert.is_nil(text)
      -- The rest of the question may reset the connection before the answer
      -- is read.
      assert.truthy(err.code == "too_large" or err.code == "network",
        tostring(err))
      assert.equal("echo: hi", a:ask("hi"))
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
end)
