-- How `local/demo` uses tools and response formats: which tool a text asks for, by its name or the
-- words of its description, and which schema an answer must keep to.
local Error = require "moonhook.error"
local embedding = require "moonhook.backend.embedding"
local json = require "host.json"

local tools = {}

local function stems(text)
  local set = {}
  for _, word in ipairs(embedding.words(text)) do set[(word:gsub("s$", ""))] = true end
  return set
end

-- Whether a text asks for a tool: its name stands there, a telling word of the name, or two of the
-- description.
local function is_asked_for(tool, text, text_stems)
  local spaced = tool.name:gsub("(%l)(%u)", "%1 %2"):gsub("[_%-.]+", " "):lower()
  local lowered = text:lower()
  if lowered:find(tool.name:lower(), 1, true) or lowered:find(spaced, 1, true) then return true end
  for stem in pairs(stems(spaced)) do
    if #stem >= 4 and text_stems[stem] then return true end
  end
  local shared = 0
  for stem in pairs(stems(tool.description or "")) do
    if #stem >= 3 and text_stems[stem] then shared = shared + 1 end
  end
  return shared >= 2
end

local function nearest(offered, text)
  local vector, best, best_score = embedding.embed(text), nil, -2
  for _, tool in ipairs(offered) do
    local about = embedding.embed(tool.name:gsub("[_%-]+", " ") .. " " .. (tool.description or ""))
    local score = embedding.similarity(vector, about)
    if score > best_score then best, best_score = tool, score end
  end
  return best
end

local function wanted_tools(request, text)
  local offered, choice = request.tools or {}, request.tool_choice or { mode = "auto" }
  if #offered == 0 or choice.mode == "none" then return {} end
  local wanted, text_stems = {}, stems(text)
  for _, tool in ipairs(offered) do
    local is_wanted = is_asked_for(tool, text, text_stems)
    if choice.mode == "tool" then is_wanted = tool.name == choice.name end
    if is_wanted then wanted[#wanted + 1] = tool end
  end
  if (request.completion_params or {}).parallel_tool_calls == false then wanted = { wanted[1] } end
  if #wanted == 0 and choice.mode == "tool" then
    error(Error.new("invalid_param", "tool_choice names a tool that is not among the tools"), 0)
  elseif #wanted == 0 and choice.mode == "required" then
    wanted[1] = nearest(offered, text)
  end
  return wanted
end

--- JSON that keeps to a schema, its values found in what the user wrote.
---@param free_text fun(): string  for members that hold text
function tools.fill(schema, talk, is_complete, free_text)
  return require("moonhook.backend.fill").json(schema, {
    text = talk.text,
    facts = talk.facts,
    free_text = free_text,
    is_complete = is_complete,
  })
end

--- The calls that the last user message asks for: a list of { id, name, arguments }, or nil.
function tools.calls(request, talk)
  local calls = {}
  for i, tool in ipairs(wanted_tools(request, talk.text)) do
    local arguments = "{}"
    if type(tool.parameters) == "table" and tool.parameters.properties then
      arguments = tools.fill(tool.parameters, talk, false, function() return talk.text end)
    end
    local hash = require("moonhook.backend.demo").hash
    local id = ("call_%08x%08x"):format(talk.seed, hash(tool.name .. i .. arguments))
    calls[i] = { id = id, name = tool.name, arguments = arguments }
  end
  return #calls > 0 and calls or nil
end

local ANY_OBJECT = {
  type = "object", properties = { answer = { type = "string" } }, required = { "answer" },
}

--- The schema that the answer must keep to, from OpenAI's response_format or Dify's two parameters.
---@return table? schema  nil: the answer is free text
function tools.response_schema(params)
  local format, schema = params.response_format, params.json_schema
  if type(format) == "table" then
    format, schema = format.type, format.json_schema
  end
  format = tostring(format or "text"):lower()
  if format == "json_object" or format == "json" then return ANY_OBJECT end
  if format ~= "json_schema" then return nil end
  if type(schema) == "string" then schema = json.decode(schema) end
  if type(schema) ~= "table" then
    error(Error.new("invalid_param", "response_format json_schema came without a schema"), 0)
  end
  return type(schema.schema) == "table" and schema.schema or schema
end

return tools
