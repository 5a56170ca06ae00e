-- Turns that are not finished: how they are kept, and gone on with.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local json = require "dkjson"
local lua_store = require "support.lua_store"
local patience = require "support.patience"
local tooled = require "support.tooled"

local call, tool = tooled.call, tooled.tool

local directory

local function file_backend()
  return deepagent.file_backend { path = directory, durable = false }
end

--- An agent of session "s", and its model.
local function agent(steps, backend, options)
  options = options or {}
  options.provider = tooled.model(steps)
  return deepagent.new(options):with_session_id("s")
    :with_memory_backend(backend or file_backend()), options.provider
end

local function down() return nil, { code = "server", message = "down" } end

local function returns(value)
  return tool("f", function() return value end)
end

local function file() return directory .. "/s.json" end

--- What the stored file says, decoded.
local function stored()
  local bytes = disk.read(file())
  return bytes and assert(json.decode(bytes), bytes)
end

--- The shapes of the unfinished turns in the file.
local function unfinished()
  local shapes = {}
  local session = stored()
  for i, turn in ipairs(session and session.metadata.unfinished or {}) do
    local messages = {}
    for j, line in ipairs(turn.messages) do
      messages[j] = assert(json.decode(line))
    end
    assert(messages[1].id == turn.id)
    shapes[i] = tooled.shape(messages)
  end
  return shapes
end

--- Shows that each message is there once.
local function once(messages)
  local seen = {}
  for _, message in ipairs(messages) do
    assert.is_nil(seen[message.id])
    seen[message.id] = true
  end
end

before_each(function() directory = disk.temp() end)
after_each(function()
  collectgarbage()
  disk.remove(directory)
end)

describe("a turn in progress", function()
  it("is stored before its first tool runs, also an idempotent one", function()
    local seen
    local a = agent { { call "f" }, "done" }
    a:with_tool { name = "f", idempotent = true, run = function()
      seen = unfinished()
      return "x"
    end }
    assert.equal("done", a:ask "go")
    assert.same({ "user assistant(1)" }, seen)
  end)

  it("is stored before its tools run, and before each request", function()
    local seen = {}
    local a = agent { { call "f", call "f" }, function()
      seen[#seen + 1] = unfinished()[1]
      return tooled.asking { call "f" }
    end, function()
      seen[#seen + 1] = unfinished()[1]
      return "done"
    end }
    a:with_tool(tool("f", function() seen[#seen + 1] = unfinished()[1] end))
    assert.equal("done", a:ask "go")
    assert.equal("user assistant(2)", seen[1]) -- f
    -- the result of a call is on its way when the next one runs
    assert.truthy(seen[2]:find "^user assistant%(2%)")
    assert.equal("user assistant(2) tool tool", seen[3]) -- the request
    assert.equal("user assistant(2) tool tool assistant(1)", seen[4])
    assert.equal("user assistant(2) tool tool assistant(1) tool", seen[5])
    assert.is_true(a:flush())
    assert.same({}, unfinished())
    assert.is_nil(stored().metadata.unfinished)
    assert.equal(7, #stored().messages)
  end)

  it("is no part of the conversation", function()
    local a, model = agent { "first", { call "f" }, "done" }
    local counts = {}
    assert.equal("first", a:ask "one")
    a:with_tool(tool("f", function()
      counts[1] = #a:get_history()
      local other = agent { "other" }
      counts[2] = #other:get_history()
      counts[3] = tooled.shape(other:unfinished_turn())
      assert(other:ask "in between")
      assert(other:close())
    end))
    assert.equal("done", a:ask "two")
    assert.same({ 2, 2, "user assistant(1)" }, counts)
    assert.is_true(a:flush())
    assert.equal(8, #stored().messages)
    assert.same({}, unfinished())
    assert.equal(3, #model.requests)
  end)

  it("that fails leaves the conversation as it was, and waits", function()
    local a, model = agent { "first", { call "f" }, down }
    assert.equal("first", a:ask "one")
    local ran = 0
    a:with_tool(tool("f", function() ran = ran + 1 return "r" end))
    local text, err = a:ask "two"
    assert.is_nil(text)
    assert.equal("server", err.code)
    assert.equal(2, #a:get_history())
    assert.equal("user assistant(1) tool", tooled.shape(a:unfinished_turn()))
    assert.same(err.messages, a:unfinished_turn())
    assert.is_true(a:flush())
    assert.same({ "user assistant(1) tool" }, unfinished())
    assert.is_nil((a:resume())) -- it is still down
    model.steps = { [5] = "done" }
    assert.equal("done", a:resume())
    assert.equal(1, ran)
    assert.equal("user assistant user assistant(1) tool assistant",
      tooled.shape(a:get_history()))
    once(a:get_history())
    assert.is_nil(a:unfinished_turn())
    assert.equal("not_found", select(2, a:resume()).code)
    assert.is_true(a:flush())
    assert.same({}, unfinished())
    assert.equal(6, #stored().messages)
  end)

  it("sends what the turn has, and no forced choice, when resumed", function()
    local a, model = agent { { call "f" }, down, "done" }
    a:with_tool(returns "r"):with_tool_choice("f")
    assert.is_nil((a:ask "go"))
    assert.equal("done", a:resume())
    assert.is_nil(model.requests[3].tool_choice)
    assert.equal("user assistant(1) tool",
      tooled.shape(model.requests[3].messages))
  end)

  it("counts its rounds on", function()
    local rounds = {}
    local a = agent { { call "f" }, down, { call "f" }, "done" }
    a:with_tool(tool("f", function(_, context)
      rounds[#rounds + 1] = context.round
    end))
    assert.is_nil((a:ask "go"))
    assert.equal("done", a:resume())
    assert.same({ 1, 2 }, rounds)
  end)

  it("streams when it is resumed with a function", function()
    local a, model = agent { { call "f" }, down, "all of it" }
    a:with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    local heard = {}
    assert.equal("all of it", a:resume(function(d) heard[#heard + 1] = d end))
    assert.equal("all of it", table.concat(heard))
    assert.is_true(model.requests[3].stream)
    assert.is_nil(model.requests[2].stream)
    for _, bad in ipairs { 1, "x", {} } do
      assert.is_false((pcall(a.resume, a, bad)))
    end
  end)

  it("can be dropped", function()
    local a = agent { { call "f" }, down }
    a:with_tool(returns "r")
    assert.is_true(a:discard_turn()) -- there is none
    assert.is_nil((a:ask "go"))
    assert.is_true(a:discard_turn())
    assert.is_nil(a:unfinished_turn())
    assert.is_true(a:flush())
    assert.same({}, unfinished())
    assert.equal(0, #stored().messages)
  end)

  it("goes with what it belongs to", function()
    for _, how in ipairs { "clear", "delete_session" } do
      local a = agent { { call "f" }, down }
      a:with_tool(returns "r")
      assert.is_nil((a:ask "go"))
      assert.is_true(a[how](a))
      assert.is_nil(a:unfinished_turn())
      assert.is_true(a:flush())
      assert.same({}, unfinished())
      assert.equal("not_found", select(2, a:resume()).code)
      a:close()
      os.remove(file())
    end
  end)

  it("is there again after load_session, as it is stored", function()
    local a = agent { { call "f" }, down, "done" }
    a:with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    assert.is_true(a:flush())
    assert.is_true(a:load_session())
    assert.equal("user assistant(1) tool", tooled.shape(a:unfinished_turn()))
    local b = agent { "b" }
    assert.is_true(b:discard_turn())
    b:close()
    assert.is_true(a:load_session())
    assert.is_nil(a:unfinished_turn())
  end)

  it("is forgotten when its own agent goes on without it", function()
    local a = agent { { call "f" }, down, "next" }
    a:with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    assert.equal("next", a:ask "something else")
    assert.is_nil(a:unfinished_turn())
    assert.is_true(a:flush())
    assert.same({}, unfinished())
    assert.equal("user assistant", tooled.shape(a:get_history()))
  end)

  it("is not forgotten when another agent goes on", function()
    local a = agent { { call "f" }, down }
    a:with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    a:close()
    local b = agent { "in between", "and more", "done" }
    b:with_tool(returns "b's")
    assert.equal("in between", b:ask "something else")
    assert.equal("and more", b:ask "more")
    assert.equal("user assistant(1) tool", tooled.shape(b:unfinished_turn()))
    assert.equal("done", b:resume())
    assert.equal("user assistant user assistant user assistant(1) tool "
      .. "assistant", tooled.shape(b:get_history()))
    once(b:get_history())
    assert.is_true(b:flush())
    assert.same({}, unfinished())
  end)

  it("works without a session, in the agent", function()
    local model = tooled.model { { call "f" }, down, "done" }
    for _, memory in ipairs { true, false } do
      model.requests = {}
      local a = deepagent.new { provider = model, memory = memory }
      a:with_tool(returns "r")
      assert.is_nil((a:ask "go"))
      assert.equal("done", a:resume())
      assert.is_nil(a:unfinished_turn())
      assert.equal(memory and 4 or 0, #a:get_history())
    end
  end)

  it("is gone from a session whose agent has no memory", function()
    local a, model = agent({ { call "f" }, down }, nil, { memory = false })
    a:with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    assert.is_true(a:flush())
    assert.same({ "user assistant(1) tool" }, unfinished())
    model.steps = { [3] = "done" }
    assert.equal("done", a:resume())
    assert.is_true(a:flush())
    assert.same({}, unfinished())
    assert.equal(0, #stored().messages)
  end)

  it("is saved by nobody without auto-save, but by save_session", function()
    local a = agent { { call "f" }, down }
    a:with_auto_save(false):with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    assert.is_true(a:flush())
    assert.is_nil(stored())
    assert.truthy(a:unfinished_turn())
    assert.is_true(a:save_session())
    assert.same({ "user assistant(1) tool" }, unfinished())
  end)

  it("goes on where it cannot be saved, and that is logged", function()
    local words = child.respecting_modes()
    if not words then pending "this user can write everywhere" return end
    local output = child.run([[
      local deepagent = require "deepagent"
      package.path = os.getenv "DA_ROOT" .. "/spec/?.lua;" .. package.path
      local tooled = require "support.tooled"
      local model = tooled.model { { tooled.call "f" }, "done" }
      local warned = 0
      local a = deepagent.new { provider = model, session_id = "s",
        memory_backend = deepagent.file_backend { path = arg[1] } }
        :with_tool(tooled.tool("f", function() return "r" end))
        :with_logger(function(level, message, fields)
          if level == "warn" and fields.code == "permission_denied" then
            warned = warned + 1
          end
        end)
      print(a:ask "go", warned > 0, #a:get_history(), a:flush() == nil,
        (a:save_status()))
    ]], { args = { directory .. "/locked" }, before = (function()
      disk.shell("mkdir -m 555 %s/locked", directory)
      return words
    end)() })
    assert.equal("done\ttrue\t4\ttrue\tfailed\n", output)
  end)

  it("is waited for no longer than the turn may take", function()
    local slow = require "test.slow"
    package.preload["deepagent.backend.slow"] = function() return slow.open end
    local a = agent({ { call "f" }, "done" }, "slow")
    a:with_timeout { total = 0.3 }:with_save_timeout(200)
      :with_tool(returns "r")
    a:get_history()
    slow.delay("save", 100000)
    local done = patience.watch()
    local text, err = a:ask "go"
    slow.delay("save", 0)
    assert.is_nil(text)
    assert.equal("timeout", err.code)
    done(0.3)
  end)

  it("keeps what there was when a later call breaks it off", function()
    for _, with_session in ipairs { true, false } do
      local steps = { { call("f", "{}", "x"), call("f", "{}", "y"),
        call("f", "{}", "z") }, "done" }
      local a = with_session and agent(steps)
        or deepagent.new { provider = tooled.model(steps), memory = true }
      a:with_tool(tool("f", function(_, c)
        if c.id == "y" then
          a:on_tool_call(function() error "nobody" end)
        end
        return c.id
      end))
      assert.equal("callback_error", select(2, a:ask "go").code)
      assert.equal("user assistant(3) tool tool",
        tooled.shape(a:unfinished_turn()))
      a:on_tool_call(nil)
      assert.equal("done", a:resume())
      assert.equal("z", a:get_history()[5].content)
    end
  end)

  it("costs no more than its results where nobody saves it", function()
    local calls = {}
    for i = 1, 128 do calls[i] = call "f" end
    local a = deepagent.new { provider = tooled.model { calls, "done" } }
    local result = ("x"):rep(100000)
    a:with_tool(tool("f", function() return result end))
    local began = os.clock()
    assert.equal("done", a:ask "go")
    assert.truthy(os.clock() - began < 8) -- not a journal for each call
  end)

  it("is not saved again and again where the store says timeout", function()
    local saves = 0
    local a = agent({ { call "f" }, "done" }, {
      save = function()
        saves = saves + 1
        return nil, { code = "timeout", message = "the server is slow" }
      end,
      load = function() end, delete = function() end, list = function() end,
    })
    a:with_save_timeout(0.2):with_tool(returns "r")
    assert.equal("done", a:ask "go")
    assert.truthy(saves < 20, saves .. " saves")
  end)

  it("may be closed, collected and cleared in the middle", function()
    local a = agent { { call "f" }, down }
    a:with_tool(returns "r")
    assert.is_nil((a:ask "go"))
    assert.is_true(a:close())
    assert.equal("closed", select(2, a:resume()).code)
    assert.equal("closed", select(2, a:unfinished_turn()).code)
    assert.equal("closed", select(2, a:discard_turn()).code)
    local b = agent { down }
    b:with_tool(returns "r")
    assert.is_nil((b:resume()))
    b = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    local c = agent { "done" }
    c:with_tool(returns "r")
    assert.equal("done", c:resume())
    assert.equal(4, #c:get_history())
  end)
end)

describe("of two agents with unfinished turns", function()
  --- Begins a turn that fails, of an agent that stays.
  local function begin(question, backend)
    local a, model = agent({ { call "f" }, down }, backend)
    a:with_tool(returns(question))
    return a, model
  end

  local backends = {
    file = function()
      local first = true
      return function()
        first = not first
        return file_backend()
      end
    end,
    memory = function()
      local b = deepagent.memory_backend()
      return function() return b end
    end,
    ["Lua table"] = function()
      local b = lua_store()
      return function() return b end
    end,
  }

  it("only the last sixteen are kept, which is told", function()
    local backend, warned, agents = backends.memory()(), {}, {}
    for i = 1, 17 do
      local a = begin("r", backend)
      a:with_logger(function(level, text)
        if level == "warn" then warned[#warned + 1] = text end
      end)
      agents[i] = a -- it stays
      assert.is_nil((a:ask("q" .. i)))
      assert.is_true(a:flush())
    end
    assert.truthy(table.concat(warned, "\n"):find(
      "more than 16 turns that are not finished", 1, true))
    assert.equal(17, #agents)
    local last = agent({}, backend)
    assert.equal("q17", last:unfinished_turn()[1].content)
  end)

  for name, make in pairs(backends) do
    it("each is kept by a " .. name .. " backend", function()
      local backend = make()
      local a, model = begin("a's", backend())
      local b = begin("b's", backend())
      assert.equal(0, #a:get_history())
      assert.equal(0, #b:get_history())
      assert.is_nil((a:ask "a"))
      assert.is_nil((b:ask "b"))
      assert.is_true(a:flush() and b:flush())
      local c, last = agent({ "for b", "for a" }, backend())
      c:with_tool(returns "c's")
      assert.equal("b", c:unfinished_turn()[1].content)
      assert.equal("for b", c:resume())
      assert.equal("a", c:unfinished_turn()[1].content)
      -- a's own, once more in a
      model.steps = { [3] = "a itself" }
      assert.equal("a itself", a:resume())
      assert.is_true(a:flush() and c:flush())
      assert.is_true(c:load_session())
      assert.is_nil(c:unfinished_turn())
      assert.equal("user assistant(1) tool assistant user assistant(1) tool "
        .. "assistant", tooled.shape(c:get_history()))
      once(c:get_history())
      assert.equal(1, #last.requests)
    end)

    it("a " .. name .. " backend keeps the text to the byte", function()
      local backend = make()
      local text = '{"role":"assistant","content":"\\u0000","x":9007199254740'
        .. '993,"y":[],"z":{},"tool_calls":[{"id":"i","type":"function",'
        .. '"function":{"name":"f","arguments":"{}"}}]}'
      local a = agent({ function() return { json = text,
        role = "assistant" } end, down }, backend())
      a:with_tool(returns "\0\u{20AC}")
      assert.is_nil((a:ask "go"))
      assert.is_true(a:flush())
      a:close()
      local b, model = agent({ "done" }, backend())
      assert.equal("done", b:resume())
      assert.is_true(b:flush())
      b:close()
      local c = agent({ "x" }, backend())
      local kept = c:get_history()
      assert.equal("\0", kept[2].content)
      assert.equal(9007199254740993, kept[2].x)
      assert.equal("[]", json.encode(kept[2].y))
      assert.equal(9007199254740993, model.requests[1].messages[2].x)
      assert.equal("\0\u{20AC}", kept[3].content)
      c:close()
    end)
  end

  it("a later state is not lost to one that others have loaded", function()
    local a, model = begin "a's"
    assert.is_nil((a:ask "a"))
    assert.is_true(a:flush())
    local b = agent { "b answers" }
    assert.equal(3, #b:unfinished_turn()) -- as it is now
    model.steps = { [3] = { call "f" }, [4] = down }
    assert.is_nil((a:resume()))
    assert.is_true(a:flush())
    assert.same({ "user assistant(1) tool assistant(1) tool" }, unfinished())
    assert.equal("b answers", b:ask "b") -- saves what it knows
    assert.is_true(b:flush())
    assert.same({ "user assistant(1) tool assistant(1) tool" }, unfinished())
  end)

  it("one that was finished does not come back by the other", function()
    local a, model = begin "a's"
    assert.is_nil((a:ask "a"))
    assert.is_true(a:flush())
    local b = agent { "b answers" }
    assert.equal(3, #b:unfinished_turn())
    model.steps = { [3] = "done" }
    assert.equal("done", a:resume())
    assert.is_true(a:flush())
    assert.equal("b answers", b:ask "b")
    assert.is_true(b:flush())
    assert.same({}, unfinished())
    assert.equal(6, #stored().messages)
  end)

  it("one that another agent has finished is not gone on with", function()
    local a, model = begin "a's"
    assert.is_nil((a:ask "a"))
    assert.is_true(a:flush())
    local b, other = agent { "not asked" }
    assert.equal(3, #b:unfinished_turn())
    model.steps = { [3] = "done" }
    assert.equal("done", a:resume())
    assert.is_true(a:flush())
    assert.equal("not_found", select(2, b:resume()).code)
    assert.equal(0, #other.requests)
    assert.equal(4, #b:get_history())
  end)
end)
