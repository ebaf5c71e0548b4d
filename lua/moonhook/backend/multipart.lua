-- The body of a multipart/form-data request: fields, then one file.
local multipart = {}

-- As Dify's own client writes names, and its server reads them back. (Browsers say %22.)
local QUOTES = { ["\r"] = "%0D", ["\n"] = "%0A", ['"'] = '\\"', ["\\"] = "\\\\" }

local function quoted(name)
  return (name:gsub('[\r\n"\\]', QUOTES))
end

---@param fields string[][]  { name, value }
---@param file { name: string, filename: string, mime_type: string, content: string }
---@param boundary string  that does not occur in the content
---@return string body, string content_type
function multipart.encode(fields, file, boundary)
  local parts = {}
  local function add(...)
    for _, text in ipairs { ... } do parts[#parts + 1] = text end
  end
  for _, field in ipairs(fields) do
    add("--", boundary, '\r\nContent-Disposition: form-data; name="', quoted(field[1]),
      '"\r\n\r\n', field[2], "\r\n")
  end
  add("--", boundary, '\r\nContent-Disposition: form-data; name="', quoted(file.name),
    '"; filename="', quoted(file.filename), '"\r\nContent-Type: ',
    (file.mime_type:gsub("%c", "")), "\r\n\r\n", file.content, "\r\n--", boundary, "--\r\n")
  return table.concat(parts), "multipart/form-data; boundary=" .. boundary
end

return multipart
