-- Every kind of model call but chat and text embedding, on the backends that carry it.
local library = require "spec.support.library"
local reverse = require "spec.support.reverse"
local json = require "host.json"
local session = require "moonhook.session"

local GPT = { provider = "gpt", model = "m" }
local CONFIG = { backends = { gpt = { type = "openai", models = { llm = { "gpt-first" } } } } }

local function config_of(fields)
  local config = { provider = "gpt", model = "m" }
  for name, value in pairs(fields) do config[name] = value end
  return config
end

local function answers(...)
  for _, body in ipairs { ... } do
    reverse.script { pieces = { type(body) == "table" and json.encode(body) or body } }
  end
end

-- The text of an author's mistake, without the place, which must be in this file.
local function mistake(body)
  local raised = reverse.failure(body)
  assert.equal("string", type(raised))
  local place, text = raised:match "^(%S+session_models_spec%.lua:%d+): (.*)$"
  assert.truthy(place, raised)
  return text
end

before_each(function() reverse.reset(CONFIG) end)

describe("session.model.llm_structured_output:invoke", function()
  local SCHEMA = { type = "object", properties = { name = { type = "string" } } }

  local function ask(fields)
    local call = { model_config = GPT, structured_output_schema = SCHEMA,
      prompt_messages = { { role = "user", content = "who?" } } }
    for name, value in pairs(fields or {}) do call[name] = value end
    return session.model.llm_structured_output:invoke(call)
  end

  local function delta(content, finish_reason)
    return json.encode { choices = { { delta = { content = content },
      finish_reason = finish_reason or json.null } } }
  end

  local function whole(content, fields)
    local message = { content = content }
    for name, value in pairs(fields or {}) do message[name] = value end
    return { choices = { { message = message, finish_reason = message.finish_reason or "stop" } } }
  end

  it("asks for the schema and gives the value", function()
    answers(whole '{"name":"Ada"}')
    local result = reverse.run(function() return ask { stream = false } end)
    assert.same({ name = "Ada" }, result.structured_output)
    assert.equal('{"name":"Ada"}', result.message.content)
    assert.same({ type = "json_schema", json_schema = { name = "answer", schema = SCHEMA } },
      reverse.calls[1].body.response_format)
    assert.equal("llm", reverse.calls[1].kind)
  end)

  it("is strict where the schema allows it", function()
    local strict = { type = "object", additionalProperties = false, required = { "a" },
      properties = { a = { type = "array", items = { type = "string" } } } }
    for _, case in ipairs {
      { strict, true },
      { { type = "object", properties = strict.properties, required = { "a" } }, nil },
      { { type = "object", additionalProperties = false, required = {},
        properties = strict.properties }, nil },
      { { type = "object", additionalProperties = false, required = { "a" },
        properties = { a = { type = "array", items = { type = "object" } } } }, nil },
      { { anyOf = { strict, { type = "object" } } }, nil },
    } do
      answers(whole "{}")
      reverse.run(function() ask { stream = false, structured_output_schema = case[1] } end)
      assert.equal(case[2], reverse.calls[#reverse.calls].body.response_format.json_schema.strict)
    end
  end)

  it("keeps other parameters, and leaves what it was given alone", function()
    local config = config_of { completion_params = { temperature = 0, response_format = "text" } }
    answers(whole "{}")
    reverse.run(function() ask { stream = false, model_config = config } end)
    assert.equal(0, reverse.calls[1].body.temperature)
    assert.equal("text", config.completion_params.response_format)
  end)

  it("streams the text and ends with the value", function()
    reverse.script { pieces = { delta '{"name":', delta '"Ada"}', delta("", "stop"), "[DONE]" } }
    local chunks = reverse.run(function()
      local chunks = {}
      for chunk in ask() do chunks[#chunks + 1] = chunk end
      return chunks
    end)
    assert.equal(3, #chunks)
    assert.is_nil(chunks[2].structured_output)
    assert.same({ name = "Ada" }, chunks[3].structured_output)
  end)

  it("collects the value, also where no finish_reason came", function()
    for _, pieces in ipairs {
      { delta '{"name":"Ada"}', delta("", "stop"), "[DONE]" },
      { delta '{"name":"Ada"}', "[DONE]" },
    } do
      reverse.script { pieces = pieces }
      local result = reverse.run(function() return ask():collect() end)
      assert.same({ name = "Ada" }, result.structured_output)
      assert.equal('{"name":"Ada"}', result.message.content)
    end
  end)

  it("finds JSON between fences and words", function()
    for _, text in ipairs { '```json\n{"name":"Ada"}\n```', 'Here: {"name":"Ada"} - done.' } do
      answers(whole(text))
      local result = reverse.run(function() return ask { stream = false } end)
      assert.same({ name = "Ada" }, result.structured_output)
    end
  end)

  it("raises for what is not JSON, and says why it can be", function()
    for text, why in pairs {
      ["no, sorry SECRET"] = "is not the JSON", ['{"a":'] = "is not the JSON", ["7"] = "is not",
    } do
      answers(whole(text))
      local raised = reverse.failure(function() ask { stream = false } end)
      assert.equal("upstream_error", raised.code)
      assert.truthy(raised.message:find(why, 1, true))
      assert.is_nil(raised.message:find "SECRET")
    end
    answers(whole('{"a":', { finish_reason = "length" }))
    assert.truthy(reverse.failure(function() ask { stream = false } end).message:find "cut off")
    answers(whole("", { refusal = "I will not" }))
    assert.truthy(reverse.failure(function() ask { stream = false } end).message:find "refusal")
    reverse.script { pieces = { delta "no", delta("", "stop"), "[DONE]" } }
    assert.equal("upstream_error",
      reverse.failure(function() for _ in ask() do end end).code)
  end)

  it("leaves an answer of tool calls without a value", function()
    answers(whole("", { tool_calls = { { id = "1", ["function"] = { name = "f" } } } }))
    local result = reverse.run(function() return ask { stream = false } end)
    assert.is_nil(result.structured_output)
    assert.equal(1, #result.message.tool_calls)
  end)

  it("works on the built-in model", function()
    local config = { provider = "local", model = "demo" }
    local result = reverse.run(function() return ask { model_config = config, stream = false } end)
    assert.equal("table", type(result.structured_output))
    local collected = reverse.run(function() return ask({ model_config = config }):collect() end)
    assert.same(result.structured_output, collected.structured_output)
  end)

  it("names its author's mistakes", function()
    assert.equal("session.model.llm_structured_output:invoke: structured_output_schema: expected a "
      .. "JSON schema as a table, got nil", mistake(function()
      session.model.llm_structured_output:invoke { model_config = GPT,
        prompt_messages = { { role = "user", content = "x" } } }
    end))
  end)
end)

describe("session.model.text_embedding:invoke_multimodal", function()
  local DOCUMENTS = { { content = "a", content_type = "text" }, { content = "b",
    content_type = "text" } }

  local function embed(config, documents)
    return session.model.text_embedding:invoke_multimodal {
      model_config = config, documents = documents or DOCUMENTS,
    }
  end

  it("sends texts to an OpenAI-compatible server", function()
    answers { data = { { embedding = { 1 } }, { embedding = { 2 } } } }
    local result = reverse.run(function() return embed(GPT) end)
    assert.same({ { 1 }, { 2 } }, result.embeddings)
    assert.same({ "a", "b" }, reverse.calls[1].body.input)
  end)

  it("gives the built-in model's vectors", function()
    local config = { provider = "local", model = "demo-embedding" }
    local result = reverse.run(function() return embed(config) end)
    assert.same({ 2, 384 }, { #result.embeddings, #result.embeddings[1] })
  end)

  it("refuses images where they cannot be sent", function()
    for _, config in ipairs { GPT, { provider = "local", model = "demo-embedding" } } do
      local raised = reverse.failure(function()
        embed(config, { { content = "aGk=", content_type = "image" } })
      end)
      assert.equal("unsupported", raised.code)
    end
  end)

  it("names its author's mistakes", function()
    for expected, documents in pairs {
      ["documents[1].content: expected a string, got nil"] = { { content_type = "text" } },
      ['documents[1].content_type: expected one of "text", "image", got "video"'] =
        { { content = "x", content_type = "video" } },
      ["documents[1]: expected a table { content, content_type }, got \"x\""] = { "x" },
      ["documents: expected at least one document, got none"] = {},
    } do
      assert.equal("session.model.text_embedding:invoke_multimodal: " .. expected,
        mistake(function() session.model.text_embedding:invoke_multimodal {
          model_config = GPT, documents = documents } end))
    end
  end)
end)

describe("session.model.rerank:invoke", function()
  local DOCS = { "cats purr", "dogs bark", "the moon" }

  local function rerank(config, query)
    return reverse.run(function()
      return session.model.rerank:invoke {
        model_config = config, docs = DOCS, query = query or "moon",
      }
    end)
  end

  it("asks in the common shape and sorts by score", function()
    answers { model = "r-1", results = {
      { index = 0, relevance_score = 0.1 }, { index = 2, relevance_score = 0.9 },
      { index = 1, relevance_score = 0.5 },
    } }
    local result = rerank(config_of { top_n = 2, score_threshold = 0.2 })
    assert.same({ model = "m", query = "moon", documents = DOCS, top_n = 2,
      return_documents = false }, reverse.calls[1].body)
    assert.equal("rerank", reverse.calls[1].kind)
    assert.same({ model = "r-1", docs = {
      { index = 2, text = "the moon", score = 0.9 }, { index = 1, text = "dogs bark", score = 0.5 },
    } }, result)
  end)

  it("raises for results that are none", function()
    for _, body in ipairs { "{", "{}", '{"results":[1]}', '{"results":[{"index":0}]}',
      '{"results":[{"index":9,"relevance_score":1}]}',
      '{"results":[{"index":0.5,"relevance_score":1}]}',
      '{"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]}' } do
      answers(body)
      local raised = reverse.failure(function()
        session.model.rerank:invoke { model_config = GPT, docs = DOCS, query = "q" }
      end)
      assert.equal("upstream_error", raised.code, body)
    end
  end)

  it("ranks by nearness on the built-in model", function()
    local config = { provider = "local", model = "demo-rerank", top_n = 1, score_threshold = 0.01 }
    local result = rerank(config, "a purring cat")
    assert.equal(1, #result.docs)
    assert.same({ 0, "cats purr" }, { result.docs[1].index, result.docs[1].text })
    assert.is_true(result.docs[1].score > 0 and result.docs[1].score <= 1)
    local all = rerank { provider = "local", model = "demo-rerank" }
    assert.same({ 3, 2 }, { #all.docs, all.docs[1].index })
  end)

  it("takes texts as documents, too", function()
    answers { results = { { index = 0, relevance_score = 1 } } }
    local builtin = { provider = "local", model = "demo-rerank" }
    local function multimodal(config, kind)
      return session.model.rerank:invoke_multimodal { model_config = config,
        query = { content = "q", content_type = "text" },
        docs = { { content = "d", content_type = kind } } }
    end
    local function docs_of(config)
      return reverse.run(function() return multimodal(config, "text").docs end)
    end
    assert.same({ { index = 0, text = "d", score = 1 } }, docs_of(GPT))
    assert.equal("d", docs_of(builtin)[1].text)
    for _, config in ipairs { GPT, builtin } do
      local raised = reverse.failure(function() multimodal(config, "image") end)
      assert.equal("unsupported", raised.code)
    end
  end)

  it("names its author's mistakes", function()
    assert.equal("session.model.rerank:invoke: model_config.top_n: expected a number, got \"3\"",
      mistake(function() session.model.rerank:invoke { model_config = config_of { top_n = "3" },
        docs = DOCS, query = "q" } end))
    assert.equal("session.model.rerank:invoke: docs: expected at least one text, got none",
      mistake(function()
        session.model.rerank:invoke { model_config = GPT, docs = {}, query = "q" }
      end))
    assert.truthy(mistake(function()
      session.model.rerank:invoke_multimodal { model_config = GPT, docs = DOCS, query = {} }
    end):find("query.content: expected a string, got nil", 1, true))
  end)
end)

describe("session.model.tts:invoke", function()
  local function speak(fields)
    local call = { model_config = config_of { voice = "alloy" }, content_text = "hello" }
    for name, value in pairs(fields or {}) do call[name] = value end
    return session.model.tts:invoke(call)
  end

  it("gives the sound as it comes", function()
    reverse.script { pieces = { "ab\0", "\255c" } }
    local pieces = reverse.run(function()
      local pieces = {}
      for piece in speak() do pieces[#pieces + 1] = piece end
      return pieces
    end)
    assert.same({ "ab\0", "\255c" }, pieces)
    local call = reverse.calls[1]
    assert.same({ "tts", true }, { call.kind, call.options.stream })
    assert.same({ model = "m", input = "hello", voice = "alloy" }, call.body)
  end)

  it("collects it", function()
    reverse.script { pieces = { "ab", "c" } }
    assert.equal("abc", reverse.run(function() return speak():collect() end))
  end)

  it("raises when it breaks off, is refused or empty", function()
    reverse.script { pieces = { "ab" }, failure = { "upstream_error", "upstream_truncated: x" } }
    assert.equal("upstream_truncated", reverse.failure(function() speak():collect() end).code)
    reverse.script { pieces = {} }
    assert.equal("upstream_truncated", reverse.failure(function() speak() end).code)
    reverse.script { status = 400, pieces = { '{"error":{"message":"no such voice"}}' } }
    local raised = reverse.failure(function() speak() end)
    assert.same({ "upstream_error", 400, "no such voice" },
      { raised.code, raised.upstream_status, raised.upstream_message })
  end)

  it("is not carried by the built-in backend", function()
    local raised = reverse.failure(function()
      speak { model_config = { provider = "local", model = "x" } }
    end)
    assert.same({ "unsupported", "the backend 'local' does not carry 'tts' calls" },
      { raised.code, raised.message })
  end)

  it("names its author's mistakes", function()
    assert.equal("session.model.tts:invoke: model_config.voice: expected a string, got 7",
      mistake(function()
        session.model.tts:invoke { model_config = config_of { voice = 7 }, content_text = "a" }
      end))
    assert.equal('session.model.tts:invoke: content_text: expected a text, got ""',
      mistake(function() session.model.tts:invoke { model_config = GPT, content_text = "" } end))
  end)
end)

describe("session.model.speech2text:invoke", function()
  local WAV = "RIFF\1\2\3\4WAVEfmt "

  local function hear(file, config)
    return session.model.speech2text:invoke { model_config = config or GPT, file = file }
  end

  it("sends a form and gives the text", function()
    answers { text = "hello" }
    local config = config_of { completion_params = { language = "en",
      timestamp_granularities = { "word" } } }
    local text = reverse.run(function() return hear(WAV, config) end)
    assert.equal("hello", text)
    local call = reverse.calls[1]
    local boundary = call.options.content_type:match "^multipart/form%-data; boundary=([%w%-]+)$"
    assert.equal("speech2text", call.kind)
    local function part(head, body)
      return ("--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n")
        :format(boundary, head, body)
    end
    assert.equal(part('name="language"', "en") .. part('name="model"', "m")
      .. part('name="response_format"', "json") .. part('name="timestamp_granularities[]"', "word")
      .. part('name="file"; filename="recording.wav"\r\nContent-Type: audio/wav', WAV)
      .. "--" .. boundary .. "--\r\n", call.text)
  end)

  it("knows recordings by how they begin", function()
    for bytes, extension in pairs {
      [WAV] = "wav", ["OggS..."] = "ogg", ["fLaC..."] = "flac", ["ID3..."] = "mp3",
      ["\255\251.."] = "mp3", ["\0\0\0\24ftypM4A "] = "m4a", ["\26\69\223\163"] = "webm",
      ["?"] = "mp3",
    } do
      answers { text = "" }
      reverse.run(function() hear(bytes) end)
      local sent = reverse.calls[#reverse.calls].text
      assert.truthy(sent:find('filename="recording.' .. extension .. '"', 1, true), extension)
    end
  end)

  it("takes an uploaded file with its name, made harmless", function()
    answers { text = "x" }
    reverse.run(function()
      hear { body = WAV, filename = 'a"\r\nX: y.wav', content_type = "audio/x-wav\r\nX: y" }
    end)
    local sent = reverse.calls[1].text
    assert.truthy(sent:find('filename="a\\"%0D%0AX: y.wav"', 1, true))
    assert.truthy(sent:find("Content-Type: audio/x-wavX: y\r\n", 1, true))
  end)

  it("raises for an answer without a text", function()
    for _, body in ipairs { "{", "{}", '{"text":1}', "[]" } do
      answers(body)
      assert.equal("upstream_error", reverse.failure(function() hear(WAV) end).code, body)
    end
  end)

  it("names its author's mistakes", function()
    local title = "session.model.speech2text:invoke: "
    assert.equal(title .. "file: expected the bytes of a recording, or an uploaded file "
      .. "{ body, filename, content_type }, got nil", mistake(function()
      session.model.speech2text:invoke { model_config = GPT }
    end))
    assert.equal(title .. "file.body: expected a string, got nil", mistake(function()
      session.model.speech2text:invoke { model_config = GPT, file = { data = "x" } }
    end))
    assert.equal(title .. "file.body: expected the bytes of a recording, got none",
      mistake(function()
        session.model.speech2text:invoke { model_config = GPT, file = { body = "" } }
      end))
  end)
end)

describe("session.model.moderation:invoke", function()
  local function judge(text, config)
    return reverse.run(function()
      return session.model.moderation:invoke { model_config = config or GPT, text = text }
    end)
  end

  it("tells whether any result is flagged", function()
    answers({ results = { { flagged = false }, { flagged = true } } },
      { results = { { flagged = false } } })
    assert.is_true(judge "x")
    assert.is_false(judge "x")
    assert.same({ model = "m", input = "x" }, reverse.calls[1].body)
    assert.equal("moderation", reverse.calls[1].kind)
  end)

  it("raises for an answer that does not say", function()
    for _, body in ipairs { "{", "{}", '{"results":[]}', '{"results":[{}]}', '{"results":[1]}' } do
      answers(body)
      assert.equal("upstream_error", reverse.failure(function() judge "x" end).code, body)
    end
  end)

  it("flags threats on the built-in model", function()
    local config = { provider = "local", model = "demo-moderation" }
    assert.is_true(judge("I will KILL you!", config))
    assert.is_false(judge("You have skills, bombastic ones.", config))
    assert.is_false(judge("", config))
  end)

  it("does not know other models of the built-in backend", function()
    local raised = reverse.failure(function() judge("x", { provider = "local", model = "z" }) end)
    assert.equal("not_found", raised.code)
  end)
end)

describe("session.model.summary:invoke", function()
  local function summarize(call)
    return reverse.run(function() return session.model.summary:invoke(call) end)
  end

  it("gives a shorter text back without any call", function()
    assert.equal("short", summarize { text = "short", instruction = "x" })
    assert.equal("", summarize { text = "" })
    local text = ("\195\188"):rep(1023)
    assert.equal(text, summarize { text = text })
    assert.equal(0, #reverse.calls)
  end)

  it("asks the first chat model that a backend declares", function()
    answers { choices = { { message = { content = "brief" } } } }
    assert.equal("brief", summarize { text = ("x"):rep(1024), instruction = "for children" })
    local call = reverse.calls[1]
    assert.same({ "gpt", "summary", "gpt-first" }, { call.backend, call.kind, call.body.model })
    assert.truthy(call.body.messages[1].content:find("\nfor children", 1, true))
    assert.equal(1024, #call.body.messages[2].content)
    assert.is_false(call.body.stream)
  end)

  it("raises for a summary without a text", function()
    answers { choices = { { message = { content = "" } } } }
    local raised = reverse.failure(function()
      session.model.summary:invoke { text = "abc", min_summarize_length = 1 }
    end)
    assert.equal("upstream_error", raised.code)
  end)

  it("picks sentences where there is no other model", function()
    reverse.reset {}
    local sentences = {}
    for i = 1, 20 do sentences[i] = ("Sentence %d tells of cats and their purring."):format(i) end
    sentences[7] = "Unrelated zebras!"
    local text = table.concat(sentences, " ")
    local short = summarize { text = text, min_summarize_length = 100 }
    assert.is_true(#short > 0 and #short < #text / 2)
    assert.is_nil(short:find "zebras")
    assert.equal(short, summarize { text = text, min_summarize_length = 100 })
  end)

  it("names its author's mistakes", function()
    assert.equal("session.model.summary:invoke: min_summarize_length: expected a number, got \"1\"",
      mistake(function()
        session.model.summary:invoke { text = "", min_summarize_length = "1" }
      end))
    assert.equal("session.model.summary:invoke: text: expected a string, got nil",
      mistake(function() session.model.summary:invoke {} end))
  end)
end)

describe("every model call", function()
  it("passes on who asks, where a server takes it", function()
    answers({ choices = { { message = { content = "x" } } } }, { data = { { embedding = { 1 } } } })
    reverse.run(function()
      session.model.llm:invoke { model_config = GPT, stream = false, user = "ada",
        prompt_messages = { { role = "user", content = "x" } } }
      session.model.text_embedding:invoke { model_config = GPT, texts = { "x" }, user = "ada" }
    end)
    assert.same({ "ada", "ada" }, { reverse.calls[1].body.user, reverse.calls[2].body.user })
    assert.equal(0, #library.log)
  end)
end)
