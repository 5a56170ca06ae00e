-- mounts.lua - words in front of a command that give it file systems of its
-- own: nobody else sees them, and they are gone with it, however it ends.
--
--   local before = mounts.before('mount -t tmpfs x "$1"')  -- nil: cannot be
--   child.run(script, { before = before:format(disk.quoted(place)) })

local mounts = {
  missing = "no file systems of one's own here (root or user namespaces)",
}

local unshare

-- As root, or as root of a namespace of ours.
local function find()
  for _, words in ipairs { "unshare -m", "unshare -r -m" } do
    if os.execute(words .. " sh -c 'mount -t tmpfs x /mnt' 2>/dev/null") then
      return words
    end
  end
  return false
end

-- `mount`: a shell's text, in which $1 is the place, which the result wants
-- by format; `words` go in front of the command itself.
function mounts.before(mount, words)
  if unshare == nil then unshare = find() end
  if not unshare then return nil end
  local script = mount .. '\nshift; exec ' .. (words or "") .. ' "$@"'
  return (unshare .. " sh -ec '" .. script:gsub("'", "'\\''") .. "' sh ")
    :gsub("%%", "%%%%") .. "%s"
end

return mounts
