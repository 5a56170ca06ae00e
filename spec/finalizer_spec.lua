-- Objects of ours in the hands of finalizers, at the end of their lives: what
-- was finalized before is refused, what has lost its Lua half says so, and
-- nothing crashes.

local child = require "support.child"
local deepagent = require "deepagent"
local new_lua_store = require "support.lua_store"
local models = require "support.models"

-- An object whose finalizer calls fn(object) and keeps what comes of it.
-- Finalizers run in the reverse order of their making.
local function dying(results, fn)
  return setmetatable({}, { __gc = function(self)
    results[#results + 1] = table.pack(pcall(fn, self))
  end })
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- What fn gives when the object made by `make` has been finalized before.
local function after_its_end(make, fn)
  local results = {}
  do
    local holder = dying(results, function(self) return fn(self.object) end)
    holder.object = make()
  end
  collect()
  assert.equal(1, #results)
  return table.unpack(results[1], 1, results[1].n)
end

-- What fn gives just before the object's own finalizer.
local function before_its_end(make, fn)
  local results = {}
  do
    local object = make()
    local holder = dying(results, function(self) return fn(self.object) end)
    holder.object = object
  end
  collect()
  assert.equal(1, #results)
  return table.unpack(results[1], 1, results[1].n)
end

local function raises(text, ok, why)
  assert.is_false(ok)
  assert.truthy(tostring(why):find(text, 1, true), tostring(why))
end

describe("in a finalizer", function()
  it("an agent that is gone is refused by every method", function()
    local names = { "ask", "stream", "flush", "close", "clone",
      "save_status", "get_history", "with_system", "with_session_id",
      "list_sessions" }
    for _, name in ipairs(names) do
      raises("the agent was not made",
        after_its_end(deepagent.offline, function(agent)
          return agent[name](agent, "x")
        end))
    end
  end)

  it("an agent that is gone can still be printed", function()
    local ok, text = after_its_end(deepagent.offline, tostring)
    assert.is_true(ok)
    assert.equal("deepagent.agent (not made)", text)
  end)

  it("a backend that is gone is refused", function()
    for _, use in ipairs {
      function(b) return b:list() end,
      function(b) return b:load("x") end,
      function(b) return b:save("x", {}) end,
      function(b) return b:delete("x") end,
      function(b) return deepagent.offline():with_memory_backend(b) end,
    } do
      raises("the backend is closed",
        after_its_end(deepagent.memory_backend, use))
    end
    local ok, text = after_its_end(deepagent.memory_backend, tostring)
    assert.is_true(ok)
    assert.equal("deepagent.backend (closed)", text)
  end)

  it("an agent whose model in Lua is gone cannot ask", function()
    local ok, answer, err = before_its_end(function()
      return deepagent.new { provider = models.echo() }
    end, function(agent) return agent:ask("x") end)
    assert.is_true(ok)
    assert.is_nil(answer)
    assert.equal("provider_error", err.code)
    assert.equal("the provider is gone", err.message)
  end)

  it("an agent whose backend in Lua is gone cannot use it", function()
    local ok, ids, err = before_its_end(function()
      return deepagent.offline():with_session_id("x")
        :with_memory_backend(new_lua_store())
    end, function(agent) return agent:list_sessions() end)
    assert.is_true(ok)
    assert.is_nil(ids)
    assert.equal("closed", err.code)
    assert.equal("the backend is gone", err.message)
  end)

  it("that runs while the state closes, all of it is refused", function()
    local output, status = child.run [[
      local deepagent = require "deepagent"
      local agent, backend -- made after the object, finalized before it
      local last = setmetatable({}, { __gc = function()
        print(pcall(agent.ask, agent, "x"))
        print(pcall(backend.list, backend))
        print(pcall(deepagent.offline))
        print(pcall(deepagent.memory_backend))
        print(tostring(agent), tostring(backend))
      end })
      agent = deepagent.offline():with_memory()
      backend = deepagent.memory_backend()
      assert(agent:ask("x"))
      KEEP = { last, agent, backend }
    ]]
    assert.equal(0, status)
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(5, #lines)
    assert.truthy(lines[1]:find("the agent was not made", 1, true))
    assert.truthy(lines[2]:find("the backend is closed", 1, true))
    for i = 3, 4 do
      assert.truthy(lines[i]:find("while its state closes", 1, true), lines[i])
    end
  end)
end)
