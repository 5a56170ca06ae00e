-- The file backend as its users see it: where files lie, what is in them,
-- who may read them. Damage is in file_damage_spec.lua, other processes in
-- file_process_spec.lua.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local json = require "dkjson"
local models = require "support.models"

local function agent_on(backend, id)
  return deepagent.new { provider = models.echo() }:with_session_id(id)
    :with_memory_backend(backend)
end

local function contents(messages)
  local list = {}
  for i, message in ipairs(messages) do list[i] = message.content end
  return list
end

local HI = { { role = "user", content = "hi" },
  { role = "assistant", content = "hello" } }

-- Without a word about where the sessions are to lie.
local ASK = [[
  local deepagent = require "deepagent"
  local agent = deepagent.offline():with_session_id "s"
  assert(agent:ask(arg[1]))
  assert(agent:flush())
  print(deepagent.file_backend():path())]]

describe("the file backend", function()
  local root, directory, backend

  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    backend = deepagent.file_backend { path = directory }
  end)
  after_each(function() disk.remove(root) end)

  describe("keeps its files", function()
    it("below the home directory unless told otherwise", function()
      local output, status = child.run(ASK, { args = { "hi" },
        env = { HOME = root, DEEPAGENT_HOME = false } })
      assert.equal(root .. "/.deepagent/sessions\n", output)
      assert.equal(0, status)
      assert.same({ ".deepagent" }, disk.names(root))
      assert.same({ ".lock", "s.json" },
        disk.names(root .. "/.deepagent/sessions"))
    end)

    it("below DEEPAGENT_HOME where that is set", function()
      local output = child.run(ASK, { args = { "hi" },
        env = { HOME = root .. "/home", DEEPAGENT_HOME = root .. "/own" } })
      assert.equal(root .. "/own/sessions\n", output)
      assert.same({ "own" }, disk.names(root))
      assert.truthy(disk.exists(root .. "/own/sessions/s.json"))
    end)

    it("below the home directory where DEEPAGENT_HOME is empty", function()
      local output = child.run(ASK, { args = { "hi" },
        env = { HOME = root, DEEPAGENT_HOME = "" } })
      assert.equal(root .. "/.deepagent/sessions\n", output)
    end)

    it("in a directory that is given, made with all above it", function()
      backend = deepagent.file_backend { path = root .. "/a/b/c///" }
      assert.equal(root .. "/a/b/c", backend:path())
      assert.same({}, disk.names(root))
      assert.is_true(backend:save("s", HI))
      assert.truthy(disk.exists(root .. "/a/b/c/s.json"))
    end)

    it("in the same place after the program has moved", function()
      local output, status = child.run([[
        local lfs = require "lfs"
        local deepagent = require "deepagent"
        assert(lfs.chdir(arg[1]))
        local backend = deepagent.file_backend { path = "mine" }
        assert(lfs.chdir("/"))
        assert(backend:save("s", { { role = "user", content = "x" } }))
        print(backend:path())]], { args = { root } })
      assert.equal(root .. "/mine\n", output)
      assert.equal(0, status)
      assert.truthy(disk.exists(root .. "/mine/s.json"))
    end)

    it("and touches nothing before the first save", function()
      local agent = agent_on(backend, "s"):with_auto_save(false)
      assert(agent:ask("hi"))
      assert.is_true(agent:load_session())
      assert.is_true(agent:delete_session())
      assert.same({}, agent:list_sessions())
      assert.same({}, disk.names(root))
    end)
  end)

  describe("as the Go peer tests its own:", function()
    it("save and load", function()
      assert.is_true(backend:save("s", HI))
      assert.same({ "hi", "hello" }, contents((backend:load("s"))))
      local other = deepagent.file_backend { path = directory,
        durable = false }
      assert.same((backend:load("s")), (other:load("s")))
    end)

    it("load of a missing session", function()
      assert.is_nil((backend:load("s")))
      assert.is_true(backend:save("other", HI))
      assert.is_nil((backend:load("s")))
    end)

    it("delete, and delete of a missing session", function()
      assert.is_true(backend:delete("s"))
      assert.is_false(disk.exists(directory))
      assert.is_true(backend:save("s", HI))
      assert.is_true(backend:delete("s"))
      assert.is_false(disk.exists(directory .. "/s.json"))
      assert.is_true(backend:delete("s"))
    end)

    it("list, and list of a missing directory", function()
      assert.same({}, backend:list())
      assert.is_false(disk.exists(directory))
      for _, id in ipairs { "a", "b", "C" } do backend:save(id, HI) end
      disk.write(directory .. "/notes.txt", "x")
      disk.write(directory .. "/Upper.json", "x") -- no id is kept so
      disk.write(directory .. "/.json", "x")
      disk.write(directory .. "/a.json.corrupt-1", "x")
      disk.shell("mkdir %s/d.json", directory)
      local ids = backend:list()
      table.sort(ids)
      assert.same({ "C", "a", "b" }, ids)
    end)

    it("empty id", function()
      for _, method in ipairs { "save", "load", "delete" } do
        local result, err = backend[method](backend, "", {})
        assert.is_nil(result)
        assert.equal("invalid_session_id", err.code)
      end
      assert.has_error(function() agent_on(backend, "") end)
      assert.same({}, disk.names(root))
    end)

    it("overwrite", function()
      for length = 50, 1, -7 do
        local messages = {}
        for i = 1, length do
          messages[i] = { role = "user", content = ("m"):rep(i) }
        end
        assert.is_true(backend:save("s", messages))
        assert.same(contents(messages), contents((backend:load("s"))))
      end
      assert.same({ ".lock", "s.json" }, disk.names(directory))
    end)

    for _, n in ipairs { 1000, 10000 } do
      it("a conversation of " .. n .. " messages", function()
        local messages = {}
        for i = 1, n do
          messages[i] = { role = i % 2 == 1 and "user" or "assistant",
            content = i .. ': "Grüße"\n' .. ("text "):rep(i % 2 * 60 + 10) }
        end
        assert.is_true(backend:save("s", messages))
        assert.same(contents(messages), contents((backend:load("s"))))
        local agent <close> = agent_on(backend, "s")
        assert(agent:ask("one more"))
        assert(agent:flush())
        assert.equal(n + 2, #(backend:load("s")))
      end)
    end

    it("corrupted JSON", function()
      backend:save("s", HI)
      disk.write(directory .. "/s.json", '{"messages": [')
      local result, err = backend:load("s")
      assert.is_nil(result)
      assert.equal("session_corrupt", err.code)
      assert.truthy(err.message:find("'s'", 1, true))
    end)
  end)

  describe("writes a file", function()
    it("that is pretty JSON, one message a line", function()
      local agent <close> = agent_on(backend, "s")
      assert(agent:ask('Say "hi"\nnow'))
      assert(agent:flush())
      local text = disk.read(directory .. "/s.json")
      local lines = {}
      for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
      assert.equal("{", lines[1])
      assert.equal('  "version": 1,', lines[2])
      assert.equal('  "id": "s",', lines[3])
      assert.truthy(lines[4]:find('^  "metadata": {.*},$'))
      assert.equal('  "messages": [', lines[5])
      for i, message in ipairs(agent:get_history()) do
        local line = assert(lines[5 + i]:match "^    ({.*}),?$")
        assert.equal(message.content, json.decode(line).content)
      end
      assert.equal("  ],", lines[8])
      assert.truthy(lines[9]:find('^  "checksum": "%d+:%x+"$'))
      assert.equal("}", lines[10])
      assert.equal(10, #lines)
      assert.equal("}\n", text:sub(-2))
      assert.equal(2, #json.decode(text).messages)
    end)

    it("that may be edited by hand", function()
      backend:save("s", HI)
      local file = directory .. "/s.json"
      local text = disk.read(file)
      disk.write(file, (text:gsub('"hello"', '"hello, dear!"')))
      assert.same({ "hi", "hello, dear!" }, contents((backend:load("s"))))
      disk.write(file, (text:gsub('    {[^\n]*"hi"[^\n]*\n', "")))
      assert.same({ "hello" }, contents((backend:load("s"))))
      disk.write(file, json.encode(json.decode(text), { indent = true }))
      assert.same({ "hi", "hello" }, contents((backend:load("s"))))
      disk.write(file, '{"messages":[{"content":"x","role":"user"}]}')
      assert.same({ "x" }, contents((backend:load("s"))))
      local agent <close> = agent_on(backend, "s")
      assert(agent:ask("and"))
      assert(agent:flush())
      assert.same({ "x", "and", "re: and" }, contents((backend:load("s"))))
    end)

    it("that keeps what others have put into its metadata", function()
      local text = '{"metadata":{"title":"T","n":9007199254740993,'
        .. '"usage":{"total_tokens":7}},"messages":[]}'
      disk.shell("mkdir %s", directory)
      disk.write(directory .. "/s.json", text)
      local agent <close> = agent_on(backend, "s")
      assert(agent:ask("x"))
      assert(agent:flush())
      local _, info = backend:load("s")
      assert.equal("T", info.title)
      assert.equal(9007199254740993, info.n)
      assert.equal(12, info.usage.total_tokens)
    end)
  end)

  it("loads what the Go peer has saved, and goes on with it", function()
    disk.shell("mkdir %s", directory)
    disk.write(directory .. "/s.json", [=[
[
  {"Role": "user", "Content": "What is 6*7?", "ToolCalls": null,
   "ToolCallID": ""},
  {"Role": "assistant", "Content": "", "ToolCalls": [
    {"ID": "call_1", "Type": "function",
     "Function": {"Name": "mul", "Arguments": "{\"a\":6}"}}],
   "ToolCallID": ""},
  {"Role": "tool", "Content": "42", "ToolCalls": null,
   "ToolCallID": "call_1"},
  {"Role": "assistant", "Content": "Grüße: 42\u0021"}
]]=] .. "\n")
    local agent <close> = agent_on(backend, "s")
    local history = agent:get_history()
    assert.same({ "What is 6*7?", "", "42", "Grüße: 42!" },
      contents(history))
    assert.equal("user", history[1].role)
    assert.is_nil(history[1].tool_calls)
    assert.is_nil(history[1].tool_call_id)
    assert.same({ id = "call_1", type = "function",
      ["function"] = { name = "mul", arguments = '{"a":6}' } },
      history[2].tool_calls[1])
    assert.equal("call_1", history[3].tool_call_id)
    assert(agent:ask("Thanks"))
    assert(agent:flush())
    assert.same(agent:get_history(), (backend:load("s")))
    assert.equal("{\n", disk.read(directory .. "/s.json"):sub(1, 2))
  end)

  describe("lets nobody else read", function()
    for _, mask in ipairs { "000", "022", "077", "0777" } do
      it("under the umask " .. mask, function()
        local output, status = child.run([[
          local deepagent = require "deepagent"
          local agent = deepagent.offline():with_session_id "s"
            :with_memory_backend(deepagent.file_backend { path = arg[1] })
          assert(agent:ask("hi"))
          assert(agent:save_session())
          assert(agent:ask("hi again"))
          assert(agent:flush())
          agent = deepagent.offline():with_session_id "s"
            :with_memory_backend(deepagent.file_backend { path = arg[1] })
          print(#agent:get_history())]], {
          args = { root .. "/a/b" },
          before = "sh -c 'umask " .. mask .. "; exec \"$@\"' -- "
            .. (child.respecting_modes() or ""),
        })
        assert.equal("4\n", output)
        assert.equal(0, status)
        assert.equal("rwx------", disk.mode(root .. "/a"))
        assert.equal("rwx------", disk.mode(root .. "/a/b"))
        assert.equal("rw-------", disk.mode(root .. "/a/b/s.json"))
        assert.equal("rw-------", disk.mode(root .. "/a/b/.lock"))
      end)
    end

    it("a file that was open to all, once it is saved again", function()
      backend:save("s", HI)
      disk.shell("chmod 666 %s/s.json", directory)
      backend:save("s", HI)
      assert.equal("rw-------", disk.mode(directory .. "/s.json"))
    end)
  end)
end)
