-- Conversations with real services, as they were recorded: what comes out
-- is what the recording holds, however it is split. What it holds is read by
-- spec/support/recorded.py, which shares nothing with the library.

local deepagent = require "deepagent"
local http = require "support.http"
local json = require "dkjson"
local process = require "support.process"

local shared = os.getenv "DA_SHARED" or "../shared"
local recorded = shared .. "/recorded"

local function present()
  local file <close> = io.open(recorded .. "/replay.py")
  return file ~= nil
end

--- Services in alphabetical order, each with its recordings; how many of
--- them were left out, by why.
local function read()
  local pipe = io.popen(("python3 -I %s/spec/support/recorded.py %s/chat")
    :format(os.getenv "DA_ROOT" or ".", recorded))
  local list = assert(json.decode(pipe:read("a")))
  pipe:close()
  local services, names, left_out = {}, {}, {}
  for _, recording in ipairs(list) do
    local name = recording.service
    if recording.skip then
      left_out[recording.skip] = left_out[recording.skip] or {}
      table.insert(left_out[recording.skip], recording)
    else
      if not services[name] then
        services[name] = {}
        names[#names + 1] = name
      end
      table.insert(services[name], recording)
    end
  end
  table.sort(names)
  return names, services, left_out, #list
end

local codes = { [400] = "bad_request", [404] = "not_found",
  [429] = "rate_limited" }

--- What an interaction gives is what it holds.
local function check(agent, verb, expected, where)
  local heard = {}
  local text, err = agent[verb](agent, "What?", verb == "stream"
    and function(delta) heard[#heard + 1] = delta end or nil)
  if expected.status then
    assert.is_nil(text, where)
    assert.same({ codes[expected.status], expected.status,
      expected.message }, { err.code, err.status, err.message }, where)
    return
  elseif expected.unreadable then
    assert.is_nil(text, where)
    assert.equal("protocol", err.code, where)
    return
  end
  assert.equal(expected.text, text, where .. tostring(err))
  if verb == "stream" then assert.equal(text, table.concat(heard), where) end
  local usage = agent:usage().last
  assert.same(expected.usage, { usage.prompt_tokens,
    usage.completion_tokens, usage.total_tokens }, where)
  assert.equal(expected.finish_reason, agent:last().finish_reason, where)
end

describe("recorded:", function()
  if not present() then
    it("all", function() pending(recorded .. " is not there") end)
    return
  end
  local names, services, left_out, total = read()
  local passed = {}
  local replay, port

  -- Its pieces are to be sent as they are, and not to wait for each other.
  local launch = [[import runpy, socketserver, sys
socketserver.StreamRequestHandler.disable_nagle_algorithm = True
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")]]

  local function start(arguments)
    port = process.free_port()
    replay = process.start(("python3 -I -c '%s' %s/replay.py %s/chat %d %s")
      :format(launch, recorded, recorded, port, arguments), "ready")
  end

  local function agent(recording)
    return deepagent.new { model = "m", memory = true, retry = false,
      base_url = ("http://127.0.0.1:%d/%s"):format(port, recording.name) }
      :with_timeout(20)
  end

  local function each(swapped)
    local other = { ask = "stream", stream = "ask" }
    for _, name in ipairs(names) do
      local list = services[name]
      it(("%s (%d)"):format(name, #list), function()
        for _, recording in ipairs(list) do
          local a = agent(recording)
          for i, expected in ipairs(recording.answers) do
            local verb = expected.verb
            check(a, swapped and other[verb] or verb, expected,
              ("%s, answer %d: "):format(recording.name, i))
          end
        end
        passed[name] = (passed[name] or 0) + #list
      end)
    end
  end

  for _, size in ipairs { 0, 4096, 7, 1 } do
    describe(size == 0 and "whole," or ("%d bytes at a time,"):format(size),
      function()
        setup(function()
          start(size > 0 and "--chunk " .. size or "")
        end)
        teardown(function() replay:stop() end)
        each(false)
      end)
  end

  describe("streams asked for whole, and the reverse,", function()
    setup(function() start("") end)
    teardown(function() replay:stop() end)
    each(true)
  end)

  it("answers stay in the history, and are sent back without what services "
    .. "add", function()
      start("")
      local count = 0
      for _, name in ipairs(names) do
        for _, recording in ipairs(services[name]) do
          local expected = recording.answers[1]
          if expected.text and recording.bytes < 4000 then
            local a = agent(recording):with_timeout(5)
            assert(a[expected.verb](a, "What?"))
            local history = a:get_history()
            assert.equal(2, #history)
            if type(history[2].content) == "string" then
              assert.equal(expected.text, history[2].content)
            end
            a:ask("And?") -- the recording may be over
            local text = http.request(port, "GET", "/" .. recording.name
              .. "/_requests")
            local messages = json.decode(text)[2].messages
            assert.equal(3, #messages)
            assert.equal("assistant", messages[2].role)
            assert.is_nil(messages[2].reasoning_content)
            assert.same(history[2].content, messages[2].content)
            count = count + 1
          end
        end
      end
      replay:stop()
      assert.truthy(count > 50)
    end)

  for why, list in pairs(left_out) do
    it(("%d of %d are left out"):format(#list, total), function()
      pending(why)
    end)
  end

  it("(the table of it)", function()
    local out = {}
    for _, name in ipairs(names) do out[name] = { 0, 0 } end
    for _, list in pairs(left_out) do
      for _, recording in ipairs(list) do
        local row = out[recording.service] or { 0, 0 }
        row[2] = row[2] + 1
        out[recording.service] = row
      end
    end
    local lines, all = {}, 0
    for name, row in pairs(out) do
      lines[#lines + 1] = ("%-36s %2d x 5 ways, %2d left out: tools"):format(
        name, #(services[name] or {}), row[2])
      all = all + #(services[name] or {})
      assert.equal(5 * #(services[name] or {}), passed[name] or 0, name)
    end
    table.sort(lines)
    print("\n" .. table.concat(lines, "\n"))
    assert.truthy(all >= 90)
  end)
end)
