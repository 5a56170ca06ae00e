-- What lies in the file backend's way: other kinds of files, other owners,
-- directories that come and go; the fs: recipes of shared/vectors/sessions/
-- corruptions.jsonl. Nothing outside the sessions' directory is touched.

local child = require "support.child"
local deepagent = require "deepagent"
local disk = require "support.disk"
local lfs = require "lfs"
local models = require "support.models"
local patience = require "support.patience"
local vectors = require "support.vectors"

local tested = {}

local root, directory, file, backend, agents

local function agent_on_s()
  local agent = deepagent.new { provider = models.echo() }
    :with_session_id("s"):with_memory_backend(backend)
    :with_save_timeout(patience.long)
  agents[#agents + 1] = agent
  return agent
end

local function stored()
  local list = {}
  local messages, err = backend:load("s")
  for i, message in ipairs(messages or {}) do list[i] = message.content end
  return messages and list, err
end

-- With something unusual in the file's place: the agent answers, is not
-- saved, tells `code`, and all below `root` stays as it is.
local function assert_refused(code)
  local before = disk.tree(root, directory .. "/.lock")
  local done = patience.watch()
  local messages, err = backend:load("s")
  assert.is_nil(messages)
  assert.equal(code, err.code)
  local agent = agent_on_s()
  assert.equal("re: hello", agent:ask("hello"))
  local ok
  ok, err = agent:flush()
  assert.is_nil(ok)
  assert.equal(code, err.code)
  ok, err = agent:save_session()
  assert.is_nil(ok)
  assert.equal(code, err.code)
  assert.equal("failed", (agent:save_status()))
  assert.equal(2, #agent:get_history())
  done()
  assert.same(before, disk.tree(root, directory .. "/.lock"))
end

local function recipe(op, name, check)
  tested["fs:" .. op] = true
  it(op .. ": " .. name, check)
end

describe("in the place of a session's file,", function()
  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    file = directory .. "/s.json"
    backend = deepagent.file_backend { path = directory, durable = false }
    agents = {}
    disk.shell("mkdir -m 700 %s", directory)
  end)
  after_each(function()
    -- Nothing is left to be saved when the process ends.
    disk.shell("rm -rf %s", file)
    for _, agent in ipairs(agents) do agent:delete_session() end
    disk.remove(root)
  end)

  recipe("directory", "a directory is refused, and not listed", function()
    disk.shell("mkdir %s", file)
    disk.write(file .. "/inside", "x")
    assert_refused("unsafe_file")
    assert.same({}, backend:list())
    local ok, err = backend:delete("s")
    assert.is_nil(ok)
    assert.equal("unsafe_file", err.code)
  end)

  recipe("fifo", "a FIFO is refused without waiting", function()
    disk.shell("mkfifo %s", file)
    assert_refused("unsafe_file")
    assert.same({}, backend:list())
  end)

  recipe("socket", "a socket is refused", function()
    disk.shell("cd %s && python3 -c 'import socket; "
      .. "socket.socket(socket.AF_UNIX).bind(\"s.json\")'", directory)
    assert_refused("unsafe_file")
    assert.same({}, backend:list())
  end)

  recipe("symlink_out", "a link out of the directory is not followed",
    function()
      local outside = root .. "/outside"
      disk.write(outside, '{"messages":[{"role":"user","content":"x"}]}')
      assert(lfs.link(outside, file, true))
      assert_refused("unsafe_file")
      assert.same({}, backend:list())
    end)

  recipe("symlink_dangling", "a dangling link creates nothing", function()
    assert(lfs.link(root .. "/nowhere", file, true))
    assert_refused("unsafe_file")
    assert.is_false(disk.exists(root .. "/nowhere"))
  end)

  recipe("symlink_loop", "a link to itself is refused", function()
    assert(lfs.link(file, file, true))
    assert_refused("unsafe_file")
  end)

  recipe("owner_other", "another user's file is refused", function()
    disk.write(file, '{"messages":[]}')
    if not os.execute("chown 65534 " .. file .. " 2>/dev/null") then
      return pending("only root can give a file away")
    end
    assert_refused("unsafe_file")
  end)

  recipe("sparse_1TiB", "a huge file is refused before it is read",
    function()
      if not os.execute("truncate -s 1T " .. file .. " 2>/dev/null") then
        return pending("no file of 1 TiB here")
      end
      local messages, err = backend:load("s")
      assert.is_nil(messages)
      assert.equal("too_large", err.code)
      local agent = agent_on_s()
      assert.equal("re: hello", agent:ask("hello"))
      assert.is_nil((agent:flush()))
      assert.equal(1 << 40, lfs.attributes(file, "size"))
    end)

  it("a file above max_bytes is refused, also when writing", function()
    assert(backend:save("s", { { role = "user", content = "before" } }))
    local before = disk.read(file)
    backend = deepagent.file_backend { path = directory, max_bytes = 100 }
    assert_refused("too_large")
    backend = deepagent.file_backend { path = directory, max_bytes = 2000 }
    local agent = agent_on_s()
    assert(agent:ask(("x"):rep(3000)))
    local ok, err = agent:flush()
    assert.is_nil(ok)
    assert.equal("too_large", err.code)
    assert.equal(before, disk.read(file))
  end)
end)

describe("around a session's file,", function()
  before_each(function()
    root = disk.temp()
    directory = root .. "/sessions"
    file = directory .. "/s.json"
    backend = deepagent.file_backend { path = directory }
    agents = {}
  end)
  after_each(function()
    for _, agent in ipairs(agents) do agent:delete_session() end
    disk.remove(root)
  end)

  recipe("dir_missing", "the directory is made, for its owner only",
    function()
      local agent = agent_on_s()
      assert(agent:ask("x"))
      assert(agent:flush())
      assert.equal("rwx------", disk.mode(directory))
      assert.same({ "x", "re: x" }, stored())
    end)

  recipe("dir_removed_midway", "nothing is lost in memory", function()
    local agent = agent_on_s()
    assert(agent:ask("one"))
    assert(agent:flush())
    disk.shell("rm -r %s", directory)
    assert(agent:ask("two"))
    local ok, err = agent:flush()
    assert.is_nil(ok)
    assert.equal("conflict", err.code)
    assert.truthy(err.message:find("deleted", 1, true))
    assert.equal(4, #agent:get_history())
    -- One that has never been saved finds no fault with a new directory.
    local other = deepagent.new { provider = models.echo() }
      :with_session_id("other"):with_memory_backend(backend)
    assert(other:ask("three"))
    assert(other:flush())
    assert.same({ "other" }, backend:list())
  end)

  recipe("dir_readonly", "no right to write is told, and nothing is lost",
    function()
      local words = child.respecting_modes()
      if not words then return pending("no way to respect modes") end
      backend:save("s", { { role = "user", content = "before" } })
      local output, status = child.run([[
        local deepagent = require "deepagent"
        local function modes(mode) os.execute("chmod " .. mode .. " "
          .. arg[1]) end
        local agent = deepagent.offline():with_session_id "s"
          :with_memory_backend(deepagent.file_backend { path = arg[1] })
        modes "500"
        print(#agent:get_history(), agent:ask "hi" ~= nil)
        local ok, err = agent:flush()
        print(ok, err.code, (agent:save_status()))
        modes "700"
        print(agent:flush(), (agent:save_status()))]],
        { args = { directory }, before = words })
      assert.equal("1\ttrue\nnil\tpermission_denied\tfailed\ntrue\tsaved\n",
        output)
      assert.equal(0, status)
      assert.equal(3, #stored())
    end)

  it("a file that cannot be read is not written over, and merged later",
    function()
      local words = child.respecting_modes()
      if not words then return pending("no way to respect modes") end
      backend:save("s", { { role = "user", content = "before" },
        { role = "assistant", content = "yes" } })
      local before = disk.read(file)
      local output, status = child.run([[
        local deepagent = require "deepagent"
        local file = arg[1] .. "/s.json"
        local logged = {}
        local agent = deepagent.offline():with_session_id "s"
          :with_memory_backend(deepagent.file_backend { path = arg[1] })
          :with_logger(function(level, _, fields)
            logged[#logged + 1] = level .. ":" .. tostring(fields.code)
          end)
        os.execute("chmod 000 " .. file)
        print(agent:ask "first" ~= nil, logged[1])
        for _, verb in ipairs { "flush", "save_session", "load_session" } do
          local ok, err = agent[verb](agent)
          print(verb, ok, err.code)
        end
        print((agent:save_status()), #agent:get_history())
        os.execute("chmod 600 " .. file)
        print(agent:ask "second" ~= nil, agent:flush())
        print((agent:save_status()))]],
        { args = { directory }, before = words })
      assert.equal(table.concat({ "true\twarn:permission_denied",
        "flush\tnil\tpermission_denied",
        "save_session\tnil\tpermission_denied",
        "load_session\tnil\tpermission_denied", "failed\t2",
        "true\ttrue", "saved\n" }, "\n"), output)
      assert.equal(0, status)
      assert.truthy(disk.read(file) ~= before)
      local found = stored()
      assert.equal(6, #found)
      assert.same({ "before", "yes", "first" },
        { table.unpack(found, 1, 3) })
      assert.equal("second", found[5])
    end)

  recipe("name_is_json_only", "a file .json is nobody's", function()
    backend:save("s", {})
    disk.write(directory .. "/.json", "not ours")
    assert.same({ "s" }, backend:list())
    assert.equal("not ours", disk.read(directory .. "/.json"))
  end)

  recipe("replaced_between_stat_and_open", "no link is ever followed",
    function()
      local secret = root .. "/secret"
      disk.write(secret, '{"messages":[{"role":"user","content":"secret"}]}')
      backend:save("s", { { role = "user", content = "ours" } })
      disk.shell("cp %s %s/copy", file, root)
      local swapper = child.start([[
        local lfs = require "lfs"
        local file, secret, copy = arg[1], arg[2], arg[3]
        for i = 1, 2000 do
          local new = file .. ".new"
          lfs.link(i % 2 == 1 and secret or copy, new, i % 2 == 1)
          os.rename(new, file)
        end
        os.remove(file .. ".new")]], { args = { file, secret,
        root .. "/copy" } })
      local seen = {}
      for _ = 1, 2000 do
        local messages, err = backend:load("s")
        local what = messages and messages[1].content or err.code
        seen[what] = (seen[what] or 0) + 1
      end
      assert.equal("", (swapper:wait()))
      assert.is_nil(seen.secret)
      for what in pairs(seen) do
        assert.truthy(({ ours = true, unsafe_file = true, busy = true,
          not_found = true })[what], what)
      end
    end)

  recipe("deleted_by_other", "a conflict, not a silent rebirth", function()
    local agent = agent_on_s()
    assert(agent:ask("one"))
    assert(agent:flush())
    local output, status = child.run([[
      local backend = require "deepagent".file_backend { path = arg[1] }
      print(backend:delete("s"))]], { args = { directory } })
    assert.equal("true\n", output)
    assert.equal(0, status)
    assert(agent:ask("two"))
    local ok, err = agent:flush()
    assert.is_nil(ok)
    assert.equal("conflict", err.code)
    assert.is_false(disk.exists(file))
    assert.equal(4, #agent:get_history())
    -- As the error says: load, and it begins anew with what was not saved.
    assert.is_true(agent:load_session())
    assert.equal(4, #agent:get_history())
    assert(agent:ask("three"))
    assert(agent:flush())
    assert.truthy(disk.exists(file))
    local found = stored()
    assert.equal("three", found[#found - 1])
  end)

  it("every fs: recipe of the vectors is tested", function()
    local recipes = vectors.corruptions()
    if not recipes then return pending(vectors.missing) end
    local count = 0
    for _, each in ipairs(recipes) do
      if each.op:find("^fs:") then
        assert.truthy(tested[each.op], each.op)
        count = count + 1
      end
    end
    assert.truthy(count >= 14)
  end)
end)
