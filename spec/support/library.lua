--- The Lua library outside of the host: `require` finds lua/moonhook/** and the C modules host.*.
--- host.json, bytes, crypto and pattern are the real ones (build/spec/host_modules.so); the others
--- are fakes that a spec fills in.
---
---   local library = require "spec.support.library"
---   library.files["page.html"] = "<p>{{ name }}</p>"            -- what host.package reads
---   local request = library.request { method = "POST", body = "{}",
---                                     headers = { { "Content-Type", "application/json" } } }
---   library.fake("host.store", { ... })                          -- any other C module
local MODULES = os.getenv "MOONHOOK_SPEC_MODULES" or "build/spec/host_modules.so"

local library = {
  files = {}, -- [path] = bytes
  log = {},   -- { level, message, fields } as written
  waits = {}, -- what the next waits give, as functions
  now = 1700000000.25,
}

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path

local function open(name)
  local opener, message = package.loadlib(MODULES, "luaopen_" .. name:gsub("%.", "_"))
  if not opener then error(message .. " (run `make " .. MODULES .. "`)", 0) end
  return opener()
end

--- Makes `require(name)` give this module.
function library.fake(name, module)
  package.loaded[name] = module
  return module
end

--- Forgets the library's loaded modules, so that the next require runs them again. Returns what was
--- forgotten, for library.restore.
function library.reload()
  local kept = {}
  for name, module in pairs(package.loaded) do
    if name == "moonhook" or name:find "^moonhook%." then kept[name] = module end
  end
  for name in pairs(kept) do package.loaded[name] = nil end
  return kept
end

function library.restore(kept)
  library.reload()
  for name, module in pairs(kept) do package.loaded[name] = module end
end

-- Each spec file loads the library afresh, and the sandbox locks the metatable that strings share.
local string_meta = debug.getmetatable ""
string_meta.__metatable, string_meta.__index = nil, string

if not package.loaded["host.json"] then
  library.fake("host.json", open "host.json")
  library.fake("host.bytes", open "host.bytes")
  library.fake("host.crypto", open "host.crypto")
  library.fake("host.pattern", open "host.pattern")
end

-- Light userdata are what the host's marks are; any unique value does.
library.fake("host.task", {
  WAIT = setmetatable({}, { __tostring = function() return "WAIT" end }),
  DONE = {},
  BAD = {},
  note = function() end,
  check_stack = function() end,
  format = string.format,
  count = function() return true end,
  is_cancelled = function() return false end,
})

library.fake("host.fast_paths", { are_on = os.getenv "MOONHOOK_FAST_PATHS" ~= "off" })

library.fake("host.package", {
  read = function(path)
    local bytes = library.files[path]
    if bytes then return bytes end
    return nil, path .. ": no such file"
  end,
})

library.fake("host.library", {
  read = function(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read "*a"
    file:close()
    return text
  end,
  list = function(prefix)
    local paths = {}
    local listing = io.popen(("find '%s' -type f | sort"):format(prefix))
    for path in listing:lines() do paths[#paths + 1] = path end
    listing:close()
    return paths
  end,
})

library.fake("host.log", {
  write = function(level, message, fields)
    library.log[#library.log + 1] = { level, message, fields }
  end,
})

library.fake("host.clock", { now = function() return library.now end })

library.fake("host.timer", {
  start = function(delay_ms)
    library.slept_ms = (library.slept_ms or 0) + delay_ms
    return true
  end,
})

-- --- host.http -----------------------------------------------------------------------------------

local function flat(pairs_list)
  local list = {}
  for _, pair in ipairs(pairs_list or {}) do
    list[#list + 1] = pair[1]
    list[#list + 1] = pair[2]
  end
  return list
end

local http = {}

function http.field(handle, name)
  if handle.is_closed then return nil, "closed" end
  return handle[name]
end

function http.header(handle, name)
  if handle.is_closed then return nil, "closed" end
  for _, pair in ipairs(handle.headers or {}) do
    if pair[1]:lower() == name:lower() then return pair[2] end
  end
end

function http.headers(handle)
  if handle.is_closed then return nil, "closed" end
  return flat(handle.headers)
end

function http.args(handle)
  if handle.is_closed then return nil, "closed" end
  return flat(handle.args)
end

function http.body(handle)
  if handle.is_closed then return nil, "closed" end
  return handle.body or ""
end

function http.json(handle)
  if handle.is_closed then return nil, "closed" end
  local text = (handle.body or ""):gsub("^\239\187\191", "")
  local value, message = require("host.json").decode_plain(text)
  if message then return nil, 400, "bad_request", "the body is not JSON: " .. message end
  return value
end

function http.form(handle)
  if handle.is_closed then return nil, "closed" end
  if handle.form_error then return nil, handle.form_error end
  return flat(handle.form), handle.files or {}
end

function http.reply(handle, status, headers, body)
  if handle.reply then return nil, "the request has its reply already" end
  handle.reply = { status = status, headers = headers, body = body }
  return true
end

function http.begin(handle, status, headers, mode, length)
  if handle.reply then return nil, "the request has its reply already" end
  handle.reply = { status = status, headers = headers, mode = mode, length = length, pieces = {} }
  return true
end

library.fake("host.http", http)

--- A handle as the host gives it; `headers`, `args`, `form` are lists of { name, value }.
function library.handle(fields)
  local handle = {
    method = "GET", path = "/", raw_target = "/e/hook/", host = "t", remote_addr = "127.0.0.1",
    id = "request-1", hook_id = "hook", hook_url = "http://t/e/hook", url = "http://t/e/hook/",
    scheme = "http",
  }
  for name, value in pairs(fields or {}) do handle[name] = value end
  return handle
end

--- A Request over such a handle, and the handle.
function library.request(fields)
  local handle = library.handle(fields)
  return require("moonhook.request").new(handle), handle
end

return library
