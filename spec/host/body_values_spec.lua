-- A client's JSON: it may cost the client its request, never the plugin its state or its turn.
local cjson = require "cjson"
local host_support = require "spec.support.host"

local FILES = {
  ["plugins/reader/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: reader
limits: { cpu_ms: 30 }
plugins:
  endpoints:
    - endpoints:
        - { path: /count, method: POST, extra: { lua: { source: count.lua } } }
        - { path: /again, method: POST, extra: { lua: { source: again.lua } } }
        - { path: "/deep/<int:depth>", method: POST, extra: { lua: { source: deep.lua } } }
        - { path: /keep, method: POST, extra: { lua: { source: keep.lua } } }
]],
  ["plugins/reader/count.lua"] = [[
return function(_, request) return tostring(#request:get_json "array") end]],
  ["plugins/reader/again.lua"] = [[
return function(_, request)
  while true do request:get_json { silent = true } end
end]],
  ["plugins/reader/deep.lua"] = [[
local function down(depth, fn)
  if depth > 0 then return (down(depth - 1, fn)) end
  return (fn())
end
return function(_, request, values)
  local is_read, read = pcall(down, values.depth, function() return request:get_json "array" end)
  while request.args.goes_on do end
  return is_read and type(read) == "table" and "read" or "raised"
end]],
  ["plugins/reader/keep.lua"] = [[
local kept = {}
return function(_, request)
  kept[#kept + 1] = request:get_json()
  return "kept"
end]],
}

local function list(number, item)
  return "[" .. (item .. ","):rep(number - 1) .. item .. "]"
end

describe("a body of JSON", function()
  local server

  local function start(limits)
    limits.stuck_ms = 20000 -- other specs may run beside this one
    server = host_support.start {
      files = FILES,
      config = { plugins = { "plugins" }, limits = limits,
        endpoints = { { plugin = "reader", hook_id = "reader" } } },
      workers = 1,
    }
  end

  after_each(function() server:stop() end)

  local function post(path, json)
    return server:request { target = "/e/reader" .. path, json = json, seconds = 30 }
  end

  local function assert_unharmed()
    assert.equal("2", post("/count", "[1,2]").body)
    for _, record in ipairs(server:records()) do
      assert.not_equal("plugin failed", record.msg, record.error)
      assert.not_equal("plugin state replaced", record.msg)
    end
  end

  it("is refused where it has more values than plugin_json_values", function()
    start { plugin_json_values = 4 }
    assert.equal("3", post("/count", "[1,2,[3]]").body)
    for _, json in ipairs { "[1,2,3,4,5]", '[{"a":1},[2,3]]', "[[],[],[],[],[]]" } do
      local reply = post("/count", json)
      local told = cjson.decode(reply.body).error
      assert.same({ 413, "payload_too_large", "the body has more than 4 values" },
        { reply.status, told.code, told.message })
    end
    assert_unharmed()
  end)

  it("of millions of values is refused, and the plugin goes on in its state", function()
    start {}
    for _, item in ipairs { "1", "[]", '{"a":1}' } do
      assert.equal(413, post("/count", list(math.floor(9.8e6 / (#item + 1)), item)).status)
    end
    assert_unharmed()
  end)

  it("is decoded in time that is not the plugin's", function()
    start {}
    -- Numbers of many digits take long to read: some 60 ms for all.
    local json = list(80000, "1.23456789012345678901234567890123456e-290")
    assert.equal("80000", post("/count", json).body)
    assert_unharmed()
  end)

  it("is decoded once in such time: code that goes on and on is stopped", function()
    start {}
    local reply = post("/again", list(20000, "1") .. "x" .. (" "):rep(1e6))
    assert.same({ 500, "plugin_cpu_limit" },
      { reply.status, cjson.decode(reply.body).error.code })
  end)

  it("that does not fit beside what the plugin has is refused for now", function()
    start { plugin_memory_bytes = 16 * 1024 * 1024 }
    local json, kept = list(90000, "[]"), 0 -- some 6.5 MB
    local reply = post("/keep", json)
    while reply.status == 200 and kept < 5 do
      kept = kept + 1
      reply = post("/keep", json)
    end
    assert.is_true(kept >= 1, kept)
    assert.same({ 503, "plugin_memory_limit" },
      { reply.status, cjson.decode(reply.body).error.code })
    assert.is_string(reply.headers["retry-after"])
    assert_unharmed()
  end)

  it("that raises while it is decoded leaves the code no more time than it has", function()
    start {}
    local json = ("["):rep(100) .. '"' .. ("x"):rep(70000) .. '"' .. ("]"):rep(100)
    local fits, raises = 0, 65536
    while raises - fits > 1 do
      local depth = math.floor((fits + raises) / 2)
      if post("/deep/" .. depth, json).body == "read" then fits = depth else raises = depth end
    end
    assert.is_true(fits > 0)
    local reply = post("/deep/" .. raises .. "?goes_on=1", json)
    assert.same({ 500, "plugin_cpu_limit" },
      { reply.status, cjson.decode(reply.body).error.code })
  end)
end)
