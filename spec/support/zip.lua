--- Zip files of any kind, right or wrong.
---
---   zip.make { { name = "manifest.yaml", data = "..." }, { name = "a/", mode = 0x41ed } }
---
--- Of an entry: name, data, mode (unix), is_stored, and what overrides the truth: size, crc, flags,
--- method, packed (bytes as they lie in the file).
require "spec.support.library"
local bytes = require "host.bytes"

local zip = {}

local function le(number, count)
  local out = {}
  for i = 1, count do
    out[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(out)
end

local function number_at(text, at)
  local a, b, c, d = text:byte(at, at + 3)
  return a + b * 256 + c * 65536 + d * 16777216
end

-- The raw deflated bytes, and the checksum: what gzip puts its own head and tail around.
local function deflate(data)
  if data == "" then return "", 0 end -- thousands of these in one archive
  local packed = bytes.deflate(data, "gzip")
  return packed:sub(11, -9), number_at(packed, #packed - 7)
end

--- What of an entry is the same in its local head and in the directory.
local function common(entry)
  return le(20, 2) .. le(entry.flags or 0x800, 2) .. le(entry.method, 2) .. le(0, 2) .. le(33, 2)
    .. le(entry.crc, 4) .. le(#entry.packed, 4) .. le(entry.size, 4) .. le(#entry.name, 2)
    .. le(0, 2)
end

function zip.make(entries, comment)
  local heads, directory, offset = {}, {}, 0
  for i, given in ipairs(entries) do
    local data = given.data or ""
    local packed, crc = deflate(data)
    local is_stored = given.is_stored or data == ""
    local entry = { name = given.name, flags = given.flags, size = given.size or #data,
      crc = given.crc or crc, method = given.method or is_stored and 0 or 8,
      packed = given.packed or is_stored and data or packed }
    local head = "PK\3\4" .. common(entry) .. entry.name .. entry.packed
    heads[i] = head
    directory[i] = "PK\1\2" .. "\20\3" .. common(entry) .. le(0, 2) .. le(0, 2) .. le(0, 2)
      .. le((given.mode or 0x81a4) * 65536, 4) .. le(offset, 4) .. entry.name
    offset = offset + #head
  end
  local listing = table.concat(directory)
  comment = comment or ""
  return table.concat(heads) .. listing .. "PK\5\6" .. le(0, 4) .. le(#entries % 65536, 2)
    .. le(#entries % 65536, 2) .. le(#listing, 4) .. le(offset, 4) .. le(#comment, 2) .. comment
end

--- The entries of a plugin whose only route answers with `text`.
function zip.plugin(name, text)
  return {
    { name = "manifest.yaml", data = ([[
version: 0.0.1
type: plugin
author: spec
name: %s
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: code/a.lua } } }
]]):format(name) },
    { name = "code/", mode = 0x41ed },
    { name = "code/a.lua", data = ("return function() return %q end\n"):format(text) },
  }
end

return zip
