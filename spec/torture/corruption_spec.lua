-- A stored session of 50 messages, damaged at each of its bytes, blocks and
-- lines. What must hold of each: it is an error, or all of the conversation;
-- never fewer messages in silence; and the damaged bytes stay until the
-- caller says that they may be replaced, and then they lie beside.
--
-- What happens to the smaller sessions of other kinds is in
-- spec/file_damage_spec.lua; here is the mass. In short runs the slower ways
-- take a sample, DA_FULL=1 takes all.

local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"
local vectors = require "support.vectors"

local BLOCK = 512
local full = (os.getenv("DA_FULL") or "") ~= ""

local root, directory, file, backend
local valid, messages -- the file's bytes, and the 50
local newer, newer_messages -- after one more turn

-- Words that differ, so that no two blocks are alike.
local function said(i)
  return ("%d: \"Grüße\"\n€ \u{1f600} "):format(i)
    .. ("and so on, up to %d. "):format(i * 7919):rep(i % 5 + 1)
end

local function agent_on(id)
  return deepagent.new { provider = models.echo() }:with_session_id(id)
    :with_memory_backend(backend)
end

local function make_session()
  local list = {}
  for i = 1, 50 do
    list[i] = { role = i % 2 == 1 and "user" or "assistant",
      content = said(i) }
  end
  local agent <close> = agent_on("s")
  assert(agent:set_history(list))
  assert(agent:save_session())
  valid, messages = disk.read(file), agent:get_history()
  assert(agent:ask("one more"))
  assert(agent:flush())
  newer, newer_messages = disk.read(file), agent:get_history()
end

-- Writing anew is faster than over what is there, which ext4 flushes.
local function put(bytes)
  os.remove(file)
  disk.write(file, bytes)
end

local function load(bytes)
  put(bytes)
  return backend:load("s")
end

-- Whether they are the same messages. assert.same is slow on so many.
local function same(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i].id ~= b[i].id or a[i].content ~= b[i].content
      or a[i].role ~= b[i].role or a[i].created_at ~= b[i].created_at then
      return false
    end
  end
  return true
end

-- What a reader may get from bytes that are not as they were written: how
-- many were refused, of how many.
local counts

local function assert_no_less(bytes, note, wanted, other)
  local list, err = load(bytes)
  counts.total = counts.total + 1
  if list then
    if not same(list, wanted) and not (other and same(list, other)) then
      error(("%s: it loads as another conversation, of %d messages")
        :format(note, #list))
    end
    return
  end
  counts.refused = counts.refused + 1
  if err.code ~= "session_corrupt" and err.code ~= "version_too_new" then
    error(note .. ": " .. tostring(err))
  end
end

local function assert_corrupt(bytes, note)
  local list, err = load(bytes)
  counts.total = counts.total + 1
  if list then error(("%s: it loads, with %d"):format(note, #list)) end
  if err.code ~= "session_corrupt" then
    error(note .. ": " .. tostring(err))
  end
end

local function assert_untouched(bytes, note)
  if disk.read(file) ~= bytes then error(note .. ": other bytes") end
  for _, name in ipairs(disk.names(directory)) do
    if name ~= "s.json" and name ~= ".lock" then
      error(note .. ": there is " .. name)
    end
  end
end

-- An agent meets the damaged file: it answers, says why nothing is saved,
-- and leaves the bytes alone, until it is told to save.
local function assert_guarded(bytes, note)
  put(bytes)
  local agent = agent_on("s")
  assert.equal("re: hello", agent:ask("hello"), note)
  local ok, err = agent:flush()
  assert.is_nil(ok, note)
  assert.equal("session_corrupt", err.code, note)
  assert.equal("failed", (agent:save_status()), note)
  ok, err = agent:load_session()
  assert.is_nil(ok, note)
  assert.equal("session_corrupt", err.code, note)
  assert_untouched(bytes, note)
  assert.is_true(agent:save_session(), note)
  local asides = 0
  for _, name in ipairs(disk.names(directory)) do
    if name:find("^s%.json%.corrupt%-") then
      asides = asides + 1
      assert.truthy(disk.read(directory .. "/" .. name) == bytes, note)
      os.remove(directory .. "/" .. name)
    end
  end
  assert.equal(1, asides, note)
  assert.equal("hello", backend:load("s")[1].content, note)
  agent:close()
  os.remove(file)
  counts.agents = counts.agents + 1
end

local function flipped(bytes, at, bit)
  return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ (1 << bit))
    .. bytes:sub(at + 1)
end

local function block(bytes, i)
  return bytes:sub(i * BLOCK + 1, (i + 1) * BLOCK)
end

local function blocks_of(bytes)
  return (#bytes + BLOCK - 1) // BLOCK
end

-- `bytes` with block i replaced.
local function with_block(bytes, i, new)
  return bytes:sub(1, i * BLOCK) .. new .. bytes:sub(i * BLOCK + #new + 1)
end

local function lines_of(text)
  local list = {}
  for line in text:gmatch "[^\n]*\n" do list[#list + 1] = line end
  return list
end

local function told(name)
  return (counts.total > 0 or counts.agents > 0)
    and io.write(("\n%s: %d states, %d refused, %d through agents\n"):format(
      name, counts.total, counts.refused, counts.agents))
end

describe("a stored session of 50 messages", function()
  setup(function()
    root = disk.temp()
    directory = root .. "/sessions"
    file = directory .. "/s.json"
    backend = deepagent.file_backend { path = directory, durable = false }
    make_session()
    assert(#valid > 16 * BLOCK)
  end)
  teardown(function()
    disk.remove(root)
  end)
  before_each(function()
    counts = { total = 0, refused = 0, agents = 0 }
  end)
  after_each(function()
    told("corruption")
  end)

  it("loads as it was saved", function()
    assert.same(messages, (load(valid)))
    assert.equal(50, #messages)
    assert.same(newer_messages, (load(newer)))
  end)

  it("cut off at each byte is corrupt", function()
    for length = 0, #valid - 1 do
      local bytes = valid:sub(1, length)
      assert_corrupt(bytes, length)
      assert_untouched(bytes, length)
    end
    assert.equal(#valid, counts.total)
  end)

  it("cut off, through an agent", function()
    for length = 0, #valid - 1, full and 1 or 149 do
      assert_guarded(valid:sub(1, length), length)
    end
    assert_guarded(valid:sub(1, -2), "all but the last byte")
  end)

  it("with a bit flipped in each byte is an error, or as it was", function()
    for at = 1, #valid do
      for bit = 0, 7 do
        if full or bit == at % 8 then
          assert_no_less(flipped(valid, at, bit), at, messages)
        end
      end
    end
    -- Only the last two lines, which hold none of it, may be read as before.
    assert.truthy(counts.total - counts.refused
      < (full and 8 or 1) * 120, counts.refused)
    assert.truthy(counts.refused > 0.9 * counts.total)
  end)

  it("with a bit flipped, through an agent", function()
    local sum = assert(valid:find('  "checksum"', 1, true))
    for at = 1, sum - 1, full and 7 or 449 do
      local bytes = flipped(valid, at, 0)
      local _, err = load(bytes)
      if err.code ~= "version_too_new" then assert_guarded(bytes, at) end
    end
  end)

  it("with a byte replaced by another at each place", function()
    for at = 1, #valid do
      local byte = (valid:byte(at) + at * 31 % 254 + 1) % 256
      assert_no_less(valid:sub(1, at - 1) .. string.char(byte)
        .. valid:sub(at + 1), at, messages)
    end
    assert.truthy(counts.refused > 0.9 * counts.total)
  end)

  it("with a block of zeros at each place is corrupt", function()
    local zeros = ("\0"):rep(BLOCK)
    for i = 0, blocks_of(valid) - 1 do
      assert_corrupt(with_block(valid, i, zeros:sub(1, #block(valid, i))), i)
    end
    for at = 0, #valid - 1, full and 1 or 37 do
      assert_corrupt(valid:sub(1, at)
        .. zeros:sub(1, math.min(BLOCK, #valid - at))
        .. valid:sub(at + BLOCK + 1), at)
    end
    assert_corrupt(("\0"):rep(#valid), "all")
    assert_corrupt(valid .. zeros, "behind")
    assert_guarded(with_block(valid, 3, zeros), "an agent")
  end)

  it("with two blocks in each other's place is corrupt", function()
    local last = #valid // BLOCK - 1 -- whole ones
    for i = 0, last do
      for k = i + 1, full and last or math.min(last, i + 2) do
        assert_corrupt(with_block(with_block(valid, i, block(valid, k)), k,
          block(valid, i)), i .. " and " .. k)
      end
    end
    assert_guarded(with_block(with_block(valid, 1, block(valid, 2)), 2,
      block(valid, 1)), "an agent")
  end)

  it("with a block where another belongs is corrupt", function()
    local last = #valid // BLOCK - 1
    for i = 0, last do
      for k = 0, last do
        if i ~= k and (full or (i + k) % 3 == 0) then
          assert_corrupt(with_block(valid, i, block(valid, k)),
            k .. " over " .. i)
        end
      end
    end
  end)

  it("mixed with a later state of itself is an error, or one of the two",
    function()
      assert.truthy(#newer > #valid)
      for at = 0, #valid, full and 1 or 3 do
        assert_no_less(newer:sub(1, at) .. valid:sub(at + 1), at, messages,
          newer_messages)
        assert_no_less(valid:sub(1, at) .. newer:sub(at + 1), at, messages,
          newer_messages)
      end
      -- The longer one's tail behind the shorter one.
      assert_corrupt(valid .. newer:sub(#valid + 1), "a longer tail")
      assert_corrupt(newer .. valid:sub(-100), "a shorter tail")
    end)

  it("with bytes behind its end is corrupt", function()
    for byte = 0, 255 do
      assert_corrupt(valid .. string.char(byte), byte)
    end
    for _, tail in ipairs { "}}}", "\n", "\r\n", " ", valid, "null", "[]",
      ("\0"):rep(4096), "\u{feff}" } do
      assert_corrupt(valid .. tail, tail:sub(1, 20))
    end
    assert_guarded(valid .. "}", "an agent")
  end)

  -- A whole line less, or once more, changes the length: that is an edit by
  -- hand (docs/sessions.md), and stands where it is valid.
  local function outcome(line, i, of)
    if line:find('^  "version"') or line:find('^  "id"')
      or line:find('^  "metadata"') then
      return "the same"
    elseif line:find("^    {") and i < of then
      return "edited"
    end
    return "corrupt"
  end

  -- The number of the last message's line.
  local function last_message(lines)
    local last
    for i, line in ipairs(lines) do
      if line:find("^    {") then last = i end
    end
    return last
  end

  it("without each of its lines", function()
    local lines = lines_of(valid)
    local last, message = last_message(lines), 0
    for i, line in ipairs(lines) do
      local bytes = table.concat(lines, "", 1, i - 1)
        .. table.concat(lines, "", i + 1)
      local expected = outcome(line, i, last)
      if line:find("^    {") then message = message + 1 end
      if expected == "corrupt" then
        assert_corrupt(bytes, line)
      elseif expected == "the same" then
        assert.truthy(same(load(bytes), messages), line)
      else
        local rest = { table.unpack(messages) }
        table.remove(rest, message)
        assert.truthy(same(load(bytes), rest), line)
      end
    end
    assert.equal(50, message)
  end)

  it("with each of its lines twice", function()
    local lines = lines_of(valid)
    local last, message = last_message(lines), 0
    for i, line in ipairs(lines) do
      local bytes = table.concat(lines, "", 1, i) .. line
        .. table.concat(lines, "", i + 1)
      local expected = outcome(line, i, last)
      if line:find("^    {") then message = message + 1 end
      if expected == "corrupt" then
        assert_corrupt(bytes, line)
      elseif expected == "the same" then
        assert.truthy(same(load(bytes), messages), line)
      else
        local more = { table.unpack(messages) }
        table.insert(more, message, messages[message])
        assert.truthy(same(load(bytes), more), line)
      end
    end
  end)

  it("with a message twice goes on, and loses nothing", function()
    local lines = lines_of(valid)
    table.insert(lines, 8, lines[8])
    put(table.concat(lines))
    local before = backend:load("s")
    assert.equal(51, #before)
    local agent <close> = agent_on("s")
    assert(agent:ask("go on"))
    assert(agent:flush())
    local after = backend:load("s")
    assert.equal("go on", after[#after - 1].content)
    local there = {}
    for _, message in ipairs(after) do there[message.id] = message end
    for _, message in ipairs(before) do
      assert.same(message, there[message.id])
    end
  end)

  -- ---- what other programs leave ----

  it("with the line ends of Windows is the same conversation", function()
    local bytes = valid:gsub("\n", "\r\n")
    assert.truthy(same(load(bytes), messages))
    local agent <close> = agent_on("s")
    assert(agent:ask("go on"))
    assert(agent:flush())
    assert.equal(52, #backend:load("s"))
    assert.is_nil(disk.read(file):find("\r", 1, true))
    -- Cut off it is still corrupt, as long as anything is missing.
    for length = 0, #bytes - 3, full and 1 or 61 do
      assert_corrupt(bytes:sub(1, length), length)
    end
  end)

  it("in another encoding is corrupt", function()
    local wide = valid:gsub(".", "%0\0")
    assert_corrupt(wide, "UTF-16, little end first")
    assert_corrupt("\xff\xfe" .. wide, "with its mark")
    assert_corrupt("\0" .. wide:sub(1, -2), "big end first")
    assert_corrupt("\u{feff}" .. valid, "UTF-8 with a mark")
    local latin = valid:gsub("ü", "\xfc"):gsub("ß", "\xdf")
    assert.not_equal(valid, latin)
    assert_corrupt(latin, "Latin-1")
    assert_corrupt("\x1f\x8b\x08\0\0\0\0\0\0\3" .. valid, "gzip's mark")
    assert_corrupt("<<<<<<< ours\n" .. valid .. "=======\n" .. newer
      .. ">>>>>>> theirs\n", "a merge's marks")
  end)

  it("with the files of editors beside it is not disturbed", function()
    local names = { "s.json~", "s.json.bak", ".s.json.swp", "#s.json#",
      "s.json.orig", "s (1).json", "s.json.tmp", "S.JSON", "s.json.json.",
      "Thumbs.db", ".DS_Store", ".json", "..json", "s.json.corrupt-",
      "s.sync-conflict-20261122-093000-ABCDEFG.json", "4913",
      ".tmp-0123456789abcdef", "Icon\r", "\u{fc}.json", "\xff.json" }
    put(valid)
    for i, name in ipairs(names) do
      disk.write(directory .. "/" .. name, "not ours " .. i)
    end
    local before = disk.tree(directory, directory .. "/.lock")
    before[file] = nil
    assert.same({ "s" }, (backend:list()))
    local agent <close> = agent_on("s")
    assert(agent:ask("go on"))
    assert(agent:flush())
    assert.equal(52, #backend:load("s"))
    assert(agent:delete_session())
    assert.same({}, (backend:list()))
    local after = disk.tree(directory, directory .. "/.lock")
    assert.same(before, after)
    for _, name in ipairs(names) do os.remove(directory .. "/" .. name) end
  end)

  it("replaced by an editor's copy of it goes on", function()
    put(valid)
    local agent <close> = agent_on("s")
    assert.equal(50, #agent:get_history())
    -- As editors save: a new file, renamed over the old one.
    disk.write(file .. "~new", (valid:gsub("1: ", "One: ", 1)))
    assert(os.rename(file .. "~new", file))
    assert(agent:ask("go on"))
    assert(agent:flush())
    local stored = backend:load("s")
    assert.equal(52, #stored)
    assert.truthy(stored[1].content:find("^One: "))
    assert.equal("go on", stored[51].content)
  end)
end)

-- The recipes of ../shared, each applied to the 50 messages where that can
-- be done with bytes alone; the others have a spec of their own.
local recipes = {}

function recipes.truncate_each_byte()
  for length = 1, #valid - 1, full and 1 or 17 do
    assert_corrupt(valid:sub(1, length), length)
  end
end

function recipes.empty_file()
  assert_guarded("", "empty")
end

function recipes.zero_fill()
  assert_guarded(("\0"):rep(#valid), "zeros")
end

function recipes.zero_tail_4096()
  assert_guarded(valid:sub(1, -4097) .. ("\0"):rep(4096), "a tail of zeros")
end

function recipes.append_garbage(recipe)
  assert_guarded(valid .. recipe.bytes:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end), "garbage")
end

function recipes.flip_each_bit()
  for at = 1, #valid, full and 1 or 29 do
    for bit = 0, 7 do
      assert_no_less(flipped(valid, at, bit), at, messages)
    end
  end
end

function recipes.swap_blocks()
  for i = 0, #valid // BLOCK - 2 do
    assert_corrupt(with_block(with_block(valid, i, block(valid, i + 1)),
      i + 1, block(valid, i)), i)
  end
end

function recipes.bom_prefix()
  assert_guarded("\u{feff}" .. valid, "a byte order mark")
end

-- Each of our members, with each of the values: an error, or the messages.
function recipes.field_types(recipe)
  for field, now in pairs { version = "1", id = '"s"',
    metadata = valid:match('"metadata": (%b{})'),
    checksum = valid:match('"checksum": ("[^"]*")') } do
    for _, value in ipairs(recipe.values) do
      local from = ('"%s": %s'):format(field, now)
      local at, to = assert(valid:find(from, 1, true))
      assert_no_less(valid:sub(1, at - 1) .. ('"%s": %s'):format(field, value)
        .. valid:sub(to + 1), field .. " = " .. value, messages)
    end
  end
end

function recipes.version_future()
  local list, err = load((valid:gsub('"version": 1', '"version": 999')))
  assert.is_nil(list)
  assert.equal("version_too_new", err.code)
end

function recipes.id_mismatch()
  assert_guarded((valid:gsub('"id": "s"', '"id": "b"', 1)), "another's")
end

function recipes.dup_keys()
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
  setup(function()
    root = disk.temp()
    directory = root .. "/sessions"
    file = directory .. "/s.json"
    backend = deepagent.file_backend { path = directory, durable = false }
    make_session()
  end)
  teardown(function() disk.remove(root) end)
  before_each(function()
    counts = { total = 0, refused = 0, agents = 0 }
  end)

  for _, recipe in ipairs(list) do
    local op = recipe.op
    it(op, function()
      if op:find("^crypt:") then
        return pending("sessions are not stored encrypted or compressed")
      end
      local spec = elsewhere[op] or op:find("^fs:") and "file_objects_spec.lua"
      if spec then
        local text = assert(disk.read("spec/" .. spec))
        return assert.truthy(text:find(op:gsub("^fs:", ""), 1, true), spec)
      end
      assert(recipes[op], "a recipe that is not known")(recipe)
    end)
  end
end)
