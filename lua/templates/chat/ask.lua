-- POST /ask: passes a question on to a chat app, and its words back as they arrive.
local moonhook = require "moonhook"

local Ask = {}

function Ask:invoke(request, values, settings)
  if not settings.app then moonhook.abort(400, "the setting `app` is not set") end
  local question = request:get_data()
  if question == "" then moonhook.abort(400, "the body must hold a question") end

  return moonhook.Response(function()
    local events = self.session.app.chat:invoke {
      app_id = settings.app.app_id, query = question, response_mode = "streaming",
    }
    for event in events do
      if event.answer then coroutine.yield(event.answer) end
    end
  end)
end

return Ask
