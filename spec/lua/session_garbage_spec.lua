-- Whatever an upstream sends, a call gives a value or raises an Error; never a Lua error of ours.
local reverse = require "spec.support.reverse"
local Error = require "moonhook.error"
local json = require "host.json"
local session = require "moonhook.session"

local SEED = tonumber(os.getenv "SPEC_SEED") or 1
local ROUNDS = 400

local state = SEED
local function random(count)
  state = (state * 16807 + 11) % 2147483647
  return state % count + 1
end

local NAMES = {
  "choices", "delta", "message", "content", "tool_calls", "function", "usage", "model", "index",
  "id", "finish_reason", "data", "embedding", "error", "prompt_tokens", "event", "answer",
  "results", "relevance_score", "flagged", "text", "images", "image_url", "url", "audio",
}
local LEAVES = {
  json.null, true, false, 0, -1, 1.5, 1e300, "", "stop", "[DONE]", ("x"):rep(300), "小猫",
}

-- Random JSON that often has the right names and seldom the right types.
local function value(depth)
  local kind = random(depth > 5 and 1 or 3)
  if kind == 1 then return LEAVES[random(#LEAVES)] end
  local made = kind == 2 and json.array {} or {}
  for i = 1, random(4) - 1 do
    made[kind == 2 and i or NAMES[random(#NAMES)]] = value(depth + 1)
  end
  return made
end

-- A right event with one random value somewhere in it.
local function nearly(event)
  local at, path = event, {}
  while type(at) == "table" do
    local names = {}
    for name in pairs(at) do names[#names + 1] = name end
    if #names == 0 then break end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    path = { at, names[random(#names)] }
    if random(3) == 1 then break end
    at = at[path[2]]
  end
  path[1][path[2]] = value(3)
  return event
end

local function chunk_event()
  return { id = "x", model = "m", choices = { { index = 0, finish_reason = "stop", delta = {
    content = "a", tool_calls = { { index = 0, id = "i", type = "function",
      ["function"] = { name = "f", arguments = "{}" } } },
  } } }, usage = { prompt_tokens = 1, completion_tokens = 1, total_tokens = 2 } }
end

local function completion()
  return { model = "m", choices = { { message = { content = "a" }, finish_reason = "stop" } },
    usage = { prompt_tokens = 1, completion_tokens = 1, total_tokens = 2 } }
end

local function embeddings()
  return { data = { { index = 0, embedding = { 1, 2 } } }, usage = { prompt_tokens = 1 } }
end

local function app_event()
  return { event = "message", answer = "a", id = "i", metadata = { usage = {} }, created_at = 1 }
end

local CONFIG = { provider = "gpt", model = "m" }
local MESSAGES = { { role = "user", content = "hi" } }

local function drain(stream)
  if random(2) == 1 then return stream:collect() end
  for chunk in stream do json.encode(chunk) end
end

local KINDS = {
  ["a streamed answer"] = { chunk_event, function()
    drain(session.model.llm:invoke { model_config = CONFIG, prompt_messages = MESSAGES })
  end },
  ["a whole answer"] = { completion, function()
    json.encode(session.model.llm:invoke {
      model_config = CONFIG, prompt_messages = MESSAGES, stream = false,
    })
  end },
  ["vectors"] = { embeddings, function()
    session.model.text_embedding:invoke { model_config = CONFIG, texts = { "a" } }
  end },
  ["an app's events"] = { app_event, function()
    drain(session.app.chat:invoke { app_id = "a", query = "q" })
  end },
  ["an app's answer"] = { app_event, function()
    session.app.chat:invoke { app_id = "a", query = "q", response_mode = "blocking" }
  end },
  ["a structured answer"] = { chunk_event, function()
    drain(session.model.llm_structured_output:invoke { model_config = CONFIG,
      prompt_messages = MESSAGES, structured_output_schema = { type = "object" } })
  end },
  ["a whole structured answer"] = { function()
    local answer = completion()
    answer.choices[1].message.content = '{"a":1}'
    return answer
  end, function()
    json.encode(session.model.llm_structured_output:invoke { model_config = CONFIG, stream = false,
      prompt_messages = MESSAGES, structured_output_schema = { type = "object" } })
  end },
  ["an order of documents"] = { function()
    return { model = "m", results = { { index = 0, relevance_score = 0.5 } } }
  end, function()
    json.encode(session.model.rerank:invoke { model_config = CONFIG, docs = { "a" }, query = "q" })
  end },
  ["a judgement"] = { function() return { results = { { flagged = true } } } end, function()
    session.model.moderation:invoke { model_config = CONFIG, text = "x" }
  end },
  ["a transcript"] = { function() return { text = "x" } end, function()
    session.model.speech2text:invoke { model_config = CONFIG, file = "x" }
  end },
  ["a summary"] = { completion, function()
    session.model.summary:invoke { text = "x", min_summarize_length = 0 }
  end },
  ["Dify's chunks"] = { function()
    return { model = "m", delta = { index = 0, message = { content = "a", tool_calls = {} },
      usage = { total_tokens = 1 } } }
  end, function()
    drain(session.model.llm:invoke {
      model_config = { provider = "x/y/z", model = "m" }, prompt_messages = MESSAGES,
    })
  end },
}

describe(("garbage (seed %d)"):format(SEED), function()
  for name, kind in pairs(KINDS) do
    it("as " .. name .. " gives a value or an Error", function()
      for _ = 1, ROUNDS do
        reverse.reset { backends = { gpt = { type = "openai" }, dify = { type = "dify" } } }
        local pieces = {}
        for i = 1, random(3) do
          local event = random(3) == 1 and value(1) or nearly(kind[1]())
          pieces[i] = json.encode(event)
        end
        if random(2) == 1 then pieces[#pieces + 1] = "[DONE]" end
        reverse.script { pieces = pieces, status = random(8) == 1 and 500 or nil }
        local ok, raised = pcall(reverse.run, kind[2])
        if not ok and not Error.is(raised) then
          error(("%s\nfor %s"):format(tostring(raised), table.concat(pieces, "\n")), 0)
        end
      end
    end)
  end
end)
