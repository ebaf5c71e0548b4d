--- What verbs print: what was asked for on stdout, talk on stderr.

local json = require "moonhook.json"
local tool = require "host.tool"
local failure = require "moonhook.cli.failure"

local output = {}

function output.say(format, ...)
  io.stderr:write(format:format(...), "\n")
end

--- A value as JSON, on one line.
function output.json(value)
  io.stdout:write(json.encode(value), "\n")
end

-- Characters, and nothing that a terminal would obey.
local function clean(value)
  if value == nil or value == json.null then return "-" end
  return (tostring(value):gsub("%c", "?"))
end

local function width(text)
  return #text:gsub("[\128-\191]", "")
end

--- Rows below a head, in columns.
---@param head string[]
---@param rows string[][]
function output.columns(head, rows)
  local all, widths = { head }, {}
  for _, row in ipairs(rows) do all[#all + 1] = row end
  for _, row in ipairs(all) do
    for i = 1, #head do widths[i] = math.max(widths[i] or 0, width(clean(row[i]))) end
  end
  for _, row in ipairs(all) do
    local parts = {}
    for i = 1, #head do
      local text = clean(row[i])
      parts[i] = i == #head and text or text .. (" "):rep(widths[i] - width(text))
    end
    io.stdout:write((table.concat(parts, "  "):gsub("%s+$", "")), "\n")
  end
end

--- Asks on a terminal; without one, `--yes` must have been given.
---@param input CliInput
function output.confirm(input, format, ...)
  if input.flags["--yes"] then return end
  if not (tool.is_terminal(0) and tool.is_terminal(2)) then
    failure.usage("nobody can be asked here: say --yes")
  end
  io.stderr:write(format:format(...), " [y/N] ")
  local answer = io.stdin:read "*l"
  if not (answer and answer:find "^[yY]") then failure.raise("nothing was changed") end
end

return output
