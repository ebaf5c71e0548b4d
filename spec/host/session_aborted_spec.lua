-- Thousands of streams that are left by their clients: no socket, no task, no memory stays behind.
local cjson = require "cjson"
local fake_model = require "spec.support.fake_model"
local leaver = require "spec.support.leaver"
local process = require "spec.support.process"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil
local ABORTED = is_slow_build and 1000 or 10000
local BOUND_KIB = 2048

describe("many streams that are left", function()
  local model

  setup(function() model = fake_model.start { tls = true } end)
  teardown(function() model:stop() end)

  local function count_fds(host)
    local pipe = io.popen(("ls /proc/%d/fd | wc -l"):format(host:pid()))
    local count = tonumber(pipe:read "*a")
    pipe:close()
    return count
  end

  local function resident_kib(host)
    local file = assert(io.open(("/proc/%d/status"):format(host:pid())))
    local kib = tonumber(file:read("*a"):match "VmRSS:%s*(%d+)")
    file:close()
    return kib
  end

  -- Lets so many clients come and leave, 100 at a time.
  local function leave(host, provider, count)
    local order = { path = "model.llm", is_streaming = true, argument = {
      model_config = { provider = provider, model = "fake;endless;piece_bytes=1;piece_ms=20" },
      prompt_messages = { { role = "user", content = "hello" } },
    } }
    local result = process.run { "node", "spec/support/leavers.mjs", tostring(host.port),
      "/e/leaver/call", tostring(count), "100", "#1", cjson.encode(order), seconds = 120 }
    local told = cjson.decode(result.stdout)
    assert.same({ left = count, broken = 0 }, told)
    process.eventually(function() return model:connections() == 0 end, 5,
      "the model's connections to close")
    model:forget()
  end

  for scheme, count in pairs { http = ABORTED, https = ABORTED / 10 } do
    it(("leave nothing behind over %s: %d of them"):format(scheme, count), function()
      local ports = { http = model.port, https = model.ports.tls_port }
      local host = leaver.start {
        workers = 1, -- it is the memory and the descriptors of one that are looked at
        config = {
          client = { ca_file = model.ports.ca_file },
          backends = leaver.backends(ports[scheme], scheme),
        },
      }
      -- What the first uses need is there, Lua's compiled code, which comes bit by bit, included.
      leave(host, "gpt", math.min(count, ABORTED / 5))
      local fds, kib = count_fds(host), resident_kib(host)
      leave(host, "gpt", math.floor(count * 2 / 5))
      leave(host, "gpt", math.floor(count * 2 / 5))
      process.eventually(function() return count_fds(host) <= fds end, 2, "its sockets to close")
      local grown = resident_kib(host) - kib
      assert.is_true(is_slow_build or grown <= BOUND_KIB, grown .. " KiB")
      host:stop() -- asserts that no handle and no task is left
    end)
  end
end)
