-- One session, several agents: what each has done to it stays done.

local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local told = models.told

describe("a session that two agents use", function()
  local backend, first, second

  local function agent()
    return deepagent.new { provider = models.echo() }
      :with_memory_backend(backend):with_session_id("shared")
  end

  local function stored()
    return backend:load("shared")
  end

  before_each(function()
    backend = deepagent.memory_backend()
    first = agent()
    assert(first:ask("one"))
    assert(first:flush())
    second = agent()
    assert.equal(2, #second:get_history())
  end)

  it("keeps a message that one of them has edited", function()
    assert(second:ask("two"))
    assert(second:flush())
    local history = first:get_history()
    history[1].content = "REDACTED"
    assert(first:set_history(history))
    assert(first:flush())
    assert.equal("user:REDACTED|assistant:re: one|user:two|assistant:re: two",
      told(stored()))
  end)

  it("keeps what neither of them has taken out", function()
    assert(second:ask("two"))
    assert(second:flush())
    assert(first:clear())
    assert(first:ask("three"))
    assert(first:flush())
    assert.equal("user:two|assistant:re: two|user:three|assistant:re: three",
      told(stored()))
  end)

  it("counts the tokens of both", function()
    assert(second:ask("two"))
    assert(second:flush())
    assert(first:ask("three"))
    assert(first:flush())
    local _, info = stored()
    assert.equal(15, info.usage.total_tokens) -- five a turn
    assert.equal(15, agent():usage().total.total_tokens)
  end)

  it("keeps what others have put into its metadata", function()
    local messages, info = stored()
    info.title = "Holidays"
    assert(backend:save("shared", messages, info))
    assert(first:ask("two"))
    assert(first:flush())
    assert(second:ask("three"))
    assert(second:flush())
    local _, kept = stored()
    assert.equal("Holidays", kept.title)
    assert.equal("user:one|assistant:re: one|user:two|assistant:re: two"
      .. "|user:three|assistant:re: three", told(stored()))
  end)

  it("is begun anew whole by one whom it was deleted from", function()
    assert(backend:delete("shared"))
    assert(first:ask("two"))
    local ok, err = first:flush()
    assert.is_nil(ok)
    assert.equal("conflict", err.code)
    assert.is_true(first:load_session())
    assert(first:flush())
    assert.equal("user:one|assistant:re: one|user:two|assistant:re: two",
      told(stored()))
  end)

  it("is not given what an agent starts from when it could not be read",
    function()
      local path = disk.temp()
      backend = deepagent.file_backend { path = path }
      local earlier = agent()
      assert(earlier:ask("one"))
      assert(earlier:close())
      local file = path .. "/shared.json"
      os.rename(file, file .. ".away")
      assert(os.execute("mkdir '" .. file .. "'")) -- no file: unreadable
      local degraded = agent():with_messages {
        { role = "user", content = "START" } }
      assert.equal("re: two", degraded:ask("two"))
      assert.is_nil((degraded:flush()))
      assert(os.remove(file))
      os.rename(file .. ".away", file)
      assert(degraded:flush())
      assert.equal("user:one|assistant:re: one|user:two|assistant:re: two",
        told(stored()))
      disk.remove(path)
    end)
end)

describe("a clone", function()
  it("takes no notice of arguments that it does not have", function()
    local agent = deepagent.offline():with_memory()
    for _, extra in ipairs { 1, "x", {}, print } do
      local clone = agent:clone(extra)
      assert.is_string(clone:ask("hello"))
    end
  end)
end)
