--- JSON schemas written short: { city = "string", days = "integer?" }. What
--- is understood and how what could be read in two ways is read is told in
--- docs/structured.md.

local core = require "deepagent.core"

local schema = {}

local MOST_LEVELS = 100

local TYPES = {
  string = true, integer = true, number = true, boolean = true,
  object = true, array = true, null = true,
}

--- The words of JSON schema that may stand beside `type`, so that a table
--- with `type` and others can be told from one with a parameter "type".
local KEYWORDS = {}
for word in ([[
  title description default examples example deprecated readOnly writeOnly
  type nullable enum const format pattern minLength maxLength contentEncoding
  contentMediaType minimum maximum exclusiveMinimum exclusiveMaximum
  multipleOf items prefixItems additionalItems contains minContains
  maxContains minItems maxItems uniqueItems unevaluatedItems properties
  required additionalProperties patternProperties propertyNames
  minProperties maxProperties dependentRequired dependentSchemas
  unevaluatedProperties anyOf oneOf allOf not if then else definitions
]]):gmatch "%S+" do KEYWORDS[word] = true end

local function is_name(name)
  return name:find "^[%a_][%w_]*$" ~= nil
end

local function step(path, name)
  return is_name(name) and path .. "." .. name
    or ('%s["%s"]'):format(path, name)
end

local function fail(path, why, ...)
  return nil, ("%s: " .. why):format(path, ...)
end

local NOT_REQUIRED = "is required unless it says optional = true"

--- Whether all keys are strings, or (of an empty table) there are none.
local function has_names_only(t)
  for key in next, t do
    if type(key) ~= "string" then return false end
  end
  return true
end

local function sorted(t)
  local names = {}
  for name in next, t do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- --- what is a JSON schema already ----------------------------------------

--- "integer[]?": the type's name, how many arrays are around it, optional.
local function parse(text)
  local name, arrays, mark = text:match "^(%a+)([%[%]]*)(%??)$"
  local depth = name and #arrays // 2
  if not name or arrays ~= ("[]"):rep(depth)
    or not (TYPES[name] or name == "any") then
    return nil
  end
  return name, depth, mark ~= ""
end

local function is_type_list(value)
  if type(value) ~= "table" or #value < 2 then return false end
  for _, name in ipairs(value) do
    if not TYPES[name] then return false end
  end
  return true
end

--- A list of values, not the type of a parameter that is called "enum".
local function is_enum(value)
  return type(value) == "table" and #value > 0
    and (#value > 1 or type(value[1]) ~= "string" or not parse(value[1]))
end

local function is_list_of_tables(value)
  return type(value) == "table" and type(value[1]) == "table"
end

local function has_keywords_only(t)
  for name, value in next, t do
    if not KEYWORDS[name]
      and not (name == "optional" and type(value) == "boolean") then
      return false
    end
  end
  return true
end

--- At the outermost { type = "string", title = "string" } has two
--- parameters: a schema of a lone string would be of no use there.
local function may_be_parameters(t)
  if t.type == "object" then return false end
  for _, value in next, t do
    if type(value) ~= "string" or not parse(value) then return false end
  end
  return true
end

--- `t` has string keys only.
local function is_schema(t, outermost)
  for name in next, t do
    if name:sub(1, 1) == "$" then return true end
  end
  if not has_keywords_only(t) then return false end
  if type(t.type) == "string" and TYPES[t.type] or is_type_list(t.type) then
    return not (outermost and may_be_parameters(t))
  end
  return t.type == nil and (is_enum(t.enum) or is_list_of_tables(t.anyOf)
    or is_list_of_tables(t.oneOf) or is_list_of_tables(t.allOf))
end

-- --- expanding -------------------------------------------------------------

local expand_any

--- The type that all values of an enum have, if they have one.
local function type_of_values(values)
  local common
  for _, value in ipairs(values) do
    local kind = math.type(value) == "float" and "number"
      or math.type(value) or type(value)
    if common and common ~= kind then return nil end
    common = kind
  end
  return TYPES[common] and common or nil
end

--- Each of the parameters, and those of them that are not optional.
local function expand_members(t, path, level)
  local properties, required = {}, core.array {}
  for _, name in ipairs(sorted(t)) do
    local one, why = expand_any(t[name], step(path, name), level + 1)
    if not one then return nil, why end
    properties[name] = one
    if not why then required[#required + 1] = name end -- why: optional
  end
  return properties, required
end

local function expand_object(t, path, level)
  local properties, required = expand_members(t, path, level)
  if not properties then return nil, required end
  return {
    type = "object", properties = properties, required = required,
    additionalProperties = false,
  }
end

--- A JSON schema as it stands, but for what is only ours; a list of values
--- tells their type by itself.
--- `required = {}` is a list to whoever writes it.
local function as_it_stands(t, path)
  if type(t.required) == "table" and next(t.required) == nil then
    local out = {}
    for key, value in next, t do out[key] = value end
    out.required = core.array {}
    t = out
  end
  if type(t.required) == "boolean" then
    return fail(path, NOT_REQUIRED)
  end
  local kind = t.type == nil and is_enum(t.enum) and type_of_values(t.enum)
  if t.optional == nil and not kind then return t end
  local out = {}
  for key, value in next, t do out[key] = value end
  out.optional, out.type = nil, t.type or kind or nil
  return out, t.optional
end

local HANDLED = { [1] = true, optional = true, properties = true }

--- What stands beside a type, as in { "array", items = ... }. Those that are
--- schemas may be short, too.
local function add_keywords(out, t, path, level)
  for key, value in next, t do
    if HANDLED[key] then
      goto continue
    elseif type(key) ~= "string" then
      return fail(path, "has more than one type: %s", tostring(value))
    elseif (key == "items" or key == "additionalProperties")
      and type(value) ~= "boolean" then
      local one, why = expand_any(value, step(path, key), level + 1)
      if not one then return nil, why end
      if why then return fail(step(path, key), "cannot be optional") end
      out[key] = one
    elseif key == "required" and type(value) == "boolean" then
      return fail(path, NOT_REQUIRED)
    else
      local inner = out
      if key == "enum" and t.items == nil then -- of each of "string[]"
        while inner.items do inner = inner.items end
      end
      inner[key] = value
    end
    ::continue::
  end
  return out
end

--- { "object", properties = { ... } }: what was said wins.
local function add_properties(out, t, path, level)
  if type(t.properties) ~= "table" or not has_names_only(t.properties) then
    return fail(step(path, "properties"), "must be a table of parameters")
  end
  local properties, required =
    expand_members(t.properties, step(path, "properties"), level)
  if not properties then return nil, required end
  out.properties = properties
  if out.required == nil then out.required = required end
  if out.additionalProperties == nil then out.additionalProperties = false end
  return out
end

--- A type by its name; second: whether it is optional, or why it failed.
local function expand_name(text, path)
  local name, depth, optional = parse(text)
  if not name then
    return fail(path, "unknown type '%s'", text)
  end
  local out = name ~= "any" and { type = name } or {}
  for _ = 1, depth do out = { type = "array", items = out } end
  return out, optional
end

--- { "integer", optional = true, minimum = 1 }
local function expand_tagged(t, path, level)
  local out, optional = expand_name(t[1], path)
  if not out then return nil, optional end
  if t.optional ~= nil and type(t.optional) ~= "boolean" then
    return fail(step(path, "optional"), "must be a boolean, not a %s",
      type(t.optional))
  end
  local ok, why = add_keywords(out, t, path, level)
  if ok and t.properties ~= nil then
    ok, why = add_properties(out, t, path, level)
  end
  if not ok then return nil, why end
  return out, optional or t.optional or false
end

--- nil and why; or the schema and true if it is optional, false or nil if
--- it is not.
function expand_any(t, path, level, outermost)
  if level > MOST_LEVELS then
    return fail(path, "is nested too deep, or in a circle")
  elseif type(t) == "string" then
    return expand_name(t, path)
  elseif type(t) == "boolean" and not outermost then
    return fail(path, "a type was expected, not a boolean")
  elseif type(t) ~= "table" then
    return fail(path, "a type was expected, not a %s", type(t))
  elseif type(t[1]) == "string" then
    return expand_tagged(t, path, level)
  elseif not has_names_only(t) then
    return fail(path, "is neither a type nor a table of parameters")
  elseif not is_schema(t, outermost) then
    return expand_object(t, path, level)
  end
  return as_it_stands(t, path)
end

--- The whole JSON schema of one that may be short: a table, or nil and why
--- it is none, with the path to what is wrong.
function schema.expand(t)
  local out, optional = expand_any(t, "$", 1, true)
  if not out then return nil, optional end
  if optional then return fail("$", "cannot be optional") end
  return out
end

return schema
