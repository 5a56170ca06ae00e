-- child.lua - Lua scripts as processes of their own.
--
--   local output, status = child.run("print(arg[1])", { args = { "x" } })
--   local running = child.start(script, options)
--   running:lines()()               -- the next line that it prints
--   local output, status = running:wait()
--
-- options: args; env, a table of variables (false: not set); before, words
-- in front of the interpreter; stderr = false leaves errors out. A script
-- that ends by an error or a signal gives a status other than 0.

local disk = require "support.disk"

local child = {}
child.__index = child

local function command(file, options)
  local words = { "env" }
  for name, value in pairs(options.env or {}) do
    if not value then words[#words + 1] = "-u " .. name end
  end
  for name, value in pairs(options.env or {}) do
    if value then words[#words + 1] = name .. "=" .. disk.quoted(value) end
  end
  words[#words + 1] = options.before
  words[#words + 1] = "lua5.4 " .. disk.quoted(file)
  for _, argument in ipairs(options.args or {}) do
    words[#words + 1] = disk.quoted(tostring(argument))
  end
  words[#words + 1] = options.stderr == false and "2>/dev/null" or "2>&1"
  return table.concat(words, " ")
end

function child.start(script, options)
  options = options or {}
  local file = disk.shell("mktemp"):gsub("\n$", "")
  disk.write(file, script)
  local line = command(file, options)
  -- `exec` would lose the status of a signal.
  return setmetatable({ file = file, pipe = io.popen(line .. "; exit $?") },
    child)
end

function child:lines()
  return self.pipe:lines()
end

function child:wait()
  local output = self.pipe:read("a")
  local _, _, status = self.pipe:close()
  os.remove(self.file)
  return output, status
end

function child.run(script, options)
  return child.start(script, options):wait()
end

-- Words in front of a command that is to respect the modes of files: root
-- ignores them but for this. nil where that cannot be had.
function child.respecting_modes()
  local directory = disk.temp()
  local file = directory .. "/secret"
  disk.write(file, "x")
  disk.shell("chmod 000 %s", file)
  local found
  for _, words in ipairs { "", "setpriv --bounding-set="
    .. "-dac_override,-dac_read_search --inh-caps="
    .. "-dac_override,-dac_read_search" } do
    if not found and os.execute(words .. " true 2>/dev/null")
      and not os.execute(words .. " cat " .. file .. " >/dev/null 2>&1") then
      found = words
    end
  end
  disk.remove(directory)
  return found
end

return child
