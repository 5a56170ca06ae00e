-- The codes of errors, all of them, wherever Lua code says one; and texts and
-- numbers at their limits.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local models = require "support.models"

local function acting(behave)
  return deepagent.new { provider = models.acting(behave) }
end

-- Every code in the header that C programs include.
local function codes()
  local names = {}
  local header = assert(io.open((os.getenv "DA_ROOT" or ".")
    .. "/src/deepagent_types.h"))
  for name in header:read("a"):gmatch 'X%(DA_E%w+,%s*%-%d+,%s*"([%w_]+)"%)' do
    names[#names + 1] = name
  end
  header:close()
  return names
end

describe("an error", function()
  it("may have every code there is", function()
    local names = codes()
    assert.truthy(#names > 20, #names)
    for _, code in ipairs(names) do
      local _, err = acting(function()
        return nil, { code = code, message = "M" }
      end):ask("x")
      assert.equal(code, err.code)
      assert.equal("M", err.message)
      assert.equal(code .. ": M", tostring(err))
    end
  end)

  it("keeps what a service told with it, if it can be printed", function()
    local _, err = acting(function()
      return nil, { code = "rate_limited", message = "a\nb\0c", status = 429,
        retryable = true, retry_after = 1.5, request_id = "req_1\n2",
        service_code = ("x"):rep(1000) }
    end):ask("x")
    assert.equal("a?b?c", err.message)
    assert.equal(429, err.status)
    assert.is_true(err.retryable)
    assert.equal(1.5, err.retry_after)
    assert.equal("req_1", err.request_id)
    assert.truthy(err.service_code:find("^x+$"))
    assert.truthy(#err.service_code < 1000)
    assert.equal("rate_limited: a?b?c (HTTP 429, request req_1)",
      tostring(err))
  end)

  it("can be joined to a text", function()
    local _, err = acting(function() return nil, "M" end):ask("x")
    assert.equal("failed: provider_error: M", "failed: " .. err)
    assert.equal("provider_error: M!", err .. "!")
  end)

  it("prints as well as it can where a program has changed it", function()
    local _, err = acting(function() return nil, "M" end):ask("x")
    err.code, err.message, err.status = nil, nil, 500
    assert.equal("nil: nil (HTTP 500)", tostring(err))
    err.message, err.request_id = "HTTP 500: no", "r"
    assert.equal("nil: HTTP 500: no", tostring(err))
  end)
end)

describe("at the limits:", function()
  it("tokens that no integer can count", function()
    local agent = acting(function()
      return "a", { usage = { prompt_tokens = math.maxinteger,
        completion_tokens = 1 } }
    end)
    assert(agent:ask("x"))
    assert.equal(math.maxinteger, agent:last().usage.total_tokens)
  end)

  it("tokens that are none", function()
    local agent = acting(function()
      return "a", { usage = { prompt_tokens = -1, completion_tokens = 2.5,
        total_tokens = "3" } }
    end)
    assert(agent:ask("x"))
    assert.same(answers.tokens(0, 2), agent:last().usage)
  end)

  it("an array with a hole", function()
    local agent = deepagent.offline()
    local ok, why = pcall(agent.with_extra, agent,
      { list = deepagent.array { 1, nil, 3 } })
    assert.is_false(ok)
    assert.truthy(why:find("an array has a hole", 1, true), why)
    ok, why = pcall(agent.with_extra, agent, { list = { [1] = 1, [3] = 3 } })
    assert.is_false(ok)
    assert.truthy(why:find("holes", 1, true), why)
    ok, why = pcall(agent.with_extra, agent, { list = { 1, 2, x = 3 } })
    assert.is_false(ok)
    assert.truthy(why:find("both kinds of keys", 1, true), why)
  end)

  it("a list of what is no directory", function()
    local path = os.tmpname()
    local backend = deepagent.file_backend { path = path }
    for _, method in ipairs { "list", "quarantined" } do
      local ids, err = backend[method](backend)
      assert.is_nil(ids)
      assert.equal("io_error", err.code)
    end
    os.remove(path)
  end)

  it("a session id with a NUL", function()
    local backend = deepagent.file_backend { path = "nowhere" }
    for _, method in ipairs { "load", "save", "delete", "recover",
      "quarantined" } do
      local value, err = backend[method](backend, "a\0b",
        method == "save" and {} or nil)
      assert.is_nil(value)
      assert.equal("invalid_session_id", err.code)
    end
  end)

  it("a backend in a directory that is gone", function()
    local output = child.run [[
      local lfs = require "lfs"
      local deepagent = require "deepagent"
      local path = os.tmpname()
      os.remove(path)
      assert(lfs.mkdir(path) and lfs.chdir(path) and lfs.rmdir(path))
      local made, err = pcall(deepagent.file_backend, { path = "x" })
      print(made, err.code, err.message)
    ]]
    assert.truthy(output:find("^false\tinvalid_argument\tthe current "
      .. "directory is not known"), output)
  end)

  it("methods of other backends", function()
    local ok, why = pcall(function()
      return deepagent.memory_backend():path()
    end)
    assert.is_false(ok)
    assert.truthy(why:find("not a file backend", 1, true), why)
  end)
end)

describe("the module deepagent.curl", function()
  -- What the first request says if the module is this.
  local function with_module(code)
    return (child.run([[
      package.preload["deepagent.curl"] = function() ]] .. code .. [[ end
      local agent = require "deepagent".new { model = "m",
        base_url = "http://127.0.0.1:9/v1" }
      for _ = 1, 2 do
        local answer, err = agent:ask("x")
        print(answer, err.code, err.message)
      end
    ]]))
  end

  it("that is something else is refused", function()
    for _, code in ipairs { "return 7", "return nil", "return {}" } do
      local output = with_module(code)
      local _, times = output:gsub("nil\tunsupported\t[^\n]*gives no "
        .. "transport\n", "")
      assert.equal(2, times, output)
    end
  end)

  it("that cannot be loaded is an error, each time", function()
    local output = with_module "error('no libcurl here', 0)"
    local _, times = output:gsub("nil\tunsupported\t[^\n]*no libcurl here", "")
    assert.equal(2, times, output)
  end)
end)
