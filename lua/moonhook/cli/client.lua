--- The admin API of a running host, asked from the command line.

local json = require "moonhook.json"
local tool = require "host.tool"
local failure = require "moonhook.cli.failure"

local TIMEOUT_MS = 20000 -- below what a locked address is told to wait
local PAGE = 200

local client = {}

---@class CliAdmin
---@field url string  "http://127.0.0.1:8081"
---@field key_file string

---@class CliClient
local Client = {}
Client.__index = Client

---@param admin CliAdmin
---@return CliClient
function client.new(admin)
  local file, why = io.open(admin.key_file, "rb")
  if not file then
    failure.raise("the admin key cannot be read: %s; a host makes it at its first start", why)
  end
  local key = file:read "*a" or ""
  file:close()
  return setmetatable({ url = admin.url .. "/api/v1", base = admin.url, key_file = admin.key_file,
    key = key:match "^%s*(.-)%s*$" }, Client)
end

local function decode(text)
  local ok, value = pcall(json.decode, text)
  return ok and type(value) == "table" and value or {}
end

-- What the answer says that went wrong, a line for each field.
local function explain(self, status, body)
  local problem = decode(body).error
  if status == 401 then
    return ("the host refuses the key in %s: is it the key of another host?"):format(self.key_file)
  elseif type(problem) ~= "table" then
    return ("%s answered with %d, and not as a host of ours does"):format(self.base, status)
  end
  local lines = { problem.message }
  for _, field in ipairs(problem.fields or {}) do
    lines[#lines + 1] = ("  %s: %s"):format(field.field, field.message)
  end
  return table.concat(lines, "\n")
end

--- One call. `path` is behind /api/v1.
---@param body? table
---@return integer status
---@return string body
function Client:call(method, path, body)
  local headers = { "Authorization", "Bearer " .. self.key, "Accept", "application/json" }
  if body then
    headers[#headers + 1] = "Content-Type"
    headers[#headers + 1] = "application/json"
  end
  local status, answer = tool.call(method, self.url .. path, headers,
    body and json.encode(body) or "", TIMEOUT_MS)
  if not status then
    failure.raise("no host answers at %s (%s); is it running, is it that address (--admin)?",
      self.base, answer)
  end
  return status, answer
end

--- The decoded answer of a call that must succeed. nil: it has no body.
---@return any
function Client:ask(method, path, body)
  local status, answer = self:call(method, path, body)
  if status == 404 and (path:find "^/endpoints%?" or path == "/plugins") then
    failure.raise("%s is no admin listener: say which is with --admin", self.base)
  end
  if status >= 300 then failure.raise("%s", explain(self, status, answer)) end
  if answer == "" then return nil end
  return decode(answer)
end

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end
client.escape = escape

--- Goes through all endpoints, page by page.
---@param plugin? string  only those of this plugin
---@return fun(): table?
function Client:endpoints(plugin)
  local page, index, cursor = {}, 0, nil
  local is_last = false
  return function()
    index = index + 1
    while not page[index] and not is_last do
      local answer = self:ask("GET", ("/endpoints?limit=%d%s%s"):format(PAGE,
        cursor and "&cursor=" .. escape(cursor) or "",
        plugin and "&plugin=" .. escape(plugin):gsub("%%2F", "/") or ""))
      page, index, cursor = answer.endpoints, 1, answer.next_cursor
      is_last = cursor == nil or cursor == json.null
    end
    return page[index]
  end
end

--- The endpoint that an operator means: by its id, its hook id, its name, or plugin/name.
---@return table
function Client:endpoint(word)
  if word:find "^[%w_%-]+$" then
    local status, answer = self:call("GET", "/endpoints/" .. escape(word))
    if status == 200 then return decode(answer) end
    if status == 401 or status == 429 then failure.raise("%s", explain(self, status, answer)) end
  end
  local found, names = {}, {}
  for endpoint in self:endpoints() do
    local short = endpoint.plugin:match "/(.*)$" or endpoint.plugin
    if endpoint.id == word or endpoint.hook_id == word then return endpoint end
    if endpoint.name == word or endpoint.plugin .. "/" .. endpoint.name == word
        or short .. "/" .. endpoint.name == word then
      found[#found + 1] = endpoint
    end
    names[#names + 1] = endpoint.name
  end
  if #found == 1 then return found[1] end
  if #found > 1 then
    local ids = {}
    for i, endpoint in ipairs(found) do
      ids[i] = ("  %s  %s"):format(endpoint.id, endpoint.plugin)
    end
    failure.raise("several endpoints are called '%s', say which by its id:\n%s", word,
      table.concat(ids, "\n"))
  end
  local near = tool.nearest(word, names)
  failure.raise("there is no endpoint '%s'%s; see: moonhook endpoint list", word,
    near and (", did you mean '%s'?"):format(near) or "")
end

--- The plugin that an operator means: author/name, or its name.
---@return table
function Client:plugin(word)
  local found, names = {}, {}
  for _, plugin in ipairs(self:ask("GET", "/plugins").plugins) do
    local is_it = plugin.id == word or plugin.name == word
    if is_it then found[#found + 1] = plugin end
    names[#names + 1] = plugin.name
    if plugin.id ~= json.null then names[#names + 1] = plugin.id end
  end
  if #found == 1 then return found[1] end
  if #found > 1 then
    failure.raise("several plugins are called '%s', say which by author/name", word)
  end
  local near = tool.nearest(word, names)
  failure.raise("there is no plugin '%s'%s; see: moonhook plugin list", word,
    near and (", did you mean '%s'?"):format(near) or "")
end

return client
