-- Schemas written short: what they are expanded to.

local deepagent = require "deepagent"

local expand = deepagent.schema
local array = deepagent.array

local function object(properties, required)
  return { type = "object", properties = properties,
    required = array(required or {}), additionalProperties = false }
end

local S, I = { type = "string" }, { type = "integer" }

describe("deepagent.schema", function()
  local cases = {
    ["parameters by their types' names"] = {
      { city = "string", days = { "integer", optional = true } },
      object({ city = S, days = I }, { "city" }) },
    ["every type there is"] = {
      { a = "string", b = "integer", c = "number", d = "boolean",
        e = "object", f = "array", g = "null", h = "any" },
      object({ a = S, b = I, c = { type = "number" },
        d = { type = "boolean" }, e = { type = "object" },
        f = { type = "array" }, g = { type = "null" }, h = {} },
        { "a", "b", "c", "d", "e", "f", "g", "h" }) },
    ["nothing"] = { {}, object({}) },
    ["what is optional"] = {
      { a = "string?", b = { "string?" }, c = { "string", optional = true },
        d = { "string", optional = false }, e = "string[]?",
        f = { type = "string", optional = true } },
      object({ a = S, b = S, c = S, d = S, e = { type = "array", items = S },
        f = S }, { "d" }) },
    ["arrays"] = {
      { a = "string[]", b = { "array", items = "integer" }, c = "any[]",
        d = "integer[][]", e = { "array", items = { x = "string" } },
        f = { "string[]", description = "D", minItems = 1 } },
      object({ a = { type = "array", items = S },
        b = { type = "array", items = I },
        c = { type = "array", items = {} },
        d = { type = "array", items = { type = "array", items = I } },
        e = { type = "array", items = object({ x = S }, { "x" }) },
        f = { type = "array", items = S, description = "D", minItems = 1 } },
        { "a", "b", "c", "d", "e", "f" }) },
    ["what stands beside a type"] = {
      { a = { "string", description = "D", enum = { "x", "y" } },
        b = { "integer", minimum = 0, maximum = 9, ["x-own"] = true } },
      object({ a = { type = "string", description = "D",
        enum = { "x", "y" } },
        b = { type = "integer", minimum = 0, maximum = 9,
          ["x-own"] = true } }, { "a", "b" }) },
    ["lists of values"] = {
      { a = { enum = { "x", "y" } }, b = { enum = { 1, 2 } },
        c = { enum = { 1, 2.5 } }, d = { enum = { true, false } },
        e = { enum = { "x" }, description = "D", optional = true },
        f = { "string[]", enum = { "x", "y" } }, g = { enum = { 1.5 } } },
      object({ a = { type = "string", enum = { "x", "y" } },
        b = { type = "integer", enum = { 1, 2 } },
        c = { enum = { 1, 2.5 } },
        d = { type = "boolean", enum = { true, false } },
        e = { type = "string", enum = { "x" }, description = "D" },
        f = { type = "array", items = { type = "string",
          enum = { "x", "y" } } },
        g = { type = "number", enum = { 1.5 } } },
        { "a", "b", "c", "d", "f", "g" }) },
    ["objects within"] = {
      { to = { street = "string", no = "integer?" }, empty = {},
        map = { "object", additionalProperties = "integer" },
        own = { "object", description = "D", properties = { a = "string" } },
        open = { "object", properties = { a = "string" },
          additionalProperties = true, required = array {} } },
      object({ to = object({ street = S, no = I }, { "street" }),
        empty = object({}),
        map = { type = "object", additionalProperties = I },
        own = { type = "object", description = "D", properties = { a = S },
          required = { "a" }, additionalProperties = false },
        open = { type = "object", properties = { a = S }, required = {},
          additionalProperties = true } },
        { "empty", "map", "open", "own", "to" }) },
    ["JSON schemas among the parameters"] = {
      { a = { type = "string", maxLength = 5 }, b = { type = "integer" },
        c = { ["$ref"] = "#/x" }, d = { anyOf = { S, I } },
        e = { type = array { "string", "null" } } },
      object({ a = { type = "string", maxLength = 5 }, b = I,
        c = { ["$ref"] = "#/x" }, d = { anyOf = { S, I } },
        e = { type = { "string", "null" } } },
        { "a", "b", "c", "d", "e" }) },
    ["a type alone"] = { "string", S },
    ["an array alone"] = { { "string[]", maxItems = 2 },
      { type = "array", items = S, maxItems = 2 } },
    ["a parameter that is called type"] = {
      { type = "string" }, object({ type = S }, { "type" }) },
    ["parameters that are called like keywords"] = {
      { type = "string", title = "string", format = "integer?" },
      object({ type = S, title = S, format = I }, { "title", "type" }) },
    ["a parameter type beside one that is no keyword"] = {
      { type = "string", city = "string" },
      object({ type = S, city = S }, { "city", "type" }) },
    ["parameters enum, items, properties, required"] = {
      { enum = { "string" }, items = "string[]", properties = "object",
        required = "boolean", anyOf = "string" },
      object({ enum = S, items = { type = "array", items = S },
        properties = { type = "object" }, required = { type = "boolean" },
        anyOf = S },
        { "anyOf", "enum", "items", "properties", "required" }) },
    ["a parameter type within"] = {
      { a = { type = { "string" } } },
      object({ a = object({ type = S }, { "type" }) }, { "a" }) },
    ["a parameter that is called optional"] = {
      { optional = "boolean", a = { optional = "string" } },
      object({ optional = { type = "boolean" },
        a = object({ optional = S }, { "optional" }) },
        { "a", "optional" }) },
  }
  for name, case in pairs(cases) do
    it("expands " .. name, function()
      local got = expand(case[1])
      assert.same(case[2], got)
    end)
  end

  it("takes a JSON schema as it stands", function()
    for _, whole in ipairs {
      { type = "object" },
      { type = "object", properties = { a = { type = "string" } } },
      { type = "array", items = { type = "string" } },
      { type = "string", description = "a text" },
      { type = "string", enum = { "a" } },
      { type = array { "object", "null" }, properties = {} },
      { ["$ref"] = "#/$defs/a", ["$defs"] = { a = {} } },
      { ["$schema"] = "x", whatever = 1 },
      { anyOf = { { type = "string" } } },
      { oneOf = { { type = "string" } }, description = "D" },
    } do
      assert.equal(whole, expand(whole))
    end
  end)

  it("leaves what it is given as it is", function()
    local given = { a = { "string", optional = true },
      b = { enum = { "x" }, optional = true } }
    expand(given)
    assert.same({ a = { "string", optional = true },
      b = { enum = { "x" }, optional = true } }, given)
  end)

  it("sorts what is required", function()
    local short, names = {}, {}
    for i = 1, 50 do
      names[i] = ("n%02d"):format(i)
      short[names[i]] = "string"
    end
    assert.same(names, expand(short).required)
  end)

  it("names the path of what is wrong, and the caller's line", function()
    local circle = {}
    circle.a = circle
    for why, short in pairs {
      ["$.days: unknown type 'integr'"] = { days = "integr" },
      ["$.a.b: unknown type 'text'"] = { a = { b = "text" } },
      ["$.a: unknown type 'string??'"] = { a = "string??" },
      ["$.a: unknown type 'string?[]'"] = { a = "string?[]" },
      ["$.a: unknown type 'string]['"] = { a = "string][" },
      ["$.a: unknown type ''"] = { a = "" },
      ["$[\"a b\"]: a type was expected, not a number"] = { ["a b"] = 5 },
      ["$.a: a type was expected, not a boolean"] = { a = true },
      ["$.a: has more than one type: integer"] =
        { a = { "string", "integer" } },
      ["$.a.optional: must be a boolean, not a string"] =
        { a = { "string", optional = "yes" } },
      ["$.a.items: unknown type 'x'"] = { a = { "array", items = "x" } },
      ["$.a.items: cannot be optional"] =
        { a = { "array", items = "string?" } },
      ["$.a.properties: must be a table of parameters"] =
        { a = { "object", properties = { "string" } } },
      ["$.a.properties.b: unknown type 'x'"] =
        { a = { "object", properties = { b = "x" } } },
      ["$: is neither a type nor a table of parameters"] =
        { { "string" } },
      ["$.a: is neither a type nor a table of parameters"] =
        { a = { {}, x = "string" } },
      ["$: cannot be optional"] = "string?",
      ["$: a type was expected, not a number"] = 5,
    } do
      local ok, message = pcall(function()
        local _ = expand(short)
      end)
      assert.is_false(ok)
      assert.truthy(message:find("schema_spec%.lua:%d+: deepagent%.schema: "))
      assert.equal(why, message:match "deepagent%.schema: (.*)")
    end
    local ok, message = pcall(expand, circle)
    assert.is_false(ok)
    assert.truthy(message:find("too deep, or in a circle", 1, true))
    assert.is_false((pcall(expand)))
    assert.is_false((pcall(expand, true)))
  end)
end)
