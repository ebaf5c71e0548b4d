-- Upstreams that fail, on the real binary: what a client gets, what a plugin gets, what the
-- upstream saw, and that nobody else noticed.
local fake_model = require "spec.support.fake_model"
local http = require "spec.support.http"
local process = require "spec.support.process"
local relay = require "spec.support.relay"
local tcp = require "spec.support.socket"

local CONNECT_MS, FIRST_BYTE_MS, IDLE_MS = 700, 500, 500
local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

local function resident_kib(host)
  local status = assert(io.open(("/proc/%d/status"):format(host:pid()))):read "*a"
  return tonumber(status:match "VmHWM:%s*(%d+)"), tonumber(status:match "VmRSS:%s*(%d+)")
end

describe("a failing upstream", function()
  local model, host, hole, fillers

  setup(function()
    model = fake_model.start()
    -- A listener whose queue is full: a SYN to it is never answered.
    hole = tcp.listen(0)
    fillers = {}
    for _ = 1, 3 do
      local ok, filler = pcall(tcp.connect, hole.port, { seconds = 0.05 })
      if ok then fillers[#fillers + 1] = filler end
    end
    host = relay.start {
      workers = 1, -- each has its own pool of connections
      client = { connect_ms = CONNECT_MS, first_byte_ms = FIRST_BYTE_MS, idle_ms = IDLE_MS },
      backends = {
        gpt = { type = "openai", url = model.url },
        closed = { type = "openai", url = ("http://127.0.0.1:%d/v1"):format(tcp.free_port()) },
        nowhere = { type = "openai", url = "http://nowhere.invalid/v1" },
        hole = { type = "openai", url = ("http://127.0.0.1:%d/v1"):format(hole.port) },
      },
    }
  end)

  teardown(function()
    host:stop()
    model:stop()
    hole:close()
  end)

  before_each(function()
    model:order {}
    host:once("gpt", "fake") -- closes the breaker: each behaviour is looked at alone
    model:forget()
  end)

  local function assert_failure(reply, status, code)
    assert.equal(status, reply.status, reply.body)
    assert.truthy(reply.body:find('"code":"' .. code .. '"', 1, true), reply.body)
    assert.falsy(reply.body:find("127.0.0.1", 1, true))
  end

  local function timed(action)
    local started = process.now()
    local result = action()
    return result, process.now() - started
  end

  it("is a quick 502 when its port is closed", function()
    local reply, seconds = timed(function() return host:once("closed", "m") end)
    assert_failure(reply, 502, "upstream_error")
    assert.is_true(seconds < 1, seconds)
    local failure = host:failure("closed", "m")
    assert.equal("upstream_error", failure.code)
    assert.truthy(failure.detail:find "^connect_refused: ")
  end)

  it("is a 502 when its name is unknown", function()
    local reply, seconds = timed(function() return host:once("nowhere", "m") end)
    assert_failure(reply, 502, "upstream_error")
    assert.is_true(seconds < 5)
    assert.truthy(host:failure("nowhere", "m").detail:find "^dns: nowhere.invalid: ")
  end)

  it("is a 504 when its host does not answer a SYN, and nobody else waits", function()
    local replies = {}
    local started = process.now()
    for i = 1, 30 do
      replies[i] = host.host:connect()
      local body = '{"provider":"hole","model":"m"}'
      replies[i]:send(http.format { target = "/e/relay/once", json = body })
    end
    while process.now() - started < CONNECT_MS / 1000 - 0.1 do
      local answer, seconds = timed(function() return host:probe() end)
      assert.equal("alive", answer)
      assert.is_true(seconds < 0.2, seconds)
    end
    for i = 1, 30 do
      local head = replies[i]:receive_until("\r\n\r\n", 2)
      assert.truthy(head:find "^HTTP/1.1 504 ")
      replies[i]:close()
    end
    local seconds, limit = process.now() - started, CONNECT_MS / 1000
    assert.is_true(seconds > limit - 0.01 and seconds < limit + 0.6, seconds)
  end)

  it("is a 504 when it never answers", function()
    local reply, seconds = timed(function() return host:once("gpt", "fake;never") end)
    assert_failure(reply, 504, "upstream_timeout")
    assert.is_true(seconds > FIRST_BYTE_MS / 1000 - 0.01 and seconds < FIRST_BYTE_MS / 1000 + 0.3)
    model:wait_seen(function(record) return record.closed end)
    assert.equal(1, #model:seen())
  end)

  for _, how in ipairs { "fin", "rst" } do
    it("breaks a stream off visibly when it is cut by " .. how, function()
      local text, ending, is_complete = host:text("gpt", "fake;n=9;after=4;piece_ms=5;cut=" .. how)
      assert.equal("w0 w1 w2", text)
      assert.equal("upstream_error", ending)
      assert.is_false(is_complete)
      process.eventually(function() return model:connections() == 0 end, 2, "its socket to close")
    end)
  end

  it("never passes off a cut body as whole", function()
    assert_failure(host:once("gpt", "fake;raw=short_length"), 502, "upstream_error")
    assert.equal("upstream_truncated", host:failure("gpt", "fake;raw=short_length").code)
  end)

  local garbage = {
    bad_status = "^upstream_protocol: ",
    not_http = "^upstream_protocol: ",
    huge_head = "^upstream_protocol: a head of more than 64 KiB",
    gzip = "^upstream_protocol: a content encoding",
    huge_body = "^upstream_protocol: a body that is too large",
  }
  for name, detail in pairs(garbage) do
    it("is a 502 when it sends " .. name, function()
      assert_failure(host:once("gpt", "fake;raw=" .. name), 502, "upstream_error")
      assert.truthy(host:failure("gpt", "fake;raw=" .. name).detail:find(detail))
    end)
  end

  it("is refused at 1 MiB when one event does not end", function()
    local before = resident_kib(host.host)
    local text, ending = host:text("gpt", "fake;raw=huge_event")
    assert.equal("", text)
    assert.equal("upstream_error", ending)
    local grown = resident_kib(host.host) - before
    assert.is_true(is_slow_build or grown <= 4096, grown)
  end)

  it("times out when it falls silent in a stream", function()
    local reply = host:stream("gpt", "fake;n=9;piece_ms=100;silent_after=3")
    local text, ending = relay.read(reply)
    assert.equal("w0 w1", text)
    assert.equal("upstream_timeout", ending)
    local record = model:wait_seen(function(item) return item.closed end)
    assert.is_true(record.closed_ms - record.at_ms < 300 + IDLE_MS + 2000)
  end)

  it("lives as long as it says something in time", function()
    local started = process.now()
    local text, ending = host:text("gpt", ("fake;n=4;piece_ms=%d"):format(IDLE_MS * 0.6))
    assert.equal("w0 w1 w2 w3", text)
    assert.equal("done", ending)
    assert.is_true(process.now() - started > 3 * IDLE_MS * 0.6 / 1000)
  end)

  it("is cut off at the total limit, where there is one", function()
    local other = relay.start {
      client = { total_ms = 500 },
      backends = { gpt = { type = "openai", url = model.url } },
    }
    local started = process.now()
    local text, ending, is_complete = other:text("gpt", "fake;n=50;piece_ms=50")
    local seconds = process.now() - started
    assert.truthy(text:find "^w0 w1 w2 w3")
    assert.equal("upstream_timeout", ending)
    assert.is_false(is_complete)
    assert.is_true(seconds > 0.49 and seconds < 0.9, seconds)
    other:stop()
  end)

  it("leaves no trace of its data in the log", function()
    host:text("gpt", "fake;raw=bad_json_event")
    local log = host.host:log()
    assert.falsy(log:find("choices", 1, true))
    assert.falsy(log:find("chatcmpl", 1, true))
  end)
end)
