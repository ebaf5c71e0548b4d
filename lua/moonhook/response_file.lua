--- Files of a package as replies: content type by name, a strong ETag from the content, 304, one
--- range, gzip for text. A package's files never change while a plugin is loaded, so what was
--- worked out for a file is kept.

local read = require("host.package").read
local bytes = require "host.bytes"
local fast_paths = require "host.fast_paths"
local Error = require "moonhook.error"

local TYPES = {
  avif = "image/avif", bin = "application/octet-stream", bmp = "image/bmp", css = "text/css",
  csv = "text/csv", gif = "image/gif", gz = "application/gzip", htm = "text/html",
  html = "text/html", ico = "image/x-icon", jpeg = "image/jpeg", jpg = "image/jpeg",
  js = "text/javascript", json = "application/json", jsonl = "application/jsonl",
  map = "application/json", md = "text/markdown", mjs = "text/javascript", mp3 = "audio/mpeg",
  mp4 = "video/mp4", oga = "audio/ogg", ogg = "audio/ogg", otf = "font/otf",
  pdf = "application/pdf", png = "image/png", svg = "image/svg+xml", ttf = "font/ttf",
  txt = "text/plain", wasm = "application/wasm", wav = "audio/wav", webm = "video/webm",
  webmanifest = "application/manifest+json", webp = "image/webp", woff = "font/woff",
  woff2 = "font/woff2", xml = "application/xml", yaml = "application/yaml",
  yml = "application/yaml", zip = "application/zip",
}
local OPTIONS = { content_type = true, cache_control = true, headers = true }
local MIN_GZIP_BYTES = 512
local KEPT_GZIP_BYTES = 1024 * 1024 -- of all files of one state together

local tags = {}    -- [path] = hex digits for the ETag
local gzipped = {} -- [path] = bytes, or false when it does not pay
local gzipped_bytes = 0

local function content_type_of(path)
  local extension = path:match "%.(%w+)$"
  return extension and TYPES[extension:lower()] or "application/octet-stream"
end

local function is_text(content_type)
  local kind = content_type:match("^[^;%s]+"):lower()
  return kind:find "^text/" or kind:find "[/+]json$" or kind:find "[/+]xml$"
    or kind == "application/yaml" or kind == "application/jsonl" or kind == "application/wasm"
end

local function tag_of(path, content)
  local tag = tags[path]
  if not tag then
    tag = bytes.hex(bytes.sha256(content):sub(1, 16))
    tags[path] = tag
  end
  return tag
end

local function gzip(path, content)
  local packed = gzipped[path]
  if packed == nil then
    packed = bytes.deflate(content, "gzip")
    if #packed >= #content then packed = false end
    if gzipped_bytes + (packed and #packed or 0) <= KEPT_GZIP_BYTES then
      gzipped[path] = packed
      gzipped_bytes = gzipped_bytes + (packed and #packed or 0)
    end
  end
  return packed
end

local last_accepted, last_answer -- most clients send the same

-- Whether an Accept-Encoding allows gzip: named with a quality above 0, or by `*`.
local function accepts_gzip(accepted)
  if fast_paths.are_on and accepted == last_accepted then return last_answer end
  local quality = {}
  for item in (accepted or ""):lower():gmatch "[^,]+" do
    local coding = item:match "^%s*([^;%s]+)"
    local q = item:match ";%s*q%s*=%s*([%d.]+)"
    if coding then quality[coding] = tonumber(q or "1") or 0 end
  end
  last_accepted = accepted
  last_answer = (quality.gzip or quality["x-gzip"] or quality["*"] or 0) > 0
  return last_answer
end

-- If-None-Match: `*` or one of the tags, compared weakly.
local function is_known(if_none_match, etag)
  if not if_none_match then return false end
  if if_none_match == etag then return true end
  if if_none_match:match "^%s*%*%s*$" then return true end
  for tag in if_none_match:gmatch '"[^"]*"' do
    if tag == etag then return true end
  end
  return false
end

-- One range: first and last byte (from 0), or "all" when there is none that we serve, or nil when
-- it lies outside.
local function parse_range(range, size)
  local first, last = (range or ""):match "^%s*[Bb][Yy][Tt][Ee][Ss]%s*=%s*(%d*)%s*%-%s*(%d*)%s*$"
  if not first or (first == "" and last == "") then return "all" end
  if first == "" then
    local count = tonumber(last)
    if count == 0 or size == 0 then return nil end
    return math.max(size - count, 0), size - 1
  end
  first, last = tonumber(first), tonumber(last) or size - 1
  if first > last and first < size then return "all" end -- not a range at all
  if first >= size then return nil end
  return first, math.min(last, size - 1)
end

local function set(flat, name, value)
  flat[#flat + 1], flat[#flat + 2] = name, value
end

local function drop_content_type(flat)
  for i = 1, #flat, 2 do
    if flat[i]:lower() == "content-type" then
      table.remove(flat, i)
      table.remove(flat, i)
      return
    end
  end
end

-- Decides between 200, 206, 304 and 416, now that the request is known.
local function prepare(self, request)
  local content, flat, headers = self._body, self._headers, request.headers
  local is_get = request.method == "GET"
  local is_read = is_get or request.method == "HEAD"
  local range = is_get and headers["Range"] or nil
  local etag = '"' .. self._tag .. '"'
  local is_packable = is_text(flat[2]) and #content >= MIN_GZIP_BYTES
  self._prepare = nil
  if range and headers["If-Range"] and headers["If-Range"] ~= etag then range = nil end
  local packed
  if is_packable then
    set(flat, "Vary", "Accept-Encoding")
    packed = not range and accepts_gzip(headers["Accept-Encoding"])
      and gzip(self._path, content)
    if packed then
      content, etag = packed, '"' .. self._tag .. '-gzip"' -- other bytes, another strong tag
    end
  end
  set(flat, "ETag", etag)
  self._etag = etag
  if is_read and is_known(headers["If-None-Match"], etag) then
    drop_content_type(flat)
    self._status, self._body = 304, ""
    return
  end
  if packed then set(flat, "Content-Encoding", "gzip") end
  set(flat, "Accept-Ranges", "bytes")
  if range then
    local first, last = parse_range(range, #content)
    if not first then
      set(flat, "Content-Range", "bytes */" .. #content)
      self._status, content = 416, ""
    elseif first ~= "all" then
      set(flat, "Content-Range", ("bytes %d-%d/%d"):format(first, last, #content))
      self._status, content = 206, content:sub(first + 1, last + 1)
    end
  end
  self._body = content
end

local function check(path, options)
  if type(path) ~= "string" then
    Error.blame("Response.file: path: expected a string, got " .. type(path))
  end
  if type(options) ~= "table" then
    Error.blame("Response.file: options: expected a table, got " .. type(options))
  end
  for name in pairs(options) do
    if not OPTIONS[name] then
      Error.blame(("Response.file: options: unknown %s: expected content_type, cache_control "
        .. "or headers"):format(tostring(name)))
    end
  end
end

-- --- replies made once ---------------------------------------------------------------------------
-- Most ask for a small file whole, and its author says at most of what type it is and how it may be
-- cached. What `prepare` makes of such a request depends on whether gzip is taken and whether the
-- client has the file already; it is made once and shared by all replies, which nobody changes.

local MAX_FILE_BYTES = 64 * 1024
local MAX_KEPT_BYTES = 512 * 1024 -- of all files of one state together, heads included
local HEAD_BYTES = 1024           -- of one file, about

local kept, kept_bytes = {}, 0 -- [path, options] = what all its responses share

local function make(file, headers)
  local made = { _status = 200, _headers = { unpack(file.headers) }, _body = file.content,
    _path = file.path, _tag = file.tag }
  prepare(made, { method = "GET", headers = headers })
  return made
end

local function prepare_kept(self, request)
  local file, headers = self._file, request.headers
  if request.method ~= "GET" or headers["Range"] then
    self._headers = { unpack(file.headers) }
    return prepare(self, request)
  end
  local coding = accepts_gzip(headers["Accept-Encoding"]) and "gzip" or "identity"
  local made = file[coding]
  if not made then
    made = make(file, { ["Accept-Encoding"] = coding })
    made.known = make(file, { ["Accept-Encoding"] = coding, ["If-None-Match"] = "*" })
    file[coding] = made
  end
  if is_known(headers["If-None-Match"], made._etag) then made = made.known end
  self._status, self._headers, self._body = made._status, made._headers, made._body
end

local function keep(key, response)
  local size = #response._body + HEAD_BYTES
  if size > MAX_FILE_BYTES or kept_bytes + size > MAX_KEPT_BYTES then return end
  kept_bytes = kept_bytes + size
  kept[key] = { path = response._path, tag = response._tag, headers = response._headers,
    content = response._body, meta = getmetatable(response) }
end

local function respond(file)
  return setmetatable({ _status = 200, _headers = file.headers, _body = file.content,
    _mode = "raw", _path = file.path, _tag = file.tag, _file = file, _prepare = prepare_kept },
    file.meta)
end

-- What a reply without headers of its author's is kept under; nil: it is not kept.
local function key_of(path, options)
  if next(options) == nil then return path end
  if options.headers then return nil end
  return ("%s\0%s\0%s"):format(path, tostring(options.content_type),
    tostring(options.cache_control))
end

-- `new` is Response's own constructor.
return function(path, options, new)
  options = options or {}
  check(path, options)
  local key = key_of(path, options)
  if kept[key or false] then return respond(kept[key]) end
  local content = read(path)
  if not content then
    error(Error.new("not_found", "there is no such file", { status = 404 }), 0)
  end
  local headers = { ["Cache-Control"] = options.cache_control or "no-cache" }
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  local response = new(content, {
    content_type = options.content_type or content_type_of(path), headers = headers,
  })
  response._path, response._tag, response._prepare = path, tag_of(path, content), prepare
  if key and fast_paths.are_on then keep(key, response) end
  return kept[key or false] and respond(kept[key]) or response
end
