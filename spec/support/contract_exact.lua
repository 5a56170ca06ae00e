-- contract_exact.lua - the part of the stores' contract that is about bytes:
-- what a message or an id says comes back as it was. See contract.lua.

local assert = require "luassert"
local deepagent = require "deepagent"
local disk = require "support.disk"
local server = require "support.server"
local vectors = require "support.vectors"

local MIB = ("0123456789abcde\n"):rep(65536)

-- Texts of messages that Lua tables cannot say, each with a reason.
local raw = {
  [[{"role":"user","content":"","n":1e400}]], -- beyond a double
  [[{"role":"user","content":"","n":-0.0,"m":-0,"e":1E+2,"t":0.10}]],
  [[{"role":"user","content":"","n":123456789012345678901234567890}]],
  [[{"role":"user","content":"\ud800 \udc00\ud83d"}]], -- lone surrogates
  [[{"role":"user","content":"\u0000\u001f\/\u00e9\ud83d\ude00"}]],
  [[{"role":"user","content":null,"unknown":{"a":[],"b":{},"c":[{}]}}]],
  [[{"role":"user","content":"x","spaced" : [ 1 , 2 ]}]],
  [[{"role":"user","content":"","twice":1,"twice":2}]],
  [[{"role":"user","content":[{"type":"text","text":"part"}]}]],
  '{"role":"user","content":"' .. ("é"):rep(524288) .. '"}', -- 1 MiB
}

-- The texts as they are sent to a service, which has every byte.
local function as_sent(s, id)
  local service = server.start()
  local agent = deepagent.new { model = "m", base_url = service.url }
    :with_session_id(id):with_memory_backend(s.backend):with_auto_save(false)
  service:script({}, "echo")
  local answer, err = agent:ask("?")
  local request = service:requests()[1]
  service:stop()
  assert.is_nil(err)
  assert.is_string(answer)
  return request.body
end

local function contents(messages)
  local list = {}
  for i, message in ipairs(messages) do list[i] = message.content end
  return list
end

local function messages_of(texts)
  local list = {}
  for i, text in ipairs(texts) do
    list[i] = { role = "user", content = text }
  end
  return list
end

local function values(promise)
  promise("keeps strings with every byte that they may have", function(s)
    local texts = { "", "\0", "a\0b", "\r\n\t\b\f\v\x1f\x7f", '"\\/', "\u{0}",
      "\u{7ff}\u{ffff}\u{10ffff}", "\u{feff}bom", "\u{2028}\u{2029}", MIB }
    s:save("strings", messages_of(texts))
    assert.same(texts, contents(s:load("strings")))
  end)

  promise("keeps numbers exactly", function(s)
    local numbers = { 9007199254740993, math.maxinteger, math.mininteger, 0,
      -1, 0.0, -0.0, 0.1, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1e15,
      1e16, 2.0 ^ 53, -1.5 }
    s:save("numbers", { { role = "user", content = "", n = numbers } })
    local found = s:load("numbers")[1].n
    assert.equal(#numbers, #found)
    for i, number in ipairs(numbers) do
      assert.equal(math.type(number), math.type(found[i]), "number " .. i)
      assert.equal(string.pack("n", number), string.pack("n", found[i]))
      assert.equal(number, found[i])
    end
  end)

  promise("keeps empty arrays, empty objects, null and booleans",
    function(s)
      s:save("empty", { { role = "user", content = deepagent.null,
        list = deepagent.array {}, object = {}, yes = true, no = false,
        nested = { { deepagent.array {}, {}, deepagent.null } } } })
      for _ = 1, 3 do -- again through Lua tables
        local body = as_sent(s, "empty")
        assert.truthy(body:find('"content":null', 1, true))
        assert.truthy(body:find('"list":[]', 1, true))
        assert.truthy(body:find('"object":{}', 1, true))
        assert.truthy(body:find('"yes":true', 1, true))
        assert.truthy(body:find('"no":false', 1, true))
        assert.truthy(body:find('"nested":[[[],{},null]]', 1, true))
        s:save("empty", s:load("empty"))
      end
    end)

  promise("keeps the texts of messages to the byte", function(s)
    s:save("raw", raw)
    local body = as_sent(s, "raw")
    local with_json = {}
    for i, text in ipairs(raw) do with_json[i] = { json = text } end
    s:save("json", with_json)
    assert.equal(#body, #as_sent(s, "json"))
    for i, text in ipairs(raw) do
      assert.truthy(body:find(text, 1, true), "message " .. i)
    end
    -- Once more by an agent that has loaded and gone on.
    local agent <close> = s:agent("raw", true)
    assert(agent:ask("and?"))
    assert(agent:flush())
    body = as_sent(s, "raw")
    for i, text in ipairs(raw) do
      assert.truthy(body:find(text, 1, true), "message " .. i)
    end
    assert.truthy(body:find('"re: and?"', 1, true))
  end)

  promise("keeps a message of 1 MiB", function(s)
    local agent <close> = s:agent("large", true)
    assert(agent:ask(MIB))
    assert(agent:flush())
    local found = s:load("large")
    assert.equal(MIB, found[1].content)
    assert.equal("re: " .. MIB, found[2].content)
  end)
end

local function hostile(promise)
  promise("keeps the big list of naughty strings", function(s)
    local strings = vectors.naughty_strings()
    if not strings then return vectors.missing end
    assert.truthy(#strings > 500)
    s:save("naughty", messages_of(strings))
    assert.same(strings, contents(s:load("naughty")))
  end)

  promise("keeps valid UTF-8, and never gets any other", function(s)
    local cases = vectors.utf8_cases()
    if not cases then return vectors.missing end
    local texts = {}
    local agent <close> = s:agent("refused", true)
    for _, case in ipairs(cases) do
      if case.valid then
        texts[#texts + 1] = case.text
      else
        local answer, err = agent:ask(case.text)
        assert.is_nil(answer)
        assert.equal("invalid_utf8", err.code)
        assert.has_error(function()
          agent:set_history(messages_of { case.text })
        end)
      end
    end
    assert.same({}, agent:get_history())
    assert.truthy(#texts > 10)
    s:save("valid", messages_of(texts))
    assert.same(texts, contents(s:load("valid")))
    assert.same({ "valid" }, s:ids())
  end)
end

-- Ids of our own, so that the class is proven without the vectors.
local own_ids = {
  reject = { "", ".", "..", "../x", "a/b", "/etc/passwd", "a\0b", "a\nb",
    "\27[2J", "\x7f", "\xff", "\xc0\xaf", "\xed\xa0\x80", " a", "a ",
    ("x"):rep(201), ("x"):rep(4096), ("é"):rep(100), "a\u{85}b" },
  accept = { "a", "A", "ä", "%41", "%61", "a%2f..b", "CON", "con", "nul.txt",
    "a.json", ".hidden", "-rf", "~", "*", "$(id)", "a\\b", "C:x", "com1",
    "..a", "a.json.corrupt-1", ".tmp-1", ".lock", "x y", ("x"):rep(200),
    "\u{202e}gpj", "'; drop table x; --", "\u{c5}",
    "A\u{30a}" },
}

local function check_refused(s, id)
  local agent = s:agent("before")
  local ok, err = pcall(agent.with_session_id, agent, id)
  assert.is_false(ok)
  assert.truthy(tostring(err):find("invalid_session_id", 1, true))
  assert.equal("before", agent:get_session_id())
  ok, err = agent:delete_session(id)
  assert.is_nil(ok)
  assert.equal("invalid_session_id", err.code)
  local backend = s:own()
  for _, method in ipairs(backend and { "save", "load", "delete" } or {}) do
    ok, err = backend[method](backend, id, {})
    assert.is_nil(ok)
    assert.equal("invalid_session_id", err.code)
  end
end

-- Saves under each id that is not refused, then looks at all of them.
local function check_ids(s, ids)
  local inside = s.directory .. "/sessions"
  local outside = disk.tree(s.directory, inside)
  local accepted, seen = {}, {}
  for _, case in ipairs(ids) do
    local agent = s:agent("other")
    local ok = pcall(agent.with_session_id, agent, case.id)
    if case.policy == "reject" then
      assert.is_false(ok, ("%q"):format(case.id))
    elseif case.policy == "accept" then
      assert.is_true(ok, ("%q"):format(case.id))
    end
    if not ok then
      check_refused(s, case.id)
    elseif not seen[case.id] then -- the vectors have some twice
      seen[case.id] = true
      assert.equal(case.id, agent:get_session_id())
      accepted[#accepted + 1] = case.id
      s:save(case.id, messages_of { "of " .. case.id })
    end
  end
  for _, id in ipairs(accepted) do
    assert.same({ "of " .. id }, contents(s:load(id)))
  end
  table.sort(accepted)
  assert.same(accepted, s:ids())
  assert.same(outside, disk.tree(s.directory, inside))
  return accepted
end

local function ids(promise)
  promise("refuses ids that no store could keep, and keeps all others",
    function(s)
      local cases = {}
      for policy, list in pairs(own_ids) do
        for _, id in ipairs(list) do
          cases[#cases + 1] = { id = id, policy = policy }
        end
      end
      assert.equal(#own_ids.accept, #check_ids(s, cases))
    end)

  promise("refuses or keeps apart all session ids of the vectors",
    function(s)
      local cases = vectors.session_ids()
      if not cases then return vectors.missing end
      assert.equal(141, #cases)
      for _, id in ipairs(check_ids(s, cases)) do
        local agent <close> = s:agent("other")
        assert.is_true(agent:delete_session(id))
      end
      assert.same({}, s:ids())
    end)
end

return function(contract)
  values(contract.promise)
  hostile(contract.promise)
  ids(contract.promise)
end
