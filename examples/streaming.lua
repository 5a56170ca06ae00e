-- streaming.lua - the answer as it comes, cancelling, and what is known
-- afterwards. With OPENAI_API_KEY it asks a real model.

local deepagent = require "deepagent"

local agent = os.getenv "OPENAI_API_KEY"
  and deepagent.openai(os.getenv "OPENAI_MODEL" or "gpt-4o-mini")
  or deepagent.offline()
agent:with_memory()

-- Each piece of text as it comes; the whole text at the end.
io.stdout:setvbuf "no"
local text = assert(agent:stream("What's the capital of France?", io.write))
print("\n(" .. #text .. " bytes)")

-- The same listener for every stream.
local pieces = 0
agent:with_on_stream(function(delta)
  pieces = pieces + 1
  io.write("[", delta, "]")
end)
assert(agent:stream "And what is the capital of Spain?")
print("\n(more than one piece: " .. tostring(pieces > 1) .. ")")

-- Returning false ends the stream. A turn that did not end leaves no trace.
local before = #agent:get_history()
local answer, err = agent:stream("Tell me a long story.", function()
  return false
end)
print(answer, err.code)
print("messages kept: " .. tostring(#agent:get_history() == before))

-- What the last answer said of itself, and the tokens of all of them.
print("finish reason: " .. agent:last().finish_reason)
print("tokens counted: " .. tostring(agent:usage().total.total_tokens > 0))
