-- Many threads of one process talk on one session, each with a Lua state of
-- its own, and a store of its own: what each has said is stored once. For
-- processes, see many.c.

local deepagent = require "deepagent"
local disk = require "support.disk"
local states = require "test.states"

local full = os.getenv("DA_FULL") == "1"

-- A thread: lives in several states, one after the other, which know of each
-- other only what is stored.
local THREAD = [[
  local argument, number = ...
  local states = require "test.states"
  local path, turns, lives, life = argument:match "^(.-)\n(%d+) (%d+)\n(.*)$"
  for i = 1, lives do
    states.run(life, ("%s\n%d %d %d"):format(path, turns, number, i))
  end]]

local LIFE = [[
  local path, turns, number, life =
    (...):match "^(.-)\n(%d+) (%d+) (%d+)$"
  local deepagent = require "deepagent"
  local models = require "support.models"
  local agent = deepagent.new { provider = models.echo() }
    :with_session_id("s"):with_save_timeout(120)
    :with_memory_backend(deepagent.file_backend { path = path })
  local mine = 0
  for _, message in ipairs(agent:get_history()) do
    local turn = message.content:match("^thread " .. number .. " turn (%d+)")
    if turn then
      mine = mine + 1
      assert(tonumber(turn) == mine, "its own turns are not in order")
    end
  end
  assert(mine == (life - 1) * turns, "its own turns are not there")
  local function flush() -- others may win the race again and again
    local ok, err
    for _ = 1, 1000 do
      ok, err = agent:flush()
      if ok or err.code ~= "conflict" and err.code ~= "busy" then break end
    end
    assert(ok, err)
  end
  for i = mine + 1, mine + turns do
    assert(agent:ask(("thread %d turn %d"):format(number, i)))
    if i % 3 == 0 then flush() end
  end
  flush()]]

describe("#threads that talk on one session", function()
  local path

  before_each(function() path = disk.temp() end)
  after_each(function() disk.remove(path) end)

  local function assert_turns(messages, threads, turns)
    local last = {}
    for i = 1, #messages, 2 do
      local question, answer = messages[i], messages[i + 1]
      local thread, turn = question.content:match("^thread (%d+) turn (%d+)$")
      assert.equal((last[thread] or 0) + 1, tonumber(turn))
      last[thread] = tonumber(turn)
      assert.equal("assistant", answer.role)
      assert.equal("re: " .. question.content, answer.content)
    end
    assert.equal(2 * threads * turns, #messages)
  end

  it("store every turn once, whole and in order", function()
    local lives = full and 5 or 2
    local slow = os.getenv("DA_CONFIG") == "tsan"
    local turns = full and (slow and 20 or 100) or 3
    states.threads(8, THREAD, ("%s\n%d %d\n%s"):format(path, turns, lives,
      LIFE))
    local messages, info = deepagent.file_backend { path = path }:load("s")
    assert_turns(messages, 8, lives * turns)
    assert.equal(5 * 8 * lives * turns, info.usage.total_tokens)
    assert.same({ ".lock", "s.json" }, disk.names(path))
  end)
end)
