-- Data instead of text: a real server lets its model say only what fits the
-- schema, so that it always does.

local llama = require "e2e.llama"

describe("data from a real server", function()
  local server

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)

  local town = {
    type = "object",
    properties = {
      name = { type = "string" },
      kind = { enum = { "village", "town", "city" } },
      people = { type = "integer" },
      sights = { type = "array", items = { type = "string" },
        minItems = 1, maxItems = 2 },
    },
    required = { "name", "kind", "people", "sights" },
    additionalProperties = false,
  }

  it("fits the schema", function()
    for _, verb in ipairs { "ask", "stream" } do
      local agent = server:agent { memory = true }
        :with_json_schema("town", town)
      local data = assert(agent[verb](agent, "Name one", function() end))
      assert.equal("table", type(data), verb)
      assert.equal("string", type(data.name))
      assert.is_truthy(({ village = 1, town = 1, city = 1 })[data.kind])
      assert.equal("integer", math.type(data.people))
      assert.is_true(#data.sights == 1 or #data.sights == 2)
      assert.equal(2, #agent:get_history())
    end
  end)

  it("is any JSON, if that is all that is asked for", function()
    local data = assert(server:agent():with_json_mode():ask("Name one"))
    assert.equal("table", type(data))
  end)

  it("is an error if it is cut", function()
    local long = { type = "object", required = { "name" },
      properties = { name = { type = "string", minLength = 500 } } }
    for _, verb in ipairs { "ask", "stream" } do
      local agent = server:agent { memory = true, max_tokens = 60 }
        :with_json_schema("town", long)
      local data, err = agent[verb](agent, "Name one", function() end)
      assert.is_nil(data)
      assert.equal("truncated", err.code, tostring(err))
      assert.is_truthy(err.text:find('"name"', 1, true), err.text)
      assert.equal(0, #agent:get_history())
    end
  end)
end)
