-- A system that refuses something for a while: flushes of directories, of
-- files, threads. See preload_denied.c.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"

local DENIED = os.getenv "DA_BUILD" .. "/spec/torture/preload_denied.so"
local sanitized = os.getenv "DA_CONFIG" == "asan"
  or os.getenv "DA_CONFIG" == "tsan"

local BEGIN = [[
  local deepagent = require "deepagent"
  local models = require "support.models"
  local directory = arg[1] .. "/sessions"
  local logged = {}
  local backend = deepagent.file_backend { path = directory }
  local function agent(id)
    return deepagent.new { provider = models.echo() }:with_session_id(id)
      :with_memory_backend(backend):with_logger(function(level, message)
        logged[#logged + 1] = level .. " " .. message
      end)
  end
  local function store(a, question)
    assert(a:ask(question))
    assert(a:flush())
  end
  local function deny(what)
    local file <close> = assert(io.open(os.getenv "DA_DENIED", "w"))
    file:write(what)
  end
  local function allow() assert(os.remove(os.getenv "DA_DENIED")) end
  local function fails(code, ok, err)
    assert(not ok and err.code == code, tostring(err))
  end
  local function stored(id)
    local found = {}
    for _, message in ipairs(assert(backend:load(id))) do
      if message.role == "user" then found[#found + 1] = message.content end
    end
    return table.concat(found, ",")
  end
  local function is(want, got)
    if want ~= got then error(("%s, not %s"):format(got, want), 2) end
  end
]]

describe("where the system refuses", function()
  local root
  before_each(function() root = disk.temp() end)
  after_each(function() disk.remove(root) end)

  local function run(script, env)
    if sanitized then return pending "the sanitizer is what is preloaded" end
    env = env or {}
    env.LD_PRELOAD = DENIED
    env.DA_DENIED = root .. "/denied"
    local output, status = child.run(BEGIN .. script,
      { args = { root }, env = env })
    assert.equal("", output)
    assert.equal(0, status)
    return true
  end

  it("to flush a directory, a deletion is not the end of the agent",
    function()
      run [[
        local a = agent "s"
        store(a, "one")
        deny "directories"
        local ok, err = a:delete_session()
        allow()
        assert(ok or err.code == "io_error", tostring(err))
        -- Deleted or not, what it has said and says is stored.
        local before = {}
        for _, message in ipairs(a:get_history()) do
          if message.role == "user" then before[#before + 1] = "one" end
        end
        before[#before + 1] = "two"
        store(a, "two")
        is(table.concat(before, ","), stored "s")
        is("saved", (a:save_status()))
        store(a, "three")
        assert(a:save_session())
        is(table.concat(before, ",") .. ",three", stored "s")
        assert(a:delete_session())
        assert(not backend:load "s")]]
    end)

  it("to flush a directory, so is not what was put aside", function()
    run [[
      local a = agent "s"
      store(a, "one")
      local file <close> = assert(io.open(directory .. "/s.json", "w"))
      file:write "garbage"
      file:close()
      deny "directories"
      fails("io_error", a:save_session())
      allow()
      assert(a:ask "two")
      assert(a:flush())
      is("one,two", stored "s")
      is(1, #backend:quarantined "s")
      local _, _, counts = a:save_status()
      is(1, counts.quarantines)
      local told = table.concat(logged, "\n")
      local _, times = told:gsub("was corrupt; its bytes are kept", "")
      assert(times == 1, told)]]
  end)

  for what, code in pairs { directories = "io_error", files = "io_error" } do
    it("to flush " .. what .. ", a turn waits, and is stored once", function()
      run(([[
        local a, b = agent "s", agent "s"
        store(a, "one")
        assert(b:load_session())
        deny %q
        assert(a:ask "two")
        fails(%q, a:flush())
        assert(b:ask "three")
        fails(%q, b:flush())
        allow()
        assert(a:flush())
        assert(b:flush())
        local all = stored "s" -- who was first does not matter
        assert(all == "one,two,three" or all == "one,three,two", all)
        local _, info = backend:load "s"
        is(15, info.usage.total_tokens)]]):format(what, code, code))
    end)
  end

  for name, finish in pairs {
    ["the end of the script"] = "",
    ["os.exit"] = "os.exit(0)",
    ["os.exit, which closes the state"] = "os.exit(0, true)",
    ["the collection of the agents"] = "a = nil collectgarbage()",
  } do
    it("any thread, what was said is stored at " .. name, function()
      local ran = run([[
        local a, b = agent "s", agent "t"
        for i = 1, 5 do assert(a:ask("turn " .. i)) end
        assert(b:ask "turn")
        ]] .. finish, { DA_NO_THREADS = "1" })
      if not ran then return end
      local backend = deepagent.file_backend { path = root .. "/sessions" }
      assert.equal(10, #assert(backend:load "s"))
      assert.equal(2, #assert(backend:load "t"))
    end)
  end
end)
