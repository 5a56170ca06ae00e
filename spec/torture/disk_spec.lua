-- Real disks that are full, read-only, broken or closed to us: each test is a
-- process with file systems of its own, which are gone with it. Promised is:
-- the agent answers, tells why it could not save, the old conversation stays
-- whole, and all is stored when the disk works again.

local child = require "support.child"
local disk = require "support.disk"
local mounts = require "support.mounts"

-- In front of each script. `agent` has the session "s" in the directory
-- arg[1] .. "/sessions", `turns` is how often it was asked.
local BEFORE = [[
  local deepagent = require "deepagent"
  local place = arg[1]
  local directory = place .. "/sessions"
  local turns = 0
  local function new(durable)
    return deepagent.offline():with_session_id "s":with_memory_backend(
      deepagent.file_backend { path = directory, durable = durable })
  end
  local function run(...) assert(os.execute((...):format(select(2, ...)))) end
  local function ask(agent, length)
    turns = turns + 1
    assert(agent:ask("turn " .. turns .. " " .. ("x"):rep(length or 10)))
  end
  local function fails(code, ok, err)
    assert(not ok and err.code == code, tostring(err))
  end
  local function saved(agent)
    assert(agent:flush())
    assert(agent:save_status() == "saved")
  end
  -- What a flush fails with, and what the agent says of it.
  local function unsaved(agent, code)
    fails(code, agent:flush())
    local status, err = agent:save_status()
    assert(status == "failed" and err.code == code)
  end
  -- What is stored: so many turns, each whole and in order.
  local function stored(count)
    local messages = assert(deepagent.file_backend { path = directory }
      :load "s")
    assert(#messages == 2 * count, #messages .. " messages")
    for i = 1, count do
      assert(messages[2 * i - 1].content:find("^turn " .. i .. " "))
      assert(messages[2 * i].role == "assistant")
    end
  end
  local function only(...)
    local pipe = io.popen("ls -A " .. directory)
    local names = pipe:read("a")
    pipe:close()
    assert(names == table.concat({ ... }, "\n") .. "\n", names)
  end
]]

-- Runs it where `mount` (a shell's text; $1 is the place) was done before.
local function run(mount, script, words)
  local before = mounts.before(mount, words)
  if not before then return pending(mounts.missing) end
  local place = disk.temp()
  local output, status = child.run(BEFORE .. script, {
    before = before:format(disk.quoted(place)), args = { place },
  })
  if output:find("^skip: ") then
    disk.remove(place)
    return pending(output:sub(7):gsub("\n.*", ""))
  end
  local left = disk.names(place)
  disk.remove(place)
  assert.same({}, left)
  assert.equal("", output)
  assert.equal(0, status)
end

local TMPFS = 'mount -t tmpfs -o size=2m,nr_inodes=32 deepagent "$1"'

describe("on a disk of 2 MiB,", function()
  for _, durable in ipairs { true, false } do
    local kind = durable and "" or ", not durable"

    it("a session that outgrows it is kept" .. kind, function()
      run(TMPFS, "local durable = " .. tostring(durable) .. [[
        local agent = new(durable)
        local told = {}
        agent:with_logger(function(_, _, fields)
          told[fields.code or ""] = true
        end)
        local kept = 0
        repeat
          kept = turns
          ask(agent, 50000)
        until not agent:flush() or turns == 100
        assert(kept > 3 and turns < 100)
        unsaved(agent, "disk_full")
        assert(told.disk_full)
        stored(kept)
        ask(agent)
        unsaved(agent, "disk_full")
        stored(kept)
        only(".lock", "s.json")
        assert(#agent:get_history() == 2 * turns)
        run("mount -o remount,size=8m %s", place)
        ask(agent)
        saved(agent)
        stored(turns)
        only(".lock", "s.json")]])
    end)

    it("others' files may fill it" .. kind, function()
      run(TMPFS, "local durable = " .. tostring(durable) .. [[
        local agent = new(durable)
        ask(agent, 1000)
        saved(agent)
        run("cat /dev/zero > %s/filler 2>/dev/null || true", place)
        ask(agent, 20000)
        unsaved(agent, "disk_full")
        fails("disk_full", agent:save_session())
        stored(1)
        -- What needs no room goes on.
        assert(#agent:list_sessions() == 1)
        assert(new():load_session())
        run("rm %s/filler", place)
        saved(agent)
        stored(2)
        only(".lock", "s.json")]])
    end)
  end

  it("the first save may find it full", function()
    run(TMPFS, [[
      run("cat /dev/zero > %s/filler 2>/dev/null || true", place)
      local agent = new()
      ask(agent, 20000)
      unsaved(agent, "disk_full")
      run("rm %s/filler", place)
      saved(agent)
      stored(1)
      assert(agent:delete_session())
      only(".lock")]])
  end)

  it("deleting makes room where there is none", function()
    run(TMPFS, [[
      local agent = new()
      ask(agent, 100000)
      saved(agent)
      run("cat /dev/zero > %s/filler 2>/dev/null || true", place)
      assert(agent:delete_session())
      turns = 0
      ask(agent, 1000)
      saved(agent)
      stored(1)]])
  end)

  it("inodes may run out", function()
    run(TMPFS, [[
      local fill = "i=0; while touch %s/f$i; do i=$((i + 1)); done 2>/dev/null"
      local agent, fresh = new(), new():with_session_id "fresh"
      run(fill, place)
      ask(fresh)
      unsaved(fresh, "disk_full") -- the directory cannot be made
      turns = 0
      run("rm %s/f*", place)
      saved(fresh)
      ask(agent)
      saved(agent)
      run(fill, place)
      ask(agent)
      unsaved(agent, "disk_full")
      stored(1)
      run("rm %s/f0", place)
      saved(agent)
      stored(2)
      only(".lock", "fresh.json", "s.json")]])
  end)
end)

describe("on a read-only disk,", function()
  it("sessions are read, and kept until it can be written", function()
    run(TMPFS, [[
      local first = new()
      ask(first)
      assert(first:close())
      first = nil
      collectgarbage()
      run("mount -o remount,ro %s", place)
      local agent = new()
      assert(#agent:get_history() == 2)
      assert(#agent:list_sessions() == 1)
      ask(agent)
      unsaved(agent, "permission_denied")
      fails("permission_denied", agent:delete_session())
      assert(#agent:get_history() == 4)
      stored(1)
      run("mount -o remount,rw %s", place)
      ask(agent)
      saved(agent)
      stored(3)
      only(".lock", "s.json")]])
  end)

  it("a first session is kept, too", function()
    run("mount -r -t tmpfs deepagent \"$1\"", [[
      local agent = new()
      ask(agent)
      unsaved(agent, "permission_denied")
      run("mount -o remount,rw %s", place)
      saved(agent)
      stored(1)]])
  end)

  it("as a file system becomes that finds itself broken", function()
    run([[mount -t tmpfs deepagent "$1" && truncate -s 8M "$1/image" &&
      mkfs.ext4 -q "$1/image" && mkdir "$1/disk" "$1/mended" &&
      mount -o loop,errors=remount-ro "$1/image" "$1/disk" ||
      { echo "skip: no loop-mounted ext4 here"; exit 1; }]], [[
      directory = place .. "/disk/sessions"
      local agent = new()
      ask(agent)
      saved(agent)
      run("cp --sparse=always %s/image %s/copy", place, place)
      run("dev=$(findmnt -no SOURCE %s/disk) && echo 1 > "
        .. "/sys/fs/ext4/${dev##*/}/trigger_fs_error", place)
      ask(agent)
      local ok, err = agent:flush()
      assert(not ok and (err.code == "io_error"
        or err.code == "permission_denied"), tostring(err))
      stored(1)
      ask(agent)
      assert(not agent:flush())
      assert(#agent:get_history() == 6)
      -- Somebody mends it and mounts it in the same place.
      run("e2fsck -fp %s/copy > /dev/null; [ $? -le 1 ]", place)
      run("umount -l %s/disk && mount -o loop %s/copy %s/disk",
        place, place, place)
      saved(agent)
      stored(3)]])
  end)
end)

describe("with a process's own limits,", function()
  it("no file may be large: no SIGXFSZ", function()
    run(TMPFS, [[
      local agent = new()
      ask(agent)
      saved(agent)
      ask(agent, 10000)
      unsaved(agent, "disk_full")
      fails("disk_full", agent:save_session())
      stored(1)
      run("prlimit --fsize=1000000:1000000 --pid $PPID")
      saved(agent)
      stored(2)
      only(".lock", "s.json")]], "prlimit --fsize=4096:1000000")
  end)

  it("no file may be opened", function()
    run(TMPFS, [[
      local agent, other = new(), new():with_session_id "other"
      ask(agent)
      saved(agent)
      assert(agent:save_status() == "saved")
      local files = {}
      repeat
        local file = io.open "/dev/null"
        files[#files + 1] = file
      until not file
      ask(agent)
      unsaved(agent, "io_error")
      fails("io_error", agent:load_session())
      fails("io_error", agent:list_sessions())
      fails("io_error", other:load_session())
      assert(other:ask "x")
      unsaved(other, "io_error")
      for _, file in ipairs(files) do file:close() end
      saved(agent)
      saved(other)
      stored(2)
      only(".lock", "other.json", "s.json")]], "prlimit --nofile=64:64")
  end)
end)

-- Root without the capabilities that let it ignore modes.
describe("without rights,", function()
  local words = "setpriv --bounding-set=-dac_override,-dac_read_search,"
    .. "-fowner --inh-caps=-dac_override,-dac_read_search,-fowner"

  for _, case in ipairs {
    { "500", load = "", list = "", flush = "permission_denied" },
    { "300", load = "", list = "permission_denied", flush = "" },
    { "600", load = "permission_denied", list = "",
      flush = "permission_denied" },
    { "000", load = "permission_denied", list = "permission_denied",
      flush = "permission_denied" },
  } do
    local mode = case[1]
    it("in a directory of mode " .. mode, function()
      run(TMPFS, ("local mode, codes = %q, { load = %q, list = %q, flush = %q}")
        :format(mode, case.load, case.list, case.flush) .. [[
        local first, agent = new(), new()
        ask(first)
        assert(first:close())
        local function is(code, ok, err)
          assert((ok and "" or err.code) == code, tostring(err))
        end
        run("chmod %s %s", mode, directory)
        is(codes.load, agent:load_session())
        is(codes.list, agent:list_sessions())
        ask(agent)
        is(codes.flush, agent:flush())
        assert((agent:save_status() == "saved") == (codes.flush == ""))
        run("chmod 700 %s", directory)
        saved(agent)
        stored(2)
        only(".lock", "s.json")]], words)
    end)
  end

  it("a directory of another user cannot be written", function()
    run(TMPFS, [[
      local agent = new()
      run("mkdir -m 755 %s && chown 65534 %s", directory, directory)
      ask(agent)
      unsaved(agent, "permission_denied")
      run("chown 0 %s && chmod 700 %s", directory, directory)
      saved(agent)
      stored(1)]], words)
  end)

  it("a file of another user in a sticky directory stays", function()
    run(TMPFS, [[
      local agent = new()
      run("mkdir -m 1777 %s && touch %s/.lock && echo x > %s/s.json",
        directory, directory, directory)
      run("chmod 666 %s/s.json && chown 65534 %s/s.json %s", directory,
        directory, directory)
      ask(agent)
      unsaved(agent, "unsafe_file")
      fails("unsafe_file", agent:load_session())
      fails("unsafe_file", agent:delete_session())
      fails("unsafe_file", agent:save_session())
      run("grep -qx x %s/s.json", directory)
      only(".lock", "s.json")]], words)
  end)
end)

-- What every store promises, and the specs of the file backend.
describe("on other file systems,", function()
  local function image(command, options)
    return ([[mount -t tmpfs deepagent "$1" && mkdir "$1/disk" &&
      truncate -s %s "$1/image" && %s "$1/image" >/dev/null 2>&1 &&
      mount -o loop%s "$1/image" "$1/disk" ||
      { echo "skip: cannot be made or mounted here"; exit 1; }]])
      :format(command:find("xfs") and "320M" or "128M", command, options or "")
  end
  local overlay = [[mount -t tmpfs deepagent "$1" &&
    mkdir "$1/lower" "$1/upper" "$1/work" "$1/disk" &&
    mount -t overlay -o \
      "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" \
      deepagent "$1/disk" ||
    { echo "skip: cannot be mounted here"; exit 1; }]]
  local kinds = { { "overlay", overlay } }
  if (os.getenv "DA_FULL" or "") ~= "" then
    kinds[2] = { "ext2", image "mkfs.ext2 -q" }
    kinds[3] = { "ext4", image "mkfs.ext4 -q" }
    kinds[4] = { "xfs", image "mkfs.xfs" }
    kinds[5] = { "btrfs", image "mkfs.btrfs" }
  end
  for _, each in ipairs(kinds) do
    local kind, mount = each[1], each[2]
    it("the contract holds on " .. kind, function()
      run(mount, [[
        local command = "TMPDIR=%s/disk lua5.4 /usr/bin/busted "
          .. "--output=spec/support/handler.lua --filter=%q "
          .. "spec/%s_spec.lua 2>&1"
        local filters = { file_backend = "." }
        if (os.getenv "DA_FULL" or "") ~= "" then
          filters.contract = "a durable file store"
        end
        for spec, filter in pairs(filters) do
          local pipe = io.popen(command:format(place, filter, spec))
          local output = pipe:read("a")
          pipe:close()
          assert(output:find("ok - ", 1, true), output)
          if output:find("not ok", 1, true) then print(output) end
        end]])
    end)
  end

  it("what lies below an overlay is read and replaced", function()
    run([[mount -t tmpfs deepagent "$1" &&
      mkdir "$1/lower" "$1/upper" "$1/work" "$1/disk"]], [[
      directory = place .. "/lower/sessions"
      local first = new()
      ask(first)
      assert(first:close())
      if not os.execute(("mount -t overlay -o lowerdir=%s/lower,"
        .. "upperdir=%s/upper,workdir=%s/work deepagent %s/disk 2>/dev/null")
        :format(place, place, place, place)) then
        print "skip: no overlay here"
        return
      end
      local below = directory
      directory = place .. "/disk/sessions"
      local told = {}
      local agent = new():with_logger(function(level, text)
        if level ~= "debug" then told[#told + 1] = text end
      end)
      ask(agent)
      saved(agent)
      ask(agent)
      saved(agent)
      assert(#told == 0, told[1])
      stored(3)
      directory = below
      stored(1)]])
  end)
end)
