--- Steady load on one address of the host, while a spec disturbs it:
---
---   local load = load_on.start(server:url "echo" .. "/calls", { rate = 500 })
---   ...
---   local sum = load:stop() -- { sent, ok, failed, refused, bodies, errors, longest_ms }
local cjson = require "cjson"
local process = require "spec.support.process"

local load_on = {}
local Load = {}
Load.__index = Load

--- Waits for the first good reply.
---@param options? { rate?: integer, connections?: integer }  500 requests/s over 32 connections
function load_on.start(url, options)
  options = options or {}
  local self = setmetatable({}, Load)
  self.process = process.start { "node", "spec/support/load.mjs", url,
    tostring(options.rate or 500), tostring(options.connections or 32) }
  self.process:wait_for("stdout", "ready\n", 10)
  return self
end

--- Ends it; what came of it.
function Load:stop()
  self.process:kill "TERM"
  local text = self.process:wait_for("stdout", "({.*})\n", 15)
  self.process:wait(5)
  return cjson.decode(text)
end

return load_on
