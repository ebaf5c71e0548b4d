-- A plugin under test, as a spec holds it.
local Error = require "moonhook.error"
local Reply = require "moonhook.testing.reply"
local json = require "host.json"
local loop = require "moonhook.testing.loop"
local message = require "moonhook.testing.message"
local place = require "moonhook.testing.place"
local storage = require "moonhook.testing.storage"
local testbed = require "host.testbed"

---@class TestPlugin
---@field calls TestCall[]  what it called, in order
---@field url string  "http://moonhook.test/e/test", which paths are appended to
local TestPlugin = {}

-- A misspelt method shall not be nil, and called.
function TestPlugin.__index(_, name)
  local member = TestPlugin[name]
  if member ~= nil or type(name) ~= "string" or name:sub(1, 1) == "_" then return member end
  local known = { calls = true, storage = true, url = true }
  for method in pairs(TestPlugin) do known[method] = true end
  known.open_replies = nil
  require("moonhook.strict").refuse("a plugin", name, known)
end

local open_replies = {} -- of all plugins, in order

--- The replies that nobody has read to their end; forgets those that are over.
function TestPlugin.open_replies()
  local still = {}
  for _, reply in ipairs(open_replies) do
    if not Reply.is_over(reply) then still[#still + 1] = reply end
  end
  open_replies = still
  return still
end

local function check_self(self, name)
  if type(self) ~= "table" or getmetatable(self) ~= TestPlugin then
    Error.blame(("%s: called with '.', expected plugin:%s(...)"):format(name, name))
  end
end

--- Sends a request and waits for the head of its reply.
---@param options TestRequest
---@return TestReply
function TestPlugin:request(options)
  check_self(self, "request")
  if type(options) ~= "table" or type(options.path) ~= "string"
    or options.path:sub(1, 1) ~= "/" then
    Error.blame "request: expected { path = \"/...\", ... }"
  end
  local bytes, method = message.format("/e/" .. self._hook_id .. options.path, options)
  local title = method .. " " .. options.path
  local reply = Reply.open(self._port, bytes, method, title, place.of_caller())
  open_replies[#open_replies + 1] = reply
  return reply
end

local function shorthand(name, method)
  TestPlugin[name] = function(self, path, options)
    check_self(self, name)
    if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
      Error.blame(("%s: expected a path that begins with '/', got %s"):format(name,
        type(path) == "string" and ("%q"):format(path) or "a " .. type(path)))
    end
    local all = { method = method, path = path }
    for key, value in pairs(options or {}) do all[key] = value end
    return self:request(all)
  end
end

shorthand("get", "GET")
shorthand("post", "POST")
shorthand("put", "PUT")
shorthand("patch", "PATCH")
shorthand("delete", "DELETE")
shorthand("head", "HEAD")

--- Lets so many milliseconds pass on the clock: what is due in them happens.
---@param delay_ms number
function TestPlugin:advance(delay_ms)
  check_self(self, "advance")
  if type(delay_ms) ~= "number" or delay_ms < 0 then
    Error.blame "advance: expected milliseconds, zero or more"
  end
  loop.advance(delay_ms)
end

--- The calls of one kind: "app", "llm", "tool", "http" ...
---@param kind string
---@return TestCall[]
function TestPlugin:calls_of(kind)
  check_self(self, "calls_of")
  local found = {}
  for _, call in ipairs(self.calls) do
    if call.kind == kind then found[#found + 1] = call end
  end
  return found
end

--- Plays the world differently from here on: the same fields as testing.load's; `storage` is what
--- befalls the calls of it: true, testing.fail(), testing.full(), testing.wait(ms), testing.each.
---@param fakes table
function TestPlugin:play(fakes)
  check_self(self, "play")
  for name, fake in pairs(fakes) do
    if name == "storage" then
      storage.play(self._id, fake)
    elseif not self._known[name] then
      Error.blame(("play: unknown field `%s`%s"):format(tostring(name),
        self._known.nearest(tostring(name))))
    else
      self._fakes[name] = fake
    end
  end
end

--- Serves a changed version from here on, as a save does: the plugin's folder as it is now, with
--- the texts of `files` in it. Requests that are being answered go on with the version they began
--- with. A version that does not load changes nothing: nil, and what is wrong with it.
---@param files? table<string, string>  by their paths in the package
---@return true? is_loaded, string? problems
function TestPlugin:reload(files)
  check_self(self, "reload")
  local names, texts = {}, {}
  for name, text in pairs(files or {}) do
    if type(name) ~= "string" or type(text) ~= "string" then
      Error.blame 'reload: expected { ["file.lua"] = "its text" }'
    end
    names[#names + 1], texts[#texts + 1] = name, text
  end
  return testbed.reload(self._id, names, texts)
end

--- What it wrote to the log, as { level, msg, ... }; also what the host wrote about it.
---@return table[]
function TestPlugin:log()
  check_self(self, "log")
  local records = {}
  for line in testbed.log(self._log_from):gmatch "[^\n]+" do
    local record = json.decode_plain(line)
    if record and record.plugin == self._name then records[#records + 1] = record end
  end
  return records
end

--- Ends it before the spec does.
function TestPlugin:close()
  check_self(self, "close")
  testbed.close(self._id)
end

return TestPlugin
