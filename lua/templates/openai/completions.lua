-- POST /v1/chat/completions: what OpenAI's clients speak, answered by the model of the setting.
-- Texts only; plugins/openai_models of Moonhook's repository does the whole of it.
local moonhook = require "moonhook"
local json = moonhook.json

---@class Completions: Handler
local Completions = {}

local function chunk(id, delta, finish_reason)
  return "data: " .. json.encode {
    id = id, object = "chat.completion.chunk", created = moonhook.time(), model = "moonhook",
    choices = { { index = 0, delta = delta, finish_reason = finish_reason or json.null } },
  } .. "\n\n"
end

local function stream(chunks)
  local id = "chatcmpl-" .. moonhook.uuid()
  return moonhook.Response(function()
    for part in chunks do
      local text = part.delta.message.content
      if text ~= "" then coroutine.yield(chunk(id, { role = "assistant", content = text })) end
    end
    coroutine.yield(chunk(id, {}, "stop"))
    coroutine.yield "data: [DONE]\n\n"
  end, { content_type = "text/event-stream" })
end

local function whole(result)
  return moonhook.Response.json {
    id = "chatcmpl-" .. moonhook.uuid(), object = "chat.completion", created = moonhook.time(),
    model = "moonhook",
    choices = { {
      index = 0, finish_reason = "stop",
      message = { role = "assistant", content = result.message.content },
    } },
    usage = {
      prompt_tokens = result.usage.prompt_tokens, total_tokens = result.usage.total_tokens,
      completion_tokens = result.usage.completion_tokens,
    },
  }
end

function Completions:invoke(request, values, settings)
  if not settings.llm then moonhook.abort(400, "the setting `llm` is not set") end
  local body = request:get_json "object"
  if type(body.messages) ~= "table" then moonhook.abort(400, "`messages` must be an array") end
  local result = self.session.model.llm:invoke {
    model_config = settings.llm, prompt_messages = body.messages, stream = body.stream == true,
  }
  return body.stream and stream(result) or whole(result)
end

return Completions
