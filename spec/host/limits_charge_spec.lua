-- Runs with both LuaJITs. What the host keeps for a plugin outside of its Lua state counts as the
-- plugin's memory: request bodies, replies that nobody reads, answers of upstreams, JSON.
local cjson = require "cjson"
local fake_model = require "spec.support.fake_model"
local host_support = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"
local relay = require "spec.support.relay"

local MIB = 1024 * 1024

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: keeper
resource: { permission: { network: { enabled: true } } }
limits: { memory: %d MiB, cpu_ms: 5000 }
plugins:
  endpoints:
    - endpoints:
        - { path: /hold, method: POST, extra: { lua: { source: hold.lua } } }
        - { path: /release, method: GET, extra: { lua: { source: release.lua } } }
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
]]

-- Takes 11 of 16 MiB; there is no room for the first of the two again.
local FILL = [[
  local full = { moonhook.read "seven.bin", moonhook.read "four.bin" }
]]

local FILES = {
  ["plugins/keeper/kept.lua"] = "return {}",
  ["plugins/keeper/seven.bin"] = ("7"):rep(7 * MIB),
  ["plugins/keeper/four.bin"] = ("4"):rep(4 * MIB),
  -- Does not look at its body.
  ["plugins/keeper/hold.lua"] = [[
local moonhook, kept = require "moonhook", require "kept"
return function(self)
  kept.released = false
  return moonhook.Response(function()
    coroutine.yield("held;")
    while not kept.released do self.session:sleep(5) end
    coroutine.yield("end")
  end)
end]],
  ["plugins/keeper/release.lua"] = [[
local kept = require "kept"
return function() kept.released = true return "released" end]],
  ["plugins/keeper/run.lua"] = [[
local moonhook, kept = require "moonhook", require "kept"
return function(self, request)
  local code = assert(load("local kept, session, moonhook = ...\n" .. request:get_data(), "=x"))
  local result = code(kept, self.session, moonhook)
  if moonhook.Response.is(result) then return result end
  return tostring(result)
end]],
}

describe("a plugin's memory has in it", function()
  local server

  local function start(mib)
    local files = { ["plugins/keeper/manifest.yaml"] = MANIFEST:format(mib) }
    for path, text in pairs(FILES) do files[path] = text end
    server = host_support.start { files = files, workers = 1, config = {
      plugins = { "plugins" }, http = { allow = { "127.0.0.1" } },
      limits = { plugin_cpu_ms = 5000, stuck_ms = 30000 },
      endpoints = { { plugin = "keeper", hook_id = "keeper" } },
    } }
  end

  after_each(function() server:stop() end) -- asserts that the account comes to zero

  local function ask(target, body)
    return { target = "/e/keeper" .. target, body = body, seconds = 20 }
  end

  local function code_of(reply)
    local ok, body = pcall(cjson.decode, reply.body)
    return ok and type(body) == "table" and body.error and body.error.code or reply.body:sub(1, 200)
  end

  local function count_replaced()
    local count = 0
    for _, record in ipairs(server:records()) do
      if record.msg == "plugin state replaced" then count = count + 1 end
    end
    return count
  end

  it("the bodies of its requests, while they last", function()
    start(16)
    local body = ("b"):rep(3 * MIB)
    for _ = 1, 2 do -- what was released is there again
      local held, refused = {}, nil
      for _ = 1, 10 do
        local reply = server:open(ask("/hold", body))
        if reply.status ~= 200 then
          refused = reply
          break
        end
        assert.equal("held;", reply:next_piece(10))
        held[#held + 1] = reply
      end
      assert.is_true(#held >= 3 and #held <= 5, #held)
      assert.equal(503, refused.status)
      assert.equal("1", refused.headers["retry-after"])
      assert.matches("plugin_memory_limit", refused:read_body(), 1, true)
      assert.equal("released", server:request({ target = "/e/keeper/release" }).body)
      for _, reply in ipairs(held) do
        assert.equal("end", reply:read_body())
        reply:close()
      end
    end
    assert.equal(0, count_replaced()) -- nobody was killed for it
  end)

  it("no body that is larger than all of it", function()
    start(4)
    local reply = server:request(ask("/hold", ("b"):rep(5 * MIB)))
    assert.same({ 413, "body_too_large" }, { reply.status, code_of(reply) })
  end)

  local function open_deaf(code)
    local connection = server:connect { receive_buffer = 2048 }
    assert(connection:send(http.format(ask("/run", code)), 5))
    return connection
  end

  it("the replies that nobody reads", function()
    start(32)
    local deaf = {}
    local code = "return ('x'):rep(7 * 2 ^ 20)"
    local from = #server:log()
    process.eventually(function()
      deaf[#deaf + 1] = open_deaf(code)
      return server:find_record({ msg = "plugin failed", code = "plugin_memory_limit" }, from)
    end, 20, "a reply that does not fit")
    assert.is_true(#deaf > 2, #deaf)
    local record = server:find_record({ msg = "plugin failed", code = "plugin_memory_limit" }, from)
    assert.matches("does not fit into the plugin's memory", record.error, 1, true)
    for _, connection in ipairs(deaf) do connection:close() end
    process.eventually(function() return #server:request(ask("/run", code)).body == 7 * MIB end, 20,
      "the memory to be given back")
    assert.equal(0, count_replaced())
  end)

  it("a piece that is larger than what is left, which raises where it is yielded", function()
    start(16)
    assert.equal("false plugin_memory_limit", server:request(ask("/run", FILL .. [[
      local function body()
        local ok, problem = pcall(coroutine.yield, full[1])
        coroutine.yield(tostring(ok) .. " " .. tostring(problem.code))
      end
      return moonhook.Response(body)]])).body)
    assert.equal(0, count_replaced())
  end)

  it("what many clients have not read: generators wait earlier when it is a quarter", function()
    start(4)
    local deaf = {}
    for i = 1, 60 do
      deaf[i] = open_deaf [[
        local id = (kept.count or 0) + 1
        kept.count = id
        return moonhook.Response(function()
          local piece = ("p"):rep(7000)
          while true do
            kept.sent = (kept.sent or 0) + 1
            coroutine.yield(piece)
          end
        end)]]
    end
    local before
    process.eventually(function()
      local reply = server:request(ask("/run", "return kept.count .. ' ' .. kept.sent"))
      local is_still = reply.status == 200 and reply.body == before
        and reply.body:find "^60 " ~= nil
      before = reply.body
      return is_still
    end, 30, "all of them to stand still")
    -- Others have room all the same.
    assert.equal("100000", server:request(ask("/run",
      "local t = {} for i = 1, 100000 do t[i] = i end return #t")).body)
    for _, connection in ipairs(deaf) do connection:close() end
    assert.equal(0, count_replaced())
  end)

  it("the JSON that it makes, as far as its text grows", function()
    start(16)
    local reply = server:request(ask("/run", [[
      local part, list = ("x"):rep(2 ^ 20), {}
      for i = 1, 20 do list[i] = part end
      return #moonhook.json.encode(list)]]))
    assert.same({ 500, "plugin_memory_limit" }, { reply.status, code_of(reply) })
    reply = server:request(ask("/run", [[
      local part, list = ("x"):rep(2 ^ 20), {}
      for i = 1, 4 do list[i] = part end
      return #moonhook.json.encode(list)]]))
    assert.equal(tostring(4 * (MIB + 3) + 1), reply.body)
  end)

  it("the bodies of its calls", function()
    start(16)
    local told = server:request(ask("/run", FILL .. ([[
      local ok, problem = pcall(session.http.request, session.http, {
        method = "POST", url = "http://127.0.0.1:%d/e/keeper/hold", body = full[1] })
      return tostring(ok) .. " " .. tostring(problem.code)]]):format(server.port))).body
    assert.equal("false plugin_memory_limit", told)
    assert.equal(0, count_replaced())
  end)
end)

describe("a plugin's memory has in it, too,", function()
  it("the answer of an upstream while it comes", function()
    local model = fake_model.start()
    local caller = relay.start {
      backends = { gpt = { type = "openai", url = model.url } },
      limits = { plugin_memory_bytes = 16 * MIB, plugin_cpu_ms = 5000, stuck_ms = 30000 },
    }
    local failure = caller:failure("gpt", "fake;n=3;piece_bytes=" .. 6 * MIB)
    assert.equal("plugin_memory_limit", failure.code)
    assert.is_true(caller:failure("gpt", "fake").ok)
    assert.equal("alive", caller:probe())
    assert.is_nil(caller.host:find_record { msg = "plugin state replaced" })
    caller:stop()
    model:stop()
  end)
end)
