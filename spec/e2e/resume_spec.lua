-- A turn that ended with its program, killed while a tool ran: another process
-- goes on with it, at the same server.

local child = require "support.child"
local disk = require "support.disk"
local llama = require "e2e.llama"

describe("a turn of a killed process", function()
  local server, home

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)
  before_each(function() home = disk.temp() end)
  after_each(function() disk.remove(home) end)

  -- What `weather` does is `what`: run by the model's call, it tells so.
  local prologue = [[
    local deepagent = require "deepagent"
    local what, idempotent = arg[2], arg[3] == "true"
    local agent = deepagent.new { model = "m", base_url = arg[1],
      session_id = "alice", timeout = 60 }
    local ran, one_call = 0, "user assistant tool assistant"
    agent:with_tool { name = "weather", description = "The weather",
      parameters = { type = "object", required = { "city" },
        properties = { city = { type = "string" } } },
      idempotent = idempotent,
      run = function()
        ran = ran + 1
        if what == "die" then os.execute("kill -KILL $PPID") end
        return "clear"
      end }
    local function roles(messages)
      local all = {}
      for i, message in ipairs(messages) do all[i] = message.role end
      return table.concat(all, " ")
    end
  ]]

  local function program(script, what, idempotent)
    return child.run(prologue .. script, {
      args = { server.url, what, tostring(idempotent) },
      env = { DEEPAGENT_HOME = home } })
  end

  local function run(script, what, idempotent)
    local output, status = program(script, what, idempotent)
    assert.equal(0, status, output)
    return output
  end

  local function die(idempotent)
    run([[assert(agent:ask("Hello") and ran == 1)]], "live")
    local output, status = program([[
      agent:ask("How is the weather?")
      print("still alive")
    ]], "die", idempotent)
    assert.not_equal(0, status)
    assert.is_nil(output:find("still alive", 1, true))
  end

  it("is known, and nothing happens by itself", function()
    die(false)
    local before = server:worked()
    assert.is_true(before > 0)
    run([[
      assert(roles(agent:get_history()) == one_call)
      assert(roles(agent:unfinished_turn()) == "user assistant")
      assert(ran == 0)
    ]], "live")
    assert.equal(before, server:worked())
  end)

  it("is gone on with: the model is told what is not known", function()
    die(false)
    run([[
      local heard = {}
      local text = assert(agent:resume(function(delta)
        heard[#heard + 1] = delta
      end))
      assert(ran == 0)
      assert(#text > 0 and text == table.concat(heard))
      local history = agent:get_history()
      assert(roles(history) == one_call .. " " .. one_call, roles(history))
      assert(history[7].content:find("interrupted", 1, true),
        history[7].content)
      assert(history[7].tool_call_id == history[6].tool_calls[1].id)
      assert(not agent:unfinished_turn())
    ]], "live")
    run([[
      assert(#agent:get_history() == 8)
      local text, err = agent:resume()
      assert(not text and err.code == "not_found", err)
      assert(agent:ask("And tomorrow?"))
      assert(ran == 1 and #agent:get_history() == 12)
    ]], "live")
  end)

  it("is gone on with: what does no harm twice is run again", function()
    die(true)
    run([[
      assert(agent:resume())
      assert(ran == 1)
      local history = agent:get_history()
      assert(#history == 8 and history[7].content == "clear")
    ]], "live", true)
  end)

  it("is gone on with after it was killed again", function()
    die(true)
    local _, status = program([[agent:resume()]], "die", true)
    assert.not_equal(0, status)
    run([[assert(agent:resume() and #agent:get_history() == 8)]], "live",
      true)
  end)

  it("is forgotten", function()
    die(false)
    run([[assert(agent:discard_turn())]], "live")
    run([[
      assert(not agent:unfinished_turn())
      assert(#agent:get_history() == 4)
      assert(agent:ask("How is the weather?"))
      assert(ran == 1 and #agent:get_history() == 8)
    ]], "live")
  end)
end)
