-- examples/review as a black box: two workflows, and the decision between them.
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local EXAMPLE = io.popen("pwd"):read "*l" .. "/examples/review/"
local TOPIC = "What is a hook id?"
local FORM = { ["Content-Type"] = "application/x-www-form-urlencoded" }

local FAILING = [[return function(session, inputs) error("SECRET details") end]]
local SLOW = [[return function(session, inputs)
  session.log.info("began", { id = inputs.id })
  session:sleep(20000)
end]]
-- Slow enough that what comes at once comes while it runs. Warnings are in the log at once.
local COUNTING = [[return function(session, inputs)
  session.log.warn("published", { id = inputs.id })
  session:sleep(50)
  return { summary = "s", paragraphs = { inputs.text } }
end]]

local function config(plugin, publisher)
  return {
    plugins = { plugin or EXAMPLE .. "plugin" },
    apps = {
      write = { mode = "workflow", source = EXAMPLE .. "apps/write.lua" },
      publish = { mode = "workflow", source = publisher or EXAMPLE .. "apps/publish.lua" },
    },
    demo = { pause_ms = 0 },
    endpoints = {
      { plugin = "review", hook_id = "review-spec",
        settings = { writer = { app_id = "write" }, publisher = { app_id = "publish" } } },
    },
  }
end

local function encode(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function read_file(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

describe("the example review", function()
  local server

  local function request(target, fields)
    fields = fields or {}
    fields.target = "/e/review-spec" .. target
    return server:request(fields)
  end

  local function post(target, body)
    return request(target, { body = body or "", headers = FORM })
  end

  -- Has the first workflow write a text; gives the token of its link.
  local function write(topic)
    local reply = post("/texts", "topic=" .. encode(topic or TOPIC))
    assert.equal(303, reply.status)
    return (assert(reply.headers.location:match "^review%?token=(%x+)$"))
  end

  local function page(token) return request("/review?token=" .. token) end
  local function accept(token) return post("/accept?token=" .. token) end
  local function reject(token) return post("/reject?token=" .. token) end

  local function says(reply, text)
    if reply.body:find(text, 1, true) then return true end
    error(("expected a page that says %q, got: %s"):format(text, reply.body:match "<main>.*"), 2)
  end

  local function is_published(token)
    return page(token).body:find("Accepted and published", 1, true)
  end

  local function article_of(token)
    process.eventually(function() return is_published(token) end, 5, "it to be published")
    return (assert(page(token).body:match 'href="texts/([%d%x-]+)"'))
  end

  -- How often the second workflow has run for an article.
  local function runs_of(name)
    local id, count = name:match "%-(%x+)$", 0
    for _, record in ipairs(server:records()) do
      if record.msg == "published" and record.id == id then count = count + 1 end
    end
    return count
  end

  local function published()
    local count = 0
    for _ in request("/texts").body:gmatch 'href="texts/[^"]' do count = count + 1 end
    return count
  end

  describe("as it is", function()
    setup(function()
      server = host.start {
        config = config(nil, "publish.lua"), files = { ["publish.lua"] = COUNTING },
      }
    end)
    teardown(function() server:stop() end)

    it("has the first workflow write, and shows the text with two buttons", function()
      local reply = page(write())
      assert.equal(200, reply.status)
      says(reply, "<h1>What is a hook id?</h1>")
      says(reply, "A random hook id has 26 characters")
      assert.matches('<form method="post" action="accept%?token=%x+"><button', reply.body)
      assert.matches('<form method="post" action="reject%?token=%x+"><button', reply.body)
    end)

    it("makes each link of 128 random bits", function()
      local first, second = write(), write()
      assert.equal(32, #first)
      assert.not_equal(first, second)
    end)

    it("changes nothing on GET and HEAD", function()
      local token, count = write(), published()
      local before = page(token).body:match "<main>.*"
      for _, method in ipairs { "GET", "HEAD" } do
        for _, decision in ipairs { "accept", "reject" } do
          local reply = request("/" .. decision .. "?token=" .. token, { method = method })
          assert.equal(405, reply.status)
        end
        request("/review?token=" .. token, { method = method })
      end
      assert.equal(before, page(token).body:match "<main>.*")
      assert.equal(count, published())
    end)

    it("runs the second workflow on Accept, with the text, and shows what it made", function()
      local token, count = write(), published()
      local reply = accept(token)
      assert.equal(303, reply.status)
      assert.equal("review?token=" .. token, reply.headers.location)
      local name = article_of(token)
      local article = request("/texts/" .. name)
      assert.equal(200, article.status)
      says(article, "A random hook id has 26 characters")
      assert.equal(1, runs_of(name))
      assert.equal(count + 1, published())
    end)

    it("runs no second workflow on Reject", function()
      local token, count = write(), published()
      local from = #server:log()
      assert.equal(303, reject(token).status)
      says(page(token), "<strong>Rejected</strong>")
      write() -- time enough for a workflow to begin
      assert.is_nil(server:find_record({ msg = "published" }, from))
      assert.equal(count, published())
    end)

    it("says 409 to who comes second, whatever was decided", function()
      for _, decide in ipairs { accept, reject } do
        local token = write()
        assert.equal(303, decide(token).status)
        for _, again in ipairs { accept, reject, accept } do
          local reply = again(token)
          assert.equal(409, reply.status)
          says(reply, "This was decided already")
          says(reply, decide == accept and "was accepted before" or "was rejected before")
        end
        if decide == accept then assert.equal(1, runs_of(article_of(token))) end
      end
    end)

    it("publishes once when many accept at once", function()
      local token, count, connections, statuses = write(), published(), {}, {}
      for i = 1, 20 do connections[i] = server:connect() end
      for _, connection in ipairs(connections) do
        connection:send(http.format {
          port = server.port, target = "/e/review-spec/accept?token=" .. token, body = "",
        })
      end
      for _, connection in ipairs(connections) do
        local status = http.read_head(connection).status
        statuses[status] = (statuses[status] or 0) + 1
        connection:close()
      end
      assert.same({ [303] = 1, [409] = 19 }, statuses)
      assert.equal(1, runs_of(article_of(token)))
      assert.equal(count + 1, published())
    end)

    it("takes one of Accept and Reject that come at once", function()
      for _ = 1, 10 do
        local token, replies = write(), {}
        local connections = { accept = server:connect(), reject = server:connect() }
        for decision, connection in pairs(connections) do
          connection:send(http.format { port = server.port, body = "",
            target = ("/e/review-spec/%s?token=%s"):format(decision, token) })
        end
        for decision, connection in pairs(connections) do
          replies[decision] = http.read_head(connection).status
          connection:close()
        end
        assert.equal(303 + 409, replies.accept + replies.reject)
        if replies.accept == 303 then
          assert.equal(1, runs_of(article_of(token)))
        else
          says(page(token), "<strong>Rejected</strong>")
        end
      end
    end)

    it("publishes once though whoever clicked first has left at once", function()
      for _ = 1, 20 do
        local token = write()
        local connection = server:connect()
        connection:send(http.format {
          port = server.port, target = "/e/review-spec/accept?token=" .. token, body = "",
        })
        connection:close()
        accept(token)
        assert.equal(1, runs_of(article_of(token)))
      end
    end)

    it("says 404 to an unknown token, readably", function()
      local token = write()
      for _, wrong in ipairs { ("0"):rep(32), "nonsense", "", token .. "0", token:sub(2) } do
        for _, reply in ipairs { page(wrong), accept(wrong), reject(wrong) } do
          assert.equal(404, reply.status)
          assert.equal("text/html; charset=utf-8", reply.headers["content-type"])
          says(reply, "This link leads nowhere")
        end
      end
      assert.equal(404, request("/review").status)
      says(page(token), "Accept</button>")
    end)

    it("says 404 to a text that is none", function()
      for _, name in ipairs { "nonsense", "8204579332-522f12375ef40ca4", "%2e%2e", "1-1" } do
        assert.equal(404, request("/texts/" .. name).status)
      end
    end)

    it("asks for a topic, and takes none from another site's form", function()
      assert.equal(400, post("/texts", "topic=+").status)
      assert.equal(400, post("/texts", "topic=" .. ("x"):rep(301)).status)
      assert.equal(400, post("/texts").status)
      local reply = request("/texts", {
        body = "topic=x",
        headers = { ["Content-Type"] = FORM["Content-Type"], ["Sec-Fetch-Site"] = "cross-site" },
      })
      assert.equal(403, reply.status)
    end)

    it("shows a hostile topic as text", function()
      local reply = page(write "<script>x</script> who are you?")
      says(reply, "&lt;script&gt;x&lt;/script&gt;")
      assert.is_nil(reply.body:find "<script")
    end)

    it("sends its pages so that they are not kept, framed or referred to", function()
      local token = write()
      for _, reply in ipairs { page(token), page "nonsense", request "/texts", reject(token) } do
        if reply.status ~= 303 then
          assert.equal("no-store", reply.headers["cache-control"])
          assert.equal("no-referrer", reply.headers["referrer-policy"])
          local policy = reply.headers["content-security-policy"]
          assert.matches("default%-src 'none'", policy)
          assert.matches("frame%-ancestors 'none'", policy)
          local nonce = policy:match "style%-src 'nonce%-([^']+)'"
          assert.truthy(reply.body:find(('<style nonce="%s">'):format(nonce), 1, true))
        end
      end
    end)

    it("keeps tokens out of the log and of the store", function()
      local token = write()
      page(token)
      accept(token)
      article_of(token)
      assert.is_nil(server:log():find(token, 1, true))
      local found = process.run { "grep", "-rlaF", token, server.dir .. "/data" }
      assert.equal("", found.stdout)
      assert.equal(1, found.code)
    end)
  end)

  it("loses nothing in a restart, with its own configuration", function()
    local own = read_file(EXAMPLE .. "moonhook.yaml"):gsub("%./plugin", EXAMPLE .. "plugin")
      :gsub("apps/", EXAMPLE .. "apps/"):gsub("data: [^\n]*", "data: data")
      :gsub("review%-dev", "review-spec")
    server = host.start { config = own }
    local waiting, rejected, accepted = write(), write(), write()
    reject(rejected)
    accept(accepted)
    local name = article_of(accepted)
    server:stop(true)

    server = host.start { dir = server.dir }
    says(page(waiting), "Accept</button>")
    assert.equal(409, accept(rejected).status)
    assert.equal(409, accept(accepted).status)
    assert.equal(200, request("/texts/" .. name).status)
    assert.equal(303, accept(waiting).status)
    article_of(waiting)
    assert.equal(2, published())
    server:stop()
  end)

  it("asks again when the second workflow has failed, and tells nobody why", function()
    server = host.start {
      config = config(nil, "publish.lua"), files = { ["publish.lua"] = FAILING },
    }
    local token = write()
    accept(token)
    process.eventually(function()
      return page(token).body:find("Publish again", 1, true)
    end, 5, "the failure to be shown")
    assert.is_nil(page(token).body:find("SECRET", 1, true))
    assert.equal(409, reject(token).status)
    assert.equal(0, published())

    local from = #server:log()
    server:write("publish.lua", COUNTING)
    server.process:kill "HUP"
    server:wait_record({ msg = "~^configuration" }, 5, from)
    assert.equal(303, accept(token).status)
    assert.equal(1, runs_of(article_of(token)))
    assert.equal(1, published())
    server:stop()
  end)

  it("says so when the first workflow fails", function()
    local options = config()
    options.apps.write.source = "write.lua"
    server = host.start { config = options, files = { ["write.lua"] = FAILING } }
    local reply = post("/texts", "topic=x")
    assert.equal(502, reply.status)
    says(reply, "The text was not written")
    assert.is_nil(reply.body:find("SECRET", 1, true))
    server:stop()
  end)

  it("goes on with a text whose publishing was killed half-way", function()
    -- The same plugin, but a claim on a draft ends after a second.
    local dir = host.folder { config = config("plugin", "publish.lua"),
      files = { ["publish.lua"] = SLOW } }
    assert(os.execute(("cp -r %splugin %s/plugin"):format(EXAMPLE, dir)) == 0)
    local text, count = read_file(EXAMPLE .. "plugin/lib/drafts.lua")
      :gsub("CLAIM_S = 90 ", "CLAIM_S = 1 ")
    assert.equal(1, count)
    local file = assert(io.open(dir .. "/plugin/lib/drafts.lua", "w"))
    file:write(text)
    file:close()

    server = host.start { dir = dir }
    local token = write()
    accept(token)
    server:wait_record { msg = "began" }
    says(page(token), "It is being published")
    server.process:kill "KILL"
    server.process:wait()

    server = host.start { dir = dir }
    server:write("publish.lua", COUNTING)
    server.process:kill "HUP"
    process.eventually(function()
      return page(token).body:find("Publish again", 1, true)
    end, 5, "the claim to end")
    assert.equal(0, published())
    assert.equal(303, accept(token).status)
    assert.equal(1, runs_of(article_of(token)))
    assert.equal(1, published())
    server:stop()
  end)
end)
