--- What a handler gives back. A Response is checked when it is made, at the author's line; the host
--- reads `_status`, `_headers` (flat: name, value, name, value ...), `_body`, `_mode`, and calls
--- `_prepare(self, request)` before sending when there is one.

local Error = require "moonhook.error"

local blame = Error.blame
local getmetatable, ipairs, pairs, setmetatable, tostring, type =
  getmetatable, ipairs, pairs, setmetatable, tostring, type
local sort = table.sort

---@class Response
local Response = {}
local meta = {} -- of every Response; they have no methods

local OPTIONS = { status = true, content_type = true, headers = true }
local BODILESS = { [204] = true, [205] = true, [304] = true }
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- The host frames messages; what a plugin says about that is left out.
local FRAMING = {
  ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
  ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["content-length"] = true,
}

local function show(value)
  if type(value) ~= "string" then return tostring(value) end
  return ('"%s"'):format(value:sub(1, 60):gsub("%c", function(c)
    return ("\\%d"):format(c:byte())
  end))
end

local function check_status(status)
  if type(status) ~= "number" or status % 1 ~= 0 or status < 200 or status > 599 then
    blame("status must be an integer 200..599, got " .. show(status))
  end
  return status
end

local function check_header(name, value)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    blame("headers: expected a header's name, got " .. show(name))
  end
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then
    blame(("headers: %s: expected a string or a list of strings, got %s"):format(name, type(value)))
  end
  if value:find "[%z\1-\8\10-\31\127]" then
    blame(("headers: %s: a value may not hold control characters, got %s"):format(name,
      show(value)))
  end
  return value
end

-- text/* says its charset.
local function with_charset(content_type)
  local start = content_type:sub(1, 5)
  if (start == "text/" or start:lower() == "text/")
      and not content_type:lower():find("charset=", 1, true) then
    return content_type .. "; charset=utf-8"
  end
  return content_type
end

local function check_length(value, body)
  if type(body) == "string" and body ~= "" and tonumber(value) ~= #body then
    blame(("headers: Content-Length: expected %d (the host sets it), got %s"):format(#body,
      show(value)))
  end
end

-- Adds the author's headers in the order of their names. Returns the Content-Type among them.
local function add_headers(flat, headers, body)
  local names, content_type = {}, nil
  if type(headers) ~= "table" then
    blame("headers: expected a table of names and values, got " .. type(headers))
  end
  for name in pairs(headers) do
    if type(name) ~= "string" then check_header(name) end
    names[#names + 1] = name
  end
  sort(names)
  for i = 1, #names do
    local name = names[i]
    local value, lower = headers[name], name:lower()
    if lower == "content-type" then
      content_type = check_header(name, value)
    elseif FRAMING[lower] then
      if lower == "content-length" then check_length(value, body) end
    elseif type(value) == "table" then
      for _, item in ipairs(value) do
        flat[#flat + 1] = name
        flat[#flat + 1] = check_header(name, item)
      end
    else
      value = check_header(name, value)
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  return content_type
end

local function check_options(options)
  if type(options) ~= "table" then
    blame("options: expected a table, got " .. type(options))
  end
  for name in pairs(options) do
    if not OPTIONS[name] then
      local near = type(name) == "string"
        and require("moonhook.session.check").nearest(name, { "status", "content_type", "headers" })
      blame(("options: unknown %s: %s"):format(show(name), near and "did you mean " .. near .. "?"
        or "expected status, content_type or headers"))
    end
  end
end

-- What is meant by a table as a body.
local function table_hint(body)
  return getmetatable(body) == require "moonhook.session.stream"
    and " (a stream: `Response(function() for piece in stream do coroutine.yield(piece) end end)`)"
    or " (Response.json encodes tables)"
end

local function check_body(body, status)
  local kind = type(body)
  if BODILESS[status] then return "" end -- whatever was given: such a reply has none
  if kind ~= "string" and kind ~= "function" then
    blame(("body: expected a string or a function, got %s%s"):format(
      body == nil and "nil" or "a " .. kind,
      kind == "table" and table_hint(body) or ""))
  end
  return body
end

local function new(body, options, default_type, mode)
  local status, content_type, headers = 200, nil, nil
  if options ~= nil then
    check_options(options)
    content_type, headers = options.content_type, options.headers
    if options.status ~= nil then status = check_status(options.status) end
  end
  body = check_body(body, status)
  local flat = {}
  if content_type ~= nil then check_header("Content-Type", content_type) end
  if headers then
    flat[1], flat[2] = "Content-Type", ""
    local other_type = add_headers(flat, headers, body)
    content_type = content_type or other_type
  end
  if not content_type and BODILESS[status] then
    if flat[1] then flat = { unpack(flat, 3) } end
  else
    flat[1], flat[2] = "Content-Type", with_charset(content_type or default_type or "text/plain")
  end
  return setmetatable({ _status = status, _headers = flat, _body = body, _mode = mode or "raw" },
    meta)
end

local function has_header(flat, lower)
  for i = 1, #flat, 2 do
    if flat[i]:lower() == lower then return true end
  end
end

-- Neither a browser nor a proxy may keep events or hold them back.
local function add_stream_headers(response)
  local flat = response._headers
  if not has_header(flat, "cache-control") then
    flat[#flat + 1], flat[#flat + 2] = "Cache-Control", "no-cache"
  end
  if not has_header(flat, "x-accel-buffering") then
    flat[#flat + 1], flat[#flat + 2] = "X-Accel-Buffering", "no"
  end
  return response
end

---@class ResponseOptions
---@field status? integer  200..599; 200 by default
---@field content_type? string  text/plain by default; text/* without a charset gets utf-8
---@field headers? table<string, string|string[]>

--- A reply. A function is a generator: what it yields is sent as it comes.
---@param body string|fun()
---@param options? ResponseOptions
---@return Response
local function call(_, body, options)
  local response = new(body, options)
  if type(body) == "function" and response._headers[2]:find("^[Tt][Ee][Xx][Tt]/event%-stream") then
    add_stream_headers(response)
  end
  return response
end

--- A value as JSON.
---@param value any  what json.encode takes
---@param options? ResponseOptions
function Response.json(value, options)
  local text, message = require("host.json").encode(value)
  if not text then blame("Response.json: " .. message) end
  return new(text, options, "application/json")
end

--- Server-sent events. The generator yields a string (an event's data) or a table
--- { event, data, id, retry }; a table as data is encoded as JSON.
---@param generator fun()
---@param options? ResponseOptions
function Response.sse(generator, options)
  if type(generator) ~= "function" then
    blame("Response.sse: expected a function, got " .. type(generator))
  end
  return add_stream_headers(new(generator, options, "text/event-stream", "sse"))
end

--- Sends the client elsewhere.
---@param url string
---@param status? 301|302|303|307|308  302 by default
function Response.redirect(url, status)
  if type(url) ~= "string" or url == "" or url:find "[%z\1-\31\127]" then
    blame("Response.redirect: expected a URL, got " .. show(url))
  end
  if status ~= nil and not REDIRECTS[status] then
    blame("Response.redirect: status: expected 301, 302, 303, 307 or 308, got " .. show(status))
  end
  local location = url:gsub("[ \"<>\\^`{|}\128-\255]", function(c)
    return ("%%%02X"):format(c:byte())
  end)
  return new("", { status = status or 302, headers = { Location = location } })
end

--- A file of the package, with ETag, ranges and gzip.
---@param path string  in the package
---@param options? { content_type?: string, cache_control?: string, headers?: table }
function Response.file(path, options)
  return require("moonhook.response_file")(path, options, new)
end

--- Whether a value is a Response.
function Response.is(value)
  return type(value) == "table" and getmetatable(value) == meta
end

setmetatable(Response, { __call = call })

return require("moonhook.strict").close(Response, "moonhook.Response")
