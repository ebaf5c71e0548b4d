-- POST /v1/embeddings: a vector for each text, as numbers or as base64 of little-endian floats.
local moonhook = require "moonhook"
local catalogue = require "lib.catalogue"
local check = require "lib.check"
local guard = require "lib.guard"

local MAX_TEXTS = 2048
local check_format, check_dimensions = check.one_of("float", "base64"), check.integer(1)
local READ = { model = true, input = true, encoding_format = true, dimensions = true, user = true }

local function texts_of(input)
  if type(input) == "string" then input = moonhook.json.array { input } end
  for i, text in ipairs(check.array(input, "input", "a string or an array of strings")) do
    if type(text) == "number" or type(text) == "table" then
      check.unsupported("input", "Token ids are not supported as 'input': send the text itself.")
    end
    if check.string(text, ("input[%d]"):format(i - 1)) == "" then
      check.invalid_value(("input[%d]"):format(i - 1), "a text that is not empty", text)
    end
  end
  if #input == 0 or #input > MAX_TEXTS then
    check.invalid_value("input", "1 to " .. MAX_TEXTS .. " texts", input)
  end
  return input
end

-- What goes to the model's server as it is.
local function params_of(body)
  return {
    dimensions = check.optional(check_dimensions, body.dimensions, "dimensions"),
    user = check.optional(check.string, body.user, "user"),
  }
end

---@class Embeddings: Handler
local Embeddings = {}

function Embeddings:invoke(request, values, settings)
  return guard(request, settings, function()
    local body = request:get_json { "object", force = true }
    for name in pairs(body) do
      if not READ[name] then check.unsupported(tostring(name)) end
    end
    local format = check_format(body.encoding_format or "float", "encoding_format")
    local model, name = catalogue.pick(self.session, settings, body.model, catalogue.EMBEDDING)
    local result = self.session.model.text_embedding:invoke {
      model_config = {
        provider = model.provider, model = model.model, completion_params = params_of(body),
      },
      texts = texts_of(body.input),
      input_type = "document",
    }

    local data = {}
    for i, vector in ipairs(result.embeddings) do
      if format == "base64" then vector = moonhook.base64(moonhook.pack_floats(vector)) end
      data[i] = { object = "embedding", index = i - 1, embedding = vector }
    end
    local usage = { prompt_tokens = result.usage.tokens, total_tokens = result.usage.total_tokens }
    return moonhook.Response.json { object = "list", model = name, data = data, usage = usage }
  end)
end

return Embeddings
