local reverse = require "spec.support.reverse"
local library = require "spec.support.library"
local json = require "host.json"
local session = require "moonhook.session"

local CANDY = { mode = "chat", name = "Candy", prompt = "You are Candy, a cheerful guide." }
local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local function talk(query, conversation_id, fields)
  local call = { app_id = "candy", query = query, conversation_id = conversation_id }
  for name, value in pairs(fields or {}) do call[name] = value end
  return reverse.run(function()
    local events = {}
    for event in session.app.chat:invoke(call) do events[#events + 1] = event end
    return events
  end)
end

local function answer_of(events)
  local texts = {}
  for _, event in ipairs(events) do texts[#texts + 1] = event.answer or "" end
  return table.concat(texts)
end

describe("a chat app of the built-in backend", function()
  before_each(function() reverse.reset { apps = { candy = CANDY } } end)

  it("streams Dify's events and ends with usage", function()
    local events = talk "who are you?"
    local first, last = events[1], events[#events]
    assert.is_true(#events > 20)
    assert.equal("message", first.event)
    for _, name in ipairs { "task_id", "id", "message_id", "conversation_id" } do
      assert.truthy(first[name]:find(UUID), name)
      assert.equal(first[name], last[name])
    end
    assert.equal(first.id, first.message_id)
    assert.equal(math.floor(library.now), first.created_at)
    assert.equal("message_end", last.event)
    assert.same({}, last.metadata.retriever_resources)
    assert.is_true(last.metadata.usage.total_tokens > 20)
    assert.truthy(answer_of(events):find("Here I go by Candy", 1, true))
  end)

  it("gives one answer when blocking", function()
    local answer = reverse.run(function()
      return session.app.chat:invoke { app_id = "candy", query = "count to 3",
        response_mode = "blocking" }
    end)
    assert.same({ "message", "chat", "1, 2, 3." }, { answer.event, answer.mode, answer.answer })
    assert.truthy(answer.conversation_id:find(UUID))
    assert.is_true(answer.metadata.usage.completion_tokens > 0)
  end)

  it("keeps the conversation over turns, and its ids apart", function()
    local first = talk "My name is Ada."
    local id = first[1].conversation_id
    talk("count to 3", id)
    assert.truthy(answer_of(talk("What is my name?", id)):find("Ada", 1, true))
    local other = talk "What is my name?"
    assert.is_nil(answer_of(other):find("Ada", 1, true))
    assert.is_not.equal(id, other[1].conversation_id)
    assert.same({ "user", "My name is Ada." },
      { unpack(reverse.conversations["candy " .. id], 1, 2) })
  end)

  it("raises not_found for a conversation that it does not know, in invoke", function()
    for _, id in ipairs { "11111111-1111-4111-8111-111111111111", ("x"):rep(500), "'; drop" } do
      local raised = reverse.failure(function()
        session.app.chat:invoke { app_id = "candy", query = "hi", conversation_id = id }
      end)
      assert.same({ "not_found", "Conversation Not Exists." }, { raised.code, raised.message })
    end
  end)

  it("does not know a conversation that is another user's", function()
    local id = talk("My name is Ada.")[1].conversation_id
    local raised = reverse.failure(function()
      session.app.chat:invoke { app_id = "candy", query = "What is my name?",
        conversation_id = id, user = "mallory" }
    end)
    assert.equal("not_found", raised.code)
  end)

  it("remembers only so many messages, and begins with the user's", function()
    reverse.reset { apps = { candy = { mode = "chat", memory = 3 } } }
    local id = talk("My name is Ada.")[1].conversation_id
    assert.truthy(answer_of(talk("What is my name?", id)):find("not told me", 1, true) == nil)
    talk("count to 2", id)
    talk("count to 2", id)
    assert.truthy(answer_of(talk("What is my name?", id)):find("have not told me", 1, true))
  end)

  it("remembers nothing with a memory of 0", function()
    reverse.reset { apps = { candy = { mode = "chat", memory = 0 } } }
    local id = talk("My name is Ada.")[1].conversation_id
    assert.truthy(answer_of(talk("What is my name?", id)):find("have not told me", 1, true))
  end)

  it("stores the turn before it announces the end, with its user", function()
    reverse.run(function()
      local id
      local call = { app_id = "candy", query = "count to 2", user = "u7" }
      for event in session.app.chat:invoke(call) do
        id = event.conversation_id
        local stored = reverse.conversations["candy " .. id]
        if event.event == "message_end" then
          assert.same({ "user", "count to 2", "assistant", "1, 2.", user = "u7" }, stored)
        else
          assert.is_nil(stored)
        end
      end
    end)
  end)

  it("stores nothing of an answer that was not finished", function()
    reverse.run(function()
      local events = session.app.chat:invoke { app_id = "candy", query = "count to 20" }
      events()
      events:close()
    end)
    assert.same({}, reverse.conversations)
  end)

  it("raises when the store fails, and does not claim the end", function()
    reverse.store_failure = true
    local raised = reverse.failure(function()
      session.app.chat:invoke { app_id = "candy", query = "hi", conversation_id = "x" }
    end)
    reverse.store_failure = nil
    assert.equal("storage_unavailable", raised.code)
  end)

  it("puts inputs into the prompt", function()
    local app = { mode = "chat", prompt = "You are {{ who }}, {{nobody}}." }
    reverse.reset { apps = { candy = app } }
    local events = talk("who are you?", nil, { inputs = { who = "Zoe" } })
    assert.truthy(answer_of(events):find("Here I go by Zoe", 1, true))
  end)

  it("refuses files, and apps that do not chat", function()
    local raised = reverse.failure(function()
      session.app.chat:invoke { app_id = "candy", query = "x", files = { { type = "image" } } }
    end)
    assert.equal("unsupported", raised.code)
    reverse.reset { apps = { candy = { mode = "workflow" } } }
    assert.equal("unsupported", reverse.failure(function()
      session.app.chat:invoke { app_id = "candy", query = "x" }
    end).code)
  end)

  it("pauses between tokens when it streams, not when it blocks", function()
    reverse.pause_ms = 15
    local events = talk "count to 3" -- six tokens and the end
    assert.equal(7, #events)
    assert.equal(5 * 15, reverse.slept_ms)
    reverse.slept_ms = 0
    reverse.run(function()
      session.app.chat:invoke { app_id = "candy", query = "count to 3", response_mode = "blocking" }
    end)
    assert.equal(0, reverse.slept_ms)
  end)
end)

describe("a chat app on a model of another backend", function()
  local APP = { mode = "chat", prompt = "Be brief.", memory = 4,
    model = { provider = "gpt", model = "gpt-4o", completion_params = { temperature = 0 } } }

  before_each(function()
    reverse.reset { apps = { candy = APP }, backends = { gpt = { type = "openai" } } }
  end)

  local function delta(content, finish_reason)
    return json.encode { model = "gpt-4o",
      choices = { { delta = { content = content }, finish_reason = finish_reason } } }
  end

  it("asks that model with the prompt, the memory and the question", function()
    reverse.script { pieces = { delta "He", delta "y", delta("", "stop"), "[DONE]" } }
    local events = talk "hi"
    assert.equal("Hey", answer_of(events))
    reverse.script { pieces = { delta("Ho", "stop") } }
    talk("again", events[1].conversation_id)
    local body = reverse.calls[#reverse.calls].body
    assert.same({ { role = "system", content = "Be brief." }, { role = "user", content = "hi" },
      { role = "assistant", content = "Hey" }, { role = "user", content = "again" } },
      body.messages)
    assert.same({ "gpt-4o", 0 }, { body.model, body.temperature })
  end)

  it("passes the model's failure on, in invoke when it comes at once", function()
    reverse.script { status = 500, pieces = { "SECRET" } }
    local raised = reverse.failure(function()
      session.app.chat:invoke { app_id = "candy", query = "hi" }
    end)
    assert.equal("upstream_error", raised.code)
    assert.is_nil(raised.message:find "SECRET")
    assert.same({ "warn", "upstream_error", 500, "gpt" }, { library.log[1][1],
      library.log[1][3].code, library.log[1][3].upstream_status, library.log[1][3].backend })
  end)

  it("keeps nothing of an answer that broke off", function()
    reverse.script { pieces = { delta "half" } }
    local raised = reverse.failure(function()
      for _ in session.app.chat:invoke { app_id = "candy", query = "hi" } do end
    end)
    assert.equal("upstream_truncated", raised.code)
    assert.same({}, reverse.conversations)
  end)

  it("tells where an unreadable event stood", function()
    reverse.script { pieces = { delta "a", "{SECRET" } }
    local raised = reverse.failure(function()
      for _ in session.app.chat:invoke { app_id = "candy", query = "hi" } do end
    end)
    assert.truthy(raised.message:find("event 2", 1, true))
  end)
end)

describe("the models of the built-in backend", function()
  before_each(function() reverse.reset {} end)

  local CONFIG = { provider = "local", model = "demo", model_type = "llm" }

  local function ask(call)
    call.model_config, call.prompt_messages = CONFIG, { { role = "user", content = "count to 3" } }
    return reverse.run(function()
      local result = session.model.llm:invoke(call)
      if call.stream == false then return result end
      local chunks = {}
      for chunk in result do chunks[#chunks + 1] = chunk end
      return chunks
    end)
  end

  it("streams chunks with Dify's nulls and ends with usage", function()
    local chunks = ask {}
    assert.equal(7, #chunks)
    assert.same({ 0, 6 }, { chunks[1].delta.index, chunks[7].delta.index })
    assert.truthy(json.encode(chunks[1]):find('"usage":null', 1, true))
    assert.same({ "stop", 3, 6, 9 }, { chunks[7].delta.finish_reason,
      chunks[7].delta.usage.prompt_tokens - 1, chunks[7].delta.usage.completion_tokens,
      chunks[7].delta.usage.total_tokens - 1 })
  end)

  it("gives a result when stream is false", function()
    local result = ask { stream = false }
    assert.same({ "1, 2, 3.", "stop", "demo" },
      { result.message.content, result.finish_reason, result.model })
    assert.equal(1, #reverse.calls)
  end)

  it("embeds texts the same way every time", function()
    local function embed(...)
      local texts = { ... }
      return reverse.run(function()
        return session.model.text_embedding:invoke {
          model_config = { provider = "local", model = "demo-embedding" }, texts = texts,
        }
      end)
    end
    local result = embed("a plugin", "write plugins", "pancakes")
    assert.same({ 3, 384, "demo-embedding" },
      { #result.embeddings, #result.embeddings[1], result.model })
    assert.same(result.embeddings[1], embed("a plugin").embeddings[1])
    assert.is_true(result.usage.total_tokens == 5)
  end)

  it("refuses what it does not carry", function()
    local serve = require("moonhook.backend.local").serve
    local raised = reverse.failure(function() serve("tts", "{}") end)
    assert.equal("unsupported", raised.code)
    assert.equal("invalid_param", reverse.failure(function() serve("llm", "[") end).code)
  end)
end)
