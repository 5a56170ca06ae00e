-- Questions and answers, whole and as streams, with a real server.

local disk = require "support.disk"
local llama = require "e2e.llama"

-- From this the server learns how its model says what it thinks.
local thinking = [[
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' }}
{%- if m.reasoning_content %}
{{- '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}
{%- endif %}
{{- m.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
]]

describe("a real server", function()
  local server

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)

  local function counted(usage)
    assert.is_true(usage.prompt_tokens > 0 and usage.completion_tokens > 0)
    assert.equal(usage.prompt_tokens + usage.completion_tokens,
      usage.total_tokens)
  end

  it("answers", function()
    local agent = server:agent()
    local text = assert(agent:ask("Hello"))
    assert.is_truthy(text:find("^ ?%l[%l .]+%.$"), text)
    local last = agent:last()
    assert.equal("stop", last.finish_reason)
    assert.equal("bigram", last.model)
    assert.same({ role = "assistant", content = text }, {
      role = last.message.role, content = last.message.content })
    counted(last.usage)
    assert.same(last.usage, agent:usage().last)
  end)

  it("streams", function()
    local agent = server:agent()
    local deltas = {}
    local text = assert(agent:stream("Hello", function(delta)
      deltas[#deltas + 1] = delta
    end))
    assert.is_true(#deltas > 3)
    assert.equal(text, table.concat(deltas))
    assert.equal("stop", agent:last().finish_reason)
    counted(agent:last().usage)
  end)

  it("says the same whole and as a stream", function()
    local function agent()
      return server:agent { seed = 7, max_tokens = 20 }
    end
    local whole, streamed = agent(), agent()
    local text = assert(whole:ask("Hello"))
    assert.equal(text, assert(streamed:stream("Hello", function() end)))
    for _, name in ipairs { "prompt_tokens", "completion_tokens" } do
      assert.equal(whole:usage().last[name], streamed:usage().last[name])
    end
  end)

  it("ends where it is told to", function()
    local agent = server:agent { max_tokens = 3, extra = llama.endless }
    assert(agent:ask("Hello"))
    assert.equal("length", agent:last().finish_reason)
    assert.equal(3, agent:usage().last.completion_tokens)
    assert(agent:stream("Hello", function() end))
    assert.equal("length", agent:last().finish_reason)

    local all = assert(server:agent():ask("Hello"))
    local first, rest = all:match("^( ?%l+)( %l+)")
    agent = server:agent { stop = rest }
    assert.equal(first, assert(agent:ask("Hello")))
    assert.equal("stop", agent:last().finish_reason)
  end)

  it("is sent the whole conversation", function()
    local agent = server:agent { memory = true, system = "Be brief." }
    assert(agent:ask("Grüße, 世界 \u{1F30D} \"\\\n"))
    assert(agent:stream("And now?", function() end))
    local history = assert(agent:get_history())
    assert.equal(4, #history)
    table.insert(history, 1, { role = "system", content = "Be brief." })
    table.remove(history)
    assert.equal(server:tokens(history),
      agent:last().usage.prompt_tokens)
  end)

  it("is asked in several parts", function()
    local agent = server:agent { memory = true }
    assert(agent:ask { "Hello,", "Grüße" })
    local question = agent:get_history()[1]
    assert.equal(2, #question.content)
    assert.equal(server:tokens { { role = "user",
      content = "Hello,\nGrüße" } }, agent:last().usage.prompt_tokens)
  end)

  it("takes members of its own", function()
    local agent = server:agent { extra = { grammar = 'root ::= "yes"' } }
    assert.equal("yes", assert(agent:ask("Is it?")))
    assert.equal("yes", assert(agent:stream("Is it?", function() end)))
  end)

  -- Asked and streamed: the text, and what is known of the answer.
  local function both(options, check)
    for _, verb in ipairs { "ask", "stream" } do
      local agent = server:agent(options)
      check(assert(agent[verb](agent, "Hello", function() end)),
        agent:last())
    end
  end

  it("tells how probable its words are", function()
    both({ max_tokens = 5, extra = { ignore_eos = true, logprobs = true,
      top_logprobs = 2 } }, function(text, last)
      local words = {}
      for i, word in ipairs(last.logprobs.content) do
        words[i] = word.token
        assert.is_true(word.logprob <= 0)
        assert.equal(2, #word.top_logprobs)
      end
      assert.equal(5, #words)
      assert.equal(text, table.concat(words))
    end)
  end)

  it("gives several answers to choose from", function()
    both({ max_tokens = 5, extra = { ignore_eos = true, n = 2 } },
      function(text, last)
        local first, second = table.unpack(last.choices)
        assert.equal(2, #last.choices)
        assert.equal(text, first.message.content)
        assert.same({ 0, 1 }, { first.index, second.index })
        assert.equal("string", type(second.message.content))
        assert.equal("length", second.finish_reason)
      end)
  end)

  it("tells what it thought before it spoke", function()
    local directory = disk.temp()
    finally(function() disk.remove(directory) end)
    disk.write(directory .. "/template", thinking)
    local thinker <close> = llama.start("--reasoning-format deepseek"
      .. " --chat-template-file " .. disk.quoted(directory .. "/template"))
    local agent = thinker:agent { memory = true, extra = {
      grammar = 'root ::= "<think>\\nuser\\n</think>\\n\\nyes"' } }
    for _, verb in ipairs { "ask", "stream" } do
      local text = assert(agent[verb](agent, "Hello", function(delta)
        assert.is_nil(delta:find("[^yes]"))
      end))
      assert.equal("yes", text)
      assert.is_truthy(agent:last().reasoning:find("^user"))
    end
    assert.is_truthy(agent:get_history()[4].reasoning_content:find("^user"))
  end)

  it("is there for several agents at once", function()
    local one = server:agent { extra = { grammar = 'root ::= "one"' } }
    local other = server:agent { extra = { grammar = 'root ::= "other"' } }
    local inner
    local text = assert(one:stream("Who?", function()
      inner = assert(other:ask("Who?"))
    end))
    assert.equal("one", text)
    assert.equal("other", inner)
  end)

  it("keeps its key to itself", function()
    local key = "sk-canary-7Zq"
    local guarded <close> = llama.start("--api-key " .. key)
    local agent = guarded:agent { api_key = key }
    assert(agent:ask("Hello"))
    assert(agent:stream("Hello", function() end))
    assert.is_nil(tostring(agent):find(key, 1, true))
  end)
end)
