-- server.lua - starts spec/support/server.py, whose head says what a script
-- may hold, and talks to it.
--
--   local server = require("support.server").start()
--       -- or { tls = true }, or { h2 = true } for HTTP/2, over TLS too
--   server.url                        -- "http://127.0.0.1:34567/v1"
--   server.ca_file                    -- with tls
--   server:script({ { status = 500 }, { json = {...} } } [, "repeat"])
--   server:requests()[1].headers.authorization, .header_list, .body, .path,
--       .protocol ("1.1" or "2"), .connection, .at
--   server:stats().connections
--   server:go()                       -- for an answer with a gate
--   server:reset()
--   server:stop()
--
-- The server ends with the process that started it, whatever happens.

local http = require "support.http"
local json = require "dkjson"
local mime = require "mime"

local server = {}
server.__index = server

local function call(self, method, path, value)
  local text, status = http.request(self.plain_port, method, path,
    value and json.encode(value))
  assert(status == 200, text)
  return json.decode(text)
end

-- With TLS, only the requests that are to be tested go over it.
function server.start(options)
  local python = io.open("/usr/bin/python3") and "/usr/bin/python3"
    or "python3"
  local directory
  local arguments = ""
  if options and (options.tls or options.h2) then
    local pipe = io.popen("mktemp -d")
    directory = pipe:read("l")
    pipe:close()
    arguments = " --tls " .. directory .. (options.h2 and " --h2" or "")
  end
  -- In the background, or the end of this process would wait for it.
  local pipe = io.popen(("%s -I %s/spec/support/server.py --parent $PPID"
    .. "%s </dev/null &"):format(python, os.getenv("DA_ROOT") or ".",
    arguments))
  local line = pipe:read("l")
  pipe:close()
  local port, plain = tostring(line):match("^ready (%d+) (%d+)$")
  assert(port, "the test server did not start")
  local scheme = directory and "https" or "http"
  return setmetatable({
    port = tonumber(port),
    plain_port = tonumber(plain),
    ca_file = directory and directory .. "/ca.pem",
    origin = ("%s://127.0.0.1:%s"):format(scheme, port),
    url = ("%s://127.0.0.1:%s/v1"):format(scheme, port),
  }, server)
end

-- `after`: "fail" (the default), "echo" or "repeat".
function server:script(answers, after)
  call(self, "POST", "/_script", {
    answers = setmetatable(answers, { __jsontype = "array" }),
    after = after,
  })
end

function server:requests()
  local list = call(self, "GET", "/_requests")
  for _, request in ipairs(list) do
    request.header_list = request.headers
    request.headers = {}
    for _, pair in ipairs(request.header_list) do
      request.headers[pair[1]:lower()] = pair[2]
    end
    request.body = mime.unb64(request.body) or ""
  end
  return list
end

function server:stats()
  return call(self, "GET", "/_stats")
end

function server:go()
  call(self, "POST", "/_go")
end

function server:reset()
  call(self, "POST", "/_reset")
end

function server:stop()
  pcall(http.request, self.plain_port, "POST", "/_quit")
end

-- Bytes for the members `raw` and `base64` of an answer.
function server.base64(bytes)
  return mime.b64(bytes) or "" -- nil for ""
end

return server
