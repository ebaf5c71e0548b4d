---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- What a handler is called with.

---@class Handler
---@field session Session
local Handler = {}

--- Answers a request.
---@param request Request
---@param values table<string, string|number>  what the path's <name>s caught
---@param settings table  the endpoint's, typed as the group declares them; read-only
---@return Response|string
function Handler:invoke(request, values, settings) end

---@class JsonOptions
---@field [1]? "object"|"array"
---@field force? boolean  read it whatever its content type
---@field silent? boolean  nil instead of an Error

---@class Request
---@field method string  `"GET"`, `"POST"` ...
---@field path string  the decoded path behind the hook id: `/pink/talk`
---@field args Multi  the query, decoded: names and values
---@field headers Headers  header fields, looked up ignoring case
--- a table of names and values; of a repeated name the first
---@field cookies table<string, string>
---@field form Multi  fields of a urlencoded or multipart body: names and values
--- files of a multipart body, by the field's name:
--- `{ name, filename, content_type, body, headers }`
---@field files Multi
---@field host string  the host that the client named, as a trusted proxy tells it
---@field url string  the whole public URL
--- the endpoint's public URL, up to its hook id: build links for others from it
---@field hook_url string
---@field hook_id string  the hook id, a secret: who knows it can call the endpoint
---@field scheme "http"|"https"  `"http"` or `"https"`
---@field query? string  the raw query, nil when there is none
---@field raw_target string  the target as the client sent it
---@field remote_addr string  the client's address; behind a trusted proxy the one that it tells
---@field id string  the request's id, as in the log and in error replies
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
