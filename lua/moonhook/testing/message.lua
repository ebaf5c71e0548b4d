-- A request as bytes: what a spec says in short (query, json, form, files) becomes HTTP.
local Error = require "moonhook.error"
local bytes = require "host.bytes"
local json = require "host.json"

local message = {}

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function sorted(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end

-- Calls add(name, value) for each value, by name; a list gives several, and { name, value } pairs
-- keep their order.
local function each_field(fields, add)
  if type(fields[1]) == "table" then
    for _, pair in ipairs(fields) do add(pair[1], pair[2]) end
    return
  end
  for _, name in ipairs(sorted(fields)) do
    local value = fields[name]
    for _, item in ipairs(type(value) == "table" and value or { value }) do add(name, item) end
  end
end

--- "a=1&b=2"
function message.query(fields)
  if type(fields) == "string" then return fields end
  local parts = {}
  each_field(fields, function(name, value)
    parts[#parts + 1] = escape(name) .. "=" .. escape(value)
  end)
  return table.concat(parts, "&")
end

local function multipart(form, files)
  local boundary = "moonhook-" .. bytes.uuid()
  local parts = {}
  local function add(head, content)
    parts[#parts + 1] = ("--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n")
      :format(boundary, head, content)
  end
  each_field(form or {}, function(name, value) add(("name=%q"):format(name), tostring(value)) end)
  for _, name in ipairs(sorted(files)) do
    local file = files[name]
    if type(file) == "string" then file = { content = file } end
    if type(file) ~= "table" or type(file.content) ~= "string" then
      Error.blame(("files.%s: expected a string, or { content, filename, content_type }")
        :format(tostring(name)))
    end
    add(("name=%q; filename=%q\r\nContent-Type: %s"):format(name, file.filename or name,
      file.content_type or "application/octet-stream"), file.content)
  end
  parts[#parts + 1] = ("--%s--\r\n"):format(boundary)
  return table.concat(parts), "multipart/form-data; boundary=" .. boundary
end

-- The body, and the content type that goes with it.
local function body_of(options)
  if options.json ~= nil then return json.must_encode(options.json), "application/json" end
  if options.files then return multipart(options.form, options.files) end
  if options.form then return message.query(options.form), "application/x-www-form-urlencoded" end
  if options.body ~= nil and type(options.body) ~= "string" then
    Error.blame("body: expected a string (json = {...} sends a table), got a "
      .. type(options.body))
  end
  return options.body
end

local KNOWN = {
  method = true, path = true, query = true, headers = true, body = true, json = true, form = true,
  files = true, cookies = true, host = true,
}

--- The bytes of a request to `target`.
---@return string bytes, string method
function message.format(target, options)
  for name in pairs(options) do
    if not KNOWN[name] then
      Error.blame(("unknown option `%s` of a request: expected query, headers, cookies, json, "
        .. "form, files, body or host"):format(tostring(name)))
    end
  end
  local body, content_type = body_of(options)
  local method = options.method or (body and "POST" or "GET")
  local lines, seen = {}, {}
  local function add(name, value)
    seen[name:lower()] = true
    lines[#lines + 1] = ("%s: %s\r\n"):format(name, tostring(value))
  end
  each_field(options.headers or {}, add)
  if options.cookies then
    local cookies = {}
    each_field(options.cookies, function(name, value)
      cookies[#cookies + 1] = name .. "=" .. tostring(value)
    end)
    add("Cookie", table.concat(cookies, "; "))
  end
  if not seen.host then add("Host", options.host or "moonhook.test") end
  if content_type and not seen["content-type"] then add("Content-Type", content_type) end
  if body then add("Content-Length", #body) end
  if options.query then
    target = target .. (target:find("?", 1, true) and "&" or "?") .. message.query(options.query)
  end
  return ("%s %s HTTP/1.1\r\n%s\r\n%s"):format(method, target, table.concat(lines), body or ""),
    method
end

return message
