-- Every store keeps the same promises: spec/support/contract.lua.

local contract = require "support.contract"
local deepagent = require "deepagent"

local stores = {}

stores["a durable file store"] = function(directory)
  return deepagent.file_backend { path = directory .. "/sessions" }
end

stores["a file store that is not durable"] = function(directory)
  return deepagent.file_backend {
    path = directory .. "/sessions", durable = false,
  }
end

stores["a memory store"] = function()
  return deepagent.memory_backend()
end

-- As docs say how to write one: nothing but the texts is kept.
stores["a store in Lua"] = function()
  local store = { kept = {} }
  function store:save(id, messages, info)
    local texts = { info = info }
    for i, message in ipairs(messages) do texts[i] = message.json end
    self.kept[id] = texts
    return true
  end
  function store:load(id)
    local texts = self.kept[id]
    if not texts then return nil end
    return { table.unpack(texts) }, texts.info
  end
  function store:delete(id)
    local found = self.kept[id] ~= nil
    self.kept[id] = nil
    return found
  end
  function store:list()
    local ids = {}
    for id in pairs(self.kept) do ids[#ids + 1] = id end
    return ids
  end
  return store
end

for name, open in pairs(stores) do
  describe(name, function()
    for _, case in ipairs(contract.cases) do
      if not (case.own and name == "a store in Lua") then
        it(case.name, function()
          local skipped = contract.run(case, open)
          if skipped then pending(skipped) end
        end)
      end
    end
  end)
end
