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

-- As browsers write names in multipart forms.
local function quoted(name)
  return (name:gsub('[\r\n"]', { ["\r"] = "%0D", ["\n"] = "%0A", ['"'] = "%22" }))
end

local function field(boundary, name, value)
  return ('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n')
    :format(boundary, quoted(name), tostring(value))
end

--- The body of POST /audio/transcriptions, a multipart form.
---@param call { model_config: ModelConfig, file: string, filename: string, mime_type: string }
---@param boundary string  that does not occur in the file
function audio.transcription_form(call, boundary)
  local config, parts, names = call.model_config, {}, {}
  local params = copy_of(config.completion_params)
  params.model, params.response_format = config.model, "json"
  for name in pairs(params) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = params[name]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      local sent_name = type(values) == "table" and name .. "[]" or name
      parts[#parts + 1] = field(boundary, sent_name, value)
    end
  end
  parts[#parts + 1] = ('--%s\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n')
    :format(boundary, quoted(call.filename))
  parts[#parts + 1] = ("Content-Type: %s\r\n\r\n"):format(call.mime_type:gsub("%c", ""))
  parts[#parts + 1] = call.file
  parts[#parts + 1] = ("\r\n--%s--\r\n"):format(boundary)
  return table.concat(parts)
end

--- The text of a transcription, or nil when there is none.
function audio.transcript(answer)
  local text = type(answer) == "table" and answer.text
  return type(text) == "string" and text or nil
end

return audio
