-- floors.lua - who may include whom (shared/DESIGN.md, section 2).
-- A file includes headers of its own room, and of strictly lower floors.
-- A new file belongs to the room whose name it begins with (da_json_text.c:
-- da_json), or gets a line here.

local FLOORS = {
  da_err = 0, da_buf = 0, da_clock = 0, da_hash = 0, da_utf8 = 0,
  da_json = 0, da_base64 = 0, da_version = 0, da_rate = 0.1,

  da_part = 1.1,
  da_message = 1.1, da_id_set = 1.2, da_history = 1.3, da_limits = 1.4,
  da_tool_calls = 1.2, da_schema = 1.1, da_retry = 1.4,

  -- Public headers; these two may be included from the ground floor on.
  deepagent_types = 0, deepagent_store = 2,
  da_session_id = 2.1, da_go_peer = 2.1, da_journal = 2.1, da_meta = 2.15,
  da_document = 2.2, da_store = 2.3,

  file = 3, store_file = 3, store_memory = 3,

  da_sse = 4.1, da_transport = 4.1,
  da_http = 4.2,
  da_http_curl = 4.3, da_provider = 4.3,
  chat = 4.4, provider_chat = 4.5,
  da_pool = 4.6, da_saver = 4.7, da_channel = 4.7,

  da_preset = 5.05, da_tool = 5.05, da_output = 5.05,
  da_settings = 5.1, da_runtime = 5.1, da_agent = 5.2,
  da_cache = 5.3, da_attempt = 5.4, da_turn = 5.5, da_content = 5.6,

  deepagent = 6, -- the public C API; floor 5 implements it

  lua = 7,
}

-- Rooms that share their headers.
local SAME_ROOM = {
  file = "store_file", chat = "provider_chat", da_channel = "da_saver",
}

-- Included from this floor up, whatever its own.
local OPEN_FROM = { deepagent_types = 0, deepagent_store = 0, deepagent = 5 }

-- Rooms that may include these and no others: what a backend in another
-- repository would have (nearly), and what is installed.
local PUBLIC = { deepagent_types = true, deepagent_store = true }
local STORE = {
  deepagent_types = true, deepagent_store = true, da_session_id = true,
  da_err = true,
}
local ONLY = {
  store_file = STORE, store_memory = STORE,
  deepagent = PUBLIC, deepagent_store = PUBLIC, deepagent_types = {},
}

-- System headers that only one place includes; "" = none does.
local SYSTEM = {
  ["^lua"] = "lua", ["^lauxlib"] = "lua",
  ["^curl/"] = "da_http_curl", ["cJSON"] = "",
}

local problems = 0

local function problem(...)
  problems = problems + 1
  print(string.format(...))
end

-- The longest name in FLOORS that `stem` is, or begins with before a "_".
local function room_of(stem)
  while stem and not FLOORS[stem] do
    stem = stem:match("^(.*)_")
  end
  return stem
end

local function shared(room)
  return SAME_ROOM[room] or room
end

local function stem_of(file)
  return file:match("([^/]+)%.[ch]$")
end

local function check_system(file, room, header)
  for pattern, place in pairs(SYSTEM) do
    if header:find(pattern) and room ~= place then
      problem("%s includes <%s>: %s", file, header,
        place == "" and "nobody may" or "only " .. place .. " may")
    end
  end
end

local function check_own(file, room, header)
  local other = room_of(stem_of(header) or "")
  if not other then
    problem("%s includes \"%s\", which has no floor", file, header)
    return
  end
  if shared(room) == shared(other) then
    return
  end
  local from, to = FLOORS[room], FLOORS[other]
  local only = ONLY[shared(room)]
  if only then
    if not only[other] then
      problem("%s includes \"%s\": not what it may know", file, header)
    end
  elseif not (to < from or from == 0 and to == 0
      or from >= (OPEN_FROM[other] or 1e9)) then
    problem("%s (floor %g) includes \"%s\" (floor %g)", file, from, header,
      to)
  end
end

-- The headers that `file` includes in quotes.
local function check(file)
  local included = {}
  local room = room_of(stem_of(file))
  if not room then
    problem("%s has no floor: give it a line in spec/support/floors.lua", file)
    return included
  end
  for line in io.lines(file) do
    local system = line:match('^%s*#%s*include%s*<([^>]+)>')
    local own = line:match('^%s*#%s*include%s*"([^"]+)"')
    if system then
      check_system(file, room, system)
    elseif own then
      check_own(file, room, own)
      included[#included + 1] = "src/" .. own
    end
  end
  return included
end

local files = io.popen("ls src/*.c src/*.h")
local headers = {}
for file in files:lines() do
  local included = check(file)
  if file:find("%.h$") then
    headers[file] = included
  end
end
files:close()

-- Headers in a circle, which the ground floor's freedom would allow.
local function circle(file, path)
  if path[file] then
    problem("%s includes itself by way of others", file)
    return
  end
  path[file] = true
  for _, other in ipairs(headers[file] or {}) do
    circle(other, path)
  end
  path[file] = nil
end
for file in pairs(headers) do
  circle(file, {})
end

os.exit(problems == 0)
