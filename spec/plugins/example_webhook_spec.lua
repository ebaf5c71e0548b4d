local bytes = require "mime"
local cjson = require "cjson"
local host = require "spec.support.host"
local process = require "spec.support.process"

local EXAMPLE = io.popen("pwd"):read "*l" .. "/examples/webhook/"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function run(script)
  return process.run { "sh", "-c", script, seconds = 20 }
end

describe("the example webhook", function()
  local readme = read(EXAMPLE .. "README.md")
  local secret = readme:match "`(whsec_[%w+/=]+)`"
  local server

  setup(function()
    server = host.start { config = {
      plugins = { EXAMPLE },
      endpoints = {
        { plugin = "webhook", hook_id = "ex-webhook", settings = { signing_secret = secret } },
      },
    } }
  end)
  teardown(function() server:stop() end)

  -- The README's script, for this server; `changes` are replacements of plain text in it.
  local function script(changes)
    local text = readme:match "```sh\n(.-)```"
    text = text:gsub("http://127%.0%.0%.1:8080/e/HOOK", server.base .. "/e/ex-webhook")
    for from, to in pairs(changes or {}) do
      local first, last = text:find(from, 1, true)
      assert.is_truthy(first, from)
      text = text:sub(1, first - 1) .. to .. text:sub(last + 1)
    end
    return (text:gsub("curl ", "curl -sS "))
  end

  it("answers the event that its README sends, with the answer it promises", function()
    local result = run(script())
    assert.equal(readme:match "\ngives: ([^\n]+)", result.stdout, result.stderr)
    local record = server:wait_record { msg = "event received", type = "invoice.paid" }
    assert.equal("msg_1", record.id)
  end)

  it("refuses a changed event, an old one and an unsigned one, with 401", function()
    for reason, changes in pairs {
      ["no signature is right: a wrong secret, or a changed body"] = { ['-d "$BODY"'] = "-d '{}'" },
      ["~^the time is %d+ s away, 300 are allowed$"] =
        { ["$(date +%s)"] = "$(($(date +%s) - 400))" },
      ["there is no webhook-signature"] = { ["webhook-signature:"] = "x-signature:" },
    } do
      local from = #server:log()
      local reply = cjson.decode(run(script(changes)).stdout)
      assert.equal("unauthorized", reply.error.code)
      assert.equal("the signature is not valid", reply.error.message)
      assert.truthy(server:wait_record({ msg = "webhook refused", reason = reason }, 5, from))
    end
    assert.equal(401, server:request({ target = "/e/ex-webhook/webhook", json = "{}" }).status)
  end)

  it("tells a sender whom it knows what is wrong with the event", function()
    assert.matches("`type` must be a string", run(script { ['"type"'] = '"kind"' }).stdout)
  end)

  it("has a secret of a sound length", function()
    assert.is_true(#bytes.unb64(secret:sub(7)) >= 24)
  end)
end)
