-- A canary for a key: whatever happens, it is in no file, log, error or other
-- output of the program, and in no request to another host. In each program
-- below it is carried in another way; all of them live through the same.

local answers = require "support.answers"
local child = require "support.child"
local disk = require "support.disk"
local json = require "dkjson"
local test_server = require "support.server"

local KEY = "sk-canary-9f3b1c-0123456789abcdef"

-- Lua that makes an agent of `d`, `url`, `origin`, `key` and `options`.
local ways = {
  ["a key"] = "d.openai('m', with { api_key = key, base_url = url })",
  ["a key of another service"] =
    "d.groq('m', with { api_key = key, base_url = url })",
  ["an unknown service's key"] =
    "d.new(with { model = 'm', api_key = key, base_url = url })",
  ["a key in the environment"] = "d.mistral('m', with { base_url = url })",
  ["Azure's api-key"] = "d.azure('m', with { api_key = key, "
    .. "endpoint = origin, api_version = '2024-10-21' })",
  ["Azure's token"] =
    "d.azure('m', with { token = key, endpoint = origin })",
  ["a header Authorization"] = "d.new(with { model = 'm', base_url = url })"
    .. ":with_header('Authorization', 'Bearer ' .. key)",
  ["credentials of another kind"] = "d.new(with { model = 'm', "
    .. "base_url = url, headers = { AUTHORIZATION = 'Custom  ' .. key } })",
  ["a header x-api-key"] = "d.new(with { model = 'm', base_url = url, "
    .. "headers = { ['x-api-key'] = key } })",
  ["a base URL's query"] = "d.new(with { model = 'm', base_url = url .. "
    .. "'?a=b&code=' .. key })",
  ["a proxy's password"] = "d.new(with { model = 'm', base_url = url, "
    .. "proxy = 'http://user:' .. key .. '@127.0.0.1:' .. port })",
}

local PROGRAM = [==[
local d = require "deepagent"
local key, origin, port = os.getenv "MISTRAL_API_KEY", arg[1], arg[2]
local url = origin .. "/v1"
warn "@on"

-- All that can be found from a value on.
local seen = {}
local function show(value)
  print(type(value), tostring(value))
  if seen[value] or value == nil then return end
  seen[value] = true
  if type(value) == "table" then
    for k, v in next, value do
      show(k)
      show(v)
    end
  elseif type(value) == "userdata" then
    for i = 1, 20 do
      local v, there = debug.getuservalue(value, i)
      if not there then break end
      show(v)
    end
  end
  local meta = debug.getmetatable(value)
  if meta and type(value) ~= "string" then show(meta) end
end

local function with(options)
  options.logger = function(...) show { ... } end
  options.session_id = "s"
  return options
end

local a = WAY
if a.with_retry then a:with_retry { max = 0 } end
show(a)
show(a:clone())
show(d)
show(package.loaded["deepagent.core"])
show(debug.getregistry()["deepagent.agent"])

for i = 1, tonumber(arg[3]) do
  if i % 2 == 0 then
    show { a:stream("hi " .. i, function() return nil end) }
  else
    show { a:ask("hi " .. i) }
  end
  show { a:get_history() }
  show { a:last() }
  show { a:usage() }
  show { a:save_status() }
end
show { a:clone():ask("hi") }

-- What is wrong with an argument is told without it.
for _, f in ipairs {
  function() d.openai("m", { api_key = key .. "\n" }) end,
  function() d.openai("m", { api_key = key .. " x" }):ask("hi") end,
  function() d.openai("m", { key }) end,
  function() d.ollama("m", key) end,
  function() d.openai("m", { organization = key .. "\r" }) end,
  function() d.openai("m", { base_url = "https://" .. key .. "@h" }) end,
  function() d.openai("m", { base_url = "http://h/" .. key }) end,
  function() d.openai("m", { base_url = key }) end,
  function() d.openai("m", { proxy = "ftp://" .. key }) end,
  function() d.openai("m", { proxy = "http://a:" .. key .. "@h/x" }) end,
  function() d.azure("m", { endpoint = "http://h/" .. key }) end,
  function() d.azure("m", { endpoint = origin, token = key .. "\n" }) end,
  function() d.azure("m", { endpoint = origin, api_version = key .. "?" }) end,
  function() a:with_header("X", key .. "\n") end,
  function() a:with_header(key .. "\n", "x") end,
  function() a:with_header("Host", key) end,
  function() a:with_temperature(key) end,
  function() a:with_extra(key) end,
  function() a:with_logger(key) end,
} do
  local ok, why = pcall(f)
  print(ok)
  show(why)
end
show(a)
show { a:close() }
show(a)
print "the end"
]==]

describe("a canary is seen by nobody: carried as", function()
  local server, other

  setup(function()
    server, other = test_server.start(), test_server.start()
  end)
  teardown(function()
    server:stop()
    other:stop()
  end)
  before_each(function()
    server:reset()
    other:reset()
  end)

  local function redirect(status)
    return { status = status, body = KEY, headers = {
      Location = other.url .. "/chat/completions?key=" .. KEY,
      ["X-Request-Id"] = KEY, ["Set-Cookie"] = "k=" .. KEY } }
  end

  --- What a service may answer that has seen the key, and echoes it.
  local function script()
    local whole = json.encode({ error = { message = "no " .. KEY, code = KEY,
      type = "x " .. KEY .. " y" } })
    local named = answers.plain("fine", { headers = {
      ["X-Request-Id"] = "r " .. KEY } })
    named.json.model = KEY
    named.json.choices[1].finish_reason = "stop" -- 31 bytes are kept of it
    local list = {
      answers.plain("fine"), answers.stream { "fi", "ne" }, named, named,
      redirect(301), redirect(302), redirect(307), redirect(308),
      answers.failure(401, "Incorrect API key provided: " .. KEY),
      answers.failure(403, "Bearer " .. KEY .. KEY),
      { status = 400, body = whole }, { status = 429, body = whole,
        headers = { ["Retry-After"] = KEY, ["X-Request-Id"] = KEY } },
      { status = 500, body = "at " .. KEY },
      { status = 500, body = "<p>" .. KEY }, { status = 503, body = KEY,
        reason = KEY },
      { status = 400, body = (" "):rep(65520) .. KEY },
      { status = 400, body = ("x"):rep(490) .. KEY },
      { body = whole }, { body = KEY }, { body = "{" .. KEY },
      { body = '{"choices":"' .. KEY .. '"}' },
      { body = '"\\u0073' .. KEY:sub(2) .. '"', status = 400 },
      { body = "x", headers = { ["Content-Type"] = "text/" .. KEY } },
      { body = "x", headers = { ["Content-Encoding"] = KEY } },
      answers.raw("HTTP/1.1 " .. KEY .. "\r\n\r\n"),
      answers.raw(KEY .. "\r\n\r\n"),
      answers.raw("HTTP/1.1 200 OK\r\n" .. KEY .. "\r\n\r\n"),
      answers.raw("HTTP/1.1 200 OK\r\nContent-Length: " .. KEY
        .. "\r\n\r\n{}"),
      answers.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. KEY .. "\r\n"),
      answers.events { "event: error\ndata: " .. whole .. "\n\n" },
      answers.events { "data: " .. KEY .. "\n\n" },
      answers.events { "data: " .. whole .. "\n\n" },
      answers.events { answers.event { content = "cut" }, KEY },
      answers.plain(("x"):rep(99), { cut = 40 }),
      answers.plain("x", { reset = true, cut = 3 }),
    }
    server:script(list, "echo")
    return #list
  end

  for name, way in pairs(ways) do
    it(name, function()
      local home = disk.temp()
      local out, status = child.run((PROGRAM:gsub("WAY", function()
        return way
      end)), { env = { HOME = home, MISTRAL_API_KEY = KEY },
        args = { server.origin, server.port, script() } })
      assert.equal(0, status, out)
      assert.truthy(out:find("the end\n$"), out)
      for line in out:gmatch "[^\n]+" do
        assert.is_nil(line:find("canary", 1, true), line)
      end
      local found = disk.shell("grep -rl canary %s || true", home)
      assert.equal("", found)
      -- It has been told, it was stored, and it was where it belongs.
      assert.truthy(out:find("auth\n", 1, true))
      assert.truthy(out:find("redirects are not followed", 1, true))
      assert.truthy(out:find("***", 1, true))
      assert.truthy(disk.read(home .. "/.deepagent/sessions/s.json")
        :find("fine", 1, true))
      local requests = server:requests()
      assert.truthy(#requests >= 30)
      for _, request in ipairs(requests) do
        local text = json.encode(request.header_list) .. request.path
        local _, count = text:gsub("canary", "")
        assert.equal(way:find("proxy", 1, true) and 0 or 1, count, text)
        assert.is_nil(request.body:find("canary", 1, true))
      end
      assert.equal(0, other:stats().connections)
      disk.remove(home)
    end)
  end
end)
