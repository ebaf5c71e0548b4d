--- Everything that a server sent on a connection, parsed strictly: nothing may be left over.
local replies = {}

local function parse_fields(text)
  local headers = {}
  for line in text:gmatch "(.-)\r\n" do
    local name, value = line:match "^([%w%-_]+): ([^%c]*)$"
    assert(name, "not a header line: " .. line)
    headers[name:lower()] = value
  end
  return headers
end

-- Returns the body and where the next reply starts.
local function parse_body(text, at, status, headers)
  if status == 204 or status == 304 or status < 200 then return "", at end
  if headers["transfer-encoding"] then
    assert(headers["transfer-encoding"] == "chunked" and not headers["content-length"])
    local pieces = {}
    while true do
      local digits, data_at = text:match("^(%x+)\r\n()", at)
      assert(digits, "not a chunk: " .. text:sub(at, at + 40))
      local len = tonumber(digits, 16)
      pieces[#pieces + 1] = text:sub(data_at, data_at + len - 1)
      assert(text:sub(data_at + len, data_at + len + 1) == "\r\n", "no CRLF behind a chunk")
      at = data_at + len + 2
      if len == 0 then return table.concat(pieces), at end
    end
  end
  local len = tonumber(headers["content-length"])
  if not len then return text:sub(at), #text + 1 end -- until the connection closes
  assert(#text >= at + len - 1, "a body is cut off")
  return text:sub(at, at + len - 1), at + len
end

--- The replies in their order: { status, headers, body }. HEAD is not handled.
function replies.parse(text)
  local list, at = {}, 1
  while at <= #text do
    local status, fields, body_at =
      text:match("^HTTP/1%.1 (%d%d%d) [^\r\n]*\r\n(.-\r\n)\r\n()", at)
    assert(status, ("not a reply: %q"):format(text:sub(at, at + 80)))
    local reply = { status = tonumber(status), headers = parse_fields(fields) }
    reply.body, at = parse_body(text, body_at, reply.status, reply.headers)
    list[#list + 1] = reply
  end
  return list
end

return replies
