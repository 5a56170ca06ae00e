-- lua_session.lua - what sessions cost through Lua: asks, saves, histories,
-- lists. Each figure takes turns with its limit.

local deepagent = require "deepagent"
local cjson = require "cjson"
local lib = require "benchlib"

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- A model that looks at nothing and answers with the workload's texts.
local function model()
  local asked = 0
  return {
    complete = function()
      asked = asked + 1
      return { role = "assistant", content = lib.content(asked * 2 - 1) }
    end,
  }
end

-- Of the conversation only the question is sent, so that a turn does not
-- cost what it takes to show the model a long one.
local function new_agent(id, backend)
  local agent = deepagent.new { provider = model() }:with_max_history(1)
    :with_memory()
  if id then agent:with_session_id(id):with_memory_backend(backend) end
  return agent
end

local function conversation(n)
  local list = {}
  for i = 1, n do
    list[i] = {
      role = i % 2 == 1 and "user" or "assistant",
      content = lib.content(i - 1),
    }
  end
  return list
end

local function slurp(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function time(f, ...)
  local start = lib.now()
  f(...)
  return lib.now() - start
end

local function time_ask(agent, i)
  local question = lib.content(i * 2)
  lib.pause(200)
  return time(agent.ask, agent, question)
end

local function measure_ask(n)
  local backend = deepagent.file_backend { path = lib.scratch "lua-ask" }
  local with, without = new_agent("ask", backend), new_agent()
  local ours, bare, turns = {}, {}, math.max(5, math.min(n // 20, 200))
  repeat
    assert(with:set_history(conversation(n)))
    assert(without:set_history(conversation(n)))
    assert(with:flush(60))
    collectgarbage()
    for i = 1, turns do
      if i % 2 == 1 then bare[#bare + 1] = time_ask(without, i) end
      ours[#ours + 1] = time_ask(with, i)
      if i % 2 == 0 then bare[#bare + 1] = time_ask(without, i) end
      assert(with:flush(60))
    end
  until #ours >= 300
  with:close()
  lib.row(("auto-save adds to ask, N=%d, Lua"):format(n),
    median(ours) - median(bare), 10, "us", 1)
end

-- Of a conversation that this process held all along, or that it has loaded
-- and gone on with. Ours and the bare save lead by turns: who comes second
-- finds the file system's code and data in the caches.
local function measure_save(n, durable, loaded)
  local rounds = n > 1000 and 60 or durable and 150 or 300
  local path = lib.scratch "lua-save"
  local agent = new_agent("save",
    deepagent.file_backend { path = path, durable = durable })
    :with_auto_save(false)
  assert(agent:set_history(conversation(n)))
  assert(agent:save_session())
  assert(not loaded or agent:load_session())
  local ours, bare = {}, {}
  for i = 1, rounds do
    local bytes = slurp(path .. "/save.json")
    assert(agent:ask(lib.content(i * 2)))
    if i % 2 == 0 then bare[i] = lib.bare_save(path, "bare", bytes, durable) end
    ours[i] = time(agent.save_session, agent)
    if i % 2 == 1 then bare[i] = lib.bare_save(path, "bare", bytes, durable) end
  end
  agent:close()
  lib.row(("%s save, N=%d, Lua, %s"):format(
    durable and "durable" or "durable=false", n,
    loaded and "loaded" or "grown"), median(ours), median(bare), "us",
    durable and 1.2 or 1.4)
end

local function measure_history()
  local path = lib.scratch "lua-history"
  local backend = deepagent.file_backend { path = path }
  local first = new_agent("history", backend)
  assert(first:set_history(conversation(1000)))
  assert(first:save_session())
  first:close()
  local text = slurp(path .. "/history.json")
  local agent = new_agent("history", backend)
  local ours, bare = {}, {}
  for i = 1, 100 do
    collectgarbage()
    ours[i] = time(agent.get_history, agent)
    collectgarbage()
    bare[i] = time(cjson.decode, text)
  end
  assert(#agent:get_history() == 1000)
  lib.row("get_history(), N=1000 / cjson.decode", median(ours), median(bare),
    "us", 0.5)
end

local function measure_list()
  local path = lib.scratch "lua-list"
  for i = 1, 10000 do
    lib.bare_save(path, "user-" .. i .. ".json", "[]\n", false)
  end
  local agent = new_agent("list", deepagent.file_backend { path = path })
  local ours, bare = {}, {}
  for i = 1, 40 do
    ours[i] = time(agent.list_sessions, agent)
    bare[i] = time(lib.entries, path)
  end
  assert(#agent:list_sessions() == 10000)
  lib.row("list_sessions() of 10,000 / readdir", median(ours), median(bare),
    "us", 1.8)
end

for _, n in ipairs { 10, 100, 1000, 10000 } do measure_ask(n) end
for _, loaded in ipairs { true, false } do
  measure_save(1000, true, loaded)
  for _, n in ipairs { 10, 100, 1000, 10000 } do
    measure_save(n, false, loaded)
  end
end
measure_history()
measure_list()
