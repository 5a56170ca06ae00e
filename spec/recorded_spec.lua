-- Conversations with real services, as they were recorded: our requests mean
-- what the recorded ones do, and what comes out is what the recording holds,
-- however it is split. What it holds, and what differs, is told by
-- spec/support/recorded.py, which shares nothing with the library; who asks
-- is spec/support/recorded.lua.

local http = require "support.http"
local json = require "dkjson"
local process = require "support.process"
local recorded = require "support.recorded"

local function present()
  local file <close> = io.open(recorded.folder .. "/replay.py")
  return file ~= nil
end

--- Services in alphabetical order, each with its recordings.
local function by_service(list)
  local services, names = {}, {}
  for _, recording in ipairs(list) do
    local name = recording.service
    if not services[name] then
      services[name] = {}
      names[#names + 1] = name
    end
    table.insert(services[name], recording)
  end
  table.sort(names)
  return names, services
end

-- Each way to be answered: bytes in a piece, 0: whole.
local ways = { { 0, "whole" }, { 4096, "4096 bytes at a time" },
  { 7, "7 bytes at a time" }, { 1, "1 byte at a time" },
  { 0, "streams asked for whole, and the reverse", swapped = true } }

local verbs = { ask = "ask", stream = "stream" }
local swapped = { ask = "stream", stream = "ask" }

describe("recorded:", function()
  if not present() then
    it("all", function() pending(recorded.folder .. " is not there") end)
    return
  end
  local list = recorded.read()
  local names, services = by_service(list)
  local passed, wrong = {}, {} -- recording -> ways; -> true
  local replay, port

  -- Its pieces are to be sent as they are, and not to wait for each other.
  local launch = [[import runpy, socketserver, sys
socketserver.StreamRequestHandler.disable_nagle_algorithm = True
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")]]

  local function start(size)
    port = process.free_port()
    replay = process.start(
      ("python3 -I -c '%s' %s/replay.py %s/chat %d --chunk %d"):format(launch,
        recorded.folder, recorded.folder, port, size), "ready")
  end

  local function play(recording, way)
    local path = "/" .. recording.name
    local url = ("http://127.0.0.1:%d%s"):format(port, path)
    return recorded.play(recording, url,
      way.swapped and swapped or verbs, function()
        http.request(port, "POST", path .. "/skipped", "{}")
      end)
  end

  for _, way in ipairs(ways) do
    describe(way[2] .. ",", function()
      setup(function() start(way[1]) end)
      teardown(function() replay:stop() end)

      for _, name in ipairs(names) do
        it(("%s (%d)"):format(name, #services[name]), function()
          local failures = {}
          for _, recording in ipairs(services[name]) do
            local ok, why = pcall(play, recording, way)
            if ok then
              passed[recording.name] = (passed[recording.name] or 0) + 1
            else
              failures[#failures + 1] = tostring(why)
            end
          end
          assert.same({}, failures)
        end)
      end

      it("the requests mean the same", function()
        local found = {}
        for name, list_of in pairs(recorded.differences(port, way.swapped)) do
          wrong[name] = true
          for _, difference in ipairs(list_of) do
            found[#found + 1] = name .. ", " .. difference
          end
        end
        assert.same({}, found)
      end)
    end)
  end

  -- What nobody recorded: each answer in the next request.
  it("answers go back as they came, without what services add", function()
    start(0)
    finally(function() replay:stop() end)
    local count = 0
    for _, recording in ipairs(list) do
      local last = recording.conversations[#recording.conversations]
      local ending = last.turns and last.turns[#last.turns]["end"] or {}
      if ending.text and #ending.calls == 0 and recording.bytes < 4000 then
        local a = play(recording, ways[1])
        local history = a:get_history()
        local _, err = a:ask "And?"
        assert.equal(410, err.status, tostring(err)) -- it is over
        local messages = json.decode((http.request(port, "GET", "/"
          .. recording.name .. "/_requests")))
        messages = messages[#messages].messages
        local answer = messages[#messages - 1]
        assert.equal("And?", messages[#messages].content)
        assert.equal("assistant", answer.role)
        assert.same(history[#history].content, answer.content)
        assert.is_nil(answer.reasoning or answer.reasoning_content
          or answer.annotations)
        count = count + 1
      end
    end
    assert.truthy(count > 80, count)
  end)

  it("(the table of it)", function()
    print(("\n%-40s %10s %6s"):format("service", "recordings", "pass"))
    local all, passing, exceptions = 0, 0, {}
    for _, name in ipairs(names) do
      local count = 0
      for _, recording in ipairs(services[name]) do
        local skipped
        for _, conversation in ipairs(recording.conversations) do
          skipped = skipped or conversation.skipped
        end
        if skipped then
          exceptions[#exceptions + 1] = ("EXCEPTION %s: %s"):format(
            recording.name, skipped)
        elseif passed[recording.name] == #ways and not wrong[recording.name]
        then
          count = count + 1
        end
      end
      print(("%-40s %10d %6d"):format(name, #services[name], count))
      all, passing = all + #services[name], passing + count
    end
    print(("%-40s %10d %6d"):format("all", all, passing))
    print(table.concat(exceptions, "\n"))
    assert.equal(all, passing + #exceptions)
    assert.truthy(#exceptions <= 1)
  end)
end)
