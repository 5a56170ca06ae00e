--- A model without a network: it answers questions about the conversation
--- that it is sent, by a few rules, and says that it is no real model. For
--- demonstrations and tests; deterministic.

local core = require "deepagent.core"

local offline = { model = "offline" }

local function trim(s)
  return (s:gsub("^%s+", ""):gsub("%s+$", ""))
end

--- The text of a message, which may be a string or a list of parts.
local function text_of(message)
  local content = message.content
  if type(content) == "string" then return content end
  local parts = {}
  for _, part in ipairs(type(content) == "table" and content or {}) do
    parts[#parts + 1] = type(part) == "table" and part.text or nil
  end
  return table.concat(parts, " ")
end

--- What the user has said before, oldest first, and the question.
local function split(messages)
  local said = {}
  for _, message in ipairs(messages) do
    if message.role == "user" then said[#said + 1] = text_of(message) end
  end
  return said, table.remove(said) or ""
end

--- The last thing that any of the patterns finds in what was said.
local function recall(said, patterns)
  for i = #said, 1, -1 do
    for _, pattern in ipairs(patterns) do
      local found = said[i]:match(pattern)
      if found then return trim(found) end
    end
  end
end

local capitals = {
  france = "Paris", spain = "Madrid", italy = "Rome", germany = "Berlin",
  portugal = "Lisbon", japan = "Tokyo", brazil = "Brasília",
  vietnam = "Hanoi",
}

local name_patterns = {
  "[Mm]y name is ([^%s.,;:!?]+)", "[Mm]y name's ([^%s.,;:!?]+)",
  "[Ii] am called ([^%s.,;:!?]+)", "[Cc]all me ([^%s.,;:!?]+)",
}

--- Each rule takes the question in lower case, what was said before, and
--- the question as it was; it returns an answer or nothing.
local rules = {
  function(question, said)
    if not (question:find "what is my name" or question:find "what's my name"
      or question:find "who am i") then return end
    local name = recall(said, name_patterns)
    return name and "Your name is " .. name .. "."
      or "You have not told me your name."
  end,
  function(question, said)
    if not (question:find "did i .*ask" or question:find "did i .*say"
      or question:find "did i .*tell") then return end
    return #said > 0 and 'You said: "' .. said[#said] .. '"'
      or "You have not said anything before this."
  end,
  function(question, said)
    local thing = question:match "what is my (favou?rite %w+)"
      or question:match "what's my (favou?rite %w+)"
    if not thing then return end
    local value = recall(said, { "[Mm]y " .. thing .. " is ([^.!?]+)" })
    return value and ("Your %s is %s."):format(thing, value)
      or ("You have not told me your %s."):format(thing)
  end,
  function(question, said)
    if not question:find "how many" or not (question:find "question"
      or question:find "message" or question:find "asked") then return end
    return ("Before this you have sent me %d message%s."):format(#said,
      #said == 1 and "" or "s")
  end,
  function(question)
    local country = question:match "capital of (%a+)"
    if not country then return end
    local capital = capitals[country]
    return capital and ("The capital of %s is %s."):format(
      country:sub(1, 1):upper() .. country:sub(2), capital)
      or "I am offline and do not know that capital."
  end,
  function(_, _, question)
    local name = recall({ question }, name_patterns)
    return name and ("Nice to meet you, %s."):format(name)
  end,
}

local function answer(messages)
  local said, question = split(messages)
  for _, rule in ipairs(rules) do
    local found = rule(question:lower(), said, question)
    if found then return found end
  end
  return ("I am deepagent's offline model, a few rules and no intelligence. "
    .. 'You said: "%s"'):format(question)
end

--- A tool that the question names, and the last capitalised word of it as
--- the tool's first string: "What is the weather in Paris?".
local function call_for(request, question)
  for _, tool in ipairs(request.tools or {}) do
    local f = tool["function"]
    local called, said = f.name:lower(), question:lower()
    if said:find(called, 1, true)
      or said:find(called:gsub("_", " "), 1, true) then
      local arguments, place = {}, nil
      for word in question:gmatch "%f[%w]%u%w+" do place = word end
      for _, name in ipairs(f.parameters.required or {}) do
        local property = (f.parameters.properties or {})[name] or {}
        if property.type == "string" then
          arguments[name] = place or question
          break
        end
      end
      return { id = "call_" .. #request.messages, type = "function",
        ["function"] = { name = f.name, arguments = core.encode(arguments) } }
    end
  end
end

--- What the tools of this turn gave, if that is what came last.
local function results(messages)
  local found = {}
  for i = #messages, 1, -1 do
    if messages[i].role ~= "tool" then break end
    table.insert(found, 1, messages[i].content)
  end
  return #found > 0 and "The tool says: " .. table.concat(found, ", ")
end

--- A value that fits a plain schema: texts are the answer.
local function fill(s, text)
  if s.enum then return s.enum[1] end
  if s.type == "object" then
    local object = {}
    for name, property in pairs(s.properties or {}) do
      object[name] = fill(property, text)
    end
    return object
  end
  local values = { string = text, integer = 1, number = 1.5, boolean = true,
    array = core.array {} }
  local value = values[s.type]
  if value == nil then return core.null end
  return value
end

--- The answer as the request wants it: also JSON.
local function dress(request, text)
  local format = request.response_format
  if not format or format.type == "text" then return text end
  local wanted = format.json_schema and format.json_schema.schema
    or { type = "object", properties = { answer = { type = "string" } } }
  return core.encode(fill(wanted, text))
end

--- About four bytes a token, as a rough measure.
local function tokens(s)
  return (#s + 3) // 4
end

--- The provider, for deepagent.new{provider = ...}.
function offline.provider()
  return {
    complete = function(_, request, on_delta)
      local _, question = split(request.messages)
      local found = results(request.messages)
      local call = not found and request.tool_choice ~= "none"
        and call_for(request, question) or nil
      local text = call and ""
        or dress(request, found or answer(request.messages))
      local prompt = 0
      for _, message in ipairs(request.messages) do
        prompt = prompt + tokens(text_of(message))
      end
      for word in text:gmatch "%S+%s*" do on_delta(word) end
      return {
        role = "assistant",
        content = call and core.null or text,
        tool_calls = call and core.array { call },
      }, {
        model = offline.model,
        finish_reason = call and "tool_calls" or "stop",
        usage = {
          prompt_tokens = prompt,
          completion_tokens = tokens(text),
          total_tokens = prompt + tokens(text),
        },
      }
    end,
  }
end

return offline
