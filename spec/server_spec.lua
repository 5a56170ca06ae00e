-- The test server itself: what specs lean on must hold first.

local http = require "support.http"
local json = require "dkjson"
local patience = require "support.patience"
local process = require "support.process"
local socket = require "socket"
local test_server = require "support.server"

local CHAT = "/v1/chat/completions"

local function connect(port, bytes)
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:settimeout(patience.long)
  connection:send(bytes)
  return connection
end

-- Sends bytes, returns all that comes until the end.
local function exchange(port, bytes)
  local connection = connect(port, bytes)
  local all, why, rest = connection:receive("*a")
  connection:close()
  return all or rest, why
end

-- What comes until it fits the pattern, and then for a moment nothing.
local function comes(connection, pattern)
  local text = ""
  while not text:find(pattern) do
    text = text .. assert(connection:receive(1))
  end
  connection:settimeout(0.2)
  assert.equal("timeout", select(2, connection:receive(1)))
  connection:settimeout(patience.long)
end

local function post(text, headers)
  return ("POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s"):format(CHAT,
    headers or "", #text, text)
end

describe("the test server", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  it("echoes the last user message", function()
    local body = json.encode { model = "m", messages = {
      { role = "user", content = "one two" },
      { role = "assistant", content = "three" },
      { role = "user", content = "four" },
    } }
    local text, status = http.request(server.port, "POST", CHAT, body)
    assert.equal(200, status)
    local answer = json.decode(text)
    assert.equal("echo: four", answer.choices[1].message.content)
    assert.same({ prompt_tokens = 4, completion_tokens = 2,
      total_tokens = 6 }, answer.usage)
  end)

  it("echoes as a stream", function()
    local body = json.encode { stream = true,
      stream_options = { include_usage = true },
      messages = { { role = "user", content = "a b" } } }
    local text = http.request(server.port, "POST", CHAT, body)
    local parts = {}
    for data in text:gmatch("data: (%b{})\n\n") do
      local choice = json.decode(data).choices[1]
      parts[#parts + 1] = choice and choice.delta.content
    end
    assert.equal("echo: a b", table.concat(parts))
    assert.truthy(text:find('"total_tokens": 5', 1, true))
    assert.truthy(text:find("data: [DONE]\n\n", 1, true))
  end)

  it("follows a script, then fails, repeats or echoes", function()
    server:script { { status = 429, headers = { ["Retry-After"] = "1" },
      body = "slow down" } }
    local text, status = http.request(server.port, "POST", CHAT, "{}")
    assert.equal("slow down", text)
    assert.equal(429, status)
    assert.equal(500, select(2, http.request(server.port, "POST", CHAT)))
    server:script({ { body = "x" } }, "repeat")
    http.request(server.port, "POST", CHAT)
    assert.equal("x", (http.request(server.port, "POST", CHAT)))
    server:script({}, "echo")
    assert.equal(400, select(2, http.request(server.port, "POST", CHAT)))
  end)

  it("records requests to the byte", function()
    http.request(server.port, "POST", "/a?b", "\0\255x")
    local request = server:requests()[1]
    assert.equal("POST", request.method)
    assert.equal("/a?b", request.path)
    assert.equal("\0\255x", request.body)
    assert.equal("3", request.headers["content-length"])
    assert.equal("Content-Length", request.header_list[3][1])
  end)

  it("keeps connections open and counts them", function()
    local last = post("{}", "Connection: close\r\n")
    exchange(server.port, post("{}") .. last)
    exchange(server.port, last)
    local stats = server:stats()
    assert.equal(2, stats.connections)
    assert.equal(3, stats.requests)
  end)

  it("cuts a body into chunks", function()
    server:script { { chunks = { "ab", "c" }, close = true },
      { body = "abc", chunk_size = 2, framing = "chunked", close = true } }
    for _ = 1, 2 do
      local text = exchange(server.port, post(""))
      assert.truthy(text:find("\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 1,
        true))
    end
  end)

  it("ends early, lies about the length, sends raw bytes", function()
    server:script { { body = "abcdef", cut = 3 },
      { body = "abc", content_length = 10, close = true },
      { raw = test_server.base64("\0\1\2"), chunk_size = 1, delay_ms = 1 } }
    local text = exchange(server.port, post(""))
    assert.truthy(text:find("Content%-Length: 6\r\n\r\nabc$"))
    text = exchange(server.port, post(""))
    assert.truthy(text:find("Content%-Length: 10.*\r\n\r\nabc$"))
    assert.equal("\0\1\2", exchange(server.port, post("")))
  end)

  it("sends a piece when it is told to", function()
    server:script { { chunks = { "a", "b" }, gate = true, close = true } }
    local connection = connect(server.port, post(""))
    comes(connection, "1\r\na\r\n$")
    server:go()
    local text = connection:receive("*a")
    assert.truthy(text:find("^1\r\nb\r\n"))
    connection:close()
  end)

  it("answers early, says a thing many times, ends without a word",
    function()
      server:script { { body = "ab", times = 3, early = true },
        { body = "x", close = "silent" } }
      local text = exchange(server.port, "POST / HTTP/1.1\r\n"
        .. "Content-Length: 99\r\n\r\n")
      assert.truthy(text:find("Content%-Length: 6\r\n.*\r\n\r\nababab$"))
      local why
      text, why = exchange(server.port, post(""))
      assert.truthy(text:find("x$"))
      assert.is_nil(text:find("Connection"))
      assert.not_equal("timeout", why)
    end)

  it("hangs, and resets", function()
    server:script { { body = "abc", content_length = 5, hang = true },
      { body = "abc", content_length = 5, reset = true } }
    local connection = connect(server.port, post(""))
    comes(connection, "abc$")
    connection:close()
    assert.not_equal("timeout", select(2, exchange(server.port, post(""))))
  end)

  it("speaks TLS and takes its certificate with it", function()
    local tls = test_server.start { tls = true }
    assert.truthy(tls.url:find("^https://127"))
    local ca = assert(io.open(tls.ca_file))
    assert.truthy(ca:read("a"):find("BEGIN CERTIFICATE", 1, true))
    ca:close()
    local pipe = io.popen(("printf 'POST %s HTTP/1.0\\r\\n"
      .. "Connection: close\\r\\n\\r\\n' | openssl s_client -quiet -connect "
      .. "127.0.0.1:%d -CAfile %s -verify_return_error 2>&1"):format(CHAT,
      tls.port, tls.ca_file))
    assert.truthy(pipe:read("a"):find("HTTP/1.1 400", 1, true))
    pipe:close()
    tls:stop()
    patience.eventually(function() return not io.open(tls.ca_file) end)
  end)

  -- By curl's own command, where the machine has one that can.
  it("speaks HTTP/2", function()
    local pipe = io.popen("curl --version 2>&1")
    local able = pipe:read("a"):find("HTTP2", 1, true)
    pipe:close()
    if not able then
      return pending("no curl command")
    end
    local h2 = test_server.start { h2 = true }
    h2:script({ { body = ("x"):rep(200000), chunk_size = 50000 },
      { body = "abcdef", cut = 3 } }, "echo")
    local function curl()
      local command = io.popen(("curl -s --cacert %s --data abc %s/chat/"
        .. "completions; echo $?"):format(h2.ca_file, h2.url))
      local text = command:read("a")
      command:close()
      return text
    end
    assert.equal(("x"):rep(200000) .. "0\n", curl())
    assert.equal("abc92\n", curl())
    assert.truthy(curl():find("not a chat request", 1, true))
    assert.equal("2", h2:requests()[3].protocol)
    assert.equal("abc", h2:requests()[3].body)
    h2:stop()
  end)

  it("is gone when who started it is gone", function()
    local pipe = io.popen([[lua5.4 -e 'local s = require "support.server"
      .start() print(s.port) os.exit(1, false)']])
    local port = tonumber(pipe:read("l"))
    pipe:close()
    patience.eventually(function()
      local connection = socket.connect("127.0.0.1", port)
      if connection then connection:close() end
      return not connection
    end)
  end)
end)

describe("a process beside a test", function()
  it("gets ready, is read and stopped", function()
    local child = process.start("sh -c 'echo ready; exec sleep 60'", "ready")
    assert.equal("ready\n", child:output())
    child:stop()
    assert.is_nil(io.open(child.file))
  end)

  it("says why it did not get ready", function()
    assert.error_matches(function()
      process.start("sh -c 'echo no such thing; exit 1'", "ready")
    end, "no such thing")
  end)

  it("finds a free port", function()
    local listener = socket.bind("127.0.0.1", process.free_port())
    assert.truthy(listener)
    listener:close()
  end)
end)
