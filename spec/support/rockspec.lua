-- rockspec.lua - checks that the rockspec lists the files that there are;
-- with --write, writes its lists anew.

local FILE = "deepagent-0.1.0-1.rockspec"

-- Variables of the Makefile are the one place that says what goes where.
local function make_variable(name)
  local pipe = io.popen("make -s --no-print-directory --eval 'print-%:; "
    .. "@echo $($*)' print-" .. name)
  local words = {}
  for word in pipe:read("a"):gmatch("%S+") do
    words[#words + 1] = word
  end
  pipe:close()
  table.sort(words)
  return words
end

local function c_module(out, name, sources, libraries)
  out(("    [%q] = {\n      sources = {\n"):format(name))
  for _, source in ipairs(sources) do
    out(("        %q,\n"):format("src/" .. source))
  end
  out("      },\n      incdirs = { \"src\" },\n")
  out("      defines = { \"_GNU_SOURCE\" },\n")
  out(libraries)
  out("    },\n")
end

local function modules()
  local parts = {}
  local function out(text)
    parts[#parts + 1] = text
  end
  for _, file in ipairs(make_variable("LUA_FILES")) do
    local name = file:gsub("/init%.lua$", ""):gsub("%.lua$", "")
      :gsub("/", ".")
    out(("    [%q] = %q,\n"):format(name, "lua/" .. file))
  end
  c_module(out, "deepagent.core", make_variable("CORE_SOURCES"),
    "      libraries = { \"pthread\" },\n")
  c_module(out, "deepagent.curl", make_variable("CURL_SOURCES"),
    "      libraries = { \"curl\", \"pthread\" },\n"
      .. "      libdirs = { \"$(CURL_LIBDIR)\" },\n")
  return table.concat(parts)
end

local file <close> = assert(io.open(FILE))
local old = file:read("a")
local head, tail = old:match("^(.-\n  modules = {\n).-(  },\n}\n)$")
assert(head, FILE .. ": no modules = { ... } at its end")
local new = head .. modules() .. tail

if arg[1] == "--write" then
  local to <close> = assert(io.open(FILE, "w"))
  to:write(new)
elseif new ~= old then
  print(FILE .. ": its lists are not those of the tree; `make rockspec`")
  os.exit(1)
end

-- The version is told in da_version.h; the file's name and text follow it.
local version = make_variable("VERSION")[1]
if not new:find('version = "' .. version .. '-1"', 1, true)
    or not FILE:find(version, 1, true) then
  print(FILE .. ": its version is not " .. version)
  os.exit(1)
end
