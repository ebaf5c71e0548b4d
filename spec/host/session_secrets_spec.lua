-- A hostile plugin looks for the backends' keys and tenant: by calls that make backends repeat
-- them, by what it sends, by names with slashes and line ends. None gets it any of these.
local cjson = require "cjson"
local hostile = require "spec.support.hostile"

local secrets = hostile.secrets
local MESSAGES = '{ { role = "user", content = "hello" } }'

describe("a hostile plugin and the backends: it", function()
  local stage

  setup(function() stage = hostile.start() end)
  teardown(function() stage:stop() end)
  after_each(function() stage:assert_nothing_got_out() end)

  local CALLS = {
    gpt = [[session.model.llm:invoke { stream = %s, model_config = { provider = "gpt", model = %q },
      prompt_messages = ]] .. MESSAGES .. " }",
    dify = [[session.model.llm:invoke { stream = %s,
      model_config = { provider = "a/b/c", model = %q },
      prompt_messages = ]] .. MESSAGES .. " }",
    ["dify's apps"] = [[session.app.chat:invoke { response_mode = %s and "streaming" or "blocking",
      app_id = "other", query = %q }]],
    clouds = [[session.app.chat:invoke { response_mode = %s and "streaming" or "blocking",
      app_id = "app-1", query = %q }]],
    ["dify's vectors"] = [[session.model.text_embedding:invoke {
      input_type = %s and "query" or "document",
      model_config = { provider = "a/b/c", model = %q }, texts = { "a" } }]],
  }
  local ORDERS = { "do-echo", "do-plain", "do-event", "do-alike", "do-frame", "do-envelope",
    "do-redirect" }

  for name, call in pairs(CALLS) do
    it("hears nothing from a backend that repeats what it was told: " .. name, function()
      for _, order in ipairs(ORDERS) do
        for _, is_streaming in ipairs { "true", "false" } do
          stage:attack("pcall(function() return " .. call:format("false", "well") .. " end)")
          local before = #stage:seen()
          local done = stage:succeed(([[
            local ok, problem = pcall(function()
              local value = %s
              look(value)
              if type(value) == "table" and getmetatable(value) then
                for item in value do look(item) end
              end
            end)
            look(problem)
            print(tostring(problem), moonhook.json.encode(ok and {} or problem))
            session.log.error(tostring(problem), type(problem) == "table" and problem or {})
            return tostring(ok) ]]):format(call:format(is_streaming, order)))
          assert.truthy(done == "true" or done == "false", done)
          local seen = stage:seen()
          assert.is_true(#seen > before)
          assert.truthy(cjson.encode(seen[#seen].headers):find "%-key%-") -- it was told
        end
      end
    end)
  end

  it("hears nothing when nobody catches what a backend says", function()
    for name, call in pairs(CALLS) do
      local reply = stage:attack("local x = " .. call:format("false", "do-echo") .. " return 'x'")
      assert.equal(502, reply.status, name .. reply.body)
    end
  end)

  it("does not choose tenant, user or key by what it sends", function()
    stage:succeed [[
      local evil = { provider = "a/b/c", model = "m", tenant_id = "evil", user_id = "evil",
        completion_params = { tenant_id = "evil" }, ["X-Inner-Api-Key"] = "evil" }
      try(function()
        session.model.llm:invoke { model_config = evil, prompt_messages = {
          { role = "user", content = "x", tenant_id = "evil" } } }
      end)
      try(function()
        session.model.text_embedding:invoke { model_config = evil, texts = { "a" } }
      end)
      try(function()
        session.app.chat:invoke { app_id = 'x","tenant_id":"evil', query = "q",
          inputs = { tenant_id = "evil" }, user = 'x","tenant_id":"evil' }
      end)
      try(function() session.app.chat:invoke { app_id = "x", query = "q", tenant_id = "evil" } end)
      try(function()
        session.tool:invoke { provider_type = "builtin", provider = "p", tool_name = "t",
          parameters = { tenant_id = "evil" }, credential_id = "c" }
      end)]]
    local count = 0
    for _, record in ipairs(stage:seen()) do
      if record.url:find "^/inner/api/" then
        count = count + 1
        local body = cjson.decode(record.body)
        assert.equal(secrets.tenant, body.tenant_id)
        assert.equal("", body.user_id)
        assert.equal(secrets.inner_key, record.headers["x-inner-api-key"])
      end
    end
    assert.is_true(count >= 4)
  end)

  it("goes to no other path or host by names, ids and files with slashes and line ends", function()
    local before = #stage:seen()
    stage:succeed [[
      local strange = { "../../../admin", "x/y", "x?y=z#w", "app-1\0", "app-1/../app-2",
        "a\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1", "//evil.example/", "http://evil.example/",
        "%2e%2e/%0d%0aX-Evil: 1" }
      for _, text in ipairs(strange) do
        try(function() session.app.chat:invoke { app_id = text, query = text, user = text } end)
        try(function() session.app:fetch { app_id = text } end)
        try(function() session.model.llm:invoke { model_config = { provider = text, model = text },
          prompt_messages = { { role = "user", content = text } } } end)
        try(function() session.model.llm:invoke { model_config = { provider = "gpt", model = text },
          prompt_messages = { { role = "user", content = text } } } end)
        try(function() session.file:upload { filename = text, content = text, mimetype = text,
          app_id = "app-1", user = text } end)
        try(function() session.file:upload { filename = text, content = text, mimetype = text } end)
        try(function() session.model.speech2text:invoke { file = { body = text, filename = text,
          content_type = text }, model_config = { provider = "gpt", model = text,
          completion_params = { [text] = text } } } end)
      end]]
    local KNOWN = { ["/inner/api/invoke/app"] = true, ["/inner/api/fetch/app/info"] = true,
      ["/inner/api/invoke/llm"] = true, ["/inner/api/upload/file/request"] = true,
      ["/v1/chat/completions"] = true, ["/v1/files/upload"] = true,
      ["/v1/audio/transcriptions"] = true }
    local seen = stage:seen()
    assert.is_true(#seen > before + 20)
    for i = before + 1, #seen do
      assert.is_true(KNOWN[seen[i].url], seen[i].url)
      assert.is_nil(seen[i].headers["x-evil"])
      local boundary = (seen[i].headers["content-type"] or ""):match "boundary=(.*)$"
      if boundary then -- a file's name or type starts no header of its own
        for head in ("\r\n" .. seen[i].body):gmatch "\r\n%-%-[^\r]+\r\n(.-)\r\n\r\n" do
          assert.is_nil(head:lower():find "\r\nx%-evil", head)
        end
      end
    end
  end)

  it("stops no run but its own, whatever a backend calls it", function()
    local before = #stage:seen()
    stage:succeed [[
      local events = session.app.chat:invoke { app_id = "app-1", query = "do-path" }
      events()
      events:close()
      session:sleep(100)]]
    local seen = stage:seen()
    assert.equal(before + 1, #seen)
  end)

  it("does not get to its own host's other listener, nor to a backend, over the network", function()
    local got = stage:succeed(([[
      local got = {}
      for _, address in ipairs { "127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0",
          "[::ffff:127.0.0.1]", "127.1" } do
        for _, port in ipairs { %d, %d } do
          local url = "http://" .. address .. ":" .. port
          local ok, value = pcall(session.http.get, session.http, url)
          look(value)
          if ok then got[#got + 1] = url end
        end
      end
      return "[" .. table.concat(got, " ") .. "]"]])
      :format(stage.host.admin_port or stage.host.port, stage.ports.port))
    assert.equal("[]", got)
  end)
end)
