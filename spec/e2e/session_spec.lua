-- Conversations with a real server that survive the program.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local llama = require "e2e.llama"

describe("a conversation with a real server", function()
  local server, home

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)
  before_each(function() home = disk.temp() end)
  after_each(function() disk.remove(home) end)

  local prologue = [[
    local deepagent = require "deepagent"
    local agent = deepagent.new { model = "m", base_url = arg[1],
      session_id = "alice", timeout = 60 }
  ]]

  -- A program of its own, which has `agent`.
  local function options(url)
    return { args = { url or server.url }, env = { DEEPAGENT_HOME = home } }
  end

  local function run(script, url)
    local output, status = child.run(prologue .. script, options(url))
    assert.equal(0, status, output)
    return output
  end

  local function stored()
    return assert(deepagent.file_backend { path = home .. "/sessions" }
      :load("alice"))
  end

  local function contents(messages)
    local all = {}
    for i, message in ipairs(messages) do all[i] = message.content end
    return all
  end

  it("goes on in another process", function()
    local first = run [[
      io.write(assert(agent:ask("Hello")), "\n")
      io.write(assert(agent:stream("And then?", function() end)))
    ]]
    local said = contents(stored())
    assert.equal(4, #said)
    assert.equal(first, said[2] .. "\n" .. said[4])

    local output = run [[
      local text = assert(agent:ask("What was that?"))
      print(agent:last().usage.prompt_tokens, agent:usage().total.total_tokens)
      io.write(text)
    ]]
    local prompt, total, text = output:match("^(%d+)\t(%d+)\n(.*)$")
    local history = stored()
    said[5], said[6] = "What was that?", text
    assert.same(said, contents(history))

    -- What the server read is what was stored; and all turns are counted.
    local answer = table.remove(history)
    assert.equal(server:tokens(history), tonumber(prompt))
    assert.is_true(tonumber(total) > tonumber(prompt))
    assert.equal(text, answer.content)
  end)

  it("goes on where a process was killed in mid-answer", function()
    run [[assert(agent:ask("Hello"))]]
    local before = stored()
    local killed = child.start(prologue .. [[
      agent:with_extra { ignore_eos = true }
      local heard = 0
      agent:stream("For ever?", function()
        heard = heard + 1
        if heard < 10 then return end
        os.execute("kill -KILL $PPID")
      end)
      print("still alive")
    ]], options())
    local output, status = killed:wait()
    assert.not_equal(0, status)
    assert.is_nil(output:find("still alive", 1, true))
    server:wait_idle()
    assert.same(before, stored())

    run [[
      assert(agent:ask("Again"))
      assert(#agent:get_history() == 4)
    ]]
    assert.equal(4, #stored())
  end)

  it("goes on where the server was killed in mid-answer", function()
    local mortal <close> = llama.start()
    run([[
      assert(agent:ask("Hello"))
      agent:with_extra { ignore_eos = true }
      local text, err = agent:stream("For ever?", function()
        os.execute("kill -KILL ]] .. mortal.process.pid .. [[ 2>/dev/null")
      end)
      assert(not text and err.retryable, err)
    ]], mortal.url)
    local before = stored()
    assert.equal(2, #before)

    run [[assert(agent:ask("Again"))]]
    local after = stored()
    assert.equal(4, #after)
    assert.same(before, { after[1], after[2] })
  end)
end)
