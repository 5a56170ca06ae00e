-- Answers that come as streams, over HTTP.

local answers = require "support.answers"
local deepagent = require "deepagent"
local patience = require "support.patience"
local test_server = require "support.server"

local event, done = answers.event, answers.done

describe("a stream", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
  end)

  local function agent(options)
    options = options or {}
    options.model = "m"
    options.base_url = server.url
    options.retry = options.retry or false
    return deepagent.new(options):with_memory()
  end

  --- Streams a scripted answer: the text or nil, the deltas, the error.
  local function hear(answer, a)
    server:script({ answer }, "echo")
    local deltas = {}
    a = a or agent()
    local text, err = a:stream("hi", function(delta)
      assert(utf8.len(delta), "half a character")
      deltas[#deltas + 1] = delta
    end)
    if text then assert.equal(text, table.concat(deltas)) end
    return text, deltas, err, a
  end

  local function fails(answer, code)
    local text, deltas, err, a = hear(answer)
    assert.is_nil(text)
    assert.equal(code, err.code, tostring(err))
    assert.equal(0, #a:get_history())
    assert.equal("echo: again", a:stream("again", function() end))
    assert.equal(2, #a:get_history())
    return err, table.concat(deltas)
  end

  it("is heard while it comes", function()
    -- Each delta lets the next go: were they held back, nobody would.
    server:script { answers.stream({ "a", "b", "c" }, { gate = true }) }
    server:go() -- past the event with the role
    local deltas = {}
    local a = agent():with_timeout(patience.long)
    local text = a:stream("hi", function(delta)
      deltas[#deltas + 1] = delta
      server:go()
      if #deltas == 3 then -- finish reason, usage, [DONE]
        for _ = 1, 3 do server:go() end
      end
    end)
    assert.equal("abc", text)
    assert.same({ "a", "b", "c" }, deltas)
  end)

  it("gives one delta for each event that has text", function()
    local text, deltas = hear(answers.stream { "Hel", "", "lo", " ✓" })
    assert.equal("Hello ✓", text)
    assert.same({ "Hel", "lo", " ✓" }, deltas)
  end)

  it("is answered also if the service does not stream", function()
    local text, deltas = hear(answers.plain("Hello"))
    assert.equal("Hello", text)
    assert.same({ "Hello" }, deltas)
  end)

  it("is read also if nobody asked for it", function()
    server:script { answers.stream { "Hel", "lo" } }
    assert.equal("Hello", agent():ask("hi"))
  end)

  it("keeps usage, finish reason and model #smoke", function()
    local _, _, _, a = hear(answers.stream { "x" })
    local last = a:last()
    assert.same(answers.tokens(3, 4), last.usage)
    assert.equal("stop", last.finish_reason)
    assert.equal("scripted-1", last.model)
    hear(answers.events { event({ content = "x" }, "length"), done }, a)
    assert.equal("length", a:last().finish_reason)
    assert.same(answers.tokens(0, 0), a:usage().last)
    assert.same(answers.tokens(3, 4), a:usage().total)
  end)

  it("becomes a message like any other", function()
    local _, _, _, a = hear(answers.stream { "x\"\n", "ü" })
    local message = a:get_history()[2]
    assert.same({ "assistant", "x\"\nü" }, { message.role,
      message.content })
  end)

  describe("may be split", function()
    local pieces = { "a😀ü✓", "€\u{10ffff}", "\u{7ff}\u{800}z" }
    local whole = table.concat(pieces)

    for size = 1, 9 do
      it("into " .. size .. " bytes at a time", function()
        assert.equal(whole, (hear(answers.stream(pieces,
          { chunk_size = size, delay_ms = size == 1 and 0.5 or 0 }))))
        assert.equal(whole, (hear(answers.stream(pieces,
          { chunk_size = size, framing = "close" }))))
      end)
    end

    it("in the middle of characters and surrogate pairs", function()
      local bytes = 'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
        .. 'data: {"choices":[{"delta":{"content":"\\ude00b"}}]}\n\n'
        .. 'data: {"choices":[{"delta":{"content":"\\uD83D"}}]}\n\n'
        .. 'data: {"choices":[{"delta":{"content":"x\\udE00"}}]}\n\n'
        .. 'data: {"choices":[{"delta":{"content":"😀"}}]}\n\n' .. done
      for size = 1, 8 do
        local text, deltas = hear(answers.bytes(bytes, { chunk_size = size,
          delay_ms = 0.2, framing = "chunked" }))
        assert.equal("a😀b\u{fffd}x\u{fffd}😀", text)
        assert.same({ "a", "😀b", "\u{fffd}x\u{fffd}", "😀" }, deltas)
      end
    end)

    it("with half a surrogate pair left at the end", function()
      assert.equal("a\u{fffd}", (hear(answers.events {
        'data: {"choices":[{"delta":{"content":"a\\ud83d"},'
        .. '"finish_reason":"stop"}]}\n\n', done })))
    end)
  end)

  describe("may look like this:", function()
    local function says(text, events, more)
      assert.equal(text, (hear(answers.events(events, more))))
    end
    local events = { event { content = "a" }, event { content = "b" },
      event({}, "stop"), done }
    local function with(pattern, replacement)
      local changed = {}
      for i, text in ipairs(events) do
        changed[i] = text:gsub(pattern, replacement)
      end
      return changed
    end

    it("lines that end with CR or CRLF", function()
      says("ab", with("\n", "\r"))
      says("ab", with("\n", "\r\n"))
      says("ab", with("\n", "\r\n"), { chunk_size = 1 })
    end)
    it("a byte order mark", function()
      says("ab", { "\u{feff}", table.unpack(events) })
    end)
    it("comments and heartbeats", function()
      says("ab", with("^", ": OPENROUTER PROCESSING\n\n:\n\nevent: ping\n"
        .. "data:\n\n"))
    end)
    it("no space after the colon, fields that mean nothing", function()
      says("ab", with("^data: ", "id: 7\nretry: 10\nfoo: bar\nfoo\ndata:"))
    end)
    it("JSON over several lines", function()
      says("ab", with(',"', ',\ndata: "'))
    end)
    it("a wrong content type, or none", function()
      says("ab", events, { headers = { ["content-type"] = "text/plain" } })
      says("ab", events, { headers = { ["content-type"] =
        "application/json" } })
      says("ab", events, { headers = {} })
    end)
    it("a finish reason without [DONE]", function()
      says("ab", { events[1], events[2], events[3] })
      says("ab", { events[1], events[2], events[3] }, { framing = "close" })
      says("ab", { events[1], events[2], events[3] }, { cut = 1 << 30 })
    end)
    it("[DONE] without a finish reason", function()
      says("ab", { events[1], events[2], done })
    end)
    it("[DONE] without its line end", function()
      says("ab", { events[1], events[2], events[3], "data: [DONE]" })
      says("ab", { events[1], events[2], "data: [DONE]" },
        { framing = "close" })
    end)
    it("more after [DONE], which does not count", function()
      says("ab", { events[1], events[2], done, event { content = "c" },
        "data: {", "data: " .. ("x"):rep(9999) })
    end)
    it("a connection that stays open after [DONE]", function()
      local ended = patience.watch()
      says("ab", { table.unpack(events) }, { hang = true,
        framing = "length", content_length = 99999 })
      ended()
    end)
    it("heartbeats without end after the finish reason", function()
      local beats = { events[1], events[3] }
      for i = 3, 20 * patience.long do beats[i] = ": beat\n\n" end
      local ended = patience.watch()
      says("a", beats, { delay_ms = 50 })
      ended()
    end)
    it("several choices, of which the first counts", function()
      says("ab", { 'data: {"choices":[{"index":1,"delta":{"content":"x"}},'
        .. '{"index":0,"delta":{"content":"a"}}]}\n\n', events[2], events[3] })
    end)
    it("no text at all", function() says("", { events[3], done }) end)
  end)

  describe("that is cut", function()
    it("is truncated, not short", function()
      local err, heard = fails(answers.events { event { content = "a" } },
        "truncated")
      assert.is_true(err.retryable)
      assert.equal("a", heard)
      fails(answers.events({ event { content = "a" } },
        { framing = "close" }), "truncated")
      fails(answers.events({ event { content = "a" }, event({}, "") },
        { framing = "close" }), "truncated")
    end)

    it("at any byte before the finish reason", function()
      local text = event { content = "a" } .. event { content = "b" }
      for _, framing in ipairs { "length", "chunked", "close" } do
        for cut = 1, #text - 1, 13 do
          fails(answers.events({ text, event({}, "stop") },
            { cut = cut, framing = framing, chunk_size = 50 }), "truncated")
        end
      end
    end)

    it("after the finish reason is whole", function()
      local text = event { content = "a" } .. event({}, "stop")
      for _, framing in ipairs { "length", "chunked", "close" } do
        local size = framing == "chunked" and #("%x\r\n"):format(#text) or 0
        assert.equal("a", (hear(answers.events({ text, done },
          { cut = size + #text, framing = framing }))))
      end
    end)

    it("by a reset", function()
      local text, _, err, a = hear(answers.events({ event { content = "a" } },
        { cut = 70, reset = true }))
      assert.is_nil(text)
      assert.truthy(err.code == "truncated" or err.code == "network")
      assert.is_true(err.retryable)
      assert.equal("echo: x", a:stream("x", function() end))
    end)

    it("by silence", function()
      server:script { answers.events({ event { content = "a" } },
        { hang = true, framing = "length", content_length = 999 }) }
      local ended, heard = patience.watch(), ""
      local text, err = agent():with_timeout { idle = 3 }
        :stream("hi", function(delta) heard = heard .. delta end)
      assert.is_nil(text)
      assert.equal("timeout", err.code)
      assert.equal("a", heard)
      ended(3)
    end)

    it("by the deadline, heartbeats or not", function()
      local beats = {}
      for i = 1, 50 * patience.long do beats[i] = ": beat\n\n" end
      local ended = patience.watch()
      server:script { answers.events(beats, { delay_ms = 20 }) }
      local text, err = agent():with_timeout { idle = patience.long,
          total = 0.4 }
        :stream("hi", function() end)
      assert.is_nil(text)
      assert.equal("timeout", err.code)
      ended(0.4)
    end)
  end)

  describe("that fails in the middle", function()
    it("tells what the service says", function()
      local err, heard = fails(answers.events { event { content = "a" },
        'data: {"error":{"message":"told","code":"x","type":"server_error"}}'
        .. "\n\n" }, "api_error")
      assert.equal("told", err.message)
      assert.is_true(err.retryable)
      assert.equal("a", heard)
      err = fails(answers.events { event { content = "a" },
        'event: error\ndata: {"message":"told","type":"overloaded_error"}\n\n',
        done }, "server")
      assert.equal("told", err.message)
      fails(answers.events { event { content = "a" },
        'data: {"error":{"message":"told","code":429}}\n\n', done },
        "rate_limited")
    end)

    it("by what is no JSON", function()
      for _, bad in ipairs { "{", "{\"a\":}", "x", "{} {}", "'a'",
        "{\"choices\":[{\"delta\":{\"content\":7}}]}" } do
        fails(answers.events { event { content = "a" },
          "data: " .. bad .. "\n\n", event({}, "stop"), done }, "protocol")
      end
    end)

    it("by an HTTP status", function()
      fails(answers.failure(503, "x"), "server")
      fails(answers.events({ event { content = "a" }, event({}, "stop") },
        { status = 500 }), "server")
    end)

    it("having said nothing", function()
      fails(answers.events {}, "empty_response")
      fails(answers.events { done }, "empty_response")
      fails(answers.events { ": beat\n\n" }, "truncated")
    end)
  end)
end)
