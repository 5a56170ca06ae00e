-- vectors.lua - the hostile inputs of ../shared/vectors, used in place. Each
-- function returns nil where they are not there.

local disk = require "support.disk"
local json = require "dkjson"

local vectors = {}

vectors.root = (os.getenv("DA_SHARED") or os.getenv("DEEPAGENT_SHARED")
  or "../shared") .. "/vectors/"

vectors.missing = "no shared/vectors"

local function bytes(hex)
  return (hex:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function lines(name)
  local text = disk.read(vectors.root .. name)
  if not text then return nil end
  local list = {}
  for line in text:gmatch "[^\n]+" do
    list[#list + 1] = assert(json.decode(line))
  end
  assert(#list > 0, name .. " is empty")
  return list
end

-- The big list of naughty strings.
function vectors.naughty_strings()
  local text = disk.read(vectors.root .. "strings/blns/blns.json")
  return text and assert(json.decode(text))
end

-- { name, text, valid }
function vectors.utf8_cases()
  local text = disk.read(vectors.root .. "utf8/utf8_cases.json")
  if not text then return nil end
  local list = assert(json.decode(text))
  for _, case in ipairs(list) do case.text = bytes(case.hex) end
  return list
end

-- { n, id, policy, why }, the id to the byte.
function vectors.session_ids()
  local list = lines "session_ids/session_ids.jsonl"
  for _, case in ipairs(list or {}) do
    case.id = type(case.hex) == "string" and bytes(case.hex)
      or bytes(case["repeat"][1]):rep(case["repeat"][2])
  end
  return list
end

-- { op, expect, why }
function vectors.corruptions()
  return lines "sessions/corruptions.jsonl"
end

return vectors
