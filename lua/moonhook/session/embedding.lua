-- session.model.text_embedding: texts, or documents of texts and images, to vectors, in Dify's
-- TextEmbeddingResult.
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"

local embedding = {}

local INPUT_TYPE = {
  name = "input_type", kind = "string", test = check.one_of("query", "document"),
}
local RULES = {
  prompt.MODEL_CONFIG,
  { name = "texts", kind = "list", required = true, what = "an array of strings",
    test = prompt.texts },
  INPUT_TYPE, prompt.USER,
}
local MULTIMODAL_RULES = {
  prompt.MODEL_CONFIG,
  { name = "documents", kind = "list", required = true,
    what = "an array of { content, content_type }", test = prompt.documents },
  INPUT_TYPE, prompt.USER,
}

--- Turns texts into vectors, in the order of the texts.
---@param call TextEmbeddingCall
---@return TextEmbeddingResult
--- Raises Error with the codes of session.model.llm:invoke.
function embedding:invoke(call)
  local title = "session.model.text_embedding:invoke"
  check.call(title, embedding, self, call, RULES)
  local answer = transport.call_model("text-embedding", "text_embedding", call, title)
  return answer
end

--- Turns documents, each a text or an image, into vectors, in the order of the documents.
---@param call MultimodalEmbeddingCall
---@return TextEmbeddingResult
--- Raises Error with the codes of session.model.llm:invoke.
function embedding:invoke_multimodal(call)
  local title = "session.model.text_embedding:invoke_multimodal"
  check.call(title, embedding, self, call, MULTIMODAL_RULES)
  local answer = transport.call_model("text-embedding", "multimodal_embedding", call, title)
  return answer
end

return embedding
