--- A scripted host.web: answers calls at once, in order.
---
---   local fake_web = require "spec.support.fake_web"
---   fake_web.reset()
---   fake_web.script { status = 302, headers = { "Location", "/next" } }
---   fake_web.script { status = 200, pieces = { "one", "two" }, failure = { code, message }? }
---   fake_web.calls[1].method, .url, .headers, .body, .sent, .times, .is_closed
local library = require "spec.support.library"

local fake_web = { calls = {} }

local scripts = {}

function fake_web.reset()
  fake_web.calls, scripts = {}, {}
end

--- What the next call answers. `otherwise`: what a call answers that no script is left for.
function fake_web.script(script)
  scripts[#scripts + 1] = script
end

local web = {}

function web.parse(url)
  local scheme, host, port, target = url:match "^(%a+)://([%w.%-]+):?(%d*)(.*)$"
  if scheme ~= "http" and scheme ~= "https" then
    return nil, "blocked_scheme", "expected a URL that begins with http:// or https://"
  end
  return scheme, host:lower(), tonumber(port) or (scheme == "https" and 443 or 80), target
end

function web.open(method, url, headers, body, times)
  local script = table.remove(scripts, 1) or fake_web.otherwise
  assert(script, "a call that no script answers: " .. url)
  local call = {
    method = method, url = url, headers = headers, body = body, times = times, script = script,
    sent = {}, at = 0,
  }
  fake_web.calls[#fake_web.calls + 1] = call
  if script.refusal then return nil, script.refusal[1], script.refusal[2] end
  return call
end

function web.send(call, bytes)
  call.sent[#call.sent + 1] = bytes
  return #call.sent < (call.script.wants or math.huge)
end

function web.send_end(call) call.is_complete = true end

function web.head(call)
  if not call.script.status then return nil, unpack(call.script.failure) end
  return call.script.status
end

function web.headers(call) return call.script.headers or {} end

function web.read(call)
  assert(not call.is_closed, "read of a closed call")
  call.at = call.at + 1
  local piece = (call.script.pieces or {})[call.at]
  if type(piece) == "table" then
    call.event, call.id = piece.event, piece.id or call.id
    return piece.data
  end
  if piece ~= nil then return piece end
  if call.script.failure then return nil, unpack(call.script.failure) end
  call.is_closed = true
end

function web.events(call) call.is_decoded = true end
function web.event(call) return call.event or "", call.id or "" end
function web.close(call) call.is_closed = true end

library.fake("host.web", web)

return fake_web
