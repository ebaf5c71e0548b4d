-- GET /pink: the chat page.
local moonhook = require "moonhook"

---@class Pink: Handler
local Pink = {}

function Pink:invoke(request, values, settings)
  local name = settings.bot_name
  if (name or "") == "" then name = "Candy" end
  local page = moonhook.template("skins/pink.html", { bot_name = name })
  return moonhook.Response(page, { content_type = "text/html" })
end

return Pink
