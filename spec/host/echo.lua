--- Starts the host with the plugin of spec/host/plugins/echo under /e/echo-hook.
local host = require "spec.support.host"

local echo = { hook = "echo-hook", prefix = "/e/echo-hook" }

local plugins = io.popen("pwd"):read "*l" .. "/spec/host/plugins"

--- `options.limits`: of the configuration; the rest is for host.start.
function echo.start(options)
  options = options or {}
  options.config = {
    plugins = { plugins },
    endpoints = { { plugin = "echo", hook_id = echo.hook } },
    limits = options.limits,
  }
  return host.start(options)
end

return echo
