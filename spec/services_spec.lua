-- Services by name: what each is sent, with which key, and where. What is
-- known of them is tested in spec/c/test_preset.c, too.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local json = require "dkjson"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c"

-- host: of the default base URL, as a proxy is asked for it.
local services = {
  openai = { variable = "OPENAI_API_KEY", host = "api.openai.com:443",
    max_tokens = "max_completion_tokens" },
  groq = { variable = "GROQ_API_KEY", host = "api.groq.com:443",
    max_tokens = "max_completion_tokens" },
  mistral = { variable = "MISTRAL_API_KEY", host = "api.mistral.ai:443",
    seed = "random_seed", no_stream_options = true },
  deepseek = { variable = "DEEPSEEK_API_KEY", host = "api.deepseek.com:443" },
  openrouter = { variable = "OPENROUTER_API_KEY", host = "openrouter.ai:443" },
  together = { variable = "TOGETHER_API_KEY", host = "api.together.xyz:443" },
  xai = { variable = "XAI_API_KEY", host = "api.x.ai:443",
    max_tokens = "max_completion_tokens" },
  llamacpp = { variable = "LLAMA_API_KEY", here = true,
    url = "http://127.0.0.1:8080/v1/chat/completions" },
  vllm = { variable = "VLLM_API_KEY", here = true,
    url = "http://127.0.0.1:8000/v1/chat/completions" },
  ollama = { here = true,
    url = "http://127.0.0.1:11434/v1/chat/completions" },
}

local names = {}
for name in pairs(services) do names[#names + 1] = name end
table.sort(names)

describe("a service", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
  end)

  local function last()
    local list = server:requests()
    local request = list[#list]
    return request, json.decode(request.body)
  end

  for _, name in ipairs(names) do
    local expected = services[name]

    it(name .. " gets its key, and the members that it knows", function()
      local a = deepagent[name]("m", { api_key = KEY, base_url = server.url,
        max_tokens = 5, seed = 7 })
      assert.equal("echo: hi", a:ask("hi"))
      local request, body = last()
      assert.equal("Bearer " .. KEY, request.headers.authorization)
      assert.equal("/v1/chat/completions", request.path)
      assert.same({ model = "m", [expected.max_tokens or "max_tokens"] = 5,
        [expected.seed or "seed"] = 7,
        messages = { { role = "user", content = "hi" } } }, body)
      assert.equal("echo: hi", a:stream("hi"))
      request, body = last()
      assert.is_nil(request.headers["api-key"])
      assert.is_true(body.stream)
      if expected.no_stream_options then
        assert.is_nil(body.stream_options)
      else
        assert.same({ include_usage = true }, body.stream_options)
      end
    end)

    it(name .. " takes its key from the environment, and no other's",
      function()
        local program = [=[local a = require "deepagent"[arg[1]]("m",
          { base_url = arg[2] })
          local text, err = a:ask("hi")
          io.write(text or err.code .. " " .. err.message)]=]
        local environment = {}
        for _, other in pairs(services) do
          if other.variable then
            environment[other.variable] = "of-" .. other.variable
          end
        end
        assert.equal("echo: hi", (child.run(program, { env = environment,
          args = { name, server.url } })))
        assert.equal(expected.variable and "Bearer of-" .. expected.variable,
          last().headers.authorization)
        if not expected.variable then return end
        environment[expected.variable] = false
        local out = child.run(program, { env = environment,
          args = { name, server.url } })
        if expected.here then
          assert.equal("echo: hi", out)
          assert.is_nil(last().headers.authorization)
        else
          assert.equal(("missing_api_key %s has no API key: set %s, or give "
            .. "a key when the agent is made"):format(name,
              expected.variable), out)
          assert.equal(1, #server:requests())
        end
      end)

    it(name .. " is looked for at its place", function()
      -- A proxy hears where everybody wants to go, and what it is told.
      local a = deepagent[name]("m", { api_key = KEY, proxy = server.origin })
      if a.with_retry then a:with_retry { max = 0 } end
      local text = a:ask("secret question")
      local request = last()
      if expected.url then
        assert.equal("echo: secret question", text)
        assert.equal(expected.url, request.path)
      else
        assert.is_nil(text)
        assert.equal("CONNECT", request.method)
        assert.equal(expected.host, request.path)
        assert.is_nil(json.encode(request):find("canary", 1, true))
        assert.is_nil(json.encode(request):find("secret", 1, true))
      end
      assert.equal(1, #server:requests())
    end)
  end

  it("takes a key in the place of options, if it needs one", function()
    for _, name in ipairs(names) do
      local made, a = pcall(deepagent[name], "m", KEY)
      assert.equal(not services[name].here, made, name)
      assert.is_nil(tostring(a):find(KEY, 1, true))
    end
  end)

  it("that nobody knows can be used by its URL", function()
    local a = deepagent.new { model = "m", api_key = KEY, max_tokens = 5,
      base_url = server.origin .. "/a/b" }
    assert.equal("echo: hi", a:ask("hi"))
    local request, body = last()
    assert.equal("/a/b/chat/completions", request.path)
    assert.equal("Bearer " .. KEY, request.headers.authorization)
    assert.equal(5, body.max_tokens)
  end)

  it("gets the extras as they are, which win over settings", function()
    local a = deepagent.openai("m", { api_key = KEY, base_url = server.url,
      max_tokens = 5 }):with_extra { max_tokens = 6 }
    assert(a:ask("hi"))
    local _, body = last()
    assert.equal(6, body.max_tokens)
    assert.is_nil(body.max_completion_tokens)
    a:with_extra { max_tokens = deepagent.null, max_completion_tokens = 7 }
    assert(a:ask("hi"))
    _, body = last()
    assert.equal(7, body.max_completion_tokens)
    assert.is_nil(body.max_tokens)
  end)

  it("is the clone's, too", function()
    local a = deepagent.mistral("m", { api_key = KEY, base_url = server.url,
      seed = 1 })
    assert(a:clone():ask("hi"))
    local request, body = last()
    assert.equal("Bearer " .. KEY, request.headers.authorization)
    assert.equal(1, body.random_seed)
  end)

  it("gets headers of the user's, as OpenRouter's X-Title", function()
    local a = deepagent.openrouter("a/b", { api_key = KEY,
      base_url = server.url, headers = { ["X-Title"] = "mine" } })
      :with_header("HTTP-Referer", "https://example.com")
    assert(a:ask("hi"))
    local request, body = last()
    assert.equal("mine", request.headers["x-title"])
    assert.equal("https://example.com", request.headers["http-referer"])
    assert.equal("a/b", body.model)
  end)

  it("that wants what was thought gets it, with tool calls only", function()
    local said = { role = "assistant", content = deepagent.null,
      reasoning_content = "hm", tool_calls = deepagent.array { {
        id = "c", type = "function",
        ["function"] = { name = "f", arguments = "{}" } } } }
    local history = { { role = "user", content = "a" }, said,
      { role = "tool", tool_call_id = "c", content = "1" },
      { role = "assistant", content = "x", reasoning_content = "hm" } }
    for _, name in ipairs { "deepseek", "openai" } do
      local a = deepagent[name]("m", { api_key = KEY, memory = true,
        base_url = server.url, messages = history })
      assert(a:ask("hi"))
      local _, body = last()
      assert.equal(name == "deepseek" and "hm" or nil,
        body.messages[2].reasoning_content)
      assert.is_nil(body.messages[4].reasoning_content)
    end
  end)
end)

describe("a query in a base URL", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  it("comes after the path that is added", function()
    server:script({ answers.plain("fine") }, "repeat")
    for query, path in pairs { ["?a=b"] = "/v1/chat/completions?a=b",
      ["/?a=b/c&d=%20"] = "/v1/chat/completions?a=b/c&d=%20",
      ["?"] = "/v1/chat/completions?" } do
      server:reset()
      server:script({ answers.plain("fine") }, "repeat")
      local a = deepagent.new { model = "m", base_url = server.url .. query }
      assert.equal("fine", a:ask("hi"))
      assert.equal(path, server:requests()[1].path)
    end
  end)

  it("may have a key, which is not shown", function()
    server:script({ answers.failure(403, "no " .. KEY .. " 2024-10-21") })
    local a = deepagent.new { model = "m",
      base_url = server.url .. "?key=" .. KEY .. "&api-version=2024-10-21" }
    local err = select(2, a:ask("hi"))
    assert.equal("no *** 2024-10-21", err.message)
  end)
end)

describe("Azure", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    server:reset()
    server:script({ answers.plain("fine") }, "repeat")
  end)

  local function asked(deployment, options)
    options.endpoint = options.endpoint or server.origin
    assert.equal("fine", deepagent.azure(deployment, options):ask("hi"))
    local list = server:requests()
    return list[#list], json.decode(list[#list].body)
  end

  it("has the deployment and the version in its URL", function()
    local request, body = asked("my gpt/4", { api_key = KEY,
      api_version = "2024-10-21", max_tokens = 5 })
    assert.equal("/openai/deployments/my%20gpt%2F4/chat/completions"
      .. "?api-version=2024-10-21", request.path)
    assert.equal(KEY, request.headers["api-key"])
    assert.is_nil(request.headers.authorization)
    assert.equal(5, body.max_completion_tokens)
  end)

  it("has neither in the new form", function()
    for version, query in pairs { [false] = "", v1 = "",
      preview = "?api-version=preview" } do
      local request, body = asked("gpt", { api_key = KEY,
        api_version = version or nil })
      assert.equal("/openai/v1/chat/completions" .. query, request.path)
      assert.equal("gpt", body.model)
    end
    local request = asked("gpt", { api_key = KEY, api_version = "2024-10-21",
      endpoint = server.origin .. "/openai/v1/" })
    assert.equal("/openai/v1/chat/completions", request.path)
  end)

  it("takes a token instead of a key", function()
    local request = asked("gpt", { token = KEY })
    assert.equal("Bearer " .. KEY, request.headers.authorization)
    assert.is_nil(request.headers["api-key"])
    local a = deepagent.azure("gpt", { token = "old",
      endpoint = server.origin }):with_header("Authorization", "Bearer new")
    assert(a:ask("hi"))
    local list = server:requests()
    assert.equal("Bearer new", list[#list].headers.authorization)
    assert.has_error(function()
      deepagent.azure("gpt", { token = "a", api_key = "b",
        endpoint = server.origin })
    end, "deepagent.azure: invalid_argument: either api_key or token is to be "
      .. "given")
  end)

  it("knows the members of old versions", function()
    local a = deepagent.azure("gpt", { api_key = KEY, max_tokens = 5,
      endpoint = server.origin, api_version = "2024-02-01" })
    assert(a:stream("hi"))
    local body = json.decode(server:requests()[1].body)
    assert.equal(5, body.max_tokens)
    assert.is_nil(body.stream_options)
    assert.is_true(body.stream)
  end)

  it("takes all of it from the environment", function()
    local program = [[io.write(assert(require "deepagent".azure("gpt")
      :ask("hi")))]]
    assert.equal("fine", (child.run(program, { env = {
      AZURE_OPENAI_API_KEY = KEY, AZURE_OPENAI_ENDPOINT = server.origin,
      OPENAI_API_VERSION = "2024-10-21" } })))
    local request = server:requests()[1]
    assert.equal("/openai/deployments/gpt/chat/completions"
      .. "?api-version=2024-10-21", request.path)
    assert.equal(KEY, request.headers["api-key"])
  end)

  it("tells what it lacks", function()
    local program = [[local d = require "deepagent"
      print(select(2, pcall(d.azure, "gpt")))
      local a = d.azure("gpt", { endpoint = arg[1] })
      print(select(2, a:ask("hi")))
      print(a:with_header("api-key", "x"):ask("hi"))]]
    local out = child.run(program, { args = { server.origin }, env = {
      AZURE_OPENAI_API_KEY = false, AZURE_OPENAI_ENDPOINT = false } })
    assert.equal("deepagent.azure: invalid_url: azure has no endpoint: set "
      .. "AZURE_OPENAI_ENDPOINT, or give one when the agent is made\n"
      .. "missing_api_key: azure has no API key: set AZURE_OPENAI_API_KEY, or "
      .. "give a key when the agent is made\nfine\n", out)
  end)

  it("refuses what are no options", function()
    for expected, options in pairs {
      ["deepagent.azure: endpoint must be a string"] = { endpoint = 5 },
      ["deepagent.azure: token must be a string"] = { token = {} },
      ["deepagent.azure: unknown option 'provider'"] = { provider = {} },
      ["deepagent.azure: unknown option 'endpoints'"] = {
        endpoint = server.origin, endpoints = "x" },
      ["deepagent.azure: options must be a table"] = 5,
      ["http:// to example.com"] = { endpoint = "http://example.com" },
    } do
      local ok, why = pcall(function() deepagent.azure("gpt", options) end)
      assert.is_false(ok)
      assert.truthy(why:find(expected, 1, true), why)
      assert.truthy(why:find("spec/services_spec%.lua:%d+: "), why)
    end
    assert.error_matches(function() deepagent.azure(5) end,
      "deployment must be a string")
    assert.error_matches(function()
      deepagent.openai("gpt", { endpoint = "x" })
    end, "unknown option 'endpoint'")
  end)
end)
