-- Calls that are left, in each phase and in each way that there is: the upstream's connection is
-- closed at once, and nothing stays behind.
local cjson = require "cjson"
local host_support = require "spec.support.host"
local leaver = require "spec.support.leaver"
local process = require "spec.support.process"
local tcp = require "spec.support.socket"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil
local LIMIT_S = is_slow_build and 0.3 or 0.1 -- as a rule
local PATIENCE_S = 2 -- on a machine that has much else to do
local backends, send, start = leaver.backends, leaver.send, leaver.start

local function frame(data)
  local text = cjson.encode { data = data, error = "" }
  local function le(value, bytes)
    local out = {}
    for i = 1, bytes do out[i] = string.char(math.floor(value / 256 ^ (i - 1)) % 256) end
    return table.concat(out)
  end
  return "\15\0" .. le(10, 2) .. le(#text, 4) .. ("\0"):rep(6) .. text
end

local function chunked(bytes) return ("%x\r\n%s\r\n"):format(#bytes, bytes) end

local MESSAGES = { { role = "user", content = "hello" } }
local CHUNK = { model = "m", prompt_messages = {},
  delta = { index = 0, message = { role = "assistant", content = "a", tool_calls = {} } } }

-- What is called, and the first piece of the answer to it.
local STREAMS = {
  ["a model's events"] = {
    order = { path = "model.llm", is_streaming = true,
      argument = { model_config = { provider = "gpt", model = "m" }, prompt_messages = MESSAGES } },
    piece = 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n',
  },
  ["Dify's frames"] = {
    order = { path = "model.llm", is_streaming = true,
      argument = {
        model_config = { provider = "a/b/c", model = "m" }, prompt_messages = MESSAGES,
      } },
    piece = frame(CHUNK),
  },
  ["the Service API's events"] = {
    order = { path = "app.chat", is_streaming = true,
      argument = { app_id = "app-chat", query = "hello" } },
    piece = 'data: {"event":"message","task_id":"task-7","message_id":"m","answer":"a"}\n\n',
    is_stopped_by = "/v1/chat-messages/task-7/stop",
  },
}
local BLOCKING = { -- `begins`: how an answer to it does, where not with JSON
  ["a model's vectors"] = { path = "model.text_embedding",
    argument = { model_config = { provider = "gpt", model = "m" }, texts = { "a" } } },
  ["Dify's vectors"] = { path = "model.text_embedding",
    argument = { model_config = { provider = "a/b/c", model = "m" }, texts = { "a" } } },
  ["Dify's blocking app"] = { path = "app.chat", begins = frame({}):sub(1, 20),
    argument = { app_id = "other", query = "hello", response_mode = "blocking" } },
  ["the Service API's blocking app"] = { path = "app.chat",
    argument = { app_id = "app-chat", query = "hello", response_mode = "blocking" } },
}

describe("a call that is left", function()
  local host, upstream, noted, closed_after

  setup(function()
    upstream = tcp.listen(16)
    host = start { config = { backends = backends(upstream.port) } }
    noted, closed_after = 0, {}
  end)

  teardown(function()
    host:stop()
    upstream:close()
  end)

  -- The plugin's code got to know of it, as its own Error.
  local function assert_cancelled()
    noted = noted + 1
    local codes
    process.eventually(function()
      codes = {}
      local text = host:request { target = "/e/leaver/seen" }.body
      for code in text:gmatch "[^,]+" do codes[#codes + 1] = code end
      return #codes >= noted
    end, 2, "the call to raise")
    assert.equal("cancelled", codes[noted])
  end

  local function accept_request()
    local connection = assert(upstream:accept(5))
    local head = assert(connection:receive_until("\r\n\r\n", 5))
    connection:receive_exactly(tonumber(head:match "[Cc]ontent%-[Ll]ength: (%d+)" or 0), 5)
    return connection, head
  end

  local function answer_stop(path)
    local connection, head = accept_request()
    assert.equal("POST " .. path, head:match "^(%S+ %S+)")
    connection:send "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"result\":\"success\"}"
    connection:close()
  end

  local function assert_closed(connection)
    local since = process.now()
    assert.is_true(connection:is_closed(PATIENCE_S))
    closed_after[#closed_after + 1] = process.now() - since
    connection:close()
  end

  local STREAM_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n"
  local HALF_AN_ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    .. "Content-Length: 1000\r\n\r\n"

  for name, case in pairs(STREAMS) do
    describe("of " .. name, function()
      it("closes while it waits for the head, when the client leaves", function()
        local client = send(host, "/call", case.order)
        local connection = accept_request()
        client:close()
        assert_closed(connection)
        assert_cancelled()
      end)

      it("closes while it waits for the first piece, when the client leaves", function()
        local client = send(host, "/call", case.order)
        local connection = accept_request()
        connection:send(STREAM_HEAD)
        client:close()
        assert_closed(connection)
        assert_cancelled()
      end)

      it("closes in the middle, when the client leaves", function()
        local client = send(host, "/call", case.order)
        local connection = accept_request()
        connection:send(STREAM_HEAD .. chunked(case.piece))
        assert(client:receive_until("a\n", 5))
        client:close()
        assert_closed(connection)
        if case.is_stopped_by then answer_stop(case.is_stopped_by) end
        assert_cancelled()
      end)

      it("closes in the middle, when the client resets its connection", function()
        local client = send(host, "/call", case.order)
        local connection = accept_request()
        connection:send(STREAM_HEAD .. chunked(case.piece))
        assert(client:receive_until("a\n", 5))
        client:reset()
        assert_closed(connection)
        if case.is_stopped_by then answer_stop(case.is_stopped_by) end
        assert_cancelled()
      end)

      it("closes when the iterator is closed, though the task goes on", function()
        local client = send(host, "/closes", case.order)
        local connection = accept_request()
        connection:send(STREAM_HEAD .. chunked(case.piece))
        assert(client:receive_until("left", 5))
        assert_closed(connection)
        if case.is_stopped_by then answer_stop(case.is_stopped_by) end
        client:close()
      end)

      for _, way in ipairs { "breaks", "returns" } do
        it("closes when the handler " .. way .. " before the end", function()
          local client = send(host, "/" .. way, case.order)
          local connection = accept_request()
          connection:send(STREAM_HEAD .. chunked(case.piece))
          if way == "returns" then leaver.let_return(host, 1) end
          assert(client:receive_until("left", 5))
          assert_closed(connection)
          if case.is_stopped_by then answer_stop(case.is_stopped_by) end
          client:close()
        end)
      end

      it("closes when the handler returns while a spawned call waits for the head", function()
        local client = send(host, "/returns", case.order)
        local connection = accept_request()
        leaver.let_return(host)
        assert(client:receive_until("left", 5))
        assert_closed(connection)
        client:close()
      end)
    end)
  end

  for name, order in pairs(BLOCKING) do
    describe("for " .. name, function()
      local half = HALF_AN_ANSWER .. (order.begins or '{"data":')
      for phase, sent in pairs { ["waits for the head"] = "", ["reads the answer"] = half } do
        it("closes while it " .. phase .. ", when the client leaves", function()
          local client = send(host, "/call", order)
          local connection = accept_request()
          connection:send(sent)
          client:close()
          assert_closed(connection)
          assert_cancelled()
        end)

        it("closes while it " .. phase .. ", when the handler returns", function()
          local client = send(host, "/returns", order)
          local connection = accept_request()
          connection:send(sent)
          leaver.let_return(host)
          assert(client:receive_until("left", 5))
          assert_closed(connection)
          client:close()
        end)
      end
    end)
  end

  it("is closed within a tenth of a second", function()
    table.sort(closed_after)
    local median = closed_after[math.ceil(#closed_after / 2)]
    assert.is_true(median <= LIMIT_S, ("%d calls, the median after %g s"):format(#closed_after,
      median))
  end)

  it("leaves no socket to any of them", function()
    process.eventually(function()
      for line in io.lines "/proc/net/tcp" do
        local port, state = line:match "^%s*%d+: %x+:%x+ %x+:(%x+) (%x+)"
        if port and tonumber(port, 16) == upstream.port and state == "01" then return false end
      end
      return true
    end, 2, "all connections to close")
  end)
end)

-- How many sockets on this machine wait for an answer to their SYN to that port.
local function count_connecting(port)
  local count = 0
  for line in io.lines "/proc/net/tcp" do
    local remote, state = line:match "^%s*%d+: %x+:%x+ %x+:(%x+) (%x+)"
    if remote and tonumber(remote, 16) == port and state == "02" then count = count + 1 end
  end
  return count
end

describe("a call that is left before it reached anyone", function()
  local LEFT = {
    ["the client leaves"] = function(host, order, when_begun)
      local client = send(host, "/call", order)
      when_begun()
      client:close()
    end,
    ["the handler returns"] = function(host, order, when_begun)
      local client = send(host, "/returns", order)
      when_begun()
      leaver.let_return(host)
      assert(client:receive_until("left", 5))
      client:close()
    end,
  }
  local ORDER = STREAMS["a model's events"].order

  for way, leave in pairs(LEFT) do
    it("stops to connect when " .. way, function()
      local hole, fillers = tcp.listen(0), {} -- its queue is full: a SYN to it is never answered
      for i = 1, 3 do
        local ok, filler = pcall(tcp.connect, hole.port, { seconds = 0.05 })
        if ok then fillers[i] = filler end
      end
      collectgarbage() -- the filler that got no answer is closed
      local host = start { config = { backends = backends(hole.port) } }
      assert.equal(0, count_connecting(hole.port))
      leave(host, ORDER, function()
        process.eventually(function() return count_connecting(hole.port) == 1 end)
      end)
      process.eventually(function() return count_connecting(hole.port) == 0 end, PATIENCE_S,
        "the SYN to be taken back")
      for _, filler in ipairs(fillers) do filler:close() end
      host:stop()
      hole:close()
    end)

    it("stops to shake hands when " .. way, function()
      local mute = tcp.listen(16)
      local host = start { config = { backends = backends(mute.port, "https") } }
      local upstream
      leave(host, ORDER, function()
        upstream = assert(mute:accept(5))
        assert.equal("\22", assert(upstream:receive(5)):sub(1, 1)) -- a ClientHello, to no answer
      end)
      assert.is_true(upstream:is_closed(PATIENCE_S))
      upstream:close()
      host:stop()
      mute:close()
    end)
  end

  describe("while its name is looked up", function()
    local LOOKUP_MS = 700
    local upstream, host
    local library = host_support.folder {} .. "/slow_names.so"

    setup(function()
      upstream = tcp.listen(16)
      local made = process.run { "cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library,
        "spec/support/slow_names.c", "-ldl" }
      assert.equal(0, made.code, made.stderr)
      local all = backends(upstream.port)
      for name, backend in pairs(all) do
        backend.url = backend.url:gsub("127%.0%.0%.1", name .. ".slow.test")
      end
      host = start {
        config = { backends = all },
        env = {
          LD_PRELOAD = library, SLOW_NAMES_MS = tostring(LOOKUP_MS),
          ASAN_OPTIONS = is_slow_build and "exitcode=99:detect_leaks=1:verify_asan_link_order=0"
            or nil,
        },
      }
    end)

    teardown(function() host:stop() end)

    it("is over at once, and nobody is called when the answer comes", function()
      local order = STREAMS["a model's events"].order
      local client = send(host, "/call", order)
      client:receive(0.1) -- the look-up is under way
      local left_at = process.now()
      client:close()
      process.eventually(function()
        return host:request { target = "/e/leaver/seen" }.body == "cancelled"
      end, LOOKUP_MS / 1000, "the call to raise, before the name is found")
      while process.now() - left_at < LOOKUP_MS / 1000 + 0.3 do
        local connection = upstream:accept(0.1)
        assert.is_nil(connection)
      end
    end)

    it("is looked up in earnest: the name is good for who stays", function()
      local order = STREAMS["Dify's frames"].order
      local client = send(host, "/call", order)
      local connection = assert(upstream:accept(5))
      client:close()
      connection:close()
    end)
  end)
end)
