local library = require "spec.support.library"
local reverse = require "spec.support.reverse"
local json = require "host.json"
local session = require "moonhook.session"

local GPT = { backends = { gpt = { type = "openai" }, dify = { type = "dify" } } }

local function delta(fields, finish_reason)
  return json.encode { id = "x", model = "gpt-4o", choices = { {
    index = 0, delta = fields, finish_reason = finish_reason or json.null,
  } } }
end

local USAGE = json.encode { model = "gpt-4o", choices = json.array {},
  usage = { prompt_tokens = 3, completion_tokens = 2, total_tokens = 5 } }

local function ask(call)
  call = call or {}
  call.model_config = call.model_config or { provider = "gpt", model = "gpt-4o" }
  call.prompt_messages = call.prompt_messages or { { role = "user", content = "hi" } }
  return session.model.llm:invoke(call)
end

local function drain(chunks)
  local seen = {}
  for chunk in chunks do seen[#seen + 1] = chunk end
  return seen
end

local function streamed(pieces, call)
  reverse.script { pieces = pieces }
  return reverse.run(function() return drain(ask(call)) end)
end

describe("session.model.llm:invoke on an OpenAI-compatible server", function()
  before_each(function() reverse.reset(GPT) end)

  it("gives Dify's chunks, numbered, the last with usage and finish_reason", function()
    local chunks = streamed { delta { role = "assistant", content = "" }, delta { content = "He" },
      delta { content = "y" }, delta({}, "stop"), USAGE, "[DONE]" }
    assert.equal(3, #chunks)
    assert.same({ "He", "y", "" }, { chunks[1].delta.message.content,
      chunks[2].delta.message.content, chunks[3].delta.message.content })
    assert.same({ 0, 1, 2 },
      { chunks[1].delta.index, chunks[2].delta.index, chunks[3].delta.index })
    assert.is_nil(chunks[2].delta.usage)
    assert.equal("stop", chunks[3].delta.finish_reason)
    local usage = chunks[3].delta.usage
    assert.same({ 3, 2, 5, "USD", "0" }, { usage.prompt_tokens, usage.completion_tokens,
      usage.total_tokens, usage.currency, usage.total_price })
    local names = 0
    for _ in pairs(usage) do names = names + 1 end
    assert.equal(12, names)
  end)

  -- An event that is like one before it but for its text is not decoded again: what comes out must
  -- be what decoding each of them gives.
  describe("asked by a stream of events that are mostly alike", function()
    local function event(text, rest)
      return ('{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":%s}%s}]}')
        :format(text, rest or "")
    end
    local streams = {
      ["texts"] = { event '"a"', event '"b"', event '"cc"', event '"小猫 é"', event '"\127"' },
      ["escapes"] = {
        event '"a"', event '"\\n"', event '"b"', event [["say \"hi\""]], event '"\\u00e9"',
      },
      ["empty texts"] = { event '"a"', event '""', event '"b"' },
      ["spaces"] = { event ' "a"', event ' "b"', event '"c"', event '  "d"', event '"e" ' },
      ["nulls and others"] = { event '"a"', event "null", event "7", event '"b"' },
      ["fingerprints"] = {
        '{"system_fingerprint":"f","choices":[{"delta":{"content":"a"}}]}',
        '{"system_fingerprint":"f","choices":[{"delta":{"content":"b"}}]}',
        '{"system_fingerprint":"g","choices":[{"delta":{"content":"c"}}]}',
      },
      ["the same name elsewhere"] = {
        '{"content":"x","choices":[{"delta":{"content":"x"}}]}',
        '{"content":"y","choices":[{"delta":{"content":"x"}}]}',
        '{"content":"z","choices":[{"delta":{"content":"x"}}]}',
      },
      ["a name that is escaped"] = {
        [[{"content":"x","choices":[{"delta":{"c\u006fntent":"x"}}]}]],
        [[{"content":"y","choices":[{"delta":{"c\u006fntent":"x"}}]}]],
      },
      ["a name that comes twice"] = {
        '{"choices":[{"delta":{"content":"a","content":"a"}}]}',
        '{"choices":[{"delta":{"content":"b","content":"a"}}]}',
      },
      ["one in between whose place is not known"] = {
        event '"a"', '{"content":"x","model":"n","choices":[{"delta":{"content":"y"}}]}',
        event '"b"', event '"c"',
      },
      ["thoughts"] = {
        '{"choices":[{"delta":{"content":"a","reasoning":"t"}}]}',
        '{"choices":[{"delta":{"content":"b","reasoning":"t"}}]}',
      },
      ["a text in a text"] = {
        event [["{\"content\":\"x\"}"]], event [["{\"content\":\"y\"}"]],
      },
      ["probabilities"] = {
        event('"a"', ',"logprobs":{"x":[1]}'), event('"b"', ',"logprobs":{"x":[1]}'),
      },
      ["a finish in between"] = {
        event '"a"', event('"b"', ',"finish_reason":"stop"'), event '"c"',
      },
      ["ids that change"] = {
        '{"id":"1","choices":[{"delta":{"content":"a"}}]}',
        '{"id":"2","choices":[{"delta":{"content":"b"}}]}',
        '{"id":"3","choices":[{"delta":{"content":"c"}}]}',
        '{"id":"4","choices":[{"delta":{"content":"d"}}]}',
        '{"id":"4","choices":[{"delta":{"content":"e"}}]}',
        '{"id":"5","choices":[{"delta":{"content":"f"}}]}',
      },
      ["bytes that are no text"] = { event '"a"', event '"\255"', event '"b"' },
      ["a control character"] = { event '"a"', event '"\1"', event '"b"' },
      ["escapes first"] = {
        event [["\n"]], event [["\n"]], event [["\n"]], event [["\n"]], event '"a"', event '"b"',
      },
      ["an end in the middle"] = {
        event '"a"', '{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"',
      },
    }

    local function outcome(pieces)
      local all = {}
      for i, piece in ipairs(pieces) do all[i] = piece end
      all[#all + 1], all[#all + 2] = delta({}, "stop"), "[DONE]"
      reverse.script { pieces = all }
      return reverse.run(function()
        local seen = {}
        local ok, problem = pcall(function()
          for chunk in ask() do
            seen[#seen + 1] = json.decode(json.encode(chunk))
            chunk.delta.message.content, chunk.model, chunk.prompt_messages[1] = "changed", nil, 1
            chunk.delta.message.tool_calls[1] = 1
          end
        end)
        return { seen, ok or problem.message }
      end)
    end

    for name, pieces in pairs(streams) do
      it("tells " .. name .. " as decoding each of them does", function()
        local found = outcome(pieces)
        local text_like = json.text_like
        json.text_like, package.loaded["moonhook.session.openai"] = function() end, nil
        reverse.reset(GPT)
        local ok, expected = pcall(outcome, pieces)
        json.text_like, package.loaded["moonhook.session.openai"] = text_like, nil
        assert.is_true(ok, tostring(expected))
        assert.same(expected, found)
      end)
    end

    it("reads only the text where it can", function()
      local decoded, decode_plain = 0, json.decode_plain
      json.decode_plain = function(text)
        decoded = decoded + 1
        return decode_plain(text)
      end
      local pieces = {}
      for i = 1, 50 do pieces[i] = event('"' .. i .. '"') end
      outcome(pieces)
      json.decode_plain = decode_plain
      local is_off = os.getenv "MOONHOOK_FAST_PATHS" == "off"
      assert.equal(is_off, decoded > 50, decoded .. " were decoded")
    end)
  end)

  it("encodes a chunk with Dify's nulls", function()
    local text = json.encode(streamed({ delta { content = "a" }, delta({}, "stop"), "[DONE]" })[1])
    for _, part in ipairs { '"usage":null', '"finish_reason":null', '"system_fingerprint":null',
      '"prompt_messages":[]', '"tool_calls":[]' } do
      assert.truthy(text:find(part, 1, true), part .. " in " .. text)
    end
  end)

  it("asks for usage and closes the call after [DONE]", function()
    streamed { delta({ content = "a" }, "stop"), "[DONE]" }
    assert.same({ include_usage = true }, reverse.calls[1].body.stream_options)
    assert.is_true(reverse.calls[1].is_closed)
  end)

  it("takes usage that comes with every event, once", function()
    local with = json.encode { choices = { { delta = { content = "a" } } },
      usage = { prompt_tokens = 1, completion_tokens = 1, total_tokens = 2 } }
    local last = json.encode { choices = { { delta = {}, finish_reason = "stop" } },
      usage = { prompt_tokens = 1, completion_tokens = 2, total_tokens = 3 } }
    local chunks = streamed { with, with, last, "[DONE]" }
    assert.is_nil(chunks[1].delta.usage)
    assert.equal(3, chunks[3].delta.usage.total_tokens)
    assert.same({ { "gpt", 1, 2 } }, reverse.used)
  end)

  it("ends at a finish_reason without [DONE], and at [DONE] without a finish_reason", function()
    assert.equal("stop", streamed({ delta({ content = "a" }, "stop") })[1].delta.finish_reason)
    assert.equal(1, #streamed { delta { content = "a" }, "[DONE]" })
  end)

  it("keeps text and tool calls that come after the finish_reason", function()
    local chunks = streamed { delta({ content = "a" }, "stop"), delta { content = "b" }, "[DONE]" }
    assert.equal("ab", chunks[1].delta.message.content)
  end)

  it("raises when the stream breaks off", function()
    reverse.script { pieces = { delta { content = "a" } } }
    local raised = reverse.failure(function() drain(ask()) end)
    assert.equal("upstream_truncated", raised.code)
    reverse.script { pieces = {} }
    assert.equal("upstream_truncated", reverse.failure(function() ask() end).code)
  end)

  it("raises an error event with its fields", function()
    local bad = json.encode { error = { message = "SECRET", code = "c", type = "t", param = "p" } }
    reverse.script { pieces = { delta { content = "a" }, bad } }
    local raised = reverse.failure(function() drain(ask()) end)
    assert.same({ "upstream_error", "SECRET", "c", "t", "p" }, { raised.code,
      raised.upstream_message, raised.upstream_code, raised.upstream_type, raised.upstream_param })
    assert.is_nil(raised.message:find "SECRET")
  end)

  it("names the place of a malformed event and closes the call", function()
    for _, piece in ipairs { "{", "[]x", "1", '"x"', '{"choices":1}', '{"choices":[1]}',
      '{"choices":[null]}', '{"choices":[{"delta":1}]}', '{"choices":[{"delta":{"content":1}}]}',
      '{"choices":[{"delta":{"tool_calls":[1]}}]}', '{"choices":[{"delta":{"tool_calls":1}}]}',
      '{"choices":[{"delta":{"tool_calls":[{"function":1}]}}]}', '{"choices":[],"usage":1}' } do
      reverse.reset(GPT)
      reverse.script { pieces = { delta { content = "a" }, piece, "[DONE]" } }
      local raised = reverse.failure(function() drain(ask()) end)
      assert.equal("upstream_error", raised.code, piece)
      assert.truthy(raised.message:find("event 2", 1, true), piece)
      assert.is_true(reverse.calls[1].is_closed)
    end
  end)

  it("survives odd but harmless values", function()
    for _, piece in ipairs { '{"choices":[{"delta":{"role":1}}]}', '{"choices":[]}', "{}",
      '{"choices":[{"delta":{"content":null,"tool_calls":null}}],"usage":null}',
      '{"choices":[{"delta":{"content":"x","refusal":1},"finish_reason":2}],"model":5}',
      '{"choices":[{"delta":{"tool_calls":[{"index":"0","id":5,"function":{"name":1}}]}}]}',
      '{"choices":[{"delta":{}}],"usage":{"prompt_tokens":"3"}}' } do
      streamed { piece, delta({}, "stop"), "[DONE]" }
    end
  end)

  it("raises a refusal in invoke, with status, words and Retry-After in the fields", function()
    reverse.script { status = 429, headers = { ["retry-after"] = "7" },
      pieces = { '{"error":{"message":"SECRET","code":"rate"}}' } }
    local raised = reverse.failure(function() ask() end)
    assert.same({ "upstream_error", 429, "SECRET", "rate", "7", "gpt" }, { raised.code,
      raised.upstream_status, raised.upstream_message, raised.upstream_code, raised.retry_after,
      raised.backend })
    assert.is_nil(tostring(raised):find "SECRET")
    assert.is_true(reverse.calls[1].is_closed)
  end)

  it("understands a refusal without a readable body", function()
    for _, body in ipairs { "<html>", "", '{"error":"words"}', '{"error":7}', "[]", "null" } do
      reverse.script { status = 500, pieces = { body } }
      local raised = reverse.failure(function() ask { stream = false } end)
      assert.same({ "upstream_error", 500 }, { raised.code, raised.upstream_status })
    end
  end)

  it("gives a result when stream is false", function()
    library.now = 100
    reverse.script { pieces = { json.encode { model = "gpt-4o", system_fingerprint = "fp",
      choices = { { message = { role = "assistant", content = "Hey" }, finish_reason = "stop" } },
      usage = { prompt_tokens = 3, completion_tokens = 2, total_tokens = 5 } } } }
    local result = reverse.run(function() return ask { stream = false } end)
    assert.is_false(reverse.calls[1].body.stream)
    assert.is_nil(reverse.calls[1].body.stream_options)
    assert.same({ "Hey", "gpt-4o", "fp", "stop", 5 }, { result.message.content, result.model,
      result.system_fingerprint, result.finish_reason, result.usage.total_tokens })
    assert.same({}, result.prompt_messages)
  end)

  it("raises for a result without a message", function()
    for _, body in ipairs { "{", "[]", "{}", '{"choices":[]}', '{"choices":[{"message":1}]}' } do
      reverse.script { pieces = { body } }
      local raised = reverse.failure(function() ask { stream = false } end)
      assert.equal("upstream_error", raised.code)
    end
  end)

  it("keeps the fragments of tool calls apart by their index", function()
    local function fragment(index, id, name, arguments)
      return delta { tool_calls = { { index = index, id = id, type = id and "function",
        ["function"] = { name = name, arguments = arguments } } } }
    end
    local pieces = { fragment(0, "c0", "f", ""), fragment(0, nil, nil, '{"a"'),
      fragment(1, "c1", "g", "{}"), fragment(0, nil, nil, ":1}"), delta({}, "tool_calls"),
      "[DONE]" }
    local chunks = streamed(pieces)
    local second = chunks[2].delta.message.tool_calls[1]
    assert.same({ index = 0, id = "", type = "", ["function"] = { name = "", arguments = '{"a"' } },
      second)

    reverse.script { pieces = pieces }
    local result = reverse.run(function() return ask():collect() end)
    assert.equal("tool_calls", result.finish_reason)
    assert.same({
      { id = "c0", type = "function", ["function"] = { name = "f", arguments = '{"a":1}' } },
      { id = "c1", type = "function", ["function"] = { name = "g", arguments = "{}" } },
    }, result.message.tool_calls)
  end)

  it("keeps what a model thought, under either name", function()
    reverse.script { pieces = { delta { reasoning_content = "hm" }, delta { reasoning = "m" },
      delta { content = "a" }, delta({}, "stop"), "[DONE]" } }
    local result = reverse.run(function() return ask():collect() end)
    assert.same({ "hmm", "a" }, { result.message.reasoning_content, result.message.content })
  end)

  it("times out as the transport says", function()
    reverse.script { pieces = {}, failure = { "upstream_timeout", "no head for 60 s" } }
    assert.equal("upstream_timeout", reverse.failure(function() ask() end).code)
  end)
end)

describe("session.model.llm:invoke on a backend that speaks Dify's chunks", function()
  before_each(function() reverse.reset(GPT) end)

  local CONFIG = { provider = "langgenius/openai/openai", model = "gpt-4o", model_type = "llm",
    mode = "chat", completion_params = { temperature = 0.2 } }

  local function chunk(content, usage, extra)
    local message = { role = "assistant", content = content, tool_calls = extra }
    return json.encode { model = "m", prompt_messages = json.array {},
      delta = { index = 0, message = message, usage = usage } }
  end

  it("sends the selector's fields", function()
    reverse.script { pieces = { chunk "a" } }
    reverse.run(function() return drain(ask { model_config = CONFIG, stop = { "x" } }) end)
    assert.same({ type = "llm", provider = CONFIG.provider, model = "gpt-4o", mode = "chat",
      completion_params = { temperature = 0.2 }, stream = true, stop = { "x" }, tools = json.null,
      prompt_messages = { { role = "user", content = "hi", name = "", tool_call_id = "",
        tool_calls = json.null } } }, reverse.calls[1].body)
  end)

  it("joins chunks: texts, the sum of tokens, the last tool calls, the last price", function()
    local function usage(tokens, price)
      return { prompt_tokens = tokens, completion_tokens = 1, total_tokens = tokens + 1,
        total_price = price }
    end
    local call = { { id = "i", type = "function", ["function"] = { name = "f", arguments = "" } } }
    reverse.script { pieces = { chunk("a", usage(1, "1")), chunk("b", nil, call),
      chunk("", usage(2, "2")) } }
    local result = reverse.run(function() return ask { model_config = CONFIG, stream = false } end)
    assert.same({ "ab", 3, 2, 5, "2", "f" }, { result.message.content, result.usage.prompt_tokens,
      result.usage.completion_tokens, result.usage.total_tokens, result.usage.total_price,
      result.message.tool_calls[1]["function"].name })
  end)

  it("keeps parts that are not text", function()
    local image = { type = "image", url = "u" }
    reverse.script { pieces = { chunk "a", chunk { image } } }
    local result = reverse.run(function() return ask { model_config = CONFIG, stream = false } end)
    assert.same({ { type = "text", data = "a" }, image }, result.message.content)
  end)

  it("gives empty usage when none came", function()
    reverse.script { pieces = { chunk "a" } }
    local result = reverse.run(function() return ask { model_config = CONFIG, stream = false } end)
    assert.same({ 0, "USD" }, { result.usage.total_tokens, result.usage.currency })
  end)

  it("raises for no chunk at all and for what is none", function()
    reverse.script { pieces = {} }
    local failure = reverse.failure(function() ask { model_config = CONFIG, stream = false } end)
    assert.same({ "upstream_error", "No response from llm" }, { failure.code, failure.detail })
    reverse.script { pieces = { chunk "a", '{"delta":{"message":null}}' } }
    local raised = reverse.failure(function() drain(ask { model_config = CONFIG }) end)
    assert.truthy(raised.message:find("event 2", 1, true))
  end)
end)

describe("session.model.llm:invoke, called wrongly", function()
  before_each(function() reverse.reset(GPT) end)

  local function problem(call)
    local raised = reverse.failure(function() ask(call) end)
    assert.equal("string", type(raised), tostring(raised))
    assert.truthy(raised:find("session_llm_spec.lua", 1, true), raised)
    return (raised:gsub("^.-: session%.model%.llm:invoke: ", ""))
  end

  local WRONG = {
    { { model_config = { model = "m" } }, "model_config.provider: expected a string, got nil" },
    { { model_config = { provider = "p" } }, "model_config.model: expected a string, got nil" },
    { { model_config = "gpt" }, 'model_config: expected a table { provider, model }, got "gpt"' },
    { { model_config = { provider = "p", model = "m", completion_params = 1 } },
      "model_config.completion_params: expected a table, got 1" },
    { { prompt_messages = {} }, "prompt_messages: expected at least one message, got none" },
    { { prompt_messages = { role = "user" } },
      "prompt_messages: expected an array of messages, got a table" },
    { { prompt_messages = { "hi" } },
      'prompt_messages[1]: expected a table { role, content }, got "hi"' },
    { { prompt_messages = { { role = "bot", content = "" } } }, "prompt_messages[1].role: expected "
      .. 'one of "system", "user", "assistant", "tool", "developer", got "bot"' },
    { { prompt_messages = { { role = "user" } } },
      "prompt_messages[1].content: expected a string or an array of parts, got nil" },
    { { prompt_messages = { { role = "tool", content = "x" } } },
      "prompt_messages[1].tool_call_id: expected a string, got nil" },
    { { prompt_messages = { { role = "user", content = { { type = "text", text = "x" } } } } },
      "prompt_messages[1].content[1].data: expected a string, got nil" },
    { { prompt_messages = { { role = "user", content = { { type = "image" } } } } },
      "prompt_messages[1].content[1]: expected url or base64_data, got neither" },
    { { tools = { { type = "function", ["function"] = {} } } }, "tools[1].name: expected a string, "
      .. "got nil (tools are Dify's { name, description, parameters }, without `function`)" },
    { { tool_choice = { mode = "tool" } }, "tool_choice.name: expected a string, got nil" },
    { { stop = { 1 } }, "stop[1]: expected a string, got 1" },
    { { stream = "yes" }, 'stream: expected a boolean, got "yes"' },
    { { messages = {} }, "unknown argument 'messages'" },
  }

  for _, case in ipairs(WRONG) do
    it("says: " .. case[2], function()
      assert.equal(case[2], problem(case[1]):sub(1, #case[2]))
    end)
  end

  it("does not show long texts", function()
    local text = problem { prompt_messages = { { role = ("x"):rep(50), content = "" } } }
    assert.truthy(text:find("got a string of 50 bytes", 1, true))
  end)
end)
