-- A program that ends with turns that could not be saved says so, by Lua's
-- warnings: nobody else is left to be told.

local child = require "support.child"
local disk = require "support.disk"

-- A directory in the file's place cannot be replaced.
local BEGIN = [[
  local deepagent = require "deepagent"
  local directory = arg[1]
  warn("@on")
  local agent = deepagent.offline():with_session_id "s"
    :with_memory_backend(deepagent.file_backend { path = directory })
  assert(agent:ask "turn 1")
]]

local ENDS = {
  ["the end of the script"] = { "", 1 },
  ["an error"] = { "error 'oops'", 1 },
  ["os.exit(0)"] = { "os.exit(0)", 1 },
  ["os.exit(0, true)"] = { "os.exit(0, true)", 1 },
  ["os.exit(0) in a coroutine"] =
    { "coroutine.wrap(function() os.exit(0) end)()", 1 },
  ["the end, with the agent collected before"] =
    { "agent = nil collectgarbage() collectgarbage()", 1 },
  ["the end, after close() has told of it"] =
    { "assert(not agent:close())", 1 },
  ["the end, when it could be saved after all"] = { [[
    os.remove(directory .. "/s.json")
    assert(agent:load_session())]], 0 },
  ["the end, when it was given up"] = { [[
    os.remove(directory .. "/s.json")
    assert(agent:delete_session())]], 0 },
}

describe("turns that are lost are told of", function()
  local root
  before_each(function()
    root = disk.temp()
    disk.shell("mkdir -p %s/s.json", root)
  end)
  after_each(function() disk.remove(root) end)

  for name, case in pairs(ENDS) do
    local finish, told = table.unpack(case)
    it("at " .. name, function()
      local output = child.run(BEGIN .. finish, { args = { root } })
      local _, times = output:gsub("Lua warning: deepagent: session 's' ends "
        .. "with turns that are not saved: [^\n]*s%.json is a directory", "")
      assert.equal(told, times, output)
    end)
  end

  it("for a backend in Lua, when its agent goes", function()
    local output = child.run([[
      local deepagent = require "deepagent"
      warn("@on")
      local store = { load = function() end, list = function() return {} end,
        delete = function() end, save = function() return nil, "no" end }
      local agent = deepagent.offline():with_session_id "s"
        :with_memory_backend(store)
      assert(agent:ask "turn 1")]] .. "\n", {})
    assert.truthy(output:find("ends with turns that are not saved: "
      .. "[^\n]*no"), output)
  end)

  it("only to who wants to know", function()
    local output, status = child.run(BEGIN:gsub('warn%("@on"%)', ""),
      { args = { root } })
    assert.equal("", output)
    assert.equal(0, status)
  end)
end)
