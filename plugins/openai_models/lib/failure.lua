-- Failures as OpenAI's clients expect them: {"error":{"message","type","param","code"}}, a status.
local moonhook = require "moonhook"
local json = moonhook.json

local failure = {}

local Failure = {} -- the metatable is the mark
Failure.__index = Failure
Failure.__tostring = function(self) return self.message end

--- Raises a failure; lib/guard.lua turns it into the reply.
---@param status integer
---@param message string
---@param fields? { type?: string, param?: string, code?: string, retry_after?: string }
function failure.raise(status, message, fields)
  local raised = { status = status, message = message, type = "invalid_request_error" }
  for name, value in pairs(fields or {}) do raised[name] = value end
  error(setmetatable(raised, Failure), 0)
end

--- Refuses a parameter of the request.
function failure.param(param, code, message)
  failure.raise(400, message, { param = param, code = code })
end

local function server(status, code, message)
  return { status = status, type = "server_error", code = code, message = message }
end

-- Parts of an upstream's error that may be repeated: identifiers, never its sentences.
local function identifier(value)
  return type(value) == "string" and #value <= 64 and value:match "^[%w_.%[%]-]+$" or nil
end

local function of_upstream(err)
  local status = err.upstream_status
  if status == 429 then
    return {
      status = 429, type = "requests", code = "rate_limit_exceeded", retry_after = err.retry_after,
      message = "The model's server is receiving too many requests. Try again later.",
    }
  elseif status == 408 or status == 504 then
    return server(504, "upstream_timeout", "The model's server took too long to answer.")
  elseif status == 400 or status == 413 or status == 422 then
    return {
      status = 400, type = "invalid_request_error", param = identifier(err.upstream_param),
      code = identifier(err.upstream_code), message = "The model's server refused this request.",
    }
  end
  return server(502, "upstream_error", "The model's server failed or could not be reached.")
end

local OF_CODE = {
  upstream_error = of_upstream,
  upstream_truncated = function()
    return server(502, "upstream_error", "The model's answer broke off before its end.")
  end,
  upstream_timeout = function()
    return server(504, "upstream_timeout", "The model's server took too long to answer.")
  end,
  upstream_unavailable = function(err) -- the host leaves it alone after many failures
    local known = server(503, "upstream_unavailable",
      "The model's server keeps failing. Try again later.")
    known.retry_after = err.retry_after_s and tostring(err.retry_after_s)
    return known
  end,
  not_found = function()
    return {
      status = 404, type = "invalid_request_error", code = "model_not_found",
      message = "The configured model is not available.",
    }
  end,
}

--- The failure for what was raised; nil for what only the host can answer (cancelled, our bugs).
function failure.of(raised)
  if getmetatable(raised) == Failure then return raised end
  if type(raised) ~= "table" then return nil end
  if OF_CODE[raised.code] then return OF_CODE[raised.code](raised) end
  if raised.code == "unsupported" or raised.code == "invalid_param" or raised.status == 400 then
    return {
      status = 400, type = "invalid_request_error", param = raised.param,
      code = raised.status == nil and "unsupported_parameter" or nil, message = raised.message,
    }
  end
end

--- The body of the reply, also sent as the last event of a stream that broke.
function failure.body(known)
  return {
    error = {
      message = known.message, type = known.type,
      param = known.param or json.null, code = known.code or json.null,
    },
  }
end

function failure.reply(known)
  return moonhook.Response.json(failure.body(known), {
    status = known.status,
    headers = {
      ["Retry-After"] = known.retry_after,
      ["WWW-Authenticate"] = known.status == 401 and "Bearer" or nil,
    },
  })
end

return failure
