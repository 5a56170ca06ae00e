-- patience.lua - how long tests wait, on machines that are busy with other
-- things too. Only what hangs takes so long:
--
--   agent:with_timeout(patience.long)   -- where an answer must come
--   local done = patience.watch()
--   ...
--   done()               -- raises unless that ended by a clock of its own,
--                        -- before what had `long` could have ended it
--   patience.eventually(function() return server:stats().open == 0 end)

local socket = require "socket"

local patience = { long = 120, soon = 60 } -- seconds

--- Returns a function that raises if more than `soon`, or less than `least`
--- seconds, have passed since.
function patience.watch()
  local started = socket.gettime()
  return function(least)
    local took = socket.gettime() - started
    assert(took < patience.soon, ("it took %.1f s"):format(took))
    assert(took > 0.9 * (least or 0), ("it took only %.3f s"):format(took))
  end
end

--- Waits until condition() is true.
function patience.eventually(condition)
  local deadline = socket.gettime() + patience.long
  while not condition() do
    assert(socket.gettime() < deadline, "it does not come")
    socket.sleep(0.005)
  end
end

return patience
