local cjson = require "cjson"
local host = require "spec.support.host"

local EXAMPLES = io.popen("pwd"):read "*l" .. "/examples/"

local function endpoint(name, settings)
  return { plugin = name, hook_id = "ex-" .. name:gsub("_", "-"), settings = settings }
end

describe("the example", function()
  local server
  setup(function()
    server = host.start { config = {
      plugins = {
        EXAMPLES .. "hello", EXAMPLES .. "stream", EXAMPLES .. "form_json", EXAMPLES .. "talk",
      },
      apps = { candy = { mode = "chat", name = "Candy", prompt = "You are Candy.", memory = 20,
        model = { provider = "local", model = "demo" } } },
      demo = { pause_ms = 0 },
      endpoints = {
        endpoint "hello", endpoint "stream", endpoint("form_json", { greeting = "Welcome" }),
        endpoint("talk", { app = { app_id = "candy" } }),
      },
    } }
  end)
  teardown(function() server:stop() end)

  it("hello greets by name", function()
    local reply = server:request { target = "/e/ex-hello/hello/w%C3%B6rld" }
    assert.equal("Hello, wörld!\n", reply.body)
    assert.equal("text/plain; charset=utf-8", reply.headers["content-type"])
  end)

  it("stream counts down, each number on its own", function()
    local times, pieces = {}, {}
    for piece, at in server:open({ target = "/e/ex-stream/countdown/3" }):pieces() do
      pieces[#pieces + 1], times[#times + 1] = piece, at
    end
    assert.same({ "3\n", "2\n", "1\n", "Liftoff!\n" }, pieces)
    for i = 2, 4 do assert.is_true(times[i] - times[i - 1] > 0.1) end
  end)

  it("stream refuses to count for long", function()
    assert.equal(400, server:request({ target = "/e/ex-stream/countdown/101" }).status)
  end)

  it("form_json shows a form and greets who sends it, escaped", function()
    local page = server:request { target = "/e/ex-form-json/form" }
    assert.truthy(page.body:find("<h1>Who are you?</h1>", 1, true))
    local reply = server:request {
      target = "/e/ex-form-json/form", body = "name=%3Cb%3EAda",
      headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    }
    assert.truthy(reply.body:find("<h1>Welcome, &lt;b&gt;Ada.</h1>", 1, true))
  end)

  it("form_json adds numbers, and says which is none", function()
    local function sum(json)
      local reply = server:request { target = "/e/ex-form-json/json", json = json }
      return reply.status, cjson.decode(reply.body)
    end
    local status, body = sum '{"numbers":[1,2,3.5]}'
    assert.same({ 200, { count = 3, sum = 6.5 } }, { status, body })
    status, body = sum '{"numbers":[1,"2"]}'
    assert.equal(400, status)
    assert.matches("numbers%[1%]", body.error.message)
  end)

  it("talk passes an app's words on as plain text", function()
    local reply = server:request { target = "/e/ex-talk/talk?q=Hello" }
    assert.equal(200, reply.status)
    assert.equal("text/plain; charset=utf-8", reply.headers["content-type"])
    assert.is_true(#reply.body > 10)
    assert.is_nil(reply.body:find('"event"', 1, true))
  end)
end)
