-- Several processes on one directory of sessions.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local WRITER = [[
  local deepagent = require "deepagent"
  local directory, id, name, turns = table.unpack(arg)
  local agent = deepagent.offline():with_session_id(id):with_save_timeout(120)
    :with_memory_backend(deepagent.file_backend { path = directory,
      durable = false }) -- so that nobody waits long for the others
  for i = 1, turns do
    assert(agent:ask(name .. " " .. i))
    if i % 3 == 0 then assert(agent:flush()) end
  end
  assert(agent:close())]]

-- Reads again and again until the file "stop" is there; what it reads is
-- whole at any time, and never shorter than before.
local READER = [[
  local deepagent = require "deepagent"
  local directory = arg[1]
  local backend = deepagent.file_backend { path = directory }
  local last, reads = 0, 0
  print "ready"
  io.stdout:flush()
  repeat
    local stop = io.open(directory .. "/stop")
    local messages, err = backend:load("s")
    if messages then
      assert(#messages % 2 == 0 and #messages >= last)
      last, reads = #messages, reads + 1
    else
      assert(not err or err.code == "busy", tostring(err))
    end
  until stop
  print(last)]]

describe("processes that share a directory", function()
  local root, directory

  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
  end)
  after_each(function() disk.remove(root) end)

  local function start_writers(n, id_of, turns)
    local running = {}
    for i = 1, n do
      running[i] = child.start(WRITER, {
        args = { directory, id_of(i), "w" .. i, turns },
      })
    end
    for _, writer in ipairs(running) do
      local output, status = writer:wait()
      assert.equal("", output)
      assert.equal(0, status)
    end
  end

  -- Each writer's turns are there once, whole and in order.
  local function assert_turns(messages, n, turns)
    local next_of = {}
    for i = 1, #messages, 2 do
      local writer, turn = messages[i].content:match("^w(%d+) (%d+)$")
      assert.equal((next_of[writer] or 0) + 1, tonumber(turn))
      next_of[writer] = tonumber(turn)
      assert.equal("assistant", messages[i + 1].role)
      assert.truthy(messages[i + 1].content:find(messages[i].content, 1,
        true))
    end
    assert.equal(2 * n * turns, #messages)
  end

  it("lose nothing when they save one session", function()
    start_writers(6, function() return "s" end, 12)
    local backend = deepagent.file_backend { path = directory }
    assert_turns(backend:load("s"), 6, 12)
    assert.same({ ".lock", "s.json" }, disk.names(directory))
  end)

  it("lose nothing when they save sessions of their own", function()
    start_writers(6, function(i) return "user-" .. i end, 6)
    local backend = deepagent.file_backend { path = directory }
    assert.equal(6, #backend:list())
    for i = 1, 6 do assert.equal(12, #backend:load("user-" .. i)) end
  end)

  it("read whole sessions while others write", function()
    local readers = {}
    disk.shell("mkdir -m 700 %s", directory)
    for i = 1, 3 do
      readers[i] = child.start(READER, { args = { directory } })
      assert.equal("ready", readers[i]:lines()())
    end
    start_writers(2, function() return "s" end, 25)
    disk.write(directory .. "/stop", "")
    for _, reader in ipairs(readers) do
      local output, status = reader:wait()
      assert.equal("100\n", output)
      assert.equal(0, status)
    end
  end)

  it("go on after what another has said meanwhile", function()
    local backend = deepagent.file_backend { path = directory }
    local logged = {}
    local agent <close> = deepagent.new { provider = models.echo() }
      :with_session_id("s"):with_memory_backend(backend)
      :with_logger(function(_, _, fields)
        logged[#logged + 1] = fields.code
      end)
    assert(agent:ask("mine 1"))
    assert(agent:flush())
    assert.equal("", (child.run(WRITER,
      { args = { directory, "s", "theirs", 1 } })))
    assert(agent:ask("mine 2"))
    assert(agent:flush())
    assert.truthy(table.concat(logged, ","):find("conflict", 1, true))
    local found = {}
    for i, message in ipairs((backend:load("s"))) do
      found[i] = message.content
    end
    assert.equal(6, #found)
    assert.same({ "mine 1", "theirs 1", "mine 2" },
      { found[1], found[3], found[5] })
    -- The agent itself goes on with its own view until it loads.
    assert.equal(4, #agent:get_history())
    assert.is_true(agent:load_session())
    assert.equal(6, #agent:get_history())
    assert(agent:ask("mine 3"))
    assert(agent:flush())
    assert.equal(8, #backend:load("s"))
  end)

  it("leave no files of a writer that was killed", function()
    local backend = deepagent.file_backend { path = directory }
    for i = 1, 10 do
      local writer = child.start([[
        local deepagent = require "deepagent"
        local agent = deepagent.offline():with_session_id "s"
          :with_memory_backend(deepagent.file_backend { path = arg[1] })
        local file <close> = io.open("/proc/self/stat")
        print(file:read("n"))
        io.stdout:flush()
        for i = 1, 1e6 do
          assert(agent:ask(("x"):rep(20000)))
          assert(agent:flush())
        end]], { args = { directory }, stderr = false })
      local pid = math.tointeger(tonumber(writer:lines()()))
      os.execute("sleep 0.0" .. i)
      os.execute(("kill -KILL %d"):format(pid))
      local _, status = writer:wait()
      assert.equal(137, status)
      local messages, err = backend:load("s")
      if messages then
        assert.equal(0, #messages % 2)
      else
        assert.is_nil(err)
      end
    end
    assert.equal("", (child.run(WRITER,
      { args = { directory, "s", "last", 1 } })))
    assert.same({ ".lock", "s.json" }, disk.names(directory))
  end)
end)
