-- lua_store.lua - a good store in Lua, which counts its calls; a test replaces
-- what it wants to be bad.

return function()
  local store = { data = {}, calls = {} }
  function store:save(id, messages, info)
    self.calls[#self.calls + 1] = { "save", id, messages, info }
    self.data[id] = { messages, info }
    return true
  end
  function store:load(id)
    self.calls[#self.calls + 1] = { "load", id }
    local kept = self.data[id]
    if kept then return kept[1], kept[2] end
  end
  function store:delete(id)
    self.calls[#self.calls + 1] = { "delete", id }
    local found = self.data[id] ~= nil
    self.data[id] = nil
    return found
  end
  function store:list()
    local ids = {}
    for id in pairs(self.data) do ids[#ids + 1] = id end
    return ids
  end
  return store
end
