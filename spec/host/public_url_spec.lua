-- The URL under which clients reach an endpoint, and who the client is: by the configuration, by a
-- proxy that is trusted, by the request itself.
local cjson = require "cjson"
local host = require "spec.support.host"

local HOOK = "outside-spec"

local FILES = {
  ["plugins/outside/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: outside
plugins:
  endpoints:
    - { path: /told, method: GET, extra: { lua: { source: told.lua } } }
]],
  ["plugins/outside/told.lua"] = [[
local json = require("moonhook").json
return function(_, request)
  local headers = {}
  for name, value in request.headers:pairs() do headers[name:lower()] = value end
  return json.encode { url = request.url, hook_url = request.hook_url, host = request.host,
    scheme = request.scheme, client = request.remote_addr, id = request.id, headers = headers,
    dify_url = request.headers["Dify-Hook-Url"] }
end
]],
}

local function start(public, options)
  options = options or {}
  options.files = FILES
  options.config = { public = public, endpoints = { { plugin = "outside", hook_id = HOOK } } }
  return host.start(options)
end

-- What the handler is told, with these fields sent.
local function told(server, headers, target)
  local reply = server:request { target = target or "/e/" .. HOOK .. "/told?a=1",
    headers = headers }
  assert.equal(200, reply.status, reply.body)
  return cjson.decode(reply.body), reply
end

describe("the public URL", function()
  local server
  after_each(function() server:stop() end)

  it("is the configured one, whatever the request says", function()
    server = start { url = "https://hooks.example.com/base/" }
    local seen = told(server, { { "Host", "evil.example" }, { "X-Forwarded-Host", "evil" } })
    assert.equal("https://hooks.example.com/base/e/" .. HOOK, seen.hook_url)
    assert.equal("https://hooks.example.com/base/e/" .. HOOK .. "/told?a=1", seen.url)
    assert.equal("https://hooks.example.com/base/e/" .. HOOK .. "/told", seen.dify_url)
    assert.equal("https", seen.scheme)
    assert.equal("https://hooks.example.com/base/e/" .. HOOK, server:url "outside")
  end)

  it("has the hook id in the host when there is a base domain", function()
    server = start { base_domain = "hooks.example.com", url = "https://example.com:8443" }
    local seen = told(server, { { "Host", HOOK .. ".hooks.example.com:8443" } }, "/told")
    assert.equal("https://" .. HOOK .. ".hooks.example.com:8443", seen.hook_url)
    assert.equal("https://" .. HOOK .. ".hooks.example.com:8443/told", seen.url)
    assert.equal("https://" .. HOOK .. ".hooks.example.com:8443", server:url "outside")
  end)

  it("has the port that was asked when only a base domain is set", function()
    server = start { base_domain = "localhost" }
    local seen = told(server, { { "Host", HOOK .. ".localhost:" .. server.port } }, "/told")
    assert.equal(("http://%s.localhost:%d"):format(HOOK, server.port), seen.hook_url)
    assert.equal(seen.hook_url, server:url "outside")
    seen = told(server, { { "Host", HOOK .. ".localhost" } }, "/told")
    assert.equal(("http://%s.localhost"):format(HOOK), seen.hook_url)
  end)

  it("is the Host's without both, and forwarded fields of strangers count for nothing", function()
    server = start({ trusted_proxies = { "192.0.2.0/24" } })
    local seen = told(server, { { "Host", "real:80" }, { "X-Forwarded-Host", "evil" },
      { "X-Forwarded-Proto", "https" }, { "X-Forwarded-Prefix", "/evil" },
      { "X-Forwarded-For", "192.0.2.1" }, { "X-Request-Id", "evil-evil-evil" },
      { "X-Original-Host", "evil" }, { "Dify-Hook-Url", "http://evil" }, { "X_Forwarded_For", "1" },
      { "Forwarded", "for=1.2.3.4;host=evil" }, { "X-Real-IP", "1.2.3.4" } })
    assert.equal("http://real:80/e/" .. HOOK, seen.hook_url)
    assert.same({ "real:80", "http", "127.0.0.1" }, { seen.host, seen.scheme, seen.client })
    assert.matches("^%x+$", seen.id)
    for name, value in pairs(seen.headers) do
      assert.is_nil(name:find "forwarded", name)
      assert.is_true(name == "x-request-id" or not value:find "evil", name)
    end
    assert.equal("127.0.0.1", server:wait_record({ msg = "request", route = "/told" }).client_ip)
  end)

  describe("behind a trusted proxy", function()
    before_each(function()
      server = start { trusted_proxies = { "127.0.0.1", "10.0.0.0/8", "fd00::/8" } }
    end)

    it("is what the proxy says: scheme, host, prefix", function()
      local seen = told(server, { { "Host", "backend:8080" }, { "X-Forwarded-Proto", "https" },
        { "X-Forwarded-Host", "hooks.example.com" }, { "X-Forwarded-Prefix", "/hooks/" },
        { "X-Forwarded-For", "203.0.113.9" } })
      assert.equal("https://hooks.example.com/hooks/e/" .. HOOK, seen.hook_url)
      assert.equal("https://hooks.example.com/hooks/e/" .. HOOK .. "/told?a=1", seen.url)
      assert.same({ "hooks.example.com", "https", "203.0.113.9" },
        { seen.host, seen.scheme, seen.client })
      assert.equal("203.0.113.9", seen.headers["x-forwarded-for"])
      assert.equal("203.0.113.9", server:wait_record({ msg = "request" }).client_ip)
    end)

    it("leaves out what makes no sense", function()
      for name, values in pairs {
        ["X-Forwarded-Proto"] = { "javascript", "https evil", "" },
        ["X-Forwarded-Host"] = { "a/b", "a@b", "a b", "", ("x"):rep(300), "a\"b" },
        ["X-Forwarded-Prefix"] = { "evil", "//evil", "/a//b", "/../x", "/a?b", "/", "/a b" },
        ["X-Forwarded-For"] = { "unknown", "", "evil", "1.2.3.4/8", "_hidden", "1.2.3", "[::1" },
      } do
        for _, value in ipairs(values) do
          local seen = told(server, { { "Host", "real:80" }, { name, value } })
          assert.equal("http://real:80/e/" .. HOOK, seen.hook_url, name .. ": " .. value)
          assert.equal("127.0.0.1", seen.client, name .. ": " .. value)
        end
      end
    end)

    it("takes the right-most address that is no proxy of ours for the client", function()
      for list, expected in pairs {
        ["203.0.113.9"] = "203.0.113.9",
        ["198.51.100.1, 203.0.113.9"] = "203.0.113.9",
        ["198.51.100.1, 203.0.113.9, 10.1.2.3"] = "203.0.113.9",
        ["198.51.100.1, 203.0.113.9,10.1.2.3 , fd00::7, 10.9.9.9"] = "203.0.113.9",
        ["203.0.113.9:4711"] = "203.0.113.9",
        ["[2001:db8::1]:4711, 10.0.0.1"] = "2001:db8::1",
        ["2001:DB8:0::1"] = "2001:db8::1",
        ["::ffff:203.0.113.9"] = "203.0.113.9",
        ["198.51.100.1, unknown, 10.0.0.1"] = "10.0.0.1",
        ["10.0.0.2, 10.0.0.1"] = "10.0.0.2", -- a client within the network
      } do
        assert.equal(expected, told(server, { { "X-Forwarded-For", list } }).client, list)
      end
      local seen = told(server, { { "X-Forwarded-For", "198.51.100.1" },
        { "X-Forwarded-For", "203.0.113.9, 10.0.0.1" } })
      assert.equal("203.0.113.9", seen.client)
    end)

    it("takes the word of the hop that saw the client, from lists", function()
      local seen = told(server, { { "X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.1" },
        { "X-Forwarded-Proto", "gopher, https, http" },
        { "X-Forwarded-Host", "evil.example, hooks.example.com, inner.example" } })
      assert.equal("https://hooks.example.com/e/" .. HOOK, seen.hook_url)
      seen = told(server, { { "X-Forwarded-For", "203.0.113.9, 10.0.0.1" },
        { "X-Forwarded-Proto", "https" }, { "X-Forwarded-Host", "hooks.example.com" } })
      assert.equal("https://hooks.example.com/e/" .. HOOK, seen.hook_url)
    end)

    it("gives the request the proxy's id when it is sane, in the reply and in the log", function()
      local id = "7f3a9c52-52b8-4f09-a3cc-b1e4f9a7a001"
      local seen, reply = told(server, { { "X-Request-Id", id } })
      assert.same({ id, id }, { seen.id, reply.headers["x-request-id"] })
      assert.truthy(server:wait_record { msg = "request", request_id = id })
      for _, odd in ipairs { "short", ("x"):rep(65), "with blank inside", "a\"b{c}d", "ümlaut-id",
        "" } do
        seen, reply = told(server, { { "X-Request-Id", odd } })
        assert.matches("^%x+$", seen.id)
        assert.equal(seen.id, reply.headers["x-request-id"])
      end
    end)

    it("keeps nothing of one request for the next on the connection", function()
      local connection = require("spec.support.http").connect(server.port)
      local function ask(headers)
        return cjson.decode(server:request({ target = "/e/" .. HOOK .. "/told", headers = headers,
          connection = connection }).body)
      end
      assert.equal("203.0.113.9", ask({ { "X-Forwarded-For", "203.0.113.9" },
        { "X-Request-Id", "first-request" } }).client)
      local seen = ask {}
      assert.equal("127.0.0.1", seen.client)
      assert.matches("^%x+$", seen.id)
      connection:close()
    end)
  end)
end)

describe("a base domain behind a trusted proxy", function()
  it("finds the endpoint by the forwarded host", function()
    local server = start { base_domain = "hooks.example.com", trusted_proxies = "127.0.0.1" }
    local seen = told(server, { { "Host", "backend:8080" }, { "X-Forwarded-Proto", "https" },
      { "X-Forwarded-Host", HOOK .. ".hooks.example.com" } }, "/told")
    assert.equal("https://" .. HOOK .. ".hooks.example.com", seen.hook_url)
    server:stop()
  end)
end)

describe("trusted_proxies", function()
  it("is refused when it is not addresses", function()
    local result = host.run { "config", "check", config =
      "public: { trusted_proxies: [ 10.0.0.0/8, proxy.example ] }" }
    assert.equal("moonhook.yaml:1:28: public.trusted_proxies: expected addresses and blocks of "
      .. "them such as 10.0.0.0/8, got a list of 2\n", result.stdout)
    result = host.run { "config", "check", env = { MOONHOOK_TRUSTED_PROXIES = "10.0.0.0/33" } }
    assert.equal("MOONHOOK_TRUSTED_PROXIES: expected addresses and blocks of them such as "
      .. '10.0.0.0/8, got "10.0.0.0/33"\n', result.stdout)
  end)

  it("may be a variable", function()
    local server = start(nil, { env = { MOONHOOK_TRUSTED_PROXIES = "::1, 127.0.0.0/8" } })
    assert.equal("203.0.113.9", told(server, { { "X-Forwarded-For", "203.0.113.9" } }).client)
    server:stop()
  end)
end)

describe("a URL that leads to this machine only", function()
  local WARNING = { msg = "endpoints' URLs lead to this machine only, set public.url" }

  it("is warned about when the listener is for others", function()
    local server = start(nil, { listen = "0.0.0.0:0" })
    local record = server:wait_record(WARNING)
    assert.equal("warn", record.level)
    assert.matches("^0%.0%.0%.0:%d+$", record.listener)
    server:stop()
    server = start({ url = "http://localhost:8080" }, { listen = "0.0.0.0:0" })
    assert.equal("http://localhost:8080", server:wait_record(WARNING).url)
    server:stop()
  end)

  it("is nobody's trouble when the listener is local too, or the URL is public", function()
    local server = start()
    assert.is_nil(server:find_record(WARNING))
    server:stop()
    server = start({ url = "https://hooks.example.com" }, { listen = "0.0.0.0:0" })
    assert.is_nil(server:find_record(WARNING))
    server:stop()
  end)
end)
