-- session.model.text_embedding: texts, or documents of texts and images, to vectors, in Dify's
-- TextEmbeddingResult.
local catalogue = require "moonhook.session.catalogue"
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

local function invoke(title, kind, call)
  local config = call.model_config
  local backend, backend_type = catalogue.of_model(config.provider, config.model, "text-embedding")
  local answer = transport.call(backend, backend_type, kind, call, title)
  return answer
end

--- Turns texts into vectors, in the order of the texts.
---@param call TextEmbeddingCall
---@return TextEmbeddingResult
--- Raises Error with the codes of session.model.llm:invoke.
function embedding:invoke(call)
  local title = "session.model.text_embedding:invoke"
  check.call(title, embedding, self, call, RULES)
  local answer = invoke(title, "text_embedding", call)
  return answer
end

--- Turns documents, each a text or an image, into vectors, in the order of the documents.
---@param call MultimodalEmbeddingCall
---@return TextEmbeddingResult
--- Raises Error with the codes of session.model.llm:invoke.
function embedding:invoke_multimodal(call)
  local title = "session.model.text_embedding:invoke_multimodal"
  check.call(title, embedding, self, call, MULTIMODAL_RULES)
  local answer = invoke(title, "multimodal_embedding", call)
  return answer
end

return embedding
