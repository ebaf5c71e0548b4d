-- Bodies of outgoing calls: text, JSON, forms, multipart, and functions that give one piece after
-- the other.
local check = require "moonhook.session.check"
local json = require "host.json"
local url = require "moonhook.session.http.url"

local body = {}

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and type(meta.__call) == "function"
end

function body.test(value, path)
  local kind = type(value)
  if kind == "string" or kind == "table" or is_callable(value) then return nil end
  return check.expected(path, "a string, a table (sent as JSON) or a function", value)
end

local function is_scalar(value)
  local kind = type(value)
  return kind == "string" or kind == "number" or kind == "boolean"
end

--- A test for a rule: names with a value, or a list of values, each.
function body.test_fields(map, path)
  for name, value in pairs(map) do
    if type(name) ~= "string" then return check.expected(path, "names as keys", name) end
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      if not is_scalar(item) then
        return check.expected(("%s[%q]"):format(path, name), "a string, number or boolean", item)
      end
    end
  end
end

local FILE_FIELDS = { "name", "filename", "content_type" }

local function problem_with_file(file, name, path)
  if type(file) ~= "table" then return check.expected(path, "a file: a table with body", file) end
  if type(file.body) ~= "string" then
    return check.expected(path .. ".body", "a string", file.body)
  end
  for _, field in ipairs(FILE_FIELDS) do
    local value = file[field]
    if value ~= nil and (type(value) ~= "string" or value:find "[%z\r\n]") then
      return check.expected(path .. "." .. field, "one line of text", value)
    end
  end
  if type(name) ~= "string" and not file.name then
    return check.expected(path .. ".name", "the name of the form's field", nil)
  end
end

--- A test for a rule: a list of { name, filename?, content_type?, body }, as request.files has
--- them, or a table of these by name.
function body.test_files(files, path)
  for name, file in pairs(files) do
    local place = type(name) == "number" and ("%s[%d]"):format(path, name)
      or ("%s[%q]"):format(path, tostring(name))
    local problem = problem_with_file(file, name, place)
    if problem then return problem end
  end
end

local ESCAPES = { ["\r"] = "%0D", ["\n"] = "%0A", ['"'] = "%22" }

local function quoted(text)
  return '"' .. text:gsub('[\r\n"]', ESCAPES) .. '"'
end

local function add_part(parts, boundary, head, content)
  parts[#parts + 1] = ("--%s\r\n%s\r\n\r\n"):format(boundary, head)
  parts[#parts + 1] = content
  parts[#parts + 1] = "\r\n"
end

local function file_names(files)
  local names = {}
  for name in pairs(files) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
  end)
  return names
end

local function multipart(form, files)
  local bytes = require "host.bytes"
  local boundary = "moonhook-" .. bytes.hex(bytes.random(16))
  local parts = {}
  for _, name in ipairs(url.sorted(form or {})) do
    local values = type(form[name]) == "table" and form[name] or { form[name] }
    for _, value in ipairs(values) do
      add_part(parts, boundary, "Content-Disposition: form-data; name=" .. quoted(name),
        tostring(value))
    end
  end
  for _, key in ipairs(file_names(files)) do
    local file = files[key]
    add_part(parts, boundary,
      ("Content-Disposition: form-data; name=%s; filename=%s\r\nContent-Type: %s"):format(
        quoted(file.name or key), quoted(file.filename or file.name or key),
        file.content_type or "application/octet-stream"), file.body)
  end
  parts[#parts + 1] = "--" .. boundary .. "--\r\n"
  return table.concat(parts), "multipart/form-data; boundary=" .. boundary
end

--- What is sent: a string, or a function; its Content-Type or nil; or nil, nil and a problem.
function body.encode(call)
  local value = call.body
  if value ~= nil and (call.form or call.files) then
    return nil, nil, "body: expected either a body, or form and files"
  end
  if call.files and next(call.files) ~= nil then return multipart(call.form, call.files) end
  if call.form then
    return (url.query(call.form):gsub("%%20", "+")), "application/x-www-form-urlencoded"
  end
  if type(value) == "string" or value == nil then return value end
  if is_callable(value) then return value end
  local text, problem = json.encode(value)
  if not text then return nil, nil, "body: " .. problem end
  return text, "application/json"
end

return body
