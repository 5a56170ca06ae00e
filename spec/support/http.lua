-- http.lua - one plain HTTP exchange with a server of a test, by LuaSocket:
-- nothing of what is being tested.

local patience = require "support.patience"
local socket = require "socket"

local http = {}

-- Sends the request on a connection of its own, returns body and status.
function http.request(port, method, path, body)
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:settimeout(patience.long)
  body = body or ""
  assert(connection:send(
    ("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(method, path, #body, body)))
  local answer, _, rest = connection:receive("*a")
  connection:close()
  answer = answer or rest
  local status, text = answer:match("^HTTP/1.1 (%d+).-\r\n\r\n(.*)$")
  return text, tonumber(status)
end

return http
