-- A plugin's own HTTP calls, played by the spec: `http` of testing.load is a function of the call,
-- or a table of answers by URL.
local json = require "host.json"
local script = require "moonhook.testing.script"
local testbed = require "host.testbed"

local web = {}

local HIDDEN = { ["x-moonhook-url"] = true, host = true, connection = true }

local headers_meta = {
  __index = function(self, name)
    return type(name) == "string" and rawget(self, name:lower()) or nil
  end,
}

--- Fills in method, url, headers (by name in any case), body.
function web.read(call, method, flat, body)
  call.method, call.body, call.headers = method, body, setmetatable({}, headers_meta)
  for i = 1, #flat, 2 do
    local name = flat[i]:lower()
    if name == "x-moonhook-url" then call.url = flat[i + 1] end
    if not HIDDEN[name] then
      local before = rawget(call.headers, name)
      call.headers[name] = before and before .. ", " .. flat[i + 1] or flat[i + 1]
    end
  end
  function call.json()
    return json.decode_plain(call.body)
  end
end

--- The fake for a URL: that URL, "METHOD URL", the URL without its query, or the longest key that
--- ends with `*` and fits.
function web.find(fakes, call)
  local hint = ("http = { [%q] = { status = 200, json = {} } }"):format(call.url or "")
  if type(fakes) ~= "table" or script.kind(fakes) then
    if fakes == nil then return nil, hint end
    return fakes
  end
  local bare, method = call.url:match "^[^?#]*", call.method .. " "
  for _, key in ipairs { method .. call.url, call.url, method .. bare, bare } do
    if fakes[key] ~= nil then return fakes[key] end
  end
  local best, length
  for key, fake in pairs(fakes) do
    local start = type(key) == "string" and key:match "^(.*)%*$"
    if start and (call.url:sub(1, #start) == start
      or (call.method .. " " .. call.url):sub(1, #start) == start)
      and (not length or #start > length) then
      best, length = fake, #start
    end
  end
  if best ~= nil then return best end
  return nil, hint
end

local function begin(call, answer, body_type)
  local flat, has_type = {}, false
  for name, value in pairs(answer.headers or {}) do
    for _, text in ipairs(type(value) == "table" and value or { value }) do
      flat[#flat + 1], flat[#flat + 2] = name, tostring(text)
    end
    has_type = has_type or name:lower() == "content-type"
  end
  if body_type and not has_type then
    flat[#flat + 1], flat[#flat + 2] = "Content-Type", body_type
  end
  testbed.begin(call.id, answer.status or 200, flat)
end

--- Plays an answer: a string, a list of pieces, or { status, headers, body | json | pieces }.
function web.play(call, fake, perform)
  local answer = fake
  if script.kind(fake) then
    answer = { pieces = { fake } }
  elseif type(fake) == "string" then
    answer = { body = fake }
  elseif #fake > 0 then
    answer = { pieces = fake }
  end
  local pieces, body_type = answer.pieces, "text/plain"
  if answer.json ~= nil then
    pieces, body_type = { json.must_encode(answer.json) }, "application/json"
  end
  pieces = pieces or { answer.body or "" }
  local is_begun = false
  for _, piece in ipairs(pieces) do
    local kind = script.kind(piece)
    if kind then
      if perform(call, piece, kind) then return end
    else
      if not is_begun then begin(call, answer, body_type) end
      is_begun = true
      testbed.piece(call.id, piece)
      call.pieces_sent = call.pieces_sent + 1
    end
    if call.is_over then return end
  end
  if not is_begun then begin(call, answer, body_type) end
  testbed.finish(call.id)
end

return web
