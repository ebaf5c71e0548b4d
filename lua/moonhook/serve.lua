--- Runs requests: the function that every task of a plugin's state starts with. A coroutine serves
--- one request after the other; between two it yields DONE.

local task = require "host.task"
local http = require "host.http"
local Request = require "moonhook.request"
local session = require "moonhook.session"
local read_only = require("moonhook.settings").read_only
local Error = require "moonhook.error"

local yield, type, rawget, setmetatable = coroutine.yield, type, rawget, setmetatable
local new_request = Request.new
local reply, reply_text, begin = http.reply, http.reply_text, http.begin
local guard = require("moonhook.coroutines").guard
local DONE = task.DONE

local Response -- loaded with the first reply that is no string
local settings_meta, values_meta -- made with the first request: the group is the state's own

local function declare(handle)
  local strict = require "moonhook.strict"
  local settings, variables = http.declared(handle)
  settings_meta = strict.new(settings, "settings.%s: the group declares no setting of this name")
  values_meta = strict.new(variables, "values.%s: no path of the plugin has such a part")
end

local self_metas = setmetatable({}, { __mode = "k" }) -- [handler] = of every `self` of its

-- `self.session` is the session whatever the handler has under that name.
local function new_self_meta(handler)
  local meta = { __index = setmetatable({ session = session }, { __index = handler }) }
  self_metas[handler] = meta
  return meta
end

local function bad_response(message, code)
  error(Error.new(code or "plugin_bad_response", message), 0)
end

local function check(ok, message, code)
  if not ok then bad_response(message, code) end
end

local EVENT_FIELDS = { event = true, data = true, id = true, retry = true }

-- What a generator returns is never sent. A piece there was meant to be: mostly the generator is an
-- iterator, such as coroutine.wrap gives, which has to be asked again and again.
local function check_returned(value, mode)
  local is_piece = type(value) == "string"
  if type(value) == "table" and mode == "sse" then
    is_piece = next(value) ~= nil
    for name in pairs(value) do is_piece = is_piece and EVENT_FIELDS[name] end
  end
  if is_piece then
    bad_response(("the generator returned a %s, which nobody sends: send it with coroutine.yield; "
      .. "give Response the function itself, not coroutine.wrap of it"):format(type(value)))
  end
end

-- Sends what the handler returned. Of a stream only the head's making, and its generator and mode
-- are given.
local function send(handle, request, response)
  if type(response) == "string" then
    check(reply_text(handle, response))
    return
  end
  Response = Response or require "moonhook.response"
  if not Response.is(response) then
    bad_response(("the handler returned %s: expected a Response or a string")
      :format(response == nil and "nothing (is a `return` missing?)" or "a " .. type(response)))
  end
  if response._prepare then response:_prepare(request) end
  local body = response._body
  if type(body) == "function" then
    check(begin(handle, response._status, response._headers, response._mode))
    return body, response._mode
  end
  check(reply(handle, response._status, response._headers, body))
end

local function answer(handler, handle, values, settings)
  local self = setmetatable({}, self_metas[handler] or new_self_meta(handler))
  local request = new_request(handle)
  if not settings_meta then declare(handle) end
  settings = read_only(settings, settings_meta)
  values = setmetatable(values or {}, values_meta)
  return send(handle, request, handler.invoke(self, request, values, settings))
end

-- Work that session:after_response left for the time after the reply.
local function run_after(handle)
  local functions = require("moonhook.session.after").take()
  if not functions then return end
  http.finish(handle)
  for i = 1, #functions do
    local ok, problem = pcall(functions[i])
    if not ok then
      local text = Error.is(problem) and problem.code .. ": " .. problem.message
        or tostring(problem)
      require("host.log").write("error", "after_response failed", { error = text })
    end
  end
end

-- While a generator runs, nothing of the request is held but what it holds itself.
local function serve(handler, handle, values, settings)
  local generate, mode = answer(handler, handle, values, settings)
  if generate then
    local value = generate()
    if value ~= nil then check_returned(value, mode) end
  end
  if rawget(session, "_has_after") then run_after(handle) end
end

-- A spawned function comes alone, a request with its handler.
local function loop(first, handle, ...)
  if handle == nil then
    first()
  else
    serve(first, handle, ...)
  end
  return loop(yield(DONE)) -- a tail call: nothing of the last request stays
end

return function(...)
  guard()
  return loop(...)
end
