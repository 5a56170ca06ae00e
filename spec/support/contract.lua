-- contract.lua - what every store promises. A new backend's spec is:
--
--   local contract = require "support.contract"
--   describe("the redis store", function()
--     for _, case in ipairs(contract.cases) do
--       it(case.name, function()
--         local skipped = contract.run(case, function(directory)
--           return deepagent.backend("redis", { prefix = directory })
--         end)
--         if skipped then pending(skipped) end
--       end)
--     end
--   end)
--
-- The function is given an empty directory of its own, and returns a store
-- without sessions. A store that keeps files keeps them in the directory's
-- "sessions", below which nothing but what is its own may be touched. Cases
-- that are `own` are for objects of ours: of a store in Lua they would test
-- the test.

local assert = require "luassert"
local answers = require "support.answers"
local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local contract = { cases = {} }

-- What a case gets: the backend, and agents on it.
local store = {}
store.__index = store

-- A new agent on session `id`; saves when told, unless `auto` is true.
function store:agent(id, auto)
  return deepagent.new { provider = models.echo() }:with_session_id(id)
    :with_memory_backend(self.backend):with_auto_save(auto == true)
end

function store:save(id, messages)
  local agent <close> = self:agent(id)
  assert(agent:set_history(messages))
  assert(agent:save_session())
end

-- The messages as another agent finds them, or nil: it is not in the list.
function store:load(id)
  local agent <close> = self:agent(id)
  assert(agent:load_session())
  local messages = agent:get_history()
  for _, other in ipairs(assert(agent:list_sessions())) do
    if other == id then return messages end
  end
  assert.same({}, messages)
  return nil
end

function store:ids()
  local agent <close> = self:agent("who-lists")
  local ids = assert(agent:list_sessions())
  table.sort(ids)
  return ids
end

-- The four methods of its own, of a backend that is an object of ours.
function store:own()
  return type(self.backend) == "userdata" and self.backend or nil
end

function contract.run(case, open)
  local directory = disk.temp()
  local self = setmetatable({ directory = directory }, store)
  local ok, why = xpcall(function()
    self.backend = open(directory)
    return case.check(self)
  end, function(e)
    -- A table is an assertion's, which the runner wants as it is.
    return type(e) == "string" and debug.traceback(e) or e
  end)
  self.backend = nil
  disk.remove(directory)
  if not ok then error(why, 0) end
  return why
end

local function promise(name, check, is_own)
  contract.cases[#contract.cases + 1] = {
    name = name, check = check, own = is_own,
  }
end
contract.promise = promise

local function turn(question, answer)
  return { { role = "user", content = question },
    { role = "assistant", content = answer } }
end

local function contents(messages)
  local list = {}
  for i, message in ipairs(messages) do list[i] = message.content end
  return list
end

-- ---- through agents ----

promise("gives back what was saved, ids and times included", function(s)
  local agent = s:agent("a")
  assert(agent:ask("one"))
  assert(agent:ask("two"))
  assert(agent:save_session())
  local found = s:load("a")
  assert.same(agent:get_history(), found)
  assert.same({ "one", "re: one", "two", "re: two" }, contents(found))
  for _, message in ipairs(found) do
    assert.is_string(message.id)
    assert.equal("float", math.type(message.created_at))
    assert.truthy(math.abs(message.created_at - os.time()) < 3600)
  end
end)

promise("has nothing of a session that was never saved", function(s)
  local agent = s:agent("nobody")
  assert.same({ true, n = 1 }, table.pack(agent:load_session()))
  assert.same({}, agent:get_history())
  assert.same({}, s:ids())
  assert.same({ true, n = 1 }, table.pack(agent:delete_session()))
  assert.same({}, s:ids())
end)

promise("replaces what was saved before", function(s)
  s:save("a", turn("long " .. ("x"):rep(5000), "old"))
  local agent <close> = s:agent("a")
  assert(agent:set_history(turn("short", "new")))
  assert(agent:save_session())
  assert.same({ "short", "new" }, contents(s:load("a")))
end)

promise("saves an empty conversation", function(s)
  s:save("a", {})
  assert.same({}, s:load("a"))
  assert.same({ "a" }, s:ids())
end)

promise("deletes, and then has nothing of it", function(s)
  s:save("a", turn("x", "y"))
  s:save("b", turn("x", "y"))
  local agent <close> = s:agent("a")
  assert.equal(2, #agent:get_history())
  assert.is_true(agent:delete_session())
  assert.same({}, agent:get_history())
  assert.is_nil(s:load("a"))
  assert.same({ "b" }, s:ids())
  assert.is_true(agent:delete_session())
  assert.is_true(agent:delete_session("b"))
  assert.same({}, s:ids())
  assert.is_true(agent:delete_session("b"))
  assert.same({}, s:ids())
end)

promise("begins anew after a deletion", function(s)
  s:save("a", turn("old", "old"))
  local agent <close> = s:agent("a")
  assert.is_true(agent:delete_session())
  assert(agent:ask("new"))
  assert(agent:save_session())
  assert.same({ "new", "re: new" }, contents(s:load("a")))
end)

promise("lists exactly the ids that were saved", function(s)
  local ids = { "0", "A1", "a1", "abc.def", "ünï", "with space", "x%2fy" }
  for _, id in ipairs(ids) do s:save(id, turn(id, id)) end
  table.sort(ids)
  assert.same(ids, s:ids())
end)

promise("keeps 1,000 messages in their order", function(s)
  local messages = {}
  for i = 1, 500 do
    messages[2 * i - 1] = { role = "user", content = "q" .. i }
    messages[2 * i] = { role = "assistant", content = "a" .. i }
  end
  s:save("long", messages)
  assert.same(contents(messages), contents(s:load("long")))
end)

promise("keeps sessions apart", function(s)
  for i = 1, 20 do s:save("user-" .. i, turn("I am " .. i, "hello " .. i)) end
  s:save("user-7", turn("changed", "yes"))
  local agent <close> = s:agent("user-9")
  assert.is_true(agent:delete_session())
  for i = 1, 20 do
    local expected = { "I am " .. i, "hello " .. i }
    if i == 7 then expected = { "changed", "yes" } end
    local found = s:load("user-" .. i)
    assert.same(i ~= 9 and expected or nil, found and contents(found))
  end
end)

promise("is saved to after each ask and stream, without being told",
  function(s)
    local agent = s:agent("auto", true)
    assert(agent:ask("one"))
    assert(agent:flush())
    assert.same({ "one", "re: one" }, contents(s:load("auto")))
    assert(agent:stream("two"))
    assert(agent:flush())
    assert.equal(4, #s:load("auto"))
    assert.equal("saved", (agent:save_status()))
  end)

promise("continues a conversation in another agent", function(s)
  for i = 1, 5 do
    local agent <close> = s:agent("a", true)
    assert(agent:ask("turn " .. i))
    assert.equal(2 * i, #agent:get_history())
  end
  assert.equal(10, #s:load("a"))
end)

promise("loses no turn of agents that talk at the same time", function(s)
  local agents = {}
  for i = 1, 5 do
    agents[i] = s:agent("shared", true)
    assert.same({}, agents[i]:get_history())
  end
  for round = 1, 3 do
    for i, agent in ipairs(agents) do
      assert(agent:ask(("r%d a%d"):format(round, i)))
    end
  end
  for _, agent in ipairs(agents) do assert(agent:close()) end
  local found = s:load("shared")
  assert.equal(30, #found)
  local seen = {}
  for i = 1, 30, 2 do
    assert.equal("re: " .. found[i].content, found[i + 1].content)
    seen[found[i].content] = true
  end
  for round = 1, 3 do
    for i = 1, 5 do assert.truthy(seen[("r%d a%d"):format(round, i)]) end
  end
end)

promise("keeps the tokens that were used", function(s)
  local agent = s:agent("a")
  assert(agent:ask("one"))
  assert(agent:ask("two"))
  assert(agent:save_session())
  local other = s:agent("a")
  assert.same(answers.tokens(4, 6), other:usage().total)
end)

promise("is not changed by an ask that fails", function(s)
  local agent = deepagent.new { provider = models.acting(function(request)
    if #request.messages > 2 then return nil, "no" end
    return "yes"
  end) }:with_session_id("a"):with_memory_backend(s.backend)
  assert(agent:ask("first"))
  assert(agent:flush())
  local before = s:load("a")
  assert.is_nil((agent:ask("second")))
  assert(agent:flush())
  assert.same(before, s:load("a"))
  assert.same(before, agent:get_history())
end)

promise("is emptied by clear()", function(s)
  local agent <close> = s:agent("a", true)
  assert(agent:ask("one"))
  assert(agent:clear())
  assert(agent:flush())
  assert.same({}, s:load("a"))
  assert.same({ "a" }, s:ids())
end)

-- ---- through its own methods ----

local function own(name, check)
  promise("by its own methods: " .. name, function(s)
    return check(s.backend, s)
  end, true)
end

own("saves and loads messages and their info", function(backend)
  assert.is_true(backend:save("a", turn("x", "y"), { title = "T", n = 3 }))
  local messages, info = backend:load("a")
  assert.same({ "x", "y" }, contents(messages))
  assert.equal("T", info.title)
  assert.equal(3, info.n)
  assert.is_true(backend:save("a", messages))
  assert.same(messages, (backend:load("a")))
end)

own("tells what is missing", function(backend)
  assert.same({ n = 1 }, table.pack(backend:load("a")))
  assert.same({ true, n = 1 }, table.pack(backend:delete("a")))
  assert.same({}, backend:list())
end)

own("replaces, deletes and lists", function(backend)
  assert.is_true(backend:save("b", turn("x", "y")))
  assert.is_true(backend:save("a", turn("x", "y")))
  assert.is_true(backend:save("a", {}))
  assert.same({}, (backend:load("a")))
  local ids = backend:list()
  table.sort(ids)
  assert.same({ "a", "b" }, ids)
  assert.is_true(backend:delete("a"))
  assert.is_nil((backend:load("a")))
  assert.same({ "b" }, backend:list())
end)

own("sees what agents save, and the reverse", function(backend, s)
  s:save("a", turn("from", "agent"))
  assert.same({ "from", "agent" }, contents((backend:load("a"))))
  assert.is_true(backend:save("b", turn("from", "backend")))
  assert.same({ "from", "backend" }, contents(s:load("b")))
end)

own("refuses what is no message, and saves nothing", function(backend)
  for _, wrong in ipairs { 5, true, "x", "[]", "{}", {}, { role = 5 },
    { content = "no role" }, '{"role":"user"} x', { role = "user", id = 5 },
    { role = "user", json = "{" } } do
    local ok, why = pcall(backend.save, backend, "a",
      { { role = "user" }, wrong })
    assert.is_false(ok)
    assert.truthy(why:find("bad argument", 1, true), why)
  end
  assert.same({}, backend:list())
  -- A message without the braces of a list around it, or holes.
  for _, wrong in ipairs { turn("x", "y")[1], { n = 0 },
    { [2] = turn("x", "y")[1] } } do
    local ok, why = pcall(function() backend:save("a", wrong) end)
    assert.is_false(ok)
    assert.truthy(why:find("bad argument #2 to 'save' (a list of messages "
      .. "expected)", 1, true), why)
  end
  assert.same({}, backend:list())
  assert.has_error(function() backend:save("a") end)
  assert.has_error(function() backend:save("a", "x") end)
  assert.has_error(function() backend:save("a", {}, "x") end)
  assert.has_error(function() backend:save("a", {}, { "list" }) end)
  assert.same({}, backend:list())
end)

require "support.contract_exact"(contract)

return contract
