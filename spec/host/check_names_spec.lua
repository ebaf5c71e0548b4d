-- moonhook check, without running anything: names in Lua code that are not there. What it says must
-- be so in production, and what runs in production it must leave alone.
local host = require "spec.support.host"

local MANIFEST = [[
version: 0.1.0
type: plugin
author: me
name: p
plugins:
  endpoints:
    settings: { bot: { type: text-input } }
    endpoints:
      - { path: /a, method: GET, extra: { lua: { source: a.lua } } }
      - { path: "/b/<int:number>", method: GET, extra: { lua: { source: a.lua } } }
]]

-- What check prints of a plugin whose a.lua is `code`, and its exit code. It has a setting `bot`.
local function check(code, files)
  local all = { ["p/manifest.yaml"] = MANIFEST, ["p/a.lua"] = code }
  for path, text in pairs(files or {}) do all["p/" .. path] = text end
  local result = host.run { "check", "p", files = all }
  return result.stdout, result.code, result.stderr
end

local function in_handler(lines)
  return 'local moonhook = require "moonhook"\nreturn function(self, request, values, settings)\n'
    .. lines .. '\nreturn moonhook.Response "fine"\nend\n'
end

local WRONG = { -- what is wrong, the lines from line 3 on, what is said
  { "a typo that is indexed", "local q = reqest.args.q",
    "p/a.lua:3:11: the global 'reqest' is not declared, did you mean 'request'?" },
  { "a typo whose method is called", "local q = reqest:get_data()",
    "p/a.lua:3:11: the global 'reqest' is not declared, did you mean 'request'?" },
  { "a typo that is called", "local text = ('x'):rep(2) .. tostirng(5)",
    "p/a.lua:3:30: the global 'tostirng' is not declared, did you mean 'tostring'?" },
  { "a typo that is written into", "reqest.seen = true",
    "p/a.lua:3:1: the global 'reqest' is not declared, did you mean 'request'?" },
  { "a misspelt keyword", 'retrun "x"',
    "p/a.lua:3:1: the global 'retrun' is not declared, did you mean 'return'?" },
  { "a typo in an inner function",
    "local function f()\n  return function() return jsno.encode {} end\nend\nf()",
    "p/a.lua:4:28: the global 'jsno' is not declared" },
  { "a name behind the same word as a field", "local q = values.nam or nam.x",
    "p/a.lua:3:25: the global 'nam' is not declared" },
  { "a module of the library without its require", "local text = json.encode {}",
    'p/a.lua:3:14: the global \'json\' is not declared: it is local json = '
      .. 'require("moonhook").json' },
  { "a library that plugins do not have", "local now = os.time()",
    "p/a.lua:3:13: the global 'os' is not declared: plugins have no `os`" },
  { "a function that a library does not have", "local t = table.copy(values)",
    "p/a.lua:3:11: plugins have no function 'table.copy'" },
  { "a misspelt function of a library", "local t = string.fromat('x')",
    "p/a.lua:3:11: plugins have no function 'string.fromat', did you mean 'string.format'?" },
  { "a local that is declared further down",
    "helper.run()\nlocal helper = {}\nhelper.x = 1",
    "p/a.lua:3:1: the global 'helper' is not declared; a local of this name is in another block "
      .. "or further down" },
  { "a forgotten `local`", "count = 1",
    "p/a.lua:3:1: write to the undeclared global 'count': write 'local count', or "
      .. "rawset(_G, 'count', ...)" },
  { "a write to _G", "_G.count = 1", "write to the undeclared global 'count'" },
  { "a misspelt module", 'local m = require "moonhok"',
    "p/a.lua:3:11: module 'moonhok' not found: the package has no moonhok.lua and no "
      .. "moonhok/init.lua, did you mean 'moonhook'?" },
  { "a misspelt module of the library", 'local m = require "moonhook.jsn"',
    "p/a.lua:3:11: module 'moonhook.jsn' is not for plugins, did you mean 'moonhook.json'?" },
  { "a missing module of its own", 'local m = require "lib.helprs"',
    "p/a.lua:3:11: module 'lib.helprs' not found: the package has no lib/helprs.lua and no "
      .. "lib/helprs/init.lua, did you mean 'lib.helpers'?" },
  { "a missing module, by path", 'local m = require("lib/other.lua")',
    "p/a.lua:3:11: module 'lib/other.lua' not found: the package has no lib/other.lua and no" },
}

local MEMBERS = { -- of the library, the session, the request and the settings
  { "a misspelt member of the library", "local reply = moonhook.Respones 'x'",
    "p/a.lua:3:24: moonhook has no member 'Respones', did you mean 'Response'?" },
  { "a misspelt member of a module of it", "local text = moonhook.json.encoed {}",
    "p/a.lua:3:28: moonhook.json has no member 'encoed', did you mean 'encode'?" },
  { "one of a module that has a name of its own", "local json = moonhook.json\n"
    .. "local function f() return function() return json.stringify {} end end\nf()",
    "p/a.lua:4:50: moonhook.json has no member 'stringify'" },
  { "one behind another name of `require`",
    "local r = require\nlocal function f() return r('moonhook.crypto').hash() end\nf()",
    "p/a.lua:4:48: moonhook.crypto has no member 'hash'" },
  { "a misspelt module behind another name of `require`",
    "local load_module = require\nlocal m = load_module 'moonhook.jsn'",
    "p/a.lua:4:24: module 'moonhook.jsn' is not for plugins, did you mean 'moonhook.json'?" },
  { "one in a loop", "for i = 1, 3 do local v = moonhook.verify if i > 1 then v.githb() end end",
    "p/a.lua:3:59: moonhook.verify has no member 'githb', did you mean 'github'?" },
  { "a misspelt member of the session", "local answer = self.session.modle.llm:invoke {}",
    "p/a.lua:3:29: session has no member 'modle', did you mean 'model'?" },
  { "one in a generator", "local session = self.session\n"
    .. "local a = moonhook.Response(function() session.storage:put('a', 'b') end)",
    "p/a.lua:4:56: session.storage has no member 'put'" },
  { "a misspelt kind of app", "local answer = self.session.app.chatt:invoke {}",
    "p/a.lua:3:33: session.app has no member 'chatt', did you mean 'chat'?" },
  { "a misspelt field of the request", "local body = request.boddy",
    "p/a.lua:3:22: a request has no field 'boddy'" },
  { "a field that requests of other frameworks have", "local body = request.json",
    "p/a.lua:3:22: a request has no field 'json': did you mean request:get_json()?" },
  { "a setting that the group does not declare", "local name = settings.bott",
    "p/a.lua:3:23: settings.bott: the group declares no setting of this name, did you mean 'bot'?"
  },
  { "a part that no path has", "local number = values.numbr",
    "p/a.lua:3:23: values.numbr: no path of the plugin has such a part, did you mean 'number'?" },
  { "a call that the manifest does not permit",
    "local chunks = self.session.app.chat:invoke { app_id = 'a', query = 'b' }",
    "p/a.lua:3:38: session.app.chat:invoke is refused: the manifest lacks resource: "
      .. "{ permission: { app: { enabled: true } } }" },
  { "a call of a model in a spawned function that it does not permit",
    "self.session:spawn(function() self.session.model.rerank:invoke {} end)",
    "p/a.lua:3:57: session.model.rerank:invoke is refused: the manifest lacks resource: "
      .. "{ permission: { model: { enabled: true, rerank: true } } }" },
}

local RUNS = { -- code that runs in production
  { "every global that plugins have", in_handler [[
      local all = { assert, error, getmetatable, ipairs, next, pairs, pcall, rawequal, rawget,
        rawset, select, setmetatable, tonumber, tostring, type, unpack, xpcall, _VERSION, _G, load,
        loadstring, print, require, string, table, math, bit, coroutine }
      print(#all, string.byte "a", table.concat {}, math.floor(1.5), bit.band(1, 2),
        coroutine.running())]] },
  { "names that it asks for first", [[
      local unpack = table.unpack or unpack
      local pack = table.pack or function(...) return { n = select("#", ...), ... } end
      local is_jit = type(jit) == "table" and jit.os == "Linux"
      if setfenv then setfenv(1, {}) end
      local now = os and os.time()
      if utf8 ~= nil then utf8.char(65) end
      local bits = not bit32 and bit or bit32.band
      local jit, io, ngx = jit, io, ngx
      return function() return tostring({ unpack, pack, is_jit, now, bits, jit, io, ngx }) end]] },
  { "modules of its own, in every spelling", in_handler [[
      print(require "lib.helpers", require "lib/helpers", require("lib/helpers.lua"),
        require "more", require "moonhook.json")]] },
  { "a module that it can do without", in_handler [[
      local is_there, cjson = pcall(require, "cjson")
      local ok = pcall(function() return require "lfs" end)
      print(is_there, cjson, ok)]] },
  { "a global that it declares", [[
      rawset(_G, "shared", { count = 0 })
      return function() shared.count = shared.count + 1 return tostring(shared.count) end]] },
  { "globals that only running declares", [[
      local G = _G
      for _, name in ipairs { "one", "two" } do rawset(G, name, name) end
      return function() return one:upper() .. two:upper() end]] },
  { "members that it adds itself", [[
      local moonhook = require "moonhook"
      moonhook.mine = function() return "mine" end
      return function() return moonhook.mine() end]] },
  { "names that hold one thing, then another", [[
      local module, count = require "moonhook.json", 0
      local function set(value) module = value end
      set { of_my_own = function() return "own" end }
      return function(self, request)
        local thing = require "moonhook.json"
        while count < 3 do
          count = count + 1
          if count > 1 then thing.mine() end
          thing = { mine = function() end }
        end
        local other = require "moonhook.json"
        if count > 2 then other = { mine = thing.mine } end
        other.mine()
        repeat local last = other other = { more = last.mine } until other.more
        request = { anything = "is there" }
        self = { session = { of = { another = "kind" } } }
        local function deep() return self.session.of.another .. request.anything end
        return module.of_my_own() .. deep()
      end]] },
  { "a parameter that a function of its own changes", [[
      return function(self, request, values, settings)
        local function choose() settings = { of_my_own = "own" } end
        choose()
        return settings.of_my_own
      end]] },
  { "objects of its own that have methods called `invoke`", [[
      local Worker, Handler = {}, {}
      function Worker:invoke(request) return self.session.name .. request.boddy end
      function Handler:invoke(request)
        local w = { session = { name = request.method }, invoke = Worker.invoke }
        return w:invoke { boddy = self.session and "y" or "n" }
      end
      return Handler]] },
  { "private names, and items by number", [[
      local moonhook = require "moonhook"
      return function(self, request, values, settings)
        return tostring(moonhook.json._mine or settings._x or settings[1] or self.mine or "none")
      end]] },
  { "a global of a library under another name", [[
      local format, _G = string.format, _G
      return function() return format("%s", _G.print) end]] },
}

describe("moonhook check finds", function()
  for _, case in ipairs(MEMBERS) do
    it(case[1], function()
      local said, code = check(in_handler(case[2]))
      assert.equal(case[3], (said:match "^(.-)\n" or said):sub(1, #case[3]))
      assert.equal(1, code)
    end)
  end

  for _, case in ipairs(WRONG) do
    it(case[1], function()
      local said, code = check(in_handler(case[2]), { ["lib/helpers.lua"] = "return {}" })
      assert.is_truthy(said:find(case[3], 1, true), said)
      assert.equal(1, code)
    end)
  end

  it("a function without `local`, at the place of its name", function()
    assert.equal("p/a.lua:2:10: write to the undeclared global 'helper': write 'local helper', or "
      .. "rawset(_G, 'helper', ...)\n", (check "\nfunction helper() end return helper\n"))
  end)

  it("names in workflow apps, which are one file", function()
    local result = host.run { "config", "check", config =
      "apps: { flow: { mode: workflow, source: flow.lua } }\n", files = { ["flow.lua"] =
      'local more = require "lib.more"\nreturn function(session, inputs)\n'
        .. "  return { text = inptus.text, more = more }\nend\n" } }
    assert.equal("flow.lua:1:14: module 'lib.more' not found: a workflow app is one file\n"
      .. "flow.lua:3:19: the global 'inptus' is not declared, did you mean 'inputs'?\n",
      result.stdout)
  end)

  it("names in workflow apps that the session does not have", function()
    local result = host.run { "config", "check", config =
      "apps: { flow: { mode: workflow, source: flow.lua } }\n", files = { ["flow.lua"] =
      "return function(session, inputs)\n  return { text = session.ap.chat, i = inputs }\nend\n"
    } }
    assert.equal("flow.lua:2:27: session has no member 'ap', did you mean 'app'?\n", result.stdout)
  end)

  it("nothing in a workflow app that uses all that its session has", function()
    local result = host.run { "config", "check", config =
      "apps: { flow: { mode: workflow, source: flow.lua } }\n", files = { ["flow.lua"] = [[
local Flow = {}
function Flow.run(session, inputs)
  return session:step("build", function()
    session.storage:set("a", inputs.a)
    local more = session:spawn(function() return session.app.chat:invoke { app_id = "a" } end)
    session:sleep(1)
    return { more = more:wait(), log = session.log, once = session:once "a" }
  end)
end
return Flow
]] } }
    assert.equal("", result.stdout)
    assert.equal(0, result.code)
  end)

  it("what a workflow app's session does not have, in a table's `run`", function()
    local result = host.run { "config", "check", config =
      "apps: { flow: { mode: workflow, source: flow.lua } }\n", files = { ["flow.lua"] =
      "return { run = function(session) return session:stp('a', print) end }\n" } }
    assert.equal("flow.lua:1:49: session has no member 'stp', did you mean 'step'?\n",
      result.stdout)
  end)

  it("what is wrong in a file that is made to take long, soon", function()
    local spaces, names = (" "):rep(500000), ("a, "):rep(90) .. "b"
    local said = check(("local %s\n x = 1\nlocal %s = 1\nreturn function(%s) nme.x() end\n")
      :format(spaces, names, spaces))
    assert.equal("p/a.lua:4:500019: the global 'nme' is not declared\n", said)
  end)

  it("what is wrong in the modules that a source leads to", function()
    local said, code = check('return function() return require("b").text() end',
      { ["b.lua"] = 'return require "lib.c"', ["lib/c.lua"] = "return { text = nme.x }" })
    assert.equal("p/lib/c.lua:1:17: the global 'nme' is not declared\n", said)
    assert.equal(1, code)
  end)
end)

describe("moonhook check warns", function()
  it("of a global that is nil wherever it goes, and exits with 0", function()
    local said, code, summary = check(in_handler "print(answr)")
    assert.equal("p/a.lua:3:7: warning: the global 'answr' is not declared\n", said)
    assert.equal("checked 1 plugin: no problem, 1 warning\n", summary)
    assert.equal(0, code)
  end)

  it("of variables in paths that are written as elsewhere", function()
    local manifest = "version: 0.1.0\ntype: plugin\nauthor: spec\nname: p\nplugins:\n  endpoints:\n"
    for path, warning in pairs {
      ["/hello/:name"] = "':name' is taken as it is written, a variable is '<name>'",
      ["/x/{id}/y"] = "'{id}' is taken as it is written, a variable is '<id>'",
      ["/at/12:30"] = false, ["/x/<int:id>"] = false,
    } do
      local result = host.run { "check", "p", files = {
        ["p/manifest.yaml"] = manifest .. ("    - { path: %q, method: GET, extra: { lua: { source: "
          .. "a.lua } } }\n"):format(path),
        ["p/a.lua"] = "return function() return '' end",
      } }
      assert.equal(0, result.code)
      assert.equal(warning and "p/manifest.yaml:7:15: warning: path: " .. warning .. "\n" or "",
        result.stdout)
    end
  end)

  it("of a refused call and a misspelt member within pcall", function()
    local said, code = check(in_handler [[
print(pcall(function()
  self.session.storage:get "a"
  moonhook.Respones "b"
end))]])
    assert.equal("p/a.lua:4:24: warning: session.storage:get is refused: the manifest lacks "
      .. "resource: { permission: { storage: { enabled: true, size: 1048576 } } }\n"
      .. "p/a.lua:5:12: warning: moonhook has no member 'Respones', did you mean 'Response'?\n",
      said)
    assert.equal(0, code)
  end)

  it("of a typo within pcall, which nobody would hear of", function()
    local said, code = check(in_handler "print(pcall(function() return reqest.args end))")
    assert.matches("warning: the global 'reqest' is not declared, did you mean 'request'", said)
    assert.equal(0, code)
  end)
end)

describe("moonhook check leaves alone", function()
  for _, case in ipairs(RUNS) do
    it(case[1], function()
      local files = { ["lib/helpers.lua"] = "return {}", ["more/init.lua"] = "return {}" }
      local said, code = check(case[2], files)
      assert.equal("", said)
      assert.equal(0, code)
    end)

    it(case[1] .. ", and it runs", function()
      local result = host.run { "test", "p", files = {
        ["p/manifest.yaml"] = MANIFEST, ["p/a.lua"] = case[2],
        ["p/lib/helpers.lua"] = "return {}", ["p/more/init.lua"] = "return {}",
        ["p/spec/a_spec.lua"] = [[
          it("runs", function()
            assert.equal(200, require("moonhook.testing").load():get("/a").status)
          end)]],
      } }
      assert.equal(0, result.code, result.stdout .. result.stderr)
    end)
  end

  it("files that no endpoint leads to", function()
    assert.equal("", (check("return function() return 'a' end",
      { ["tools/make.lua"] = "os.exit(io.open(arg[1]) and 0 or 1)" })))
  end)

  it("files that only running leads to, if they are right", function()
    local code = 'return function(_, r) return require("lib." .. r.args.name) end'
    assert.equal("", (check(code, { ["lib/x.lua"] = "return 'x'" })))
    assert.matches("^p/lib/x.lua:1:8: the global 'y' is not declared\n$",
      (check(code, { ["lib/x.lua"] = "return y.z" })))
  end)
end)
