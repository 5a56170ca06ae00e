--- Plays the scenes of memory_scenes.lua: in each, one allocation of Lua's
--- after the other fails. Returns play(name, step): every step-th one; how
--- many trials that were.

local lfs = require "lfs"
local alloc = require "test.alloc"
local scenes = require "support.memory_scenes"

local dir = os.getenv "TMPDIR" .. "/lua-memory"

local function count(path)
  local n = 0
  for _ in lfs.dir(path) do n = n + 1 end
  return n
end

local THREADS = count "/proc/self/task"

--- Threads that are about to end may take a moment.
local function settles(path, want)
  for _ = 1, 6000 do
    if count(path) == want then return true end
    os.execute "sleep 0.01"
  end
end

local function is_memory(why)
  if why:find "NOT OUT OF MEMORY" then return false end
  return why:find "not enough memory" or why:find "out of memory"
    or why:find "out_of_memory" or why == "error in error handling"
end

--- nil if all is as it must be.
local function wrong(r)
  if r.left ~= 0 or r.blocks ~= 0 then
    return ("%d bytes in %d blocks left"):format(r.left, r.blocks)
  elseif r.again then
    return "with memory again: " .. r.again
  elseif r.why and not (r.failed > 0 and is_memory(r.why)) then
    return r.why
  end
end

local function try(prelude, script, mode, at)
  os.remove(dir .. "/s.json")
  local r = alloc.run(prelude, script, dir, mode, at)
  local why = wrong(r)
  if why then error(("%s %d: %s"):format(mode, at, why), 0) end
  return r
end

local function play(name, step)
  local prelude, script = scenes.prelude, scenes[name]
  if name == "loading" then
    prelude, script = nil, scenes.prelude .. scenes["ask"]
  end
  try(prelude, script, "once", 0) -- libraries stay when they have been loaded
  collectgarbage()
  local fds = count "/proc/self/fd"
  local trials = 0
  for _, mode in ipairs { "collect", "once", "ever" } do
    local at = 1
    while try(prelude, script, mode, at).failed > 0 do
      at, trials = at + step, trials + 1
    end
  end
  assert(settles("/proc/self/fd", fds), "descriptors left")
  assert(settles("/proc/self/task", THREADS), "threads left")
  os.execute("rm -rf " .. dir)
  return trials
end

return { play = play, order = scenes.order }
