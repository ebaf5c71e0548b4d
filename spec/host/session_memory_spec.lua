-- What many relayed streams and calls side by side take: memory, and connections to the upstream.
local cjson = require "cjson"
local fake_model = require "spec.support.fake_model"
local process = require "spec.support.process"
local relay = require "spec.support.relay"

local STREAMS, CALLS = 2000, 200
-- Both sides of a stream together; over TLS, OpenSSL has its buffers besides.
local KIB_PER_STREAM = { gpt = 16, tls = 48 }
local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

describe("a host that relays", function()
  local model, host

  setup(function() model = fake_model.start { tls = true } end)

  -- A fresh one for each: memory that another left would be used again.
  before_each(function()
    local ports = model.ports
    model:order {}
    model:forget()
    host = relay.start {
      workers = 1, -- it is the memory, and the connections, of one that are looked at
      client = { ca_file = ports.ca_file },
      backends = {
        gpt = { type = "openai", url = model.url },
        tls = { type = "openai", url = ("https://127.0.0.1:%d/v1"):format(ports.tls_port) },
      },
    }
  end)

  after_each(function() host:stop() end)

  teardown(function() model:stop() end)

  local function resident_kib()
    local file = assert(io.open(("/proc/%d/status"):format(host.host:pid())))
    local kib = tonumber(file:read("*a"):match "VmRSS:%s*(%d+)")
    file:close()
    return kib
  end

  local function clients(what, count, target, word, order)
    return process.start { "node", "spec/support/holders.mjs", what, tostring(host.host.port),
      "/e/relay" .. target, tostring(count), word, cjson.encode(order) }
  end

  -- Streams that have sent one event and are silent then.
  local function hold(provider, count)
    local order = { provider = provider, model = "fake;n=3;piece_bytes=50;silent_after=2" }
    local holders = clients("hold", count, "/stream", "w0", order)
    local told = cjson.decode(holders:wait_for("stdout", "^(%b{})\n", 60))
    assert.equal(count, told.held)
    return holders
  end

  for provider, bound_kib in pairs(KIB_PER_STREAM) do
    it(("holds %d silent streams in %d KiB each, over %s")
      :format(STREAMS, bound_kib, provider), function()
      local first = hold(provider, 20) -- what the first uses need is there
      local before = resident_kib()
      local holders = hold(provider, STREAMS)
      assert.equal(STREAMS + 20, model:connections())
      local each = (resident_kib() - before) / STREAMS
      print(("# %.1f KiB per relayed stream, over %s"):format(each, provider))
      assert.equal("alive", host:probe())
      for _, child in ipairs { first, holders } do
        child:kill "TERM"
        child:wait(10)
      end
      process.eventually(function() return model:connections() == 0 end, 10,
        "all upstreams to be closed")
      assert.is_true(is_slow_build or each <= bound_kib, each)
    end)
  end

  for _, provider in ipairs { "gpt", "tls" } do
    it(("opens no more than %d connections for %d calls side by side, over %s")
      :format(CALLS, CALLS, provider), function()
      local order = { provider = provider, model = "fake;head_ms=100" }
      for _ = 1, 3 do
        local asking = clients("ask", CALLS, "/once", "hello big world", order)
        assert.equal(CALLS, cjson.decode(asking:wait_for("stdout", "^(%b{})\n", 30)).good)
        asking:wait(5)
      end
      local used, count = {}, 0
      local seen = model:seen()
      for _, record in ipairs(seen) do
        if not used[record.connection] then count = count + 1 end
        used[record.connection] = true
      end
      assert.equal(3 * CALLS, #seen)
      assert.is_true(count <= CALLS, count)
    end)
  end
end)
