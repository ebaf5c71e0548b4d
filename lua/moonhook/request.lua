--- What a handler reads of its request. Everything is fetched from the host when first asked for.

local http = require "host.http"
local Error = require "moonhook.error"

local error, ipairs, rawset, setmetatable = error, ipairs, rawset, setmetatable
local read_field = http.field

---@class Request  its fields are annotated in meta/request.lua; [1] is the host's handle
local Request = {}

local function closed()
  error(Error.new("closed", "the request is over"), 0)
end

local load = {} -- [field] = function(handle) -> value

for _, name in ipairs { "method", "path", "raw_target", "query", "host", "remote_addr", "id",
    "hook_id", "hook_url", "url", "scheme" } do
  load[name] = function(handle)
    local value, closed_now = read_field(handle, name)
    if closed_now then closed() end
    return value
  end
end

function load.headers(handle)
  return require("moonhook.request.headers").new(handle)
end

function load.args(handle)
  return require("moonhook.request.multi").new(http.args(handle) or closed())
end

-- The form and the files come from one parse of the body.
local function load_form(handle, self)
  local fields, files = http.form(handle)
  if not fields then
    if files == "closed" then closed() end
    error(Error.new("bad_request", "the form cannot be read: " .. files, { status = 400 }), 0)
  end
  local multi = require "moonhook.request.multi"
  local by_name = {}
  for i, file in ipairs(files) do by_name[2 * i - 1], by_name[2 * i] = file.name, file end
  rawset(self, "form", multi.new(fields))
  rawset(self, "files", multi.new(by_name))
end

function load.form(handle, self)
  load_form(handle, self)
  return self.form
end

function load.files(handle, self)
  load_form(handle, self)
  return self.files
end

function load.cookies(handle)
  return require("moonhook.request.cookies").parse(http.headers(handle) or closed())
end

---@class JsonOptions
---@field [1]? "object"|"array"
---@field force? boolean  read it whatever its content type
---@field silent? boolean  nil instead of an Error

local function expect_method(self, name)
  if type(self) == "table" then return end
  require("moonhook.error").blame(("request.%s: called with '.', expected ':'"):format(name))
end

--- The body as it came.
---@return string
function Request:get_data()
  expect_method(self, "get_data")
  local body, closed_now = http.body(self[1])
  if closed_now then closed() end
  return body
end

--- The body read as JSON. `"object"` or `"array"` also asks for that shape; `force` ignores the
--- content type; `silent` gives nil instead of raising. A null member is nil, in arrays json.null.
--- Raises Error coded "unsupported_media_type" (415), "bad_request" (400).
--- `get_json { "object", force = true }` and `get_json("object", { force = true })` are the same.
---@param shape? "object"|"array"|JsonOptions
---@param options? JsonOptions  behind a shape
---@return any
function Request:get_json(shape, options)
  expect_method(self, "get_json")
  return require("moonhook.request.body_json")(self, self[1], shape, options)
end

local meta = {}

function meta.__index(self, name)
  local method = Request[name]
  if method then return method end
  local loader = load[name]
  if not loader then
    return require("moonhook.request.unknown")(name, load, Request)
  end
  local value = loader(self[1], self)
  if value ~= nil then rawset(self, name, value) end
  return value
end

--- For the host.
function Request.new(handle)
  return setmetatable({ handle }, meta)
end

return Request
