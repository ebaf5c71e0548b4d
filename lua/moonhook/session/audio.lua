-- session.model.tts and session.model.speech2text: texts to sound, and back.
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"

local tts, speech2text = {}, {}

local function voice_problem(config, path)
  local problem = prompt.model_config(config, path)
  if not problem and config.voice ~= nil and type(config.voice) ~= "string" then
    problem = check.expected(path .. ".voice", "a string", config.voice)
  end
  return problem
end

local TTS_RULES = {
  { name = "model_config", kind = "table", required = true, test = voice_problem,
    what = "a table { provider, model, voice }" },
  { name = "content_text", kind = "string", required = true }, prompt.USER,
}

local function file_problem(file, path)
  if type(file) == "string" then
    if file == "" then return path .. ": expected the bytes of a recording, got none" end
  elseif type(file.body) ~= "string" then
    return check.expected(path .. ".body", "a string", file.body)
  elseif file.body == "" then
    return path .. ".body: expected the bytes of a recording, got none"
  end
end

local SPEECH_RULES = {
  prompt.MODEL_CONFIG,
  { name = "file", kind = "string_or_table", required = true, test = file_problem,
    what = "the bytes of a recording, or an uploaded file { body, filename, content_type }" },
  prompt.USER,
}

local SIGNATURES = { -- how recordings begin
  { "^RIFF....WAVE", "wav", "audio/wav" }, { "^OggS", "ogg", "audio/ogg" },
  { "^fLaC", "flac", "audio/flac" }, { "^ID3", "mp3", "audio/mpeg" },
  { "^\255[\224-\255]", "mp3", "audio/mpeg" }, { "^....ftyp", "m4a", "audio/mp4" },
  { "^\26\69\223\163", "webm", "audio/webm" },
}

local function described(file)
  local bytes = type(file) == "table" and file.body or file
  local extension, mime_type = "mp3", "audio/mpeg"
  for _, signature in ipairs(SIGNATURES) do
    if bytes:find(signature[1]) then
      extension, mime_type = signature[2], signature[3]
      break
    end
  end
  local given = type(file) == "table" and file or {}
  local function text(value, otherwise)
    return type(value) == "string" and value ~= "" and value or otherwise
  end
  return {
    bytes = bytes,
    filename = text(given.filename, "recording." .. extension),
    mime_type = text(given.content_type, mime_type),
  }
end

--- Speaks a text.
---@param call TtsCall
---@return Stream  an iterator of strings, the sound's bytes; collect() gives them as one
--- Raises Error with the codes of session.model.llm:invoke.
function tts:invoke(call)
  local title = "session.model.tts:invoke"
  check.call(title, tts, self, call, TTS_RULES)
  local sound = transport.call_model("tts", "tts", call, title)
  return sound
end

--- Writes down what is said in a recording.
---@param call SpeechCall
---@return string text
--- Raises Error with the codes of session.model.llm:invoke.
function speech2text:invoke(call)
  local title = "session.model.speech2text:invoke"
  check.call(title, speech2text, self, call, SPEECH_RULES)
  local file = described(call.file)
  local text = transport.call_model("speech2text", "speech2text", {
    model_config = call.model_config, user = call.user,
    file = file.bytes, filename = file.filename, mime_type = file.mime_type,
  }, title)
  return text
end

return { tts = tts, speech2text = speech2text }
