-- One plugin, unchanged, on each type of backend: every kind of call gives the same shape on each
-- backend that carries it, is closed when it is left, raises when it is cut; and says what does not
-- carry it where none does. Only the settings differ, as an operator would fill them in.
local cjson = require "cjson"
local fake_dify = require "spec.contract.fake_dify"
local fake_model = require "spec.support.fake_model"
local host_support = require "spec.support.host"
local http = require "spec.support.http"
local kinds = require "spec.support.kinds"
local process = require "spec.support.process"

local LIMIT_MS = 2000 -- against waiting for ever; session_cancel_spec looks at the median

-- ---- the kinds: what each gives, wherever it comes from -----------------------------------------

local function joined_answers(items)
  local pieces, last = {}, nil
  for _, event in ipairs(items) do
    assert.is_string(event.event)
    if event.event == "message" then pieces[#pieces + 1] = event.answer end
    if event.event == "message_end" then last = event end
  end
  assert.is_table(last, "no message_end")
  assert.is_table(last.metadata.usage)
  return table.concat(pieces)
end

local function an_answer(value)
  assert.truthy(value.answer:find "%S")
  assert.is_string(value.message_id)
  assert.is_table(value.metadata.usage)
  return value.answer
end

local function a_run(value)
  assert.equal("succeeded", value.data.status)
  assert.is_string(value.workflow_run_id)
  return value.data.outputs
end

local function run_of_events(items)
  local names, outputs = {}, nil
  for i, event in ipairs(items) do
    names[i] = event.event
    if event.event == "workflow_finished" then outputs = event.data.outputs end
  end
  assert.equal("workflow_started", names[1])
  assert.equal("workflow_finished", names[#names])
  return outputs
end

local function a_result(value)
  assert.equal("assistant", value.message.role)
  assert.truthy(value.message.content:find "%S")
  assert.is_true(value.usage.total_tokens > 0)
  return { value.message.content, value.structured_output }
end

local function joined_chunks(items)
  local pieces, structured = {}, nil
  for i, chunk in ipairs(items) do
    assert.equal(i - 1, chunk.delta.index)
    pieces[i] = chunk.delta.message.content
    structured = type(chunk.structured_output) == "table" and chunk.structured_output or structured
  end
  assert.is_true(items[#items].delta.usage.total_tokens > 0)
  return { table.concat(pieces), structured }
end

local function vectors(value)
  assert.equal(2, #value.embeddings)
  assert.equal(#value.embeddings[1], #value.embeddings[2])
  assert.is_number(value.embeddings[2][1])
  assert.is_number(value.usage.total_tokens)
end

local function ranked(value)
  assert.is_true(#value.docs > 0)
  for i, doc in ipairs(value.docs) do
    assert.truthy(({ "red apples", "blue sky" })[doc.index + 1] == doc.text)
    assert.is_true(i == 1 or doc.score <= value.docs[i - 1].score)
  end
end

local function bytes_of(items)
  local pieces = {}
  for i, item in ipairs(items) do pieces[i] = item.hex end
  return table.concat(pieces)
end

local function node_result(value)
  assert.is_table(value.outputs)
end

-- `whole` looks at what a blocking call gives, `joined` at the items of a stream; what they return
-- must be the same, and that of `collect`, too.
local KIND_LIST = {
  { "app_chat", whole = an_answer, joined = joined_answers },
  { "app_completion", whole = an_answer, joined = joined_answers },
  { "app_workflow", whole = a_run, joined = run_of_events },
  { "fetch_app", whole = function(value) assert.is_string(value.opening_statement) end },
  { "llm", whole = a_result, joined = joined_chunks },
  { "llm_structured_output", joined = joined_chunks, whole = function(value)
    local result = a_result(value)
    assert.is_string(result[2].name)
    return result
  end },
  { "text_embedding", whole = vectors },
  { "multimodal_embedding", whole = vectors },
  { "rerank", whole = ranked },
  { "multimodal_rerank", whole = ranked },
  { "tts", joined = bytes_of, collected = function(value) return value.hex end },
  { "speech2text", whole = function(value) assert.truthy(value:find "%S") end },
  { "moderation", whole = function(value) assert.is_true(value) end },
  { "summary", whole = function(value) assert.truthy(value:find "%S") end },
  { "tool", joined = function(items)
    assert.is_string(items[1].type)
    return items
  end, collected = function(value) return value end },
  { "parameter_extractor", whole = node_result },
  { "question_classifier", whole = node_result },
  { "upload_file", whole = function(value)
    assert.equal("image", value.parameter.type)
    assert.equal(value.id, value.parameter.tool_file_id or value.parameter.upload_file_id)
  end },
}

-- ---- the backends -------------------------------------------------------------------------------

local APPS = { "app_chat", "app_completion", "app_workflow", "fetch_app" }
local MODELS = { "llm", "llm_structured_output", "text_embedding", "multimodal_embedding", "rerank",
  "multimodal_rerank", "tts", "speech2text", "moderation", "summary" }
local LOCAL_MODELS = { "llm", "llm_structured_output", "text_embedding", "multimodal_embedding",
  "rerank", "multimodal_rerank", "moderation", "summary" }
local DIFYS_OWN = { "tool", "parameter_extractor", "question_classifier", "upload_file" }

local function set_of(...)
  local set = {}
  for _, list in ipairs { ... } do
    for _, name in ipairs(list) do set[name] = true end
  end
  return set
end

local BACKENDS = {
  { name = "the-dify", type = "dify", carries = set_of(APPS, MODELS, DIFYS_OWN),
    settings = kinds.settings("langgenius/openai/openai"),
    config = function(dify) return { ["the-dify"] = dify:backend() } end },
  { name = "clouds", type = "dify-service", carries = set_of(APPS, { "upload_file" }),
    settings = kinds.settings("clouds"),
    config = function(dify)
      local backend = dify:service_backend()
      backend.apps["app-advanced-chat"] = nil
      return { clouds = backend }
    end },
  { name = "gpt", type = "openai", carries = set_of(MODELS), settings = kinds.settings("gpt"),
    config = function(_, model)
      return { gpt = { type = "openai", url = model.url, models = { llm = { "m" } } } }
    end },
  { name = "local", type = "local", carries = set_of(APPS, LOCAL_MODELS),
    settings = kinds.settings("local", { llm = "demo", embedding = "demo-embedding",
      rerank = "demo-rerank", moderation = "demo-moderation" }),
    apps = {
      ["app-chat"] = { mode = "chat", name = "Chat", prompt = "You are Candy." },
      ["app-completion"] = { mode = "completion", name = "Completion" },
      ["app-workflow"] = { mode = "workflow", name = "Workflow", source = "apps/count.lua" },
    },
    config = function() return nil end },
}

for _, backend in ipairs(BACKENDS) do
  describe("the same plugin on " .. backend.type, function()
    local dify, model, host, upstream

    setup(function()
      dify, model = fake_dify.start(), fake_model.start()
      if backend.type == "openai" then upstream = model end
      if backend.type:find "^dify" then upstream = dify end
      host = host_support.start {
        files = kinds.files(),
        config = {
          plugins = { "plugins" }, apps = backend.apps, backends = backend.config(dify, model),
          demo = { pause_ms = 1 },
          endpoints = { { plugin = "kinds", hook_id = "kinds", settings = backend.settings } },
        },
      }
    end)

    teardown(function()
      host:stop()
      dify:stop()
      model:stop()
    end)

    before_each(function()
      for _, server in ipairs { dify, model } do
        server:order {}
        server:forget()
      end
    end)

    local function call(kind, way, collect)
      local order = { kind = kind, way = way, collect = collect }
      local reply = host:request(kinds.request(order))
      assert.equal(200, reply.status, reply.body)
      return cjson.decode(reply.body)
    end

    local function result_of(...)
      local told = call(...)
      assert.is_nil(told.error, told.error and cjson.encode(told.error))
      return told
    end

    -- Leaves while the upstream does not answer: it must see its connection close.
    local function assert_left(kind, way)
      upstream:order { never = true }
      local client = host:connect()
      client:send(http.format(kinds.request { kind = kind, way = way }))
      upstream:wait_seen()
      local left_at = process.now()
      client:close()
      upstream:wait_seen(function(record) return record.closed end)
      local ms = (process.now() - left_at) * 1000
      assert.is_true(ms < LIMIT_MS, ms)
      process.eventually(function()
        return host:request { target = "/e/kinds/raised" }.body:find "cancelled$"
      end, 2, "the call to raise `cancelled`")
    end

    local function assert_cut(kind, way)
      call(kind, way) -- the breaker of an upstream that works is closed
      upstream:order { cut = "fin", after = backend.type ~= "openai" and 1 or nil }
      local told = call(kind, way)
      assert.is_nil(told.value)
      assert.is_nil(told.collected)
      assert.is_table(told.error, "it ended quietly: " .. cjson.encode(told))
      assert.equal("upstream_truncated", told.error.code)
    end

    for _, kind in ipairs(KIND_LIST) do
      local name = kind[1]
      local ways = {}
      if kind.whole then ways[#ways + 1] = "blocking" end
      if kind.joined then ways[#ways + 1] = "streaming" end

      if backend.carries[name] then
        it("gives what it should by " .. name, function()
          local whole, joined
          if kind.whole then
            whole = kind.whole(result_of(name, "blocking").value)
          end
          if kind.joined then
            joined = kind.joined(result_of(name, "streaming").items)
            local collected = result_of(name, "streaming", true).collected
            assert.same(joined, (kind.collected or kind.whole)(collected))
            if kind.whole then assert.same(whole, joined) end
          end
        end)

        if backend.type ~= "local" then
          for _, way in ipairs(ways) do
            it(("closes the upstream of %s when it is left, %s"):format(name, way), function()
              assert_left(name, way)
            end)

            it(("raises when the answer to %s is cut, %s"):format(name, way), function()
              assert_cut(name, way)
            end)
          end
        end
      elseif name == "summary" then
        it("leaves the summary, for which no model is named, to the built-in one", function()
          kind.whole(result_of(name, "blocking").value)
          assert.same({}, upstream:seen())
        end)
      elseif backend.type == "openai" and (name:find "app" or name == "upload_file") then
        it("says where it looked for the app of " .. name, function()
          local problem = call(name, ways[1]).error
          assert.equal("not_found", problem.code) -- by an id alone, no backend is meant
          assert.truthy(problem.message:find("the app 'app-", 1, true), problem.message)
        end)
      else
        it("says that it does not carry " .. name, function()
          local problem = call(name, ways[1]).error
          assert.equal("unsupported", problem.code, cjson.encode(problem))
          assert.truthy(problem.message:find(backend.name, 1, true), problem.message)
          assert.truthy(problem.message:find("'" .. name .. "'", 1, true), problem.message)
        end)
      end
    end
  end)
end
