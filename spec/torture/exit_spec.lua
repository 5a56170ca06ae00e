-- However a process ends, also on a slow disk: what was pending is stored.
-- Each case is a process of its own, again and again, whose flushes take
-- their time (preload_slow.c). See session_exit_spec.lua for a quick disk.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"

local full = os.getenv("DA_FULL") == "1"
local TIMES = full and 100 or 3
local AT_ONCE = 10

-- One turn is acknowledged, four more are pending; from the first on the disk
-- is slow, or hangs. `trap`, where it is set, is called by the model and
-- by the logger.
local TALK = [[
  local directory = ...
  local deepagent = require "deepagent"
  local fork = require "test.fork"
  local models = require "support.models"
  local trap
  local told = {} -- the codes that the logger was given
  local echo = models.echo()
  local function file_backend()
    return deepagent.file_backend { path = directory .. "/sessions" }
  end
  local agent = deepagent.new { provider = models.acting(function(...)
    if trap then trap("model") end
    return echo:complete(...)
  end) }
    :with_session_id("s"):with_memory_backend(file_backend())
    :with_logger(function(level, _, fields)
      if fields.code then told[#told + 1] = level .. " " .. fields.code end
      if trap then trap("logger") end
    end)
    :with_save_timeout(100)
  assert(agent:ask "turn 1")
  assert(agent:flush())
  io.open(os.getenv "DA_SLOW_WHILE", "w"):close()
  if not os.getenv "DA_SLOW_MS" then agent:with_save_timeout(0.5) end
  for i = 2, 5 do assert(agent:ask("turn " .. i)) end
  print((agent:save_status()))
  io.stdout:flush()
]]

local function in_callback(where, action)
  return ([[
    trap = function(where)
      if where == %q then os.exit(0) end
    end
    %s]]):format(where, action)
end

-- Name, how it ends, its exit status.
local WAYS = {
  { "the end of the script", "" },
  { "an error", "error 'oops'", 1 },
  { "os.exit(0)", "os.exit(0)" },
  { "os.exit(0, true), which closes the state", "os.exit(0, true)" },
  { "os.exit in a coroutine", "coroutine.wrap(os.exit)(0)" },
  { "os.exit in the model", in_callback("model", "agent:ask 'turn 6'") },
  { "os.exit in the listener to a stream", [[
    agent:stream("turn 6", function() os.exit(0) end)]] },
  { "os.exit in the logger",
    in_callback("logger", "repeat until agent:save_status() == 'saved'") },
  { "os.exit in a backend in Lua", [[
    local store = { load = function() end, list = function() return {} end,
      delete = function() end, save = function() os.exit(0) end }
    agent:clone():with_session_id("t"):with_memory_backend(store)
      :ask "turn 1"]] },
  { "close(), then SIGKILL", "assert(agent:close()) fork.kill 'KILL'", 137 },
  { "flush(), then SIGKILL", "assert(agent:flush()) fork.kill 'KILL'", 137 },
  { "a <close> variable, then SIGKILL",
    "do local a <close> = agent end fork.kill 'KILL'", 137 },
}

-- How a child that was forked with all that pending may end.
local CHILDREN = {
  { "goes on to the end of the script", "" },
  { "ends by an error", "error 'oops'" },
  { "calls os.exit(0)", "os.exit(0)" },
  { "closes its state by os.exit(0, true)", "os.exit(0, true)" },
  { "calls os.exit in a coroutine", "coroutine.wrap(os.exit)(0)" },
  { "closes the agent", "agent:close()" },
  { "collects the agent", "agent = nil collectgarbage()" },
  { "calls _exit", "fork.leave(0)" },
  { "is killed", "fork.kill 'KILL'" },
  { "is terminated", "fork.kill 'TERM'" },
}

-- The same where the disk hangs: what it prints, and its exit status.
local HANGING = {
  { "the end of the script", "", "", 0 },
  { "an error", "error 'oops'", "", 1 },
  { "os.exit(0)", "os.exit(0)", "", 0 },
  { "os.exit(0, true), which closes the state", "os.exit(0, true)", "", 0 },
  { "os.exit in a coroutine", "coroutine.wrap(os.exit)(0)", "", 0 },
  { "close(), which tells of it",
    "print(select(2, agent:close()).code)", "timeout\n", 0 },
  { "flush(), which tells of it",
    "print(select(2, agent:flush()).code) os.exit(0)", "timeout\n", 0 },
  { "save_session(), which tells of it",
    "print(select(2, agent:save_session()).code) os.exit(0)", "timeout\n",
    0 },
  { "save_status() and the logger told of it", [[
    agent:flush(0.6)
    assert(agent:ask "turn 6")
    local state, err = agent:save_status()
    print(told[1], state, err.code)]],
    "warn timeout\tfailed\ttimeout\n", 0 },
  { "a child has ended without waiting", [[
    local pid = fork.fork()
    if pid == 0 then agent:with_save_timeout(1000) os.exit(3) end
    print(fork.wait(pid))]], "exit\t3\n", 0 },
}

local function environment(directory, delay)
  local slow = os.getenv("DA_BUILD") .. "/spec/torture/preload_slow.so"
  local sanitizer = os.getenv("DA_PRELOAD")
  return {
    [sanitizer and "DA_PRELOAD" or "LD_PRELOAD"] =
      sanitizer and sanitizer .. " " .. slow or slow,
    DA_SLOW_WHILE = directory .. "/slow",
    DA_SLOW_MS = delay,
    DA_SLOW_LOG = directory .. "/flushes",
  }
end

-- Why a process with threads cannot be forked, where that is so.
local function no_fork()
  local config = os.getenv("DA_CONFIG")
  return config == "asan" and "libasan's locks do not survive a fork"
    or config == "valgrind" and "valgrind calls leaks what threads held"
end

describe("what is pending when a process ends", function()
  local root
  local runs, pending_at_end = 0, 0

  before_each(function() root = disk.temp() end)
  after_each(function() disk.remove(root) end)

  local function backend(directory)
    return deepagent.file_backend { path = directory .. "/sessions" }
  end

  -- Turns 1 to `n`, `least` <= n <= `most`, each once, whole, in order, and
  -- nothing else but what `other` takes.
  local function assert_turns(directory, least, most, other)
    local messages, n = assert(backend(directory):load("s")), 0
    for i = 1, #messages, 2 do
      local question = messages[i].content
      if not (other and other(question)) then
        n = n + 1
        assert.equal("turn " .. n, question)
      end
      assert.equal("re: " .. question, messages[i + 1].content)
    end
    assert.is_true(least <= n and n <= most, n .. " turns are stored")
  end

  -- Runs it in so many processes, each with a directory of its own, some at
  -- the same time; calls check(directory, output, status) for each.
  local function repeated(script, delay, check)
    for done = 0, TIMES - 1, AT_ONCE do
      local running = {}
      for i = 1, math.min(AT_ONCE, TIMES - done) do
        local directory = root .. "/" .. done + i
        assert(os.execute("mkdir " .. directory))
        running[i] = { directory = directory, process = child.start(script, {
          args = { directory }, env = environment(directory, delay),
          stderr = false, before = "timeout -s KILL 300",
        }) }
      end
      for _, one in ipairs(running) do
        one.output, one.status = one.process:wait()
      end
      for _, one in ipairs(running) do
        check(one.directory, one.output, one.status)
      end
    end
  end

  -- Two saves are pending, with two flushes each: more than the moment that
  -- is granted at the end to what hangs.
  local SLOW = "80"

  -- What a process has told after the state of its saving. A process that
  -- got no time on its processor may have everything stored already.
  local function rest_of(output)
    local state, rest = output:match("^(%a+)\n(.*)$")
    runs = runs + 1
    pending_at_end = pending_at_end + (state == "pending" and 1 or 0)
    assert.truthy(state == "pending" or state == "saved", output)
    return rest
  end

  for _, way in ipairs(WAYS) do
    local name, finish, expected = table.unpack(way)
    it("on a slow disk, by " .. name, function()
      repeated(TALK .. finish, SLOW, function(directory, output, status)
        assert.equal("", rest_of(output))
        assert.equal(expected or 0, status)
        assert_turns(directory, 5, 5)
        assert.same({ ".lock", "s.json" },
          disk.names(directory .. "/sessions"))
      end)
    end)
  end

  it("on a slow disk, by lua_close, then SIGKILL", function()
    local script = ([[
      local states = require "test.states"
      states.run(%q, (...))
      require "test.fork".kill "KILL"]]):format(TALK)
    repeated(script, SLOW, function(directory, output, status)
      assert.equal("", rest_of(output))
      assert.equal(137, status)
      assert_turns(directory, 5, 5)
    end)
  end)

  -- Nobody is asked; so only what was acknowledged is sure.
  for _, signal in ipairs { "TERM", "KILL" } do
    it("on a slow disk, what was flushed, by SIG" .. signal, function()
      local script = TALK .. ("fork.kill %q"):format(signal)
      repeated(script, SLOW, function(directory, output, status)
        assert.equal("", rest_of(output))
        assert.equal(signal == "KILL" and 137 or 143, status)
        assert_turns(directory, 1, 5)
      end)
    end)
  end

  -- ---- forks ----

  local function forking(child_does)
    return TALK .. ([[
      local pid = fork.fork()
      if pid == 0 then
        %s
      else
        fork.wait(pid)
        print(pid)
      end]]):format(child_does)
  end

  local function pid_in(output)
    return assert(rest_of(output):match("^(%d+)\n$"), output)
  end

  for _, case in ipairs(CHILDREN) do
    local name, leave = table.unpack(case)
    it("on a slow disk, by the parent of a child that " .. name, function()
      if no_fork() then return pending(no_fork()) end
      repeated(forking(leave), SLOW, function(directory, output, status)
        assert.equal(0, status)
        assert_turns(directory, 5, 5)
        local flushes = "\n" .. disk.read(directory .. "/flushes")
        assert.is_nil(flushes:find("\n" .. pid_in(output) .. "\n", 1, true))
      end)
    end)
  end

  it("on a slow disk, parent and child each store what is theirs", function()
    if no_fork() then return pending(no_fork()) end
    local script = forking("assert(agent:ask 'of the child') os.exit(0)")
    repeated(script, SLOW, function(directory, output, status)
      assert.equal(0, status)
      assert.truthy(pid_in(output))
      local others = 0
      assert_turns(directory, 5, 5, function(question)
        local is_other = question == "of the child"
        others = others + (is_other and 1 or 0)
        return is_other
      end)
      assert.equal(1, others)
    end)
  end)

  it("was pending indeed", function()
    assert.is_true(pending_at_end > runs / 10)
  end)

  -- ---- a disk that hangs ----

  -- Works there again, and nothing is in the way.
  local function assert_usable(directory)
    local agent <close> = deepagent.offline():with_session_id("s")
      :with_memory_backend(backend(directory))
    assert(agent:ask("next"))
    assert(agent:flush())
    assert.equal(4, #backend(directory):load("s"))
    assert.same({ ".lock", "s.json" }, disk.names(directory .. "/sessions"))
  end

  for _, way in ipairs(HANGING) do
    local name, finish, told, expected = table.unpack(way)
    it("on a disk that hangs, by " .. name, function()
      if finish:find("fork", 1, true) and no_fork() then
        return pending(no_fork())
      end
      repeated(TALK .. finish, nil, function(directory, output, status)
        assert.equal(told, output:match("^%a+\n(.*)$"))
        assert.equal(expected, status) -- 137: it had to be killed
        assert_turns(directory, 1, 1)
        assert_usable(directory)
      end)
    end)
  end
end)
