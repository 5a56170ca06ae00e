-- What an answer has beside its text: the tokens it took, what the model
-- thought, further choices; told by last(), and what of it is stored.

local answers = require "support.answers"
local deepagent = require "deepagent"
local test_server = require "support.server"

local event, done = answers.event, answers.done

-- Counted by a service, with members that are known and others.
local USAGE = [[{ "prompt_tokens":9,"completion_tokens":5,
  "prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},
  "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":2},
  "cost":0.25 }]]
local TOKENS = answers.tokens(9, 5, { cached_tokens = 4,
  reasoning_tokens = 3, audio_tokens = 3 })

describe("the last answer", function()
  local server, backend

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
    backend = deepagent.memory_backend()
  end)

  local function agent()
    return deepagent.new { model = "m", base_url = server.url }
      :with_session_id("s"):with_memory_backend(backend)
  end

  --- An answer with these members of its choice and of its own.
  local function whole(choice, more)
    return { body = ('{"choices":[%s]%s}'):format(choice, more or "") }
  end

  local function asked(answer, verb)
    local a = agent()
    server:script({ answer }, "echo")
    local text = assert(a[verb or "ask"](a, "hi"))
    return a:last(), text, a
  end

  it("is nil as long as there was none", function()
    local a = agent()
    assert.is_nil(a:last())
    server:script { answers.failure(400, "no") }
    assert.is_nil((a:ask("hi")))
    assert.is_nil(a:last())
  end)

  it("tells its tokens in detail, and the sum of all", function()
    local last, _, a = asked(whole([[{"message":{"content":"x"}}]],
      ',"usage":' .. USAGE))
    assert.same(TOKENS, last.usage)
    server:script { answers.events { event { content = "y" },
      'data: {"usage":' .. USAGE:gsub("\n", "") .. '}\n\n', done } }
    assert(a:stream("and"))
    assert.same(TOKENS, a:usage().last)
    local twice = {}
    for name, n in pairs(TOKENS) do twice[name] = 2 * n end
    assert.same(twice, a:usage().total)
    assert(a:flush())
    assert.same(twice, agent():usage().total) -- as it is stored
  end)

  it("leaves its tokens with its message, which is not sent", function()
    local _, _, a = asked(whole([[{"message":{"content":"x"}}]],
      ',"usage":' .. USAGE))
    assert(a:flush())
    local b = agent()
    for _, conversation in ipairs { a:get_history(), b:get_history() } do
      assert.is_nil(conversation[1].usage)
      assert.equal(0.25, conversation[2].usage.cost)
      assert.equal(4,
        conversation[2].usage.prompt_tokens_details.cached_tokens)
    end
    assert(b:set_history(b:get_history()))
    assert.equal(9, b:get_history()[2].usage.prompt_tokens)
    assert(b:ask("again"))
    local body = server:requests()[2].body
    assert.truthy(body:find('{"role":"assistant","content":"x"}', 1, true),
      body)
    assert.is_nil(body:find("cost", 1, true))
  end)

  it("tells what the model thought", function()
    for _, name in ipairs { "reasoning_content", "reasoning" } do
      local last, text = asked(whole(('{"message":{"content":"x","%s":"hm"}}')
        :format(name)))
      assert.same({ "x", "hm" }, { text, last.reasoning })
      assert.equal("hm", last.message[name])
      last = asked(answers.events { event { [name] = "h" },
        event { [name] = "m", content = "x" }, event({}, "stop"), done },
        "stream")
      assert.equal("hm", last.reasoning)
    end
    assert.is_nil(asked(answers.plain("x")).reasoning)
  end)

  it("tells why the model refused", function()
    local last, text = asked(whole(
      [[{"message":{"content":null,"refusal":"I can't."}}]]))
    assert.same({ "I can't.", "I can't." }, { text, last.refusal })
    last = asked(answers.events { event { refusal = "No." },
      event({}, "stop"), done }, "stream")
    assert.equal("No.", last.refusal)
    assert.equal(deepagent.null, last.message.content)
    assert.is_nil(asked(answers.plain("x")).refusal)
  end)

  it("has logprobs, those of a stream as those of a whole answer",
    function()
      local function chunk(token)
        return ('data: {"choices":[{"index":0,"delta":{"content":"%s"},'
          .. '"logprobs":{"content":[{"token":"%s","logprob":-0.5}],'
          .. '"refusal":null}}]}\n\n'):format(token, token)
      end
      local want = { content = { { token = "a", logprob = -0.5 },
        { token = "b", logprob = -0.5 } } }
      assert.same(want, asked(answers.events { chunk "a", chunk "b",
        event({}, "stop"), done }, "stream").logprobs)
      assert.same(want, asked(whole([[{"message":{"content":"ab"},"logprobs":
        {"content":[{"token":"a","logprob":-0.5},{"token":"b","logprob":-0.5}
        ]}}]])).logprobs)
      assert.is_nil(asked(answers.plain("x")).logprobs)
    end)

  it("has all choices, of which the first is said and kept", function()
    local function chunk(index, text, why)
      return ('data: {"choices":[{"index":%d,"delta":{"content":"%s"},'
        .. '"finish_reason":%s}]}\n\n'):format(index, text,
        why and '"' .. why .. '"' or "null")
    end
    local function check(last, text, a)
      assert.equal("Aa", text)
      assert.equal(2, #a:get_history())
      assert.equal("Aa", a:get_history()[2].content)
      local seen = {}
      for i, choice in ipairs(last.choices) do
        seen[i] = { choice.index, choice.finish_reason,
          choice.message.content }
      end
      assert.same({ { 0, "stop", "Aa" }, { 1, "length", "Bb" },
        { 2, "stop", "C" } }, seen)
    end
    check(asked(answers.events { chunk(0, "A"), chunk(1, "B"),
      chunk(2, "C", "stop"), chunk(1, "b", "length"), chunk(0, "a", "stop"),
      done }, "stream"))
    backend = deepagent.memory_backend()
    check(asked(whole([[
      {"index":0,"finish_reason":"stop","message":{"content":"Aa"}},
      {"index":1,"finish_reason":"length","message":{"content":"Bb"}},
      {"index":2,"finish_reason":"stop","message":{"content":"C"}}]])))
    assert.is_nil(asked(answers.plain("x")).choices)
  end)

  it("is that of the turn: after calls of tools, the tokens of all", function()
    local a = agent():with_tool { name = "f",
      run = function(arguments) return arguments.n + 1 end,
      parameters = { type = "object",
          properties = { n = { type = "integer" } } } }
    server:script { whole([[{"finish_reason":"stop","message":{"content":null,
      "tool_calls":[{"function":{"name":"f","arguments":{"n":1}},
      "extra_content":{"google":{"thought_signature":"a\/b"}}}]}}]],
      ',"usage":' .. USAGE), answers.plain("2") }
    assert.equal("2", a:ask("1 + 1?"))
    assert.equal(21, a:last().usage.total_tokens)
    assert.equal(4, a:last().usage.cached_tokens)
    local history = a:get_history()
    assert.equal(4, #history)
    assert.equal(14, TOKENS.total_tokens)
    assert.equal(9, history[2].usage.prompt_tokens)
    assert.equal(7, history[4].usage.total_tokens)
    local call = history[2].tool_calls[1]
    assert.truthy(call.id:find "^call_%w+$")
    assert.same({ "function", '{"n":1}' }, { call.type,
      call["function"].arguments })
    assert.equal(call.id, history[3].tool_call_id)
    -- What is not known here goes back to the byte, beside what was made.
    local body = server:requests()[2].body
    assert.truthy(body:find('"extra_content":{"google":'
      .. [[{"thought_signature":"a\/b"}}]], 1, true), body)
    assert.truthy(body:find('"content":null,"tool_calls":[{"id":"' .. call.id,
      1, true), body)
  end)

  it("is gone with its session", function()
    local _, _, a = asked(answers.plain("x"))
    assert.truthy(a:last())
    assert(a:delete_session())
    assert.is_nil(a:last())
  end)
end)
