-- image.lua - questions with images and files: what they are is found by
-- their first bytes, and a stored session keeps them. The model here is a
-- function that tells what it got; deepagent.openai goes in its place.

local deepagent = require "deepagent"

-- A PNG of one pixel, which this program brings along.
local hex = "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
  .. "7753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44"
  .. "ae426082"
local png = hex:gsub("%x%x", function(byte)
  return string.char(tonumber(byte, 16))
end)
local path = os.tmpname()
do
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(png))
end

local teller = {}
function teller.complete(_, request)
  local told = {}
  for i, message in ipairs(request.messages) do
    for _, part in ipairs(type(message.content) == "table"
      and message.content or {}) do
      local url = part.image_url and part.image_url.url
        or part.file and part.file.file_data
      told[#told + 1] = url and ("message %d has %s"):format(i,
        url:match "^data:(.-);" or url)
    end
  end
  return table.concat(told, ", ")
end

local store = deepagent.memory_backend()
local function agent()
  return deepagent.new { provider = teller }
    :with_session_id "pictures":with_memory_backend(store)
end

-- A file, whatever its name says, and bytes in memory.
print(assert(agent():ask {
  "What is this?",
  assert(deepagent.image(path, { detail = "low" })),
}))
print(assert(agent():ask {
  "And what does this say?",
  assert(deepagent.file { data = "%PDF-1.4\n", name = "empty.pdf" }),
}))

-- What cannot be sent is known before anything is.
for _, bad in ipairs { path .. ".none", "/dev/zero" } do
  local part, err = deepagent.image(bad)
  print(part, err.code)
end
print(select(2, deepagent.image { data = png, max_bytes = 10 }).code)
print(select(2, deepagent.audio { data = png }))
print(select(2, deepagent.image_url "file:///etc/passwd").code)

os.remove(path)
