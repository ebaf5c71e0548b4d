---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- session.http: calls to the world, for editors and the documentation.

---@class HttpCall
---@field url string  `http://` or `https://`; a fragment is left out, what must be escaped is
---@field method? string  `GET`; `POST` where there is a body
---@field headers? table<string, string|string[]>  `Host`, `CDN-Loop`, the framing: the host's
---@field query? table  names with a value, or a list of values, added to the URL
--- a table is sent as JSON; a function (or an iterator) gives piece after piece, nil at the end
---@field body? string|table|function
---@field form? table  names with a value, or a list of values, sent as a form
--- a list, or by name, each with `body` and perhaps `name`, `filename`, `content_type`, as
--- `request.files` has them; sent with `form` as multipart/form-data
---@field files? HttpFile[]|table<string, HttpFile>
---@field stream? boolean  the body is left to be read piece by piece
---@field follow? boolean  `true`: at most five redirects, each checked as the first URL was
---@field max_bytes? number  of a body that is read whole: 10 MiB
---@field timeout_ms? number  for the whole call, redirects and body included; none by default
---@field connect_ms? number  for looking up the name and connecting: 5 s
---@field first_byte_ms? number  from the request to the reply's head: 60 s
---@field idle_ms? number  between two pieces of the body: 60 s

---@class HttpFile  as `request.files` has them
---@field name? string  of the form's field; not needed where files stand by their names
---@field filename? string
---@field content_type? string  application/octet-stream by default
---@field body string

---@class HttpResponse
---@field status integer
---@field headers Headers  as `request.headers`: `headers.ETag`, `:get_all(name)`, `:pairs()`
--- with `stream` an iterator of bytes: `for piece in response.body do`
---@field body string|HttpStream
---@field url string  the last one, after redirects
local HttpResponse = {}

--- The body as JSON, null members as nil.
---@return any
function HttpResponse:json() end

--- The server-sent events of a reply that was asked for with `stream`: an iterator of
--- `{ event, data, id }`; `id` is the last one that the stream has told.
---@return HttpStream
function HttpResponse:events() end

--- Gives up what was not read.
function HttpResponse:close() end

---@class HttpStream
local HttpStream = {}

--- Stops the call; the upstream learns at once.
function HttpStream:close() end

--- Reads what is left: of bytes one string, of events an array.
---@return string|table
function HttpStream:collect() end

---@class Http
local Http = {}

--- Calls the world and waits for the reply: whatever its status, it is returned.
---
--- ```lua
--- local response = self.session.http:request {
---   method = "POST",
---   url = "https://api.example.com/v1/orders",
---   headers = { Authorization = "Bearer " .. settings.secret },
---   body = { item = "lamp", count = 2 }, -- a table is sent as JSON
---   timeout_ms = 5000,
--- }
--- if response.status ~= 201 then moonhook.abort(502, "the shop refused the order") end
--- return Response.json { order = response:json().id }
--- ```
---@param call HttpCall
---@return HttpResponse
function Http:request(call) end

--- `request` with method GET; `options` are its other arguments.
---
--- ```lua
--- local response = self.session.http:get("https://api.example.com/events", { stream = true })
--- for event in response:events() do coroutine.yield(event.data .. "\n") end
--- ```
---@param url string
---@param options? table
---@return HttpResponse
function Http:get(url, options) end

--- `request` with method POST.
---
--- ```lua
--- local pages = { "first", "second" }
--- local response = self.session.http:post("https://api.example.com/import", function()
---   return table.remove(pages, 1) -- asked for the next piece when the last was sent
--- end)
--- return response.body
--- ```
---@param url string
---@param body? string|table|function
---@param options? table
---@return HttpResponse
function Http:post(url, body, options) end
