-- remember.lua - an agent that remembers. Run it twice: the second process
-- answers from what was said in the first. "remember.lua forget" starts over.

local deepagent = require "deepagent"

local key = os.getenv "OPENAI_API_KEY"

-- The model of OPENAI_API_KEY, else a local Ollama, else the offline model.
local function choose()
  local name = os.getenv "OPENAI_MODEL" or "gpt-4o-mini"
  if key then
    return deepagent.openai(name), name .. " (OPENAI_API_KEY is set)"
  end
  name = os.getenv "OLLAMA_MODEL" or "llama3.2"
  local agent = deepagent.ollama(name)
  local there, err = agent:clone():ask "Answer with one word: are you there?"
  if there then
    return agent, name .. " of the Ollama on this machine"
  end
  local why = err.code == "not_found" and "the Ollama here has no " .. name
    or err.code == "network" and "no Ollama here" or "Ollama: " .. err.message
  return deepagent.offline(), "deepagent's offline model, a few rules that "
    .. "need no network\n         (no OPENAI_API_KEY; " .. why .. ")"
end

local agent, model = choose()
local files = deepagent.file_backend() -- the default; named to tell its path
agent:with_session_id("remember"):with_memory_backend(files)

if arg and arg[1] == "forget" then
  assert(agent:delete_session())
  print "Forgotten."
  return
end

local function talk(question)
  print("\nYou:     " .. question)
  local answer, err = agent:ask(question)
  if not answer then
    io.stderr:write("The model did not answer: ", tostring(err), "\n",
      key and "Unset OPENAI_API_KEY to see this without a service.\n" or "")
    os.exit(1)
  end
  print("Agent:   " .. answer)
end

assert(agent:load_session()) -- else it is there, and unreadable
local known = #agent:get_history() > 0
print("Model:   " .. model)
print("Session: remember, " .. (known
  and #agent:get_history() .. " messages stored by an earlier process"
  or "nothing stored yet: this is the first process"))

if not known then
  talk "My name is Alice."
  talk "What's the capital of France?"
else
  talk "What did I just ask you?"
  talk "What is my name?"
end

assert(agent:close()) -- waits until the conversation is stored
local path = files:path() .. "/remember.json"
local home = os.getenv "HOME"
if home and path:sub(1, #home + 1) == home .. "/" then
  path = "~" .. path:sub(#home + 1)
end
print("\nStored in " .. path .. (known and "" or
  "\nRun this again: a new process, and the agent remembers."))
