-- POST /pink/talk {query, conversation_id}: the app's events, each as JSON and a blank line.
local moonhook = require "moonhook"
local Response, json = moonhook.Response, moonhook.json

---@class Talk: Handler
local Talk = {}

function Talk:invoke(request, values, settings)
  local app = settings.app
  if not app then return Response("App is required", { status = 400 }) end
  local body = request:get_json "object" -- 400 unless it is a JSON object
  if type(body.query) ~= "string" or body.query == "" then
    return Response("Query is required", { status = 400 })
  end
  if type(body.conversation_id or "") ~= "string" then
    return Response("conversation_id must be a string", { status = 400 })
  end

  return Response(function()
    local chunks = self.session.app.chat:invoke {
      app_id = app.app_id, query = body.query, inputs = {},
      conversation_id = body.conversation_id, response_mode = "streaming",
    }
    for chunk in chunks do coroutine.yield(json.encode(chunk) .. "\n\n") end
  end, { content_type = "text/event-stream" })
end

return Talk
