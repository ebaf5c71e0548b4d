-- GET /relay, /paced, /held: a model's stream, in bursts, paced, or silent after its first event;
-- each event is decoded and encoded.
local moonhook = require "moonhook"
local json = moonhook.json

local MODELS = { ["/relay"] = "burst", ["/paced"] = "paced", ["/held"] = "silent" }

return function(self, request)
  return moonhook.Response(function()
    local chunks = self.session.model.llm:invoke {
      model_config = { provider = "fake", model = MODELS[request.path] },
      prompt_messages = { { role = "user", content = "Say something." } },
    }
    for chunk in chunks do
      local delta = chunk.delta
      local event = { text = delta.message.content, finish_reason = delta.finish_reason }
      coroutine.yield("data: " .. json.encode(event) .. "\n\n")
    end
  end, { content_type = "text/event-stream" })
end
