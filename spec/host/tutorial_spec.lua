-- docs/tutorial.md does what it says: its files are taken from the page, its requests are made, and
-- the replies are those that the page shows.
local host = require "spec.support.host"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local page = read "docs/tutorial.md"

-- The code block after a text, in a language.
local function block_after(text, language)
  local _, at = page:find(text, 1, true)
  assert(at, "the tutorial says no more: " .. text)
  local code = page:match("```" .. language .. "\n(.-)```", at)
  return assert(code, "no block of " .. language .. " after: " .. text)
end

local LATER = "This is the whole `manifest.yaml` now:"

local function first_version()
  return {
    ["hello/manifest.yaml"] = block_after("`hello/manifest.yaml`:", "yaml"),
    ["hello/hello.lua"] = block_after("`hello/hello.lua`:", "lua"),
  }
end

local function last_version()
  return {
    ["hello/manifest.yaml"] = block_after(LATER, "yaml"),
    ["hello/add.lua"] = block_after("and the file `add.lua`:", "lua"),
    ["hello/count.lua"] = block_after("and `count.lua`:", "lua"),
    ["hello/ask.lua"] = block_after("`ask.lua` passes the app's words on", "lua"),
    ["hello/hello.lua"] = block_after("Let `hello.lua` use one, too:", "lua"),
  }
end

local function without_id(text)
  return (text:gsub('"request_id":"%x+"', '"request_id":""'))
end

-- The page shows this command with this output. (A terminal begins a new line by itself.)
local function assert_shown(command, output)
  local shown = "$ " .. command .. "\n" .. without_id(output):gsub("\n$", "") .. "\n"
  if not without_id(page):find(shown, 1, true) then
    error("the tutorial does not show:\n" .. shown, 2)
  end
end

describe("the tutorial", function()
  local server

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  it("begins with a plugin that answers", function()
    server = host.start { verb = "dev", files = first_version(), config = { plugins = "hello" } }
    local url = server:output():match "GET +(%S+)/hello/<name>  %(hello: hello%)\n"
    local reply = server:request { url = url .. "/hello/world" }
    assert.equal("Hello, world!\n", reply.body)
    assert.is_truthy(page:find("/hello/world\n" .. reply.body, 1, true))
  end)

  it("shows what check says about a missing bracket", function()
    local files = first_version()
    files["hello/hello.lua"] = files["hello/hello.lua"]:gsub("name%)", "name")
    local result = host.run { "check", ".", dir = host.folder { files = files } .. "/hello" }
    assert.equal(1, result.code)
    assert_shown("moonhook check .", result.stdout .. result.stderr)
  end)

  it("ends with a plugin whose every reply is as shown", function()
    local config = block_after("write `moonhook.yaml`:", "yaml")
    server = host.start { verb = "dev", files = last_version(), config = config }
    local base = "http://127.0.0.1:8080/e/hello-dev"
    local routes = server:output():gsub("http://127.0.0.1:%d+/e/hello%-dev", base)
    assert_shown("moonhook dev", routes)

    local function ask(path, options)
      options = options or {}
      options.target = "/e/hello-dev" .. path
      return server:request(options)
    end
    local function post_json(body)
      return ask("/add", { method = "POST", body = body,
        headers = { ["Content-Type"] = "application/json" } }).body
    end

    assert_shown("curl " .. base .. "/hello/world", ask("/hello/world").body)
    for _, body in ipairs { '{"a": 1, "b": 2}', '{"a": 1}' } do
      assert_shown("curl $URL/add --json '" .. body .. "'", post_json(body))
    end
    assert_shown("curl -N $URL/count/3", ask("/count/3").body)
    local answer = ask("/ask", { method = "POST", body = "Who are you?" }).body
    assert_shown("curl -N " .. base .. "/ask -d 'Who are you?'", answer)
  end)

  it("streams the numbers apart", function()
    local config = block_after("write `moonhook.yaml`:", "yaml")
    server = host.start { verb = "dev", files = last_version(), config = config }
    local reply = server:open { target = "/e/hello-dev/count/2" }
    assert.equal("1\n", reply:next_piece())
    assert.equal("2\n", reply:next_piece())
    reply:close()
  end)
end)
