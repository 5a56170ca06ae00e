-- The recipes of ../shared/vectors/sessions/corruptions.jsonl, each applied
-- to a session of 50 messages where that can be done with bytes alone; the
-- others have a spec of their own, which is named.

local damage = require "support.damage"
local disk = require "support.disk"
local vectors = require "support.vectors"

local assert_corrupt, assert_guarded = damage.assert_corrupt,
  damage.assert_guarded

local recipes = {}

function recipes.truncate_each_byte(valid)
  for length = 1, #valid - 1, damage.full and 1 or 17 do
    assert_corrupt(valid:sub(1, length), length)
  end
end

function recipes.empty_file()
  assert_guarded("", "empty")
end

function recipes.zero_fill(valid)
  assert_guarded(("\0"):rep(#valid), "zeros")
end

function recipes.zero_tail_4096(valid)
  assert_guarded(valid:sub(1, -4097) .. ("\0"):rep(4096), "a tail of zeros")
end

function recipes.append_garbage(valid, recipe)
  assert_guarded(valid .. recipe.bytes:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end), "garbage")
end

function recipes.flip_each_bit(valid)
  for at = 1, #valid, damage.full and 1 or 29 do
    for bit = 0, 7 do
      damage.assert_no_less(damage.flipped(valid, at, bit), at,
        damage.messages)
    end
  end
end

function recipes.swap_blocks(valid)
  for i = 0, #valid // damage.BLOCK - 2 do
    assert_corrupt(damage.swapped(valid, i, i + 1), i)
  end
end

function recipes.bom_prefix(valid)
  assert_guarded("\u{feff}" .. valid, "a byte order mark")
end

-- Each of our members, with each of the values: an error, or the messages.
function recipes.field_types(valid, recipe)
  for field, now in pairs { version = "1", id = '"s"',
    metadata = valid:match('"metadata": (%b{})'),
    checksum = valid:match('"checksum": ("[^"]*")') } do
    for _, value in ipairs(recipe.values) do
      local from = ('"%s": %s'):format(field, now)
      local at, to = assert(valid:find(from, 1, true))
      damage.assert_no_less(valid:sub(1, at - 1)
        .. ('"%s": %s'):format(field, value) .. valid:sub(to + 1),
        field .. " = " .. value, damage.messages)
    end
  end
end

function recipes.version_future(valid)
  local list, err = damage.load((valid:gsub('"version": 1', '"version": 999')))
  assert.is_nil(list)
  assert.equal("version_too_new", err.code)
end

function recipes.id_mismatch(valid)
  assert_guarded((valid:gsub('"id": "s"', '"id": "b"', 1)), "another's")
end

function recipes.dup_keys(valid)
  assert_guarded((valid:gsub('  "messages"', '  "messages": [],\n%0', 1)),
    "messages twice")
end

local elsewhere = {}
for _, op in ipairs { "messages_shape", "role_unknown", "rev_backwards",
  "tool_call_without_result", "ttl_edge", "deep_nesting", "ints",
  "floats" } do
  elsewhere[op] = "file_damage_spec.lua"
end

describe("a recipe for damage:", function()
  local list = vectors.corruptions()
  if not list then
    it("each of ../shared", function() pending(vectors.missing) end)
    return
  end
  setup(damage.setup)
  teardown(damage.teardown)
  before_each(damage.begin)
  after_each(damage.tell)

  for _, recipe in ipairs(list) do
    local op = recipe.op
    it(op, function()
      if op:find("^crypt:") then
        pending("sessions are not stored encrypted or compressed")
        return
      end
      local spec = elsewhere[op] or op:find("^fs:") and "file_objects_spec.lua"
      if spec then
        local text = assert(disk.read("spec/" .. spec))
        return assert.truthy(text:find(op:gsub("^fs:", ""), 1, true), spec)
      end
      assert(recipes[op], "a recipe that is not known")(damage.valid,
        recipe)
    end)
  end
end)
