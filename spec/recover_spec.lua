-- What a session that cannot be read still holds, and what was put aside.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local models = require "support.models"

local root, directory, file, backend, valid, whole

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
  return lines
end

local function recover(bytes)
  disk.write(file, bytes)
  local messages, report = backend:recover("s")
  assert.equal(bytes, disk.read(file)) -- looking changes nothing
  return messages, report
end

-- Every one of `messages` is one of the whole session's, in its order.
local function assert_part_of(messages)
  local at = 0
  for _, message in ipairs(messages) do
    repeat at = at + 1 until not whole[at] or whole[at].id == message.id
    assert.same(whole[at], message)
  end
end

describe("recover", function()
  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    file = directory .. "/s.json"
    backend = deepagent.file_backend { path = directory, durable = false }
    local agent <close> = deepagent.new { provider = models.echo() }
      :with_session_id("s"):with_memory_backend(backend)
    for i = 1, 5 do
      assert(agent:ask("turn " .. i .. " {\"role\":\"user\"}, \u{e9}"))
    end
    assert(agent:flush())
    valid = disk.read(file)
    whole = agent:get_history()
  end)
  after_each(function() disk.remove(root) end)

  it("gives all of a session that is whole, and its info", function()
    local messages, report = recover(valid)
    assert.same(whole, messages)
    assert.is_true(report.intact)
    assert.is_nil(report.why)
    assert.same({}, report.dropped)
    assert.equal(#valid, report.bytes)
    assert.is_number(report.info.created_at)
  end)

  it("gives nil where nothing is stored", function()
    assert.is_nil((backend:recover("other")))
    assert.equal(1, select("#", backend:recover("other")))
  end)

  it("gives what stands before the place where a file is cut", function()
    local lines, upto, count = lines_of(valid), 0, 0
    for _, line in ipairs(lines) do
      local is_message = line:find('^    {"id"') ~= nil
      local messages, report =
        recover(valid:sub(1, math.max(0, upto + #line - 3)))
      assert.equal(count, #messages)
      assert_part_of(messages)
      assert.is_false(report.intact)
      assert.equal("session_corrupt", report.why.code)
      if is_message then
        count = count + 1
        assert.same({ { offset = upto + 4, bytes = #line - 7 } },
          report.dropped)
      end
      upto = upto + #line
    end
    assert.equal(10, count)
  end)

  it("goes on behind a message that is damaged", function()
    local lines = lines_of(valid)
    for i, line in ipairs(lines) do
      if line:find('^    {"id"') then
        local bad = table.move(lines, 1, #lines, 1, {})
        bad[i] = line:gsub("^(.........)..", "%1\0\0")
        local messages, report = recover(table.concat(bad))
        assert.equal(9, #messages)
        assert_part_of(messages)
        assert.equal(1, #report.dropped)
        local lost = report.dropped[1]
        assert.equal(line:gsub("^ +", ""):gsub(",?\n$", ""):sub(12),
          table.concat(bad):sub(lost.offset + 1, lost.offset + lost.bytes)
            :sub(12))
      end
    end
  end)

  it("does without the beginning of a file", function()
    local messages, report = recover(("\0"):rep(300) .. valid:sub(301))
    assert.truthy(#messages >= 8)
    assert_part_of(messages)
    assert.equal(0, report.dropped[1].offset)
    messages = recover(valid:sub(5))
    assert.same(whole, messages)
  end)

  it("gives a message once that stands there twice", function()
    local messages, report = recover(valid .. valid:sub(-900))
    assert.same(whole, messages)
    assert.truthy(report.doubles >= 3)
  end)

  it("takes no text inside a message for one", function()
    local lines = lines_of(valid)
    for i, line in ipairs(lines) do
      lines[i] = line:gsub('^    {"id"', '    {"id": {"role":"user"}, ')
    end
    assert.same({}, (recover(table.concat(lines))))
  end)

  it("reads files in one line, and the Go peer's", function()
    local messages, report = recover('[{"Role":"user","Content":"a"},'
      .. '{"Role":"assis\1tant","Content":"b"}, {"Role":"user",'
      .. '"Content":"c"}, 5, {"role":"user","content":"d"}')
    assert.equal(3, #messages)
    assert.same({ "a", "c", "d" }, { messages[1].content,
      messages[2].content, messages[3].content })
    assert.same({ { offset = 31, bytes = 35 }, { offset = 99, bytes = 1 } },
      report.dropped)
    messages = recover('{"messages":[{"role":"user","content":"x"},')
    assert.equal(1, #messages)
  end)

  it("says why what reads well is not loaded", function()
    for bytes, code in pairs {
      [valid:gsub("turn 3", "turn 4", 1)] = "session_corrupt",
      [valid:gsub('"id": "s"', '"id": "t"', 1)] = "session_corrupt",
      [valid:gsub('"version": 1', '"version": 9', 1)] = "version_too_new",
    } do
      local messages, report = recover(bytes)
      assert.equal(10, #messages)
      assert.same({}, report.dropped)
      assert.is_false(report.intact)
      assert.equal(code, report.why.code)
    end
  end)

  it("finds nothing in what is nothing", function()
    for _, bytes in ipairs { "", "\0\0\0", "[", "{", "{}", "[]]", "null",
      "{\n{\n{\n", ("["):rep(5000), ("{"):rep(5000), ('{"a":'):rep(5000),
      (",{\n"):rep(5000), ('[{"role":'):rep(3000) } do
      local messages = recover(bytes)
      assert.same({}, messages)
    end
  end)

  it("takes no message's metadata for the session's", function()
    local meta = '"metadata":{"of":"%s"}'
    local message = '\n{"role":"user","content":"a",' .. meta:format "message"
      .. '},\n{"role":"user",'
    for bytes, of in pairs {
      ["[" .. message] = false,
      [" \n[" .. message] = false,
      ['{"messages":[' .. message] = false,
      ['{"mess\1ages":[' .. message] = false,
      ["{" .. meta:format "session" .. ',"messages":[' .. message] = "session",
      ["{\1" .. meta:format "session" .. ',"mess\1ages":[' .. message] =
        "session",
    } do
      local messages, report = recover(bytes)
      assert.equal(1, #messages)
      assert.equal(of, report.info.of or false)
    end
  end)

  -- How much is read in vain shows by the last message: what comes when too
  -- much was is not looked at.
  it("reads no part of a file again and again", function()
    local last = '{"role":"user","content":"x"}'
    local function nested(bytes)
      return "[" .. ('{"a":['):rep(400) .. ("0,"):rep(bytes // 2) .. last
    end
    assert.equal(1, #recover(nested(1000)))
    local bytes = nested(8 << 20)
    local messages, report = recover(bytes)
    assert.same({}, messages)
    assert.same({ { offset = 1, bytes = #bytes - 1 } }, report.dropped)
    -- What is damaged time and again, but read only once, is no such case.
    messages, report = recover("[" .. ('{"a":"' .. ("b"):rep(1000) .. "\1\"},\n"
      .. last .. ",\n"):rep(8000))
    assert.equal(8000, #messages)
    assert.equal(8000, #report.dropped)
  end)

  it("tells of 10000 dropped places, the last of which has the others",
    function()
      local line = '{"role":"user","content":"x"},\n@,\n'
      for _, n in ipairs { 9999, 10000, 10001, 30000 } do
        local bytes = "[\n" .. line:rep(n)
        local messages, report = recover(bytes)
        local dropped = report.dropped
        assert.equal(n, #messages)
        assert.equal(math.min(n, 10000), #dropped)
        local last = dropped[#dropped]
        assert.equal(2 + math.min(n, 10000) * #line - 3, last.offset)
        assert.equal(#bytes - 2, last.offset + last.bytes)
      end
    end)

  it("refuses what is no session's file", function()
    os.remove(file)
    disk.shell("ln -s /etc/passwd %s", file)
    local messages, err = backend:recover("s")
    assert.is_nil(messages)
    assert.equal("unsafe_file", err.code)
    messages, err = backend:recover("")
    assert.is_nil(messages)
    assert.equal("invalid_session_id", err.code)
  end)

  it("works in any backend, and puts aside in some", function()
    local memory = deepagent.memory_backend()
    assert(memory:save("s", whole))
    local messages, report = memory:recover("s")
    assert.same(whole, messages)
    assert.is_true(report.intact)
    local list, err = memory:quarantined()
    assert.is_nil(list)
    assert.equal("unsupported", err.code)
    assert.equal("unsupported", select(2, memory:restore("x")).code)
    assert.equal("unsupported", select(2, memory:recover("s", "x")).code)
  end)
end)

describe("what was put aside", function()
  local function put_aside(id, bytes)
    local name = id:gsub("%u", function(c) return ("%%%x"):format(c:byte()) end)
    disk.write(directory .. "/" .. name .. ".json", bytes)
    return select(2,
      assert(backend:save(id, { { role = "user", content = "new" } })))
  end

  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    backend = deepagent.file_backend { path = directory }
    assert(backend:save("s", { { role = "user", content = "old" } }))
    valid = disk.read(directory .. "/s.json")
  end)
  after_each(function() disk.remove(root) end)

  it("is what a backend's own save would have written over", function()
    local kept = put_aside("s", "{ broken")
    local list = backend:quarantined()
    assert.equal(1, #list)
    assert.equal(list[1].name, kept)
    assert.equal(1, select("#", backend:save("s", { { role = "user",
      content = "new" } })))
    assert.equal("s", list[1].id)
    assert.equal(8, list[1].bytes)
    assert.truthy(math.abs(list[1].time - os.time()) < 60)
    assert.equal("{ broken", disk.read(directory .. "/" .. list[1].name))
    assert.equal("new", backend:load("s")[1].content)
    -- What is too new, or no file, is left alone.
    local newer = '{"version": 7, "messages": []}'
    disk.write(directory .. "/t.json", newer)
    local ok, err = backend:save("t", {})
    assert.is_nil(ok)
    assert.equal("version_too_new", err.code)
    assert.equal(newer, disk.read(directory .. "/t.json"))
  end)

  it("is listed for one session or for all, and nothing else", function()
    assert.same({}, backend:quarantined())
    put_aside("s", "{ broken")
    put_aside("T", "also broken")
    put_aside("s", "again")
    for _, name in ipairs { "s.json.corrupt-", "s.json.corrupt-x",
      "s.json.corrupt-20261122T093000Z-012G", "s.corrupt-20261122T093000Z-01",
      ".json.corrupt-20261122T093000Z-0123", "%41.json.corrupt-1",
      "A.json.corrupt-20261122T093000Z-0123", "s.json.corrupt-20261122T093000"
      .. "Z-0123.bak" } do
      disk.write(directory .. "/" .. name, "")
    end
    disk.shell("mkdir %s/s.json.corrupt-20261122T093000Z-0123", directory)
    local count = {}
    for _, item in ipairs(backend:quarantined()) do
      count[item.id] = (count[item.id] or 0) + 1
    end
    assert.same({ s = 2, T = 1 }, count)
    assert.equal(2, #backend:quarantined("s"))
    assert.equal(0, #backend:quarantined("other"))
    assert.equal("invalid_session_id",
      select(2, backend:quarantined("..")).code)
    assert.same({}, deepagent.file_backend { path = root .. "/none" }
      :quarantined())
  end)

  it("may be of a session whose id looks like such a name", function()
    local id = "a.json.corrupt-20261122T093000Z-0123"
    put_aside("a.corrupt-b", "{ broken")
    put_aside(id, "{ broken")
    assert.equal(1, #backend:quarantined("a.corrupt-b"))
    assert.equal(1, #backend:quarantined(id))
    assert.same({}, backend:quarantined("a"))
    assert.equal(2, #backend:quarantined())
    assert.is_true(backend:restore(backend:quarantined(id)[1].name))
    assert.equal("session_corrupt", select(2, backend:load(id)).code)
  end)

  it("can be looked into", function()
    put_aside("s", valid:sub(1, -20))
    local name = backend:quarantined()[1].name
    local messages, report = backend:recover("s", name)
    assert.equal("old", messages[1].content)
    assert.is_false(report.intact)
    assert.is_nil((backend:recover("s", "s.json")))
    assert.is_nil((backend:recover("s", "../sessions/" .. name)))
    assert.equal(1, select("#", backend:recover("s", name .. "\0")))
    assert.is_nil((backend:recover("s", name .. "\0x")))
  end)

  it("changes places with what is stored when it is restored", function()
    put_aside("s", valid:sub(1, -20))
    local name = backend:quarantined()[1].name
    assert.is_true(backend:restore(name))
    assert.equal(valid:sub(1, -20), disk.read(directory .. "/s.json"))
    assert.equal("new", backend:recover("s", name)[1].content)
    assert.is_true(backend:restore(name))
    assert.equal("new", backend:load("s")[1].content)
    -- Where nothing is stored it just goes back.
    assert(backend:delete("s"))
    assert.is_true(backend:restore(name))
    assert.same({}, backend:quarantined())
    assert.equal("session_corrupt", select(2, backend:load("s")).code)
  end)

  it("is restored from the names of its kind only", function()
    disk.write(root .. "/outside", "x")
    put_aside("s", "{ broken")
    local aside = backend:quarantined()[1].name
    valid = disk.read(directory .. "/s.json")
    for _, name in ipairs { aside .. "\0", aside .. "\0x",
      "", "s.json", "../outside", "/etc/passwd", ".lock",
      "s.json.corrupt-20261122T093000Z-0123" } do
      local ok, err = backend:restore(name)
      assert.is_nil(ok)
      assert.equal("not_found", err.code)
    end
    disk.shell("ln -s %s/outside %s/s.json.corrupt-20261122T093000Z-0123",
      root, directory)
    local ok, err = backend:restore("s.json.corrupt-20261122T093000Z-0123")
    assert.is_nil(ok)
    assert.equal("unsafe_file", err.code)
    assert.equal(valid, disk.read(directory .. "/s.json"))
  end)

  it("is told of, and counted", function()
    local logged = {}
    disk.write(directory .. "/s.json", "{ broken")
    local agent <close> = deepagent.new { provider = models.echo() }
      :with_session_id("s"):with_memory_backend(backend)
      :with_logger(function(_, message) logged[#logged + 1] = message end)
    assert(agent:ask("x"))
    assert(agent:save_session())
    assert.equal(1, select(3, agent:save_status()).quarantines)
    assert.truthy(table.concat(logged, "\n"):find(
      backend:quarantined()[1].name, 1, true))
  end)
end)

describe("a temporary file of a dead writer", function()
  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    backend = deepagent.file_backend { path = directory }
    assert(backend:save("s", { { role = "user", content = "x" } }))
    disk.write(directory .. "/.tmp-0123456789abcdef-0123456789abcdef", "half")
    disk.write(directory .. "/.tmp-mine", "not ours")
  end)
  after_each(function() disk.remove(root) end)

  for what, script in pairs {
    ["the first load"] = 'assert(backend:load "s")',
    ["the first load of a session that is not there"] =
      'assert(not backend:load "t")',
    ["the first save"] = 'assert(backend:save("t", {}))',
  } do
    it("goes with " .. what .. " of another process", function()
      assert.equal("", (child.run([[
        local backend = require "deepagent".file_backend { path = arg[1] }
        ]] .. script, { args = { directory } })))
      local names = {}
      for _, name in ipairs(disk.names(directory)) do
        if name:find("^%.") then names[#names + 1] = name end
      end
      assert.same({ ".lock", ".tmp-mine" }, names)
    end)
  end

  it("is no concern of who only reads where nobody wrote", function()
    disk.shell("mkdir %s/other; cp %s/s.json %s/other/", root, directory,
      root)
    assert.equal("", (child.run([[
      local backend = require "deepagent".file_backend { path = arg[1] }
      assert(backend:load "s")]], { args = { root .. "/other" } })))
    assert.same({ "s.json" }, disk.names(root .. "/other"))
  end)
end)
