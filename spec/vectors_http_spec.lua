-- Hostile servers: ../shared/vectors/http, answered as its index expects, in
-- bounded time and memory, with nothing reaching its second listener. Those
-- that ask for tools are in vectors_tools_spec.

local hostile = require "support.hostile"

-- Names that differ from ours.
local names = { rate_limit = "rate_limited" }

-- What is expected otherwise than the index says, and why. These speak the
-- Messages API, which is for later: they must do no harm.
local foreign = { outcome = "error", error = "protocol|truncated" }
local why = "the Messages API, which a chat-completions client does not speak"
local exceptions = {
  ["207-anthropic-tool-input-split.http"] = { expect = foreign, why = why },
  ["208-anthropic-no-message-stop.http"] = { expect = foreign, why = why },
  ["209-anthropic-unknown-block.http"] = { expect = foreign, why = why },
}

local function allowed(expect, code)
  for name in (expect.error or ""):gmatch "[^|]+" do
    if code == (names[name] or name) then return true end
  end
  return false
end

describe("hostile servers:", function()
  if not hostile.present() then
    it("all", function() pending(hostile.folder .. " is not there") end)
    return
  end
  local cases = {}
  for _, case in ipairs(hostile.cases()) do
    if not case.file:find("-tool-", 1, true) or exceptions[case.file] then
      cases[#cases + 1] = case
    end
  end
  local servers
  local outcomes = {}

  setup(function() servers = hostile.start() end)
  teardown(function() servers:stop() end)

  local function ask_once(case)
    local a = servers:agent(case):with_retry(false)
    local text, err = servers:ask(case, a)
    return text, err, a
  end

  local function check(case, expect)
    local text, err, a = ask_once(case)
    local outcome = text and "ok" or "error"
    outcomes[#outcomes + 1] = ("%-40s %s"):format(case.file, text
      and ("ok: %q"):format(text:sub(1, 40)) or tostring(err))
    assert.truthy(("|" .. expect.outcome .. "|"):find("|" .. outcome .. "|", 1,
      true), tostring(err or text))
    if text then
      assert.equal(2, #a:get_history())
      if expect.text then assert.equal(expect.text, text) end
      return a
    end
    if expect.error then
      assert.truthy(allowed(expect, err.code), tostring(err))
    end
    if expect.retryable ~= nil and expect.outcome == "error" then
      assert.equal(expect.retryable, err.retryable, tostring(err))
    end
    return a
  end

  -- What the index tells in words only.
  local more = {
    ["102-refusal.http"] = function(a)
      local message = a:get_history()[2]
      assert.equal("string", type(message.refusal))
    end,
    ["105-reasoning-content.http"] = function(a)
      assert.equal("string", type(a:get_history()[2].reasoning_content))
    end,
    ["110-finish-content_filter.http"] = function(a)
      assert.equal("content_filter", a:last().finish_reason)
    end,
    ["112-finish-eos.http"] = function(a)
      assert.equal("eos", a:last().finish_reason)
    end,
    ["113-finish-STOP.http"] = function(a)
      assert.equal("STOP", a:last().finish_reason)
    end,
  }

  for _, case in ipairs(cases) do
    local exception = exceptions[case.file]
    it(case.file .. ": " .. case.proves, function()
      local a = check(case, exception and exception.expect or case.expect)
      if more[case.file] then more[case.file](a) end
    end)
  end

  -- The index gives these as "wait_ms expected N".
  it("tell how long to wait", function()
    local count = 0
    for _, case in ipairs(cases) do
      local wait = case.proves:match "wait_ms expected (%w+)"
      if wait then
        local err = select(2, ask_once(case))
        local seconds = wait ~= "None" and tonumber(wait) / 1000 or nil
        assert.equal(seconds, err.retry_after, case.file)
        count = count + 1
      end
    end
    assert.truthy(count >= 7)
  end)

  -- With retries, which are on by default: the same end, after as many
  -- requests as it says. What asks for a wait of seconds is left out.
  it("are asked again if, and only if, that may help", function()
    local once, thrice = 0, 0
    for _, case in ipairs(cases) do
      local retryable = case.expect.retryable
      local err = not case.stream and retryable ~= nil
        and select(2, ask_once(case))
      if err and err.status and (err.retry_after or 0) < 1 then
        local a = servers:agent(case, true)
        local again = select(2, servers:ask(case,
          a:with_retry { max = 2, base = 0.001, cap = 0.002 }))
        local requests = #servers:requests(case)
        assert.same({ err.code, err.status, err.retryable,
          retryable and 3 or 1 },
          { again.code, again.status, again.retryable, requests }, case.file)
        if retryable then thrice = thrice + 1 else once = once + 1 end
      end
    end
    assert.truthy(once >= 8 and thrice >= 8, once .. ", " .. thrice)
  end)

  it("are answered by nobody else", function()
    assert.equal("", servers:leaks())
  end)

  it("(the table of it)", function()
    print("\n" .. table.concat(outcomes, "\n"))
    print(("at most %.0f MB more at once"):format(servers.most))
    for file, exception in pairs(exceptions) do
      print("EXCEPTION " .. file .. ": " .. exception.why)
    end
    assert.equal(#cases, #outcomes, "a case did not come to its end")
  end)
end)
