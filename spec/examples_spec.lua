-- examples_spec.lua - every example runs from any folder and prints what it
-- is meant to show.

local test_server = require "support.server"

local ROOT = os.getenv "DA_ROOT" or "."
local home

local function run(command, environment)
  local pipe = io.popen(("cd %s && HOME=%s %s %s 2>&1"):format(home, home,
    environment or "", command))
  local output = pipe:read "a"
  local ok = pipe:close()
  return output, ok
end

local function example(name, environment)
  local output, ok = run(("lua5.4 %s/examples/%s"):format(ROOT, name),
    environment)
  assert.truthy(ok, output)
  return output
end

local function has(text, what)
  assert.truthy(text:find(what, 1, true), ("no %q in:\n%s"):format(what, text))
end

local function lacks(text, what)
  assert.is_nil(text:find(what, 1, true))
end

describe("example", function()
  before_each(function()
    home = os.tmpname()
    os.remove(home)
    assert(os.execute("mkdir " .. home))
  end)
  after_each(function()
    os.execute("rm -r " .. home)
  end)

  local function home_is_empty()
    assert.equal("", (run("ls -A")))
  end

  it("remember.lua answers in a second process from the first #smoke",
    function()
      local first = example "remember.lua"
      if not first:find("no Ollama here", 1, true) then
        return pending "there is an Ollama here"
      end
      has(first, "offline model")
      has(first, "nothing stored yet: this is the first process")
      has(first, "You:     My name is Alice.\n"
        .. "Agent:   Nice to meet you, Alice.")
      has(first, "The capital of France is Paris.")
      has(first, "Stored in ~/.deepagent/sessions/remember.json")

      local second = example "remember.lua"
      has(second, "4 messages stored by an earlier process")
      has(second, "You:     What did I just ask you?\n"
        .. 'Agent:   You said: "What\'s the capital of France?"')
      has(second, "You:     What is my name?\nAgent:   Your name is Alice.")
      lacks(second, "You:     My name") -- it was not told again

      has(example "remember.lua", "8 messages stored by an earlier process")
      for _ = 1, 2 do
        assert.equal("Forgotten.\n", example "remember.lua forget")
      end
      has(example "remember.lua", "this is the first process")
    end)

  it("remember.lua uses the model of OPENAI_API_KEY", function()
    local server = test_server.start()
    local environment = ("OPENAI_API_KEY=sk-secret OPENAI_BASE_URL=%s "
      .. "DEEPAGENT_HOME=%s/elsewhere"):format(server.url, home)
    local first = example("remember.lua", environment)
    has(first, "Model:   gpt-4o-mini (OPENAI_API_KEY is set)")
    has(first, "Agent:   echo: My name is Alice.")
    has(first, "Stored in ~/elsewhere/sessions/remember.json")
    lacks(first, "sk-secret")
    server:reset()
    has(example("remember.lua", environment), "echo: What is my name?")
    -- The model is sent what the first process said.
    local requests = server:requests()
    assert.equal(2, #requests)
    assert.equal("Bearer sk-secret", requests[1].headers.authorization)
    has(requests[1].body, "My name is Alice.")
    has(requests[1].body, "What did I just ask you?")
    server:stop()
    -- Nobody is there any more.
    local output, ok = run(("lua5.4 %s/examples/remember.lua"):format(ROOT),
      environment)
    assert.is_nil(ok)
    has(output, "The model did not answer: network: ")
    has(output, "Unset OPENAI_API_KEY")
  end)

  it("session_persistence.lua shows the five cases", function()
    assert.equal([[
1. Simple: a session id is all it takes
Nice to meet you, Alice.
Your name is Alice.

2. Several users: a session each
Your name is Bob.
Your name is Alice.

3. List and inspect
user-alice: 6 messages, 60 tokens
  first: user: My name is Alice.
user-bob: 4 messages, 29 tokens
  first: user: My name is Bob.

4. Saving by hand
stored before save_session():	false
stored after save_session():	true

5. Deleting
user-alice	true
user-bob	true
draft	true
nobody	true
left:	0
]], example "session_persistence.lua")
    home_is_empty()
  end)

  it("streaming.lua shows pieces, cancelling, usage", function()
    assert.equal([[
The capital of France is Paris.
(31 bytes)
[The ][capital ][of ][Spain ][is ][Madrid.]
(more than one piece: true)
nil	cancelled
messages kept: true
finish reason: stop
tokens counted: true
]], example "streaming.lua")
    home_is_empty()
  end)

  it("streaming.lua streams from a service", function()
    local server = test_server.start()
    local output = example("streaming.lua", "OPENAI_API_KEY=k OPENAI_BASE_URL="
      .. server.url)
    has(output, "echo: What's the capital of France?\n(35 bytes)")
    has(output, "[echo:][ And][ what]")
    has(output, "nil\tcancelled\nmessages kept: true")
    has(server:requests()[1].body, '"stream":true')
    server:stop()
  end)

  it("lua_backend.lua keeps sessions in a file of its own", function()
    assert.equal([[
Your name is Alice.
You have not told me your name.
stored: 2
deleted: true
]], example "lua_backend.lua")
    home_is_empty()
  end)

  it("image.lua sends parts, and stores them", function()
    assert.equal([[
message 1 has image/png
message 1 has image/png, message 3 has application/pdf
nil	not_found
nil	unsafe_file
too_large
unsupported: what is in memory is no audio: its first bytes say image/png
invalid_url
]], example "image.lua")
    home_is_empty()
  end)

  it("offline_provider.lua calculates", function()
    assert.equal([[
6 * 7	42
it + 0.5	42.5
2 ^	provider_error: it:1: unexpected symbol near <eof>
who are you?	bad_request: I only calculate
messages: 4, tokens: 6
]], example "offline_provider.lua")
    home_is_empty()
  end)

  it("structured.lua takes what fits", function()
    assert.equal([[
Rome: 3 days by train, 1 notes
Bari: 2 days by bus, 0 notes
invalid_output: the answer does not fit its schema: $.days: must be an ]]
.. [[integer, not a string
  it said: {"city":"Pisa","days":"two","transport":"bus","notes":[]}
invalid_output: the answer is not JSON: no value at byte 1
  it said: I would go to Siena.
messages: 4
]], example "structured.lua")
    home_is_empty()
  end)

  it("retry_fallback.lua stays up", function()
    assert.equal([[
1. A service that is overloaded twice
  [info] try 1 of 3 failed: overloaded; the next in a moment (server)
  [info] try 2 of 3 failed: overloaded; the next in a moment (server)
busy says hello to Alice
2. One that stays so, and another to go to
  [info] try 1 of 2 failed: overloaded; the next in a moment (server)
  [warn] down failed: overloaded; going on with spare (server)
spare says hello to Bob
answered by spare
3. Without another, the error tells
  [info] try 1 of 2 failed: overloaded; the next in a moment (server)
  [warn] the turn failed: overloaded (server)
nil	server	503	true
tries: 4
4. The same question twice, one request
once says hello to Dave
once says hello to Dave
from the cache: true, requests: 1
]], example "retry_fallback.lua")
    home_is_empty()
  end)

  it("embed.c remembers, without Lua", function()
    local build, config = os.getenv "DA_BUILD":match "^(.*)/(%w+)$"
    local said, made = run(("flock %s/.lock make -s -C %s BUILD=%s CONFIG=%s "
      .. "examples"):format(build, ROOT, build, config))
    assert.truthy(made, said)
    local embed = ("%s/%s/examples/embed"):format(build, config)

    assert.equal("0 messages of earlier runs\n"
      .. "usage: embed [base-url [model]]\n", (run(embed)))
    home_is_empty()

    local server = test_server.start()
    local output, ok = run(embed .. " " .. server.url .. " echo-1")
    assert.truthy(ok, output)
    assert.equal("echo: Hello from C.\n[echo:][ In][ pieces,][ please.]\n"
      .. "0 messages of earlier runs\nstored session: embed\n", output)
    assert.truthy(select(2, run(embed .. " " .. server.url)))
    local requests = server:requests()
    assert.equal(4, #requests)
    has(requests[1].body, '"model":"echo-1"')
    lacks(requests[1].body, "In pieces, please.")
    has(requests[3].body, "In pieces, please.") -- of the process before
    server:stop()

    output = run(embed)
    has(output, "8 messages of earlier runs")
    has(output, '"role":"user","content":"Hello from C."}')
    has(output, "stored session: embed")

    output, ok = run(embed .. " http://127.0.0.1:1/v1")
    assert.is_nil(ok)
    has(output, "network: ")
  end)
end)
