-- Turns whose process was killed, and journals that somebody has damaged.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local json = require "dkjson"
local tooled = require "support.tooled"

local tool = tooled.tool

local directory

before_each(function() directory = disk.temp() end)
after_each(function()
  collectgarbage()
  disk.remove(directory)
end)

local function agent(steps)
  local model = tooled.model(steps)
  return deepagent.new { provider = model, session_id = "s",
    memory_backend = deepagent.file_backend { path = directory,
      durable = false } }, model
end

--- A program that kills itself where `at` says: "before" anything is saved,
--- "in" the first tool, "second" after the first call has a result, "request"
--- when the round is over, "after" the turn is.
local program = [[
  package.path = os.getenv "DA_ROOT" .. "/spec/?.lua;" .. package.path
  local deepagent = require "deepagent"
  local tooled = require "support.tooled"
  local directory, at, marks = arg[1], arg[2], arg[3]
  local function die(where)
    if where == at then os.execute "kill -9 $PPID" os.exit(9) end
  end
  local function mark(text)
    local f = assert(io.open(marks, "a"))
    f:write(text, "\n")
    f:close()
  end
  local a = deepagent.new {
    provider = tooled.model {
      function()
        die "before"
        return tooled.asking { tooled.call("pay", '{"n":1}', "c1"),
          tooled.call("look", '{"n":2}', "c2") }
      end,
      function() die "request" return "done" end },
    session_id = "s", memory_backend = deepagent.file_backend {
      path = directory } }
  a:with_tools {
    tooled.tool("pay", function(arguments)
      mark("pay " .. arguments.n)
      die "in"
      return "paid"
    end),
    tooled.tool("look", function() die "second" return "seen" end,
      { idempotent = true }) }
  assert(a:ask "Pay.")
  assert(a:flush())
  die "after"
]]

describe("after SIGKILL", function()
  --- Lets a process die, and gives the agent of another one, its model, and
  --- what its tools did.
  local function killed(at, steps)
    local marks = directory .. "/marks"
    local _, status = child.run(program, { args = { directory, at, marks },
      stderr = false })
    assert.equal(at ~= "nowhere", status ~= 0)
    local a, model = agent(steps)
    local ran = {}
    a:with_tools {
      tool("pay", function(arguments) ran[#ran + 1] = arguments.n end),
      tool("look", function(arguments)
        ran[#ran + 1] = arguments.n
        return "seen again"
      end, { idempotent = true }) }
    return a, model, ran, disk.read(marks)
  end

  --- Loads and looks, which sends and runs nothing.
  local function only_loads(a, model, ran, shape)
    assert.is_true(a:load_session())
    assert.equal(0, #a:get_history())
    assert.equal(shape, a:unfinished_turn()
      and tooled.shape(a:unfinished_turn()))
    assert.is_true(a:flush())
    assert.equal(0, #model.requests)
    assert.equal(0, #ran)
  end

  --- After resume(): the conversation has all of it, once.
  local function complete(a)
    assert.equal("user assistant(2) tool tool assistant",
      tooled.shape(a:get_history()))
    assert.is_nil(a:unfinished_turn())
    assert.equal("not_found", select(2, a:resume()).code)
    assert.is_true(a:flush())
    local session = json.decode(disk.read(directory .. "/s.json"))
    assert.equal(5, #session.messages)
    assert.is_nil(session.metadata.unfinished)
  end

  it("before anything was saved there is nothing", function()
    local a, model, ran, marks = killed("before", { "fresh" })
    assert.is_nil(marks)
    only_loads(a, model, ran, nil)
    assert.equal("not_found", select(2, a:resume()).code)
    assert.equal("fresh", a:ask "again")
  end)

  it("in a tool, the model is told that the call was interrupted", function()
    local a, model, ran, marks = killed("in", { "resumed" })
    assert.equal("pay 1\n", marks)
    only_loads(a, model, ran, "user assistant(2)")
    assert.equal("resumed", a:resume())
    assert.same({ 2 }, ran) -- what may have been paid is not paid again
    local results = tooled.results(model.requests[1])
    assert.equal("c1", results[1].id)
    assert.truthy(json.decode(results[1].content).error:find "interrupted")
    assert.same({ id = "c2", content = "seen again" }, results[2])
    complete(a)
  end)

  it("in an idempotent tool, that one runs again", function()
    local a, model, ran = killed("second", { "resumed" })
    assert.equal(3, #a:unfinished_turn())
    assert.equal("resumed", a:resume())
    assert.same({ 2 }, ran)
    local results = tooled.results(model.requests[1])
    assert.equal("paid", results[1].content)
    complete(a)
  end)

  it("when a round was saved, none of it runs again", function()
    local a, model, ran = killed("request", { "resumed" })
    only_loads(a, model, ran, "user assistant(2) tool tool")
    assert.equal("resumed", a:resume())
    assert.equal(0, #ran)
    assert.equal(1, #model.requests)
    assert.equal("paid", tooled.results(model.requests[1])[1].content)
    complete(a)
  end)

  it("when the turn was saved, there is nothing to go on with", function()
    local a, model, ran = killed("after", { "next" })
    assert.is_nil(a:unfinished_turn())
    assert.equal(5, #a:get_history())
    assert.equal("not_found", select(2, a:resume()).code)
    assert.equal(0, #model.requests + #ran)
  end)

  it("a tool that is not there any more is told as such", function()
    killed("in", { "x" })
    local a, model = agent { "resumed" }
    assert.equal("resumed", a:resume())
    local results = tooled.results(model.requests[1])
    assert.truthy(results[1].content:find "interrupted") -- it may have run
    assert.truthy(results[2].content:find "there is no tool")
    complete(a)
  end)

  it("the turn may be dropped", function()
    local a, model, ran = killed("in", { "next" })
    assert.is_true(a:discard_turn())
    assert.is_true(a:flush())
    assert.is_nil(disk.read(directory .. "/s.json"):find "unfinished")
    assert.equal("next", a:ask "something else")
    assert.equal(2, #a:get_history())
    assert.equal(0, #ran)
    assert.equal(1, #model.requests)
  end)

  it("again and again, nothing is lost or twice", function()
    killed("in", { "x" })
    -- the resumed one dies, too, in the idempotent tool
    local script = program:gsub('assert%(a:ask "Pay."%)', "assert(a:resume())")
    for _ = 1, 2 do
      local _, status = child.run(script, { args = { directory, "second",
        directory .. "/marks" }, stderr = false })
      assert.truthy(status ~= 0)
    end
    local a = killed("nowhere", { "resumed" })
    -- (that was a turn of its own, which has succeeded)
    assert.equal(5, #a:get_history())
    assert.truthy(a:unfinished_turn())
    assert.equal("resumed", a:resume())
    assert.equal(10, #a:get_history())
    assert.is_nil(a:unfinished_turn())
    assert.equal("pay 1\npay 1\n", disk.read(directory .. "/marks"))
  end)
end)

describe("a journal that somebody has damaged", function()
  --- The session's file with this text as its journal.
  local function write(journal)
    disk.write(directory .. "/s.json", ([[{"version":1,"id":"s","metadata":{
      "title":"kept","unfinished":%s},"messages":[
      {"id":"1","created_at":1700000000.000,"role":"user","content":"a"},
      {"id":"2","created_at":1700000000.000,"role":"assistant",
      "content":"b"}]}]]):format(journal))
  end

  --- The session loads, talks and saves, whatever is in it.
  local function works(a)
    assert.equal("fine", a:ask "more")
    assert.is_true(a:flush())
    assert.equal("kept", json.decode(disk.read(directory .. "/s.json"))
      .metadata.title)
  end

  it("that is no list is none", function()
    for _, text in ipairs { "null", "{}", "5", '"x"', "true", "[]",
      '{"id":"1","messages":[]}' } do
      write(text)
      local a, model = agent { "fine" }
      assert.equal(2, #a:get_history())
      assert.is_nil(a:unfinished_turn())
      assert.equal("not_found", select(2, a:resume()).code)
      assert.is_true(a:discard_turn())
      assert.equal(0, #model.requests)
      works(a)
      a:close()
    end
  end)

  it("with something that is no turn is told, and can be dropped", function()
    local good = [["{\"role\":\"user\",\"content\":\"x\"}"]]
    for _, text in ipairs { "[5]", "[null]", "[[]]", "[{}]", '["x"]',
      '[{"id":"t"}]', '[{"id":"t","messages":[]}]',
      '[{"id":"t","messages":{}}]', '[{"id":"t","messages":["{"]}]',
      '[{"id":"t","messages":[5]}]', '[{"id":"t","messages":[{}]}]',
      '[{"id":"t","messages":["[]"]}]', '[{"id":"t","messages":["\\ud800"]}]',
      '[{"id":"t","messages":[' .. good .. ',"x"]}]',
      '[{"id":"t","messages":[' .. good .. ',{"role":"assistant",'
        .. '"tool_calls":["f"]}]}]',
      '[{"messages":[' .. good .. ',{"role":"assistant",'
        .. '"tool_calls":[5]}]}]' } do
      write(text)
      local a, model = agent { "fine" }
      assert.equal(2, #a:get_history())
      local answer, err = a:resume()
      assert.is_nil(answer, text)
      assert.equal("session_corrupt", err.code, text)
      assert.equal(0, #model.requests)
      works(a)
      assert.equal("session_corrupt", select(2, a:resume()).code)
      assert.is_true(a:discard_turn())
      assert.equal("not_found", select(2, a:resume()).code)
      assert.is_true(a:flush())
      a:close()
      local b = agent { "fine" }
      assert.is_nil(b:unfinished_turn())
      b:close()
    end
  end)

  it("with a turn that has no id, or another, is gone on with once", function()
    local lines = [["messages":["{\"role\":\"user\",\"content\":\"x\"}",]]
      .. [[{"role":"assistant","content":null,"tool_calls":[{"id":"c",]]
      .. [["function":{"name":"f","arguments":"{}"}}]}] ]]
    for _, id in ipairs { "", '"id":null,', '"id":5,', '"id":"",',
      '"id":"other",', '"id":"a\\u0062",', '"id":"t","id":"u",' } do
      write("[ {" .. id .. lines .. "} ]")
      local a = agent { function()
        return nil, { code = "server", message = "down" }
      end, "done", "fine" }
      assert.is_nil((a:resume()))
      assert.is_true(a:flush())
      assert.equal("done", a:resume())
      assert.is_nil(a:unfinished_turn(), id)
      assert.equal("user assistant user assistant(1) tool assistant",
        tooled.shape(a:get_history()))
      works(a)
      a:close()
      local b = agent { "fine" }
      assert.is_nil(b:unfinished_turn(), id)
      assert.equal(8, #b:get_history())
      b:close()
    end
  end)

  it("with a turn twice has it once", function()
    local turn = [[{"id":"t","messages":["{\"id\":\"t\",\"role\":\"user\",]]
      .. [[\"content\":\"x\"}"]}]]
    write("[" .. turn .. "," .. turn .. "]")
    local a = agent { "done" }
    assert.equal("done", a:resume())
    assert.is_nil(a:unfinished_turn())
    assert.is_true(a:flush())
    a:close()
    local b = agent { "fine" }
    assert.is_nil(b:unfinished_turn())
    assert.equal(4, #b:get_history())
    b:close()
  end)

  it("with more results than calls, or none, is gone on with", function()
    local user = [[{"role":"user","content":"x"}]]
    local result = [[{"role":"tool","tool_call_id":"c","content":"r"}]]
    local said = [[{"role":"assistant","content":"half"}]]
    for _, list in ipairs { { user }, { user, said }, { result },
      { result, result }, { user, said, result, result } } do
      write('[{"id":"t","messages":[' .. table.concat(list, ",") .. "]}]")
      local a, model = agent { "done" }
      assert.equal("done", a:resume())
      assert.equal(2 + #list, #model.requests[1].messages)
      assert.equal(3 + #list, #a:get_history())
      assert.is_nil(a:unfinished_turn())
      a:close()
    end
  end)
end)
