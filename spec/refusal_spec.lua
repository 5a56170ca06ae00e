-- What is refused before anything is sent, and that keys are seen nowhere.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local json = require "dkjson"
local patience = require "support.patience"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c"

describe("refused before anything is sent:", function()
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
    options.api_key = options.api_key or KEY
    options.retry = options.retry or false
    return deepagent.new(options)
  end

  --- Whether making the agent and asking it fails. Returns the error, raised
  --- or returned, after making sure that nothing of `secret` is in it.
  local function refused(make, secret)
    local made, value, err = pcall(function() return make():ask("hi") end)
    assert.is_falsy(made and value, "it was not refused")
    err = made and err or value
    local shown = tostring(err)
    if type(err) == "table" then
      for _, text in pairs(err) do shown = shown .. "\n" .. tostring(text) end
    end
    assert.is_nil(shown:find(KEY, 1, true))
    if secret then assert.is_nil(shown:find(secret, 1, true)) end
    assert.is_nil(tostring(err):find("[\0-\8\11-\31\127]"))
    assert.equal(0, server:stats().connections)
    return err
  end

  local bad_bytes = { ["CR"] = "\r", ["LF"] = "\n", ["CRLF"] = "\r\n",
    ["NUL"] = "\0", ["ESC"] = "\27", ["DEL"] = "\127" }

  for name, byte in pairs(bad_bytes) do
    it(name .. " in a header's value", function()
      refused(function()
        return agent():with_header("X-A", "1" .. byte .. "X-Secret: 2")
      end, "X-Secret")
      refused(function()
        return agent { headers = { ["X-A"] = "Secret-1" .. byte } }
      end, "Secret-1")
      refused(function()
        return agent { organization = "org" .. byte .. "X: y" }
      end)
      refused(function() return agent { project = byte } end)
    end)

    it(name .. " in a header's name", function()
      refused(function()
        return agent():with_header("X" .. byte .. "Y", "1")
      end)
    end)

    it(name .. " in a key", function()
      refused(function()
        return agent { api_key = KEY .. byte .. "X-Evil: 1" }
      end)
      refused(function() return agent { api_key = KEY .. byte } end)
      refused(function()
        return deepagent.openai("m", { base_url = server.url,
          api_key = byte .. KEY })
      end)
    end)

    it(name .. " in a model's name", function()
      refused(function() return agent { model = "m" .. byte .. "x" } end)
      refused(function() return agent { model = "m" .. byte } end)
    end)

    it(name .. " in a base URL", function()
      local url = server.url
      for _, bad in ipairs { url .. byte, byte .. url, url .. byte .. "x",
        url:gsub("/v1", byte .. "/v1"), url:gsub(":%d+", byte .. "%0") } do
        refused(function() return agent { base_url = bad } end)
      end
    end)
  end

  -- Every other place where a user's string comes near a header or a URL.
  -- `%s` stands for the bad bytes.
  local places = {
    { "endpoint", "http://127.0.0.1:%s1" }, { "endpoint", "%s" },
    { "endpoint", "https://a/b%sX-Secret: 1" },
    { "api_version", "2024%s" }, { "api_version", "%sX-Secret: 1" },
    { "deployment", "%s" }, { "deployment", "d%sX-Secret: 1" },
    { "token", "%s" }, { "token", "t%sX-Secret: 1" },
    { "api_key", "%s" }, { "api_key", "k%sX-Secret: 1" },
    { "proxy", "http://127.0.0.1:1%s" }, { "proxy", "%s127.0.0.1:1" },
    { "proxy", "http://a:b%sX-Secret: 1@127.0.0.1:1" },
    { "ca_file", "/tmp/%sSecret" }, { "base_url", "https://a/b?c=%sSecret" },
    { "organization", "o%sX-Secret: 1" }, { "project", "%s" },
    { "header", "api-key", "k%sX-Secret: 1" }, { "header", "X%sSecret", "1" },
  }

  for name, byte in pairs(bad_bytes) do
    it(name .. " in any option of Azure", function()
      for _, place in ipairs(places) do
        local what, value = place[1], place[2]:gsub("%%s", byte)
        local third = place[3] and place[3]:gsub("%%s", byte)
        local err = refused(function()
          local options = { endpoint = server.origin }
          if what == "header" then
            options.headers = { [value] = third }
          elseif what ~= "deployment" then
            options[what] = value
          end
          return deepagent.azure(what == "deployment" and value or "d",
            options)
        end, "Secret")
        assert.is_string(err, what) -- raised: nothing was made
      end
    end)
  end

  it("a proxy that is none, whose password is not shown", function()
    for _, proxy in ipairs { "", "://", "ftp://hunter2", "http://",
      "http://u:hunter2@", "http://u:hunter2@h:x", "http://u:hunter2@h/x",
      "file:///hunter2", "env ", "ENV:hunter2" } do
      local err = refused(function() return agent { proxy = proxy } end,
        "hunter2")
      assert.truthy(tostring(err):find("bad option 'proxy' (invalid_url: ",
        1, true), tostring(err))
    end
  end)

  it("a proxy elsewhere for what is not encrypted", function()
    local err = refused(function()
      return agent { proxy = "http://u:hunter2@proxy.example" }
    end, "hunter2")
    assert.truthy(tostring(err):find("invalid_url: ", 1, true))
  end)

  it("an endpoint with a query, a deployment that is a way up", function()
    for _, bad in ipairs { { "d", server.origin .. "?x=1" },
      { "d", server.origin .. "#x" }, { "d", "ftp://a" }, { "d", "" },
      { ".", server.origin }, { "..", server.origin },
      { "", server.origin } } do
      refused(function()
        return deepagent.azure(bad[1], { api_key = KEY, endpoint = bad[2] })
      end)
    end
  end)

  it("header names that are no names", function()
    for _, name in ipairs { "", " ", "X Y", "X:", ":", "X\"", "Ü", "X/Y" } do
      refused(function() return agent():with_header(name, "1") end)
    end
  end)

  it("headers that are the transport's own", function()
    for _, name in ipairs { "Host", "content-length", "Transfer-Encoding",
      "CONNECTION", "Expect", "Accept-Encoding", "Upgrade" } do
      refused(function() return agent():with_header(name, "1") end)
    end
  end)

  it("a model without a name, or with bytes that are no text", function()
    refused(function() return agent { model = "" } end)
    refused(function() return agent { model = "m\xff" } end)
  end)

  it("a key with a blank or letters that are not ASCII", function()
    refused(function() return agent { api_key = KEY .. " x" } end)
    refused(function() return agent { api_key = KEY .. "ü" } end)
  end)

  it("http to other machines", function()
    for _, host in ipairs { "example.com", "192.0.2.1", "127.0.0.1.example.com",
      "localhost.example.com", "127.1", "2130706433", "0x7f.0.0.1",
      "0177.0.0.1", "[::ffff:127.0.0.1]", "[2001:db8::1]", "0.0.0.0",
      "user@127.0.0.1", "127.0.0.1@example.com", "127.0.0.1%2eexample.com",
      "127.0.0.1\\@example.com", "example.com#@127.0.0.1" } do
      local err = refused(function()
        return agent { base_url = "http://" .. host .. "/v1" }
      end)
      assert.truthy(tostring(err):find("invalid_url: ", 1, true), host)
    end
  end)

  it("unless allow_http says otherwise", function()
    local a = agent { base_url = "http://nonexistent.invalid/v1",
      allow_http = true }:with_timeout(patience.long)
    local text, err = a:ask("hi")
    assert.is_nil(text)
    assert.equal("network", err.code)
  end)

  it("but not to this machine", function()
    local port = ":" .. server.port
    for _, host in ipairs { "localhost", "127.0.0.1", "LOCALHOST" } do
      local a = agent { base_url = "http://" .. host .. port .. "/v1" }
      assert.equal("echo: hi", a:ask("hi"))
    end
  end)

  it("other things than an http URL", function()
    for _, url in ipairs { "", "/", "file:///etc/passwd", "gopher://127.0.0.1",
      "127.0.0.1:1/v1", "ftp://127.0.0.1/", "//127.0.0.1/v1", "https://",
      "https:///v1", "https://:443/v1", "https://a:b/v1", "https://a:99999",
      "https://a:0/v1", "https://[::1", "https://a b/v1", "https://ü.example",
      "https://a/#f", "https://a/?q=1#f", "https://u:p@a/v1", "https://-a/",
      "https://" .. ("a"):rep(5000) .. "/" } do
      local err = refused(function() return agent { base_url = url } end)
      assert.truthy(tostring(err):find("invalid_url: ", 1, true), url)
    end
  end)

  it("a user name or password in a base URL, which is not shown", function()
    refused(function()
      return agent { base_url = server.url:gsub("//", "//user:hunter2@") }
    end, "hunter2")
  end)

  it("a bad OPENAI_BASE_URL or OPENAI_API_KEY", function()
    local program = [[local d = require "deepagent"
      local made, a, err = pcall(d.openai, "m")
      if made then a, err = a:ask("hi") else err = a end
      io.write(tostring(err))]]
    local out = child.run(program, { env = { OPENAI_API_KEY = KEY,
      OPENAI_BASE_URL = "http://example.com/v1" } })
    assert.truthy(out:find("invalid_url: ", 1, true), out)
    assert.is_nil(out:find(KEY, 1, true))
    out = child.run(program, { env = { OPENAI_API_KEY = KEY .. "\n",
      OPENAI_BASE_URL = server.url } })
    assert.truthy(out:find("invalid_argument: ", 1, true), out)
    assert.is_nil(out:find(KEY, 1, true))
    assert.equal(0, server:stats().connections)
  end)

  it("to ask OpenAI without a key, at the first ask", function()
    local program = ([[local d = require "deepagent"
      local a = d.openai("m", { base_url = "%s" }):with_memory()
      for _, verb in ipairs { "ask", "stream" } do
        local text, err = a[verb](a, "hi")
        assert(text == nil and #a:get_history() == 0)
        print(err.code, tostring(err))
      end]]):format(server.url)
    for _, key in ipairs { false, "" } do
      local out = child.run(program, { env = { OPENAI_API_KEY = key } })
      local _, count = out:gsub("missing_api_key\tmissing_api_key: ", "")
      assert.equal(2, count, out)
      assert.truthy(out:find("OPENAI_API_KEY", 1, true))
    end
    assert.equal(0, server:stats().connections)
  end)
end)

describe("a key is not seen in", function()
  local server, logged, a

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    server:reset()
    logged = {}
    a = deepagent.openai("m", { base_url = server.url, api_key = KEY })
      :with_header("X-Other-Key", "other-" .. KEY):with_memory()
      :with_logger(function(level, message, fields)
        logged[#logged + 1] = level .. message .. json.encode(fields)
      end)
  end)

  local function clean(text)
    assert.is_nil(text:find("canary", 1, true), text)
  end

  it("tostring, of the agent or a clone", function()
    clean(tostring(a))
    clean(tostring(a:clone()))
  end)

  it("the log, whatever happens", function()
    server:script({ answers.failure(401, "bad key " .. KEY),
      { status = 500, body = "Bearer " .. KEY }, { body = KEY },
      answers.events { "event: error\ndata: " .. KEY .. "\n\n" },
      answers.events { "data: " .. KEY .. "\n\n" },
      answers.raw("HTTP/1.1 " .. KEY .. "\r\n\r\n"),
      { status = 500, headers = { ["X-Request-Id"] = KEY } } }, "echo")
    for i = 1, 8 do
      local verb = i % 2 == 0 and a.stream or a.ask
      local text, err = verb(a, "hi", i % 2 == 0 and function() end or nil)
      clean(tostring(text or err))
      for _, value in pairs(err or {}) do clean(tostring(value)) end
    end
    assert.truthy(#logged >= 8)
    clean(table.concat(logged, "\n"))
  end)

  it("the error of an answer that cannot be read", function()
    server:script { answers.raw("HTTP/1.1 200 OK\r\nContent-Length: "
      .. KEY .. "\r\n\r\n{}") }
    clean(tostring(select(2, a:ask("hi"))))
  end)

  it("a session's file", function()
    a:with_session_id("s")
    assert(a:ask("hi"))
    assert(a:close())
    local pipe = io.popen("grep -rl canary \"$HOME\" \"$TMPDIR\"; "
      .. "find \"$HOME\" -name 's.json'")
    local found = pipe:read("a")
    pipe:close()
    assert.truthy(found:find("^[^\n]*/sessions/s%.json\n$"), found)
  end)
end)
