--- What plugins see as `require "moonhook"`: names for what other modules do, loaded on first use.

local moonhook = {}

local exports = {
  Response = function() return require "moonhook.response" end,
  Error = function() return require "moonhook.error" end,
  abort = function() return require("moonhook.error").abort end,
  json = function() return require "moonhook.json" end,
  template = function() return require "moonhook.template" end,
  read = function() return require("moonhook.files").read end,
  log = function() return require "moonhook.log" end,
  sleep = function() return require("moonhook.clock").sleep end,
  time = function() return require("moonhook.clock").time end,
  equal = function() return require("host.bytes").equal end,
  base64 = function() return require("host.bytes").base64_encode end,
  base64_decode = function() return require("host.bytes").base64_decode end,
  pack_floats = function() return require("host.bytes").pack_floats end,
  random = function() return require("host.bytes").random end,
  uuid = function() return require("host.bytes").uuid end,
  sha256 = function() return require("host.bytes").sha256 end,
  hmac_sha256 = function() return require("host.bytes").hmac_sha256 end,
  hex = function() return require("host.bytes").hex end,
  pack = function() return require("moonhook.pack").pack end,
  unpack = function() return require("moonhook.pack").unpack end,
  crypto = function() return require "moonhook.crypto" end,
  verify = function() return require "moonhook.verify" end,
}

local function load(self, name)
  local export = exports[name]
  if not export then require("moonhook.strict").refuse("moonhook", name, exports) end
  local value = export()
  rawset(self, name, value)
  return value
end

return setmetatable(moonhook, { __index = load })
