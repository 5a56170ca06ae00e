-- Backends that are slow, hang or fail, native ones (spec/modules/test/
-- slow.c) and in Lua: an ask never waits for them nor fails by them, and
-- nothing is lost. The tag #threads is for ThreadSanitizer.

local child = require "support.child"
local deepagent = require "deepagent"
local models = require "support.models"
local patience = require "support.patience"
local slow = require "test.slow"

package.preload["deepagent.backend.slow"] = function() return slow.open end

local HUNG = 3600
local LONG, eventually = patience.long, patience.eventually

local function at_rest()
  for _, what in ipairs { "save", "load", "delete", "list" } do
    slow.delay(what, 0)
  end
  slow.fail(0)
end

local function agent_on(backend, id)
  return deepagent.new { provider = models.echo() }
    :with_session_id(id or "s"):with_memory_backend(backend)
    :with_save_timeout(LONG)
end

describe("a native backend that is slow #threads", function()
  local backend

  before_each(function()
    at_rest()
    backend = deepagent.backend("slow")
  end)
  after_each(at_rest)

  it("does not slow the ask", function()
    slow.delay("save", HUNG)
    local agent = agent_on(backend)
    local done, before = patience.watch(), slow.saves()
    for i = 1, 5 do assert(agent:ask("q" .. i)) end
    done()
    assert.equal("pending", (agent:save_status()))
    assert.equal(before, slow.saves())
    slow.delay("save", 0)
    assert.is_true(agent:flush())
    assert.equal("saved", (agent:save_status()))
    assert.equal(10, #backend:load("s"))
  end)

  it("gets many turns in few saves, one at a time, the newest last",
    function()
      slow.delay("save", HUNG)
      local agent = agent_on(backend)
      local before = slow.saves()
      for i = 1, 200 do assert(agent:ask("q" .. i)) end
      slow.delay("save", 0)
      assert.is_true(agent:flush())
      assert.truthy(slow.saves() - before <= 2)
      assert.truthy(slow.most() == 1)
      local messages = backend:load("s")
      assert.equal(400, #messages)
      assert.equal("re: q200", messages[400].content)
    end)

  it("saves different sessions at once", function()
    slow.delay("save", HUNG)
    local agents = {}
    for i = 1, 10 do
      agents[i] = agent_on(backend, "s" .. i)
      assert(agents[i]:ask("x"))
    end
    eventually(function() return slow.saving() == 10 end)
    slow.delay("save", 0)
    for _, agent in ipairs(agents) do assert.is_true(agent:flush()) end
    assert.equal(10, #backend:list())
  end)

  it("is waited for by flush no longer than it is told", function()
    slow.delay("save", HUNG)
    local agent = agent_on(backend)
    assert(agent:ask("x"))
    local done = patience.watch()
    local ok, err = agent:flush(0.1)
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    ok, err = agent:flush(0)
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    done()
    slow.delay("save", 0)
    assert.is_true(agent:flush(math.huge))
    assert.equal(2, #backend:load("s"))
  end)

  it("is late after the save timeout, and may still get there", function()
    slow.delay("save", HUNG)
    local logged = {}
    local agent = agent_on(backend):with_save_timeout(0.1)
      :with_logger(function(level, _, fields)
        logged[#logged + 1] = level .. ":" .. tostring(fields.code)
      end)
    local done = patience.watch()
    assert(agent:ask("one"))
    eventually(function() return agent:save_status() == "failed" end)
    done(0.1)
    local _, err = agent:save_status()
    assert.equal("timeout", err.code)
    local ok
    ok, err = agent:save_session()
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    -- It answers all the same; what it says is kept for later.
    assert(agent:ask("two"))
    agent:save_status()
    local text = table.concat(logged, " ")
    assert.truthy(text:find("warn:timeout", 1, true))
    slow.delay("save", 0)
    eventually(function() return agent:save_status() == "saved" end)
    assert.equal(4, #backend:load("s"))
  end)

  it("is late by the timeout that was told last", function()
    slow.delay("save", HUNG)
    local agent = agent_on(backend):with_save_timeout(1000)
    assert(agent:ask("one"))
    assert.equal("pending", (agent:save_status()))
    agent:with_save_timeout(0.05)
    eventually(function() return agent:save_status() == "failed" end)
    local ok, err = agent:flush()
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    slow.delay("save", 0)
    agent:with_save_timeout(LONG)
    assert.is_true(agent:flush())
  end)

  it("that ends late does not overtake a newer save", function()
    slow.delay("save", HUNG)
    local agent = agent_on(backend)
    assert(agent:ask("old"))
    agent:with_save_timeout(0.05)
    assert.is_nil((agent:flush()))
    assert(agent:set_history { { role = "user", content = "new" } })
    assert.is_nil((agent:flush()))
    slow.delay("save", 0)
    agent:with_save_timeout(LONG)
    assert.is_true(agent:flush())
    assert.equal("new", backend:load("s")[1].content)
    assert.equal(1, #backend:load("s"))
  end)

  it("is not waited for longer than the save timeout by any verb",
    function()
      local agent = agent_on(backend)
      assert(agent:save_session())
      for verb, method in pairs { load_session = "load",
        list_sessions = "list", delete_session = "delete" } do
        slow.delay(method, HUNG)
        agent:with_save_timeout(0.1)
        local done = patience.watch()
        local ok, err = agent[verb](agent)
        assert.is_nil(ok)
        assert.equal("timeout", err.code, verb)
        done()
        slow.delay(method, 0)
        agent:with_save_timeout(LONG)
        assert.is_true(agent:load_session())
      end
    end)

  it("that hangs while it loads lets the agent answer", function()
    local first = agent_on(backend)
    assert(first:ask("before"))
    assert(first:close())
    slow.delay("load", HUNG)
    local logged = {}
    local agent = agent_on(backend):with_save_timeout(0.1)
      :with_logger(function(level, _, fields)
        logged[#logged + 1] = level .. ":" .. tostring(fields.code)
      end)
    local done = patience.watch()
    assert.equal("re: x", agent:ask("x"))
    done()
    assert.truthy(table.concat(logged, " "):find("warn:timeout", 1, true))
    slow.delay("load", 0)
    agent:with_save_timeout(LONG)
    assert.is_true(agent:flush())
    -- What could not be read was not replaced.
    assert.equal(4, #backend:load("s"))
    assert.equal("before", backend:load("s")[1].content)
  end)

  it("that fails keeps the turns for the next time", function()
    local logged = {}
    local agent = agent_on(backend):with_logger(function(level, m, fields)
      if fields.code then
        logged[#logged + 1] = level .. ":" .. fields.code
        assert.equal("s", fields.session_id)
        assert.truthy(m:find("wants it to fail", 1, true))
      end
    end)
    slow.fail(1)
    assert(agent:ask("one"))
    eventually(function() return agent:save_status() == "failed" end)
    assert.same({ "warn:io_error" }, logged)
    local _, err = agent:save_status()
    assert.equal("io_error", err.code)
    assert.is_nil((backend:load("s")))
    assert(agent:ask("two"))
    assert.is_true(agent:flush())
    assert.equal("saved", (agent:save_status()))
    assert.equal(4, #backend:load("s"))
    slow.fail(100)
    local ok
    ok, err = agent:save_session()
    assert.is_nil(ok)
    assert.equal("io_error", err.code)
    assert.is_nil((agent:flush()))
    slow.fail(0)
    assert.is_true(agent:flush())
  end)

  it("is shared by many agents on one session", function()
    slow.delay("save", 0.002)
    local agents = {}
    for i = 1, 20 do agents[i] = agent_on(backend, "shared") end
    for round = 1, 5 do
      for i, agent in ipairs(agents) do
        assert(agent:ask(("r%d a%d"):format(round, i)))
      end
    end
    for _, agent in ipairs(agents) do assert.is_true(agent:close()) end
    local seen, messages = {}, backend:load("shared")
    assert.equal(200, #messages)
    for i = 1, 200, 2 do
      assert.is_nil(seen[messages[i].content])
      seen[messages[i].content] = true
      assert.equal("re: " .. messages[i].content, messages[i + 1].content)
    end
    assert.equal(1, slow.most())
  end)

  it("is saved to by agents that were dropped", function()
    slow.delay("save", 0.05)
    for i = 1, 10 do
      assert(agent_on(backend, "dropped" .. i):ask("x"))
      collectgarbage()
    end
    eventually(function() return #backend:list() == 10 end)
  end)

  it("keeps close waiting for at most the save timeout", function()
    slow.delay("save", HUNG)
    local agent = agent_on(backend)
    assert(agent:ask("x"))
    agent:with_save_timeout(0.2)
    local done = patience.watch()
    local ok, err = agent:close()
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    done(0.2)
    assert.is_true(agent:close())
    slow.delay("save", 0)
    eventually(function() return backend:load("s") ~= nil end)
  end)
end)

-- At a process's end the hung one must not keep it for ever.
describe("a native backend that hangs #threads", function()
  for name, finish in pairs {
    ["the script's end"] = "",
    ["os.exit"] = "os.exit(0)",
    ["os.exit with the state closed"] = "os.exit(0, true)",
    ["close"] = "agent:close()",
    ["collection"] = "agent = nil collectgarbage()",
  } do
    it("holds up " .. name .. " for the save timeout only", function()
      local done = patience.watch()
      local output, status = child.run([[
        local deepagent = require "deepagent"
        local slow = require "test.slow"
        package.preload["deepagent.backend.slow"] = function()
          return slow.open
        end
        slow.delay("save", 3600)
        local agent = deepagent.offline():with_session_id "s"
          :with_memory_backend "slow":with_save_timeout(0.3)
        assert(agent:ask "x")
        print "asked"
        ]] .. finish)
      assert.equal("asked\n", output)
      assert.equal(0, status)
      done()
    end)
  end
end)

describe("a backend in Lua that does not end", function()
  -- Each function hangs in its own way when told to.
  local function store(how)
    local self = { hang = {}, data = {} }
    local function hanging(name, work)
      self[name] = function(_, ...)
        if self.hang[name] then how() end
        return work(...)
      end
    end
    hanging("save", function(id, messages)
      self.data[id] = messages
      return true
    end)
    hanging("load", function(id) return self.data[id] end)
    hanging("delete", function(id)
      local found = self.data[id] ~= nil
      self.data[id] = nil
      return found
    end)
    hanging("list", function() return {} end)
    return self
  end

  local ways = {
    ["in a loop"] = function() while true do end end, -- luacheck: ignore
    ["in calls"] = function()
      local function f() return f() end
      f()
    end,
    ["in a coroutine"] = function()
      coroutine.wrap(function() while true do end end)() -- luacheck: ignore
    end,
    ["in pcall, again and again"] = function()
      while true do
        pcall(function() while true do end end) -- luacheck: ignore
      end
    end,
    ["in a library function with callbacks"] = function()
      while true do
        ("x"):rep(100):gsub(".", function() return "y" end)
      end
    end,
  }

  for name, how in pairs(ways) do
    it(name .. " is stopped after the save timeout", function()
      local s = store(how)
      local agent = agent_on(s)
      assert(agent:load_session())
      agent:with_save_timeout(0.1)
      for verb, method in pairs { save_session = "save",
        load_session = "load", delete_session = "delete",
        list_sessions = "list" } do
        s.hang[method] = true
        local done = patience.watch()
        local ok, err = agent[verb](agent)
        assert.is_nil(ok)
        assert.equal("timeout", err.code)
        assert.truthy(err.message:find(method, 1, true))
        done(0.1)
        s.hang[method] = nil
      end
      -- The turn stands; it is saved as soon as that can be done.
      s.hang.save = true
      assert.equal("re: x", agent:ask("x"))
      assert.equal("failed", (agent:save_status()))
      s.hang.save = nil
      agent:with_save_timeout(LONG)
      assert.is_true(agent:flush())
      assert.equal(2, #s.data.s)
    end)
  end

  it("is stopped also when its agent is collected or the state closed",
    function()
      local done = patience.watch()
      local output, status = child.run([[
        local deepagent = require "deepagent"
        local function hang() while true do end end
        local store = { save = hang, load = function() end, delete = hang,
          list = hang }
        local agent = deepagent.offline():with_session_id "s"
          :with_memory_backend(store):with_save_timeout(0.1)
        assert(agent:ask "x")
        local other = agent:clone()
        assert(other:ask "y")
        agent = nil
        collectgarbage()
        print(other:save_status() == "failed")]])
      assert.equal("true\n", output)
      assert.equal(0, status)
      done()
    end)

  it("leaves a debugger's hook and later coroutines alone", function()
    local late
    local s = store(function() end)
    local save = s.save
    function s:save(...)
      late = coroutine.wrap(function()
        for i = 1, 100000 do
          if i % 50000 == 0 then coroutine.yield(i) end
        end
        return "done"
      end)
      return save(self, ...)
    end
    local count = 0
    debug.sethook(function() count = count + 1 end, "", 100)
    local agent = agent_on(s)
    assert(agent:ask("x"))
    local before, hook = count, debug.gethook()
    for _ = 1, 10000 do count = count + 0 end
    debug.sethook()
    assert.is_function(hook)
    assert.truthy(count > before)
    assert.equal(50000, late())
    assert.equal(100000, late())
    assert.equal("done", late())
  end)
end)
