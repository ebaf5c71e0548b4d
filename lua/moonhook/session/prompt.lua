-- The shapes of what a model is asked, after Dify's entities: tests for session/check.lua, each
-- giving the text of a problem with its path, or nil.
local check = require "moonhook.session.check"
local expected = check.expected

local prompt = {}

local is_role = check.one_of("system", "user", "assistant", "tool", "developer")
local is_part = check.one_of("text", "image", "audio", "video", "document")
local is_tool_mode = check.one_of("auto", "none", "required", "tool")

local function a_string(value, path)
  if type(value) ~= "string" then return expected(path, "a string", value) end
end

prompt.a_string = a_string

--- { provider, model, completion_params? }
function prompt.model_config(config, path)
  return a_string(config.provider, path .. ".provider") or a_string(config.model, path .. ".model")
    or (config.completion_params ~= nil and type(config.completion_params) ~= "table"
      and expected(path .. ".completion_params", "a table", config.completion_params)) or nil
end

prompt.MODEL_CONFIG = {
  name = "model_config", kind = "table", required = true, what = "a table { provider, model }",
  test = prompt.model_config,
}
prompt.USER = { name = "user", kind = "string" }

function prompt.strings(values, path)
  for i, value in ipairs(values) do
    local problem = a_string(value, ("%s[%d]"):format(path, i))
    if problem then return problem end
  end
end

function prompt.texts(values, path)
  if #values == 0 then return path .. ": expected at least one text, got none" end
  return prompt.strings(values, path)
end

local is_content_type = check.one_of("text", "image")

--- { content, content_type }: a text, or an image as base64 or by its address
function prompt.document(document, path)
  return a_string(document.content, path .. ".content")
    or is_content_type(document.content_type, path .. ".content_type")
end

function prompt.documents(documents, path)
  if #documents == 0 then return path .. ": expected at least one document, got none" end
  for i, document in ipairs(documents) do
    local at = ("%s[%d]"):format(path, i)
    if type(document) ~= "table" then
      return expected(at, "a table { content, content_type }", document)
    end
    local problem = prompt.document(document, at)
    if problem then return problem end
  end
end

local function part_problem(part, path)
  if type(part) ~= "table" then return expected(path, "a table { type, ... }", part) end
  local problem = is_part(part.type, path .. ".type")
  if problem then
    return part.type == "image_url" and problem .. " (Dify's parts, not OpenAI's)" or problem
  end
  if part.type == "text" then return a_string(part.data, path .. ".data") end
  if (part.url or "") == "" and (part.base64_data or "") == "" then
    return path .. ": expected url or base64_data, got neither"
  end
  if (part.base64_data or "") ~= "" then return a_string(part.mime_type, path .. ".mime_type") end
end

local function message_problem(message, path)
  if type(message) ~= "table" then return expected(path, "a table { role, content }", message) end
  local problem = is_role(message.role, path .. ".role")
  if problem then return problem end
  local content = message.content
  if type(content) == "table" then
    for i, part in ipairs(content) do
      problem = part_problem(part, ("%s.content[%d]"):format(path, i))
      if problem then return problem end
    end
  elseif type(content) ~= "string" and not (content == nil and message.role == "assistant") then
    return expected(path .. ".content", "a string or an array of parts", content)
  end
  if message.role == "tool" then return a_string(message.tool_call_id, path .. ".tool_call_id") end
  for i, call in ipairs(type(message.tool_calls) == "table" and message.tool_calls or {}) do
    local at = ("%s.tool_calls[%d]"):format(path, i)
    if type(call) ~= "table" or type(call["function"]) ~= "table" then
      return expected(at, "a table { id, type, function = { name, arguments } }", call)
    end
    problem = a_string(call["function"].name, at .. ".function.name")
      or a_string(call["function"].arguments, at .. ".function.arguments")
    if problem then return problem end
  end
end

function prompt.messages(messages, path)
  if #messages == 0 then return path .. ": expected at least one message, got none" end
  for i, message in ipairs(messages) do
    local problem = message_problem(message, ("%s[%d]"):format(path, i))
    if problem then return problem end
  end
end

function prompt.tools(tools, path)
  for i, tool in ipairs(tools) do
    local at = ("%s[%d]"):format(path, i)
    if type(tool) ~= "table" then
      return expected(at, "a table { name, description, parameters }", tool)
    end
    local problem = a_string(tool.name, at .. ".name")
    if problem and tool["function"] then
      return problem .. " (tools are Dify's { name, description, parameters }, without `function`)"
    elseif problem then
      return problem
    end
    if tool.parameters ~= nil and type(tool.parameters) ~= "table" then
      return expected(at .. ".parameters", "a JSON schema as a table", tool.parameters)
    end
  end
end

function prompt.tool_choice(choice, path)
  return is_tool_mode(choice.mode, path .. ".mode")
    or (choice.mode == "tool" and a_string(choice.name, path .. ".name")) or nil
end

--- The arguments of a call to a chat model.
prompt.LLM_RULES = {
  prompt.MODEL_CONFIG,
  { name = "prompt_messages", kind = "list", required = true, what = "an array of messages",
    test = prompt.messages },
  { name = "tools", kind = "list", test = prompt.tools },
  { name = "tool_choice", kind = "table", test = prompt.tool_choice },
  { name = "stop", kind = "list", test = prompt.strings },
  { name = "stream", kind = "boolean" },
  prompt.USER,
}

return prompt
