-- failing.lua - asks that must fail, and what must hold of any failure.

local assert = require "luassert"

local failing = {}

failing.key = "sk-canary-9f3b1c" -- for agents: no error may show it

--- Everything that can be seen of an error.
function failing.shown(err)
  local parts = { tostring(err) }
  for name, value in pairs(err) do
    parts[#parts + 1] = name .. "=" .. tostring(value)
  end
  return table.concat(parts, "\n")
end

--- Asks the agent, or streams: it fails with `code`, says so in plain text
--- and leaves the history as it was. Returns the error.
function failing.fails(agent, code, streamed)
  agent:with_memory()
  local before = #agent:get_history()
  local text, err
  if streamed then
    text, err = agent:stream("hi", function() end)
  else
    text, err = agent:ask("hi")
  end
  assert.is_nil(text)
  local shown = failing.shown(err)
  assert.equal(code, err.code, shown)
  assert.equal(before, #agent:get_history())
  assert.is_nil(shown:find(failing.key, 1, true))
  assert.truthy(utf8.len(shown))
  assert.is_nil(tostring(err):find("%c"))
  assert.truthy(#err.message > 0)
  return err
end

return failing
