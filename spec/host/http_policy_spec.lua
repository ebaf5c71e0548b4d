-- Where session.http may go, on the real binary. The upstream stands on 127.0.0.2, which the
-- operator has opened; 127.0.0.1, with the same server and the admin listener, stays closed.
local fake_model = require "spec.support.fake_model"
local host = require "spec.support.host"
local process = require "spec.support.process"
local web = require "spec.support.web"

describe("the address policy", function()
  local server, caller

  setup(function()
    server = web.serve { "127.0.0.2:0", "127.0.0.1:0", "[::1]:0" }
    caller = web.start { allow = { "127.0.0.2" } }
  end)

  teardown(function()
    caller:stop()
    server:stop()
  end)

  before_each(function() server:forget() end)

  local function assert_refused(code, url)
    local result = caller:call { url = url }
    assert.equal(code, result.code, url .. ": " .. (result.message or "no failure"))
    return result
  end

  local function assert_unseen()
    assert.same({}, server:seen())
  end

  it("lets a call pass to what the operator has opened", function()
    local result = caller:call { url = server.url .. "/echo" }
    assert.equal(200, result.status, result.message)
    assert.equal("127.0.0.2", server:seen()[1].address)
  end)

  it("refuses the metadata address of clouds", function()
    assert_refused("blocked_address", "http://169.254.169.254/latest/meta-data/")
  end)

  it("refuses loopback by address and by name, the admin listener included", function()
    local from = #caller.host:log()
    for _, name in ipairs { "127.0.0.1", "localhost", "[::1]", "LOCALHOST", "localhost." } do
      assert_refused("blocked_address", ("http://%s:%d/echo"):format(name, server.port))
      assert_refused("blocked_address", ("http://%s:%d/"):format(name, caller.host.admin_port))
    end
    assert.is_nil(caller.host:find_record({ listener = "admin" }, from))
    assert_unseen()
  end)

  it("refuses odd spellings of an address by what they mean", function()
    for _, name in ipairs { "2130706433", "0x7f.1", "127.1", "0", "0x7f000001", "017700000001",
        "127.0.0.1.", "0177.0.0.1" } do
      assert_refused("blocked_address", ("http://%s:%d/echo"):format(name, server.port))
    end
    assert_unseen()
  end)

  it("reads a number as the address that it means", function()
    local result = caller:call { url = ("http://127.2:%d/echo"):format(server.port) }
    assert.equal(200, result.status)
    assert.equal(("http://127.0.0.2:%d/echo"):format(server.port), result.url)
  end)

  it("refuses hosts that are neither a name nor an address", function()
    for _, name in ipairs { "1.2.3.4.5", "999.1", "a..b", ".", "..", ".example", "", "0x",
        "256.256.256.256", "[::1", "[localhost]", "[::1%lo]", "[::1%25lo]" } do
      assert_refused("blocked_host", "http://" .. name .. "/")
    end
  end)

  it("refuses private, link-local, shared, multicast and other special addresses", function()
    for _, address in ipairs {
      "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255",
      "169.254.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
      "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "0.0.0.0",
      "192.88.99.1", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
      "[::ffff:93.184.216.34]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[fe80::1]", "[fec0::1]",
      "[fc00::1]", "[fd12:3456::1]", "[ff02::1]", "[2001::1]", "[2001:db8::1]", "[2002:7f00:1::]",
      "[100::1]", "[3fff::1]", "[5f00::1]", "[4000::1]",
    } do
      local result = assert_refused("blocked_address", "http://" .. address .. "/")
      assert.matches("is an? ", result.message)
    end
  end)

  it("refuses what is no http", function()
    for _, url in ipairs { "file:///etc/passwd", "gopher://x", "ftp://example.com/", "unix:/run/x",
        "//example.com/", "/etc/passwd", "javascript:1", "http:/x", "https:x" } do
      assert_refused("blocked_scheme", url)
    end
  end)

  it("refuses authorities that two readers would read differently", function()
    for _, authority in ipairs { "user:pw@ok@127.0.0.1", "ok.example\\@127.0.0.1", "ok.example\\x",
        "127.0.0.2@127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:80:80", "a%2eb",
        "ok.example\t", "ok.example\r\nX: y", "ex ample", "\195\164.example" } do
      assert_refused("blocked_host", "http://" .. authority .. "/")
    end
    assert_unseen()
  end)

  it("stops at a redirect from an open host to a closed one", function()
    for _, target in ipairs { "127.0.0.1", "localhost", "[::1]", "2130706433" } do
      local to = ("http://%s:%d/"):format(target, caller.host.admin_port)
      assert_refused("blocked_address", server.url .. "/to/302?" .. to)
    end
    assert_refused("blocked_scheme", server.url .. "/to/302?file:///etc/passwd")
    assert_refused("blocked_host", server.url .. "/to/302?http://a@127.0.0.2/")
  end)

  it("follows five redirects and no sixth", function()
    assert_refused("too_many_redirects", server.url .. "/loop")
    assert.equal(6, #server:seen())
  end)

  it("does not tell a client where the endpoint wanted to go", function()
    local reply = caller:post("/uncaught", { url = "http://127.0.0.1:1/" })
    assert.equal(502, reply.status)
    assert.matches('"code":"upstream_error"', reply.body)
    assert.is_nil(reply.body:find("127.0.0.1", 1, true))
  end)

  it("gives a plugin no connection that a backend's call has left open", function()
    local model = fake_model.start()
    local other = web.start { backends = { gpt = { type = "openai", url = model.url } } }
    local result, ok = other:run(([[
      return function(session)
        local answer = session.model.llm:invoke {
          model_config = { provider = "gpt", model = "fake", mode = "chat" },
          prompt_messages = { { role = "user", content = "hello" } }, stream = false,
        }
        local fine, failure = pcall(session.http.get, session.http, "%s/models")
        return { answer.message.content, fine, failure.code }
      end]]):format(model.url))
    assert.is_true(ok)
    assert.same({ "You said: hello", false, "blocked_address" }, result)
    assert.equal(1, model:connections()) -- it is still open
    other:stop()
    model:stop()
  end)

  it("is asked once more by a host with a proxy in its environment", function()
    local other = web.start {
      allow = { "127.0.0.2" },
      env = { HTTPS_PROXY = ("http://127.0.0.2:%d"):format(server.port), NO_PROXY = false },
    }
    local result = other:call { url = "https://10.1.2.3/" }
    assert.equal("blocked_address", result.code)
    assert_unseen() -- session.http does not use it
    other:stop()
    other = web.start {
      proxy = true,
      env = { HTTPS_PROXY = ("http://127.0.0.2:%d"):format(server.port), NO_PROXY = false },
    }
    assert.equal("blocked_address", other:call({ url = "https://10.1.2.3/" }).code)
    result = other:call { url = "https://api.example.com/" }
    assert.equal("upstream_error", result.code)
    assert.matches("proxy", result.detail) -- the proxy was asked, and is none
    other:stop()
  end)

  it("holds in a network of its own", function()
    local dir = host.folder {}
    local names = dir .. "/resolv.conf"
    local script = table.concat({
      "ip link set lo up", "ip addr add 93.184.216.34/32 dev lo",
      "ip addr add 169.254.169.254/32 dev lo", "ip addr add 10.1.2.3/32 dev lo",
      "ip addr add 192.168.1.1/32 dev lo", "ip addr add fd00::1/128 dev lo nodad",
      "ip addr add 2606:2800::1/128 dev lo nodad",
      ("echo 'nameserver 127.0.0.1' > '%s'"):format(names),
      ("mount --bind '%s' /etc/resolv.conf"):format(names),
    }, " && ")
    local probe = process.run { "unshare", "-rnm", "sh", "-c", script }
    if probe.code ~= 0 then
      pending("no network namespaces here: " .. probe.stderr)
      return
    end
    local result = process.run {
      "unshare", "-rnm", "sh", "-c", script .. " && exec busted spec/host/network.lua",
      seconds = 60,
    }
    os.execute("rm -rf '" .. dir .. "'")
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)
end)

describe("the manifest's network permission", function()
  local server

  setup(function() server = web.serve { "127.0.0.2:0" } end)
  teardown(function() server:stop() end)

  it("is needed", function()
    for _, permission in ipairs { "none", "false", "{ enabled: false }" } do
      local caller = web.start { allow = { "127.0.0.2" }, permission = permission }
      local result = caller:call { url = server.url .. "/" }
      assert.equal("permission_denied", result.code)
      assert.equal("permission denied, you need to enable network access in plugin manifest",
        result.message)
      caller:stop()
    end
    assert.same({}, server:seen())
  end)

  it("names the hosts that may be called, at each hop", function()
    local caller = web.start {
      allow = { "127.0.0.2", "*.localhost", "localhost" },
      permission = "{ enabled: true, hosts: ['127.0.0.2', '*.LocalHost'] }",
    }
    assert.equal(200, caller:call({ url = server.url .. "/" }).status)
    for _, name in ipairs { "localhost", "xlocalhost", "127.0.0.3", "example.com" } do
      local url = ("http://%s:%d/"):format(name, server.port)
      local result = caller:call { url = url }
      assert.equal("blocked_host", result.code, name)
      assert.equal("blocked_host", caller:call({ url = server.url .. "/to/307?" .. url }).code)
    end
    local below = caller:call { url = ("http://a.localhost:%d/"):format(tonumber(server.port)) }
    assert.are_not.equal("blocked_host", below.code)
    caller:stop()
  end)

  it("may name no host at all", function()
    local caller = web.start { allow = { "127.0.0.2" }, permission = "{ hosts: [] }" }
    assert.equal("blocked_host", caller:call({ url = server.url .. "/" }).code)
    caller:stop()
  end)
end)

describe("the circuit breaker", function()
  local server, caller

  before_each(function()
    server = web.serve { "127.0.0.2:0" }
    caller = web.start { workers = 1, allow = { "127.0.0.2" } } -- each worker has its own
  end)

  after_each(function()
    caller:stop()
    server:stop()
  end)

  local function ask()
    return caller:post("/uncaught", { url = server.url .. "/flaky" })
  end

  it("opens on an upstream that keeps failing, and lets calls pass again soon after", function()
    server:flaky(503)
    local refused = 0
    for _ = 1, 100 do
      local reply = ask()
      if reply.status == 503 then
        refused = refused + 1
        assert.matches("upstream_unavailable", reply.body)
        local seconds = tonumber(reply.headers["retry-after"])
        assert.is_true(seconds >= 1 and seconds <= 4, seconds)
      else
        assert.equal("flaky 503", reply.body)
      end
    end
    assert.is_true(refused >= 90, refused)
    assert.is_true(#server:seen() <= 10, #server:seen())
    server:flaky(200)
    local started = process.now()
    process.eventually(function() return ask().body == "flaky 200" end, 6, "the upstream's return")
    assert.is_true(process.now() - started <= 6)
    for _ = 1, 20 do assert.equal("flaky 200", ask().body) end
  end)

  it("asks with one call alone when its time is over", function()
    server:flaky(503)
    for _ = 1, 10 do ask() end
    server:forget()
    process.eventually(function() return ask().body == "flaky 503" end, 3, "the probe")
    assert.equal(1, #server:seen())
    for _ = 1, 10 do assert.equal(503, ask().status) end
    assert.equal(1, #server:seen())
  end)

  it("counts a closed port as a failure, and not what a call did to itself", function()
    for _ = 1, 12 do
      assert.equal("upstream_timeout", caller:call({
        url = server.url .. "/never", timeout_ms = 20 }).code)
      assert.equal(404, caller:call({ url = server.url .. "/status/404" }).status)
    end
    assert.equal(200, caller:call({ url = server.url .. "/echo" }).status)
    local codes = {}
    for _ = 1, 8 do
      codes[#codes + 1] = caller:call({ url = "http://127.0.0.2:1/" }).code
    end
    assert.equal("upstream_error", codes[5])
    assert.equal("upstream_unavailable", codes[8])
    assert.equal(200, caller:call({ url = server.url .. "/echo" }).status)
  end)
end)
