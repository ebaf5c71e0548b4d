-- The world that a plugin under test calls, played by the spec: reads what was called, finds the
-- fake, plays its answer piece by piece. Dify's inner API carries everything, so that is what is
-- spoken; a plugin's own HTTP calls come to /web.
local Error = require "moonhook.error"
local bytes = require "host.bytes"
local json = require "host.json"
local loop = require "moonhook.testing.loop"
local script = require "moonhook.testing.script"
local shapes = require "moonhook.testing.shapes"
local testbed = require "host.testbed"
local web = require "moonhook.testing.web"

local upstream = {
  plugins = setmetatable({}, { __mode = "v" }), -- [number] = plugin
}

local KINDS = { -- [the rest of the path] = kind
  ["invoke/app"] = "app",
  ["fetch/app/info"] = "fetch_app",
  ["invoke/llm"] = "llm",
  ["invoke/llm/structured-output"] = "llm_structured_output",
  ["invoke/text-embedding"] = "text_embedding",
  ["invoke/multimodal-embedding"] = "text_embedding",
  ["invoke/rerank"] = "rerank",
  ["invoke/multimodal-rerank"] = "rerank",
  ["invoke/tts"] = "tts",
  ["invoke/speech2text"] = "speech2text",
  ["invoke/moderation"] = "moderation",
  ["invoke/summary"] = "summary",
  ["invoke/tool"] = "tool",
  ["invoke/parameter-extractor"] = "parameter_extractor",
  ["invoke/question-classifier"] = "question_classifier",
  ["upload/file/request"] = "upload_file",
}

local TITLES = { -- how plugins write it
  app = "session.app", fetch_app = "session.app:fetch", tool = "session.tool",
  http = "session.http", parameter_extractor = "session.workflow_node.parameter_extractor",
  question_classifier = "session.workflow_node.question_classifier",
}

local function title_of(kind)
  return TITLES[kind] or "session.model." .. kind
end

-- ---- what was called ----------------------------------------------------------------------------

local NOT_FOR_SPECS = { tenant_id = true, user_id = true, type = true }

-- The call as a spec sees it: `kind`, and the fields of the request under their own names.
local function read_call(id)
  local number, method, target, headers, body = testbed.call(id)
  if not number then return nil end
  local call = { id = id, kind = KINDS[target:match "^/inner/api/([^?]*)" or ""] }
  local is_local = target:match "^/local/(.*)"
  if target == "/web" then
    web.read(call, method, headers, body)
    call.kind = "http"
  elseif target:find "^/files/upload/" then
    call.kind, call.content = "upload_signed", body
  elseif is_local or call.kind then
    call.kind, call.is_local = call.kind or is_local, is_local ~= nil
    for name, value in pairs(json.decode_plain(body) or {}) do
      if not NOT_FOR_SPECS[name] then call[name] = value end
    end
    if call.kind == "tool" then call.parameters = call.tool_parameters end
    if call.kind == "speech2text" and call.file then call.file = bytes.hex_decode(call.file) end
  end
  return call, upstream.plugins[number]
end

-- ---- which fake ---------------------------------------------------------------------------------

local function named(fakes, name, what)
  local fake = name and fakes[name]
  if fake == nil then return nil, ("%s '%s'"):format(what, tostring(name)) end
  return fake
end

-- The fake that plays a call; nil, and how to write one.
local function find_fake(fakes, call)
  local kind = call.kind
  if kind == "http" then return web.find(fakes.http, call) end
  if kind == "upload_file" then return fakes.upload_file or true end
  if kind == "app" or kind == "fetch_app" then
    local parameters = kind == "fetch_app" and fakes.fetch_app
    if parameters then return parameters end
    local fake = fakes.apps and fakes.apps[call.app_id]
    if fake == nil and kind == "app" then fake = fakes.app end
    if fake ~= nil then return fake end
    -- Only workflows are called without a query, completion apps at times.
    local form = call.query == nil and 'testing.workflow { text = "done" }' or '{ "Hel", "lo" }'
    return nil, ("apps = { [%q] = %s }"):format(tostring(call.app_id), form)
  end
  if kind == "tool" then
    local fake = fakes.tools and named(fakes.tools, call.tool, "tool")
    if fake == nil then fake = fakes.tool end
    if fake ~= nil then return fake end
    return nil, ("tools = { [%q] = \"what it says\" }"):format(tostring(call.tool))
  end
  if fakes[kind] ~= nil then return fakes[kind] end
  return nil, kind .. " = ..."
end

-- A fake's answer to this call: functions are asked, each() gives its next.
local function resolve(fake, call)
  while true do
    if script.kind(fake) == "each" then
      fake.at = fake.at + 1
      if fake.at > fake.n then
        error(("the plugin made call number %d of %s, and testing.each has only %d answers")
          :format(fake.at, title_of(call.kind), fake.n), 0)
      end
      fake = fake[fake.at]
    elseif type(fake) == "function" then
      fake = fake(call)
    else
      return fake
    end
  end
end

-- ---- playing an answer --------------------------------------------------------------------------

local function frame(text)
  local n = #text
  return string.char(15, 0, 10, 0, n % 256, math.floor(n / 256) % 256,
    math.floor(n / 65536) % 256, math.floor(n / 16777216) % 256, 0, 0, 0, 0, 0, 0) .. text
end

-- One piece of a streamed answer, in the envelope that its upstream uses.
local function send(call, data)
  local text = json.must_encode(data)
  if not call.is_local then text = ('{"data":%s,"error":""}'):format(text) end
  testbed.piece(call.id, frame(text))
  call.pieces_sent = call.pieces_sent + 1
end

local function begin(call)
  if not call.is_begun then testbed.begin(call.id, 200, { "Content-Type", "text/event-stream" }) end
  call.is_begun = true
end

-- Does what a step says; true when the answer ends with it.
local function perform(call, value, kind)
  if kind == "wait" then
    loop.sleep(value.delay_ms)
    return false
  elseif kind == "hang" then
    return true
  elseif kind == "full" then
    error("testing.full() is for storage: plugin:play { storage = testing.full() }", 0)
  elseif kind == "cut" then
    testbed.abort(call.id)
  elseif kind == "refuse" then
    local body, flat = value.body, {}
    for name, text in pairs(value.headers) do
      flat[#flat + 1], flat[#flat + 2] = name, tostring(text)
    end
    if type(body) == "table" then body = json.must_encode(body) end
    testbed.begin(call.id, value.status, flat)
    testbed.piece(call.id, body)
    testbed.finish(call.id)
  elseif kind == "fail" then
    if call.is_local then
      testbed.abort(call.id)
    else
      local text = json.must_encode { data = json.null, error = value.message }
      begin(call)
      testbed.piece(call.id, call.is_framed and frame(text) or text)
      testbed.finish(call.id)
    end
  end
  return true
end

local function as_list(value)
  if type(value) == "table" and not script.kind(value) and (#value > 0 or next(value) == nil) then
    return value
  end
  return { value }
end

local function play_workflow(call, outputs)
  for _, data in ipairs(shapes.streams.app.workflow(call, outputs)) do send(call, data) end
  testbed.finish(call.id)
end

local function play_stream(call, fake)
  local shape, values = shapes.streams[call.kind], {}
  local is_whole = shape.whole and (call.response_mode == "blocking" or call.stream == false)
  call.is_framed = true
  for _, value in ipairs(as_list(fake)) do
    local kind = script.kind(value)
    if kind == "workflow" then
      begin(call)
      return play_workflow(call, value.outputs)
    elseif kind then
      if kind == "wait" and not is_whole then begin(call) end
      if perform(call, value, kind) then return end
    elseif is_whole then
      values[#values + 1] = value
    else
      begin(call)
      send(call, shape.piece(call, value))
    end
    if call.is_over then return end
  end
  begin(call)
  for _, data in ipairs(is_whole and { shape.whole(call, values) } or shape.finish(call)) do
    send(call, data)
  end
  testbed.finish(call.id)
end

local function send_whole(call, status, text)
  testbed.begin(call.id, status, { "Content-Type", "application/json" })
  testbed.piece(call.id, call.is_local and frame(text) or text)
  testbed.finish(call.id)
end

local function play_whole(call, fake)
  local values = type(fake) == "table" and script.kind(fake[1]) and fake or { fake }
  for _, value in ipairs(values) do
    local kind = script.kind(value)
    if not kind then
      local shape = shapes.whole[call.kind]
      local text = json.must_encode(shape and shape(call, value) or value)
      if not call.is_local then text = ('{"data":%s,"error":""}'):format(text) end
      return send_whole(call, 200, text)
    elseif perform(call, value, kind) then
      return
    end
  end
end

-- A file is taken in two steps, of which a spec sees one.
local function play_upload(call, plugin)
  if call.kind == "upload_file" then
    local url = ("http://127.0.0.1:%d/files/upload/for-plugin?sign=test")
      :format(plugin._upstream_port)
    plugin._upload = call
    return send_whole(call, 200, json.must_encode { data = { url = url }, error = "" })
  end
  local first = plugin._upload or call
  first.content = call.content:match "\r\n\r\n(.*)\r\n%-%-[^\r\n]+%-%-\r\n$"
  plugin._files = (plugin._files or 0) + 1
  send_whole(call, 201, json.must_encode {
    id = "file-" .. plugin._files, name = first.filename, size = #(first.content or ""),
    extension = (first.filename or ""):match "%.(%w+)$", mime_type = first.mimetype,
  })
end

local function play(call, plugin)
  local fake, hint = find_fake(plugin._fakes, call)
  if fake == nil then
    testbed.abort(call.id)
    local title = call.kind == "http" and call.method .. " " .. call.url or title_of(call.kind)
    loop.fail(("the plugin called %s, and the spec plays none: testing.load { %s }")
      :format(title, hint))
    return
  end
  fake = resolve(fake, call)
  if fake == nil then
    testbed.abort(call.id)
    loop.fail(("the fake of %s returned nothing"):format(title_of(call.kind)))
  elseif call.kind == "http" then
    web.play(call, fake, perform)
  elseif call.kind == "upload_file" then
    play_upload(call, plugin)
  elseif shapes.streams[call.kind] then
    play_stream(call, fake)
  else
    play_whole(call, fake)
  end
end

--- An upstream was called.
function loop.on_call(id)
  local call, plugin = read_call(id)
  if not call or not plugin then return testbed.abort(id) end
  call.pieces_sent, call.is_over, call.is_cancelled = 0, false, false
  loop.on_over[id] = function(has_left) call.is_over, call.is_cancelled = true, has_left end
  if call.kind == "upload_signed" then
    return play_upload(call, plugin)
  elseif not call.kind then
    testbed.abort(id)
    return loop.fail("the plugin made a call that specs cannot play yet")
  end
  plugin.calls[#plugin.calls + 1] = call
  loop.resume(coroutine.create(function()
    local ok, message = pcall(play, call, plugin)
    if not ok then
      testbed.abort(id)
      loop.fail(Error.is(message) and tostring(message) or message)
    end
  end))
end

return upstream
