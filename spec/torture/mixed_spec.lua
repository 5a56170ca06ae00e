-- Agents of one process that share sessions, by chance: see mixed_play.lua.
-- A failure tells the command that plays the same seed again; threads may go
-- otherwise then.

local child = require "support.child"
local disk = require "support.disk"

local full = os.getenv "DA_FULL" == "1"
local SEEDS = full and 200 or 7
local STEPS = full and 400 or 150
local PLAY = "dofile(os.getenv 'DA_ROOT' .. '/spec/torture/mixed_play.lua')"

-- Without it, flushes do not fail; a sanitizer must be the first to be loaded.
local DENIED = os.getenv "DA_BUILD" .. "/spec/torture/preload_denied.so"
local sanitized = os.getenv "DA_CONFIG" == "asan"
  or os.getenv "DA_CONFIG" == "tsan"

describe("what agents of one process do by chance", function()
  local root
  before_each(function() root = disk.temp() end)
  after_each(function() disk.remove(root) end)

  local function play(seed)
    local directory = root .. "/" .. seed
    disk.shell("mkdir %s", directory)
    local env = { DA_DENIED = false }
    if not sanitized then
      env = { LD_PRELOAD = DENIED, DA_DENIED = directory .. "/denied" }
    end
    local output, status = child.run(PLAY, { env = env,
      args = { directory, seed, STEPS }, before = "timeout 600" })
    if output ~= "" or status ~= 0 then
      error(("seed %d (status %d): mkdir /tmp/d; LD_PRELOAD=%s "
        .. "DA_DENIED=/tmp/d/denied spec/env release lua5.4 "
        .. "spec/torture/mixed_play.lua /tmp/d %d %d\n%s"):format(seed, status,
        "build/release/spec/torture/preload_denied.so", seed, STEPS, output))
    end
    disk.remove(directory)
  end

  it("loses, doubles and mixes nothing: seeds 1 to " .. SEEDS, function()
    for seed = 1, SEEDS do play(seed) end
  end)

  if sanitized then
    it("with flushes that fail", function()
      pending "the sanitizer is what is preloaded"
    end)
  end
end)
