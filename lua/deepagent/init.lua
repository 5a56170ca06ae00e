--- deepagent: an LLM agent that remembers. See docs/api.md.

if _VERSION ~= "Lua 5.4" then
  error("deepagent needs Lua 5.4; this is " .. _VERSION, 0)
end

local core = require "deepagent.core"
local schema = require "deepagent.schema"

---@class deepagent -- its functions: types.lua
local deepagent = {
  version = core.version,
  null = core.null,
  array = core.array,
  file_backend = core.file_backend,
  memory_backend = core.memory_backend,
  image = core.image,
  image_url = core.image_url,
  audio = core.audio,
  file = core.file,
}

-- Options of the constructors that say how the service is reached, and the
-- type of each. Every other option is the name of a setting: `system = "x"`
-- is `:with_system("x")`.
local reach = {
  base_url = "string", allow_http = "boolean", insecure = "boolean",
  ca_file = "string", proxy = "string",
}
local handled = {
  model = true, api_key = true, provider = true, organization = true,
  project = true, headers = true,
}
-- Those of deepagent.azure alone.
local azure_only = { endpoint = true, api_version = true, token = true }

local function check(condition, level, ...)
  if not condition then error(string.format(...), level + 1) end
end

local function check_option(where, name, value, kind)
  check(type(value) == kind, 3, "%s: %s must be a %s, not %s%s", where, name,
    kind, value == nil and "" or "a ", type(value))
end

--- Calls a method with what an option says; its complaint names the option
--- and where the constructor was called, not this place here.
local function apply(method, agent, where, option, ...)
  local ok, why = pcall(method, agent, ...)
  if ok then return end
  if type(why) == "table" then -- an error object: of the service's address
    why = ("%s: %s"):format(where, tostring(why))
  end
  local complaint = type(why) == "string"
    and why:match "^bad argument #%d+ to '[^']*' (%b())$"
  if complaint then
    why = ("%s: bad option '%s' %s"):format(where, option, complaint)
  end
  error(why, 3)
end

--- Applies options to a new agent, in no particular order, but for those in
--- `done`, which have been.
local function configure(agent, options, where, done)
  for name, kind in pairs(reach) do
    local value = options[name]
    if value ~= nil then
      check_option(where, name, value, kind)
      apply(agent["_" .. name], agent, where, name, value)
    end
  end
  for header, option in pairs {
    ["OpenAI-Organization"] = "organization", ["OpenAI-Project"] = "project",
  } do
    if options[option] ~= nil then
      check_option(where, option, options[option], "string")
      apply(agent.with_header, agent, where, option, header, options[option])
    end
  end
  if options.headers ~= nil then
    check_option(where, "headers", options.headers, "table")
    for name, value in pairs(options.headers) do
      apply(agent.with_header, agent, where, "headers", name, value)
    end
  end
  for name, value in pairs(options) do
    if not (reach[name] or handled[name] or done and done[name]) then
      local setting = type(name) == "string" and agent["with_" .. name]
      check(setting, 2, "%s: unknown option '%s'", where, tostring(name))
      apply(setting, agent, where, name, value)
    end
  end
  apply(agent._check, agent, where, "base_url")
  return agent
end

local function construct(where, service, model, options)
  check_option(where, "model", model, "string")
  if options.api_key ~= nil then
    check_option(where, "api_key", options.api_key, "string")
  end
  if options.provider ~= nil then
    check_option(where, "provider", options.provider, "table")
    check(type(options.provider.complete) == "function", 2,
      "%s: the provider has no function 'complete'", where)
  end
  local made, agent =
    pcall(core.agent, service, model, options.api_key, options.provider)
  check(made, 2, "%s: %s", where, tostring(agent))
  return configure(agent, options, where)
end

local function options_of(where, value)
  if value == nil then return {} end
  check(type(value) == "table", 3, "%s: options must be a table, not a %s",
    where, type(value))
  return value
end

--- A string in the place of options is the key.
local function with_key(value)
  return type(value) == "string" and { api_key = value } or value
end

-- Constructors by a service's name; what is known of each is in
-- src/da_preset.c. Without a key these take it from a variable of their own.
for _, service in ipairs { "openai", "groq", "mistral", "deepseek",
  "openrouter", "together", "xai" } do
  local where = "deepagent." .. service
  deepagent[service] = function(model, key_or_options)
    return construct(where, service, model,
      options_of(where, with_key(key_or_options)))
  end
end

-- These are on this machine, and need none.
for _, service in ipairs { "ollama", "llamacpp", "vllm" } do
  local where = "deepagent." .. service
  deepagent[service] = function(model, options)
    return construct(where, service, model, options_of(where, options))
  end
end

--- An agent for a deployment of Azure OpenAI.
function deepagent.azure(deployment, key_or_options)
  local where = "deepagent.azure"
  local options = options_of(where, with_key(key_or_options))
  check_option(where, "deployment", deployment, "string")
  for _, name in ipairs { "endpoint", "api_version", "api_key", "token" } do
    if options[name] ~= nil then
      check_option(where, name, options[name], "string")
    end
  end
  check(options.provider == nil, 2, "%s: unknown option 'provider'", where)
  local made, agent = pcall(core.azure, deployment, options.endpoint,
    options.api_version, options.api_key, options.token)
  check(made, 2, "%s: %s", where, tostring(agent))
  return configure(agent, options, where, azure_only)
end

--- An agent for any service that speaks the chat-completions protocol
--- (model and base_url), or for a provider written in Lua.
function deepagent.new(options)
  local where = "deepagent.new"
  check(type(options) == "table", 2, "%s: options must be a table", where)
  if options.provider ~= nil then
    return construct(where, nil, options.model or "lua", options)
  end
  check(options.base_url ~= nil, 2, "%s: base_url or provider is needed",
    where)
  return construct(where, nil, options.model, options)
end

--- An agent that needs neither network nor key: see deepagent.offline.
function deepagent.offline(options)
  local offline = require "deepagent.offline"
  local where = "deepagent.offline"
  local merged = { provider = offline.provider() }
  for name, value in pairs(options_of(where, options)) do
    merged[name] = value
  end
  return construct(where, nil, merged.model or offline.model, merged)
end

--- The whole JSON schema, as a table, of one that may be written short.
function deepagent.schema(short)
  local full, why = schema.expand(short)
  check(full, 2, "deepagent.schema: %s", why)
  return full
end

local builtin = {
  file = core.file_backend,
  memory = core.memory_backend,
}

--- A backend by name: "file", "memory", or that of an installed module
--- deepagent.backend.<name>, which returns a function of the options.
function deepagent.backend(name, options)
  check(type(name) == "string", 2,
    "deepagent.backend: name must be a string, not a %s", type(name))
  check(name:match "^[%w_]+$", 2, "deepagent.backend: bad name '%s'", name)
  if builtin[name] then
    local ok, backend = pcall(builtin[name], options)
    local complaint = tostring(backend)
    check(ok, 2, "deepagent.backend: %s",
      complaint:match "^bad argument #1 to '[^']*' %((.*)%)$" or complaint)
    return backend
  end
  local module = "deepagent.backend." .. name
  local found, open = pcall(require, module)
  if not found then
    check(not tostring(open):find("module '" .. module .. "' not found", 1,
      true), 2, "deepagent.backend: there is no backend '%s'; "
      .. "install it with: luarocks install deepagent-%s", name, name)
    error(open, 2)
  end
  if type(open) == "userdata" then -- a native one: its da_store_open_fn
    return core.native_backend(open, core.encode(options or {}))
  end
  return open(options)
end

return deepagent
