local reverse = require "spec.support.reverse"
local json = require "host.json"

local PAGES = {
  ["README.md"] = "# Moonhook\n\nA self-hosted endpoint host for small Lua plugins.\n",
  ["docs/tutorial.md"] = "# A first plugin in ten minutes\n\nThis page walks you through it.\n\n"
    .. "## Write a plugin\n\nA plugin is a folder: `manifest.yaml` and `hello.lua`.\n\n"
    .. "```lua\n# not a heading\nreturn function() return 'hi' end\n```\n\n"
    .. "## Stream an answer\n\nYield strings from a generator and each one is sent at once.\n",
  ["docs/operations.md"] = "# Operations\n\n## Configuration\n\nThe file is `moonhook.yaml`.\n\n"
    .. "## Backends\n\nA backend is where model calls go.\n",
  ["docs/decisions/0001-x.md"] = "# Write a plugin\n\nnot for readers\n",
}

-- The docs are read once per state, so these pages must be there before the modules are.
local function fresh_demo()
  for _, name in ipairs { "demo", "demo_replies", "demo_shows", "demo_tools", "passages" } do
    package.loaded["moonhook.backend." .. name] = nil
  end
  local kept = package.loaded["host.library"]
  package.loaded["host.library"] = {
    read = function(path) return PAGES[path] end,
    list = function()
      return { "docs/decisions/0001-x.md", "docs/operations.md", "docs/tutorial.md" }
    end,
  }
  local demo = require "moonhook.backend.demo"
  require "moonhook.backend.passages"
  package.loaded["host.library"] = kept
  return demo
end

local demo = fresh_demo()

local function chunks_of(request)
  return reverse.run(function()
    local chunks = {}
    for chunk in demo.chat(request) do chunks[#chunks + 1] = chunk end
    return chunks
  end)
end

-- The joined answer to a conversation given as alternating texts, the user's first.
local function answer(request)
  local result = reverse.run(function()
    return require("moonhook.session.result").collect(demo.chat(request))
  end)
  return result.message.content, result
end

local function conversation(...)
  local messages = {}
  for i, text in ipairs { ... } do
    messages[i] = { role = i % 2 == 1 and "user" or "assistant", content = text }
  end
  return { prompt_messages = messages }
end

local function say(...) return (answer(conversation(...))) end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("expected %q in %q"):format(part, text))
end

local function lacks(text, part)
  assert.is_nil(text:find(part, 1, true), ("expected no %q in %q"):format(part, text))
end

describe("local/demo", function()
  before_each(function() reverse.reset {} end)

  describe("about Moonhook", function()
    it("answers with the nearest passage and its page", function()
      local text = say "how do I write a plugin?"
      has(text, "docs/tutorial.md")
      has(text, "A plugin is a folder")
      has(say "How can I stream answers?", "Yield strings from a generator")
      has(say "where is the configuration", "moonhook.yaml")
      has(say "which backends are there?", "docs/operations.md")
    end)

    it("keeps code blocks whole and does not take their lines for headings", function()
      has(say "how do I write a plugin?", "# not a heading\nreturn function()")
    end)

    it("does not answer from decisions", function()
      lacks(say "how do I write a plugin?", "not for readers")
    end)

    it("does not claim to know other things", function()
      for _, question in ipairs { "What is the capital of France?", "who won the world cup",
        "how do I bake bread", "asdf qwer", "???", "2+2" } do
        lacks(say(question), "docs/")
      end
    end)
  end)

  describe("in a conversation", function()
    it("knows a name two turns later", function()
      has(say("my name is Ada", "Hello", "count to 2", "1, 2.", "What is my name?"), "Ada")
      has(say("Hi! I'm Grace.", "Hello", "who am i?"), "Grace")
      has(say("Call me Al, please.", "Hello", "do you remember my name?"), "Your name is Al.")
      has(say("我叫小猫", "你好", "我叫什么？"), "小猫")
    end)

    it("does not know what nobody told it", function()
      has(say "What is my name?", "have not told me your name")
      has(say "Where do I live?", "have not told me where you live")
      has(say "what is my favourite colour?", "have not told me your favourite colour")
    end)

    it("does not take its own words for the user's", function()
      local messages = conversation("hi", "my name is Demo", "what is my name?")
      has((answer(messages)), "have not told me")
    end)

    it("remembers other facts, the last word counts", function()
      has(say("my favourite colour is blue", "ok", "my favourite colour is green", "ok",
        "What is my favourite colour?"), "green")
      has(say("I live in Paris.", "ok", "where do I live?"), "You live in Paris.")
      local all = say("My name is Ada. My dog is Rex.", "ok", "What do you know about me?")
      has(all, "your name is Ada")
      has(all, "your dog is Rex")
    end)

    it("acknowledges what it is told and answers the rest", function()
      has(say "My name is Ada.", "Ada")
      local both = say "My name is Ada. How do I write a plugin?"
      has(both, "Ada")
      has(both, "docs/tutorial.md")
    end)

    it("says what it is", function()
      for _, question in ipairs { "Who are you?", "what are you", "Are you a human?", "你是谁" } do
        has(say(question), "local/demo")
      end
    end)

    it("takes the persona of the system prompt, and still says what it is", function()
      local request = conversation "who are you?"
      local system = { role = "system", content = "You are Candy, a guide." }
      table.insert(request.prompt_messages, 1, system)
      local text = answer(request)
      has(text, "Candy")
      has(text, "local/demo")
    end)

    it("greets, thanks and excuses itself", function()
      has(say "Hello!", "Hello!")
      has(say("my name is Ada", "hi", "hello"), "Ada")
      has(say "你好", "你好!")
      assert.is_true(#say "thank you" > 0)
      assert.is_true(#say "xyzzy plugh" > 0)
    end)

    it("says that it cannot see", function()
      local text = answer { prompt_messages = { { role = "user", content = {
        { type = "text", data = "what is this?" }, { type = "image", url = "https://x/y.png" },
      } } } }
      has(text, "cannot look at pictures")
    end)
  end)

  describe("when asked to show", function()
    it("shows Markdown", function()
      local text = say "show me some markdown"
      for _, part in ipairs { "# ", "**", "| --- |", "```lua", "> ", "1. " } do has(text, part) end
    end)

    it("shows a list, code and a long answer from the docs", function()
      has(say "give me a list", "1. **Moonhook** (README.md)")
      has(say "show me the code of a plugin", "```lua\n# not a heading")
      has(say "show me code", "```lua")
      local long = say "Please write a long answer"
      has(long, "## Write a plugin")
      has(long, "Yield strings")
    end)

    it("repeats and counts", function()
      assert.equal("a, b", say "say a, b")
      assert.equal("1, 2, 3, 4.", say "Please count to 4")
      assert.is_true(#say "count to 999999999" < 2000)
    end)

    it("still answers questions about these things", function()
      lacks(say "how do I write a list in a plugin?", "These pages come with Moonhook")
    end)
  end)

  describe("its stream", function()
    it("joins to the whole answer, token by token", function()
      local request = conversation "who are you?"
      local chunks = chunks_of(request)
      local texts = {}
      for i, chunk in ipairs(chunks) do texts[i] = chunk.delta.message.content end
      request.stream = false
      local whole = chunks_of(request)
      assert.equal(1, #whole)
      assert.equal(whole[1].delta.message.content, table.concat(texts))
      assert.same(whole[1].delta.usage, chunks[#chunks].delta.usage)
      assert.is_true(#chunks > 30)
    end)

    it("never cuts inside a character", function()
      for _, chunk in ipairs(chunks_of(conversation "say 小猫 déjà 🌙 naïve")) do
        local rest = chunk.delta.message.content:gsub("[%z\1-\127]", "")
          :gsub("[\194-\244][\128-\191]+", "")
        assert.equal("", rest)
      end
      assert.equal("小猫 déjà 🌙 naïve", say "say 小猫 déjà 🌙 naïve")
    end)

    it("counts its tokens", function()
      for _, text in ipairs { "", " ", "a b", "one, two.", "小猫 x", "  lead", "trail  \n",
        "it's 'q'", "a\n\nb -- c", "🌙🌙", "x_1 = {}" } do
        local tokens = demo.tokens(text)
        assert.equal(text, table.concat(tokens))
        if text:find "%S" then assert.equal(demo.count(text), #tokens, text) end
      end
    end)

    it("survives bytes that are no UTF-8", function()
      for _, text in ipairs { "\255\254", "a\128b", "\194", "my name is \255" } do
        assert.equal("string", type(say(text)))
        assert.equal(text, table.concat(demo.tokens(text)))
      end
    end)

    it("is the same for the same seed", function()
      local function with(seed, text)
        local request = conversation(text)
        request.completion_params = { seed = seed }
        return (answer(request))
      end
      local seen, kinds = {}, 0
      for seed = 1, 12 do
        local text = with(seed, "xyzzy")
        assert.equal(text, with(seed, "xyzzy"))
        if not seen[text] then kinds = kinds + 1 end
        seen[text] = true
      end
      assert.is_true(kinds > 1)
    end)

    it("pauses between tokens", function()
      reverse.pause_ms = 15
      chunks_of(conversation "count to 3")
      assert.equal(5 * 15, reverse.slept_ms)
    end)

    it("stops at max_tokens", function()
      local request = conversation "count to 9"
      request.completion_params = { max_tokens = 3 }
      local text, result = answer(request)
      assert.same({ "1, 2", "length", 3 },
        { text, result.finish_reason, result.usage.completion_tokens })
      request.completion_params = { max_completion_tokens = 500 }
      text, result = answer(request)
      assert.same({ "1, 2, 3, 4, 5, 6, 7, 8, 9.", "stop" }, { text, result.finish_reason })
    end)

    it("stops before the first stop string", function()
      local request = conversation "count to 9"
      request.stop = { "7", ", 4", "" }
      assert.equal("1, 2, 3", (answer(request)))
      request.stop, request.completion_params = nil, { stop = "2" }
      assert.equal("1, ", (answer(request)))
    end)

    it("survives parameters of the wrong type", function()
      for _, wrong in ipairs { 5, "x", true, {}, { {} }, json.null } do
        local request = conversation "count to 3"
        request.completion_params = { stop = wrong, seed = wrong, max_tokens = wrong,
          response_format = wrong, json_schema = wrong, parallel_tool_calls = wrong }
        assert.equal("string", type((answer(request))))
      end
    end)

    it("answers an empty conversation", function()
      assert.is_true(#say "" > 0)
      assert.is_true(#answer { prompt_messages = { { role = "system", content = "x" } } } > 0)
    end)

    it("reads long texts quickly", function()
      local started = os.clock()
      for _, text in ipairs { ("my "):rep(200000), ("is my name "):rep(50000), ("?"):rep(300000),
        ("a"):rep(500000), (" "):rep(500000), ("小"):rep(100000) } do
        say(text)
      end
      assert.is_true(os.clock() - started < 5)
    end)
  end)
end)

describe("local/demo with tools", function()
  before_each(function() reverse.reset {} end)

  local WEATHER = { name = "get_weather", description = "Current weather of a city", parameters = {
    type = "object", required = { "city" },
    properties = { city = { type = "string" }, unit = { enum = { "celsius", "fahrenheit" } } },
  } }
  local SEND = { name = "send_mail", description = "Sends a message", parameters = {
    type = "object", required = { "to" },
    properties = { to = { type = "string", format = "email" } },
  } }

  local function calls_for(text, fields)
    local request = conversation(text)
    request.tools = { WEATHER, SEND }
    for name, value in pairs(fields or {}) do request[name] = value end
    local content, result = answer(request)
    local calls = {}
    for i, call in ipairs(result.message.tool_calls) do
      calls[i] = call["function"].name .. call["function"].arguments
    end
    return calls, result, content
  end

  it("calls the tool whose name or subject is asked for", function()
    local calls, result, content = calls_for "What's the weather in São Paulo?"
    assert.same({ 'get_weather{"city":"São Paulo"}' }, calls)
    assert.same({ "tool_calls", "" }, { result.finish_reason, content })
    assert.truthy(result.message.tool_calls[1].id:find "^call_%x+$")
    assert.same({ 'get_weather{"city":"Oslo","unit":"celsius"}' },
      (calls_for "get_weather for Oslo in celsius"))
    assert.same({ 'send_mail{"to":"a@b.org"}' }, (calls_for "send_mail to a@b.org"))
  end)

  it("calls several at once, unless that is forbidden", function()
    local text = "weather in Oslo, then send_mail to a@b.org"
    assert.equal(2, #calls_for(text))
    assert.equal(1, #calls_for(text, { completion_params = { parallel_tool_calls = false } }))
  end)

  it("does not call a tool that nobody asked for", function()
    local calls, result = calls_for "Who are you?"
    assert.same({}, calls)
    assert.equal("stop", result.finish_reason)
  end)

  it("follows tool_choice", function()
    assert.same({}, (calls_for("weather in Oslo", { tool_choice = { mode = "none" } })))
    assert.equal(1, #calls_for("hello", { tool_choice = { mode = "required" } }))
    local forced = calls_for("hello", { tool_choice = { mode = "tool", name = "send_mail" } })
    assert.equal('send_mail{"to":"someone@example.com"}', forced[1])
    local raised = reverse.failure(function()
      local request = conversation "x"
      request.tools, request.tool_choice = { WEATHER }, { mode = "tool", name = "other" }
      demo.chat(request)
    end)
    assert.equal("invalid_param", raised.code)
  end)

  it("streams a call's arguments in fragments under one index", function()
    local request = conversation "weather in Oslo"
    request.tools = { WEATHER }
    local chunks = chunks_of(request)
    local first = chunks[1].delta.message.tool_calls[1]
    assert.same({ 0, "get_weather", "function" },
      { first.index, first["function"].name, first.type })
    assert.is_true(#chunks > 3)
    assert.equal("", chunks[2].delta.message.tool_calls[1].id)
    assert.equal("tool_calls", chunks[#chunks].delta.finish_reason)
  end)

  it("answers once the tool has", function()
    local call = { id = "c1", type = "function",
      ["function"] = { name = "get_weather", arguments = "{}" } }
    local text, result = answer { tools = { WEATHER }, prompt_messages = {
      { role = "user", content = "weather in Oslo?" },
      { role = "assistant", content = "", tool_calls = { call } },
      { role = "tool", tool_call_id = "c1", content = "sunny, 20 degrees" },
    } }
    assert.equal("`get_weather` answered: sunny, 20 degrees", text)
    assert.equal("stop", result.finish_reason)
  end)

  it("keeps to a JSON schema", function()
    local schema = { type = "object", required = { "name", "age", "kind" }, properties = {
      name = { type = "string" }, age = { type = "integer" }, kind = { enum = { "cat", "dog" } },
    } }
    local request = conversation "Felix Mewton is a dog of 7 years"
    request.prompt_messages[1].content = "Extract: Felix Mewton, a dog of 7 years"
    for _, params in ipairs {
      { response_format = { type = "json_schema", json_schema = { name = "x", schema = schema } } },
      { response_format = "json_schema", json_schema = json.encode(schema) },
      { response_format = "json_schema", json_schema = schema },
    } do
      request.completion_params = params
      assert.equal('{"age":7,"kind":"dog","name":"Felix Mewton"}', (answer(request)))
    end
  end)

  it("answers in an object when any will do", function()
    local request = conversation "count to 3"
    request.completion_params = { response_format = { type = "json_object" } }
    assert.equal('{"answer":"1, 2, 3."}', (answer(request)))
    request.completion_params = { response_format = { type = "text" } }
    assert.equal("1, 2, 3.", (answer(request)))
  end)

  it("refuses a response format without its schema", function()
    local request = conversation "x"
    request.completion_params = { response_format = { type = "json_schema" } }
    assert.equal("invalid_param", reverse.failure(function() demo.chat(request) end).code)
  end)
end)

describe("local/demo-embedding", function()
  local embedding = require "moonhook.backend.embedding"
  local near = embedding.similarity

  it("has length one, for any text", function()
    for _, text in ipairs { "plugin", "", "the", "小猫", "\255", ("x"):rep(10000) } do
      local vector = embedding.embed(text)
      assert.equal(384, #vector)
      assert.is_true(math.abs(near(vector, vector) - 1) < 1e-9)
    end
  end)

  it("puts texts that share words nearer than others", function()
    local plugin = embedding.embed "how to write a plugin"
    assert.is_true(near(plugin, embedding.embed "writing plugins in Lua") > 0.25)
    assert.is_true(near(plugin, embedding.embed "pancakes with maple syrup") < 0.2)
    assert.is_true(near(embedding.embed "The Plugin", embedding.embed "plugin") > 0.99)
  end)
end)
