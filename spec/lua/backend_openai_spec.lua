require "spec.support.library"
local json = require "host.json"
local openai = require "moonhook.backend.openai"

local function request(call)
  call.model_config = call.model_config or { provider = "p", model = "m" }
  call.prompt_messages = call.prompt_messages or { { role = "user", content = "hi" } }
  return openai.chat_request(call)
end

local function message(fields)
  return request({ prompt_messages = { fields } }).messages[1]
end

local function part(fields)
  return message({ role = "user", content = { fields } }).content[1]
end

describe("a chat request", function()
  it("holds model, messages and a stream with usage", function()
    assert.same({ model = "m", stream = true, stream_options = { include_usage = true },
      messages = { { role = "user", content = "hi" } } }, request {})
  end)

  it("asks for no usage when it does not stream", function()
    local body = request { stream = false }
    assert.is_false(body.stream)
    assert.is_nil(body.stream_options)
  end)

  it("passes completion_params through, but not over what is ours", function()
    local body = request { stop = { "x" }, model_config = { provider = "p", model = "m",
      completion_params = { temperature = 0, top_p = 1, max_tokens = 5, seed = 7, stop = { "y" },
        model = "evil", stream = false, messages = {}, reasoning_effort = "low" } } }
    assert.same({ 0, 1, 5, 7, { "x" }, "m", true, 1, "low" }, { body.temperature, body.top_p,
      body.max_tokens, body.seed, body.stop, body.model, body.stream, #body.messages,
      body.reasoning_effort })
  end)

  it("keeps the selector's stop when the call has none", function()
    local body = request { model_config = { provider = "p", model = "m",
      completion_params = { stop = { "y" } } } }
    assert.same({ "y" }, body.stop)
  end)

  it("changes nothing that it was given", function()
    local call = {
      model_config = { model = "m", completion_params = { response_format = "JSON" } },
      prompt_messages = { { role = "assistant", content = "", tool_calls = {
        { id = "i", type = "function", index = 0, ["function"] = { name = "f", arguments = "{}" } },
      } } },
      tools = { { name = "f", parameters = {} } }, tool_choice = { mode = "auto" },
    }
    local before = json.encode(call)
    openai.chat_request(call)
    assert.same(json.decode(before), json.decode(json.encode(call)))
  end)

  it("refuses several answers", function()
    local config = { model = "m", completion_params = { n = 2 } }
    local ok, raised = pcall(request, { model_config = config })
    assert.is_false(ok)
    assert.equal("unsupported", raised.code)
  end)

  it("carries every kind of part", function()
    assert.same({ type = "text", text = "x" }, part { type = "text", data = "x" })
    assert.same({ type = "image_url", image_url = { url = "https://x/y.png", detail = "high" } },
      part { type = "image", url = "https://x/y.png", base64_data = "", detail = "high" })
    assert.same({ type = "image_url", image_url = { url = "data:image/png;base64,AA" } },
      part { type = "image", base64_data = "AA", mime_type = "image/png", url = "" })
    assert.same({ type = "input_audio", input_audio = { data = "AA", format = "mp3" } },
      part { type = "audio", base64_data = "AA", mime_type = "audio/mpeg", format = "mp3" })
    assert.same("wav", part({ type = "audio", base64_data = "AA", mime_type = "audio/x-wav" })
      .input_audio.format)
    assert.same({ type = "video_url", video_url = { url = "https://x/v" } },
      part { type = "video", url = "https://x/v" })
    local file = { filename = "a.pdf", file_data = "data:application/pdf;base64,AA" }
    assert.same({ type = "file", file = file }, part { type = "document", base64_data = "AA",
      mime_type = "application/pdf", filename = "a.pdf" })
  end)

  it("refuses what OpenAI has no part for", function()
    for _, wrong in ipairs {
      { type = "audio", url = "u" }, { type = "document", url = "u" }, { type = "hologram" },
    } do
      local ok, raised = pcall(part, wrong)
      assert.is_false(ok)
      assert.equal("unsupported", raised.code)
    end
  end)

  it("carries tool calls and their results", function()
    local call = { id = "i", type = "function", ["function"] = { name = "f", arguments = "{}" } }
    local mapped = message { role = "assistant", content = "", tool_calls = { call } }
    assert.same({ call }, mapped.tool_calls)
    assert.equal(json.null, mapped.content)
    assert.same({ role = "tool", content = "sunny", tool_call_id = "i" },
      message { role = "tool", content = "sunny", tool_call_id = "i", name = "" })
    assert.is_nil(message({ role = "user", content = "x", tool_call_id = "" }).tool_call_id)
  end)

  it("carries names, leaves out Dify's empty ones", function()
    assert.equal("ada", message({ role = "user", content = "x", name = "ada" }).name)
    assert.is_nil(message({ role = "user", content = "x", name = "", tool_calls = {} }).name)
  end)

  it("carries tools and the choice among them", function()
    local tool = { name = "f", description = "d", strict = true, parameters = { type = "object" } }
    local body = request { tools = { tool }, tool_choice = { mode = "tool", name = "f" } }
    assert.same({ { type = "function", ["function"] = { name = "f", description = "d",
      strict = true, parameters = { type = "object" } } } }, body.tools)
    assert.same({ type = "function", ["function"] = { name = "f" } }, body.tool_choice)
    assert.equal("required",
      request({ tools = { tool }, tool_choice = { mode = "required" } }).tool_choice)
    assert.is_nil(request({ tools = {}, tool_choice = { mode = "none" } }).tools)
  end)

  it("knows Dify's way to ask for JSON", function()
    local function format(params)
      local body = request { model_config = { model = "m", completion_params = params } }
      assert.is_nil(body.json_schema)
      return body.response_format
    end
    assert.same({ type = "json_object" }, format { response_format = "JSON" })
    assert.same({ type = "json_object" }, format { response_format = "json_object" })
    assert.same({ type = "json_schema", json_schema = { name = "answer",
      schema = { type = "object" } } },
      format { response_format = "json_schema", json_schema = '{"type":"object"}' })
    assert.same({ type = "json_schema", json_schema = { name = "n", schema = {} } },
      format { response_format = "json_schema", json_schema = '{"name":"n","schema":{}}' })
    local whole = { type = "json_schema", json_schema = { name = "x" } }
    assert.same(whole, format { response_format = whole })
  end)

  it("refuses a schema that cannot be read", function()
    local ok, raised = pcall(request, { model_config = { model = "m", completion_params = {
      response_format = "json_schema", json_schema = "{" } } })
    assert.is_false(ok)
    assert.equal("invalid_param", raised.code)
  end)

  it("encodes empty arrays and objects as what they are", function()
    local tools = json.decode
      '[{"name":"f","parameters":{"type":"object","properties":{},"required":[]}}]'
    local text = json.encode(request { tools = tools })
    assert.truthy(text:find('"properties":{}', 1, true))
    assert.truthy(text:find('"required":[]', 1, true))
  end)
end)
