-- Backends that are found by name.

local deepagent = require "deepagent"
local new_store = require "support.lua_store"

describe("a backend by name", function()
  it("is file or memory", function()
    assert.truthy(tostring(deepagent.backend("memory")):find("memory"))
    assert.truthy(tostring(deepagent.backend("file", { path = "/x/y" }))
      :find("/x/y", 1, true))
    local a = deepagent.offline():with_session_id("s")
      :with_memory_backend("memory")
    assert(a:ask("x"))
    assert(a:flush())
    assert.same({ "s" }, a:list_sessions())
  end)

  it("that is not installed says which rock is missing", function()
    for _, call in ipairs { function() deepagent.backend "redis" end,
      function() deepagent.offline():with_memory_backend "redis" end } do
      local ok, why = pcall(call)
      assert.is_false(ok)
      assert.truthy(why:find("luarocks install deepagent-redis", 1, true))
    end
  end)

  it("is a module's function of the options", function()
    local given
    local store = new_store()
    package.loaded["deepagent.backend.mine"] = function(options)
      given = options
      return store
    end
    assert.equal(store, deepagent.backend("mine", { a = 1 }))
    assert.same({ a = 1 }, given)
    local a = deepagent.offline():with_session_id("s")
      :with_memory_backend("mine")
    assert(a:ask("x"))
    assert.truthy(store.data.s)
    package.loaded["deepagent.backend.mine"] = nil
  end)

  it("whose module fails tells why", function()
    package.preload["deepagent.backend.broken"] = function()
      error("no libbroken.so", 0)
    end
    local ok, why = pcall(deepagent.backend, "broken")
    package.preload["deepagent.backend.broken"] = nil
    assert.is_false(ok)
    assert.truthy(why:find("no libbroken.so", 1, true))
  end)

  it("is a name and nothing else", function()
    for _, name in ipairs { "", "../x", "a.b", "a/b", 5, {}, true } do
      assert.has_error(function() deepagent.backend(name) end)
    end
    for _, wrong in ipairs { 5, true, print, io.stdout } do
      assert.has_error(function()
        deepagent.offline():with_memory_backend(wrong)
      end)
    end
    assert.has_error(function() deepagent.backend() end)
  end)
end)
