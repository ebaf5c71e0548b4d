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

-- What `moonhook init hello` makes, in a folder of its own. Returns it, and what was printed.
local function initialise()
  local dir = host.folder {}
  os.remove(dir .. "/moonhook.yaml")
  local result = host.run { dir = dir, env = { USER = "me" }, "init", "hello" }
  assert.equal(0, result.code, result.stderr)
  return dir, result.stdout
end

local function last_version()
  return {
    ["hello/manifest.yaml"] = block_after(LATER, "yaml"),
    ["hello/add.lua"] = block_after("and the file `add.lua`:", "lua"),
    ["hello/count.lua"] = block_after("and `count.lua`:", "lua"),
    ["hello/ask.lua"] = block_after("`ask.lua` passes the app's words on", "lua"),
    ["hello/hello.lua"] = block_after("`hello/hello.lua`:", "lua"),
    ["hello/spec/hello_spec.lua"] = block_after("asked as a client asks:", "lua"),
    ["hello/spec/ask_spec.lua"] = block_after("This is `spec/ask_spec.lua`:", "lua"),
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

local function without_time(text)
  return (text:gsub(": %d[%d.]* seconds", ": 0 seconds"))
end

-- The page shows the same result of `moonhook test`, but for the time.
local function assert_tested(result)
  assert.equal(0, result.code, result.stdout .. result.stderr)
  local shown = "$ moonhook test\n" .. without_time(result.stdout)
  assert.is_truthy(without_time(page):find(shown, 1, true), shown)
end

describe("the tutorial", function()
  local server

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  it("begins with what init makes, which is as shown", function()
    local dir, printed = initialise()
    assert_shown("moonhook init hello", printed)
    for path, text in pairs {
      ["manifest.yaml"] = block_after("`hello/manifest.yaml`:", "yaml"),
      ["hello.lua"] = block_after("`hello/hello.lua`:", "lua"),
      ["spec/hello_spec.lua"] = block_after("asked as a client asks:", "lua"),
    } do
      assert.equal(text, read(dir .. "/hello/" .. path))
    end
  end)

  it("tests it with the shown result", function()
    local dir = initialise()
    assert_tested(host.run { dir = dir .. "/hello", "test" })
  end)

  it("goes on with a plugin that answers", function()
    local dir = initialise()
    server = host.start { verb = "dev", dir = dir, finds_config = true,
      args = { "--plugins", "hello" } }
    local url = server:output():match "GET +(%S+)/hello/<name>  %(hello: hello%)\n"
    local reply = server:request { url = url .. "/hello/world" }
    assert.equal("Hello, world!\n", reply.body)
    assert.is_truthy(page:find("/hello/world\n" .. reply.body, 1, true))
  end)

  it("shows what check says about a missing bracket", function()
    local dir = initialise()
    local file = assert(io.open(dir .. "/hello/hello.lua", "w"))
    file:write((block_after("`hello/hello.lua`:", "lua"):gsub("name%)", "name")))
    file:close()
    local result = host.run { "check", dir = dir .. "/hello" }
    assert.equal(1, result.code)
    assert_shown("moonhook check", result.stdout .. result.stderr)
  end)

  it("tests what streams and calls with the shown result", function()
    local dir = host.folder { files = last_version() }
    assert_tested(host.run { dir = dir .. "/hello", "test" })
  end)

  it("tests JSON as it shows", function()
    local files = last_version()
    files["hello/spec/add_spec.lua"] = block_after("This is `spec/add_spec.lua`:", "lua")
    local result = host.run { files = files, "test", "hello", "-o", "TAP" }
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.matches("ok %d %- POST /add wants numbers", result.stdout)
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
