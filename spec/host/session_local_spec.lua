-- Calls to the built-in backend that are left or cut. It has no connection to lose, but its apps
-- run in a task of their own, and may ask a model elsewhere.
local cjson = require "cjson"
local fake_model = require "spec.support.fake_model"
local host_support = require "spec.support.host"
local http = require "spec.support.http"
local kinds = require "spec.support.kinds"
local process = require "spec.support.process"

local LIMIT_MS = 2000 -- of the five seconds of the model

describe("a call to the built-in backend", function()
  local model, host

  setup(function()
    model = fake_model.start()
    local fake = { provider = "gpt", model = "fake" }
    local settings = kinds.settings("local", { llm = "demo" })
    settings.workflow = { app_id = "asks" }
    local files = kinds.files { ["apps/asks.lua"] = [[
return {
  run = function(session, inputs)
    local chunks = session.model.llm:invoke {
      model_config = { provider = "gpt", model = "fake;n=9;piece_ms=5" },
      prompt_messages = { { role = "user", content = "hello" } },
    }
    for _ in chunks do end
    return {}
  end,
}]] }
    host = host_support.start {
      workers = 1, -- the plugin's list of what was raised is each one's own
      files = files,
      config = {
        plugins = { "plugins" }, demo = { pause_ms = 300 },
        backends = { gpt = { type = "openai", url = model.url } },
        apps = {
          ["app-chat"] = { mode = "chat", model = fake },
          ["app-completion"] = { mode = "completion", model = fake },
          asks = { mode = "workflow", source = "apps/asks.lua" },
        },
        endpoints = { { plugin = "kinds", hook_id = "kinds", settings = settings } },
      },
    }
  end)

  teardown(function()
    host:stop() -- asserts that no task is left, those of apps included
    model:stop()
  end)

  before_each(function()
    model:order {}
    model:forget()
  end)

  local function raised()
    return host:request { target = "/e/kinds/raised" }.body
  end

  local function leave(kind, way, when_begun)
    local before = #raised()
    local client = host:connect()
    client:send(http.format(kinds.request { kind = kind, way = way }))
    when_begun(client)
    local left_at = process.now()
    client:close()
    return left_at, function()
      process.eventually(function() return raised():sub(before + 1):find "cancelled" end,
        LIMIT_MS / 1000, "the call to raise `cancelled`")
    end
  end

  for _, kind in ipairs { "llm", "llm_structured_output" } do
    it(("raises `cancelled` when %s is left"):format(kind), function()
      local _, assert_raised =
        leave(kind, "streaming", function(client) client:receive(0.05) end)
      assert_raised()
    end)
  end

  for _, way in ipairs { "blocking", "streaming" } do
    for _, kind in ipairs { "app_chat", "app_completion", "app_workflow" } do
      it(("leaves the model behind %s when it is left, %s"):format(kind, way), function()
        model:order { head_ms = 5000 }
        local left_at, assert_raised = leave(kind, way, function() model:wait_seen() end)
        assert_raised()
        model:wait_seen(function(record) return record.closed end)
        local ms = (process.now() - left_at) * 1000
        assert.is_true(ms < LIMIT_MS, ms)
      end)

      it(("does not end %s quietly when its model is cut, %s"):format(kind, way), function()
        model:order { cut = "fin", after = 2 }
        local told = cjson.decode(host:request(kinds.request { kind = kind, way = way }).body)
        local run = told.value and told.value.data
        if told.items and kind == "app_workflow" then run = told.items[#told.items].data end
        if run then -- a run that failed is a result
          assert.equal("failed", run.status)
          assert.truthy(run.error:find "%S")
        else
          assert.equal("upstream_truncated", told.error and told.error.code, cjson.encode(told))
        end
      end)
    end
  end
end)
