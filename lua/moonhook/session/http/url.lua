-- URLs of outgoing calls: queries are added, redirects resolved, what may not stand in a request
-- line is percent-encoded. What scheme, host and port are is for C to say (host.web.parse), and
-- nothing here decides where a call may go.
local url = {}

local function percent(char)
  return ("%%%02X"):format(char:byte())
end

--- Percent-encodes all but the unreserved characters.
function url.escape(text)
  return (tostring(text):gsub("[^%w%-._~]", percent))
end

--- Names in order, so that the same call makes the same bytes.
function url.sorted(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- `a=1&b=x%20y` from { a = 1, b = "x y" }; a list as value gives its name several times.
function url.query(map)
  local pairs_of = {}
  for _, name in ipairs(url.sorted(map)) do
    local values = type(map[name]) == "table" and map[name] or { map[name] }
    for _, value in ipairs(values) do
      pairs_of[#pairs_of + 1] = url.escape(name) .. "=" .. url.escape(value)
    end
  end
  return table.concat(pairs_of, "&")
end

-- Path and query as they may be sent: no fragment, no bytes that would need to be escaped.
local function clean(rest)
  return (rest:gsub("#.*$", ""):gsub("[^!$%%&'()*+,%-./%w:;=?@_~%[%]]", percent))
end

--- A URL as it is sent. The part before the path is left alone: it is judged as it was written.
function url.prepare(text, query)
  local front, rest = text:match "^(%a[%w+.-]*://[^/?#]*)(.*)$"
  if not front then return text end
  rest = clean(rest)
  if query and query ~= "" then
    rest = rest .. (rest:find("?", 1, true) and "&" or "?") .. query
  end
  return front .. rest
end

-- RFC 3986, 5.2.4.
local function remove_dots(path)
  local out, is_folder = {}, false
  for segment in (path .. "/"):gmatch "([^/]*)/" do
    is_folder = segment == "." or segment == ".."
    if segment == ".." then
      if #out > 1 then out[#out] = nil end
    elseif segment ~= "." then
      out[#out + 1] = segment
    end
  end
  return table.concat(out, "/") .. (is_folder and "/" or "")
end

--- Where a redirect leads: RFC 3986, 5.2.2. `origin` is "https://host:port".
function url.resolve(origin, target, location)
  if location:find "^%a[%w+.-]*:" then return url.prepare(location) end
  if location:find "^//" then return url.prepare(origin:match "^%a+:" .. location) end
  local path, query = clean(location):match "^([^?]*)(.*)$"
  local base = target:match "^[^?]*"
  if base == "" then base = "/" end
  if path == "" then
    if query == "" then query = target:match "%?.*$" or "" end
    path = base
  elseif path:sub(1, 1) ~= "/" then
    path = base:match "^.*/" .. path
  end
  return origin .. remove_dots(path) .. query
end

return url
