-- handler.lua - busted's output in the form that spec/run counts: one line
-- "ok - name", "not ok - name" or "skip - name # why" for each test, and the
-- reasons of failures beneath.

local pretty = require "pl.pretty"

local function indented(text)
  return "    " .. tostring(text):gsub("\n+$", ""):gsub("\n", "\n    ") .. "\n"
end

-- A test may have left the output within a line, so each of ours begins one.
local function line(kind, name, why)
  name = name:gsub("%c+", " ")
  io.write("\n", kind, " - ", name, why and " # " .. why or "")
  io.flush()
end

local function failed(test)
  local message = test.message
  if type(message) ~= "string" and message ~= nil then
    local meta = getmetatable(message)
    message = meta and meta.__tostring and tostring(message)
      or pretty.write(message)
  end
  line("not ok", test.name)
  local trace = test.trace or {}
  io.write("\n", indented(message or "(no message)"))
  if test.isError and trace.traceback then
    io.write(indented(trace.traceback:gsub("^%s+", "")))
  elseif trace.short_src then
    io.write(indented(("%s:%s"):format(trace.short_src,
      trace.currentline or "?")))
  end
  io.flush()
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function last(list)
    return list[#list]
  end

  function handler.testEnd(_, _, status)
    if status == "success" then
      line("ok", last(handler.successes).name)
    elseif status == "pending" then
      local test = last(handler.pendings)
      line("skip", test.name, tostring(test.message or "pending"))
    elseif status == "failure" then
      failed(last(handler.failures))
    else
      failed(last(handler.errors))
    end
    return nil, true
  end

  -- Outside any test: a file that does not load, a setup that fails.
  function handler.outside(element)
    if element.descriptor ~= "it" then
      failed(last(handler.errors))
    end
    return nil, true
  end

  function handler.suiteEnd()
    io.write("\n")
    io.flush()
    return nil, true
  end

  busted.subscribe({ "test", "end" }, handler.testEnd)
  busted.subscribe({ "error" }, handler.outside)
  busted.subscribe({ "failure" }, handler.outside)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)

  return handler
end
