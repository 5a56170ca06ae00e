-- However a process ends, what it has said is stored. Each case is a process
-- of its own that ends at once after many turns, with saves still pending.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"

local BEGIN = [[
  local deepagent = require "deepagent"
  local directory = arg[1]
  local function agent_on(id)
    return deepagent.offline():with_session_id(id):with_save_timeout(120)
      :with_memory_backend(deepagent.file_backend { path = directory })
  end
  local agent = agent_on "s"
  for i = 1, 50 do assert(agent:ask("turn " .. i)) end
]]

local ends = {
  { "the end of the script", "" },
  { "an error", "error 'oops'", 1 },
  { "an error object", "error({})", 1 },
  { "os.exit(0)", "os.exit(0)" },
  { "os.exit(true)", "os.exit(true)" },
  { "os.exit(3)", "os.exit(3)", 3 },
  { "os.exit(0, true), which closes the state", "os.exit(0, true)" },
  { "os.exit in a coroutine",
    "coroutine.wrap(function() os.exit(0) end)()" },
  { "os.exit in a finalizer",
    "setmetatable({}, { __gc = function() os.exit(0) end }) agent = nil" },
  { "close()", "assert(agent:close()) os.exit(0)" },
  { "a <close> variable", "do local a <close> = agent end os.exit(0)" },
  { "an error past a <close> variable",
    "pcall(function() local a <close> = agent error 'x' end) os.exit(0)" },
  { "the collection of the agent",
    "agent = nil collectgarbage() collectgarbage()" },
  { "flush()", "assert(agent:flush()) os.exit(0)" },
  { "save_session()", "assert(agent:save_session()) os.exit(0)" },
  { "a finalizer that talks once more", [[
    last = setmetatable({}, { __gc = function()
      assert(agent:ask "turn 51")
    end })]], 0, 51 },
}

describe("what was said is stored after", function()
  local root, directory

  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
  end)
  after_each(function() disk.remove(root) end)

  local function stored(id)
    return (deepagent.file_backend { path = directory }:load(id))
  end

  local function assert_turns(messages, n)
    assert.equal(2 * n, messages and #messages)
    for i = 1, n do
      assert.equal("turn " .. i, messages[2 * i - 1].content)
    end
  end

  for _, case in ipairs(ends) do
    local name, finish, expected, turns = table.unpack(case)
    it(name, function()
      local options = { args = { directory } }
      if expected == 1 then options.stderr = false end
      local output, status = child.run(BEGIN .. finish, options)
      assert.equal("", output)
      assert.equal(expected or 0, status)
      assert_turns(stored "s", turns or 50)
      assert.same({ ".lock", "s.json" }, disk.names(directory))
    end)
  end

  it("many agents at once", function()
    local output, status = child.run(BEGIN .. [[
      local kept = {}
      for i = 1, 100 do
        local other = agent_on("user-" .. i)
        assert(other:ask "turn 1")
        if i % 2 == 0 then kept[i] = other end
      end
      os.exit(0)]], { args = { directory } })
    assert.equal("", output)
    assert.equal(0, status)
    assert.equal(101, #deepagent.file_backend { path = directory }:list())
    for i = 1, 100 do assert_turns(stored("user-" .. i), 1) end
  end)

  it("a turn in a coroutine that is never finished", function()
    local output, status = child.run(BEGIN .. [[
      local co = coroutine.wrap(function()
        local other <close> = agent_on "co"
        assert(other:ask "turn 1")
        coroutine.yield()
      end)
      co()]], { args = { directory } })
    assert.equal("", output)
    assert.equal(0, status)
    assert_turns(stored "co", 1)
  end)

  it("Ctrl-C in the lua program", function()
    local running = child.start(BEGIN .. [[
      local file <close> = io.open("/proc/self/stat")
      print(file:read("n"))
      io.stdout:flush()
      while true do end]], { args = { directory }, stderr = false })
    local pid = math.tointeger(tonumber(running:lines()()))
    os.execute(("kill -INT %d"):format(pid))
    local _, status = running:wait()
    assert.equal(1, status)
    assert_turns(stored "s", 50)
  end)
end)

describe("a state that closes", function()
  it("closes agents, backends and the library in any order", function()
    local output, status = child.run([[
      early = setmetatable({}, { __gc = function()
        -- The library's own finalizers have run.
        local deepagent = require "deepagent"
        io.write(tostring(pcall(deepagent.offline)), " ",
          tostring(pcall(deepagent.memory_backend)), " ",
          tostring(pcall(agent.ask, agent, "x")), " ",
          tostring(pcall(backend.list, backend)), "\n")
      end })
      local deepagent = require "deepagent"
      backend = deepagent.memory_backend()
      agent = deepagent.offline():with_session_id "s"
        :with_memory_backend(backend)
      assert(agent:ask "x")]])
    assert.equal("false false false false\n", output)
    assert.equal(0, status)
  end)

  it("saves to a Lua table whichever is finalized first", function()
    local output, status = child.run([[
      local deepagent = require "deepagent"
      local fails = true
      local store = setmetatable({ load = function() end,
        delete = function() end, list = function() return {} end },
        { __gc = function() io.write "store gone\n" end })
      function store:save(_, messages)
        if fails then return nil, "not yet" end
        io.write("saved ", #messages, "\n")
        return true
      end
      agent = deepagent.offline():with_session_id "s"
        :with_memory_backend(store)
      assert(agent:ask "x")
      fails = false]])
    assert.equal("saved 2\nstore gone\n", output)
    assert.equal(0, status)
  end)
end)
