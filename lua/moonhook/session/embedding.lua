-- session.model.text_embedding: texts to vectors, in Dify's TextEmbeddingResult.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local exchange = require "moonhook.session.exchange"
local prompt = require "moonhook.session.prompt"
local json = require "host.json"

local embedding = {}

local RULES = {
  { name = "model_config", kind = "table", required = true, what = "a table { provider, model }",
    test = prompt.model_config },
  { name = "texts", kind = "list", required = true, what = "an array of strings",
    test = prompt.texts },
  { name = "input_type", kind = "string", test = check.one_of("query", "document") },
}

--- Turns texts into vectors, in the order of the texts.
---@param call { model_config: ModelConfig, texts: string[], input_type?: "query"|"document" }
---@return TextEmbeddingResult
--- Raises Error with the codes of session.model.llm:invoke.
function embedding:invoke(call)
  check.call("session.model.text_embedding:invoke", embedding, self, call, RULES)
  local config = call.model_config
  local backend, backend_type = catalogue.of_model(config.provider, config.model, "text-embedding")
  local is_openai = backend_type == "openai"
  if not is_openai and (config.completion_params or {}).dimensions then
    error(Error.new("unsupported", "the vectors of this model have a fixed number of dimensions",
      { param = "dimensions" }), 0)
  end
  local request
  if is_openai then
    request = require("moonhook.backend.openai").embedding_request(call)
  else
    request = {
      provider = config.provider,
      model = config.model,
      texts = call.texts,
      input_type = call.input_type or "query",
    }
  end
  local body, problem = json.encode(request)
  if not body then Error.blame("session.model.text_embedding:invoke: " .. problem) end

  if is_openai then
    local answer = require("moonhook.session.openai").text_embedding(backend, call, body)
    return answer
  end
  local result = json.decode_plain(exchange.whole(exchange.open(backend, "text_embedding", body)))
  local vectors = type(result) == "table" and result.embeddings
  if type(vectors) ~= "table" or #vectors ~= #call.texts then
    error(Stream.malformed(backend, 1, "not one vector for each text"), 0)
  end
  return result
end

return embedding
