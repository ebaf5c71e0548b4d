-- A body of POST /v1/chat/completions as the arguments of session.model.llm:invoke. A parameter
-- that cannot be carried to the model is refused, never dropped.
local check = require "lib.check"
local messages_of = require "lib.messages"

local check_format = check.one_of("text", "json_object", "json_schema")

local function response_format(format, path)
  if check_format(check.object(format, path).type, path .. ".type") == "json_schema" then
    local schema = check.object(format.json_schema, path .. ".json_schema")
    check.string(schema.name, path .. ".json_schema.name")
    check.object(schema.schema, path .. ".json_schema.schema")
  end
  return format
end

-- Carried in completion_params, over those of the model's setting.
local CARRIED = {
  temperature = check.number(0, 2),
  top_p = check.number(0, 1),
  presence_penalty = check.number(-2, 2),
  frequency_penalty = check.number(-2, 2),
  max_tokens = check.integer(1),
  max_completion_tokens = check.integer(1),
  seed = check.integer(),
  logit_bias = check.object,
  reasoning_effort = check.string,
  verbosity = check.one_of("low", "medium", "high"),
  parallel_tool_calls = check.boolean,
  response_format = response_format,
  user = check.string,
  safety_identifier = check.string,
  prompt_cache_key = check.string,
}

-- Read by the functions below.
local READ = {
  model = true, messages = true, stop = true, stream = true, stream_options = true, tools = true,
  tool_choice = true,
}

-- Only as the default, which asks for nothing.
local DEFAULTS = {
  n = function(value) return value == 1 end,
  logprobs = function(value) return value == false end,
  top_logprobs = function(value) return value == 0 end,
  store = function(value) return value == false end,
  service_tier = function(value) return value == "auto" or value == "default" end,
  modalities = function(value)
    return type(value) == "table" and #value == 1 and value[1] == "text"
  end,
}

local function check_names(body)
  for name, value in pairs(body) do
    if DEFAULTS[name] then
      if not DEFAULTS[name](value) then
        check.unsupported(name, ("Unsupported value for '%s': only the default is."):format(name))
      end
    elseif not CARRIED[name] and not READ[name] then
      check.unsupported(tostring(name))
    end
  end
end

local function completion_params(defaults, body)
  local params = {}
  for name, value in pairs(defaults or {}) do params[name] = value end
  if body.max_tokens and body.max_completion_tokens then
    check.unsupported("max_tokens", "Set 'max_completion_tokens' or 'max_tokens', not both.")
  elseif body.max_tokens or body.max_completion_tokens then
    params.max_tokens, params.max_completion_tokens = nil, nil
  end
  if body.stop ~= nil then params.stop = nil end
  for name, test in pairs(CARRIED) do
    if body[name] ~= nil then params[name] = test(body[name], name) end
  end
  return params
end

local function stop_of(stop)
  if stop == nil then return nil end
  if type(stop) == "string" then return { stop } end
  for i, text in ipairs(check.array(stop, "stop", "a string or an array of strings")) do
    check.string(text, ("stop[%d]"):format(i - 1))
  end
  if #stop > 4 then check.invalid_value("stop", "at most 4 strings", stop) end
  return #stop > 0 and stop or nil
end

local FUNCTION_MEMBERS = { name = true, description = true, parameters = true, strict = true }

-- What stands in a tool's `function`, which is Dify's tool with `strict` added.
local function function_of(target, path)
  check.members(check.object(target, path), path, FUNCTION_MEMBERS)
  local name = check.string(target.name, path .. ".name")
  if not name:match "^[%w_-]+$" or #name > 64 then
    check.invalid_value(path .. ".name", "1 to 64 of a-z, A-Z, 0-9, _ and -", name)
  end
  return {
    name = name,
    description = check.optional(check.string, target.description, path .. ".description") or "",
    parameters = check.optional(check.object, target.parameters, path .. ".parameters")
      or { type = "object", properties = {} },
    strict = check.optional(check.boolean, target.strict, path .. ".strict"),
  }
end

local function tools_of(tools)
  local mapped = {}
  for i, tool in ipairs(check.optional(check.array, tools, "tools") or {}) do
    local at = ("tools[%d]"):format(i - 1)
    if check.object(tool, at).type ~= "function" then
      check.unsupported(at .. ".type", "Only tools of type 'function' are supported.")
    end
    check.members(tool, at, { type = true, ["function"] = true })
    mapped[i] = function_of(tool["function"], at .. ".function")
  end
  return #mapped > 0 and mapped or nil
end

local check_mode = check.one_of("none", "auto", "required")

local function tool_choice_of(choice, tools)
  if choice == nil then return nil end
  local mapped
  if type(choice) == "string" then
    mapped = { mode = check_mode(choice, "tool_choice") }
  elseif check.object(choice, "tool_choice").type ~= "function" then
    check.unsupported("tool_choice.type")
  else
    local target = check.object(choice["function"], "tool_choice.function")
    mapped = { mode = "tool", name = check.string(target.name, "tool_choice.function.name") }
  end
  for _, tool in ipairs(tools or {}) do
    if mapped.mode ~= "tool" or tool.name == mapped.name then return mapped end
  end
  if not tools and (mapped.mode == "none" or mapped.mode == "auto") then return nil end
  check.invalid_value("tool_choice", "a choice among the given tools", choice)
end

local chat_request = {}

--- What the client wants of the reply, not of the model.
---@return boolean is_streaming, boolean with_usage
function chat_request.delivery(body)
  local is_streaming = check.optional(check.boolean, body.stream, "stream") or false
  local options, path = body.stream_options, "stream_options"
  if options == nil then return is_streaming, false end
  if not is_streaming then
    check.unsupported(path, "'stream_options' is only allowed when 'stream' is true.")
  end
  check.members(check.object(options, path), path,
    { include_usage = true, include_obfuscation = options.include_obfuscation == false })
  local with_usage = check.optional(check.boolean, options.include_usage, path .. ".include_usage")
  return true, with_usage or false
end

--- The arguments of session.model.llm:invoke.
---@param model table  a model selector: { provider, model, completion_params? }
function chat_request.call(body, model)
  check_names(body)
  local tools = tools_of(body.tools)
  if body.parallel_tool_calls ~= nil and not tools then
    check.unsupported("parallel_tool_calls", "'parallel_tool_calls' needs 'tools'.")
  end
  return {
    model_config = {
      provider = model.provider, model = model.model, mode = model.mode,
      completion_params = completion_params(model.completion_params, body),
    },
    prompt_messages = messages_of(body.messages),
    tools = tools,
    tool_choice = tool_choice_of(body.tool_choice, tools),
    stop = stop_of(body.stop),
  }
end

return chat_request
