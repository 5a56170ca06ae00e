-- mixed_play.lua - several agents in one process, on few sessions of one
-- backend: chance decides what each does next, and when the disk fails. Then
-- it checks what is stored. A process of its own for each seed:
--
--   lua5.4 spec/torture/mixed_play.lua DIRECTORY SEED STEPS
--
-- DIRECTORY is empty; with preload_denied.so and DA_DENIED set to
-- DIRECTORY/denied also flushes fail. What must hold depends on the play, see
-- PLAYS.

local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local AGENTS, SESSIONS = 5, 2
local TOKENS = 5 -- of each turn

-- In turn, by the seed. `policies`: what agents do about a conflict.
-- `removes`: they also take turns out of their histories, `deletes`: they
-- delete sessions.
local PLAYS = {
  { name = "merge", policies = { "merge" } },
  { name = "error", policies = { "merge", "error" } },
  { name = "removals", policies = { "merge" }, removes = true },
  { name = "overwrite", policies = { "merge", "error", "overwrite" } },
  { name = "merge in memory", policies = { "merge" }, memory = true },
  { name = "error in memory", policies = { "error" }, memory = true },
  { name = "all", policies = { "merge", "error", "overwrite" },
    removes = true, deletes = true },
}

local root, seed, steps = arg[1], tonumber(arg[2]), tonumber(arg[3])
local play = PLAYS[(seed - 1) % #PLAYS + 1]
local overwrites = #play.policies == 3
local directory = root .. "/sessions"
local denied = os.getenv "DA_DENIED"
math.randomseed(seed)
disk.shell "prlimit --nofile=64 --pid $PPID"

local function one_of(list) return list[math.random(#list)] end

-- ---- the backend, and what happens to it ----

local stores = {}
for i = 1, 2 do
  stores[i] = play.memory and (stores[1] or deepagent.memory_backend())
    or deepagent.file_backend { path = directory }
end

local repair -- undoes the fault of the moment

local function deny(what)
  return function()
    if not denied then return end
    disk.write(denied, what)
    return function() assert(os.remove(denied)) end
  end
end

-- No file can be opened, be it to be read or written.
local function take_descriptors()
  local held = {}
  repeat
    local file = io.open "/dev/null"
    held[#held + 1] = file
  until not file
  return function()
    for _, file in ipairs(held) do file:close() end
  end
end

local FAULTS = play.memory and {}
  or { deny "files", deny "directories", take_descriptors }

local function mend()
  if repair then repair() end
  repair = nil
end

-- ---- the agents, and what they have said ----

local turns = {} -- question -> { agent =, session =, number =, kept =, ... }
local asked = 0
local born = 0
local everyone = {}

local function sit_down(place)
  born = born + 1
  local one = { number = born, place = place, unsaved = {},
    policy = one_of(play.policies) }
  one.session = "s" .. 1 + place % SESSIONS
  one.agent = deepagent.new { provider = models.echo() }
    :with_session_id(one.session):with_on_conflict(one.policy)
    :with_memory_backend(one_of(stores)):with_save_timeout(120)
  everyone[place] = one
end

local function ask(one)
  asked = asked + 1
  local question = ("turn %d of %d"):format(asked, one.number)
  turns[question] = { agent = one.number, session = one.session,
    number = asked }
  one.unsaved[question] = true
  assert(one.agent:ask(question))
end

-- What was acknowledged must be found, unless somebody is told to remove it.
local function acknowledged(one, ok)
  if not ok then return end
  for question in pairs(one.unsaved) do turns[question].kept = true end
  one.unsaved = {}
end

-- All that it has may be gone, or not.
local function given_up(one)
  for _, message in ipairs(one.agent:get_history()) do
    local turn = turns[message.content]
    if turn then turn.removed = true end
  end
end

local function take_out(one)
  given_up(one)
  if math.random() < 0.5 then
    assert(one.agent:clear())
  else
    local history = one.agent:get_history()
    table.remove(history, 1)
    table.remove(history, 1)
    assert(one.agent:set_history(history))
  end
end

-- 1 in the sum of the weights is how often.
local STEPS = {
  { 55, ask },
  { 10, function(one) one.agent:load_session() end },
  { 10, function(one) acknowledged(one, one.agent:flush()) end },
  { 5, function(one) acknowledged(one, one.agent:save_session()) end },
  { 5, function(one)
    acknowledged(one, one.agent:close())
    sit_down(one.place)
  end },
  { 8, function() if not repair and #FAULTS > 0 then
    repair = one_of(FAULTS)()
  end end },
  { 8, mend },
  { #play.policies > 1 and 3 or 0, function(one)
    one.policy = one_of(play.policies)
    one.agent:with_on_conflict(one.policy)
  end },
  { play.removes and 3 or 0, take_out },
  { play.deletes and 1 or 0, function(one)
    for _, turn in pairs(turns) do
      if turn.session == one.session then turn.removed = true end
    end
    one.agent:delete_session()
  end },
}

local weights = 0
for _, step in ipairs(STEPS) do weights = weights + step[1] end

local function step()
  local at = math.random(weights)
  for _, one in ipairs(STEPS) do
    at = at - one[1]
    if at <= 0 then return one[2](everyone[math.random(AGENTS)]) end
  end
end

-- ---- what must hold ----

-- Stored is each turn whole, none twice, those of each agent in order (but
-- after a deletion whoever saves first is first). Returns which there are.
local function look_at(session)
  local messages, info = stores[1]:load(session)
  assert(messages or not info, info)
  messages = messages or {}
  local found, last = {}, {}
  for i = 1, #messages, 2 do
    local question, answer = messages[i].content, messages[i + 1]
    local turn = assert(turns[question], question)
    assert(turn.session == session, question .. " in " .. session)
    assert(answer and answer.content == "re: " .. question, question)
    assert(not found[question], question .. " is there twice")
    assert((last[turn.agent] or 0) < turn.number or play.deletes,
      question .. " comes late")
    last[turn.agent], found[question] = turn.number, true
  end
  return found, #messages // 2, info
end

local function check(session)
  local found, count, info = look_at(session)
  local said = 0
  for question, turn in pairs(turns) do
    if turn.session == session then
      said = said + 1
      assert(found[question] or not turn.kept or turn.removed or overwrites,
        question .. " is lost")
    end
  end
  if #play.policies == 1 and play.policies[1] == "merge"
    and not play.removes then
    assert(count == said, ("%d turns of %d"):format(count, said))
  end
  if not play.removes and not overwrites then
    local total = info.usage.total_tokens
    assert(total == TOKENS * count, ("%d tokens in %d turns")
      :format(total, count))
  end
end

-- All that it has is stored, in its order.
local function check_overwritten(one)
  local messages = stores[1]:load(one.session)
  local i = 0
  for _, message in ipairs(one.agent:get_history()) do
    repeat
      i = i + 1
      assert(messages[i], message.content .. " was overwritten by nobody")
    until messages[i].content == message.content
  end
end

local function settle(one)
  local ok, err = one.agent:flush()
  -- A save may have been under way since before the disk was mended.
  if not ok and err.code ~= "conflict" then ok, err = one.agent:flush() end
  if not ok and err.code == "conflict" then
    assert(one.policy == "error" or play.deletes, err)
    assert(one.agent:load_session())
    ok, err = one.agent:flush()
  end
  assert(ok, err)
  acknowledged(one, true)
end

for _ = 1, 2 do
  for place = 1, AGENTS do sit_down(place) end
  for _ = 1, steps // 2 do step() end
  mend()
  for place = 1, AGENTS do settle(everyone[place]) end
  for place = 1, AGENTS do
    local one = everyone[place]
    -- Whatever happened, it is as good as new.
    assert(one.agent:load_session())
    ask(one)
    settle(one)
    if one.policy == "overwrite" then check_overwritten(one) end
  end
  everyone = {}
  collectgarbage()
  collectgarbage()
  -- Who is new there comes after those who are gone.
  for place = 1, SESSIONS do
    sit_down(place)
    ask(everyone[place])
    settle(everyone[place])
    check(everyone[place].session)
  end
end
