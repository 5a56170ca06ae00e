-- disk.lua - directories and files of a test.
--
--   local directory = disk.temp()   -- below TMPDIR
--   disk.write(directory .. "/a", "bytes")
--   disk.tree(directory)            -- what lies there, to be compared
--   disk.remove(directory)

local lfs = require "lfs"

local disk = {}

local function quoted(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end
disk.quoted = quoted

-- Runs a shell's command; its output.
function disk.shell(command, ...)
  local pipe = io.popen(command:format(...) .. " 2>&1")
  local output = pipe:read("a")
  local ok = pipe:close()
  assert(ok, command .. ": " .. output)
  return output
end

function disk.temp()
  return (disk.shell("mktemp -d"):gsub("\n$", ""))
end

function disk.remove(path)
  assert(path:find("^/.+/"))
  disk.shell("chmod -R u+rwX %s; rm -rf %s", quoted(path), quoted(path))
end

function disk.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read("a")
  file:close()
  return bytes
end

function disk.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
end

function disk.exists(path)
  return lfs.symlinkattributes(path) ~= nil
end

-- "rw-------"
function disk.mode(path)
  return assert(lfs.symlinkattributes(path, "permissions"))
end

-- The names in a directory, sorted, without "." and "..".
function disk.names(path)
  local names = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function describe(path)
  local at = assert(lfs.symlinkattributes(path))
  if at.mode == "link" then
    return "-> " .. at.target
  elseif at.mode == "file" then
    return at.permissions .. " " .. disk.read(path)
  end
  return at.mode .. " " .. at.permissions
end

-- From each path below `path` to a text that tells its kind, mode and
-- contents; without what lies below `except`.
function disk.tree(path, except, into)
  into = into or {}
  for _, name in ipairs(disk.names(path)) do
    local here = path .. "/" .. name
    if here ~= except then
      into[here] = describe(here)
      if lfs.symlinkattributes(here, "mode") == "directory" then
        disk.tree(here, except, into)
      end
    end
  end
  return into
end

return disk
