---@meta _
-- luacheck: ignore
-- types.lua - the API for lua-language-server: names, types, defaults. What
-- is not told here is in docs/api.md. Nothing requires this file.

---The stable names of errors; see docs/api.md.
---@alias deepagent.Code
---| "out_of_memory"
---| "invalid_argument"
---| "not_found"
---| "conflict"
---| "session_corrupt"
---| "version_too_new"
---| "io_error"
---| "permission_denied"
---| "disk_full"
---| "unsafe_file"
---| "too_large"
---| "timeout"
---| "cancelled"
---| "closed"
---| "busy"
---| "invalid_session_id"
---| "session_id_required"
---| "missing_api_key"
---| "invalid_utf8"
---| "invalid_json"
---| "callback_error"
---| "backend_error"
---| "provider_error"
---| "unsupported"
---| "tool_limit"
---| "network"
---| "tls"
---| "protocol"
---| "truncated"
---| "redirect"
---| "empty_response"
---| "content_type"
---| "invalid_url"
---| "auth"
---| "rate_limited"
---| "quota"
---| "bad_request"
---| "context_length"
---| "server"
---| "api_error"
---| "http_status"
---| "refused"
---| "content_filter"
---| "invalid_output"

---What verbs return after nil. tostring(err) is one line.
---@class deepagent.Error
---@field code deepagent.Code
---@field message string
---@field retryable boolean the same call may succeed later
---@field status? integer HTTP status
---@field retry_after? number seconds that the service asked to wait
---@field request_id? string
---@field service_code? string the service's own error code
---@field text? string what there was of the answer when the turn failed
---@field messages? deepagent.Message[] what there was of a turn with tools

---A message of the chat-completions protocol. Unknown members are kept.
---@class deepagent.Message
---@field role string "system", "user", "assistant", "tool" ...
---@field content? string|table|lightuserdata text, parts or deepagent.null
---@field id? string made up where it is missing
---@field created_at? number seconds since 1970
---@field usage? table of an answer: the tokens it took, as the service counted
---@field json? string its exact text: what it is read from if it is there
---@field [string] any

---A part of a message's content, as the chat-completions protocol has it.
---@class deepagent.Part
---@field type string "text", "image_url", "input_audio", "file" ...
---@field [string] any

---Either path, or data, or (of a file) id.
---@class deepagent.Media
---@field path? string a regular file
---@field data? string the bytes
---@field id? string of a file that the service has already
---@field name? string of a file: what the service is told it is called
---@field type? string "image/png" ...; default: what the first bytes say
---@field detail? string of an image: "low", "high", "auto"
---@field max_bytes? integer more is refused; default 20 MiB

---@class deepagent.Tokens
---@field prompt_tokens integer
---@field completion_tokens integer
---@field total_tokens integer
---@field cached_tokens integer of the prompt: read from the service's cache
---@field reasoning_tokens integer of the completion: thought, not said
---@field audio_tokens integer of both: heard or spoken

---@class deepagent.Usage
---@field last deepagent.Tokens of the last turn of this agent
---@field total deepagent.Tokens of all turns of the session since it began

---@class deepagent.Choice
---@field index integer from 0
---@field finish_reason string
---@field message deepagent.Message

---@class deepagent.Last
---@field message deepagent.Message as the service sent it
---@field finish_reason string
---@field model string "" where the service told none
---@field request_id string "" where the service told none
---@field usage deepagent.Tokens
---@field timings { first: number, total: number } seconds to the first delta, or the end
---@field reasoning? string what the model thought, where the service sends it
---@field refusal? string why the model refused, where it did
---@field logprobs? table as the service sent them
---@field choices? deepagent.Choice[] with n > 1: all, the answer's first
---@field cached? true it came out of the cache

---Tries after a failure that may pass.
---@class deepagent.Retry
---@field max? integer further tries; default 2
---@field base? number seconds before the first, then doubled; default 0.5
---@field cap? number the most of that; default 8
---@field budget? number seconds after which none begins; default 0: no limit

---@class deepagent.Timeouts
---@field connect? number seconds, default 10
---@field idle? number seconds, default 120
---@field total? number seconds over all tries, default 600

---The most that is taken: bytes, depth in levels. Beyond it: "too_large", of
---depth "protocol".
---@class deepagent.Limits
---@field line? integer of an event stream, and of an event; default 16 MiB
---@field header? integer all header lines of an answer; default 256 KiB
---@field body? integer an answer, unpacked; default 64 MiB
---@field depth? integer levels of JSON; default 512, which is the most
---@field message? integer of one message's JSON; default 256 MiB, the most

---@class deepagent.LogFields
---@field session_id? string
---@field code? deepagent.Code

---A type of a schema: "string", "integer[]", "number?"; a table with the type
---at [1] and members of its JSON schema; a table of members; or a JSON schema.
---See docs/structured.md.
---@alias deepagent.Schema string|table

---@class deepagent.JsonSchema
---@field name string 1 to 64 letters, digits, "_", "-"
---@field schema deepagent.Schema
---@field strict? boolean default: if the schema is one that services take so

---@alias deepagent.Level "debug"|"info"|"warn"|"error"
---@alias deepagent.Logger fun(level: deepagent.Level, message: string, fields: deepagent.LogFields)
---@alias deepagent.OnDelta fun(delta: string): boolean? false ends the turn

-- Providers ----------------------------------------------------------------

---@class deepagent.Request
---@field model string
---@field messages deepagent.Message[]
---@field stream? boolean
---@field [string] any what was set: temperature ...

---@class deepagent.AnswerInfo
---@field usage? { prompt_tokens?: integer, completion_tokens?: integer, total_tokens?: integer }
---@field finish_reason? string default "stop"
---@field model? string

---A model written in Lua. `complete` returns a message or its text, and what
---is known of it; or nil and an error (a text, or a table with code, message).
---@class deepagent.Provider
---@field complete fun(self: table, request: deepagent.Request, on_delta: fun(text: string)): (deepagent.Message|string|nil), (deepagent.AnswerInfo|deepagent.Error|string|nil)

-- Backends -----------------------------------------------------------------

---What is stored beside the messages.
---@class deepagent.Info
---@field created_at? number seconds since 1970
---@field updated_at? number
---@field usage? deepagent.Tokens
---@field count? integer number of messages (in `save` of a LuaBackend)
---@field stored? integer how many of them it has already
---@field [string] any

---A backend as a Lua table, for with_memory_backend.
---@class deepagent.LuaBackend
---@field save fun(self: table, id: string, messages: deepagent.Message[], info: deepagent.Info): any, any
---@field load fun(self: table, id: string): (deepagent.Message[]|string[]|nil), any
---@field delete fun(self: table, id: string): any, any
---@field list fun(self: table): (string[]|nil), any

---@class deepagent.FileOptions
---@field path? string default $DEEPAGENT_HOME/sessions or ~/.deepagent/sessions; none that begins with "~"
---@field durable? boolean default true: a save counts when the disk has it
---@field max_bytes? integer a larger file is not read; default 2^30

---@class deepagent.Backend
local Backend = {}

---Replaces what is stored; what is corrupt is put aside first. Raises if
---`messages` is no list.
---@param id string
---@param messages deepagent.Message[]
---@param info? deepagent.Info
---@return true? ok
---@return string|deepagent.Error|nil kept the name of what was put aside, or the error
function Backend:save(id, messages, info) end

---nil alone: there is no such session.
---@param id string
---@return deepagent.Message[]? messages
---@return deepagent.Info|deepagent.Error|nil info or the error
function Backend:load(id) end

---True also if there was none.
---@param id string
---@return true? ok
---@return deepagent.Error? err
function Backend:delete(id) end

---In no particular order.
---@return string[]? ids
---@return deepagent.Error? err
function Backend:list() end

---The directory of a file backend.
---@return string path
function Backend:path() end

---What a session that cannot be read still holds; changes nothing. nil alone:
---there is no such session.
---@param id string
---@param name? string one of quarantined(), instead of what is stored
---@return deepagent.Message[]? messages
---@return deepagent.Recovery|deepagent.Error|nil report or the error
function Backend:recover(id, name) end

---What was put aside because it could not be read. File backends only.
---@param id? string default: of all sessions
---@return deepagent.Quarantined[]? list
---@return deepagent.Error? err
function Backend:quarantined(id) end

---Makes it the stored session again; if there is one, they change places.
---@param name string
---@return true? ok
---@return deepagent.Error? err
function Backend:restore(name) end

---@class deepagent.Recovery
---@field intact boolean it can be loaded as it is
---@field why? deepagent.Error why it cannot
---@field bytes integer of what was looked at
---@field dropped { offset: integer, bytes: integer }[] what was no message
---@field doubles integer messages that stood there more than once
---@field info deepagent.Info

---@class deepagent.Quarantined
---@field name string
---@field id string
---@field time number seconds since 1970
---@field bytes integer

-- Options ------------------------------------------------------------------

---@class deepagent.Options
---@field model? string of deepagent.new
---@field api_key? string
---@field base_url? string
---@field organization? string
---@field project? string
---@field headers? table<string, string>
---@field allow_http? boolean http to other machines
---@field insecure? boolean certificates are not verified; the logger is warned
---@field ca_file? string PEM file
---@field proxy? string URL, or "env"
---@field endpoint? string of deepagent.azure, default AZURE_OPENAI_ENDPOINT
---@field api_version? string of deepagent.azure, default OPENAI_API_VERSION
---@field token? string of deepagent.azure, instead of a key
---@field provider? deepagent.Provider
---@field system? string
---@field memory? boolean
---@field messages? deepagent.Message[]
---@field max_history? integer
---@field temperature? number
---@field top_p? number
---@field max_tokens? integer
---@field stop? string|string[]
---@field seed? integer
---@field presence_penalty? number
---@field frequency_penalty? number
---@field extra? table<string, any>
---@field json_schema? deepagent.JsonSchema
---@field json_mode? boolean
---@field timeout? number|deepagent.Timeouts
---@field retry? deepagent.Retry|boolean
---@field rate_limit? number|false
---@field fallback? deepagent.Agent|deepagent.Agent[]|false
---@field cache? deepagent.Backend|deepagent.LuaBackend|string|false
---@field defaults? true
---@field limits? deepagent.Limits
---@field tool? deepagent.Tool
---@field tools? deepagent.Tool[]
---@field tool_choice? "auto"|"none"|"required"|string
---@field parallel_tools? boolean
---@field max_tool_rounds? integer
---@field tool_timeout? number
---@field on_tool_call? fun(call: deepagent.ToolCall): boolean?, string?
---@field session_id? string
---@field memory_backend? deepagent.Backend|deepagent.LuaBackend|string
---@field auto_save? boolean
---@field save_timeout? number
---@field on_conflict? "merge"|"error"|"overwrite"
---@field logger? deepagent.Logger
---@field on_stream? deepagent.OnDelta

-- Tools --------------------------------------------------------------------

---@class deepagent.Tool
---@field name string 1 to 64 of A-Z a-z 0-9 _ -
---@field description? string for the model
---@field parameters? table a JSON schema of an object, or one written short
---@field run fun(arguments: table, context: deepagent.ToolContext): any, any
---@field strict? boolean
---@field idempotent? boolean running it twice does no harm

---@class deepagent.ToolContext
---@field id string
---@field name string
---@field arguments any for run, the JSON text as the model wrote it
---@field round integer of the turn, from 1
---@field session_id? string
---@field seconds? number how long it may take

---@class deepagent.ToolCall: deepagent.ToolContext
---@field arguments table

-- Agents -------------------------------------------------------------------

---@class deepagent.Agent
local Agent = {}

---The system text: always sent first, never stored.
---@param text string
---@return deepagent.Agent self
function Agent:with_system(text) end

---The conversation accumulates. A session id implies it.
---@param on? boolean default true
---@return deepagent.Agent self
function Agent:with_memory(on) end

---The conversation to start from where no stored session takes its place.
---@param list deepagent.Message[]
---@return deepagent.Agent self
function Agent:with_messages(list) end

---At most n messages are sent, the new one included; whole turns: 2 sends
---what 1 does, 3 the turn before, too.
---@param n integer at least 1
---@return deepagent.Agent self
function Agent:with_max_history(n) end

---@param x number 0 to 2
---@return deepagent.Agent self
function Agent:with_temperature(x) end

---@param x number 0 to 1
---@return deepagent.Agent self
function Agent:with_top_p(x) end

---@param n integer at least 1
---@return deepagent.Agent self
function Agent:with_max_tokens(n) end

---@param text string|string[]
---@return deepagent.Agent self
function Agent:with_stop(text) end

---@param n integer
---@return deepagent.Agent self
function Agent:with_seed(n) end

---@param x number -2 to 2
---@return deepagent.Agent self
function Agent:with_presence_penalty(x) end

---@param x number -2 to 2
---@return deepagent.Agent self
function Agent:with_frequency_penalty(x) end

---Further members of the request body. They win over the settings above;
---deepagent.null takes a member out.
---@param members table<string, any>
---@return deepagent.Agent self
function Agent:with_extra(members) end

---Answers must be JSON that fits: ask and stream return the decoded value. nil
---or false: any text will do.
---@param name? string|deepagent.JsonSchema|false
---@param schema? deepagent.Schema
---@param strict? boolean default: if the schema is one that services take so
---@return deepagent.Agent self
function Agent:with_json_schema(name, schema, strict) end

---Answers must be JSON of any shape.
---@param on? boolean default true
---@return deepagent.Agent self
function Agent:with_json_mode(on) end

---@param name string
---@param value string
---@return deepagent.Agent self
function Agent:with_header(name, value) end

---@param t number|deepagent.Timeouts seconds; a number is the total
---@return deepagent.Agent self
function Agent:with_timeout(t) end

---Tries after a failure that may pass. What is not named stays as it is;
---false: none, true: the default.
---@param t deepagent.Retry|boolean
---@return deepagent.Agent self
function Agent:with_retry(t) end

---Requests of the agent and its clones together. false: no limit.
---@param n number|false a second
---@param burst? integer at once, default 1
---@return deepagent.Agent self
function Agent:with_rate_limit(n, burst) end

---Whose services are gone to, in this order, when one is down. false: none.
---@param other deepagent.Agent|deepagent.Agent[]|false
---@param ... deepagent.Agent
---@return deepagent.Agent self
function Agent:with_fallback(other, ...) end

---Answers to identical requests come from there. false: off.
---@param b deepagent.Backend|deepagent.LuaBackend|string|false
---@param ttl? number seconds, default: for ever
---@return deepagent.Agent self
function Agent:with_cache(b, ttl) end

---Memory on, unless with_memory was called. Tries and timeouts are on anyway.
---@return deepagent.Agent self
function Agent:with_defaults() end

---The most that is taken of a service, and of a message. What is not named
---stays as it is.
---@param t deepagent.Limits
---@return deepagent.Agent self
function Agent:with_limits(t) end

---A function that the model may call; the same name again replaces.
---@param tool deepagent.Tool
---@return deepagent.Agent self
function Agent:with_tool(tool) end

---@param list deepagent.Tool[]
---@return deepagent.Agent self
function Agent:with_tools(list) end

---What forces a call is for the first request of a turn.
---@param choice? "auto"|"none"|"required"|string a tool's name
---@return deepagent.Agent self
function Agent:with_tool_choice(choice) end

---Whether one answer may have several calls.
---@param on boolean
---@return deepagent.Agent self
function Agent:with_parallel_tools(on) end

---@param n integer default 8; beyond it: "tool_limit"
---@return deepagent.Agent self
function Agent:with_max_tool_rounds(n) end

---@param seconds number a tool in Lua that takes longer is stopped
---@return deepagent.Agent self
function Agent:with_tool_timeout(seconds) end

---Asked before each call; false, why: it is not made, and the model told why.
---@param fn? fun(call: deepagent.ToolCall): boolean?, string?
---@return deepagent.Agent self
function Agent:with_on_tool_call(fn) end

---The same.
---@param fn? fun(call: deepagent.ToolCall): boolean?, string?
---@return deepagent.Agent self
function Agent:on_tool_call(fn) end

---The name under which the conversation is stored; what was said before joins
---it. Raises "invalid_session_id", and "busy" once the session is in use.
---@param id string
---@return deepagent.Agent self
function Agent:with_session_id(id) end

---Default: files, durable.
---@param backend deepagent.Backend|deepagent.LuaBackend|string
---@return deepagent.Agent self
function Agent:with_memory_backend(backend) end

---false: only save_session() saves; flush(), close() and the end do not.
---@param on boolean default true
---@return deepagent.Agent self
function Agent:with_auto_save(on) end

---@param seconds number default 5
---@return deepagent.Agent self
function Agent:with_save_timeout(seconds) end

---What a save does where somebody else has changed the stored session.
---@param policy "merge"|"error"|"overwrite" default "merge"
---@return deepagent.Agent self
function Agent:with_on_conflict(policy) end

---@param f? deepagent.Logger
---@return deepagent.Agent self
function Agent:with_logger(f) end

---What stream() calls if it is given no function.
---@param f? deepagent.OnDelta
---@return deepagent.Agent self
function Agent:with_on_stream(f) end

---The same as with_on_stream.
---@param f? deepagent.OnDelta
---@return deepagent.Agent self
function Agent:on_stream(f) end

---A text, or a list of texts and parts: see deepagent.image.
---@param text string|(string|deepagent.Part)[]
---@return any answer a string, or what was decoded where JSON is asked for
---@return deepagent.Error? err
function Agent:ask(text) end

---@param text string|(string|deepagent.Part)[]
---@param on_delta? deepagent.OnDelta
---@return any answer a string, or what was decoded where JSON is asked for
---@return deepagent.Error? err
function Agent:stream(text, on_delta) end

---Fresh tables.
---@return deepagent.Message[]? messages
---@return deepagent.Error? err
function Agent:get_history() end

---Replaces the conversation. Raises if `list` is no list of messages.
---@param list deepagent.Message[]
---@return true? ok
---@return deepagent.Error? err
function Agent:set_history(list) end

---Empties the conversation; with auto-save also the stored one.
---@return true? ok
---@return deepagent.Error? err
function Agent:clear() end

---@return deepagent.Usage? usage
---@return deepagent.Error? err
function Agent:usage() end

---What the last answer said of itself.
---@return deepagent.Last?
function Agent:last() end

---Goes on with the last turn that called tools and was not finished.
---@param on_delta? deepagent.OnDelta
---@return string? text
---@return deepagent.Error? err
function Agent:resume(on_delta) end

---Ends the turn that is under way with "cancelled", as soon as what runs
---returns.
---@return deepagent.Agent self
function Agent:cancel() end

---Forgets it; true also if there was none.
---@return true? ok
---@return deepagent.Error? err
function Agent:discard_turn() end

---What it has so far; nil without an error if there is none.
---@return deepagent.Message[]? messages
---@return deepagent.Error? err
function Agent:unfinished_turn() end

---A tool that asks this agent.
---@param t {name: string, description: string?}
---@return deepagent.Tool
function Agent:as_tool(t) end

---@return string?
function Agent:get_session_id() end

---Stores the conversation now and waits for it.
---@return true? ok
---@return deepagent.Error? err
function Agent:save_session() end

---Replaces the conversation by the stored one; where nothing is stored, it
---stays as it is.
---@return true? ok
---@return deepagent.Error? err
function Agent:load_session() end

---True also if there was none. Its own: the conversation is emptied, too.
---@param id? string default: its own
---@return true? ok
---@return deepagent.Error? err
function Agent:delete_session(id) end

---In no particular order; waits for pending saves.
---@return string[]? ids
---@return deepagent.Error? err
function Agent:list_sessions() end

---Waits until all that was asked for is stored; does not save by itself what
---is "unsaved".
---@param seconds? number default: the save timeout
---@return true? ok
---@return deepagent.Error? err
function Agent:flush(seconds) end

---"unsaved": it has changed since it was last loaded or given to be saved.
---@return "none"|"saved"|"pending"|"unsaved"|"failed" state
---@return deepagent.Error? err with "failed"
---@return deepagent.SaveCounts counts
function Agent:save_status() end

---What happened to the agent's saves.
---@class deepagent.SaveCounts
---@field saves integer it was stored
---@field failures integer it could not be, was kept, and tried again
---@field retries integer somebody else was just faster: at once again
---@field merges integer it was put after what somebody else had stored
---@field quarantines integer corrupt bytes in its place were put aside

---Another agent with the same settings.
---@return deepagent.Agent
function Agent:clone() end

---Waits like flush(); verbs return "closed" afterwards.
---@return true? ok
---@return deepagent.Error? err
function Agent:close() end

-- The module ---------------------------------------------------------------

---@class deepagent
---@field version string
---@field null lightuserdata JSON's null
local deepagent = {}

---@param model string
---@param key_or_options? string|deepagent.Options
---@return deepagent.Agent
function deepagent.openai(model, key_or_options) end

---@param model string
---@param key_or_options? string|deepagent.Options default GROQ_API_KEY
---@return deepagent.Agent
function deepagent.groq(model, key_or_options) end

---@param model string
---@param key_or_options? string|deepagent.Options default MISTRAL_API_KEY
---@return deepagent.Agent
function deepagent.mistral(model, key_or_options) end

---@param model string
---@param key_or_options? string|deepagent.Options default DEEPSEEK_API_KEY
---@return deepagent.Agent
function deepagent.deepseek(model, key_or_options) end

---@param model string
---@param key_or_options? string|deepagent.Options default OPENROUTER_API_KEY
---@return deepagent.Agent
function deepagent.openrouter(model, key_or_options) end

---@param model string
---@param key_or_options? string|deepagent.Options default TOGETHER_API_KEY
---@return deepagent.Agent
function deepagent.together(model, key_or_options) end

---@param model string
---@param key_or_options? string|deepagent.Options default XAI_API_KEY
---@return deepagent.Agent
function deepagent.xai(model, key_or_options) end

---Azure OpenAI.
---@param deployment string
---@param key_or_options? string|deepagent.Options default AZURE_OPENAI_API_KEY
---@return deepagent.Agent
function deepagent.azure(deployment, key_or_options) end

---On this machine.
---@param model string
---@param options? deepagent.Options
---@return deepagent.Agent
function deepagent.ollama(model, options) end

---On this machine.
---@param model string
---@param options? deepagent.Options
---@return deepagent.Agent
function deepagent.llamacpp(model, options) end

---On this machine.
---@param model string
---@param options? deepagent.Options
---@return deepagent.Agent
function deepagent.vllm(model, options) end

---@param options deepagent.Options
---@return deepagent.Agent
function deepagent.new(options) end

---An agent that needs neither network nor key.
---@param options? deepagent.Options
---@return deepagent.Agent
function deepagent.offline(options) end

---@param options? deepagent.FileOptions
---@return deepagent.Backend
function deepagent.file_backend(options) end

---@return deepagent.Backend
function deepagent.memory_backend() end

---@param name string "file", "memory", or of an installed module
---@param options? table
---@return deepagent.Backend|deepagent.LuaBackend
function deepagent.backend(name, options) end

---An image for a question, of a file or of bytes in memory.
---@param path string|deepagent.Media
---@param options? deepagent.Media without path and data
---@return deepagent.Part? part
---@return deepagent.Error? err
function deepagent.image(path, options) end

---An image that the service fetches: https, http or data.
---@param url string
---@param options? { detail?: string }
---@return deepagent.Part? part
---@return deepagent.Error? err
function deepagent.image_url(url, options) end

---Audio for a question.
---@param path string|deepagent.Media
---@param options? deepagent.Media without path and data
---@return deepagent.Part? part
---@return deepagent.Error? err
function deepagent.audio(path, options) end

---A file of any kind for a question.
---@param path string|deepagent.Media
---@param options? deepagent.Media without path and data
---@return deepagent.Part? part
---@return deepagent.Error? err
function deepagent.file(path, options) end

---Marks a table as a JSON array: deepagent.array {} is [].
---@generic T: table
---@param t T
---@return T
function deepagent.array(t) end

---The whole JSON schema of one that may be written short.
---@param short deepagent.Schema
---@return table
function deepagent.schema(short) end
