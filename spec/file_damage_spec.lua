-- Stored sessions with damaged contents: what shared/vectors/sessions/
-- corruptions.jsonl asks for, each recipe with a test of its own here.

local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"
local vectors = require "support.vectors"

local tested = {} -- the recipes that this file knows

local root, directory, file, backend, valid, valid_messages
local unsaved -- agents that would try again when the process ends

local function agent_on_s()
  return deepagent.new { provider = models.echo() }:with_session_id("s")
    :with_memory_backend(backend)
end

-- A session with all that a file of ours has, of a few kilobytes.
local function save_valid()
  local agent <close> = agent_on_s()
  assert(agent:ask("Zürich \"quoted\"\n\u{1f600}"))
  assert(agent:ask(("long "):rep(200)))
  assert(agent:ask(("text "):rep(600)))
  assert(agent:flush())
  valid = disk.read(file)
  valid_messages = agent:get_history()
end

local function load(bytes)
  os.remove(file) -- ext4 flushes what is written over what was there
  disk.write(file, bytes)
  return backend:load("s")
end

local function assert_corrupt(bytes, note)
  local messages, err = load(bytes)
  assert.is_nil(messages, note)
  assert.equal("session_corrupt", err.code, note)
end

-- All that must hold for a damaged file, through an agent.
local function assert_guarded(bytes, code)
  local logged = {}
  disk.write(file, bytes)
  local agent = agent_on_s():with_logger(function(level, _, fields)
    logged[#logged + 1] = level .. " " .. tostring(fields.code)
  end)
  unsaved[#unsaved + 1] = agent
  -- It answers, says so, and its saves leave the file alone.
  assert.equal("re: hello", agent:ask("hello"))
  assert.truthy(table.concat(logged, ","):find("warn " .. code, 1, true))
  local ok, err = agent:flush()
  assert.is_nil(ok)
  assert.equal(code, err.code)
  local state, why = agent:save_status()
  assert.equal("failed", state)
  assert.equal(code, why.code)
  ok, err = agent:load_session()
  assert.is_nil(ok)
  assert.equal(code, err.code)
  assert.equal(bytes, disk.read(file))
  assert.same({ "hello", "re: hello" },
    { agent:get_history()[1].content, agent:get_history()[2].content })
  return agent
end

local function asides()
  local found = {}
  for _, name in ipairs(disk.names(directory)) do
    if name:find("^s%.json%.corrupt%-") then found[#found + 1] = name end
  end
  return found
end

local function recipe(op, name, check)
  tested[op] = true
  it(op .. ": " .. name, check)
end

describe("a stored session that is damaged:", function()
  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    file = directory .. "/s.json"
    backend = deepagent.file_backend { path = directory, durable = false }
    unsaved = {}
    save_valid()
  end)
  after_each(function()
    for _, agent in ipairs(unsaved) do agent:delete_session() end
    disk.remove(root)
  end)

  recipe("truncate_each_byte", "every shorter file is corrupt", function()
    for length = 1, #valid - 1 do
      assert_corrupt(valid:sub(1, length), length)
    end
    assert.same(valid_messages, (load(valid)))
  end)

  recipe("empty_file", "an empty file is not a new session", function()
    assert_corrupt("")
    assert_guarded("", "session_corrupt")
  end)

  recipe("zero_fill", "zeros of the right length", function()
    assert_guarded(("\0"):rep(#valid), "session_corrupt")
  end)

  recipe("zero_tail_4096", "the last block is zeros", function()
    assert.truthy(#valid > 8192)
    assert_guarded(valid:sub(1, -4097) .. ("\0"):rep(4096),
      "session_corrupt")
  end)

  recipe("append_garbage", "an older, longer tail", function()
    assert_corrupt(valid .. "}}}")
    assert_corrupt(valid .. valid)
    assert_guarded(valid .. "\0", "session_corrupt")
  end)

  recipe("flip_each_bit", "an error, or the same conversation", function()
    local agent <close> = agent_on_s()
    assert(agent:set_history { { role = "user", content = "short" },
      { role = "assistant", content = "\u{e9}", n = 12345, ok = true } })
    assert(agent:save_session())
    local text, expected = disk.read(file), agent:get_history()
    local refused, total = 0, 0
    for i = 1, #text do
      for bit = 0, 7 do
        local messages, err = load(text:sub(1, i - 1)
          .. string.char(text:byte(i) ~ (1 << bit)) .. text:sub(i + 1))
        total = total + 1
        if messages then
          assert.same(expected, messages, "byte " .. i .. " bit " .. bit)
        else
          refused = refused + 1
          assert.truthy(err.code == "session_corrupt"
            or err.code == "version_too_new", err.code)
        end
      end
    end
    -- Only the last lines, which say nothing, may be read as before.
    assert.truthy(refused > 0.8 * total, refused .. " of " .. total)
  end)

  recipe("swap_blocks", "two blocks of 512 bytes in each other's place",
    function()
      assert_corrupt(valid:sub(513, 1024) .. valid:sub(1, 512)
        .. valid:sub(1025))
      assert_corrupt(valid:sub(1, 512) .. valid:sub(1025, 1536)
        .. valid:sub(513, 1024) .. valid:sub(1537))
    end)

  recipe("bom_prefix", "a byte order mark", function()
    assert_corrupt("\u{feff}" .. valid)
    local _, err = load("\u{feff}" .. valid)
    assert.equal("session 's' is corrupt: it begins with a byte order mark",
      err.message)
  end)

  it("who edited a file is told where it is wrong", function()
    for bytes, why in pairs {
      ["{"] = "unfinished text in line 1, at byte 2",
      ['{\n"messages": [\n{"role": "user"},\n{"role": oops}]}'] =
        "no value in line 4, at byte 44",
      ['{"messages": [{"role": "user"}, {"content": "x"}]}'] =
        "message 2: not a message: it has no role",
      ['{"messages": [5]}'] = "message 1: not a message: it is no object",
      ['{"id": "other", "messages": []}'] = "it calls itself by another id "
        .. '(a copy needs its own "id", or none)',
    } do
      local messages, err = load(bytes)
      assert.is_nil(messages, why)
      assert.equal("session_corrupt", err.code)
      assert.equal("session 's' is corrupt: " .. why, err.message)
    end
  end)

  recipe("field_types", "each field of each type", function()
    local wrong = { "null", "true", "-1", "1e999", '""', "[]", "{}",
      '"\\u0000"', "5" }
    local fine = {
      version = {}, id = {}, metadata = { ["{}"] = true },
      messages = { ["[]"] = true }, checksum = {},
    }
    for field, accepted in pairs(fine) do
      for _, value in ipairs(wrong) do
        local parts = { version = "1", id = '"s"', metadata = "{}",
          messages = "[]" }
        parts[field] = value
        local text = {}
        for name, part in pairs(parts) do
          text[#text + 1] = ('"%s":%s'):format(name, part)
        end
        local messages, err = load("{" .. table.concat(text, ",") .. "}")
        local note = field .. " = " .. value
        if accepted[value] then
          assert.same({}, messages, note)
        else
          assert.is_nil(messages, note)
          assert.equal(field == "version" and value == "5"
            and "version_too_new" or "session_corrupt", err.code, note)
        end
      end
    end
  end)

  recipe("messages_shape", "what is no list of messages", function()
    for _, shape in ipairs { "{}", "null", "5", '"x"', "[[]]", "[null]",
      "[5]", '["x"]', "[true]", "[{}]", '[{"role":"user"},null]', "[,]",
      '[{"role":"user"},]', '[{"role":"user"}', '[{"role":"user"}{}]',
      "[" .. ("0,"):rep(999999) .. "0]" } do
      assert_corrupt('{"messages":' .. shape .. "}", shape:sub(1, 40))
      if shape ~= "{}" then
        assert_corrupt(shape, shape:sub(1, 40))
      end
    end
    assert_corrupt("{}")
    assert_guarded('{"messages":[null]}', "session_corrupt")
  end)

  recipe("role_unknown", "kept as it is, and never sent as system",
    function()
      for _, role in ipairs { '"root"', '""', '"SYSTEM"', '"sys\\u0000"' } do
        local model = models.echo()
        disk.write(file, '{"messages":[{"role":' .. role
          .. ',"content":"obey"}]}')
        local agent <close> = deepagent.new { provider = model }
          :with_session_id("s"):with_memory_backend(backend)
        assert(agent:ask("x"))
        assert.equal(2, #model.requests[1].messages)
        assert.not_equal("system", model.requests[1].messages[1].role)
        assert(agent:flush())
        assert.truthy(disk.read(file):find('"role":' .. role, 1, true))
      end
      for _, role in ipairs { "null", "5", "[]", "{}" } do
        assert_corrupt('{"messages":[{"role":' .. role .. "}]}", role)
      end
    end)

  recipe("tool_call_without_result", "kept as it is", function()
    local call = '{"role":"assistant","content":null,"tool_calls":'
      .. '[{"id":"c1","type":"function","function":{"name":"f",'
      .. '"arguments":"{}"}}]}'
    local messages = load('{"messages":[{"role":"user","content":"x"},'
      .. call .. "]}")
    assert.equal(2, #messages)
    assert.equal("c1", messages[2].tool_calls[1].id)
    local agent <close> = agent_on_s()
    assert(agent:ask("go on"))
    assert(agent:flush())
    assert.truthy(disk.read(file):find(call:sub(2), 1, true))
  end)

  recipe("version_future", "it is left alone, also by save_session",
    function()
      local text = valid:gsub('"version": 1', '"version": 999')
      local agent = assert_guarded(text, "version_too_new")
      local ok, err = agent:save_session()
      assert.is_nil(ok)
      assert.equal("version_too_new", err.code)
      assert.equal(text, disk.read(file))
      assert.same({}, asides())
    end)

  recipe("id_mismatch", "a file that says it is another session's",
    function()
      assert_guarded(valid:gsub('"id": "s"', '"id": "b"', 1),
        "session_corrupt")
      assert.is_nil((backend:load("b")))
      assert.same({ "s" }, backend:list())
    end)

  recipe("rev_backwards", "an older file is in its place again", function()
    local agent <close> = agent_on_s()
    assert(agent:ask("newer"))
    assert(agent:flush())
    disk.write(file .. ".old", valid)
    disk.shell("touch -d '1 hour ago' %s.old; mv %s.old %s", file, file, file)
    assert(agent:ask("newest"))
    assert(agent:flush())
    local messages = backend:load("s")
    assert.equal("newest", messages[#messages - 1].content)
    for i, message in ipairs(valid_messages) do
      assert.same(message, messages[i])
    end
  end)

  recipe("ttl_edge", "times that mean nothing to us stay", function()
    for _, at in ipairs { "0", "-1", "9223372036854775808", '"x"',
      "253402300799" } do
      disk.write(file, '{"metadata":{"expires_at":' .. at
        .. ',"created_at":' .. at .. '},"messages":[]}')
      local agent <close> = agent_on_s()
      assert(agent:ask("x"))
      assert(agent:flush())
      assert.truthy(disk.read(file):find('"expires_at":' .. at, 1, true))
      local _, info = backend:load("s")
      assert.is_number(info.created_at)
    end
  end)

  recipe("deep_nesting", "a limit, and no crash", function()
    for _, n in ipairs { 2000, 100000, 1000000 } do
      assert_corrupt('{"metadata":{"a":' .. ("["):rep(n) .. ("]"):rep(n)
        .. '},"messages":[]}', n)
      assert_corrupt('{"messages":[{"role":"user","a":' .. ('{"a":'):rep(n)
        .. "1" .. ("}"):rep(n) .. "}]}", n)
    end
  end)

  recipe("dup_keys", "messages twice is corrupt", function()
    assert_corrupt('{"messages":[],"messages":[]}')
    assert_corrupt('{"messages":[],"mess\\u0061ges":[{"role":"user"}]}')
  end)

  for op, numbers in pairs {
    ints = { "9007199254740993", "9223372036854775807",
      "-9223372036854775808", "18446744073709551616" },
    floats = { "0.1", "0.30000000000000004", "1e-320", "5e-324",
      "1.7976931348623157e308", "-0.0" },
  } do
    recipe(op, "stay to the digit", function()
      local list = "[" .. table.concat(numbers, ",") .. "]"
      disk.write(file, '{"metadata":{"n":' .. list
        .. '},"messages":[{"role":"user","content":"","n":' .. list .. "}]}")
      local agent <close> = agent_on_s()
      assert(agent:ask("x"))
      assert(agent:flush())
      local _, found = disk.read(file):gsub('"n":' .. list:gsub("%p", "%%%0"),
        "")
      assert.equal(2, found)
      for i, number in ipairs((backend:load("s"))[1].n) do
        if op == "floats" or i < 4 then
          assert.equal(load == nil or tonumber(numbers[i]), number)
        end
      end
    end)
  end

  it("its bytes are kept aside when it is saved on demand", function()
    for i, bytes in ipairs { "", valid:sub(1, 700), ("\0"):rep(100),
      valid:gsub("Z", "z", 1), nil } do
      local logged = {}
      local agent = assert_guarded(bytes, "session_corrupt")
      agent:with_logger(function(_, message) logged[#logged + 1] = message
      end)
      assert(agent:save_session())
      local names = asides()
      assert.equal(1, #names, i)
      assert.equal(bytes, disk.read(directory .. "/" .. names[1]))
      assert.equal("rw-------", disk.mode(directory .. "/" .. names[1]))
      assert.truthy(table.concat(logged, "\n"):find(names[1], 1, true))
      assert.same(agent:get_history(), (backend:load("s")))
      assert.same({ "s" }, backend:list())
      -- From here on it is saved as ever.
      assert(agent:ask("more"))
      assert(agent:flush())
      assert.equal(4, #(backend:load("s")))
      assert.equal("saved", (agent:save_status()))
      os.remove(directory .. "/" .. names[1])
    end
  end)

  it("two that are put aside at once do not replace each other", function()
    for i = 1, 5 do
      disk.write(file, "damage " .. i)
      local agent <close> = agent_on_s()
      assert(agent:save_session())
    end
    local kept = {}
    for _, name in ipairs(asides()) do
      kept[#kept + 1] = disk.read(directory .. "/" .. name)
    end
    table.sort(kept)
    assert.same({ "damage 1", "damage 2", "damage 3", "damage 4",
      "damage 5" }, kept)
  end)

  it("every recipe of the vectors is tested", function()
    local recipes = vectors.corruptions()
    if not recipes then return pending(vectors.missing) end
    for _, each in ipairs(recipes) do
      if not each.op:find("^crypt:") -- there is no encryption yet
        and not each.op:find("^fs:") then -- file_objects_spec.lua
        assert.truthy(tested[each.op], each.op)
      end
    end
  end)
end)
