-- GET /relay, /paced: a model's stream, in bursts or paced, each event decoded and encoded.
local moonhook = require "moonhook"
local json = moonhook.json

return function(self, request)
  return moonhook.Response(function()
    local chunks = self.session.model.llm:invoke {
      model_config = { provider = "fake", model = request.path == "/paced" and "paced" or "burst" },
      prompt_messages = { { role = "user", content = "Say something." } },
    }
    for chunk in chunks do
      local delta = chunk.delta
      local event = { text = delta.message.content, finish_reason = delta.finish_reason }
      coroutine.yield("data: " .. json.encode(event) .. "\n\n")
    end
  end, { content_type = "text/event-stream" })
end
