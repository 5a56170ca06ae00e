-- A stored session of 50 messages, damaged at each of its bytes, blocks and
-- lines; support/damage.lua says what must hold then. What happens to smaller
-- sessions of other kinds is in spec/file_damage_spec.lua; here is the mass.
-- In short runs the slower ways take a sample, DA_FULL=1 takes all.

local damage = require "support.damage"
local disk = require "support.disk"

local assert_corrupt, assert_guarded = damage.assert_corrupt,
  damage.assert_guarded
local assert_no_less, assert_untouched = damage.assert_no_less,
  damage.assert_untouched
local block, flipped, load = damage.block, damage.flipped, damage.load
local lines_of, same, swapped = damage.lines, damage.same, damage.swapped
local with_block, BLOCK, full = damage.with_block, damage.BLOCK, damage.full
local directory, file, backend, valid, messages, newer

describe("a stored session of 50 messages", function()
  setup(function()
    damage.setup()
    directory, file, backend = damage.directory, damage.file, damage.backend
    valid, messages, newer = damage.valid, damage.messages, damage.newer
  end)
  teardown(damage.teardown)
  before_each(damage.begin)
  after_each(damage.tell)

  it("loads as it was saved", function()
    assert.same(messages, (load(valid)))
    assert.equal(50, #messages)
    assert.same(damage.newer_messages, (load(newer)))
  end)

  it("cut off at each byte is corrupt", function()
    for length = 0, #valid - 1 do
      local bytes = valid:sub(1, length)
      assert_corrupt(bytes, length)
      assert_untouched(bytes, length)
    end
    assert.equal(#valid, damage.counts.states)
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
    assert.truthy(damage.counts.states - damage.counts.refused
      < (full and 8 or 1) * 120, damage.counts.refused)
    assert.truthy(damage.counts.refused > 0.9 * damage.counts.states)
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
    assert.truthy(damage.counts.refused > 0.9 * damage.counts.states)
  end)

  it("with a block of zeros at each place is corrupt", function()
    local zeros = ("\0"):rep(BLOCK)
    for i = 0, (#valid - 1) // BLOCK do
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
        assert_corrupt(swapped(valid, i, k), i .. " and " .. k)
      end
    end
    assert_guarded(swapped(valid, 1, 2), "an agent")
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
          damage.newer_messages)
        assert_no_less(valid:sub(1, at) .. newer:sub(at + 1), at, messages,
          damage.newer_messages)
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
    damage.put(table.concat(lines))
    local before = backend:load("s")
    assert.equal(51, #before)
    local agent <close> = damage.agent()
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
    local agent <close> = damage.agent()
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
    damage.put(valid)
    for i, name in ipairs(names) do
      disk.write(directory .. "/" .. name, "not ours " .. i)
    end
    local before = disk.tree(directory, directory .. "/.lock")
    before[file] = nil
    assert.same({ "s" }, (backend:list()))
    local agent <close> = damage.agent()
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
    damage.put(valid)
    local agent <close> = damage.agent()
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
