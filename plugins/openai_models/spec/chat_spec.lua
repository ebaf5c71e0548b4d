local testing = require "moonhook.testing"
local json = require "moonhook.json"

local KEY = { Authorization = "Bearer key" }
local LLM = { provider = "gpt", model = "m" }
local hello = json.array { { role = "user", content = "Hello" } }

describe("POST /v1/chat/completions", function()
  local plugin ---@type TestPlugin

  local function load(fakes)
    fakes = fakes or {}
    fakes.settings = fakes.settings or { api_key = "key", llm = LLM }
    plugin = testing.load(fakes)
    return plugin
  end

  local function send(options)
    return plugin:post("/v1/chat/completions", options)
  end

  local function post(body, fakes)
    load(fakes)
    return send { json = body, headers = KEY }
  end

  -- The events' data, decoded but for the last.
  local function events(reply)
    local list = {}
    for i, event in ipairs(reply:events()) do
      list[i] = event.data == "[DONE]" and event.data or json.decode(event.data)
    end
    return list
  end

  it("asks for the key before it reads the body", function()
    load()
    local reply = send { body = "{" }
    assert.equal(401, reply.status)
    assert.equal("Bearer", reply.headers["www-authenticate"])
    assert.equal(401, send({ body = "{}", headers = { Authorization = "Bearer " } }).status)
  end)

  it("answers an unreadable body with OpenAI's error", function()
    load()
    local reply = send { body = "{", headers = KEY }
    assert.equal(400, reply.status)
    assert.equal("invalid_request_error", reply:json().error.type)
    assert.matches('"param":null', reply.body)
  end)

  it("lets the request's parameters override the selector's", function()
    local llm = {
      provider = "gpt", model = "m",
      completion_params = { temperature = 1, top_k = 3, max_tokens = 5, stop = { "a" } },
    }
    local body = { messages = hello, temperature = 0, max_completion_tokens = 9, stop = "b" }
    post(body, { settings = { api_key = "key", llm = llm }, llm = "x" })
    assert.same({ temperature = 0, top_k = 3, max_completion_tokens = 9 },
      plugin.calls[1].completion_params)
    assert.same({ "b" }, plugin.calls[1].stop)
    send { json = { messages = hello }, headers = KEY }
    assert.equal(1, plugin.calls[2].completion_params.temperature)
  end)

  it("sends the role once, the text, a reason and the end", function()
    local list = events(post({ messages = hello, stream = true }, { llm = {
      "Hel", "lo", { delta = { index = 2, finish_reason = "length",
        message = { role = "assistant", content = "" } } },
    } }))
    assert.same({ role = "assistant", content = "Hel" }, list[1].choices[1].delta)
    assert.same({ content = "lo" }, list[2].choices[1].delta)
    assert.equal("length", list[3].choices[1].finish_reason)
    assert.equal("[DONE]", list[4])
    assert.equal(list[1].id, list[3].id)
    assert.is_nil(list[3].usage)
  end)

  it("sends each word when it comes, and leaves the model when the client leaves", function()
    load { llm = { "Hel", testing.wait(500), "lo" } }
    local reply = send { json = { messages = hello, stream = true }, headers = KEY }
    assert.matches('"content":"Hel"', reply:next_piece())
    assert.equal(0, reply.times[1])
    reply:close()
    assert.is_true(plugin.calls[1].is_cancelled)
  end)

  it("sends the usage after all else, only when asked", function()
    local list = events(post({ messages = hello, stream = true,
      stream_options = { include_usage = true } }, { llm = { "x" } }))
    assert.equal(json.null, list[1].usage)
    assert.same({}, list[3].choices)
    assert.same({ prompt_tokens = 1, completion_tokens = 1, total_tokens = 2 }, list[3].usage)
  end)

  it("gives tool calls without an index one by their ids", function()
    local function call(id, name, arguments)
      return { tool_calls = {
        { id = id, type = "function", ["function"] = { name = name, arguments = arguments } } } }
    end
    local list = events(post({ messages = hello, stream = true },
      { llm = { call("a", "f", ""), call("", "", "{}"), call("b", "g", "{}") } }))
    local first, second, third = list[1].choices[1].delta.tool_calls[1],
      list[2].choices[1].delta.tool_calls[1], list[3].choices[1].delta.tool_calls[1]
    assert.same({ name = "f", arguments = "" }, first["function"])
    assert.same({ 0, "a", "function" }, { first.index, first.id, first.type })
    assert.same({ index = 0, ["function"] = { arguments = "{}" } }, second)
    assert.equal(1, third.index)
    assert.equal("b", third.id)
    assert.equal("tool_calls", list[4].choices[1].finish_reason)
  end)

  it("answers whole with null content beside tool calls", function()
    local reply = post({ messages = hello }, { llm = { { tool_calls = {
      { id = "a", ["function"] = { name = "f", arguments = "{}" } } } } } })
    local choice = reply:json().choices[1]
    assert.matches('"content":null', reply.body)
    assert.equal("a", choice.message.tool_calls[1].id)
    assert.equal("tool_calls", choice.finish_reason)
  end)

  it("says what broke in a last event and breaks off before [DONE]", function()
    local reply = post({ messages = hello, stream = true }, { llm = { "Hal", testing.cut() } })
    assert.is_true(reply:is_broken())
    local text = table.concat(reply:received())
    assert.matches('"content":"Hal"', text)
    assert.matches('data: {"error":.-"code":"upstream_error"', text)
    assert.is_nil(text:find("[DONE]", 1, true))
  end)

  local mapped = { -- fake, status, code, seconds to wait
    { testing.refuse(429, { message = "x" }, { ["Retry-After"] = "3" }), 429,
      "rate_limit_exceeded", "3" },
    { testing.refuse(503), 502, "upstream_error" },
    { testing.refuse(504), 504, "upstream_timeout" },
    { testing.refuse(400, { code = "context_length_exceeded", message = "SECRET" }), 400,
      "context_length_exceeded" },
    { testing.fail "SECRET", 502, "upstream_error" },
  }
  for _, case in ipairs(mapped) do
    it(("answers an upstream's %s with %d"):format(case[1].status or "error", case[2]), function()
      for _, is_streaming in ipairs { false, true } do
        local reply = post({ messages = hello, stream = is_streaming }, { llm = case[1] })
        assert.equal(case[2], reply.status)
        assert.equal(case[3], reply:json().error.code)
        assert.is_nil(reply.body:find("SECRET", 1, true))
        assert.equal(case[4], reply.headers["retry-after"])
      end
    end)
  end

  it("answers with 404 where the configured model is not there", function()
    local settings = { api_key = "key", llm = { provider = "local", model = "none" } }
    local reply = post({ messages = hello }, { settings = settings })
    assert.equal(404, reply.status)
    assert.equal("model_not_found", reply:json().error.code)
  end)

  it("answers with 503 while the host leaves a failing server alone", function()
    load { llm = testing.refuse(502) }
    local reply
    for _ = 1, 20 do
      reply = send { json = { messages = hello }, headers = KEY }
      if reply.status == 503 then break end
    end
    assert.equal(503, reply.status)
    assert.equal("upstream_unavailable", reply:json().error.code)
    assert.is_true(tonumber(reply.headers["retry-after"]) > 0)
  end)

  local refused = { -- param, change
    { "messages", { messages = json.array {} } }, { "messages", { messages = "Hello" } },
    { "messages[0].content", { messages = { { role = "user" } } } },
    { "messages[0].cache", { messages = { { role = "user", content = "x", cache = 1 } } } },
    { "messages[0].tool_call_id", { messages = { { role = "tool", content = "x" } } } },
    { "messages[0].content[0].image_url.url", { messages = { { role = "user",
      content = { { type = "image_url", image_url = { url = "file:///etc/passwd" } } } } } } },
    { "n", { n = 3 } },
    { "max_tokens", { max_tokens = 0 } }, { "max_tokens", { max_tokens = "many" } },
    { "stop", { stop = { "a", "b", "c", "d", "e" } } },
    { "tool_choice", { tool_choice = "required" } },
    { "tools[0].function.name", {
      tools = { { type = "function", ["function"] = { name = "a b" } } },
    } },
    { "stream", { stream = "yes" } }, { "audio", { audio = { voice = "x" } } },
    { "response_format.json_schema", { response_format = { type = "json_schema" } } },
  }
  for _, case in ipairs(refused) do
    it(("refuses %s in %s"):format(case[1], json.encode(case[2])), function()
      local body = { model = "m", messages = hello }
      for name, value in pairs(case[2]) do body[name] = value end
      local reply = post(body, { llm = "unused" })
      assert.equal(400, reply.status)
      assert.equal(case[1], reply:json().error.param)
      assert.equal(0, #plugin.calls)
    end)
  end
end)
