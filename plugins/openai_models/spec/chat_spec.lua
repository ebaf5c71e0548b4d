local plugin = require("spec.support.plugin").load "plugins/openai_models"
local json = require "moonhook.json"
local Error = require "moonhook.error"

local KEY = { { "Authorization", "Bearer key" } }
local hello = json.array { { role = "user", content = "Hello" } }

-- A session whose model gives these chunks; what it was asked is kept in `asked`.
local function session_of(chunks, failure)
  local session, asked = { model = { llm = {} } }, {}
  function session.model:list() return {} end
  function session.model.llm:invoke(call)
    asked[#asked + 1] = call
    if failure and #chunks == 0 then error(failure, 0) end
    if not call.stream then return chunks end
    local i = 0
    return function()
      i = i + 1
      if chunks[i] == nil and failure then error(failure, 0) end
      return chunks[i]
    end
  end
  return session, asked
end

local function delta(message, more)
  local chunk = { model = "m", delta = { index = 0, message = message } }
  for name, value in pairs(more or {}) do chunk.delta[name] = value end
  return chunk
end

local function post(body, session, settings)
  local reply = plugin.call("endpoints/llm.lua", {
    json = body, headers = KEY, session = session,
    settings = settings or { api_key = "key", llm = { provider = "local", model = "demo" } },
  })
  if reply.body:sub(1, 1) == "{" then reply.json = json.decode(reply.body) end
  return reply
end

local function events(reply)
  local list = {}
  for data in reply.body:gmatch "data: ([^\n]*)\n\n" do
    list[#list + 1] = data == "[DONE]" and data or json.decode(data)
  end
  return list
end

describe("POST /v1/chat/completions", function()
  it("asks for the key before it reads the body", function()
    local reply = plugin.call("endpoints/llm.lua", { body = "{", settings = { api_key = "key" } })
    assert.equal(401, reply.status)
    assert.equal("Bearer", reply.headers["www-authenticate"])
  end)

  it("takes no key where the setting is empty", function()
    local reply = plugin.call("endpoints/llm.lua", {
      body = "{}", headers = { { "Authorization", "Bearer " } }, settings = { api_key = "" },
    })
    assert.equal(401, reply.status)
  end)

  it("answers an unreadable body with OpenAI's error", function()
    local reply = plugin.call("endpoints/llm.lua", {
      body = "{", headers = KEY, settings = { api_key = "key" },
    })
    assert.equal(400, reply.status)
    assert.equal("invalid_request_error", json.decode(reply.body).error.type)
    assert.equal(json.null, json.decode(reply.body).error.param)
  end)

  it("lets the request's parameters override the selector's", function()
    local session, asked = session_of { message = { content = "x" }, usage = {} }
    local llm = {
      provider = "local", model = "demo",
      completion_params = { temperature = 1, top_k = 3, max_tokens = 5, stop = { "a" } },
    }
    post({ messages = hello, temperature = 0, max_completion_tokens = 9, stop = "b" }, session,
      { api_key = "key", llm = llm })
    assert.same({ temperature = 0, top_k = 3, max_completion_tokens = 9 },
      asked[1].model_config.completion_params)
    assert.same({ "b" }, asked[1].stop)
    assert.equal(1, llm.completion_params.temperature)
  end)

  it("sends the role once, the text, a reason and the end", function()
    local session = session_of { delta { content = "Hel" }, delta { content = "lo" },
      delta({ content = "" }, { finish_reason = "length" }) }
    local list = events(post({ messages = hello, stream = true }, session))
    assert.same({ role = "assistant", content = "Hel" }, list[1].choices[1].delta)
    assert.same({ content = "lo" }, list[2].choices[1].delta)
    assert.equal("length", list[3].choices[1].finish_reason)
    assert.equal("[DONE]", list[4])
    assert.equal(list[1].id, list[3].id)
    assert.is_nil(list[3].usage)
  end)

  it("sends the usage after all else, only when asked", function()
    local usage = { prompt_tokens = 1, completion_tokens = 2, total_tokens = 3, total_price = "0" }
    local last = { finish_reason = "stop", usage = usage }
    local session = session_of { delta({ content = "x" }, last) }
    local options = { include_usage = true }
    local body = { messages = hello, stream = true, stream_options = options }
    local list = events(post(body, session))
    assert.equal(json.null, list[1].usage)
    assert.same({}, list[3].choices)
    assert.same({ prompt_tokens = 1, completion_tokens = 2, total_tokens = 3 }, list[3].usage)
  end)

  it("gives tool calls without an index one by their ids", function()
    local function call(id, name, arguments)
      return delta { content = "", tool_calls = {
        { id = id, type = "function", ["function"] = { name = name, arguments = arguments } } } }
    end
    local session = session_of { call("a", "f", ""), call("", "", "{}"), call("b", "g", "{}") }
    local list = events(post({ messages = hello, stream = true }, session))
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
    local calls = { { id = "a", ["function"] = { name = "f", arguments = "{}" } } }
    local session = session_of {
      message = { content = "", tool_calls = calls },
      usage = { prompt_tokens = 1, completion_tokens = 1, total_tokens = 2 },
      finish_reason = "tool_calls",
    }
    local choice = post({ messages = hello }, session).json.choices[1]
    assert.equal(json.null, choice.message.content)
    assert.equal("a", choice.message.tool_calls[1].id)
    assert.equal("tool_calls", choice.finish_reason)
  end)

  it("says what broke in a last event and breaks off before [DONE]", function()
    local failure = Error.new("upstream_truncated", "the upstream's answer broke off")
    local session = session_of({ delta { content = "Hal" } }, failure)
    local reply = post({ messages = hello, stream = true }, session)
    local list = events(reply)
    assert.equal(2, #list)
    assert.equal("upstream_error", list[2].error.code)
    assert.equal(failure, reply.raised)
  end)

  local mapped = { -- error, status, code
    { Error.new("upstream_error", "x", { upstream_status = 429, retry_after = "3" }), 429,
      "rate_limit_exceeded" },
    { Error.new("upstream_error", "x", { upstream_status = 503 }), 502, "upstream_error" },
    { Error.new("upstream_timeout", "x"), 504, "upstream_timeout" },
    { Error.new("upstream_unavailable", "x", { retry_after_s = 3 }), 503,
      "upstream_unavailable" },
    { Error.new("not_found", "x"), 404, "model_not_found" },
    { Error.new("unsupported", "x", { param = "messages" }), 400, "unsupported_parameter" },
    { Error.new("upstream_error", "x", {
      upstream_status = 400, upstream_code = "context_length_exceeded", upstream_message = "SECRET",
    }), 400, "context_length_exceeded" },
  }
  for _, case in ipairs(mapped) do
    local cause = case[1].upstream_status or ""
    it(("answers %s %s with %d"):format(case[1].code, cause, case[2]), function()
      for _, is_streaming in ipairs { false, true } do
        local reply = post({ messages = hello, stream = is_streaming }, (session_of({}, case[1])))
        assert.equal(case[2], reply.status)
        assert.equal(case[3], reply.json.error.code)
        assert.is_nil(reply.body:find("SECRET", 1, true))
        local seconds = case[1].retry_after or case[1].retry_after_s
        assert.equal(seconds and tostring(seconds), reply.headers["retry-after"])
      end
    end)
  end

  it("leaves a cancelled call to the host", function()
    local failure = Error.new("cancelled", "the client left")
    local ok, raised = pcall(post, { messages = hello }, (session_of({}, failure)))
    assert.is_false(ok)
    assert.equal(failure, raised)
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
      local session, asked = session_of {}
      local reply = post(body, session)
      assert.equal(400, reply.status)
      assert.equal(case[1], reply.json.error.param)
      assert.equal(0, #asked)
    end)
  end
end)
