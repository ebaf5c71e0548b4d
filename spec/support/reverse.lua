--- Reverse calls for specs: a scripted host.reverse whose heads and reads wait and are resumed, the
--- backend `local` run for real in a coroutine of its own, and a store of conversations.
---
---   local reverse = require "spec.support.reverse"
---   reverse.reset { backends = { gpt = { type = "openai" } }, apps = { candy = { ... } } }
---   reverse.script { pieces = { "[DONE]" } }          -- what the next call to a server answers
---   local result = reverse.run(function() return session.model.llm:invoke { ... } end)
---   reverse.calls[1].body, .backend, .kind, .options, .is_closed
local library = require "spec.support.library"
local json = require "host.json"
local task = require "host.task"
local WAIT = task.WAIT

local reverse = { calls = {}, conversations = {}, used = {} }

local scripts, pending, config, version = {}, nil, {}, 0

--- A wait whose result is ready when the task has let go of the processor.
local function waiting(...)
  assert(pending == nil, "two waits at once")
  pending = { n = select("#", ...), ... }
  return WAIT
end

-- Runs a coroutine until it ends or yields something that is not a wait.
local function advance(co, ...)
  local result = { coroutine.resume(co, ...) }
  while coroutine.status(co) == "suspended" and result[2] == WAIT do
    local answer = assert(pending, "a wait without an operation")
    pending, reverse.waits = nil, reverse.waits + 1
    result = { coroutine.resume(co, unpack(answer, 1, answer.n)) }
  end
  assert(pending == nil, "an operation that nobody waited for")
  return unpack(result, 1, table.maxn(result))
end

--- Runs a function as a task. Raises what it raised; gives what it returned.
function reverse.run(body)
  local co = coroutine.create(body)
  local result = { advance(co) }
  if not result[1] then error(result[2], 0) end
  assert(coroutine.status(co) == "dead", "the task yielded a piece outside of reverse.pieces")
  return unpack(result, 2, table.maxn(result))
end

--- Runs a function as a task and gives the pieces it yielded; raises what it raised.
function reverse.pieces(body)
  local co, pieces = coroutine.create(body), {}
  local ok, piece = advance(co)
  while ok and coroutine.status(co) == "suspended" do
    pieces[#pieces + 1] = piece
    ok, piece = advance(co)
  end
  if not ok then error(piece, 0) end
  return pieces
end

--- What the task raised; fails the spec when it did not.
function reverse.failure(body)
  local ok, raised = pcall(reverse.run, body)
  assert(not ok, "the task raised nothing")
  return raised
end

--- Answers the next call to a server: { status?, headers?, pieces, failure = { code, message }? }.
function reverse.script(script)
  scripts[#scripts + 1] = script
end

--- Starts afresh. `apps` are the local apps as in the configuration, `sources` their Lua files.
function reverse.reset(settings)
  config, version = settings or {}, version + 1
  scripts, pending = {}, nil
  reverse.calls, reverse.conversations, reverse.waits = {}, {}, 0
  reverse.pause_ms, reverse.seed, reverse.slept_ms = 0, 0, 0
  reverse.used = {}
  library.log = {}
end

-- --- host.reverse --------------------------------------------------------------------------------

-- A call of the backend `local`: the real one, pulled by reads.
local function open_local(call)
  local serve = require("moonhook.backend.local").serve
  local co = coroutine.create(function() serve(call.kind, call.text) end)
  return function()
    if coroutine.status(co) == "dead" then return nil end
    local kept = pending
    pending = nil
    local ok, value = advance(co)
    pending = kept
    if not ok then
      if type(value) == "table" and value.code then return nil, value.code, value.message end
      error(value, 0)
    end
    if coroutine.status(co) ~= "dead" then return value end
  end
end

-- Dify sends each piece in an envelope.
local function enveloped(piece)
  return '{"data":' .. piece .. ',"error":""}'
end

local function open_script(call)
  local backend = (config.backends or {})[call.backend] or {}
  local wrap = backend.type == "dify" and enveloped or function(piece) return piece end
  local script, at = assert(table.remove(scripts, 1), "a call that no script answers"), 0
  call.script = script
  return function()
    at = at + 1
    if script.pieces[at] then return wrap(script.pieces[at]) end
    if script.failure then return nil, script.failure[1], script.failure[2] end
  end
end

local host = {}

function host.used(backend, prompt_tokens, completion_tokens)
  reverse.used[#reverse.used + 1] = { backend, prompt_tokens, completion_tokens }
end

function host.open(backend, kind, text, options)
  local call = { backend = backend, kind = kind, text = text, options = options }
  local is_json = not options.content_type or options.content_type == "application/json"
  call.body = is_json and text ~= "" and assert(json.decode(text)) or nil
  reverse.calls[#reverse.calls + 1] = call
  if config.refusal then return nil, config.refusal[1], config.refusal[2] end
  call.next = backend == "local" and open_local(call) or open_script(call)
  return call
end

function host.head(call)
  assert(not call.is_closed, "head of a closed call")
  local failure = not call.script.pieces[1] and call.script.failure
  if failure and not call.script.status then return waiting(nil, failure[1], failure[2]) end
  return waiting(call.script.status or 200)
end

function host.header(call, name)
  assert(not call.is_closed, "header of a closed call")
  local headers = call.script and call.script.headers or { ["transfer-encoding"] = "chunked" }
  return headers[name]
end

local function cut(expected, piece, ...)
  local text = expected and piece and json.text_like(expected[1], expected[2], expected[3], piece)
  if text then return expected.is_whole and piece or text, true end
  return piece, ...
end

function host.read(call)
  assert(not call.is_closed, "read of a closed call")
  return waiting(cut(call.expected, call.next()))
end

function host.expect(call, known, first, last, is_whole)
  assert(not call.is_closed, "expectations of a closed call")
  call.expected = known and { known, first, last, is_whole = is_whole }
end

function host.close(call)
  call.is_closed = true
end

function host.farewell(call, kind, text, options)
  call.farewell = kind and { kind = kind, body = json.decode(text), options = options }
  return true
end

function host.catalogue()
  local apps = {}
  for id, app in pairs(config.apps or {}) do apps[id] = { mode = app.mode, name = app.name } end
  return json.encode { backends = config.backends or {}, apps = apps }, version
end

function host.apps() return json.encode(config.apps or {}), version end

-- `sources` of the settings: [app_id] = { text = "...", version = 1 }, or { problem = "..." }.
function host.app_source(app_id)
  local file = (config.sources or {})[app_id] or { problem = "no such file" }
  if file.problem then return nil, file.problem end
  return file.text, file.version or 1, config.apps[app_id].source or app_id .. ".lua"
end

function host.demo() return reverse.pause_ms, reverse.seed end

library.fake("host.reverse", host)

library.fake("host.timer", {
  start = function(ms)
    reverse.slept_ms = reverse.slept_ms + ms
    return waiting(true)
  end,
})

-- --- host.store ----------------------------------------------------------------------------------

library.fake("host.store", {
  conversation_read = function(app_id, id, limit, user)
    if reverse.store_failure then return waiting(nil, "storage_unavailable", "the disk is gone") end
    local messages = reverse.conversations[app_id .. " " .. id]
    local is_theirs = messages and (messages.user or "") == user
    if not is_theirs then return waiting(nil, "not_found", "no such conversation") end
    local flat = {}
    for i = math.max(1, #messages - 2 * limit + 1), #messages do flat[#flat + 1] = messages[i] end
    return waiting(flat)
  end,
  conversation_append = function(app_id, id, user, question, answer)
    local key = app_id .. " " .. id
    local messages = reverse.conversations[key] or { user = user }
    for _, text in ipairs { "user", question, "assistant", answer } do
      messages[#messages + 1] = text
    end
    reverse.conversations[key] = messages
    return waiting(true)
  end,
})

reverse.reset()

return reverse
