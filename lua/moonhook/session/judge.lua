-- session.model.moderation and session.model.summary: what models make of one text.
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"

local MIN_SUMMARIZE_LENGTH = 1024

local moderation, summary = {}, {}

local MODERATION_RULES = {
  prompt.MODEL_CONFIG,
  { name = "text", kind = "string", required = true, may_be_empty = true }, prompt.USER,
}
local SUMMARY_RULES = {
  { name = "text", kind = "string", required = true, may_be_empty = true },
  { name = "instruction", kind = "string" },
  { name = "min_summarize_length", kind = "number" }, prompt.USER,
}

--- Tells whether a text is one that the model objects to.
---@param call ModerationCall
---@return boolean is_flagged
--- Raises Error with the codes of session.model.llm:invoke.
function moderation:invoke(call)
  local title = "session.model.moderation:invoke"
  check.call(title, moderation, self, call, MODERATION_RULES)
  local is_flagged = transport.call_model("moderation", "moderation", call, title)
  return is_flagged
end

-- In characters: bytes that do not continue one.
local function length_of(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

--- Shortens a text. One that is shorter than `min_summarize_length` characters (1024) comes back as
--- it is, without any call. The system's own model does it: Dify's, else the first llm that an
--- `openai` backend declares, else the built-in one.
---@param call SummaryCall
---@return string text
--- Raises Error with the codes of session.model.llm:invoke.
function summary:invoke(call)
  local title = "session.model.summary:invoke"
  check.call(title, summary, self, call, SUMMARY_RULES)
  if length_of(call.text) < (call.min_summarize_length or MIN_SUMMARIZE_LENGTH) then
    return call.text
  end
  local backend, backend_type, model = catalogue.of_system("llm")
  local text = transport.call(backend, backend_type, "summary", {
    text = call.text, instruction = call.instruction or "", user = call.user, model = model,
  }, title)
  return text
end

return { moderation = moderation, summary = summary }
