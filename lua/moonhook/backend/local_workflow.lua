-- Runs a workflow app: a Lua file whose `run(session, inputs, call)` returns the outputs. What it
-- does in session:step(title, fn) is told as node_started and node_finished; the run itself as
-- workflow_started and workflow_finished. What it raises is a run that failed, not a failed call.
local Error = require "moonhook.error"
local bytes = require "host.bytes"
local clock = require "host.clock"
local coroutines = require "moonhook.coroutines"
local json = require "host.json"
local local_backend = require "moonhook.session.local_backend"
local log = require "host.log"
local shared_session = require "moonhook.session"
local source = require "moonhook.backend.local_source"

local MAX_DEPTH = 8

local public = coroutines.public
local yield = public.yield

local workflow = {}

local function seconds_since(started_s)
  return math.max(0, clock.now() - started_s)
end

local function is_cancelled(failure)
  return Error.is(failure) and failure.code == "cancelled"
end

-- What a caller may read of a failure: no path, no traceback.
local function told(failure)
  if Error.is(failure) then return failure.message end
  local text = tostring(failure)
  return (text:gsub("^[^\n]-:%d+: ", ""):match "^[^\n]*")
end

-- Outputs are objects; a plain value is one under the name `result`.
local function outputs_of(value)
  if type(value) == "table" and not json.is_array(value) then return value end
  if value == nil then return {} end
  return { result = value }
end

-- Outputs as they can be sent; what JSON cannot say is the workflow's mistake.
local function sendable(value)
  local outputs = outputs_of(value)
  local text, problem = json.encode(outputs)
  if not text then error("outputs: " .. problem, 0) end
  return json.raw(text)
end

-- ---- one run ------------------------------------------------------------------------------------

---@class Run
---@field co thread  the workflow's coroutine, once it has begun
local Run = {}
Run.__index = Run

local function new_run(request)
  return setmetatable({
    id = bytes.uuid(),
    task_id = bytes.uuid(),
    app_id = request.app_id,
    is_streaming = request.response_mode == "streaming",
    started_s = clock.now(),
    steps = 0,
    queue = {},
  }, Run)
end

-- Sends an event. A step in a coroutine of the workflow's own, or in a spawned function, must not
-- yield to whoever resumed it: its events wait for the workflow's own turn.
function Run:tell(name, data)
  if not self.is_streaming then return end
  self.queue[#self.queue + 1] = json.must_encode {
    event = name, task_id = self.task_id, workflow_run_id = self.id, data = data,
  }
  if coroutine.running() == self.co then public.yield(self) end
end

-- In the task: what has gathered goes out.
function Run:flush()
  local queue = self.queue
  self.queue = {}
  for _, piece in ipairs(queue) do yield(piece) end
end

local function finish_step(run, node, ok, ...)
  node.status = ok and "succeeded" or "failed"
  node.elapsed_time, node.finished_at = seconds_since(node.started_s), math.floor(clock.now())
  node.started_s = nil
  local value, sent = (...), false
  if ok then
    sent, node.outputs = pcall(sendable, value)
    if not sent then
      node.status, node.error, node.outputs = "failed", told(node.outputs), nil
    end
  elseif not is_cancelled(value) then
    node.error = told(value)
  end
  if not is_cancelled(value) then run:tell("node_finished", node) end
  if not ok then error(value, 0) end
  if not sent then Error.blame(("session:step %q: %s"):format(node.title, node.error)) end
  return ...
end

-- Calls fn(...) as a step of the run.
function Run:step(title, fn, ...)
  if type(title) ~= "string" or title == "" then
    Error.blame("session:step: title: expected a text, got " .. type(title))
  end
  if type(fn) ~= "function" then
    Error.blame("session:step: fn: expected a function, got " .. type(fn))
  end
  self.steps = self.steps + 1
  local id = bytes.uuid()
  local function node()
    return {
      id = id, node_id = title, node_type = "code", title = title, index = self.steps,
      predecessor_node_id = self.last_node_id, inputs = {}, created_at = math.floor(clock.now()),
    }
  end
  local started, finished = node(), node()
  self.last_node_id, finished.started_s = title, clock.now()
  self:tell("node_started", started)
  return finish_step(self, finished, pcall(fn, ...))
end

-- ---- the session that a workflow sees -----------------------------------------------------------

-- The shared session, and `step`. Its methods know only the shared one as `self`.
local function session_of(run)
  local session = {}
  function session:step(title, fn, ...)
    if self ~= session then Error.blame "session:step: called with '.', expected ':'" end
    return run:step(title, fn, ...)
  end
  function session:after_response()
    Error.blame "session:after_response: a workflow app has no reply that it could wait for"
  end
  return setmetatable(session, {
    __index = function(_, name)
      local value = shared_session[name]
      if type(value) ~= "function" then return value end
      return function(self, ...)
        if self == session then self = shared_session end
        return value(self, ...)
      end
    end,
  })
end

-- ---- running ------------------------------------------------------------------------------------

-- Runs the workflow in a coroutine of its own, so that nothing it yields reaches the caller.
local function complete(run, body, inputs, call)
  local session = session_of(run)
  run.co = public.create(function() return body(session, inputs, call) end)
  local_backend.depths[run.co] = run.depth
  local ok, value = public.resume(run.co)
  while ok and coroutine.status(run.co) == "suspended" do
    if value ~= run then
      return false, "run yielded a value: outputs are what it returns"
    end
    run:flush()
    ok, value = public.resume(run.co)
  end
  run:flush()
  if ok then
    ok, value = pcall(sendable, value)
  end
  return ok, value
end

local function report(run, failure)
  log.write("error", "a workflow app failed", {
    app_id = run.app_id,
    workflow_run_id = run.id,
    code = Error.is(failure) and failure.code or nil,
    error = Error.is(failure) and failure.message or tostring(failure),
    detail = Error.is(failure) and failure.detail or nil,
    upstream_status = Error.is(failure) and failure.upstream_status or nil,
    upstream_message = Error.is(failure) and failure.upstream_message or nil,
  })
end

--- Runs the app for a request: yields its events, or the one result when blocking.
function workflow.run(_, request)
  local depth = (tonumber(request.depth) or 0) + 1
  if depth > MAX_DEPTH then
    error(Error.new("unsupported", ("workflow apps call each other more than %d deep")
      :format(MAX_DEPTH)), 0)
  end
  local body = source.of(request.app_id)
  local run, inputs = new_run(request), request.inputs or {}
  run.depth = depth
  local created_at = math.floor(run.started_s)
  run:tell("workflow_started", {
    id = run.id, workflow_id = run.app_id, inputs = inputs, created_at = created_at,
  })
  run:flush()

  local call = { user = request.user, files = request.files, workflow_run_id = run.id }
  local ok, value = complete(run, body, inputs, call)
  if not ok and is_cancelled(value) then error(value, 0) end
  if not ok then report(run, value) end
  local data = {
    id = run.id,
    workflow_id = run.app_id,
    status = ok and "succeeded" or "failed",
    outputs = ok and value or json.null,
    error = ok and json.null or told(value),
    elapsed_time = seconds_since(run.started_s),
    total_tokens = 0,
    total_steps = run.steps,
    created_at = created_at,
    finished_at = math.floor(clock.now()),
  }
  if run.is_streaming then
    run:tell("workflow_finished", data)
    run:flush()
  else
    yield(json.must_encode { task_id = run.task_id, workflow_run_id = run.id, data = data })
  end
end

return workflow
