-- One reverse call as the library sees it: opens it, reads its pieces, and turns what C reports
-- into Errors. An Error's message may reach clients, so an upstream's own words and addresses are
-- kept in its fields (`detail`, `upstream_message`), where the log and plugin code find them.
local Error = require "moonhook.error"
local coroutines = require "moonhook.coroutines"
local reverse = require "host.reverse"
local WAIT = require("host.task").WAIT
local read, wait = reverse.read, coroutines.wait

local exchange = {}

local SAFE_MESSAGES = {
  upstream_error = "the upstream could not be reached or broke its protocol",
  upstream_timeout = "the upstream took too long to answer",
  upstream_truncated = "the upstream's answer broke off before its end",
}

--- The Error for a failure that C reported. The backend `local` is ours: its words are safe.
function exchange.failure(backend, code, message, retry_after_s)
  if backend == "local" then
    return Error.new(code, message, { backend = backend, retry_after_s = retry_after_s })
  end
  if code == "upstream_error" and (message or ""):find("^upstream_truncated") then
    code = "upstream_truncated"
  end
  return Error.new(code, SAFE_MESSAGES[code] or message,
    { backend = backend, detail = message, retry_after_s = retry_after_s })
end

--- Starts a call; raises when C refuses it.
---@return table call  { handle, backend }, for exchange.read and exchange.close
function exchange.open(backend, kind, body, options)
  local handle, code, message = reverse.open(backend, kind, body, options or {})
  if not handle then error(exchange.failure(backend, code, message), 0) end
  return { handle = handle, backend = backend }
end

--- Waits for the reply's head.
---@return integer? status  or nil and an Error
function exchange.head(call)
  local status, code, message, retry_after_s = reverse.head(call.handle)
  if status == WAIT then
    status, code, message, retry_after_s = coroutines.wait()
  end
  if not status then
    return nil, exchange.failure(call.backend, code, message, retry_after_s)
  end
  return status
end

function exchange.header(call, name)
  return (reverse.header(call.handle, name))
end

--- Waits for the next piece.
---@return string? piece  nil at the end; nil and an Error when the call failed
---@return boolean|table|nil is_like  true: see expect
function exchange.read(call)
  local piece, code, message, retry_after_s = read(call.handle)
  if piece == WAIT then
    piece, code, message, retry_after_s = wait()
  end
  if piece == nil and code then
    return nil, exchange.failure(call.backend, code, message, retry_after_s)
  end
  return piece, code
end

--- From now on a piece that is like `known` but for the string whose inside is at first..last, and
--- has a text there that needs no unescaping, is read as that text alone, or whole. Without
--- `known`: none is any more.
---@param known? string  a piece that was decoded
function exchange.expect(call, known, first, last, is_whole)
  if not call.handle then return end
  if known then
    reverse.expect(call.handle, known, first, last, is_whole)
  else
    reverse.expect(call.handle)
  end
end

--- Counts what a call used, for /metrics: the usage of a chat model or of an embedding.
---@param usage table  { prompt_tokens, completion_tokens } or { tokens }
function exchange.used(backend, usage)
  reverse.used(backend, tonumber(usage.prompt_tokens or usage.tokens) or 0,
    tonumber(usage.completion_tokens) or 0)
end

--- Cancels what is still under way; may be called twice.
function exchange.close(call)
  if call.handle then reverse.close(call.handle) end
  call.handle = nil
end

--- Reads the one piece of a call that is answered whole; closes it, raises its failure.
function exchange.whole(call)
  local piece, failure = exchange.read(call)
  exchange.close(call)
  if piece then return piece end
  error(failure or exchange.failure(call.backend, "upstream_truncated", "no piece came"), 0)
end

return exchange
