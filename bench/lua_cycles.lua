-- lua_cycles.lua - 10,000 times ask, save and load: nothing may grow.

local deepagent = require "deepagent"
local lib = require "benchlib"

local CYCLES, WARM, SESSIONS, TURNS = 10000, 2000, 20, 10

local provider = {
  complete = function(_, request)
    return { role = "assistant", content = request.messages[1].content }
  end,
}

local backend = deepagent.file_backend {
  path = lib.scratch "cycles", durable = false,
}

-- Agents come and go, conversations begin anew after ten turns.
local function cycle(i)
  local agent <close> = deepagent.new { provider = provider }
    :with_session_id("cycle-" .. i % SESSIONS):with_memory_backend(backend)
  if i // SESSIONS % TURNS == 0 then assert(agent:clear()) end
  assert(agent:ask(lib.content(i)))
  assert(agent:save_session())
  local loaded, err = agent:load_session()
  assert(loaded, err and tostring(err) .. i)
end

local function holds()
  collectgarbage()
  collectgarbage()
  lib.pause(2200000) -- idle threads of the saver end after two seconds
  return lib.holds()
end

for i = 1, WARM do cycle(i) end
local before = holds()
local start = lib.now()
for i = WARM + 1, WARM + CYCLES do cycle(i) end
local took = lib.now() - start
local after = holds()

local function grow(what, name, unit, allowed)
  lib.row(("10,000 cycles: %s by"):format(what),
    after[name] - before[name], allowed, unit, 1)
end
grow("heap grows", "heap", "KiB", 256)
grow("resident memory grows", "rss", "KiB", 512)
grow("open descriptors grow", "fds", "", 0)
grow("threads grow", "threads", "", 0)
grow("Lua's registry grows", "registry", "", 0)
lib.row("  time of one cycle", took / CYCLES, 0, "us")
