-- Stores written in Lua: what they are given, what they may do, and that
-- nothing that they do corrupts an agent. How they fail is in
-- lua_backend_failure_spec.lua, what does not end in
-- session_timeout_spec.lua.

local deepagent = require "deepagent"
local models = require "support.models"
local new_store = require "support.lua_store"

local function agent_on(store)
  return deepagent.new { provider = models.echo() }:with_session_id("s")
    :with_memory_backend(store)
end

local verbs = { save = "save_session", load = "load_session",
  delete = "delete_session", list = "list_sessions" }

-- Calls the verb that calls the store's function; its error's code.
local function code_of(agent, method)
  local verb = verbs[method]
  local result, err = agent[verb](agent)
  return err and err.code or result, err
end

describe("a store in Lua", function()
  local store, agent

  before_each(function()
    store = new_store()
    agent = agent_on(store)
  end)

  it("that lacks functions is refused, naming them", function()
    for i, case in ipairs {
      { {}, "save, load, delete, list" },
      { { save = print, load = print }, "delete, list" },
      { { save = print, load = print, delete = print }, "list" },
      { { save = 5, load = print, delete = print, list = print }, "save" },
    } do
      local ok, why = pcall(function()
        deepagent.offline():with_memory_backend(case[1])
      end)
      assert.is_false(ok)
      assert.truthy(why:find("lacks " .. case[2] .. ")", 1, true), i)
    end
  end)

  it("may inherit its functions", function()
    local object = setmetatable({ data = {}, calls = {} },
      { __index = store })
    local a = agent_on(object)
    assert(a:ask("x"))
    assert.truthy(object.data.s)
    assert.is_nil(store.data.s)
  end)

  it("is called when the session is first used, not before", function()
    assert.equal("s", agent:get_session_id())
    assert.is_string(tostring(agent))
    assert.equal(0, #store.calls)
    agent:get_history()
    assert.equal(1, #store.calls)
    assert.equal("load", store.calls[1][1])
    assert(agent:ask("x"))
    assert.equal("save", store.calls[2][1])
    assert(agent:ask("y"))
    assert.equal(3, #store.calls)
  end)

  it("gets the id, messages with their texts, and an info", function()
    assert(agent:ask("x"))
    assert(agent:ask("y"))
    local _, id, messages, info = table.unpack(store.calls[3])
    assert.equal("s", id)
    assert.equal(4, #messages)
    for i, message in ipairs(agent:get_history()) do
      assert.equal(message.role, messages[i].role)
      assert.equal(message.content, messages[i].content)
      assert.equal(message.id, messages[i].id)
      assert.equal(message.created_at, messages[i].created_at)
      assert.truthy(messages[i].json:find('"content":"' .. message.content
        .. '"', 1, true))
    end
    assert.equal(4, info.count)
    assert.equal(2, info.stored)
    assert.equal(0, store.calls[2][4].stored)
    assert.same({ prompt_tokens = 4, completion_tokens = 6,
      total_tokens = 10 }, info.usage)
    assert.truthy(info.updated_at >= info.created_at)
    assert.equal(store.calls[2][4].created_at, info.created_at)
  end)

  it("gets fresh tables, which it may change or keep", function()
    local store_save = store.save
    function store:save(id, messages, info)
      store_save(self, id, { table.unpack(messages) }, info)
      for _, message in ipairs(messages) do
        message.content, message.role, message.json = nil, nil, nil
      end
      messages[1], messages[5], info.usage = nil, "x", nil
      return true
    end
    assert(agent:ask("x"))
    assert(agent:ask("y"))
    assert.equal("user:x|assistant:re: x|user:y|assistant:re: y",
      models.told(agent:get_history()))
    assert.not_equal(store.calls[2][3][2], store.calls[3][3][2])
    assert.equal(10, agent:usage().total.total_tokens)
  end)

  it("gets back the info that it gave, and what is added", function()
    store.data.s = { { '{"role":"user","content":"old"}' },
      { title = "T", nested = { 1, 2 }, created_at = 1000.5,
        usage = { total_tokens = 7 } } }
    assert(agent:ask("x"))
    local info = store.data.s[2]
    assert.equal("T", info.title)
    assert.same(deepagent.array { 1, 2 }, info.nested)
    assert.equal(1000.5, info.created_at)
    assert.equal(12, info.usage.total_tokens)
    assert.equal(3, info.count)
    assert.equal(1, info.stored)
  end)

  it("may give messages as texts, with texts, or as tables", function()
    store.data.s = { { '{"role":"user","content":"1","n":1e400}',
      { json = '{"role":"user","content":"2"}', content = "ignored" },
      { role = "user", content = "3" } } }
    assert.equal("user:1|user:2|user:3", models.told(agent:get_history()))
    assert(agent:ask("x"))
    assert.truthy(store.data.s[1][1].json:find('"n":1e400', 1, true))
  end)

  it("is shared by all agents that get the same table", function()
    local other = agent_on(store)
    assert.same({}, other:get_history())
    assert(agent:ask("one"))
    assert(other:ask("two"))
    assert.equal("user:one|assistant:re: one|user:two|assistant:re: two",
      models.told(agent_on(store):get_history()))
    local count = #store.calls
    collectgarbage()
    assert(agent:ask("three"))
    assert.equal(6, #store.data.s[1])
    assert.equal(count + 1, #store.calls)
  end)

  it("that cannot load is not saved over until it can", function()
    store.data.s = { { '{"role":"user","content":"old"}' } }
    local load = store.load
    store.load = function() return nil, "down" end
    local logged = {}
    agent:with_logger(function(level, message)
      logged[#logged + 1] = level .. " " .. message
    end)
    assert.equal("re: x", agent:ask("x"))
    assert.truthy(table.concat(logged, "\n"):find("warn .-down"))
    assert.equal("failed", (agent:save_status()))
    assert.is_nil((agent:save_session()))
    assert.equal(1, #store.data.s[1])
    store.load = load
    assert(agent:ask("y"))
    assert.equal("saved", (agent:save_status()))
    assert.equal("user:old|user:x|assistant:re: x|user:y|assistant:re: y",
      models.told(store.data.s[1]))
  end)

  it("may tell of a conflict, and is loaded and saved again", function()
    assert(agent:ask("ours 1"))
    local save, refused = store.save, false
    function store:save(...)
      if not refused then
        refused = true
        table.insert(self.data.s[1], { role = "user", content = "theirs" })
        return nil, { code = "conflict", message = "changed" }
      end
      return save(self, ...)
    end
    assert(agent:ask("ours 2"))
    assert.equal("saved", (agent:save_status()))
    assert.equal("user:ours 1|assistant:re: ours 1|user:theirs|user:ours 2"
      .. "|assistant:re: ours 2", models.told(store.data.s[1]))
    -- For ever: it gives up, and the turn is kept.
    store.save = function() return nil, { code = "conflict" } end
    assert(agent:ask("ours 3"))
    local state, err = agent:save_status()
    assert.equal("failed", state)
    assert.equal("conflict", err.code)
    assert.equal(6, #agent:get_history())
  end)

  it("calls its own agent: busy where it would be changed, no deadlock",
    function()
      local seen
      local function busy(verb, ...)
        local result, err = agent[verb](agent, ...)
        seen[verb] = err and err.code or type(result)
      end
      for method in pairs(verbs) do
        seen = {}
        local good = store[method]
        store[method] = function(...)
          store[method] = good
          busy("ask", "x")
          busy("stream", "x")
          busy("set_history", {})
          busy("clear")
          if method ~= "list" then busy("close") end
          for _, verb in pairs(verbs) do
            if verb ~= "list_sessions" then busy(verb) end
          end
          busy("flush")
          busy("get_history")
          busy("usage")
          busy("save_status")
          busy("list_sessions")
          busy("clone")
          tostring(agent)
          return good(...)
        end
        code_of(agent, method)
        store[method] = good
        if method ~= "list" then
          for _, verb in ipairs { "ask", "stream", "set_history", "clear",
            "close", "save_session", "load_session", "delete_session",
            "flush" } do
            assert.equal("busy", seen[verb], method .. " " .. verb)
          end
        end
        assert.equal("table", seen.list_sessions)
        agent = agent_on(store)
      end
    end)

  it("calls other agents, and is called by them", function()
    local other = deepagent.new { provider = models.echo() }
      :with_session_id("other"):with_memory_backend(store)
    local save = store.save
    function store:save(id, ...)
      if id == "s" then assert(other:ask("noticed " .. id)) end
      return save(self, id, ...)
    end
    assert(agent:ask("x"))
    assert(agent:ask("y"))
    assert.equal("saved", (agent:save_status()))
    assert.equal(4, #store.data.s[1])
    assert.equal(4, #store.data.other[1])
  end)

  it("collects garbage in the middle, agents and itself too", function()
    local save = store.save
    function store:save(...)
      deepagent.offline():with_session_id("t"):with_memory_backend(self)
        :get_history()
      collectgarbage()
      collectgarbage()
      return save(self, ...)
    end
    for i = 1, 20 do assert(agent:ask("x" .. i)) end
    assert.equal(40, #store.data.s[1])
  end)

  it("is tried once more when its agent is closed, and then no more",
    function()
      local calls = 0
      store.save = function()
        calls = calls + 1
        return nil, "not yet"
      end
      assert(agent:ask("x"))
      assert.equal(1, calls)
      local ok, err = agent:close()
      assert.is_nil(ok)
      assert.equal("not yet", err.message)
      assert.equal(2, calls)
      agent = nil
      collectgarbage()
      collectgarbage()
      assert.equal(2, calls)
      local other = agent_on(store)
      assert.same({}, other:get_history()) -- it was dropped
    end)

  it("is tried once more when its agent is collected", function()
    local data = store.data
    local save = store.save
    store.save = function() error "not yet" end
    assert(agent:ask("x"))
    assert.equal("failed", (agent:save_status()))
    store.save = save
    agent, store = nil, nil
    collectgarbage()
    collectgarbage()
    assert.equal(2, #data.s[1])
  end)
end)
