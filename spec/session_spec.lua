-- Sessions through agents: the Go peer's own list of tests, on our API, and
-- that the order of settings never matters. Windows, clones and the like are
-- in session_history_spec.lua, exits in session_exit_spec.lua, what is slow
-- or fails in session_timeout_spec.lua.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local function echo() return deepagent.new { provider = models.echo() } end

local function contents(agent)
  local list = {}
  for i, message in ipairs(agent:get_history()) do
    list[i] = message.content
  end
  return list
end

describe("an agent's session", function()
  local backend, root

  before_each(function()
    backend = deepagent.memory_backend()
    root = disk.temp()
  end)
  after_each(function() disk.remove(root) end)

  it("has the id that it was given #smoke", function()
    local agent = echo()
    assert.is_nil(agent:get_session_id())
    assert.equal(agent, agent:with_session_id("user-alice"))
    assert.equal("user-alice", agent:get_session_id())
    agent:with_session_id("user-bob"):with_memory_backend(backend)
    assert.equal("user-bob", agent:get_session_id())
    assert(agent:ask("hi"))
    assert(agent:flush())
    assert.same({ "user-bob" }, backend:list())
  end)

  it("cannot have another id or backend once it is in use", function()
    local agent = echo():with_session_id("a"):with_memory_backend(backend)
    assert(agent:ask("hi"))
    for _, change in ipairs {
      function() agent:with_session_id("b") end,
      function() agent:with_memory_backend("memory") end,
    } do
      local ok, why = pcall(change)
      assert.is_false(ok)
      assert.truthy(why:find("busy", 1, true), why)
    end
    assert.equal("a", agent:get_session_id())
  end)

  it("is kept in files unless a backend is given", function()
    local output, status = child.run([[
      local deepagent = require "deepagent"
      local agent = deepagent.offline():with_session_id "s"
      assert(agent:ask "hi")
      assert(agent:close())
      print(#deepagent.file_backend():load "s")]],
      { env = { HOME = root, DEEPAGENT_HOME = false } })
    assert.equal("2\n", output)
    assert.equal(0, status)
    assert.same({ ".lock", "s.json" },
      disk.names(root .. "/.deepagent/sessions"))
  end)

  it("is saved after each turn unless told otherwise", function()
    local agent = echo():with_session_id("a"):with_memory_backend(backend)
    assert.equal("none", (agent:save_status()))
    for turn = 1, 3 do
      assert(agent:ask("turn " .. turn))
      assert.truthy(({ pending = true, saved = true })[agent:save_status()])
      assert(agent:flush())
      assert.equal("saved", (agent:save_status()))
      assert.equal(2 * turn, #backend:load("a"))
    end
  end)

  it("is not saved by itself without auto-save", function()
    local agent = echo():with_session_id("a"):with_memory_backend(backend)
      :with_auto_save(false)
    assert(agent:ask("one"))
    assert(agent:stream("two"))
    assert(agent:set_history(agent:get_history()))
    assert.is_true(agent:flush()) -- nothing was asked for
    assert.equal("unsaved", (agent:save_status()))
    assert.same({}, backend:list())
    assert.is_true(agent:save_session())
    assert.equal("saved", (agent:save_status()))
    assert.equal(4, #backend:load("a"))
    assert(agent:ask("three"))
    assert.is_true(agent:close())
    assert.equal(4, #backend:load("a"))
  end)

  it("is unsaved from a change on, until it is saved or loaded", function()
    local agent = echo():with_session_id("a"):with_memory_backend(backend)
      :with_auto_save(false)
    local function status()
      return table.pack((agent:save_status()))
    end
    assert.same({ "none", n = 1 }, status())
    assert.same({}, agent:get_history())
    assert.same({ "none", n = 1 }, status())
    for _, change in ipairs {
      function() return agent:ask("x") end,
      function() return agent:stream("x") end,
      function() return agent:set_history { { role = "user" } } end,
      function() return agent:clear() end,
    } do
      assert(change())
      assert.same({ "unsaved", n = 1 }, status())
      assert.is_true(agent:flush())
      assert.same({ "unsaved", n = 1 }, status())
      assert.is_true(agent:save_session())
      assert.same({ "saved", n = 1 }, status())
    end
    assert(agent:ask("x"))
    assert.equal("unsaved", (agent:save_status()))
    assert.is_true(agent:load_session())
    assert.equal("saved", (agent:save_status()))
    assert.same({}, contents(agent))
    assert.is_nil((agent:ask("\xff"))) -- a failed turn changes nothing
    assert.equal("saved", (agent:save_status()))
    assert(agent:ask("x"))
    assert.is_true(agent:delete_session())
    assert.equal("none", (agent:save_status()))
    -- What it starts from, and then replaces.
    agent = echo():with_session_id("b"):with_memory_backend(backend)
      :with_messages { { role = "user", content = "start" } }
      :with_auto_save(false)
    assert.same({ "start" }, contents(agent))
    assert.equal("none", (agent:save_status()))
    assert(agent:set_history {})
    assert.equal("unsaved", (agent:save_status()))
  end)

  it("needs an id to be saved, loaded or deleted", function()
    for _, agent in ipairs { echo(), echo():with_memory(),
      echo():with_memory_backend(backend) } do
      for _, verb in ipairs { "save_session", "load_session",
        "delete_session" } do
        local ok, err = agent[verb](agent)
        assert.is_nil(ok)
        assert.equal("session_id_required", err.code)
        assert.truthy(err.message:find("with_session_id", 1, true))
      end
      assert(agent:ask("it goes on"))
    end
    assert.same({}, backend:list())
  end)

  it("is loaded again by load_session; where there is none all stays",
    function()
      local agent = echo():with_session_id("a"):with_memory_backend(backend)
        :with_auto_save(false)
      assert.same({ true, n = 1 }, table.pack(agent:load_session()))
      assert.same({}, contents(agent))
      assert(agent:ask("kept"))
      assert.same({ true, n = 1 }, table.pack(agent:load_session()))
      assert.same({ "kept", "re: kept" }, contents(agent))
      assert(agent:save_session())
      assert(agent:ask("dropped"))
      assert.is_true(agent:load_session())
      assert.same({ "kept", "re: kept" }, contents(agent))
    end)

  it("is deleted by delete_session, its own or another's", function()
    for _, id in ipairs { "a", "b", "c" } do
      backend:save(id, { { role = "user", content = id } })
    end
    local agent = echo():with_session_id("a"):with_memory_backend(backend)
    assert.same({ "a" }, contents(agent))
    assert.is_true(agent:delete_session("b"))
    assert.same({ "a" }, contents(agent))
    assert.is_true(agent:delete_session())
    assert.same({}, contents(agent))
    assert.is_true(echo():with_memory_backend(backend):delete_session("c"))
    assert.same({}, backend:list())
    assert.same({ true, n = 1 }, table.pack(agent:delete_session("nobody")))
    assert.same({ true, n = 1 }, table.pack(agent:delete_session()))
    local ok, err = agent:delete_session("../x")
    assert.is_nil(ok)
    assert.equal("invalid_session_id", err.code)
  end)

  it("is joined by what was said before it was named", function()
    assert(backend:save("a", { { role = "user", content = "stored" } }))
    local agent = echo():with_memory():with_memory_backend(backend)
    assert(agent:ask("before"))
    assert.equal("none", (agent:save_status()))
    agent:with_session_id("a")
    assert.same({ "stored", "before", "re: before" }, contents(agent))
    assert(agent:flush())
    assert.equal("saved", (agent:save_status()))
    assert.equal(3, #backend:load("a"))
    assert(agent:ask("after"))
    assert(agent:close())
    assert.equal(5, #backend:load("a"))
    -- A new one; and without auto-save it is left to save_session.
    agent = echo():with_memory():with_memory_backend(backend)
      :with_auto_save(false)
    assert(agent:ask("before"))
    agent:with_session_id("b")
    assert.same({ "before", "re: before" }, contents(agent))
    assert(agent:flush())
    assert.equal("unsaved", (agent:save_status()))
    assert.is_nil((backend:load("b")))
    assert(agent:save_session())
    assert.equal(2, #backend:load("b"))
    -- What an agent starts from does not join.
    agent = echo():with_memory():with_memory_backend(backend)
      :with_messages { { role = "user", content = "start" } }
    assert.same({ "start" }, contents(agent))
    agent:with_session_id("b")
    assert.same({ "before", "re: before" }, contents(agent))
  end)

  it("is listed with what has been asked to be saved", function()
    local folder = disk.temp()
    local slow = deepagent.file_backend { path = folder }
    for i = 1, 20 do
      local agent = echo():with_session_id("s" .. i)
        :with_memory_backend(slow)
      assert(agent:ask("x"))
      assert.equal(i, #agent:list_sessions())
    end
    disk.remove(folder)
  end)

  it("is listed with all others, also by an agent without one", function()
    for _, id in ipairs { "b", "a", "ü" } do backend:save(id, {}) end
    for _, agent in ipairs { echo(), echo():with_session_id("new") } do
      local ids = agent:with_memory_backend(backend):list_sessions()
      table.sort(ids)
      assert.same({ "a", "b", "ü" }, ids)
    end
  end)

  it("that is not there yet begins empty", function()
    local agent = echo():with_session_id("new"):with_memory_backend(backend)
    assert.same({}, agent:get_history())
    assert.same(answers.tokens(0, 0), agent:usage().total)
    assert.same({}, backend:list())
    assert(agent:ask("first"))
    assert.same({ "first", "re: first" }, contents(agent))
  end)

  it("keeps users apart who use one backend", function()
    local heard = {}
    for _, name in ipairs { "Alice", "Bob", "Carol" } do
      local agent <close> = deepagent.offline():with_session_id(name)
        :with_memory_backend(backend)
      assert(agent:ask("My name is " .. name))
    end
    for _, name in ipairs { "Bob", "Carol", "Alice" } do
      local agent <close> = deepagent.offline():with_session_id(name)
        :with_memory_backend(backend)
      heard[#heard + 1] = agent:ask("What is my name?")
    end
    assert.same({ "Your name is Bob.", "Your name is Carol.",
      "Your name is Alice." }, heard)
  end)

  it("outlives its process", function()
    local script = [[
      local deepagent = require "deepagent"
      local agent = deepagent.offline():with_memory():with_session_id "u"
      io.write(agent:ask(arg[1]))]]
    local options = { env = { DEEPAGENT_HOME = root } }
    options.args = { "My name is Alice." }
    assert.equal("Nice to meet you, Alice.", (child.run(script, options)))
    options.args = { "What is my name?" }
    assert.equal("Your name is Alice.", (child.run(script, options)))
    options.args = { "What did I ask you first?" }
    assert.equal('You said: "What is my name?"',
      (child.run(script, options)))
  end)
end)

describe("an agent without a session id", function()
  it("never touches the disk, whatever it does", function()
    local root = disk.temp()
    local output, status = child.run([[
      local deepagent = require "deepagent"
      for _, agent in ipairs { deepagent.offline(),
        deepagent.offline():with_memory(),
        deepagent.offline():with_memory():with_auto_save(true),
        deepagent.offline():with_memory():with_max_history(2) } do
        assert(agent:ask "hi")
        assert(agent:stream "hi")
        assert(agent:set_history { { role = "user", content = "x" } })
        assert(agent:ask "hi" and agent:get_history() and agent:usage())
        assert(agent:flush() and agent:save_status() == "none")
        assert(not agent:save_session() and not agent:load_session())
        assert(#agent:list_sessions() == 0)
        assert(agent:clear() and agent:clone() and agent:close())
      end
      print "done"]], { env = { HOME = root, DEEPAGENT_HOME = false,
      TMPDIR = root } })
    local left = disk.names(root)
    disk.remove(root)
    assert.equal("done\n", output)
    assert.equal(0, status)
    assert.same({}, left)
  end)

  it("behaves as it would without sessions in the library", function()
    local forgetful, remembering = echo(), echo():with_memory()
    for turn = 1, 3 do
      assert(forgetful:ask("turn " .. turn))
      assert(remembering:ask("turn " .. turn))
      assert.same({}, forgetful:get_history())
      assert.equal(2 * turn, #remembering:get_history())
    end
  end)
end)

describe("settings", function()
  -- Every order of the indices 1..n.
  local function permutations(n)
    local all = {}
    local function extend(order, used)
      if #order == n then all[#all + 1] = { table.unpack(order) } end
      for i = 1, n do
        if not used[i] then
          used[i], order[#order + 1] = true, i
          extend(order, used)
          used[i], order[#order] = nil, nil
        end
      end
    end
    extend({}, {})
    return all
  end

  it("mean the same in every order", function()
    local seen
    for _, order in ipairs(permutations(6)) do
      local model = models.echo()
      local backend = deepagent.memory_backend()
      backend:save("s", { { role = "user", content = "before" } })
      local settings = {
        function(a) return a:with_session_id("s") end,
        function(a) return a:with_memory_backend(backend) end,
        function(a) return a:with_auto_save(false) end,
        function(a) return a:with_memory() end,
        function(a) return a:with_max_history(3) end,
        function(a)
          return a:with_messages { { role = "user", content = "unused" } }
        end,
      }
      local agent = deepagent.new { provider = model }
      for _, i in ipairs(order) do agent = settings[i](agent) end
      assert(agent:ask("x"))
      assert(agent:flush())
      local result = table.concat({ models.told(model.requests[1].messages),
        models.told(agent:get_history()), #backend:load("s"),
        (agent:save_status()) }, " / ")
      seen = seen or result
      assert.equal(seen, result, table.concat(order, ","))
    end
    assert.equal("user:before|user:x / user:before|user:x|assistant:re: x"
      .. " / 1 / unsaved", seen)
  end)

  it("mean the same as options", function()
    local backend = deepagent.memory_backend()
    local agent = deepagent.new { provider = models.echo(), memory = true,
      session_id = "s", memory_backend = backend, auto_save = false,
      save_timeout = 1, max_history = 4, system = "Be brief.",
      messages = { { role = "user", content = "hi" } } }
    assert.equal("s", agent:get_session_id())
    assert(agent:ask("x"))
    assert.same({}, backend:list())
    assert(agent:save_session())
    assert.equal(3, #backend:load("s"))
  end)

  it("of auto-save that come last count, before or after a turn", function()
    local backend = deepagent.memory_backend()
    local agent = echo():with_session_id("s"):with_memory_backend(backend)
      :with_auto_save(false):with_auto_save(true):with_auto_save(false)
    assert(agent:ask("one"))
    assert(agent:flush())
    assert.same({}, backend:list())
    agent:with_auto_save(true)
    assert(agent:ask("two"))
    assert(agent:flush())
    assert.equal(4, #backend:load("s"))
  end)
end)
