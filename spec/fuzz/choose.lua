-- spec/fuzz/choose.lua CONTROL: names the inputs to keep, a line each, of
-- those that libFuzzer's merge has looked at (its control file tells what
-- each of them reaches): what has a name given by hand, and then, one after
-- the other, what reaches most that is not reached yet; up to a number of
-- inputs and bytes that a repository bears.

local MOST_INPUTS, MOST_BYTES = 60, 30000

local function read(path)
  local inputs, lines = {}, {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  local count = tonumber(lines[1])
  for i = 1, count do
    inputs[i] = { path = lines[i + 2], size = 0, reached = {} }
  end
  for i = count + 3, #lines do
    local word, index, rest = lines[i]:match("^(%u+) (%d+) ?(.*)$")
    local input = inputs[tonumber(index) + 1]
    if word == "STARTED" then
      input.size = tonumber(rest)
    elseif word == "FT" then
      for feature in rest:gmatch "%d+" do
        input.reached[#input.reached + 1] = tonumber(feature)
      end
    end
  end
  return inputs
end

-- Eight features, of how often it is passed, make an edge: a new edge is
-- worth more than another number of times.
local function worth(input, seen)
  local sum = 0
  for _, feature in ipairs(input.reached) do
    if not seen[feature] then sum = sum + 1 end
    if not seen[-(feature // 8) - 1] then sum = sum + 8 end
  end
  return sum
end

local function keep(input, seen)
  for _, feature in ipairs(input.reached) do
    seen[feature] = true
    seen[-(feature // 8) - 1] = true
  end
  print(input.path)
end

local inputs, seen, number, bytes = read(arg[1]), {}, 0, 0
for i = #inputs, 1, -1 do
  local name = inputs[i].path:match("[^/]*$")
  if not name:find("^%x+$") or #name ~= 40 then
    keep(inputs[i], seen)
    number, bytes = number + 1, bytes + inputs[i].size
    table.remove(inputs, i)
  end
end
while number < MOST_INPUTS do
  local best, most = nil, 0
  for _, input in ipairs(inputs) do
    local value = worth(input, seen) / (input.size + 64)
    if bytes + input.size <= MOST_BYTES and value > most then
      best, most = input, value
    end
  end
  if not best then break end
  keep(best, seen)
  number, bytes = number + 1, bytes + best.size
end
