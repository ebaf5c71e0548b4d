-- OpenAI's chat messages as the session's prompt messages. Whatever has no counterpart is refused.
local check = require "lib.check"

local ROLES = {
  system = "system", developer = "system", user = "user", assistant = "assistant", tool = "tool",
}
local check_role = check.one_of("system", "developer", "user", "assistant", "tool")

-- What a message of a role may hold beside nulls. An assistant's `refusal` is what it said instead
-- of content. Its `reasoning_content` comes back from clients that repeat our own replies; models
-- do not take their reasoning back.
local MEMBERS = {
  system = { role = true, content = true, name = true },
  user = { role = true, content = true, name = true },
  tool = { role = true, content = true, tool_call_id = true },
  assistant = {
    role = true, content = true, name = true, tool_calls = true, refusal = true,
    reasoning_content = true,
  },
}

local check_detail = check.one_of("auto", "low", "high")

-- {type="image_url", image_url={url, detail}}: the address of a picture, or the picture itself.
local function image(part, path)
  path = path .. ".image_url"
  local source = check.object(part.image_url, path)
  check.members(source, path, { url = true, detail = true })
  local url = check.string(source.url, path .. ".url")
  local detail = check.optional(check_detail, source.detail, path .. ".detail")

  local format, data = url:match "^data:image/([%w.+-]+);base64,(.*)$"
  if not format and not url:match "^https?://%S+$" then
    check.invalid_value(path .. ".url", "an http address or 'data:image/...;base64,...'", url)
  end
  format = format or url:match "^[^?#]*%.(%a%a%a%a?)$" or "png"
  return {
    type = "image",
    mime_type = "image/" .. (format == "jpg" and "jpeg" or format),
    format = format,
    base64_data = data,
    url = not data and url or nil,
    detail = detail ~= "auto" and detail or nil,
  }
end

local PARTS = {
  text = function(part, path)
    check.members(part, path, { type = true, text = true })
    return { type = "text", data = check.string(part.text, path .. ".text") }
  end,
  image_url = function(part, path)
    check.members(part, path, { type = true, image_url = true })
    return image(part, path)
  end,
}

local function content_of(message, path)
  local content = message.content
  if type(content) == "string" then return content end
  local parts = {}
  for i, part in ipairs(check.array(content, path, "a string or an array of parts")) do
    local at = ("%s[%d]"):format(path, i - 1)
    local kind = check.string(check.object(part, at).type, at .. ".type")
    if not PARTS[kind] or (kind ~= "text" and message.role ~= "user") then
      check.unsupported(at .. ".type",
        ("Unsupported content of type '%s' in a '%s' message."):format(kind, message.role))
    end
    parts[i] = PARTS[kind](part, at)
  end
  if #parts == 0 then check.invalid_value(path, "at least one part", content) end
  return parts
end

local CALL_MEMBERS = { id = true, type = true, ["function"] = true, index = true }

local function tool_calls_of(calls, path)
  local mapped = {}
  for i, call in ipairs(check.array(calls, path)) do
    local at = ("%s[%d]"):format(path, i - 1)
    check.members(check.object(call, at), at, CALL_MEMBERS)
    if call.type ~= nil and call.type ~= "function" then check.unsupported(at .. ".type") end
    local target = check.object(call["function"], at .. ".function")
    mapped[i] = {
      id = check.string(call.id, at .. ".id"),
      type = "function",
      ["function"] = {
        name = check.string(target.name, at .. ".function.name"),
        arguments = check.string(target.arguments, at .. ".function.arguments"),
      },
    }
  end
  return #mapped > 0 and mapped or nil
end

local function message_of(message, path)
  check.object(message, path)
  local role = ROLES[check_role(message.role, path .. ".role")]
  check.members(message, path, MEMBERS[role])
  local mapped = { role = role, name = check.optional(check.string, message.name, path .. ".name") }
  if role == "assistant" and message.tool_calls ~= nil then
    mapped.tool_calls = tool_calls_of(message.tool_calls, path .. ".tool_calls")
  elseif role == "tool" then
    mapped.tool_call_id = check.string(message.tool_call_id, path .. ".tool_call_id")
  end
  if message.content == nil and (mapped.tool_calls or message.refusal) then
    mapped.content = check.optional(check.string, message.refusal, path .. ".refusal") or ""
  else
    mapped.content = content_of(message, path .. ".content")
  end
  return mapped
end

--- The prompt messages for `messages` of a request.
return function(messages)
  local mapped = {}
  for i, message in ipairs(check.array(messages, "messages")) do
    mapped[i] = message_of(message, ("messages[%d]"):format(i - 1))
  end
  if #mapped == 0 then check.invalid_value("messages", "at least one message", messages) end
  return mapped
end
