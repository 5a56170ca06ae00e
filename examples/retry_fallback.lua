-- retry_fallback.lua - what keeps an agent up: more tries, another service,
-- a cache. The services here are models written in Lua, and fail as they are
-- told, so that this runs anywhere; with real ones it is the same.

local deepagent = require "deepagent"

-- A service that is overloaded the first `failures` times.
local function service(name, failures)
  local it = { asked = 0 }
  function it:complete(request)
    self.asked = self.asked + 1
    if self.asked <= failures then
      return nil, { code = "server", message = "overloaded", status = 503,
        retryable = true }
    end
    return name .. " says hello to " .. request.messages[1].content,
      { model = name }
  end
  return it
end

local function logger(level, message, fields)
  if level ~= "debug" then
    message = message:gsub("in [%d.]+ s$", "in a moment") -- it is random
    print(("  [%s] %s (%s)"):format(level, message, fields.code))
  end
end

print "1. A service that is overloaded twice"
local agent = deepagent.new { model = "busy", provider = service("busy", 2),
  logger = logger, retry = { base = 0.01 } }
print(agent:ask "Alice")

print "2. One that stays so, and another to go to"
local down = service("down", math.huge)
agent = deepagent.new { model = "down", provider = down, logger = logger }
  :with_retry { max = 1, base = 0.01 }
  :with_fallback(deepagent.new { model = "spare",
    provider = service("spare", 0) })
print(agent:ask "Bob")
print("answered by " .. agent:last().model)

print "3. Without another, the error tells"
local text, err = agent:with_fallback(false):ask "Carol"
print(text, err.code, err.status, err.retryable)
print("tries: " .. down.asked)

print "4. The same question twice, one request"
local once = service("once", 0)
agent = deepagent.new { model = "once", provider = once }
  :with_cache(deepagent.memory_backend(), 3600)
print(agent:ask "Dave")
print(agent:ask "Dave")
print(("from the cache: %s, requests: %d"):format(agent:last().cached,
  once.asked))
