--- Cookies as RFC 6265 sends them, read leniently: what is not NAME=VALUE is skipped, quotes around
--- a value are taken off, nothing is decoded. Of a repeated name the first counts.

local function parse(flat_headers)
  local cookies = {}
  for i = 1, #flat_headers, 2 do
    if flat_headers[i]:lower() == "cookie" then
      for part in flat_headers[i + 1]:gmatch "[^;]+" do
        local name, value = part:match "^[ \t]*([^= \t][^=]-)[ \t]*=[ \t]*(.-)[ \t]*$"
        if not name then name, value = part:match "^[ \t]*([^= \t])[ \t]*=[ \t]*(.-)[ \t]*$" end
        if name and cookies[name] == nil then cookies[name] = value:match '^"(.*)"$' or value end
      end
    end
  end
  return cookies
end

return { parse = parse }
