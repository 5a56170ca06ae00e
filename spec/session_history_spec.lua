-- The conversation: what is sent of it, what is kept, how it is replaced.

local answers = require "support.answers"
local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local told = models.told

local function said(...)
  local list = {}
  for i, content in ipairs { ... } do
    list[i] = { role = i % 2 == 1 and "user" or "assistant",
      content = content }
  end
  return list
end

describe("the conversation", function()
  local model, agent

  before_each(function()
    model = models.echo()
    agent = deepagent.new { provider = model }
  end)

  local function last_sent()
    return told(model.requests[#model.requests].messages)
  end

  it("is not kept without memory: each ask stands alone", function()
    agent:with_system("S")
    for _, question in ipairs { "a", "b" } do
      assert.equal("re: " .. question, agent:ask(question))
      assert.equal("system:S|user:" .. question, last_sent())
    end
    assert.same({}, agent:get_history())
  end)

  it("accumulates with memory", function()
    agent:with_memory():with_system("S")
    assert(agent:ask("a"))
    assert(agent:stream("b"))
    assert(agent:ask("c"))
    assert.equal("system:S|user:a|assistant:re: a|user:b|assistant:re: b"
      .. "|user:c", last_sent())
    -- The system text is a setting, no part of the conversation.
    assert.equal("user:a|assistant:re: a|user:b|assistant:re: b|user:c"
      .. "|assistant:re: c", told(agent:get_history()))
    agent:with_memory(false)
    assert(agent:ask("d"))
    assert.equal("system:S|user:d", last_sent())
    assert.equal(6, #agent:get_history())
  end)

  it("is kept with a session id, unless memory is turned off", function()
    local backend = deepagent.memory_backend()
    agent:with_session_id("s"):with_memory_backend(backend)
      :with_memory(false)
    assert(agent:ask("a"))
    assert(agent:flush())
    assert.same({}, agent:get_history())
    assert.same({}, backend:list())
  end)

  describe("that was given to start from", function()
    it("is sent with each ask, also without memory", function()
      agent:with_messages(said("q", "a"))
      for _ = 1, 2 do
        assert(agent:ask("x"))
        assert.equal("user:q|assistant:a|user:x", last_sent())
      end
      agent = deepagent.new { provider = model }:with_memory()
        :with_messages(said("q", "a"))
      assert.equal("user:q|assistant:a", told(agent:get_history()))
      assert(agent:ask("x"))
      assert.equal(4, #agent:get_history())
    end)

    it("gives way to a stored one", function()
      local backend = deepagent.memory_backend()
      agent:with_session_id("s"):with_memory_backend(backend)
        :with_messages(said("start", "ok"))
      assert.equal("user:start|assistant:ok", told(agent:get_history()))
      assert.same({}, backend:list())
      assert(agent:ask("x"))
      assert(agent:flush())
      local other = deepagent.new { provider = model }
        :with_messages(said("else", "ok")):with_session_id("s")
        :with_memory_backend(backend)
      assert.equal("start", other:get_history()[1].content)
      assert.equal(4, #other:get_history())
    end)

    it("may be JSON texts, and is a copy", function()
      local list = said("q")
      list[2] = '{"role":"assistant","content":"\\u00e9"}'
      agent:with_memory():with_messages(list)
      list[1].content = "changed"
      assert.equal("user:q|assistant:é", told(agent:get_history()))
    end)
  end)

  describe("sent with max_history", function()
    local function window(n, history, system)
      agent = deepagent.new { provider = model }:with_memory()
        :with_max_history(n)
      if system then agent:with_system("S") end
      assert(agent:set_history(history))
      assert(agent:ask("x"))
      return last_sent()
    end

    it("is cut at the beginning of a turn", function()
      local history = said("1", "2", "3", "4", "5", "6")
      local expected = {
        "user:x", "user:x", "user:5|assistant:6|user:x",
        "user:5|assistant:6|user:x",
        "user:3|assistant:4|user:5|assistant:6|user:x",
        "user:3|assistant:4|user:5|assistant:6|user:x",
        "user:1|assistant:2|user:3|assistant:4|user:5|assistant:6|user:x",
      }
      for n, text in ipairs(expected) do
        assert.equal(text, window(n, history))
      end
      assert.equal(expected[7], window(1000, history))
      assert.equal("system:S|user:x", window(1, history, true))
    end)

    it("never parts a tool's result from its call", function()
      local history = { { role = "user", content = "q" },
        { role = "assistant", content = deepagent.null,
          tool_calls = { { id = "c", type = "function" } } },
        { role = "tool", content = "r", tool_call_id = "c" },
        { role = "assistant", content = "a" } }
      for n = 1, 4 do assert.equal("user:x", window(n, history)) end
      assert.truthy(window(5, history):find("^user:q|"))
    end)

    it("is stored whole", function()
      local backend = deepagent.memory_backend()
      agent:with_max_history(3):with_session_id("s")
        :with_memory_backend(backend)
      for i = 1, 10 do assert(agent:ask("q" .. i)) end
      assert.equal("user:q9|assistant:re: q9|user:q10", last_sent())
      assert.equal(20, #agent:get_history())
      assert(agent:flush())
      assert.equal(20, #backend:load("s"))
    end)
  end)

  it("is told in fresh tables, with ids and times", function()
    agent:with_memory()
    assert(agent:ask("a"))
    local first, second = agent:get_history(), agent:get_history()
    assert.same(first, second)
    assert.not_equal(first, second)
    assert.not_equal(first[1], second[1])
    first[1].content = "changed"
    first[3] = "more"
    assert.same(second, agent:get_history())
    assert.not_equal(second[1].id, second[2].id)
    for _, message in ipairs(second) do
      assert.equal(20, #message.id)
      assert.truthy(math.abs(message.created_at - os.time()) < 3600)
    end
  end)

  it("may be replaced, and keeps its ids when it was its own", function()
    agent:with_memory()
    assert(agent:ask("a"))
    local history = agent:get_history()
    assert.is_true(agent:set_history(history))
    assert.same(history, agent:get_history())
    history[2].content = "edited"
    assert.is_true(agent:set_history(history))
    assert.same(history, agent:get_history())
    assert(agent:ask("b"))
    assert.equal("user:a|assistant:edited|user:b", last_sent())
    assert.is_true(agent:set_history {})
    assert.same({}, agent:get_history())
  end)

  it("may hold members of the same names as our own", function()
    agent:with_memory()
    for _, text in ipairs {
      '{"id":"a","created_at":5,"role":"user","content":"x",'
        .. '"created_at":"z","id":7}',
      '{"role":"user","content":"x","created_at":"z","id":7}',
      '{"role":"user","content":"x","id":{},"id":"b","created_at":5}',
    } do
      assert.is_true(agent:set_history { text })
      local history = agent:get_history()
      assert.is_string(history[1].id)
      assert.is_number(history[1].created_at)
      assert.is_true(agent:set_history(history))
      assert.same(history, agent:get_history())
    end
  end)

  it("stays as it was when what shall replace it is none", function()
    agent:with_memory()
    assert(agent:ask("a"))
    local history = agent:get_history()
    for _, wrong in ipairs { 5, "x", { 5 }, { {} }, { "x" }, { "{}" },
      { { content = "x" } }, { { role = 5 } }, { { role = "user", id = 5 } },
      { { role = "user", created_at = "x" } }, { { role = "user", x = print } },
      { { role = "user", content = "\xff" } }, { said("a")[1], 0 / 0 },
      { { role = "user", n = 1 / 0 } }, { { role = "user", [1] = 1 } },
      { { role = "user", json = "{" } }, } do
      local ok, why = pcall(agent.set_history, agent, wrong)
      assert.is_false(ok)
      assert.is_string(why)
      assert.same(history, agent:get_history())
    end
    -- One message instead of a list of them; a list with a hole in front.
    for _, verb in ipairs { "set_history", "with_messages" } do
      for _, wrong in ipairs { said("a")[1], { [2] = said("a")[1] } } do
        local ok, why = pcall(agent[verb], agent, wrong)
        assert.is_false(ok)
        assert.truthy(why:find("(a list of messages expected)", 1, true), why)
        assert.same(history, agent:get_history())
      end
    end
    assert.is_false((pcall(agent.set_history, agent)))
  end)

  it("is emptied by clear, with what is stored of it", function()
    local backend = deepagent.memory_backend()
    agent:with_session_id("s"):with_memory_backend(backend)
    assert(agent:ask("a"))
    assert(agent:flush())
    assert.is_true(agent:clear())
    assert.same({}, agent:get_history())
    assert.equal(5, agent:usage().last.total_tokens)
    assert.equal(5, agent:usage().total.total_tokens)
    assert(agent:flush())
    assert.same({}, (backend:load("s")))
    assert.same({ "s" }, backend:list())
    agent:with_auto_save(false)
    assert(agent:ask("b"))
    assert(agent:save_session())
    assert.is_true(agent:clear())
    assert(agent:flush())
    assert.equal(2, #backend:load("s"))
  end)

  it("counts its tokens, of the last turn and in total", function()
    assert.same(answers.tokens(0, 0), agent:usage().last)
    assert.is_nil(agent:last())
    assert(agent:ask("a"))
    assert(agent:stream("b"))
    assert.same(answers.tokens(2, 3), agent:usage().last)
    assert.same(answers.tokens(4, 6), agent:usage().total)
    local last = agent:last()
    assert.truthy(last.timings.first <= last.timings.total)
    last.timings = nil
    assert.same({ finish_reason = "stop", model = "echo-1", request_id = "",
      usage = agent:usage().last, message = { role = "assistant",
        content = "re: b" } }, last)
  end)

  it("counts all turns of the session, whoever had them", function()
    local backend = deepagent.memory_backend()
    agent:with_session_id("s"):with_memory_backend(backend)
    local function tokens(a)
      local usage = a:usage()
      return { usage.last.total_tokens, usage.total.total_tokens }
    end
    assert(agent:ask("a"))
    assert(agent:ask("b"))
    assert.same({ 5, 10 }, tokens(agent))
    assert(agent:clear())
    assert.same({ 5, 10 }, tokens(agent))
    assert(agent:set_history {})
    assert.same({ 5, 10 }, tokens(agent))
    assert(agent:flush())
    local later = agent:clone()
    assert.same({ 0, 10 }, tokens(later)) -- no turn of its own yet
    assert(later:ask("c"))
    assert.same({ 5, 15 }, tokens(later))
    assert(later:flush())
    assert(agent:load_session())
    assert.same({ 5, 15 }, tokens(agent))
    assert(agent:delete_session())
    assert.same({ 0, 0 }, tokens(agent))
    assert(agent:ask("d"))
    assert.same({ 5, 5 }, tokens(agent))
  end)
end)

describe("a failed ask", function()
  it("leaves conversation and stored file to the byte", function()
    local root = disk.temp()
    local file = root .. "/s.json"
    local fail = false
    local agent = deepagent.new { provider = models.acting(
      function(_, on_delta)
        on_delta("some")
        if fail then return nil, "no" end
        return "some text"
      end) }:with_session_id("s")
      :with_memory_backend(deepagent.file_backend { path = root })
    assert(agent:ask("a"))
    assert(agent:flush())
    local before, history, usage = disk.read(file), agent:get_history(),
      agent:usage()
    fail = true
    for _, verb in ipairs { "ask", "stream" } do
      local answer, err = agent[verb](agent, "b")
      assert.is_nil(answer)
      assert.equal("provider_error", err.code)
    end
    fail = false
    local answer, err = agent:stream("b", function() return false end)
    assert.is_nil(answer)
    assert.equal("cancelled", err.code)
    assert.is_nil((agent:stream("b", error)))
    assert.is_nil((agent:ask("\xff")))
    assert(agent:flush())
    assert.equal(before, disk.read(file))
    assert.same(history, agent:get_history())
    assert.same(usage, agent:usage())
    assert(agent:close())
    assert.equal(before, disk.read(file))
    disk.remove(root)
  end)
end)

describe("a clone", function()
  it("has the settings and goes its own way", function()
    local model = models.echo()
    local agent = deepagent.new { provider = model }:with_memory()
      :with_system("S"):with_temperature(0.5)
      :with_messages { { role = "user", content = "start" } }
    assert(agent:ask("a"))
    local clone = agent:clone()
    assert.equal("user:start", told(clone:get_history()))
    assert(clone:ask("b"))
    local request = model.requests[2]
    assert.equal("system:S|user:start|user:b", told(request.messages))
    assert.equal(0.5, request.temperature)
    assert.equal("user:start|user:a|assistant:re: a",
      told(agent:get_history()))
    clone:with_system("T"):with_temperature(1)
    assert(agent:ask("c"))
    assert.equal(0.5, model.requests[3].temperature)
    assert.equal("S", model.requests[3].messages[1].content)
    assert(agent:close())
    assert(clone:ask("d"))
  end)

  it("may have another session on the same backend", function()
    local backend = deepagent.memory_backend()
    local agent = deepagent.new { provider = models.echo() }
      :with_session_id("a"):with_memory_backend(backend)
    assert(agent:ask("of a"))
    assert(agent:flush())
    local same, other = agent:clone(), agent:clone():with_session_id("b")
    assert.equal("user:of a|assistant:re: of a", told(same:get_history()))
    assert.same({}, other:get_history())
    assert(other:ask("of b"))
    agent, same = nil, nil -- luacheck: ignore
    collectgarbage()
    assert(other:flush())
    local ids = backend:list()
    table.sort(ids)
    assert.same({ "a", "b" }, ids)
  end)
end)
