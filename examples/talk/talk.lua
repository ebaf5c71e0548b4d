-- GET /talk?q=...: asks a chat app and passes its words on as plain text, as they arrive.
local moonhook = require "moonhook"

---@class Talk: Handler
local Talk = {}

function Talk:invoke(request, values, settings)
  local question = request.args.q or ""
  if question == "" then moonhook.abort(400, "ask something: /talk?q=...") end

  return moonhook.Response(function()
    local events = self.session.app.chat:invoke {
      app_id = settings.app.app_id, query = question, response_mode = "streaming",
    }
    for event in events do
      if event.answer then coroutine.yield(event.answer) end
    end
    coroutine.yield "\n"
  end)
end

return Talk
