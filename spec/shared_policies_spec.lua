-- Several agents of one process on one session, each with its own way of
-- dealing with conflicts: none stands in another's way, nothing is merged,
-- overwritten or brought back that was not to be.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"
local patience = require "support.patience"

local root, directory, backend
local agents -- to be closed before the directory goes

local function files(options)
  options = options or {}
  options.path = directory
  return deepagent.file_backend(options)
end

local function agent(policy, store, id)
  local a = deepagent.new { provider = models.echo() }
    :with_session_id(id or "s"):with_memory_backend(store or backend)
  agents[#agents + 1] = a
  return policy and a:with_on_conflict(policy) or a
end

local function say(a, ...)
  for _, question in ipairs { ... } do assert(a:ask(question)) end
end

local function store(a, ...)
  say(a, ...)
  assert(a:flush())
end

local function questions(messages)
  local found = {}
  for _, message in ipairs(messages or {}) do
    if message.role == "user" then found[#found + 1] = message.content end
  end
  return table.concat(found, ",")
end

local function stored() return questions((backend:load "s")) end

local function tokens()
  local _, info = backend:load "s"
  return info.usage.total_tokens
end

-- Nobody has it any more, nor the others.
local function drop()
  agents = {}
  collectgarbage()
  collectgarbage()
end

local function assert_fails(code, ok, err)
  assert.is_nil(ok)
  assert.equal(code, err.code)
end

-- Something else lies in the file's place, or the file again.
local function block()
  os.rename(directory .. "/s.json", directory .. "/kept")
  disk.shell("mkdir -p %s/s.json", directory)
end
local function unblock()
  assert(os.remove(directory .. "/s.json"))
  os.rename(directory .. "/kept", directory .. "/s.json")
end

local function set_up()
  root = disk.temp()
  directory = root .. "/sessions"
  backend = files()
  agents = {}
end

local function tear_down()
  for _, a in ipairs(agents) do a:delete_session() end
  agents = nil
  disk.remove(root)
end

describe("agents that are gone with turns that were refused", function()
  before_each(set_up)
  after_each(tear_down)

  -- Two sessions, which somebody else deleted.
  local BEGIN = [[
    warn "@on"
    local deepagent = require "deepagent"
    local directory = arg[1]
    local backend = deepagent.file_backend { path = directory }
    local function agent(id)
      return deepagent.offline():with_session_id(id):with_save_timeout(120)
        :with_memory_backend(backend)
    end
    local begun = os.time()
    for _, id in ipairs { "a", "b" } do
      local x <close> = agent(id)
      assert(x:ask "1")
      assert(x:flush())
      os.remove(directory .. "/" .. id .. ".json")
      assert(x:ask "2")
      assert(not x:flush())
    end
    collectgarbage() collectgarbage()
  ]]

  for name, rest in pairs {
    ["leave the processor alone"] = [[
      local before = os.clock()
      os.execute "sleep 1"
      local used = os.clock() - before
      assert(used < 0.5, used .. " s of processor time")]],
    ["keep nobody from listing, saving and loading"] = [[
      local c = agent "c"
      assert(c:ask "1")
      assert(c:flush())
      local ids = assert(c:list_sessions())
      assert(#ids == 1 and ids[1] == "c")
      assert(agent("a"):load_session())
      assert(os.time() - begun < 60, "it took long")]],
    ["do not keep the process from ending"] = "",
  } do
    it(name, function()
      local done = patience.watch()
      local output, status = child.run(BEGIN .. rest, { args = { directory } })
      done()
      assert.equal(0, status, output)
      for _, id in ipairs { "a", "b" } do
        local _, times = output:gsub("Lua warning: deepagent: session '" .. id
          .. "' ends with turns that are not saved: [^\n]*deleted", "")
        assert.equal(1, times, output)
      end
    end)
  end
end)

describe("what has not been read", function()
  before_each(set_up)
  after_each(tear_down)

  for _, policy in ipairs { "overwrite", "merge" } do
    it("is not replaced when it can be read again: " .. policy, function()
      store(agent(), "old 1", "old 2")
      block()
      local late = agent(policy)
      say(late, "new 1")
      assert_fails("unsafe_file", late:flush())
      unblock()
      store(late, "new 2")
      assert.equal("old 1,old 2,new 1,new 2", stored())
      assert.equal(20, tokens())
    end)
  end

  it("is not replaced by save_session(), either", function()
    store(agent(), "old")
    block()
    local late = agent("overwrite")
    say(late, "new")
    assert_fails("unsafe_file", late:save_session())
    unblock()
    assert.is_true(late:save_session())
    assert.equal("old,new", stored())
  end)

  it("can be overwritten once it was read", function()
    local other = agent()
    store(other, "old")
    block()
    local late = agent("overwrite")
    say(late, "new 1")
    assert_fails("unsafe_file", late:flush())
    unblock()
    assert(late:flush())
    store(agent(nil, files()), "theirs")
    store(late, "new 2")
    assert.truthy(stored():find("new 1,new 2", 1, true))
    assert.falsy(stored():find("theirs", 1, true))
  end)
end)

describe("a turn that is too large for the backend", function()
  before_each(function()
    set_up()
    backend = files { max_bytes = 4000 }
  end)
  after_each(tear_down)

  it("is its agent's own matter", function()
    local large, small = agent(), agent()
    store(large, "one")
    assert(small:load_session())
    say(large, ("x"):rep(5000))
    assert_fails("too_large", large:flush())
    store(small, "two")
    assert.is_true(small:save_session())
    assert.equal("saved", (small:save_status()))
    assert.equal("one,two", stored())
    assert_fails("too_large", large:flush())
    assert.equal("failed", (large:save_status()))
    store(small, "three")
    assert.equal("one,two,three", stored())
    assert.equal(15, tokens())
  end)

  it("is no longer in anybody's way when its agent is gone", function()
    do
      local large = agent()
      store(large, "one")
      say(large, ("x"):rep(5000))
      assert_fails("too_large", large:close())
    end
    drop()
    for i = 1, 3 do
      do
        local small = agent()
        assert.is_true(small:load_session())
        store(small, "small " .. i)
        assert.is_true(small:close())
      end
      drop()
    end
    assert.equal("one,small 1,small 2,small 3", stored())
  end)

  it("can be taken back", function()
    local large, small = agent(), agent()
    store(large, "one")
    assert(small:load_session())
    say(large, ("x"):rep(5000))
    assert_fails("too_large", large:flush())
    assert(large:set_history {})
    assert.is_true(large:flush())
    store(small, "two")
    store(large, "three")
    assert.equal("two,three", stored())
  end)
end)

describe("two agents of one process to whom a conflict is an error", function()
  before_each(set_up)
  after_each(tear_down)

  for name, make in pairs { file = files, memory = deepagent.memory_backend } do
    it("are never both right: " .. name, function()
      backend = make()
      local a, b = agent "error", agent "error"
      store(a, "base")
      for round = 1, 100 do
        -- What was refused comes in first.
        for _, x in ipairs { a, b } do
          assert(x:load_session())
          assert(x:flush())
        end
        assert(a:load_session())
        local before = stored()
        say(a, "a" .. round)
        say(b, "b" .. round)
        local a_ok, a_err = a:flush()
        local b_ok, b_err = b:flush()
        assert.truthy((a_ok or b_ok) and not (a_ok and b_ok), "round " .. round
          .. ": " .. tostring(a_ok) .. " " .. tostring(b_ok))
        assert.equal("conflict", (a_err or b_err).code)
        assert.equal(before .. "," .. (a_ok and "a" or "b") .. round, stored())
      end
    end)
  end
end)

describe("a session that was deleted", function()
  before_each(set_up)
  after_each(tear_down)

  for _, policy in ipairs { "merge", "error", "overwrite" } do
    it("by another agent of the process is saved whole: " .. policy,
      function()
        local ours, theirs = agent(policy), agent()
        store(theirs, "one")
        assert(ours:load_session())
        store(ours, "two")
        assert(theirs:delete_session())
        assert.equal("", stored())
        assert.equal("one,two", questions(ours:get_history()))
        assert.is_true(ours:save_session())
        assert.equal("one,two", stored())
      end)
  end

  it("does not come back with what another process begins there", function()
    local ours = agent()
    store(ours, "secret 1")
    os.remove(directory .. "/s.json")
    say(ours, "secret 2")
    assert_fails("conflict", ours:flush())
    for i, other in ipairs { agent(nil, files()), agent() } do
      store(other, "fresh " .. i)
      assert_fails("conflict", ours:flush())
      assert.falsy(stored():find("secret", 1, true))
    end
    say(ours, "secret 3")
    assert_fails("conflict", ours:flush())
    assert_fails("conflict", ours:save_session())
    assert.equal("fresh 1,fresh 2", stored())
    assert.is_true(ours:load_session())
    assert.is_true(ours:flush())
    local all = stored()
    assert.equal("fresh 1,fresh 2,", all:sub(1, 16))
    assert.equal(",secret 2,secret 3", all:sub(-18))
    assert.equal(all, questions(ours:get_history()))
  end)

  it("does not come back through an agent that is gone", function()
    do
      local ours = agent()
      store(ours, "secret 1")
      os.remove(directory .. "/s.json")
      say(ours, "secret 2")
      assert_fails("conflict", ours:flush())
      assert_fails("conflict", ours:close())
    end
    drop()
    local other = agent()
    store(other, "fresh 1")
    store(other, "fresh 2")
    assert.equal("fresh 1,fresh 2", stored())
    assert.equal(10, tokens())
  end)
end)

describe("an agent that was closed", function()
  before_each(set_up)
  after_each(tear_down)

  it("says so when it is to flush", function()
    local a = agent()
    store(a, "one")
    assert.is_true(a:close())
    assert_fails("closed", a:flush())
    assert.equal("saved", (a:save_status()))
    agents = {}
  end)

  it("and also still says why it could not save", function()
    block()
    local a = agent()
    say(a, "one")
    assert_fails("unsafe_file", a:close())
    assert_fails("closed", a:flush())
    assert_fails("closed", a:save_session())
    local state, err = a:save_status()
    assert.equal("failed", state)
    assert.equal("unsafe_file", err.code)
    -- Its turns are not given up by that.
    assert.truthy(os.remove(directory .. "/s.json"))
    agents = {}
    local other = agent()
    store(other, "two")
    assert.truthy(stored() == "one,two" or stored() == "two,one", stored())
  end)
end)

-- Each turn has five.
describe("the total of tokens", function()
  before_each(set_up)
  after_each(tear_down)

  it("is that of all turns after a fork", function()
    local output, status = child.run([[
      local fork = require "test.fork"
      local deepagent = require "deepagent"
      local models = require "support.models"
      local agent = deepagent.new { provider = models.echo() }
        :with_session_id "s"
        :with_memory_backend(deepagent.file_backend { path = arg[1] })
      local function store(question)
        assert(agent:ask(question))
        assert(agent:flush())
      end
      for i = 1, 3 do store("parent " .. i) end
      local pid = fork.fork()
      if pid == 0 then
        store "child"
        fork.leave(0) -- past what it has of its parent's
      end
      local _, status = fork.wait(pid)
      assert(status == 0)
      store "parent 4"]], { args = { directory } })
    assert.equal("", output)
    assert.equal(0, status)
    assert.equal("parent 1,parent 2,parent 3,child,parent 4", stored())
    assert.equal(25, tokens())
  end)

  it("is that of all turns where a refused one was loaded again", function()
    local ours, theirs = agent "error", agent()
    store(ours, "a")
    assert(theirs:load_session())
    store(theirs, "b", "c", "d")
    say(ours, "e")
    assert_fails("conflict", ours:flush())
    assert(ours:load_session())
    assert(ours:flush())
    assert.equal(25, tokens())
    assert.equal(25, ours:usage().total.total_tokens)
    store(ours, "f")
    assert.equal(30, tokens())
    assert.equal(30, ours:usage().total.total_tokens)
  end)

  it("is that of all turns where one waited for the disk", function()
    local ours = agent()
    store(ours, "a")
    block()
    say(ours, "b")
    assert_fails("unsafe_file", ours:flush())
    unblock()
    store(agent(nil, files()), "c", "d")
    assert(ours:load_session())
    assert(ours:flush())
    assert.equal(8, #(backend:load "s")) -- in whatever order
    assert.equal(20, tokens())
    assert.equal(20, ours:usage().total.total_tokens)
  end)

  it("is also that of turns from before there was a session", function()
    store(agent(), "a", "b", "c")
    local late = deepagent.new { provider = models.echo() }:with_memory()
      :with_memory_backend(backend)
    agents[#agents + 1] = late
    say(late, "d", "e")
    late:with_session_id "s"
    store(late, "f")
    assert.equal("a,b,c,d,e,f", stored())
    assert.equal(30, tokens())
    assert.equal(30, late:usage().total.total_tokens)
  end)
end)
