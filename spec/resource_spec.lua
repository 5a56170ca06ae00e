-- Nothing grows: over thousands of turns, saves and loads, of agents,
-- backends and states that come and go, a process keeps its descriptors,
-- threads, registry and memory. Each case is a process of its own; the
-- sanitizers, which keep freed memory, are spared the sizes.

local child = require "support.child"
local disk = require "support.disk"

local MEASURE = [[
  local deepagent = require "deepagent"
  local lfs = require "lfs"
  local directory = arg[1]
  local measures_memory = os.getenv("DA_CONFIG") == "release"

  local function count(path)
    local n = 0
    for _ in lfs.dir(path) do n = n + 1 end
    return n
  end

  local function registry()
    local n = 0
    for _, value in pairs(debug.getregistry()) do
      n = n + 1
      if type(value) == "table" and value ~= package.loaded
        and value ~= _G then
        for _ in next, value do n = n + 1 end
      end
    end
    return n
  end

  local function resident() -- kilobytes
    for line in io.lines("/proc/self/status") do
      local kb = line:match("^VmRSS:%s*(%d+)")
      if kb then return tonumber(kb) end
    end
  end

  local function now()
    collectgarbage()
    collectgarbage()
    return { fds = count("/proc/self/fd"), threads = count("/proc/self/task"),
      registry = registry(), lua = collectgarbage("count"),
      rss = resident() }
  end

  -- Runs `cycle` n times, after as many as it takes to be warm.
  function steady(n, cycle)
    if not measures_memory then n = n // 10 end
    for i = 1, n // 4 do cycle(i) end
    local before = now()
    for i = 1, n do cycle(i) end
    -- Threads that have nothing to do may linger for two seconds.
    local deadline = os.time() + 120
    local after = now()
    while (after.threads > before.threads or after.fds > before.fds)
      and os.time() < deadline do
      os.execute("sleep 0.2")
      after = now()
    end
    for _, what in ipairs { "fds", "threads", "registry" } do
      if after[what] > before[what] + 1 then
        print(what, before[what], after[what])
      end
    end
    if after.lua > before.lua + 64 then
      print("lua", before.lua, after.lua)
    end
    if measures_memory and after.rss > before.rss + 1024 then
      print("rss", before.rss, after.rss)
    end
    print "steady"
  end

  provider = { complete = function(_, request)
    return "re: " .. request.messages[#request.messages].content
  end }

  function check(value, err)
    if value == nil then error(tostring(err), 2) end
    return value
  end
]]

local cases = {
  ["a file, asked, saved, loaded, deleted"] = [[
    local deepagent = require "deepagent"
    local backend = deepagent.file_backend { path = arg[1],
      durable = false }
    steady(2000, function(i)
      local agent = deepagent.new { provider = provider }
        :with_session_id("s" .. i % 7):with_memory_backend(backend)
      check(agent:ask("x" .. i))
      check(agent:save_session())
      check(agent:load_session())
      check(agent:stream("y" .. i))
      check(agent:flush())
      if i % 5 == 0 then check(agent:delete_session()) end
      check(agent:list_sessions())
      check(agent:close())
    end)]],
  ["backends of their own, dropped without a word"] = [[
    local deepagent = require "deepagent"
    steady(2000, function(i)
      local agent = deepagent.new { provider = provider }
        :with_session_id("s" .. i % 7)
        :with_memory_backend(deepagent.file_backend { path = arg[1],
          durable = false })
      check(agent:ask("x"))
      if i % 10 == 0 then
        check(agent:clear())
        check(agent:flush())
      end
    end)]],
  ["sessions in memory, deleted again"] = [[
    local deepagent = require "deepagent"
    local backend = deepagent.memory_backend()
    steady(2000, function(i)
      local agent = deepagent.new { provider = provider }
        :with_session_id("s" .. i):with_memory_backend(backend)
      check(agent:ask("x"))
      check(agent:flush())
      check(agent:delete_session())
    end)]],
  ["one agent that is cleared now and then"] = [[
    local deepagent = require "deepagent"
    local agent = deepagent.new { provider = provider }
      :with_session_id("s"):with_memory_backend("memory")
    steady(2000, function(i)
      check(agent:ask(("x"):rep(1000)))
      check(agent:get_history())
      check(agent:usage())
      if i % 20 == 0 then
        check(agent:save_session())
        check(agent:load_session())
        check(agent:clear())
      end
    end)]],
  ["stores in Lua, good and bad"] = [[
    local deepagent = require "deepagent"
    local function store(i)
      local kept = {}
      return {
        save = function(_, id, messages)
          if i % 3 == 0 then error("no") end
          kept[id] = messages
        end,
        load = function(_, id) return kept[id] end,
        delete = function(_, id) kept[id] = nil end,
        list = function() return {} end,
      }
    end
    steady(2000, function(i)
      local agent = deepagent.new { provider = provider }
        :with_session_id("s"):with_memory_backend(store(i))
      check(agent:ask("x"))
      agent:flush()
      agent:load_session()
    end)]],
  ["turns that fail in every way"] = [[
    local deepagent = require "deepagent"
    local ways = { function() error("no") end, function() return nil end,
      function() return { role = 5 } end, function() return "\xff" end,
      function(_, _, on_delta) on_delta("x") on_delta("y") end,
      function() coroutine.yield() end }
    steady(2000, function(i)
      local agent = deepagent.new {
        provider = { complete = ways[i % #ways + 1] } }:with_memory()
      agent:ask("x")
      agent:stream("x", function() return false end)
      agent:stream("x", error)
      pcall(agent.set_history, agent, { { role = "user" }, 5 })
      pcall(agent.with_extra, agent, { a = print })
      pcall(agent.with_session_id, agent, "../x")
    end)]],
  ["clones and settings"] = [[
    local deepagent = require "deepagent"
    local agent = deepagent.new { provider = provider }:with_memory()
      :with_session_id("s"):with_memory_backend("memory")
    steady(2000, function(i)
      local clone = agent:clone():with_system("x" .. i)
        :with_header("X-" .. i, "y"):with_extra { a = { i } }
        :with_messages { { role = "user", content = "m" .. i } }
        :with_logger(function() end):with_on_stream(function() end)
        :with_session_id("t" .. i % 5)
      check(clone:ask("x"))
      check(clone:clear())
      check(clone:flush())
    end)]],
}

describe("nothing grows over thousands of", function()
  for name, script in pairs(cases) do
    it(name, function()
      local root = disk.temp()
      local output, status = child.run(MEASURE .. script,
        { args = { root .. "/sessions" } })
      disk.remove(root)
      assert.equal("steady\n", output)
      assert.equal(0, status)
    end)
  end

  it("agents that fail to be saved and are dropped", function()
    -- What could not be saved is kept, once for each session.
    local root = disk.temp()
    disk.shell("mkdir -p %s/sessions/s.json", root)
    local output, status = child.run(MEASURE .. [[
      local deepagent = require "deepagent"
      local backend = deepagent.file_backend { path = arg[1] }
      local agent = deepagent.new { provider = provider }
        :with_session_id("s"):with_memory_backend(backend)
      steady(2000, function(i)
        check(agent:ask("x"))
        agent:flush(0)
        if i % 50 == 0 then check(agent:clear()) end
      end)]], { args = { root .. "/sessions" } })
    disk.remove(root)
    assert.equal("steady\n", output)
    assert.equal(0, status)
  end)
end)

describe("a coroutine or a required module", function()
  it("is not kept by having used agents", function()
    local output, status = child.run(MEASURE .. [[
      local deepagent = require "deepagent"
      local agent = deepagent.new { provider = provider }
        :with_session_id("s"):with_memory_backend("memory")
      steady(2000, function()
        coroutine.wrap(function()
          check(agent:ask("x"))
          check(agent:clear())
          coroutine.yield()
        end)()
      end)]], { args = { "" } })
    assert.equal("steady\n", output)
    assert.equal(0, status)
  end)

  it("may be loaded anew again and again", function()
    local output, status = child.run(MEASURE .. [[
      steady(200, function()
        for name in pairs(package.loaded) do
          if name:find("^deepagent") then package.loaded[name] = nil end
        end
        local deepagent = require "deepagent"
        local agent = deepagent.new { provider = provider }
          :with_session_id("s"):with_memory_backend("memory")
        check(agent:ask("x"))
        check(agent:flush())
      end)]], { args = { "" } })
    assert.equal("steady\n", output)
    assert.equal(0, status)
  end)
end)

describe("states that open and close", function()
  it("leave nothing behind in their process", function()
    if os.getenv("DA_CONFIG") == "tsan" then return pending("too slow") end
    local root = disk.temp()
    local output, status = child.run([[
      local states = require "test.states"
      local script = [=[
        local deepagent = require "deepagent"
        local directory = ...
        local agent = deepagent.offline():with_session_id "s"
          :with_memory_backend(deepagent.file_backend { path = directory,
            durable = false })
        assert(agent:ask "x")
        assert(agent:clear())
        assert(agent:ask "y")
        other = agent:clone():with_session_id "t"
          :with_memory_backend "memory"
        assert(other:ask "z")
      ]=]
      local lfs = require "lfs"
      local function count(path)
        local n = 0
        for _ in lfs.dir(path) do n = n + 1 end
        return n
      end
      local function measure()
        local rss
        for line in io.lines("/proc/self/status") do
          rss = rss or tonumber((line:match("^VmRSS:%s*(%d+)")))
        end
        return count("/proc/self/fd"), count("/proc/self/task"), rss
      end
      for _ = 1, 50 do states.run(script, arg[1]) end
      local fds, threads, rss = measure()
      for _ = 1, 200 do states.run(script, arg[1]) end
      local fds2, threads2, rss2 = measure()
      local deadline = os.time() + 120 -- threads take their time to go
      while threads2 > threads + 1 and os.time() < deadline do
        os.execute("sleep 0.1")
        fds2, threads2, rss2 = measure()
      end
      print(fds2 - fds, threads2 <= threads + 1,
        os.getenv("DA_CONFIG") ~= "release" or rss2 - rss < 1024)]],
      { args = { root .. "/sessions" } })
    disk.remove(root)
    assert.equal("0\ttrue\ttrue\n", output)
    assert.equal(0, status)
  end)

  it("may live beside each other in threads #threads", function()
    local root = disk.temp()
    local output, status = child.run([[
      local states = require "test.states"
      states.threads(8, [=[
        local deepagent = require "deepagent"
        local directory, number = ...
        for i = 1, 10 do
          local agent <close> = deepagent.offline()
            :with_session_id(i % 2 == 0 and "shared" or "own-" .. number)
            :with_memory_backend(deepagent.file_backend { path = directory,
              durable = false })
          assert(agent:ask("x" .. i))
        end
      ]=], arg[1])
      local backend = require "deepagent".file_backend { path = arg[1] }
      print(#backend:load "shared", #backend:list())
      for i = 1, 8 do assert(#backend:load("own-" .. i) == 10) end]],
      { args = { root .. "/sessions" } })
    disk.remove(root)
    assert.equal("80\t9\n", output)
    assert.equal(0, status)
  end)
end)
