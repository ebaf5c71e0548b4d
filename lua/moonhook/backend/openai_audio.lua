-- Between Dify's audio calls and OpenAI's /audio/speech and /audio/transcriptions: pure functions.

local audio = {}

local function copy_of(params)
  local copy = {}
  for name, value in pairs(params or {}) do copy[name] = value end
  return copy
end

--- The body of POST /audio/speech for the arguments of session.model.tts:invoke. Without a voice
--- the choice is the server's.
function audio.speech_request(call)
  local config = call.model_config
  local request = copy_of(config.completion_params)
  request.model, request.input = config.model, call.content_text
  request.voice = (config.voice or "") ~= "" and config.voice or request.voice
  return request
end

--- The body of POST /audio/transcriptions, a multipart form.
---@param call { model_config: ModelConfig, file: string, filename: string, mime_type: string }
---@param boundary string  that does not occur in the file
---@return string body, string content_type
function audio.transcription_form(call, boundary)
  local config, fields, names = call.model_config, {}, {}
  local params = copy_of(config.completion_params)
  params.model, params.response_format = config.model, "json"
  for name in pairs(params) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = params[name]
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      local sent_name = type(value) == "table" and name .. "[]" or name
      fields[#fields + 1] = { sent_name, tostring(item) }
    end
  end
  return require("moonhook.backend.multipart").encode(fields, {
    name = "file", filename = call.filename, mime_type = call.mime_type, content = call.file,
  }, boundary)
end

--- The text of a transcription, or nil when there is none.
function audio.transcript(answer)
  local text = type(answer) == "table" and answer.text
  return type(text) == "string" and text or nil
end

return audio
