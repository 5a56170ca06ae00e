-- How a store in Lua can fail: each way has one meaning, the agent goes on,
-- and nothing is lost.

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

describe("a store in Lua that", function()
  local store, agent

  before_each(function()
    store = new_store()
    agent = agent_on(store)
  end)

  -- Every way to fail, for every function.
  local nothing = setmetatable({}, { __tostring = function() error() end })
  local ways = {
    ["raises a string"] = { function() error("why it is", 0) end, "why it is" },
    ["raises a table with a message"] = {
      function() error { message = "why it is" } end, "why it is" },
    ["raises something that tells itself"] = { function()
      error(setmetatable({}, { __tostring = function() return "why" end }))
    end, "why" },
    ["raises something that cannot"] = { function() error(nothing) end, "" },
    ["raises nil"] = { function() error() end, "" },
    ["raises a number"] = { function() error(42) end, "42" },
    ["raises in a coroutine"] = {
      function() coroutine.wrap(error)("deep") end, "deep" },
    ["calls what is no function"] = { function() (nil)() end, "call" },
    ["yields"] = { function() coroutine.yield() end, "yield" },
    ["returns nil and why"] = { function() return nil, "why" end, "why" },
    ["returns nil and a table"] = {
      function() return nil, { message = "why" } end, "why" },
  }
  for name, way in pairs(ways) do
    for method in pairs(verbs) do
      it(name .. " in " .. method .. ": backend_error", function()
        assert(agent:ask("before"))
        local history = agent:get_history()
        local good = store[method]
        store[method] = way[1]
        local code, err = code_of(agent, method)
        assert.equal("backend_error", code)
        assert.truthy(err.message:find(way[2], 1, true), err.message)
        assert.same(history, agent:get_history())
        -- Also from within a coroutine, where one could yield.
        coroutine.wrap(function()
          assert.equal("backend_error", (code_of(agent, method)))
        end)()
        store[method] = good
        assert.equal(method == "list" and "table" or "boolean",
          type((code_of(agent, method))))
        assert(agent:ask("after"))
        assert.is_true(agent:flush())
        assert.same(agent:get_history()[1].content,
          store.data.s[1][1].content)
      end)
    end
  end

  it("says a code of ours and it is that", function()
    for method in pairs(verbs) do
      local good = store[method]
      for _, code in ipairs { "permission_denied", "disk_full", "timeout" } do
        store[method] = function() return nil, { code = code,
          message = "M", retryable = true } end
        local found, err = code_of(agent, method)
        assert.equal(code, found)
        assert.equal("M", err.message)
        assert.is_true(err.retryable)
      end
      store[method] = function() return nil, { code = "made up" } end
      assert.equal("backend_error", (code_of(agent, method)))
      store[method] = good
    end
  end)

  local results = {
    save = { { nil, true }, { 5, true }, { {}, true },
      { false, "backend_error" } },
    load = { { nil, true }, { {}, true }, { 5, "backend_error" },
      { true, "backend_error" }, { false, "backend_error" },
      { "x", "backend_error" }, { { 5 }, "session_corrupt" },
      { { n = 1 }, "backend_error" }, { { [2] = "x" }, "backend_error" },
      { { {} }, "session_corrupt" }, { { "{" }, "session_corrupt" },
      { { { role = 5 } }, "session_corrupt" },
      { { { role = "user", content = "\xff" } }, "session_corrupt" } },
    delete = { { nil, true }, { 5, true }, { true, true },
      { false, true } },
    list = { { nil, "backend_error" }, { 5, "backend_error" },
      { "x", "backend_error" }, { { 5 }, "backend_error" },
      { { {} }, "backend_error" }, { { a = true }, "backend_error" } },
  }
  for method, cases in pairs(results) do
    it("returns from " .. method .. " what has one meaning each", function()
      for i, case in ipairs(cases) do
        store[method] = function() return case[1] end
        assert.equal(case[2], (code_of(agent, method)), i)
      end
      store[method] = function() end
      assert.equal(method ~= "list" or "backend_error",
        (code_of(agent, method)))
    end)
  end

  it("gives an info of the wrong type", function()
    for _, info in ipairs { 5, "x", true } do
      store.load = function() return {}, info end
      assert.equal("backend_error", (code_of(agent, "load")))
    end
    store.load = function() return {}, { 1, 2 } end
    assert.equal("session_corrupt", (code_of(agent, "load")))
    store.load = function() return {}, { n = 0 / 0 } end
    assert.equal("backend_error", (code_of(agent, "load")))
  end)

  it("runs out of stack: backend_error", function()
    store.save = function()
      local function f() return 1 + f() end
      return f()
    end
    local code, err = code_of(agent, "save")
    assert.equal("backend_error", code)
    assert.truthy(err.message:find("overflow", 1, true))
  end)
end)
