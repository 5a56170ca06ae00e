-- docs_spec.lua - the documentation says what is so: its blocks of Lua run
-- and print what stands below them, its lists are whole, its links lead
-- somewhere.

local deepagent = require "deepagent"

local ROOT = os.getenv "DA_ROOT" or "."
local FILES = { "README.md", "docs/api.md", "docs/sessions.md",
  "docs/structured.md", "docs/content.md", "docs/services.md",
  "docs/errors.md", "docs/tools.md",
  "docs/architecture.md", "docs/development.md", "docs/durability.md" }

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end

local function run(command)
  local pipe = io.popen(command .. " 2>&1")
  local output = pipe:read "a"
  local ok = pipe:close()
  return output, ok
end

-- A home of one's own, with nothing in it.
local home
local function fresh_home()
  home = os.tmpname()
  os.remove(home)
  assert(os.execute("mkdir " .. home))
end
local function drop_home()
  os.execute("rm -r " .. home)
end

-- The fenced blocks of a text: language, contents, and the line where each
-- begins. `output`: the block of text that stands below one, if only blank
-- lines are between.
local function blocks_of(text)
  local blocks, block, gap = {}, nil, true
  local number = 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local fence = line:match "^```(%w*)$"
    if block and fence then
      local last = blocks[#blocks]
      block.text = table.concat(block, "\n") .. "\n"
      if block.language == "text" and last and not gap then
        last.output = block.text
      end
      blocks[#blocks + 1] = block
      block, gap = nil, false
    elseif block then
      block[#block + 1] = line
    elseif fence then
      block = { language = fence, line = number }
    elseif line ~= "" then
      gap = true
    end
  end
  assert(not block, "a block does not end")
  return blocks
end

local texts, blocks = {}, {}
for _, name in ipairs(FILES) do
  texts[name] = read(ROOT .. "/" .. name)
  blocks[name] = blocks_of(texts[name])
end

-- What runs a block: the offline model stands in for the real ones.
local DRIVER = [[
local deepagent = require "deepagent"
local offline = require "deepagent.offline"
local function stand_in(model, options)
  local merged = { model = model, provider = offline.provider() }
  for name, value in pairs(type(options) == "table" and options or {}) do
    merged[name] = value
  end
  merged.endpoint, merged.api_version, merged.token = nil, nil, nil
  return deepagent.new(merged)
end
for _, service in ipairs { "openai", "azure", "ollama", "llamacpp", "vllm",
  "groq", "mistral", "deepseek", "openrouter", "together", "xai" } do
  assert(deepagent[service])
  deepagent[service] = stand_in
end
assert(loadfile "example.lua")()
]]

for _, name in ipairs(FILES) do
  describe("the Lua of " .. name, function()
    setup(fresh_home)
    teardown(drop_home)

    for _, block in ipairs(blocks[name]) do
      if block.language == "lua" then
        it("runs, line " .. block.line, function()
          write(home .. "/driver.lua", DRIVER)
          write(home .. "/example.lua", block.text)
          local output, ok = run(("cd %s && HOME=%s lua5.4 driver.lua")
            :format(home, home))
          assert.truthy(ok, output)
          if block.output then assert.equal(block.output, output) end
        end)
      end
    end
  end)
end

describe("README.md", function()
  before_each(fresh_home)
  after_each(drop_home)

  it("shows what examples/remember.lua prints", function()
    local shown = {}
    for _, block in ipairs(blocks["README.md"]) do
      if block.text:find "^Model:" then shown[#shown + 1] = block.text end
    end
    assert.equal(2, #shown)
    for i = 1, 2 do
      local output = run(("HOME=%s lua5.4 %s/examples/remember.lua")
        :format(home, ROOT))
      if not output:find "no Ollama here" then
        return pending "there is an Ollama here"
      end
      assert.equal(shown[i], output)
    end
  end)

  it("has a C program that compiles and says what stands there", function()
    local program, output
    for i, block in ipairs(blocks["README.md"]) do
      if block.language == "c" then
        assert.is_nil(program)
        program, output = block.text, blocks["README.md"][i + 1].text
      end
    end
    write(home .. "/ask.c", program)
    local command = ("gcc -Wall -Wextra -Werror -I%s/src -o %s/ask %s/ask.c")
      :format(ROOT, home, home)
    if os.getenv "DA_CONFIG" ~= "release" then
      local said, ok = run(command .. " -fsyntax-only")
      return assert.truthy(ok, said)
    end
    local said, ok = run(command .. (" %s/libdeepagent.a -lcurl -lpthread "
      .. "-lm"):format(os.getenv "DA_BUILD"))
    assert.truthy(ok, said)
    assert.equal(output, (run(("HOME=%s %s/ask"):format(home, home))))
  end)
end)

describe("docs/sessions.md", function()
  before_each(fresh_home)
  after_each(drop_home)

  it("shows a session's file as it is", function()
    local shown
    for _, block in ipairs(blocks["docs/sessions.md"]) do
      if block.text:find '^{\n  "version"' then shown = block.text end
    end
    write(home .. "/user-alice.json", shown)
    local store = deepagent.file_backend { path = home, durable = false }
    local messages, info = store:load "user-alice"
    assert.equal(2, #assert(messages, info))
    -- Saved again it is the same, to the byte.
    assert.truthy(store:save("user-alice", messages, info))
    local function of_messages(text) return text:match '"messages".-\n  %]' end
    assert.equal(of_messages(shown),
      of_messages(read(home .. "/user-alice.json")))
  end)
end)

-- --- whole ----------------------------------------------------------------

local function methods_of(object)
  local names = {}
  for name in pairs(debug.getmetatable(object).__index) do
    if name:sub(1, 1) ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  assert(#names > 0)
  return names
end

local codes = {}
for code in read(ROOT .. "/src/deepagent_types.h")
  :gmatch 'X%(DA_E%w+, %-%d+, "([%w_]+)"%)' do
  codes[#codes + 1] = code
end

local functions, values = {}, {}
for name, value in pairs(deepagent) do
  local list = type(value) == "function" and functions or values
  list[#list + 1] = name
end

local options = {}
do
  local source = read(ROOT .. "/lua/deepagent/init.lua")
  for _, list in ipairs { "reach", "handled", "azure_only" } do
    local found = assert(source:match("local " .. list .. " = (%b{})"))
    for name in found:gmatch "([%w_]+) =" do options[#options + 1] = name end
  end
end

local agent_methods = methods_of(deepagent.offline())
local backend_methods = methods_of(deepagent.memory_backend())

local function has(text, what)
  assert.truthy(text:find(what, 1, true), "it lacks " .. what)
end

describe("docs/api.md", function()
  local api = texts["docs/api.md"]

  it("has every function of the module", function()
    for _, name in ipairs(functions) do
      has(api, "`deepagent." .. name .. "(")
    end
    for _, name in ipairs(values) do
      has(api, "| `deepagent." .. name .. "` |")
    end
  end)

  it("has every method of agents and backends", function()
    for _, name in ipairs(agent_methods) do
      has(api, "`agent:" .. name .. "(")
    end
    for _, name in ipairs(backend_methods) do
      has(api, "`backend:" .. name .. "(")
    end
  end)

  it("has every option", function()
    for _, name in ipairs(options) do has(api, "`" .. name .. "`") end
  end)

  it("has every code, and no other", function()
    assert.truthy(#codes > 30)
    local errors = api:match "\n## Errors\n(.*)"
    local known = { code = true, message = true, retryable = true,
      status = true, retry_after = true, request_id = true,
      service_code = true, text = true, messages = true }
    for _, code in ipairs(codes) do
      known[code] = true
      has(errors, "\n| `" .. code .. "` |")
      has(texts["README.md"], "`" .. code .. "`")
    end
    for code in errors:gmatch "\n| `([%w_]+)` |" do
      assert.truthy(known[code], code .. " is no code")
    end
  end)

  it("has no function that there is not", function()
    local agent, backend = deepagent.offline(), deepagent.memory_backend()
    for _, text in pairs(texts) do
      for name in text:gmatch "agent:([%w_]+)%(" do
        assert.truthy(agent[name], "agent:" .. name)
      end
      for name in text:gmatch "`backend:([%w_]+)%(" do
        assert.truthy(backend[name], "backend:" .. name)
      end
      for name in text:gmatch "deepagent%.([%w_]+)%(" do
        assert.truthy(deepagent[name], "deepagent." .. name)
      end
    end
  end)
end)

describe("lua/deepagent/types.lua", function()
  local types = read(ROOT .. "/lua/deepagent/types.lua")

  it("has all functions, fields, options and codes", function()
    for _, name in ipairs(functions) do
      has(types, "\nfunction deepagent." .. name .. "(")
    end
    for _, name in ipairs(values) do
      has(types, "\n---@field " .. name .. " ")
    end
    for _, name in ipairs(agent_methods) do
      has(types, "\nfunction Agent:" .. name .. "(")
    end
    for _, name in ipairs(backend_methods) do
      has(types, "\nfunction Backend:" .. name .. "(")
    end
    for _, name in ipairs(options) do
      has(types, "\n---@field " .. name .. "? ")
    end
    for _, name in ipairs(agent_methods) do
      local option = name:match "^with_(.*)$"
      if option and option ~= "header" then
        has(types, "\n---@field " .. option .. "? ")
      end
    end
    for _, code in ipairs(codes) do has(types, '\n---| "' .. code .. '"\n') end
  end)

  it("has no other", function()
    local agent, backend = deepagent.offline(), deepagent.memory_backend()
    local places = { Agent = agent, Backend = backend, deepagent = deepagent }
    local count = 0
    for place, name in types:gmatch "\nfunction (%w+)[.:]([%w_]+)%(" do
      assert.truthy(places[place][name], place .. "." .. name)
      count = count + 1
    end
    assert.equal(#functions + #agent_methods + #backend_methods, count)
  end)

  it("names the arguments that the functions have", function()
    assert(load(types))
    local notes = {}
    for line in types:gmatch "([^\n]*)\n" do
      local name = line:match "^%-%-%-@param ([%w_.]+)%?? "
      local arguments = line:match "^function [%w_.:]+%((.*)%) end$"
      if name then notes[#notes + 1] = name end
      if arguments then
        assert.equal(arguments, table.concat(notes, ", "), line)
        notes = {}
      end
    end
  end)
end)

describe("links", function()
  local function anchors_of(text)
    local anchors = {}
    for title in ("\n" .. text):gmatch "\n#+ ([^\n]+)" do
      anchors[title:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
    end
    return anchors
  end

  for _, name in ipairs(FILES) do
    it("of " .. name .. " lead somewhere", function()
      local folder = name:match "^(.*/)" or ""
      for link in texts[name]:gmatch "%]%(([^)]+)%)" do
        local path, anchor = link:match "^([^#]*)#?(.*)$"
        local target = path == "" and name or folder .. path
        target = target:gsub("[^/]+/%.%./", "")
        assert.truthy(os.rename(ROOT .. "/" .. target, ROOT .. "/" .. target),
          "no file " .. target)
        if anchor ~= "" then
          assert.truthy(anchors_of(read(ROOT .. "/" .. target))[anchor],
            "no title for " .. link)
        end
      end
    end)
  end
end)
