-- Questions of several parts: what the service is sent, that a stored session
-- keeps them to the byte, and each way to fail. What bytes are, and which
-- files are read, is in c/test_part.c.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local json = require "dkjson"
local mime = require "mime"
local test_server = require "support.server"

local PNG = "\x89PNG\r\n\x1a\n" .. ("\0\1\2\3"):rep(100)
local WAV = "RIFF\4\0\0\0WAVEfmt "
local PDF = "%PDF-1.7\n\xe2\xe3\xcf\xd3\n"

local function data_url(type, bytes)
  return ("data:%s;base64,%s"):format(type, (mime.b64(bytes)))
end

local function image_part(bytes, detail)
  return { type = "image_url", image_url = {
    url = data_url("image/png", bytes), detail = detail } }
end

local function complaint(f, ...)
  local ok, why = pcall(f, ...)
  assert.is_false(ok, "it is accepted")
  assert.is_string(why)
  return why
end

local function fails(code, part, err)
  assert.is_nil(part)
  assert.equal(code, err.code, tostring(err))
  return err
end

describe("a part", function()
  local root
  before_each(function() root = disk.temp() end)
  after_each(function() disk.remove(root) end)

  local function file(name, bytes)
    disk.write(root .. "/" .. name, bytes)
    return root .. "/" .. name
  end

  it("is a table as the protocol has it #smoke", function()
    assert.same(image_part(PNG), deepagent.image(file("a.txt", PNG)))
    assert.same(image_part(PNG), deepagent.image { data = PNG })
    assert.same(image_part(PNG, "low"),
      deepagent.image(root .. "/a.txt", { detail = "low" }))
    assert.same(image_part(PNG, "low"),
      deepagent.image { path = root .. "/a.txt", detail = "low" })
    assert.same({ type = "image_url", image_url = { url = "https://x/y",
      detail = "high" } },
      deepagent.image_url("https://x/y", { detail = "high" }))
    assert.same({ type = "input_audio", input_audio = {
      data = (mime.b64(WAV)), format = "wav" } },
      deepagent.audio(file("a.mp3", WAV)))
    assert.same({ type = "file", file = { filename = "a.pdf",
      file_data = data_url("application/pdf", PDF) } },
      deepagent.file(file("a.pdf", PDF)))
    assert.same({ type = "file", file = { filename = "b",
      file_data = data_url("text/csv", "1,2") } },
      deepagent.file { data = "1,2", name = "b", type = "text/csv" })
    assert.same({ type = "file", file = { file_id = "file-1" } },
      deepagent.file { id = "file-1" })
  end)

  it("has all its bytes, however many", function()
    local bytes = {}
    for i = 1, 300 do bytes[i] = string.char((i * 97 + i // 7) % 256) end
    bytes = table.concat(bytes)
    local function whole(s)
      assert.equal(data_url("image/x", s),
        deepagent.image { data = s, type = "image/x" }.image_url.url)
    end
    for n = 1, 100 do whole(bytes:sub(1, n)) end
    local large = bytes:rep(1000)
    whole(large)
    assert.equal(data_url("image/x", large), deepagent.image(
      file("large", large), { type = "image/x" }).image_url.url)
  end)

  it("is nil, err where it cannot be made", function()
    local image = deepagent.image
    local err = fails("not_found", image(root .. "/none.png"))
    assert.truthy(err.message:find("none.png", 1, true))
    fails("unsafe_file", image(root))
    fails("unsafe_file", image "/dev/zero")
    disk.shell("mkfifo %s/fifo", root)
    fails("unsafe_file", image(root .. "/fifo"))
    err = fails("unsupported", image(file("text.png", "no image")))
    assert.truthy(err.message:find("text/plain", 1, true))
    fails("unsupported", deepagent.audio { data = PNG })
    fails("too_large", image { data = PNG, max_bytes = #PNG - 1 })
    assert(image { data = PNG, max_bytes = #PNG })
    fails("too_large", deepagent.file { data = ("x"):rep((20 << 20) + 1) })
    fails("invalid_argument", image(file("empty.png", "")))
    fails("invalid_argument", image(root .. "/a\0b"))
    fails("invalid_argument", image { data = PNG, detail = "a b" })
    fails("invalid_argument", image { data = PNG, detail = "low\0" })
    fails("invalid_argument", image { data = PNG, type = "text/plain" })
    fails("invalid_argument", deepagent.file { data = "x", name = "a\r\nb" })
    fails("invalid_argument", deepagent.file { id = "" })
    for _, url in ipairs { "", "x.png", "file:///etc/passwd",
      "https://x/\r\nHost: y", "https://x/\0", "https://\xff/" } do
      fails("invalid_url", deepagent.image_url(url))
    end
  end)

  it("cannot be read where the file's mode forbids it", function()
    local words = child.respecting_modes()
    if not words then return pending "root ignores modes here" end
    local secret = file("secret.png", PNG)
    disk.shell("chmod 000 %s", secret)
    local output = child.run([[
      local part, err = require "deepagent".image(arg[1])
      print(part, err.code)]], { args = { secret }, before = words })
    assert.equal("nil\tpermission_denied\n", output)
  end)

  it("raises for arguments of the wrong type", function()
    local call = deepagent
    for expected, f in pairs {
      ["string or table expected"] = function() call.image() end,
      ["string or table expected, got number"] = function()
        call.audio(5) end,
      ["either a path or data is needed"] = function() call.image {} end,
      ["either a path or data"] = function()
        call.audio { path = "x", data = "y" } end,
      ["either a path, data or an id"] = function()
        call.file { data = "x", id = "y" } end,
      ["unknown option 'detial'"] = function()
        call.image("x", { detial = "low" }) end,
      ["unknown option 'path'"] = function()
        call.image("x", { path = "y" }) end,
      ["unknown option 'detail'"] = function()
        call.audio { data = WAV, detail = "low" } end,
      ["unknown option '1'"] = function() call.file { "x" } end,
      ["data must be a string"] = function() call.file { data = 5 } end,
      ["name must be a string"] = function()
        call.file { data = "x", name = {} } end,
      ["max_bytes must be a positive integer"] = function()
        call.image { data = PNG, max_bytes = 0 } end,
      ["options are given twice"] = function()
        call.image({ data = PNG }, { detail = "low" }) end,
      ["table expected, got string"] = function()
        call.image("x", "low") end,
      ["string expected"] = function() call.image_url { "https://x" } end,
    } do
      local why = complaint(f)
      assert.truthy(why:find(expected, 1, true), why)
    end
  end)
end)

describe("a question of parts", function()
  local server, root
  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    root = disk.temp()
    server:reset()
    server:script({}, "echo")
  end)
  after_each(function() disk.remove(root) end)

  local function agent(options)
    options = options or {}
    options.base_url, options.model = server.url, "m"
    return deepagent.new(options)
  end

  local function sent(i)
    return json.decode(server:requests()[i].body).messages
  end

  -- The text of the last message of request i, from its content on.
  local function text_sent(i)
    return server:requests()[i].body:match '.*"content":(%b[])'
  end

  local function stored(id)
    return disk.read(("%s/%s.json"):format(root, id))
  end

  it("reaches the service as it expects it #smoke", function()
    local answer = assert(agent():ask { "What is this?",
      deepagent.image { data = PNG, detail = "low" },
      deepagent.image_url "https://example.com/cat.jpg",
      deepagent.audio { data = WAV },
      deepagent.file { data = PDF, name = "a.pdf" },
      { type = "text", text = " And this?", cache_control = {
        type = "ephemeral" } } })
    assert.equal("echo: What is this? And this?", answer)
    local message = sent(1)[1]
    assert.equal("user", message.role)
    assert.is_nil(message.id)
    assert.same({
      { type = "text", text = "What is this?" },
      image_part(PNG, "low"),
      { type = "image_url",
        image_url = { url = "https://example.com/cat.jpg" } },
      { type = "input_audio", input_audio = { data = (mime.b64(WAV)),
        format = "wav" } },
      { type = "file", file = { filename = "a.pdf",
        file_data = data_url("application/pdf", PDF) } },
      { type = "text", text = " And this?",
        cache_control = { type = "ephemeral" } },
    }, setmetatable(message.content, nil))
  end)

  it("can be streamed, and asked again", function()
    local pieces = {}
    local question = { "one two", deepagent.image { data = PNG } }
    local a = agent { memory = true }
    assert.equal("echo: one two", a:stream(question, function(delta)
      pieces[#pieces + 1] = delta
    end))
    assert.truthy(#pieces > 1)
    assert(a:ask(question))
    assert.equal(3, #sent(2))
    assert.same(sent(2)[1].content, sent(2)[3].content)
    assert.truthy(server:requests()[1].body:find('"stream":true', 1, true))
  end)

  it("is the same text each time", function()
    local function question()
      return { "x", deepagent.image { data = PNG, detail = "low" },
        deepagent.file { data = PDF, name = "a.pdf" } }
    end
    local a = agent()
    for _ = 1, 5 do assert(a:ask(question())) end
    -- Also where keys happen to lie otherwise in a table.
    local part = {}
    for i = 1, 50 do part["x" .. i] = i end
    for i = 1, 50 do part["x" .. i] = nil end
    part.image_url, part.type = { detail = "low",
      url = data_url("image/png", PNG) }, "image_url"
    assert(a:ask { "x", part, question()[3] })
    local first = text_sent(1)
    assert.equal('[{"type":"text","text":"x"},{"type":"image_url",'
      .. '"image_url":{"detail":"low","url":"' .. data_url("image/png", PNG)
      .. '"}},{"type":"file","file":{"file_data":"'
      .. data_url("application/pdf", PDF) .. '","filename":"a.pdf"}}]', first)
    for i = 2, 6 do assert.equal(first, text_sent(i)) end
  end)

  it("survives a save, to the byte, into a second process", function()
    local store = deepagent.file_backend { path = root }
    local a = agent { session_id = "s", memory_backend = store }
    assert(a:ask { "What is this?", deepagent.image { data = PNG } })
    assert(a:ask "And?")
    local content = text_sent(1)
    assert(a:close())
    assert.truthy(stored("s"):find(content, 1, true))
    local output, status = child.run([[
      local deepagent = require "deepagent"
      local a = deepagent.new { base_url = arg[1], model = "m",
        session_id = "s",
        memory_backend = deepagent.file_backend { path = arg[2] } }
      local history = assert(a:get_history())
      print(#history, history[1].content[1].text,
        history[1].content[2].image_url.url)
      print(a:ask "Still there?")
      assert(a:close())]], { args = { server.url, root } })
    assert.equal(("4\tWhat is this?\t%s\necho: Still there?\n")
      :format(data_url("image/png", PNG)), output)
    assert.equal(0, status)
    -- What the second process sent and stored is what the first one did.
    assert.truthy(server:requests()[3].body:find(content, 1, true))
    assert.truthy(stored("s"):find(content, 1, true))
  end)

  it("goes through get_history and set_history", function()
    local a = agent { memory = true }
    local question = { "x", deepagent.image { data = PNG, detail = "low" } }
    assert(a:ask(question))
    local b = agent { memory = true }
    assert(b:set_history(a:get_history()))
    assert.same(a:get_history(), b:get_history())
    assert(b:ask "more")
    assert.truthy(server:requests()[2].body:find(text_sent(1), 1, true))
    -- What was read can be asked again, too.
    assert(b:ask(a:get_history()[1].content))
    assert.equal(text_sent(1), text_sent(3))
  end)

  it("counts as one message in a limited history", function()
    local a = agent { memory = true, max_history = 3 }
    for i = 1, 3 do
      assert(a:ask { "q" .. i, deepagent.image { data = PNG } })
    end
    local messages = sent(3)
    assert.equal(3, #messages)
    assert.equal("q2", messages[1].content[1].text)
    assert.equal("q3", messages[3].content[1].text)
  end)

  it("reaches a provider in Lua as a list", function()
    local seen
    local a = deepagent.new { provider = { complete = function(_, request)
      seen = request.messages[1].content
      return "fine"
    end } }
    assert.equal("fine", a:ask { "x", deepagent.image { data = PNG } })
    assert.same({ type = "text", text = "x" }, seen[1])
    assert.same(image_part(PNG), seen[2])
  end)

  it("is refused beyond the limit of messages, before anything is sent",
    function()
      local logged = {}
      local a = agent { memory = true, limits = { message = 500 },
        logger = function(level, message)
          logged[#logged + 1] = level .. ": " .. message
        end }
      for _ = 1, 2 do
        local err = fails("too_large",
          a:ask { "x", deepagent.image { data = PNG:rep(2) } })
        assert.truthy(err.message:find("500 bytes", 1, true))
      end
      assert.truthy(logged[1]:find("^warn: the turn failed"))
      fails("too_large", a:ask { ("x"):rep(500) })
      fails("invalid_utf8", a:ask { "a\xff" })
      -- {"role":"user","content":[{"type":"text","text":""}]}: 53 bytes
      fails("too_large", a:ask { ("x"):rep(448) })
      assert.same({}, server:requests())
      assert.same({}, a:get_history())
      assert(a:ask { ("x"):rep(447) })
    end)

  it("leaves no trace where the turn fails", function()
    local a = agent { memory = true }
    server:script { { status = 400, json = { error = { message = "no" } } } }
    fails("bad_request", a:ask { "x", deepagent.image { data = PNG } })
    assert.same({}, a:get_history())
    assert(a:close())
    fails("closed", a:ask { "x" })
  end)

  it("raises for what is no list of parts, and says which", function()
    local a = deepagent.offline { memory = true }
    local part = deepagent.image { data = PNG }
    for expected, question in pairs {
      ["part 2 is missing: not_found: /none/x.png"] = {
        "x", deepagent.image "/none/x.png" },
      ["part 2 is nil, neither a string nor a part"] = { "x", nil, part },
      ["part 1 is nil"] = { nil, part },
      ["part 2 is nil, neither a string"] = { "x", nil, "y" },
      ["part 2 is a number"] = { "x", 5 },
      ["part 1 is a boolean"] = { true },
      ["part 2 has no type"] = { "x", {} },
      ["part 1 has no type"] = { { type = 5 } },
      ["part 2 cannot be JSON: a string is not valid UTF-8"] = {
        "x", { type = "text", text = "\xff" } },
      ["part 1 cannot be JSON: function"] = { { type = "x", f = print } },
      ["a list of strings and parts expected"] = part,
      ["list of strings and parts"] = {},
      ["list of strings"] = { role = "user", content = "x" },
      ["of strings and parts"] = { "x", detail = "low" },
      ["strings and parts expected"] = { [1.5] = "x" },
    } do
      for _, verb in ipairs { "ask", "stream" } do
        local why = complaint(a[verb], a, question)
        assert.truthy(why:find(expected, 1, true), why)
        assert.truthy(why:find("bad argument", 1, true), why)
      end
    end
    for _, question in ipairs { 5, true, print } do
      assert.truthy(complaint(a.ask, a, question):find("string or table",
        1, true))
    end
    assert.truthy(complaint(a.ask, a):find("string or table", 1, true))
    assert.same({}, a:get_history())
    assert(a:ask { "still there?" }) -- and not busy
  end)
end)
