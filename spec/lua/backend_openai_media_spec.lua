-- What goes through the translation to OpenAI and back beside texts: nothing is lost on the way.
local library = require "spec.support.library"
local reverse = require "spec.support.reverse"
local json = require "host.json"
local openai = require "moonhook.backend.openai"
local result = require "moonhook.session.result"
local session = require "moonhook.session"

local GPT = { provider = "gpt", model = "m" }
local ASK = { { role = "user", content = "draw" } }
local PNG = "data:image/png;base64,aGk="

local function completion(message)
  local answer = { choices = { { message = message, finish_reason = "stop" } } }
  return openai.completion(answer, "m").message
end

local function sent(message)
  return openai.chat_request({ model_config = GPT, prompt_messages = { message } }).messages[1]
end

describe("an answer of an OpenAI-compatible server", function()
  it("gives images as Dify's parts, wherever they stand", function()
    local text = { type = "text", text = "a cat" }
    local image = { type = "image_url", image_url = { url = PNG } }
    local expected = {
      { type = "text", data = "a cat" },
      { type = "image", mime_type = "image/png", format = "png", base64_data = "aGk=" },
    }
    assert.same(expected, completion({ content = { text, image } }).content)
    assert.same(expected, completion({ content = "a cat", images = { image } }).content)
    assert.same({ { type = "image", url = "http://x/y" } },
      completion({ images = { { image_url = "http://x/y" }, { type = "odd" }, 7 } }).content)
  end)

  it("stays a text where there are only texts", function()
    assert.equal("ab", completion({ content = { { text = "a" }, { text = "b" }, 1 } }).content)
    assert.equal("", completion({ content = json.null }).content)
  end)

  it("keeps what Dify has no place for, and sends it back as it came", function()
    local audio, annotations = { id = "audio_1" }, { { type = "url_citation", url = "http://x" } }
    local message = completion { content = "hi", audio = audio, annotations = annotations }
    assert.same({ audio = audio, annotations = annotations }, message.opaque_body)
    local back = sent(message)
    assert.same({ "assistant", "hi", audio, annotations },
      { back.role, back.content, back.audio, back.annotations })
    assert.is_nil(back.opaque_body)
    assert.is_nil(completion({ content = "hi" }).opaque_body)
  end)

  it("does not let what was kept replace what is ours", function()
    local back = sent { role = "assistant", content = "mine", opaque_body = { content = "evil",
      role = "system", extra = 1 } }
    assert.same({ role = "assistant", content = "mine", extra = 1 }, back)
  end)
end)

describe("a stream of an OpenAI-compatible server", function()
  local function collected(...)
    local pieces = {}
    for i, delta in ipairs { ... } do
      pieces[i] = json.encode { choices = { { delta = delta } } }
    end
    pieces[#pieces + 1] = json.encode { choices = { { delta = {}, finish_reason = "stop" } } }
    pieces[#pieces + 1] = "[DONE]"
    reverse.reset { backends = { gpt = { type = "openai" } } }
    reverse.script { pieces = pieces }
    return reverse.run(function()
      return session.model.llm:invoke({ model_config = GPT, prompt_messages = ASK }):collect()
    end).message
  end

  it("passes on sound piece by piece, and collects it", function()
    local message = collected({ audio = { id = "a", data = "AAAA", transcript = "he" } },
      { audio = { id = "a", data = "BBBB", transcript = "y", expires_at = 7 } })
    assert.same({ audio = { id = "a", data = "AAAABBBB", transcript = "hey", expires_at = 7 } },
      message.opaque_body)
  end)

  it("collects images after the text", function()
    local message = collected({ content = "a " }, { images = { { image_url = { url = PNG } } } },
      { content = "cat" })
    assert.same({ "text", "a cat", "image", "aGk=" }, { message.content[1].type,
      message.content[1].data, message.content[2].type, message.content[2].base64_data })
  end)

  it("gives the logprobs of every piece, and collects them", function()
    local function event(token, finish_reason)
      return json.encode { choices = { { delta = { content = token },
        finish_reason = finish_reason, logprobs = { content = { { token = token } } } } } }
    end
    reverse.reset { backends = { gpt = { type = "openai" } } }
    reverse.script { pieces = { event "a", event("b", "stop"), event "c", "[DONE]" } }
    local joined = reverse.run(function()
      return session.model.llm:invoke({ model_config = GPT, prompt_messages = ASK }):collect()
    end)
    local tokens = { { token = "a" }, { token = "b" }, { token = "c" } }
    assert.same({ content = tokens }, joined.logprobs)
    local choice = { message = {}, logprobs = { content = tokens } }
    assert.same({ content = tokens }, openai.completion({ choices = { choice } }, "m").logprobs)
  end)

  it("joins lists and texts, and changes neither", function()
    local first = { list = { 1 }, text = "a", id = "x", object = { n = 1 } }
    local second = { list = { 2 }, text = "b", id = "x", object = { n = 2, m = 3 }, new = true }
    local before = json.encode { first, second }
    assert.same({ list = { 1, 2 }, text = "ab", id = "x", object = { n = 2, m = 3 }, new = true },
      result.join_opaque(first, second))
    assert.equal(before, json.encode { first, second })
    assert.same({ a = 1 }, result.join_opaque({ a = 1 }, nil))
    assert.same({ a = 1 }, result.join_opaque(nil, { a = 1 }))
    assert.equal(0, #library.log)
  end)
end)

describe("a request to an OpenAI-compatible server", function()
  it("names sound as OpenAI does", function()
    for mime_type, format in pairs {
      ["audio/mpeg"] = "mp3", ["audio/wav"] = "wav", ["audio/x-wav"] = "wav",
      ["audio/wave"] = "wav", ["audio/flac"] = "flac",
    } do
      local part = sent({ role = "user", content = {
        { type = "audio", mime_type = mime_type, base64_data = "AA==" } } }).content[1]
      assert.same({ data = "AA==", format = format }, part.input_audio)
    end
  end)
end)
