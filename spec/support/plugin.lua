--- A plugin's handlers without the host: its files are found as the host finds them, and the
--- session is the spec's own.
---
---   local plugin = require("spec.support.plugin").load "plugins/openai_models"
---   local reply = plugin.call("endpoints/llm.lua", { session = ..., settings = ..., json = ... })
---   reply.status, reply.headers["content-type"], reply.pieces, reply.raised
local library = require "spec.support.library"

local plugin = {}

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- What the handlers of one package see: their own modules, each run once, and moonhook's.
local function package_of(dir)
  local loaded = {}
  local environment = setmetatable({}, { __index = _G })
  function environment.require(name)
    if name == "moonhook" or name:find "^moonhook%." then return require(name) end
    local path = name:gsub("%.lua$", ""):gsub("%.", "/") .. ".lua"
    if loaded[path] == nil then
      local chunk = assert(loadstring(read_file(dir .. "/" .. path), "@" .. dir .. "/" .. path))
      loaded[path] = setfenv(chunk, environment)()
    end
    return loaded[path]
  end
  return environment.require
end

local function collect(reply, response)
  local generator = coroutine.create(response._body)
  while true do
    local ok, piece = coroutine.resume(generator)
    if not ok then
      reply.raised = piece
      return
    elseif coroutine.status(generator) == "dead" then
      return
    end
    reply.pieces[#reply.pieces + 1] = piece
  end
end

--- Loads a package: { call(source, options) }.
function plugin.load(dir)
  local require_file = package_of(dir)
  local loaded = {}
  library.files = setmetatable({}, { -- what moonhook.read and moonhook.template find
    __index = function(_, path) return read_file(dir .. "/" .. path) end,
  })

  --- Runs a handler. options: session, settings, values, headers, json or body, method.
  function loaded.call(source, options)
    local body = options.body or options.json and require("moonhook.json").encode(options.json)
    local request = library.request {
      method = options.method or body and "POST" or "GET", body = body, headers = options.headers,
    }
    local handler = require_file(source)
    local self = setmetatable({ session = options.session }, { __index = handler })
    local response = handler.invoke(self, request, options.values or {}, options.settings or {})
    local reply = { status = response._status, headers = {}, pieces = {} }
    for i = 1, #response._headers, 2 do
      reply.headers[response._headers[i]:lower()] = response._headers[i + 1]
    end
    if type(response._body) == "function" then
      collect(reply, response)
      reply.body = table.concat(reply.pieces)
    else
      reply.body = response._body
    end
    return reply
  end

  return loaded
end

return plugin
