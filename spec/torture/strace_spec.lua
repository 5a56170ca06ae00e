-- The calls of the store to the kernel, as strace sees them in the library
-- as it is installed: all of them are among those that faults_store.c fails,
-- and each fails here, too, with the same results.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"

local FULL = (os.getenv "DA_FULL" or "") ~= ""

-- One operation, between two calls that can be found in a trace.
local SCRIPT = [[
  local deepagent = require "deepagent"
  local backend = deepagent.file_backend { path = arg[1] }
  local new = { { role = "user", content = "new" } }
  local verb, result, err = arg[2], nil, nil
  collectgarbage()
  collectgarbage "stop"
  io.open "/deepagent-begins"
  if verb == "save" then
    result, err = backend:save("s", new)
  elseif verb == "list" then
    result, err = backend:list()
  else
    result, err = backend[verb](backend, "s")
  end
  io.open "/deepagent-ends"
  print(err and err.code or result and "ok" or "nothing")]]

-- The kernel's name for what faults.h has, or "" for what cannot fail so.
local KNOWN = {
  chmod = "chmod", fchmodat = "chmod", close = "close", fchmod = "fchmod",
  fcntl = "fcntl", fstat = "fstat", newfstatat = "fstatat", fsync = "fsync",
  utimensat = "futimens", getrandom = "getrandom", prlimit64 = "getrlimit",
  linkat = "linkat", mkdirat = "mkdirat", clock_nanosleep = "nanosleep",
  nanosleep = "nanosleep", open = "open", openat = "openat",
  pread64 = "pread", getdents64 = "readdir", renameat = "renameat",
  renameat2 = "renameat2", stat = "stat", syncfs = "syncfs",
  unlinkat = "unlinkat", writev = "writev", getcwd = "getcwd",
  faccessat = "faccessat", faccessat2 = "faccessat",
  -- Memory and names of oneself.
  brk = "", mmap = "", munmap = "", mremap = "", mprotect = "", madvise = "",
  futex = "", getpid = "", geteuid = "", clock_gettime = "", time = "",
}

local root, directory, backend

-- The script under strace; its last line, and its status.
local function trace(verb, options)
  local output, status = child.run(SCRIPT, {
    args = { directory, verb }, before = "strace -f -qq " .. options,
  })
  return output:match("([%w_]+)\n$"), status, output
end

local function stage()
  disk.shell("rm -rf %s", directory)
  backend = deepagent.file_backend { path = directory, durable = false }
  assert(backend:save("s", { { role = "user", content = "old" } }))
  assert(backend:save("t", { { role = "user", content = "other" } }))
end

-- How often each call is made before and during the operation, and how all
-- of it ended.
local function count(verb)
  local log = root .. "/log"
  stage()
  local result = trace(verb, "-o " .. log)
  local before, during = {}, {}
  local counts = before
  for line in io.lines(log) do
    if line:find("/deepagent-ends", 1, true) then break end
    local name = line:match("^%d+%s+([%w_]+)%(")
    if name then counts[name] = (counts[name] or 0) + 1 end
    if line:find("/deepagent-begins", 1, true) then counts = during end
  end
  return before, during, result
end

-- What the session says: "old", "new", or nothing at all.
local function said()
  local messages, err = backend:load("s")
  if not messages then return err and err.code end
  return messages[1].content
end

local function assert_after(verb, code, where)
  local now = said()
  if code == "ok" then
    assert.equal(({ save = "new", load = "old", list = "old" })[verb], now,
      where)
  else
    assert.truthy(({ io_error = 1, disk_full = 1, out_of_memory = 1,
      busy = 1 })[code], where .. ": " .. tostring(code))
    -- A failed flush of the directory comes after the deed.
    assert.truthy(now == "old" or where:find("fsync")
      and now == ({ save = "new" })[verb], where .. ": " .. tostring(now))
  end
  assert(backend:save("s", { { role = "user", content = "next" } }))
  assert.equal("next", said(), where)
  assert.equal("other", backend:load("t")[1].content)
  -- What was left is gone with the next process's save.
  backend = deepagent.file_backend { path = directory, durable = false }
  assert(backend:save("s", {}))
  assert.same({ ".lock", "s.json", "t.json" }, disk.names(directory))
end

describe("below strace,", function()
  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
  end)
  after_each(function() disk.remove(root) end)

  for _, verb in ipairs { "save", "load", "list", "delete" } do
    it("each call of " .. verb .. " fails", function()
      if not os.execute("strace -qq -o /dev/null true 2>/dev/null") then
        return pending("no strace, or it may not trace")
      end
      local before, during, result = count(verb)
      assert.equal("ok", result)
      local errors = FULL and { "EIO", "ENOSPC", "EINTR" } or { "EIO" }
      local cases = 0
      for name, times in pairs(during) do
        assert.truthy(KNOWN[name], name .. " is on no list")
        local first = before[name] or 0
        for n = first + 1, KNOWN[name] ~= "" and first + times or 0 do
          for _, number in ipairs(errors) do
            for _, ever in ipairs(FULL and { "", "+" } or { "" }) do
              local how = ("%s:error=%s:when=%d%s"):format(name, number, n,
                ever)
              stage()
              local code, status, output = trace(verb,
                "-o /dev/null -e inject=" .. how)
              assert.equal(0, status, how .. output)
              assert_after(verb, code, how)
              cases = cases + 1
            end
          end
        end
      end
      assert.truthy(cases >= 5, cases .. " cases")
    end)
  end
end)
