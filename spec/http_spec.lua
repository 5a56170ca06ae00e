-- What is sent to a chat service, and over which connection.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local process = require "support.process"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c"

describe("a request", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage() -- agents of earlier tests
    server:reset()
  end)

  local function agent(options)
    options = options or {}
    options.model = options.model or "m"
    options.base_url = options.base_url or server.url
    options.retry = options.retry or false
    return deepagent.new(options)
  end

  local function body_of(a, question)
    assert(a:ask(question or "hi"))
    local list = server:requests()
    return list[#list].body
  end

  local function members(text)
    return '{"model":"m"' .. text
      .. ',"messages":[{"role":"user","content":"hi"}]}'
  end

  it("is a POST to base_url/chat/completions", function()
    assert.equal("echo: hi", agent():ask("hi"))
    assert.equal("echo: hi", agent { base_url = server.url .. "///" }
      :ask("hi"))
    assert.equal("echo: hi", agent { base_url = server.origin .. "/a/b%20c/v9" }
      :ask("hi"))
    local list = server:requests()
    assert.equal("POST", list[1].method)
    assert.equal("/v1/chat/completions", list[1].path)
    assert.equal("/v1/chat/completions", list[2].path)
    assert.equal("/a/b%20c/v9/chat/completions", list[3].path)
  end)

  it("has these headers and no others", function()
    assert(agent { api_key = KEY }:ask("hi"))
    assert(agent():stream("hi", function() end))
    local list = server:requests()
    local whole, streamed = list[1].headers, list[2].headers
    assert.same({
      ["host"] = "127.0.0.1:" .. server.port,
      ["user-agent"] = "deepagent/" .. deepagent.version,
      ["accept"] = "application/json",
      ["accept-encoding"] = "gzip, deflate",
      ["content-type"] = "application/json",
      ["authorization"] = "Bearer " .. KEY,
      ["content-length"] = tostring(#list[1].body),
    }, whole)
    assert.equal("text/event-stream", streamed.accept)
    assert.is_nil(streamed.authorization)
    assert.equal(7, #list[1].header_list)
  end)

  it("names organization and project", function()
    local a = deepagent.openai("m", { api_key = KEY, base_url = server.url,
      organization = "org-1", project = "proj-1" })
    assert(a:ask("hi"))
    local headers = server:requests()[1].headers
    assert.equal("org-1", headers["openai-organization"])
    assert.equal("proj-1", headers["openai-project"])
  end)

  it("takes key, URL, organization and project from the environment",
    function()
      local program = [[local a = require "deepagent".openai("m")
        io.write(assert(a:ask("hi")))]]
      assert.equal("echo: hi", (child.run(program, { env = {
        OPENAI_API_KEY = KEY, OPENAI_BASE_URL = server.url,
        OPENAI_ORG_ID = "org-2", OPENAI_PROJECT_ID = "proj-2" } })))
      local headers = server:requests()[1].headers
      assert.equal("Bearer " .. KEY, headers.authorization)
      assert.equal("org-2", headers["openai-organization"])
      assert.equal("proj-2", headers["openai-project"])
    end)

  it("prefers what was given to the environment", function()
    local program = ([[local a = require "deepagent".openai("m", { api_key =
      "given", base_url = "%s", organization = "org-3" })
      io.write(assert(a:ask("hi")))]]):format(server.url)
    assert.equal("echo: hi", (child.run(program, { env = {
      OPENAI_API_KEY = KEY, OPENAI_BASE_URL = "http://127.0.0.1:1/v1",
      OPENAI_ORG_ID = "org-2" } })))
    local headers = server:requests()[1].headers
    assert.equal("Bearer given", headers.authorization)
    assert.equal("org-3", headers["openai-organization"])
  end)

  it("goes without an Authorization header if no key is given", function()
    local program = ([[local d = require "deepagent"
      assert(d.new { model = "m", base_url = "%s" }:ask("hi"))
      assert(d.ollama("m", { base_url = "%s" }):ask("hi"))]]):format(
      server.url, server.url)
    assert.equal("", (child.run(program,
      { env = { OPENAI_API_KEY = KEY } })))
    for _, request in ipairs(server:requests()) do
      assert.is_nil(request.headers.authorization)
    end
    assert.equal(2, #server:requests())
  end)

  it("carries a key to Ollama if one is given", function()
    assert(deepagent.ollama("m", { base_url = server.url, api_key = KEY })
      :ask("hi"))
    assert.equal("Bearer " .. KEY, server:requests()[1].headers.authorization)
  end)

  it("carries the user's headers, which win over ours", function()
    local a = agent { api_key = KEY, headers = { ["X-One"] = "1" } }
      :with_header("X-Two", "a\tb"):with_header("x-two", "c d; e=\"f\"")
      :with_header("X-Empty", ""):with_header("X-Utf8", "grün")
      :with_header("authorization", "Basic abc")
      :with_header("Accept", "text/plain")
      :with_header("User-Agent", "mine/1")
      :with_header("Content-Type", "application/json; charset=utf-8")
    assert(a:ask("hi"))
    local request = server:requests()[1]
    assert.same({ "1", 'c d; e="f"', "", "Basic abc", "text/plain", "mine/1",
      "application/json; charset=utf-8" }, {
      request.headers["x-one"], request.headers["x-two"],
      request.headers["x-empty"], request.headers.authorization,
      request.headers.accept, request.headers["user-agent"],
      request.headers["content-type"] })
    assert.equal("grün", (request.headers["x-utf8"]:gsub(
      "[\xc2\xc3][\x80-\xbf]",
      function(c) return string.char(utf8.codepoint(c)) end)))
    local seen = {}
    for _, pair in ipairs(request.header_list) do
      assert.is_nil(seen[pair[1]:lower()], pair[1] .. " twice")
      seen[pair[1]:lower()] = true
    end
  end)

  it("has only model and messages unless more is set", function()
    assert.equal(members "", body_of(agent()))
  end)

  it("has the settings in the order in which they were set", function()
    local a = agent():with_top_p(0.5):with_temperature(0.7)
      :with_max_tokens(100):with_stop { "a", "ü\n" }:with_seed(-3)
      :with_presence_penalty(-1.5):with_frequency_penalty(2)
    assert.equal(members(',"top_p":0.5,"temperature":0.7,"max_tokens":100'
      .. ',"stop":["a","ü\\n"],"seed":-3,"presence_penalty":-1.5'
      .. ',"frequency_penalty":2'), body_of(a))
    a:with_stop("END"):with_seed(math.maxinteger)
    assert.truthy(body_of(a):find('"stop":"END","seed":9223372036854775807',
      1, true))
  end)

  it("sends numbers as they were meant", function()
    local a = agent():with_temperature(0.1)
    assert.equal(members ',"temperature":0.1', body_of(a))
    a:with_temperature(1):with_extra { big = 9007199254740993, tiny = 5e-324 }
    local body = body_of(a)
    assert.truthy(body:find('"temperature":1,', 1, true))
    assert.truthy(body:find('"big":9007199254740993', 1, true))
    assert.equal(5e-324, tonumber(body:match '"tiny":([^,}]+)'))
  end)

  it("merges what extra has, which wins", function()
    local a = agent():with_temperature(0.7):with_extra {
      response_format = { type = "json_object" } }
    a:with_extra { temperature = 1.5 }:with_temperature(0.2)
    assert.equal(members(',"response_format":{"type":"json_object"}'
      .. ',"temperature":1.5'), body_of(a))
  end)

  it("tells empty lists from empty objects, and nests", function()
    local a = agent():with_extra { tags = deepagent.array {} }
      :with_extra { meta = {} }
      :with_extra { deep = { { { x = { deepagent.null, true } } } } }
    assert.equal(members(',"tags":[],"meta":{}'
      .. ',"deep":[[{"x":[null,true]}]]'), body_of(a))
  end)

  it("leaves out a member that extra has as null", function()
    local a = agent():with_temperature(0.7):with_seed(1)
      :with_extra { temperature = deepagent.null }
    assert.equal(members ',"seed":1', body_of(a))
    assert(agent():with_extra { stream_options = deepagent.null }
      :stream("hi", function() end))
    local list = server:requests()
    assert.equal(members ',"stream":true', list[#list].body)
  end)

  it("asks for the usage of a stream", function()
    local a = agent()
    assert(a:stream("hi", function() end))
    assert.equal(members(',"stream":true'
      .. ',"stream_options":{"include_usage":true}'),
      server:requests()[1].body)
    assert.same(answers.tokens(1, 2),
      a:usage().last)
    a:with_extra { stream_options = { include_usage = false } }
    assert(a:stream("hi", function() end))
    assert.equal(members(',"stream_options":{"include_usage":false}'
      .. ',"stream":true'), server:requests()[2].body)
  end)

  it("refuses extras that are the agent's own", function()
    for _, name in ipairs { "messages", "model", "stream" } do
      assert.error_matches(function()
        agent():with_extra { [name] = "x" }
      end, name)
    end
  end)

  it("has system, history, question in this order", function()
    local a = agent():with_memory():with_system('be "brief"\n'):with_messages {
      { role = "user", content = "q0" },
      { role = "assistant", content = "a0" },
    }
    body_of(a, "q1")
    assert.equal('{"model":"m","messages":['
      .. '{"role":"system","content":"be \\"brief\\"\\n"},'
      .. '{"role":"user","content":"q0"},'
      .. '{"role":"assistant","content":"a0"},'
      .. '{"role":"user","content":"q1"},'
      .. '{"role": "assistant","content": "echo: q1"},'
      .. '{"role":"user","content":"q2"}]}', body_of(a, "q2"))
    a:with_system("")
    assert.truthy(body_of(a, "q3"):find('"messages":[{"role":"user"', 1,
      true))
  end)

  it("has no more than max_history messages, whole turns only", function()
    local a = agent():with_memory():with_system("s")
    for i = 1, 4 do body_of(a, "q" .. i) end
    local expected = {
      [1] = { "s", "q5" }, [2] = { "s", "q6" },
      [3] = { "s", "q6", "echo: q6", "q7" },
      [4] = { "s", "q7", "echo: q7", "q8" },
      [5] = { "s", "q7", "echo: q7", "q8", "echo: q8", "q9" },
    }
    for i = 1, 5 do
      a:with_max_history(i)
      local contents = {}
      for content in body_of(a, "q" .. 4 + i):gmatch '"content": ?"([^"]*)"' do
        contents[#contents + 1] = content
      end
      assert.same(expected[i], contents)
    end
    assert.equal(18, #a:get_history())
  end)

  it("stands alone without memory", function()
    local a = agent()
    body_of(a, "q1")
    assert.equal(members "", body_of(a, "hi"))
    assert.equal(0, #a:get_history())
  end)

  it("carries any text", function()
    local text = "\0\1\t\r\n\"\\/ \u{7f} ü✓😀 \u{2028} \u{10ffff} </script>"
    local a = agent():with_memory()
    assert.equal("echo: " .. text, a:ask(text))
    assert.equal("echo: " .. text, a:stream(text, function() end))
    assert.equal(text, a:get_history()[1].content)
    local body = server:requests()[2].body
    assert.truthy(body:find("\\u0000\\u0001\\t\\r\\n\\\"\\\\", 1, true))
    assert.is_nil(body:find("[\0-\x1f]"))
    local big = ("x ü"):rep(500000)
    assert.equal("echo: " .. big, agent():ask(big))
  end)

  it("is not made of what is no text", function()
    for _, bad in ipairs { "\xff", "a\xc0\x80", "\xed\xa0\x80", "x\xf0\x9f" } do
      local text, err = agent():ask(bad)
      assert.is_nil(text)
      assert.equal("invalid_utf8", err.code)
      assert.error(function() agent():with_system(bad) end)
    end
    assert.equal(0, #server:requests())
  end)

  it("carries no cookie of an earlier answer", function()
    server:script({ answers.plain("a",
      { headers = { ["Set-Cookie"] = "id=1; Path=/" } }) }, "echo")
    local a = agent()
    assert(a:ask("hi"))
    assert(a:ask("hi"))
    assert.is_nil(server:requests()[2].headers.cookie)
  end)

  describe("reuses its connection", function()
    it("over many asks, and between agents #smoke", function()
      local a, b = agent(), agent { api_key = KEY }
      for _ = 1, 5 do
        assert(a:ask("hi"))
        assert(b:stream("hi", function() end))
      end
      assert.equal(1, server:stats().connections)
      assert.equal(10, server:stats().requests)
    end)

    it("after an HTTP error with a body", function()
      server:script({ answers.failure(500, "no"), answers.failure(429, "no"),
        answers.failure(400, ("x"):rep(3000)) }, "echo")
      local a = agent()
      for _ = 1, 3 do assert.is_nil((a:ask("hi"))) end
      assert(a:ask("hi"))
      assert.equal(1, server:stats().connections)
    end)

    it("unless the server has closed it meanwhile", function()
      server:script({ answers.plain("1", { close = "silent" }),
        answers.plain("2", { close = true }) }, "echo")
      local a = agent()
      assert.equal("1", a:ask("hi"))
      assert.equal("2", a:ask("hi"))
      assert.equal("echo: hi", a:ask("hi"))
      assert.equal(3, server:stats().connections)
    end)

    it("and asks again if it ended just when it was used", function()
      server:script({ answers.plain("1"), answers.raw("") }, "echo")
      local a = agent()
      assert.equal("1", a:ask("hi"))
      assert.equal("echo: hi", a:ask("hi"))
      assert.equal(2, server:stats().connections)
    end)

    it("and not one with unread bytes of an earlier answer", function()
      local first = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
      local forged = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
        .. '{"choices":[{"message":{"content":"forged"}}]}              '
      server:script({ answers.raw(first .. forged) }, "echo")
      local a = agent()
      assert.is_nil((a:ask("hi")))
      assert.equal("echo: hi", a:ask("hi"))
    end)
  end)

  describe("ignores the environment's proxy", function()
    local variables = { "http_proxy", "HTTP_PROXY", "https_proxy",
      "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }
    local program = [[local a = require "deepagent".new { model = "m",
      base_url = "%s", proxy = %s, api_key = "%s" }
      io.write(tostring(select(-1, a:ask("hi"))))]]

    local function run(proxy_option, proxy)
      local environment = { no_proxy = "", NO_PROXY = "" }
      for _, name in ipairs(variables) do environment[name] = proxy end
      return (child.run(program:format(server.url, proxy_option, KEY),
        { env = environment }))
    end

    it("unless told otherwise", function()
      local proxy = test_server.start()
      assert.equal("echo: hi", run("nil", proxy.origin))
      assert.equal(0, #proxy:requests())
      assert.equal("echo: hi", run('"env"', proxy.origin))
      assert.equal("echo: hi", run(("%q"):format(proxy.origin), nil))
      assert.equal(1, #server:requests())
      assert.equal(2, #proxy:requests())
      assert.equal(server.url .. "/chat/completions",
        proxy:requests()[1].path)
      proxy:stop()
    end)

    it("even if nothing listens there", function()
      local dead = "http://127.0.0.1:" .. process.free_port()
      assert.equal("echo: hi", run("nil", dead))
      local out = run('"env"', dead)
      assert.truthy(out:find("^network: "), out)
    end)
  end)

  it("does not read ~/.netrc", function()
    local home = os.getenv "HOME"
    local file <close> = assert(io.open(home .. "/.netrc", "w"))
    file:write("machine 127.0.0.1 login alice password hunter2\n")
    file:flush()
    assert(agent():ask("hi"))
    assert.is_nil(server:requests()[1].headers.authorization)
    os.remove(home .. "/.netrc")
  end)
end)
