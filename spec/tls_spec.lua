-- TLS and HTTP/2, with certificates that are made here: the test server's
-- own, and nghttpx, a proxy that many services stand behind, in front of it.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local patience = require "support.patience"
local process = require "support.process"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c"

local function shell(command)
  local pipe = io.popen(command .. " 2>&1")
  local out = pipe:read("a")
  assert(pipe:close(), out)
  return out
end

local function agent(url, options)
  options = options or {}
  options.model, options.base_url, options.api_key = "m", url, KEY
  return deepagent.new(options):with_timeout(patience.long):with_retry(false)
end

--- Nothing but a failed handshake came of it.
local function refused(a, server)
  server:reset()
  for _, verb in ipairs { "ask", "stream" } do
    local text, err = a[verb](a, "secret question")
    assert.is_nil(text)
    assert.equal("tls", err.code, tostring(err))
    assert.is_false(err.retryable)
    assert.is_nil(err.status)
    assert.is_nil(tostring(err):find(KEY, 1, true))
  end
  assert.same({}, server:requests())
end

for _, version in ipairs { "1.1", "2" } do
  describe("https by HTTP/" .. version, function()
    local server

    setup(function()
      server = test_server.start { tls = true, h2 = version == "2" }
    end)
    teardown(function() server:stop() end)
    before_each(function()
      collectgarbage()
      server:reset()
    end)

    local function trusting(options)
      options = options or {}
      options.ca_file = server.ca_file
      return agent(server.url, options)
    end

    it("answers whoever trusts the certificate", function()
      local a = trusting()
      assert.equal("echo: hi ✓", a:ask("hi ✓"))
      local heard = {}
      assert.equal("echo: a b", a:stream("a b", function(delta)
        heard[#heard + 1] = delta
      end))
      assert.same({ "echo:", " a", " b" }, heard)
      for _, request in ipairs(server:requests()) do
        assert.equal(version, request.protocol)
        assert.equal("Bearer " .. KEY, request.headers.authorization)
        assert.equal("/v1/chat/completions", request.path)
      end
    end)

    it("reuses its connection", function()
      local a = trusting()
      for _ = 1, 5 do assert(a:ask("hi")) end
      assert(trusting():ask("hi"))
      assert.equal(1, server:stats().connections)
      assert.equal(6, server:stats().requests)
    end)

    it("sends nothing to whom it does not trust", function()
      refused(agent(server.url), server)
    end)

    it("does not take over a connection that is trusted less", function()
      assert(agent(server.url, { insecure = true }):ask("hi"))
      refused(agent(server.url), server)
      assert(trusting():ask("hi"))
      refused(agent(server.url), server)
      refused(agent(server.url, { ca_file =
        "/etc/ssl/certs/ca-certificates.crt" }), server)
      assert(trusting():ask("hi"))
    end)

    it("does not go on with a ca_file that cannot be read", function()
      refused(agent(server.url, { ca_file = "/nonexistent/ca.pem" }), server)
      refused(agent(server.url, { ca_file = "/dev/null" }), server)
    end)

    it("is heard while it comes", function()
      server:script { answers.stream({ "a", "b" }, { gate = true }) }
      server:go()
      local heard = {}
      assert.equal("ab", trusting():stream("hi", function(delta)
        heard[#heard + 1] = delta
        for _ = 1, #heard == 2 and 3 or 1 do server:go() end
      end))
      assert.same({ "a", "b" }, heard)
    end)

    it("carries large questions and answers", function()
      local text = ("x✓"):rep(200000)
      assert.equal("echo: " .. text, trusting():ask(text))
      assert.equal("echo: " .. text, trusting():stream(text))
    end)

    it("unpacks what is compressed", function()
      local text = ("x✓"):rep(20000)
      for _, how in ipairs { { gzip = true }, { deflate = true } } do
        server:script({ answers.plain(text, how),
          answers.stream({ text, "." }, how) })
        local a = trusting()
        assert.equal(text, a:ask("hi"))
        assert.equal(text .. ".", a:stream("hi"))
      end
      for _, request in ipairs(server:requests()) do
        assert.equal("gzip, deflate", request.headers["accept-encoding"])
        assert.equal(version, request.protocol)
      end
    end)

    it("follows no redirect, and tells nobody else", function()
      local other = test_server.start()
      for _, status in ipairs { 302, 307 } do
        server:script { { status = status, headers = {
          Location = other.url .. "/chat/completions" } } }
        assert.equal("redirect", select(2, trusting():ask("hi")).code)
      end
      assert.equal(0, other:stats().connections)
      other:stop()
    end)

    it("tells errors as ever", function()
      server:script { answers.failure(429, "told",
        { headers = { ["x-request-id"] = "req-1" } }) }
      local err = select(2, trusting():ask("hi"))
      assert.same({ "rate_limited", 429, "req-1", "told" }, { err.code,
        err.status, err.request_id, err.message })
    end)

    it("does not take what is cut for whole", function()
      for _, how in ipairs { { cut = 40 }, { cut = 40, reset = true } } do
        for _, answer in ipairs { answers.plain(("x"):rep(99), how),
          answers.stream({ "abc" }, how) } do
          server:script({ answer }, "echo")
          local a = trusting():with_memory()
          local text, err = a:stream("hi", function() end)
          assert.is_nil(text)
          assert.truthy(err.code == "truncated" or err.code == "network"
            or err.code == "protocol" and version == "2", tostring(err))
          assert.is_true(err.retryable)
          assert.equal(0, #a:get_history())
          assert.equal("echo: x", a:ask("x"))
        end
      end
    end)

    it("is left and taken up again", function()
      local a = trusting()
      server:script({ answers.plain("1", { close = true }) }, "fail")
      assert.equal("1", a:ask("hi"))
      server:script({ answers.plain("2", { hang = true, cut = 9 }) }, "repeat")
      a:with_timeout(0.5)
      assert.equal("timeout", select(2, a:ask("hi")).code)
      server:reset()
      a:with_timeout(patience.long)
      assert.equal("echo: hi", a:ask("hi"))
      assert.equal("cancelled",
        select(2, a:stream("a b c", function() return false end)).code)
      assert.equal("echo: hi", a:ask("hi"))
    end)
  end)
end

describe("insecure = true", function()
  local server

  setup(function() server = test_server.start { tls = true } end)
  teardown(function() server:stop() end)

  it("works, and is told to the logger as a warning", function()
    for _, how in ipairs { "option", "method" } do
      local logged = {}
      local function log(level, message)
        logged[#logged + 1] = level .. ": " .. message
      end
      local a = agent(server.url, { insecure = true,
        logger = how == "option" and log or nil })
      if how == "method" then a:with_logger(log) end
      for _ = 1, 2 do assert.equal("echo: hi", a:ask("hi")) end
      local warnings = 0
      for _, line in ipairs(logged) do
        if line:find("^warn: .*certificate") then warnings = warnings + 1 end
      end
      assert.equal(1, warnings, how)
    end
  end)

  it("is needed to be exactly that", function()
    for _, value in ipairs { "true", 1, {} } do
      assert.error(function() agent(server.url, { insecure = value }) end)
    end
  end)
end)

describe("what is not meant to be", function()
  local tls, plain

  setup(function()
    tls = test_server.start { tls = true }
    plain = test_server.start()
  end)
  teardown(function()
    tls:stop()
    plain:stop()
  end)

  it("https to a server that speaks plain HTTP", function()
    refused(agent((plain.url:gsub("^http", "https"))), plain)
  end)

  it("http to a server that speaks TLS", function()
    local text, err = agent((tls.url:gsub("^https", "http"))):ask("hi")
    assert.is_nil(text)
    assert.truthy(err.code == "network" or err.code == "protocol", err.code)
  end)
end)

describe("behind nghttpx", function()
  local server, front, directory, port, other_port, old_port

  local function start()
    shell(([[cd %s && openssl req -x509 -nodes -days 2 -newkey ec \
      -pkeyopt ec_paramgen_curve:prime256v1 -keyout key.pem -out ca.pem \
      -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1
      openssl x509 -in ca.pem -days -1 -signkey key.pem -out old.pem]])
      :format(directory))
    local function proxy(certificate, ports)
      local command = { "nghttpx --conf=/dev/null --single-process --no-ocsp",
        ("-b 127.0.0.1,%d"):format(server.port),
        "--accesslog-file=/dev/stdout",
        "--accesslog-format='access $alpn $status $request'" }
      for host, number in pairs(ports) do
        command[#command + 1] = ("-f %s,%d"):format(host, number)
      end
      command[#command + 1] = directory .. "/key.pem"
      command[#command + 1] = directory .. "/" .. certificate
      return process.start(table.concat(command, " "), "Listening on")
    end
    port, other_port = process.free_port(), process.free_port()
    old_port = process.free_port()
    front = { proxy("ca.pem", { ["127.0.0.1"] = port,
      ["127.0.0.2"] = other_port }), proxy("old.pem",
      { ["127.0.0.1"] = old_port }) }
  end

  setup(function()
    if os.execute("command -v nghttpx >/dev/null") then
      directory = shell("mktemp -d"):gsub("\n", "")
      server = test_server.start()
      start()
    end
  end)
  teardown(function()
    if not front then return end
    for _, one in ipairs(front) do one:stop() end
    server:stop()
    shell("rm -r " .. directory)
  end)
  before_each(function()
    if server then server:reset() end
  end)

  local function there()
    if not front then pending("nghttpx is not installed (nghttp2-proxy)") end
    return front ~= nil
  end

  local function trusting(options)
    options = options or {}
    options.ca_file = directory .. "/ca.pem"
    return agent(("https://localhost:%d/v1"):format(port), options)
  end

  it("HTTP/2 is what is spoken", function()
    if not there() then return end
    assert.equal("echo: hi", trusting():ask("hi"))
    assert.equal("echo: a b", trusting():stream("a b"))
    local _, count = front[1]:output():gsub(
      "access h2 200 POST /v1/chat/completions HTTP/2", "")
    assert.equal(2, count)
    assert.equal("Bearer " .. KEY, server:requests()[1].headers.authorization)
    assert.equal("deepagent/" .. deepagent.version,
      server:requests()[1].headers["user-agent"])
  end)

  it("streams run beside each other, inside of each other", function()
    if not there() then return end
    server:script({ answers.stream({ "a", "b" }, { delay_ms = 20 }) }, "echo")
    local outer, inner, heard = trusting(), trusting(), {}
    assert.equal("ab", outer:stream("hi", function(delta)
      heard[#heard + 1] = assert(inner:ask(delta))
      heard[#heard + 1] = assert(inner:stream(delta .. "!"))
    end))
    assert.same({ "echo: a", "echo: a!", "echo: b", "echo: b!" }, heard)
  end)

  it("the name must be the certificate's", function()
    if not there() then return end
    refused(agent(("https://127.0.0.2:%d/v1"):format(other_port),
      { ca_file = directory .. "/ca.pem" }), server)
    assert(agent(("https://127.0.0.2:%d/v1"):format(other_port),
      { insecure = true }):ask("hi"))
  end)

  it("an expired certificate is refused", function()
    if not there() then return end
    refused(agent(("https://127.0.0.1:%d/v1"):format(old_port),
      { ca_file = directory .. "/old.pem" }), server)
  end)

  it("a service that is away is an error of the gateway", function()
    if not there() then return end
    server:script { answers.raw("") }
    local err = select(2, trusting():ask("hi"))
    assert.same({ "server", 502, true }, { err.code, err.status,
      err.retryable })
  end)

  it("nothing is printed, whatever goes wrong", function()
    if not there() then return end
    local out, status = child.run(([[local d = require "deepagent"
      for _, o in ipairs { {}, { insecure = true }, { ca_file = "/x" } } do
        o.model, o.base_url = "m", "https://127.0.0.2:%d/v1"
        d.new(o):ask("hi")
      end]]):format(other_port))
    assert.equal("", out)
    assert.equal(0, status)
  end)
end)
