-- structured.lua - answers that are data: asked for by a schema, checked, and
-- given as tables. With OPENAI_API_KEY it asks a real model, else one in Lua
-- that makes the mistakes that real ones make.

local deepagent = require "deepagent"

local says = {
  '{"city":"Rome","days":3,"transport":"train","notes":["sunny"]}',
  "```json\n" .. '{"city":"Bari","days":2,"transport":"bus","notes":[]}'
    .. "\n```",
  '{"city":"Pisa","days":"two","transport":"bus","notes":[]}',
  "I would go to Siena.",
}
local fake = {
  complete = function(_, request)
    assert(request.response_format.type == "json_schema")
    return table.remove(says, 1) or "nothing more to say"
  end,
}

local key = os.getenv "OPENAI_API_KEY"
local agent = key and deepagent.openai(os.getenv "OPENAI_MODEL"
  or "gpt-4o-mini") or deepagent.new { provider = fake }

agent:with_memory():with_json_schema("trip", {
  city = "string",
  days = { "integer", minimum = 1 },
  transport = { enum = { "train", "bus", "car" } },
  notes = "string[]",
})

for _, question in ipairs { "A trip to Rome?", "And to Bari?", "To Pisa?",
  "Where else?" } do
  local trip, err = agent:ask(question)
  if trip then
    print(("%s: %d days by %s, %d notes"):format(trip.city, trip.days,
      trip.transport, #trip.notes))
  else
    print(err)
    print("  it said: " .. (err.text or "nothing"))
  end
end

-- What did not fit has not become part of the conversation.
print("messages: " .. #agent:get_history())
