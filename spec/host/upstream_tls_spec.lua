-- Upstreams over TLS: whom the host believes, and how it goes through a proxy.
local cjson = require "cjson"
local fake_model = require "spec.support.fake_model"
local host_support = require "spec.support.host"
local relay = require "spec.support.relay"

local SAID = "You said: hello big world"

describe("an upstream over TLS", function()
  local model, host

  local function address(port, name)
    return { type = "openai", url = ("https://%s:%d/v1"):format(name or "127.0.0.1", port),
      api_key_file = "model.key" }
  end

  local function start(options)
    local ports = model.ports
    return relay.start {
      workers = 1, -- each has its own pool of connections
      client = { ca_file = options.ca_file, first_byte_ms = 2000, connect_ms = 2000 },
      files = { ["model.key"] = "sk-very-secret\n" },
      env = options.env,
      backends = {
        by_address = address(ports.tls_port),
        by_name = address(ports.tls_port, "localhost"),
        wrong_name = address(ports.wrong_name_port),
        expired = address(ports.expired_port),
        self_signed = address(ports.self_signed_port),
        plain = address(ports.port),
        far = { type = "openai", url = "https://model.test/v1", api_key_file = "model.key" },
      },
    }
  end

  setup(function()
    model = fake_model.start { tls = true }
    host = start { ca_file = model.ports.ca_file }
  end)

  teardown(function()
    host:stop()
    model:stop()
  end)

  before_each(function()
    model:order {}
    model:forget()
  end)

  for _, name in ipairs { "by_address", "by_name" } do
    it("streams, " .. name, function()
      local text, ending = host:text(name, "fake")
      assert.equal(SAID, text)
      assert.equal("done", ending)
      assert.equal("Bearer sk-very-secret", model:seen()[1].headers.authorization)
    end)
  end

  it("streams a lot, in order", function()
    local text = host:text("by_address", "fake;n=5000;piece_bytes=50")
    local count = 0
    for number in text:gmatch "w(%d+)x+" do
      assert.equal(count, tonumber(number))
      count = count + 1
    end
    assert.equal(5000, count)
  end)

  it("keeps its connection for the next call", function()
    for _ = 1, 3 do assert.equal(SAID, host:once("by_address", "fake").body) end
    local seen = model:seen()
    assert.equal(seen[1].connection, seen[3].connection)
  end)

  it("is cut off visibly", function()
    local text, ending = host:text("by_address", "fake;n=5;after=3;cut=fin")
    assert.equal("w0 w1", text)
    assert.equal("upstream_error", ending)
  end)

  for _, name in ipairs { "wrong_name", "expired", "self_signed" } do
    it("is refused with a certificate that is " .. name, function()
      local reply = host:once(name, "fake")
      assert.equal(502, reply.status)
      assert.truthy(reply.body:find('"code":"upstream_error"', 1, true))
      assert.truthy(host:failure(name, "fake").detail:find "^tls_verify: 127.0.0.1: ")
      assert.equal(0, #model:seen())
    end)
  end

  it("is refused when it does not speak TLS", function()
    local failure = host:failure("plain", "fake")
    assert.truthy(failure.code == "upstream_error" or failure.code == "upstream_timeout")
    assert.equal(0, #model:seen())
  end)

  it("is not believed without its authority", function()
    local other = start {}
    assert.truthy(other:failure("by_address", "fake").detail:find "^tls_verify: ")
    assert.equal(0, #model:seen())
    other:stop()
  end)

  it("leaves no trace of the key in log or replies", function()
    host:once("wrong_name", "fake")
    host:once("by_address", "fake;status=400")
    assert.falsy(host.host:log():find("sk-very", 1, true))
  end)

  it("needs an authority that can be read", function()
    local result = host_support.run { "serve", "--config", "moonhook.yaml",
      config = { client = { ca_file = "/nowhere/ca.pem" } } }
    assert.are_not.equal(0, result.code)
    assert.truthy(result.stderr:find("client.ca_file: /nowhere/ca.pem: ", 1, true))
  end)

  describe("behind a proxy", function()
    local function with_proxy(environment, action)
      environment.HTTPS_PROXY = ("http://us%%20er:pass@127.0.0.1:%d"):format(model.ports.proxy_port)
      local other = start { ca_file = model.ports.ca_file, env = environment }
      local ok, problem = pcall(action, other)
      other:stop()
      assert(ok, problem)
    end

    it("is reached by CONNECT, by its name", function()
      with_proxy({}, function(other)
        local text = other:text("far", "fake")
        assert.equal(SAID, text)
        local seen = model:seen()
        assert.equal("CONNECT", seen[1].method)
        assert.equal("model.test:443", seen[1].path)
        assert.equal("Basic dXMgZXI6cGFzcw==", seen[1].headers["proxy-authorization"])
        assert.is_nil(seen[1].headers.authorization)
        assert.equal("model.test", seen[2].headers.host)
        assert.is_nil(seen[2].headers["proxy-authorization"])
      end)
    end)

    it("fails when the proxy refuses", function()
      model:order { proxy_status = 407 }
      with_proxy({}, function(other)
        assert.truthy(other:failure("far", "fake").detail:find "^proxy_refused: .* 407 ")
      end)
    end)

    it("is reached directly where NO_PROXY names it, or on loopback", function()
      with_proxy({ NO_PROXY = "example.org, .test" }, function(other)
        assert.truthy(other:failure("far", "fake").detail:find "^dns: ")
        assert.equal(SAID, other:once("by_address", "fake").body)
        assert.is_nil(cjson.encode(model:seen()):find "CONNECT")
      end)
    end)
  end)
end)
