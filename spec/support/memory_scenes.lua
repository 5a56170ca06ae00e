--- What is done in a Lua state whose allocator fails (see test.alloc): a
--- prelude, and scenes by name. A scene runs twice in the same state, the
--- second time with memory, when it must succeed: so globals keep what the
--- first run made.

local scenes = { order = {} }

scenes.prelude = [[
deepagent = require "deepagent"
require "deepagent.offline"
DIR = ...

--- What a verb returned; only the lack of memory may make it fail.
function ok(value, why)
  if value == nil and why ~= nil then
    if why.code ~= "out_of_memory" then
      error("NOT OUT OF MEMORY: " .. tostring(why), 0)
    end
    error(why, 0)
  end
  return value
end

--- So long that Lua makes a new string of it each time.
function answer(question)
  return "re: " .. question .. (", and so on"):rep(6)
end

parrot = { complete = function(_, request, on_delta)
  local said = answer(request.messages[#request.messages].content)
  if request.stream then on_delta(said:sub(1, 9)) on_delta(said:sub(10)) end
  return said, { finish_reason = "stop",
    usage = { prompt_tokens = 1, completion_tokens = 2 } }
end }

--- A conversation is whole turns, and each answer that of its question.
function whole(messages)
  assert(#messages % 2 == 0, "half a turn")
  for i = 1, #messages, 2 do
    local q, a = messages[i], messages[i + 1]
    assert(q.role == "user" and a.role == "assistant", "roles")
    assert(a.content == answer(q.content), "an answer")
    assert(q.id and a.id and q.id ~= a.id, "ids")
  end
  return messages
end

function count(messages, question)
  local n = 0
  for _, m in ipairs(messages) do n = n + (m.content == question and 1 or 0) end
  return n
end

--- An agent that is there already is gone on with.
function talker(options)
  options = options or {}
  options.provider = parrot
  return deepagent.new(options)
end

--- All that the agent has been told is stored, once.
function stored_whole(agent)
  ok(agent:flush())
  assert(agent:save_status() == "saved", "status")
  local here = whole(ok(agent:get_history()))
  ok(agent:load_session())
  local there = whole(ok(agent:get_history()))
  local seen = {}
  for _, m in ipairs(there) do
    assert(not seen[m.id], "twice")
    seen[m.id] = true
  end
  for _, m in ipairs(here) do assert(seen[m.id], "lost " .. m.content) end
end

--- A backend in Lua.
function table_store()
  local sessions = {}
  return {
    save = function(_, id, messages, info)
      sessions[id] = { messages = messages, info = info }
      return true
    end,
    load = function(_, id)
      local s = sessions[id]
      if not s then return nil end
      return s.messages, s.info
    end,
    delete = function(_, id) sessions[id] = nil return true end,
    list = function()
      local ids = {}
      for id in pairs(sessions) do ids[#ids + 1] = id end
      return ids
    end,
  }
end
]]

local function scene(name, script)
  scenes.order[#scenes.order + 1] = name
  scenes[name] = script
end

scene("constructors", [[
deepagent.openai("gpt-4o-mini", { api_key = "sk-key", organization = "o",
  project = "p", headers = { ["X-A"] = "b" }, system = "Be brief.",
  memory = true, temperature = 0.5, timeout = { connect = 1, total = 2 },
  base_url = "https://example.org/v1" })
deepagent.ollama("llama3", { max_tokens = 7 })
deepagent.new { model = "m", base_url = "http://127.0.0.1:1/v1",
  retry = false }
deepagent.offline { session_id = "s" }
]])

scene("every setting", [[
agent = agent or deepagent.openai("m", "sk-key")
agent:with_system("s"):with_memory(true):with_max_history(5)
  :with_temperature(0.1):with_top_p(0.2):with_max_tokens(3)
  :with_stop { "a", "b" }:with_seed(4):with_presence_penalty(0.5)
  :with_frequency_penalty(0.6):with_timeout(7):with_header("X-A", "b")
  :with_extra { user = "u", deep = { { 1, 2.5 }, deepagent.null } }
  :with_messages { { role = "user", content = "hi" } }:with_session_id("id")
  :with_memory_backend("memory"):with_auto_save(false):with_save_timeout(3)
  :with_logger(print):with_on_stream(print)
]])

scene("ask", [[
agent = agent or talker { memory = true }
ok(agent:ask "one") ok(agent:ask "two")
whole(agent:get_history())
assert(agent:last().finish_reason == "stop" and agent:usage().total)
]])

scene("ask raised or not", [[
agent = agent or talker { memory = true }
local before = #agent:get_history()
local made, text, why = pcall(agent.ask, agent, "one")
local after = #agent:get_history()
assert(after == (made and text and before + 2 or before), "state as before")
if not made then error(text, 0) end
ok(text, why)
]])

scene("stream", [[
agent = agent or talker { memory = true }
local heard = {}
local text = ok(agent:stream("one", function(s) heard[#heard + 1] = s end))
assert(table.concat(heard) == text)
agent:on_stream(function(s) heard[#heard + 1] = s end)
ok(agent:stream "two")
whole(agent:get_history())
]])

scene("a listener that raises", [[
agent = agent or talker { memory = true }
local before = #agent:get_history()
local text, why = agent:stream("one", function() error { code = "mine" } end)
assert(text == nil)
if why.code ~= "callback_error" then ok(text, why) end
assert(#agent:get_history() == before)
assert(tostring(why):find "callback_error")
]])

scene("history", [[
agent = agent or deepagent.offline { memory = true }
local deep = { role = "user", content = { { type = "text", text = "é\0" } },
  x = { y = { z = { deepagent.null, true, 1.5, -3, {},
    deepagent.array {} } } } }
ok(agent:set_history { deep, { role = "assistant", content = "ok" } })
local h = agent:get_history()
assert(#h == 2 and h[1].x.y.z[3] == 1.5 and h[1].content[1].text == "é\0")
ok(agent:set_history(h))
ok(agent:clear())
assert(#agent:get_history() == 0)
]])

scene("messages to start from", [[
local agent = talker { memory = true, messages = {
  { role = "user", content = "zero" },
  { role = "assistant", content = answer "zero" } } }
ok(agent:ask "one")
assert(#whole(agent:get_history()) == 4)
]])

scene("JSON", [[
local core = require "deepagent.core"
local t = {}
for i = 1, 40 do t["key" .. i] = { i, i / 3, "value " .. i, deepagent.null } end
local text = core.encode(t)
local agent = deepagent.offline { memory = true }
ok(agent:set_history { { role = "user", content = "x", t = t } })
assert(core.encode(agent:get_history()[1].t.key7) == core.encode(t.key7))
assert(#text > 1000)
]])

scene("a provider in Lua", [[
local agent = deepagent.new { memory = true, provider = {
  complete = function(_, request, on_delta)
    local r = request.messages[#request.messages].content
    if r == "bad" then return nil, { code = "rate_limited", message = "no" } end
    on_delta "a"
    return { content = answer(r), extra = { 1, {} } }, { usage = {} }
  end } }
ok(agent:ask "one")
local text, why = agent:ask "bad"
assert(text == nil)
if why.code ~= "rate_limited" then ok(text, why) end
whole(agent:get_history())
]])

scene("a session in a table", [[
store = store or table_store()
agent = agent or talker { session_id = "s", memory_backend = store }
ok(agent:ask "one") ok(agent:ask "two")
stored_whole(agent)
assert(#ok(agent:list_sessions()) == 1)
]])

scene("a session in a table, gone on with", [[
store = store or table_store()
do
  local first = talker { session_id = "s", memory_backend = store }
  ok(first:ask "one")
  ok(first:close())
end
local second <close> = talker { session_id = "s", memory_backend = store }
ok(second:ask "two") ok(second:flush()) ok(second:load_session())
local h = whole(second:get_history())
assert(count(h, "one") >= 1 and count(h, "two") >= 1)
ok(second:delete_session())
]])

scene("a session in memory", [[
backend = backend or deepagent.memory_backend()
agent = agent or talker { session_id = "s", memory_backend = backend }
ok(agent:ask "one")
stored_whole(agent)
ok(agent:save_session())
]])

scene("a session in files", [[
backend = backend or deepagent.file_backend { path = DIR, durable = false }
agent = agent or talker { session_id = "s", memory_backend = backend }
ok(agent:ask "one")
stored_whole(agent)
assert(count(agent:get_history(), "one") >= 1)
]])

scene("backends by themselves", [[
local b = deepagent.file_backend { path = DIR, durable = false }
for _, backend in ipairs { b, deepagent.memory_backend() } do
  ok(backend:save("x", { { role = "user", content = "hi" } }, { a = 1 }))
  local messages, info = backend:load "x"
  ok(messages, info)
  assert(messages[1].content == "hi" and info.a == 1)
  assert(#ok(backend:list()) >= 1)
  ok(backend:delete "x")
  assert(tostring(backend):find "backend")
end
assert(b:path() == DIR)
]])

scene("verbs of a session", [[
local backend = deepagent.memory_backend()
local agent = talker { session_id = "s", memory_backend = backend }
ok(agent:ask "one")
ok(agent:save_session()) ok(agent:load_session()) ok(agent:flush())
assert(agent:save_status() == "saved" and agent:get_session_id() == "s")
assert(ok(agent:list_sessions())[1] == "s")
ok(agent:delete_session "other") ok(agent:delete_session())
]])

scene("errors", [[
local agent = deepagent.openai("m", { api_key = "sk-0123456789",
  base_url = "http://127.0.0.1:1/v1" })
local text, why = agent:save_session()
assert(text == nil)
if why.code ~= "session_id_required" then ok(text, why) end
assert(tostring(why):find(why.code, 1, true))
assert(not pcall(agent.with_session_id, agent, "a/b"))
assert(not pcall(agent.with_extra, agent, { model = "x" }))
assert(not pcall(agent.with_messages, agent, { { content = "x" } }))
]])

scene("a service that is not there", [[
local agent = deepagent.new { model = "m", base_url = "http://127.0.0.1:1/v1",
  retry = false }
local text, why = agent:ask "hi"
assert(text == nil)
if why.code ~= "network" then ok(text, why) end
]])

scene("a logger", [[
local lines = {}
local agent = talker { session_id = "s", memory_backend = table_store(),
  logger = function(r) lines[#lines + 1] = r.level .. r.message end }
ok(agent:ask "one")
ok(agent:flush())
]])

scene("clone, close, tostring", [[
local agent = talker { system = "s", extra = { a = 1 }, session_id = "s",
  memory_backend = table_store(), logger = function() end }
local copy <close> = agent:clone()
ok(copy:ask "one")
assert(tostring(agent):find "session s" and tostring(copy))
ok(agent:close())
local text, why = agent:ask "two"
assert(text == nil)
if why.code ~= "closed" then ok(text, why) end
]])

scene("dropped", [[
store = store or table_store()
talker { session_id = "s", memory_backend = store }:ask "one"
talker { session_id = "s", memory_backend = deepagent.memory_backend() }
  :ask "one"
collectgarbage() collectgarbage()
]])

scene("a coroutine", [[
local agent = talker { memory = true }
local co = coroutine.wrap(function()
  local text = ok(agent:stream("one", function() coroutine.running() end))
  coroutine.yield(text)
  return ok(agent:ask "two")
end)
assert(co() == answer "one" and co() == answer "two")
]])

return scenes
