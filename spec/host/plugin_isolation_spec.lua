-- A hostile plugin looks for what is not its own: the host's functions and files, other plugins'
-- storage and requests, other requests' coroutines. Whatever it gets hold of has none of it.
local admin = require "spec.support.admin"
local host_support = require "spec.support.host"
local hostile = require "spec.support.hostile"
local http = require "spec.support.http"

local secrets = hostile.secrets

describe("a hostile plugin: it", function()
  local stage

  setup(function() stage = hostile.start() end)
  teardown(function() stage:stop() end)
  after_each(function() stage:assert_nothing_got_out() end)

  it("finds nothing in what it can reach from its globals and its session", function()
    stage:succeed [[
      for _, name in ipairs { "app", "model", "tool", "workflow_node", "file", "storage", "http",
          "log" } do
        look(session[name])
      end
      for _, name in ipairs { "llm", "llm_structured_output", "text_embedding", "rerank", "tts",
          "speech2text", "moderation", "summary" } do
        look(session.model[name])
      end
      for _, name in ipairs { "json", "template", "crypto", "verify", "Response", "Error" } do
        look(moonhook[name])
      end
      look(_G) look(a.self) look(a.request) look(a.settings) look(session) look(moonhook)
      look(session.model:list())]]
  end)

  it("finds no function that is not made for plugins", function()
    local names = stage:succeed [[
      local bad = {}
      for _, name in ipairs { "io", "os", "debug", "ffi", "jit", "package", "newproxy", "getfenv",
          "setfenv", "collectgarbage", "dofile", "loadfile", "module", "gcinfo" } do
        if _G[name] ~= nil then bad[#bad + 1] = name end
      end
      for _, name in ipairs { "dump" } do
        if string[name] or ("")[name] then bad[#bad + 1] = "string." .. name end
      end
      return "[" .. table.concat(bad, " ") .. "]"]]
    assert.equal("[]", names)
  end)

  it("requires nothing of the host or of other packages", function()
    local got = stage:succeed [[
      local got = {}
      for _, name in ipairs { "host.reverse", "host.store", "host.http", "host.package",
          "host.task", "moonhook.session",
          "moonhook.session.exchange", "moonhook.session.catalogue",
          "moonhook.sandbox", "moonhook.backend.dify", "moonhook/session", "host/reverse",
          "moonhook.session.exchange.lua", ".moonhook.session", "moonhook..session",
          "../victim/keep",
          "..victim.keep", "/etc/passwd", "../../gpt.key", "ffi", "jit", "jit.util", "debug", "io",
          "os", "string.buffer", "table.clear", "table.new", "", ".", "..", "\0",
          "run.lua\0.lua" } do
        local ok, value = pcall(require, name)
        if ok then got[#got + 1] = name end
        look(value)
      end
      local ok = load "return 1LL" -- the parser opens the FFI library for such a number
      if pcall(require, "ffi") then got[#got + 1] = "ffi after 1LL" end
      return "[" .. table.concat(got, " ") .. "]"]]
    assert.equal("[]", got)
  end)

  it("reads no file outside of its package", function()
    local got = stage:succeed(([[
      local got = {}
      for _, path in ipairs { "../victim/keep.lua", "../../gpt.key", "../../../gpt.key",
          "/etc/passwd", %q, "./../../gpt.key",
          "x/../../../gpt.key", "..\\..\\gpt.key", "//etc/passwd",
          "run.lua/../../../gpt.key", "/proc/self/environ", "../../moonhook.yaml", "", "." } do
        for _, read in ipairs { moonhook.read, moonhook.template, moonhook.Response.file } do
          local ok, value = pcall(read, path)
          look(value)
          if ok and type(value) == "string" then got[#got + 1] = path end
        end
      end
      return "[" .. table.concat(got, " ") .. "]"]]):format(stage.host.dir .. "/gpt.key"))
    assert.equal("[]", got)
  end)

  it("loads no bytecode", function()
    assert.equal("nil nil", stage:succeed [[
      local function pieces()
        local given
        return function() if given then return nil end given = true return "\27LJ\2\2\0" end
      end
      local one, two = load("\27LJ\2\2\0", "x", "b"), load(pieces(), "x", "bt")
      return tostring(one) .. " " .. tostring(two)]])
  end)

  it("cannot change what the library is made of", function()
    stage:succeed [[
      local next, pairs, type, pcall = next, pairs, type, pcall
      local function note(...) look { ... } return nil end
      local kept = {}
      for name, value in next, _G do
        if type(value) == "table" and value ~= _G then
          kept[name] = {}
          for key, member in next, value do kept[name][key], value[key] = member, note end
        else
          kept[name] = value
        end
      end
      for name, value in next, kept do if type(value) == "function" then _G[name] = note end end
      local ok, result = pcall(function()
        return session.model.llm:invoke { stream = false,
          model_config = { provider = "local", model = "demo" },
          prompt_messages = { { role = "user", content = "hello" } } }
      end)
      look(result)
      for name, value in next, kept do
        if type(value) == "table" then
          for key, member in next, value do _G[name][key] = member end
        else
          _G[name] = value
        end
      end
      assert(ok, result)
      assert(result.message.content:find "%a")]]
  end)

  it("does not read another plugin's storage", function()
    local got = stage:succeed [[
      local got = {}
      for _, key in ipairs { "secret", "victim/secret", "../victim/secret", "spec/victim/secret",
          "/secret", "spec/victim\0secret", "%", "_ecret", "*" } do
        local ok, value = pcall(session.storage.get, session.storage, key)
        look(value)
        if ok and value ~= nil then got[#got + 1] = key end
      end
      for _, prefix in ipairs { "", "%", "s", "spec/", "../", "victim" } do
        local ok, value = pcall(session.storage.list, session.storage, prefix)
        look(value)
        if ok and type(value) == "table" and #value > 0 then got[#got + 1] = "list " .. prefix end
      end
      return "[" .. table.concat(got, " ") .. "]"]]
    assert.equal("[]", got)
  end)

  it("gets no other endpoint's settings or storage by any id", function()
    local made = admin.of(stage.host):ask("POST", "/endpoints", { plugin = "victim",
      settings = { token = secrets.setting } }, 201)
    stage.host:request { url = made.url .. "/keep", body = secrets.stored }
    local got = stage:succeed(([[
      local ids = { %q, %q, %q, "victim-hook", "victim", "spec/victim", "token", "own" }
      session.storage:set("own", "the hostile plugin's")
      local got, functions, seen, calls = {}, {}, {}, 0
      local function collect(value)
        if seen[value] or value == nil then return end
        seen[value] = true
        if type(value) == "function" then functions[#functions + 1] = value end
        if type(value) ~= "table" then return end
        for _, member in next, value do collect(member) end
        collect(getmetatable(value))
      end
      seen[session.storage] = true -- of it those that read
      collect(a.self)
      for _, name in ipairs { "app", "model", "tool", "workflow_node", "file" } do
        pcall(function() collect(session[name]) end)
      end
      for _, name in ipairs { "get", "exist", "list" } do
        collect(session.storage[name])
      end
      for _, id in ipairs(ids) do
        for _, place in ipairs { a.self, session, a.settings, a.request, moonhook } do
          try(function() return place[id] end)
        end
        for _, read in ipairs(functions) do
          for _, own in ipairs { a.self, session, session.storage, id } do
            calls = calls + 1
            local value = select(2, pcall(read, own, id))
            look(value)
            try(read, own, id, "secret")
            try(read, own, "secret", id)
            try(read, own, id .. "/secret")
            if value == "the hostile plugin's" then got[id] = true end
          end
          pcall(session.sleep, session, 0)
        end
      end
      local names = {}
      for id in pairs(got) do names[#names + 1] = id end
      return table.concat(names, " ") .. (calls > 100 and "" or " by too few calls: " .. calls)]])
      :format(made.id, made.hook_id, made.url))
    assert.equal("own", got) -- what is the plugin's is found in these ways
    admin.of(stage.host):ask("DELETE", "/endpoints/" .. made.id, nil, 204)
  end)

  it("does not read another plugin's request by a handle that it makes up", function()
    local held = stage.host:connect()
    held:send(http.format { target = "/e/victim-hook/hold",
      headers = { Authorization = "Bearer " .. secrets.header } })
    local got = stage:succeed [[
      session:sleep(50) -- the other request waits
      local own, got = rawget(a.request, 1), {}
      local meta = getmetatable(a.request)
      if type(own) ~= "number" then return "[]" end
      local places = 2 ^ 21
      for uses = 0, 40 do
        for place = 0, 80 do
          local forged = setmetatable({ uses * places + place }, meta)
          local ok, value = pcall(function() return forged.headers.Authorization end)
          if ok and value then got[#got + 1] = value end
        end
      end
      return "[" .. table.concat(got, " ") .. "]"]]
    assert.equal("[]", got)
    local reply = http.read_head(held)
    assert.equal("held " .. #("Bearer " .. secrets.header), reply:read_body())
    held:close()
  end)

  it("does not resume the coroutine of another request, nor its own", function()
    local waiting = stage.host:connect()
    waiting:send(http.format(hostile.request [[
      a.kept.co = coroutine.running()
      session:sleep(400)
      return "slept well"]]))
    local told = stage:succeed [[
      session:sleep(100)
      local co = a.kept.co
      local texts = { coroutine.status(co), coroutine.status(coroutine.running()) }
      for _, way in ipairs { function() return coroutine.resume(co, "forged", nil, "x") end,
          function() return coroutine.resume(coroutine.running()) end } do
        local ok, value = way()
        look(value)
        texts[#texts + 1] = tostring(ok)
      end
      return table.concat(texts, " ")]]
    assert.equal("normal running false false", told)
    local reply = http.read_head(waiting)
    assert.truthy(reply:read_body():find "^slept well")
    waiting:close()
  end)

  it("does not learn from metamethods that the library calls", function()
    stage:succeed [[
      local function trap()
        local names = {}
        local proxy = setmetatable({}, {
          __index = function(_, name)
            look(name)
            return name == "provider" and "gpt" or "do-echo"
          end,
          __tostring = function() look "tostring" return "do-echo" end,
          __pairs = function() return next, {} end, __len = function() return 1 end,
          __call = function(_, ...) look { ... } end,
        })
        return proxy
      end
      try(function() return session.model.llm:invoke(trap()) end)
      try(function()
        return session.model.llm:invoke { model_config = trap(), prompt_messages = { trap() } }
      end)
      try(function() return session.app.chat.invoke(trap(), trap()) end)
      try(function() return moonhook.json.encode(session) end)
      try(function() return moonhook.json.encode { session.model, session.http } end)
      try(function() return moonhook.Error.is(trap()) end)
      try(function() error(trap()) end)]]
  end)

  it("forges no handle of a call", function()
    stage:succeed [[
      local chunks = session.model.llm:invoke {
        model_config = { provider = "local", model = "demo" },
        prompt_messages = { { role = "user", content = "hello" } } }
      look(chunks)
      local meta = getmetatable(chunks)
      try(function() return setmetatable({ _source = {} }, meta)() end)
      try(function() return setmetatable({ _call = a.request, _host = "x" }, meta)() end)
      local task = session:spawn(function() return 1 end)
      look(task)
      task._handle = a.request
      try(function() return task:wait() end)
      chunks:close()]]
    assert.equal("ok", stage:succeed "return 'ok'")
  end)
end)

-- A name may come to be another author's: what was stored under it is not theirs.
describe("a plugin that takes another's place, by another author,", function()
  local function manifest(author)
    return ([[
version: 0.0.1
type: plugin
author: %s
name: twin
resource: { permission: { storage: { enabled: true, size: 65536 } } }
plugins:
  endpoints:
    - endpoints: [ { path: /, method: POST, extra: { lua: { source: twin.lua } } } ]
]]):format(author)
  end

  it("finds an empty storage", function()
    local config = {
      plugins = { "plugins" }, endpoints = { { plugin = "twin", hook_id = "twin-hook" } },
    }
    local files = { ["plugins/twin/manifest.yaml"] = manifest "one", ["plugins/twin/twin.lua"] = [[
return function(self, request)
  local before = self.session.storage:get "note"
  self.session.storage:set("note", request:get_data())
  return tostring(before)
end]] }
    local host = host_support.start { config = config, files = files }
    local function note(text)
      return host:request { target = "/e/twin-hook/", body = text }.body
    end
    assert.equal("nil", note "of one")
    assert.equal("of one", note "again")
    host:stop(true)
    host:write("plugins/twin/manifest.yaml", manifest "two")
    host = host_support.start { dir = host.dir }
    assert.equal("nil", note "of two")
    host:stop(true)
    host:write("plugins/twin/manifest.yaml", manifest "one")
    host = host_support.start { dir = host.dir }
    assert.equal("again", note "at last")
    host:stop()
  end)
end)
