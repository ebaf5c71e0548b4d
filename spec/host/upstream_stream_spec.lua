-- Streams of events from an upstream: spelled in every way, split everywhere, endless, and left.
local fake_model = require "spec.support.fake_model"
local http = require "spec.support.http"
local process = require "spec.support.process"
local relay = require "spec.support.relay"
local tcp = require "spec.support.socket"

local SAID = "You said: hello big world"
local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

describe("a stream from an upstream", function()
  local model, host, mute

  setup(function()
    model = fake_model.start()
    mute = tcp.listen(16)
    host = relay.start {
      backends = {
        gpt = { type = "openai", url = model.url },
        mute = { type = "openai", url = ("https://127.0.0.1:%d/v1"):format(mute.port) },
      },
    }
  end)

  teardown(function()
    host:stop()
    model:stop()
    mute:close()
  end)

  before_each(function()
    model:order {}
    model:forget()
  end)

  local spellings = {
    "cr_only", "crlf", "bom", "no_space", "multi_line", "comments", "last_incomplete", "no_done",
  }
  for _, name in ipairs(spellings) do
    for _, split in ipairs { "", ";split=1", ";split=7;framing=close" } do
      it(("is understood with %s%s"):format(name, split), function()
        local text, ending = host:text("gpt", "fake;raw=" .. name .. split)
        assert.equal(SAID, text)
        assert.equal("done", ending)
      end)
    end
  end

  it("arrives piece by piece", function()
    local reply = host:stream("gpt", "fake;n=4;piece_ms=120")
    local times = {}
    for piece, at in reply:pieces() do
      if piece:find "w%d" then times[#times + 1] = at end
    end
    reply:close()
    assert.equal(4, #times)
    for i = 2, 4 do assert.is_true(times[i] - times[i - 1] > 0.08, times[i] - times[i - 1]) end
  end)

  it("ends at [DONE], whatever comes after it", function()
    local text, ending = host:text("gpt", "fake;raw=done_then_more")
    assert.equal(SAID, text)
    assert.equal("done", ending)
    process.eventually(function() return model:connections() == 0 end, 2, "its socket to close")
    host:text("gpt", "fake")
    local seen = model:seen()
    assert.are_not.equal(seen[1].connection, seen[2].connection)
  end)

  for _, name in ipairs { "bad_utf8", "bad_json_event" } do
    it("stops at an event with " .. name, function()
      local text, ending, is_complete = host:text("gpt", "fake;raw=" .. name)
      assert.equal("", text)
      assert.equal("upstream_error", ending)
      assert.is_false(is_complete)
      assert.equal("alive", host:probe())
    end)
  end

  it("ends with the upstream's own error when there is one", function()
    local _, ending, is_complete = host:text("gpt", "fake;raw=error_event")
    assert.equal("upstream_error", ending)
    assert.is_false(is_complete)
  end)

  -- The reading side of back-pressure: the upstream is paused, not piled up.
  it("waits for a slow reader without losing or hoarding anything", function()
    local function resident_kib()
      local path = ("/proc/%d/status"):format(host.host:pid())
      return tonumber(assert(io.open(path)):read("*a"):match "VmRSS:%s*(%d+)")
    end
    local function sent()
      local record = model:seen()[1]
      return record and record.sent_bytes or 0
    end
    host:text("gpt", "fake;n=2000") -- what the first use needs is there
    model:forget()
    local before = resident_kib()
    local reply = host:stream("gpt", "fake;endless;piece_bytes=1000", 30)
    local last, since = -1, process.now()
    process.eventually(function()
      local so_far = sent()
      if so_far ~= last then last, since = so_far, process.now() end
      return so_far > 0 and process.now() - since > 0.3
    end, 15, "the upstream to be paused")
    local grown = resident_kib() - before
    assert.is_true(is_slow_build or grown <= 1024, grown)

    local text, expected = "", 0
    while expected < 5000 do
      local start, stop = text:find("\n\n", 1, true)
      if start then
        local number = text:sub(1, stop):match 'data: %["#(%d+) x+\\n"%]'
        text = text:sub(stop + 1)
        if number then
          assert.equal(expected, tonumber(number))
          expected = expected + 1
        end
      else
        text = text .. assert(reply:next_piece())
      end
    end
    assert.is_true(sent() > last)
    reply:close()
    model:wait_seen(function(record) return record.closed end)
  end)

  describe("whose client leaves", function()
    local function milliseconds_until_closed(action)
      local left_at = process.now()
      action()
      model:wait_seen(function(record) return record.closed end)
      return (process.now() - left_at) * 1000
    end

    it("is closed at once while nothing has come yet", function()
      local reply = host.host:connect()
      local body = '{"provider":"gpt","model":"fake;never"}'
      reply:send(http.format { target = "/e/relay/once", json = body })
      model:wait_seen()
      local ms = milliseconds_until_closed(function() reply:close() end)
      assert.is_true(ms < 1000, ms)
    end)

    it("is closed at once in its middle", function()
      local reply = host:stream("gpt", "fake;n=1000;piece_ms=20")
      while not reply:next_piece():find "w3" do end
      local ms = milliseconds_until_closed(function() reply:close() end)
      assert.is_true(ms < 1000, ms)
      local record = model:seen()[1]
      assert.is_true(record.sent_events < 100)
    end)

    it("is closed at once while it connects", function()
      local client = host.host:connect()
      local body = '{"provider":"mute","model":"m"}'
      client:send(http.format { target = "/e/relay/once", json = body })
      local upstream = assert(mute:accept(5)) -- and the TLS handshake is never answered
      assert(upstream:receive(2))
      client:close()
      assert.is_true(upstream:is_closed(1))
      upstream:close()
    end)
  end)
end)
