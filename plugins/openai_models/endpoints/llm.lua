-- POST /v1/chat/completions: a chat completion, whole or as a stream of server-sent events.
local moonhook = require "moonhook"
local catalogue = require "lib.catalogue"
local chat_request = require "lib.chat_request"
local completion = require "lib.completion"
local failure = require "lib.failure"
local guard = require "lib.guard"
local Response, json = moonhook.Response, moonhook.json

local function send(value) coroutine.yield("data: " .. json.encode(value) .. "\n\n") end

-- The head is out when a stream fails: an event says so, and the host breaks the connection off
-- before [DONE], so that no client takes the answer for a whole one.
local function stream(answer, chunks, with_usage)
  return Response(function()
    local ok, raised = pcall(completion.stream, answer, chunks, with_usage, send)
    if not ok then
      local known = failure.of(raised)
      if known then send(failure.body(known)) end
      error(raised, 0)
    end
    coroutine.yield "data: [DONE]\n\n"
  end, { content_type = "text/event-stream" })
end

---@class Chat: Handler
local Chat = {}

function Chat:invoke(request, values, settings)
  return guard(request, settings, function()
    local body = request:get_json { "object", force = true }
    local is_streaming, with_usage = chat_request.delivery(body)
    local model, name = catalogue.pick(self.session, settings, body.model, catalogue.LLM)
    local call = chat_request.call(body, model)
    call.stream = is_streaming

    local result = self.session.model.llm:invoke(call)
    local answer = completion.new(name)
    if is_streaming then return stream(answer, result, with_usage) end
    return Response.json(completion.whole(answer, result))
  end)
end

return Chat
