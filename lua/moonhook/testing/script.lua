-- What a spec may put among the pieces of a fake's answer: things that happen, instead of words.
local script = {}

local Step = {}
Step.__index = Step

local function step(kind, fields)
  fields = fields or {}
  fields.step = kind
  return setmetatable(fields, Step)
end

--- Whether a value is one of these.
---@return string? kind
function script.kind(value)
  return getmetatable(value) == Step and value.step or nil
end

--- The next piece comes so many milliseconds later, on the spec's clock.
---@param delay_ms number
function script.wait(delay_ms)
  if type(delay_ms) ~= "number" or delay_ms < 0 then
    require("moonhook.error").blame("testing.wait: expected milliseconds, zero or more")
  end
  return step("wait", { delay_ms = delay_ms })
end

--- The connection breaks off here: the plugin gets an Error coded "upstream_truncated".
function script.cut()
  return step "cut"
end

--- Nothing more comes, and no end either: the plugin waits until somebody gives up.
function script.hang()
  return step "hang"
end

--- The upstream says that it failed: the plugin gets an Error coded "upstream_error", whose
--- `upstream_message` has these words.
---@param message string
function script.fail(message)
  return step("fail", { message = tostring(message) })
end

--- For `storage`: there is no room left; the plugin gets an Error coded "storage_full".
function script.full()
  return step "full"
end

--- Instead of an answer, an HTTP status: 404, 429, 500 ...
---@param status integer
---@param body? string|table  a table as JSON
---@param headers? table<string, string>
function script.refuse(status, body, headers)
  return step("refuse", { status = status, body = body or "", headers = headers or {} })
end

--- A workflow's run that ended well with these outputs; for app fakes.
---@param outputs table
function script.workflow(outputs)
  return step("workflow", { outputs = outputs or {} })
end

--- Answers for one call after the other: the first call gets the first, and so on.
function script.each(...)
  return step("each", { n = select("#", ...), at = 0, ... })
end

return script
