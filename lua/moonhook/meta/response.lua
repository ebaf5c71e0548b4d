---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- What a handler gives back.

---@class Response  what Response(...) and its like give; sent when the handler returns it

---@class ResponseOptions
---@field status? integer  200..599; 200 by default
---@field content_type? string  text/plain by default; text/* without a charset gets utf-8
---@field headers? table<string, string|string[]>

---@class ResponseClass
---@overload fun(body: string|async fun(), options?: ResponseOptions): Response
local Response = {}

--- A value as JSON.
---@param value any
---@param options? ResponseOptions
---@return Response
function Response.json(value, options) end

--- Server-sent events: the generator yields strings (an event's data) and Events.
---@param generator async fun()
---@param options? ResponseOptions
---@return Response
function Response.sse(generator, options) end

--- A file of the package. Raises Error coded "not_found" (404).
---@param path string
---@param options? { content_type?: string, cache_control?: string, headers?: table }
---@return Response
function Response.file(path, options) end

---@param url string
---@param status? 301|302|303|307|308  302 by default
---@return Response
function Response.redirect(url, status) end

---@return boolean
function Response.is(value) end

---@class Event
---@field data? string|table  a table is encoded as JSON
---@field event? string  one line
---@field id? string  one line
---@field retry? integer  milliseconds
