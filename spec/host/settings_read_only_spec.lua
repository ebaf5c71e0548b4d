-- Runs with both LuaJITs. A handler's settings: one table for all requests, so none may change it.
local cjson = require "cjson"
local host_support = require "spec.support.host"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
resource: { permission: { model: { enabled: true, llm: true } } }
plugins:
  endpoints:
    - settings:
        - { name: word, type: text-input }
        - { name: other, type: text-input }
        - { name: llm, type: model-selector, scope: llm }
      endpoints:
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
]]

local RUN = [[
local moonhook = require "moonhook"
local kept = {}
return function(self, request, values, settings)
  local code = assert(load("local settings, kept, moonhook, json, session = ...\n"
    .. request:get_data(), "=x"))
  return tostring(code(settings, kept, moonhook, moonhook.json, self.session))
end]]

local LLM = { provider = "local", model = "demo", model_type = "llm", mode = "chat",
  completion_params = { temperature = 0.5 } }
local LISTED = { provider = "local", model = "demo", model_type = "llm", mode = "chat",
  completion_params = { stop = { "b", "a" }, temperature = 0.5 } }

describe("a handler's settings", function()
  local server

  setup(function()
    server = host_support.start {
      files = { ["plugins/plain/manifest.yaml"] = MANIFEST:format "plain",
        ["plugins/plain/run.lua"] = RUN },
      config = { plugins = { "plugins" }, endpoints = {
        { plugin = "plain", hook_id = "plain", settings = { word = "hi", llm = LLM } },
        { plugin = "plain", hook_id = "listed", name = "listed",
          settings = { word = "hi", llm = LISTED } },
        { plugin = "plain", hook_id = "empty", name = "empty" },
      } },
    }
  end)

  teardown(function() server:stop() end)

  local function run(code, hook)
    return server:request { target = ("/e/%s/run"):format(hook or "plain"), body = code }
  end

  local function result(code, hook)
    local reply = run(code, hook)
    assert.equal(200, reply.status, reply.body .. server:log():sub(-1200))
    return reply.body
  end

  local function raised(code, hook)
    local from = #server:log()
    assert.equal(500, run(code, hook).status)
    return server:wait_record({ msg = "plugin failed" }, 5, from).error
  end

  for _, hook in ipairs { "plain", "listed", "empty" } do
    it("cannot be written, and the line is told: " .. hook, function()
      for code, name in pairs {
        ["settings.word = 'x'"] = "settings.word", ["settings.fresh = 1"] = "settings.fresh",
        ["settings.other = nil"] = "settings.other", ["settings[1] = 1"] = "settings.1",
        ["rawset(settings, 'word', 1)"] = "settings.word",
        ["table.insert(settings, 1)"] = "settings.1",
      } do
        assert.matches("x:3: " .. name .. ": settings are read-only", raised("\n" .. code), 1, true)
      end
      raised "setmetatable(settings, {})"
      raised "json.array(settings)"
      assert.equal("false", result "return getmetatable(settings)")
    end)
  end

  for _, hook in ipairs { "plain", "listed" } do
    it("cannot be written deeper, either: " .. hook, function()
      assert.matches("x:2: settings.llm.model: settings are read-only",
        raised("settings.llm.model = 'x'", hook), 1, true)
      assert.matches("x:2: settings.llm.completion_params.temperature: settings are read-only",
        raised("settings.llm.completion_params.temperature = 1", hook), 1, true)
      assert.matches("settings.llm.fresh: settings are read-only",
        raised("for _, value in pairs(settings) do if type(value) == 'table' then "
          .. "value.fresh = 1 end end", hook), 1, true)
      local _, told = pcall(cjson.decode, result("return json.encode(settings.llm)", hook))
      assert.same(hook == "plain" and LLM or LISTED, told)
    end)

    it("read as any table: " .. hook, function()
      assert.equal("hi demo 0.5", result([[
        return settings.word .. " " .. settings.llm.model .. " "
          .. settings.llm.completion_params.temperature]], hook))
      for _, way in ipairs { "pairs(t)", "next, t" } do
        assert.equal("completion_params,mode,model,model_type,provider", result(([[
          local t, names = settings.llm, {}
          for name, value in %s do
            assert(value == settings.llm[name])
            names[#names + 1] = name
          end
          table.sort(names)
          return table.concat(names, ",")]]):format(way), hook))
      end
      assert.equal("demo nil 0 table", result([[
        local count = 0
        for _ in ipairs(settings.llm) do count = count + 1 end
        return rawget(settings.llm, "model") .. " " .. tostring(settings.other) .. " "
          .. count + #settings.llm .. " " .. type(settings.llm)]], hook))
      assert.equal("5", result([[
        local count = 0
        table.foreach(settings.llm, function() count = count + 1 end)
        return count]], hook))
      assert.same({ word = "hi", llm = hook == "plain" and LLM or LISTED },
        cjson.decode(result("return json.encode(settings)", hook)))
    end)
  end

  it("keep the object to themselves", function()
    result [[
      local fn, state = pairs(settings.llm)
      local ok = pcall(function() state.model = "forged" end)
      assert(not ok and state == settings.llm)
      return 1]]
    assert.equal("demo", result "return settings.llm.model")
  end)

  it("say which name is not declared", function()
    assert.matches("x:2: settings.wrod: the group declares no setting of this name, did you mean "
      .. "'word'", raised "return settings.wrod", 1, true)
  end)

  it("have lists that are the request's own", function()
    assert.equal("a,b 2", result([[
      local stop = settings.llm.completion_params.stop
      table.sort(stop)
      return table.concat(stop, ",") .. " " .. #stop]], "listed"))
    assert.equal("b,a", result(
      "return table.concat(settings.llm.completion_params.stop, ',')", "listed"))
    assert.equal("3", result([[
      local stop = settings.llm.completion_params.stop
      stop[#stop + 1] = "c"
      return #settings.llm.completion_params.stop]], "listed"))
    assert.equal("2", result("return #settings.llm.completion_params.stop", "listed"))
  end)

  it("are one table for all requests that can share it", function()
    result "kept.settings = settings return 1"
    assert.equal("true", result "return kept.settings == settings")
    assert.equal("false", result("return kept.settings == settings", "listed"))
  end)

  it("name a model", function()
    assert.is_true(#result [[
      local answer = session.model.llm:invoke { model_config = settings.llm, stream = false,
        prompt_messages = { { role = "user", content = "hello" } } }
      return answer.message.content]] > 0)
  end)

  it("go into the log with their names", function()
    local from = #server:log()
    result "moonhook.log.info('told', settings) return 1"
    assert.equal("hi", server:wait_record({ msg = "told" }, 5, from).word)
  end)
end)
