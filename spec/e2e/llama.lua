-- llama.lua - the server that spec/e2e/run has built, with its tiny model.
--
--   local server = llama.start("--api-key secret")   -- or without
--   server.url                  -- "http://127.0.0.1:34567/v1"
--   server:agent { seed = 2 }   -- one that talks to it
--   server:idle()               -- whether it has nothing to do, as it tells
--   server:tokens(messages)     -- how many it counts
--   server:worked()             -- how often it has computed since its start
--   server:wait_idle()
--   server:kill("STOP")         -- a signal to it
--   server:stop()
--
-- The model knows a few words and chats nonsense. It ends by itself after a
-- few sentences, unless it is asked not to: llama.endless. Where a grammar
-- rules what it may say (a tool that must be called, a JSON schema), it keeps
-- to that.

local deepagent = require "deepagent"
local disk = require "support.disk"
local http = require "support.http"
local json = require "dkjson"
local process = require "support.process"
local socket = require "socket"

local llama = {}
llama.__index = llama
llama.__close = function(self) self:stop() end

-- A member of a request that makes an answer that never ends: the end is never
-- chosen, and what no longer fits into the context is forgotten.
llama.endless = { ignore_eos = true }

local place = os.getenv("DA_BUILD"):match("^(.*)/[^/]+$") .. "/e2e"

-- The context is small, so that it is soon full; two slots, so that a second
-- request need not wait. Port 0: one that is free.
local words = "%s --model %s --alias bigram --host 127.0.0.1 --port 0"
  .. " --ctx-size 4096 --parallel 2 --threads 1 --jinja --slots --metrics"
  .. " --no-ui --no-warmup --context-shift --offline %s"

-- With the same seed the same answers.
function llama:agent(options)
  local all = { base_url = self.url, timeout = 60, seed = 1 }
  for name, value in pairs(options or {}) do all[name] = value end
  return deepagent.llamacpp("bigram", all)
end

-- Asks less and less often, 60 s at most: it looks whether anybody still waits
-- for a whole answer only after a second in which it answered nobody else.
local function wait_until(self, condition)
  local deadline, pause = socket.gettime() + 60, 0.02
  while not condition(self) do
    if socket.gettime() > deadline then
      error("waited in vain; the server's last words: "
        .. self.process:output():sub(-1000))
    end
    socket.sleep(pause)
    pause = math.min(pause * 2, 3)
  end
end

function llama.start(options)
  local self = setmetatable({}, llama)
  self.process = process.start(words:format(
    disk.quoted(place .. "/llama-server"),
    disk.quoted(place .. "/model.gguf"), options or ""), "listening on ")
  wait_until(self, function()
    self.port = tonumber(self.process:output()
      :match("listening on http://127%.0%.0%.1:(%d+)\n"))
    if not self.port then return false end
    local _, status = http.request(self.port, "GET", "/health")
    return status == 200
  end)
  self.url = ("http://127.0.0.1:%d/v1"):format(self.port)
  return self
end

local function asked(self, method, path, body)
  local text, status = http.request(self.port, method, path,
    body and json.encode(body))
  assert(status == 200, text)
  return text
end

function llama:idle()
  for _, slot in ipairs(json.decode(asked(self, "GET", "/slots"))) do
    if slot.is_processing then return false end
  end
  return true
end

function llama:wait_idle()
  wait_until(self, self.idle)
end

function llama:tokens(messages)
  return json.decode(asked(self, "POST",
    "/v1/chat/completions/input_tokens", { messages = messages }))
    .input_tokens
end

function llama:worked()
  return tonumber(asked(self, "GET", "/metrics")
    :match("\nllamacpp:n_decode_total (%d+)"))
end

function llama:kill(signal)
  disk.shell("kill -%s %d", signal, self.process.pid)
end

-- It has nothing to tidy up.
function llama:stop()
  os.execute(("kill -KILL %d 2>/dev/null"):format(self.process.pid))
  self.process:stop()
end

return llama
