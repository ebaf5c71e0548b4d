-- What a start finds as the one before it left it, and what it does when that is not so.
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local FILES = {
  ["plugins/keeps/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: keeps
plugins:
  endpoints:
    - settings:
        - { name: api_key, type: secret-input, required: true }
      endpoints:
        - { path: /length, method: GET, extra: { lua: { source: length.lua } } }
]],
  ["plugins/keeps/length.lua"] = [[
return function(self, request, values, settings) return "length " .. #settings.api_key end]],
}

local CONFIG = {
  plugins = { "plugins" },
  endpoints = { { plugin = "keeps", name = "here", settings = { api_key = "open sesame" } } },
}

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function snapshots(dir)
  return process.run { "sh", "-c", "ls -d data/plugins/*", cwd = dir }.stdout
end

describe("a start on the data of another", function()
  local dir

  local function visit(options)
    local server = host.start(options or { dir = dir })
    local reply = http.request { url = server:url "here" .. "/length" }
    server:stop(true)
    dir = server.dir
    return reply.body
  end

  before_each(function()
    assert.equal("length 11", visit { config = CONFIG, files = FILES })
  end)

  it("writes nothing into the databases when nothing has changed", function()
    local names, before = { "/data/registry.db", "/data/moonhook.db" }, {}
    for i, name in ipairs(names) do before[i] = read_file(dir .. name) end
    assert.equal("length 11", visit())
    for i, name in ipairs(names) do
      assert.is_true(before[i] == read_file(dir .. name), name .. " was written")
    end
  end)

  it("serves what was changed meanwhile", function()
    local path = dir .. "/plugins/keeps/length.lua"
    write_file(path, (read_file(path):gsub("length ", "%0of ", 1)))
    assert.equal("length of 11", visit())
  end)

  it("makes a copy of a plugin anew that was damaged", function()
    local before = snapshots(dir)
    local path = dir .. "/" .. before:match "%S+" .. "/length.lua"
    local text = read_file(path)
    write_file(path, (text:gsub("length ", "lEngth ", 1)))
    assert.equal("length 11", visit())
    assert.equal(before, snapshots(dir))
    assert.equal(text, read_file(path))
  end)
end)
