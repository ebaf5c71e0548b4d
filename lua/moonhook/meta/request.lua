---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- What a handler is called with.

---@class Handler
---@field session Session
local Handler = {}

--- Answers a request.
---@param request Request
---@param values table<string, string|number>  what the path's <name>s caught
---@param settings table  the endpoint's, typed as the group declares them; a copy
---@return Response|string
function Handler:invoke(request, values, settings) end

---@class Request
---@field method string  "GET", "POST" ...
---@field path string  decoded, behind the hook id
---@field raw_target string  the request's target as it came
---@field query? string  raw, without the `?`
---@field args Multi  the query, decoded
---@field headers Headers
---@field cookies table<string, string>  of a repeated name the first
---@field form Multi  fields of a urlencoded or multipart body
---@field files Multi  of a multipart body; values are UploadedFile
---@field host string  as the client named it
---@field scheme "http"|"https"
---@field url string  the whole public URL
---@field hook_url string  the public URL of the endpoint: up to and including its hook id
---@field hook_id string  a secret: whoever knows it can call the endpoint
---@field remote_addr string
---@field id string  the request's, as in the log and in errors
local Request = {}

--- The body as it came.
---@return string
function Request:get_data() end

---@param shape? "object"|"array"|JsonOptions
---@param options? JsonOptions
---@return any
function Request:get_json(shape, options) end

---@class UploadedFile
---@field name string  of the form's field
---@field filename string  as the client says: not to be trusted
---@field content_type string  as the client says
---@field body string
---@field headers string[]  flat: name, value, name, value ...

---@class Multi: table<string, any>  a name's first value is a field
local Multi = {}

---@param name string
---@return any[]  in order; empty when there is none
function Multi:get_all(name) end

---@return fun(): string?, any  every name and value in order, repeats included
function Multi:pairs() end

---@class Headers: table<string, string>  looked up ignoring case
local Headers = {}

---@param name string
---@return string[]
function Headers:get_all(name) end

---@return fun(): string?, string
function Headers:pairs() end
