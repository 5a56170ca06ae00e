-- Somebody else has changed the stored session: what a save does then, and
-- what is told of it.

local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local function contents(messages)
  local found = {}
  for _, message in ipairs(messages or {}) do
    if message.role == "user" then found[#found + 1] = message.content end
  end
  return table.concat(found, ",")
end

for name, make in pairs {
  file = function(path) return deepagent.file_backend { path = path } end,
  memory = function(path)
    -- One store for all agents of a test, as there is one directory.
    local key = "memory " .. path
    package.loaded[key] = package.loaded[key] or deepagent.memory_backend()
    return package.loaded[key]
  end,
} do
  describe("a conflict in a " .. name .. " backend", function()
    local root, backend, ours, theirs, logged

    local function agent(policy)
      local a = deepagent.new { provider = models.echo() }
        :with_session_id("s"):with_memory_backend(backend)
      return policy and a:with_on_conflict(policy) or a
    end

    local function stored() return contents((backend:load("s"))) end

    local function begin(policy)
      ours = agent(policy):with_logger(function(level, message, fields)
        logged[#logged + 1] = ("%s %s %s"):format(level,
          tostring(fields.code), message)
      end)
      theirs = agent()
      assert(ours:ask "a")
      assert(ours:flush())
      assert(theirs:ask "b")
      assert(theirs:flush())
    end

    local function log() return table.concat(logged, "\n") end

    before_each(function()
      root = disk.temp()
      backend = make(root)
      logged = {}
    end)
    after_each(function()
      ours:delete_session()
      disk.remove(root)
    end)

    it("is merged unless something else was said", function()
      begin()
      assert(ours:ask "c")
      assert.is_true(ours:flush())
      assert.equal("a,b,c", stored())
      local state, err, counts = ours:save_status()
      assert.equal("saved", state)
      assert.is_nil(err)
      assert.equal(1, counts.merges)
      assert.equal(2, counts.saves)
      assert.equal(0, counts.failures)
      assert.truthy(log():find("info conflict session 's' was changed by",
        1, true))
      -- Nobody else since: no merge is told of.
      assert(ours:ask "d")
      assert.is_true(ours:flush())
      assert.equal("a,b,c,d", stored())
      assert.equal(1, select(3, ours:save_status()).merges)
    end)

    it("is an error, if that was said, until it is loaded", function()
      begin("error")
      assert(ours:ask "c")
      local ok, err = ours:flush()
      assert.is_nil(ok)
      assert.equal("conflict", err.code)
      assert.equal("a,b", stored())
      local state, why, counts = ours:save_status()
      assert.equal("failed", state)
      assert.equal("conflict", why.code)
      assert.truthy(why.message:find("load_session()", 1, true))
      assert.truthy(counts.failures >= 1)
      assert.equal(0, counts.merges)
      -- Also for who asks in so many words, and for the turns that follow.
      ok, err = ours:save_session()
      assert.is_nil(ok)
      assert.equal("conflict", err.code)
      assert.equal("re: d", ours:ask "d")
      assert.is_nil((ours:flush()))
      assert.equal("a,b", stored())
      assert.equal("a,c,d", contents(ours:get_history()))
      -- Loading is the answer: theirs, then what was not stored.
      assert.is_true(ours:load_session())
      assert.equal("a,b,c,d", contents(ours:get_history()))
      assert.is_true(ours:flush())
      assert.equal("a,b,c,d", stored())
      assert(ours:ask "e")
      assert.is_true(ours:flush())
      assert.equal("a,b,c,d,e", stored())
    end)

    it("is no error where nobody else was", function()
      ours = agent("error")
      for i = 1, 3 do
        assert(ours:ask(tostring(i)))
        assert.is_true(ours:flush())
      end
      assert.is_true(ours:save_session())
      assert.equal("1,2,3", stored())
    end)

    it("is overwritten, if that was said", function()
      begin("overwrite")
      assert(ours:ask "c")
      assert.is_true(ours:flush())
      assert.equal("a,c", stored())
      assert.equal("saved", (ours:save_status()))
      assert.equal(0, select(3, ours:save_status()).merges)
    end)

    it("can be dealt with otherwise from then on", function()
      begin("error")
      assert(ours:ask "c")
      assert.is_nil((ours:flush()))
      ours:with_on_conflict("merge")
      assert.is_true(ours:flush())
      assert.equal("a,b,c", stored())
    end)

    it("is dealt with by each agent as it was told", function()
      begin("error")
      assert(ours:ask "c")
      assert(theirs:ask "d")
      assert.is_nil((ours:flush()))
      assert.is_true(theirs:flush())
      assert.equal("a,b,d", stored())
    end)

    it("is also that it was deleted", function()
      begin("overwrite")
      assert(backend:delete "s")
      assert(ours:ask "c")
      assert.is_true(ours:flush())
      assert.equal("a,c", stored())
    end)
  end)
end

describe("a session that another process deleted", function()
  local root, backend, agent
  before_each(function()
    root = disk.temp()
    backend = deepagent.file_backend { path = root }
    agent = deepagent.new { provider = models.echo() }:with_session_id("s")
      :with_memory_backend(backend)
    assert(agent:ask "a")
    assert(agent:flush())
    os.remove(root .. "/s.json")
    assert(agent:ask "b")
  end)
  after_each(function()
    agent:delete_session()
    disk.remove(root)
  end)

  for _, policy in ipairs { "merge", "error" } do
    it("is not begun anew by itself: " .. policy, function()
      agent:with_on_conflict(policy)
      local ok, err = agent:flush()
      assert.is_nil(ok)
      assert.equal("conflict", err.code)
      assert.truthy(err.message:find("deleted", 1, true))
      assert.is_nil((backend:load "s"))
      assert.is_true(agent:load_session())
      assert.is_true(agent:flush())
      assert.equal("a,b", contents((backend:load "s")))
    end)
  end
end)

describe("with_on_conflict", function()
  it("knows three words", function()
    local agent = deepagent.offline()
    for _, word in ipairs { "merge", "error", "overwrite" } do
      assert.equal(agent, agent:with_on_conflict(word))
    end
    assert.has_error(function() agent:with_on_conflict("theirs") end)
    assert.has_error(function() agent:with_on_conflict() end)
    assert.has_error(function() agent:with_on_conflict(true) end)
  end)

  it("is a setting that clones have, too", function()
    local backend = deepagent.memory_backend()
    local options = { provider = models.echo(), session_id = "s",
      memory_backend = backend, on_conflict = "overwrite" }
    local ours = deepagent.new(options):clone()
    assert(ours:ask "a")
    assert(ours:flush())
    assert(backend:save("s", { { role = "user", content = "b" } }))
    assert(ours:ask "c")
    assert(ours:flush())
    assert.equal("a,c", contents((backend:load "s")))
  end)

  it("never overwrites what cannot be read", function()
    local root = disk.temp()
    local backend = deepagent.file_backend { path = root }
    disk.write(root .. "/s.json", "{")
    local agent = deepagent.new { provider = models.echo() }
      :with_session_id("s"):with_memory_backend(backend)
      :with_on_conflict("overwrite")
    assert(agent:ask "a")
    local ok, err = agent:flush()
    assert.is_nil(ok)
    assert.equal("session_corrupt", err.code)
    assert.equal("{", disk.read(root .. "/s.json"))
    disk.write(root .. "/s.json", '{"version": 2, "messages": []}')
    ok, err = agent:save_session()
    assert.is_nil(ok)
    assert.equal("version_too_new", err.code)
    assert(agent:delete_session())
    disk.remove(root)
  end)

  it("is what a Lua backend's conflict leads to", function()
    local kept, saves, loads = nil, 0, 0
    local store = {
      save = function(_, _, messages)
        saves = saves + 1
        if saves == 2 then
          return nil, { code = "conflict", message = "somebody was here" }
        end
        kept = messages
        return true
      end,
      load = function() loads = loads + 1 return kept end,
      delete = function() kept = nil end,
      list = function() return {} end,
    }
    local agent = deepagent.new { provider = models.echo() }
      :with_session_id("s"):with_memory_backend(store)
    assert(agent:ask "a")
    assert(agent:ask "b")
    assert.is_true(agent:flush())
    assert.equal(3, saves)
    assert.equal("a,b", contents(kept))
    assert.equal(1, select(3, agent:save_status()).retries)
    assert(agent:close())
  end)
end)
