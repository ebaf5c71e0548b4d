-- The names that `moonhook check` holds code against (lua/moonhook/cli/library.lua) are those that
-- the library has when it runs.
local fakes = require "spec.support.library"
local reverse = require "spec.support.reverse"
local library = require "moonhook.cli.library"

local function listed(node)
  local names = {}
  for name in pairs(node.members) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function keys(value)
  local names = {}
  for name in pairs(value) do
    if type(name) == "string" and name:sub(1, 1) ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- The names that a strict table gives when it is asked for none of them.
local function told(value)
  local ok, message = pcall(function() return value.qqqqqqqqqqqqqqqqqqqqqqqqq end)
  assert.is_false(ok)
  local names = {}
  for name in tostring(message):match "it has (.*)$":gmatch "[%w_]+" do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function upvalue(fn, name)
  for i = 1, 20 do
    local found, value = debug.getupvalue(fn, i)
    if found == name then return value end
  end
  error("no upvalue " .. name)
end

fakes.fake("host.storage", {})
fakes.fake("host.web", {})

describe("the names that check knows", function()
  it("are those of the modules", function()
    local exports = upvalue(getmetatable(require "moonhook").__index, "exports")
    assert.same(keys(exports), listed(library.modules.moonhook))
    for _, name in ipairs { "json", "crypto", "verify" } do
      local node = library.modules["moonhook." .. name]
      assert.same(keys(require("moonhook." .. name)), listed(node))
      assert.equal(node, library.modules.moonhook.members[name])
    end
    local members = library.modules.moonhook.members
    assert.same(keys(require "moonhook.response"), listed(members.Response))
    assert.same(keys(require "moonhook.log"), listed(members.log))
  end)

  it("are those of the session", function()
    local session = require "moonhook.session"
    local nodes = library.session.members
    assert.same(told(session), listed(library.session))
    assert.same(told(session.model), listed(nodes.model))
    for _, name in ipairs { "app", "tool", "file", "storage", "http", "workflow_node", "log" } do
      assert.same(keys(session[name]), listed(nodes[name]), name)
    end
    for _, parent in ipairs { "app", "model", "workflow_node" } do
      for name, node in pairs(nodes[parent].members) do
        if node ~= true then
          assert.same(keys(session[parent][name]), listed(node), parent .. "." .. name)
        end
      end
    end
  end)

  it("are those of a workflow's session", function()
    local names = listed(library.workflow_session)
    for i, name in ipairs(names) do names[i] = ("%q"):format(name) end
    local source = { flow = { text = ("return function(session)\n  local kinds = {}\n"
      .. "  for _, name in ipairs { %s } do kinds[name] = type(session[name]) end\n"
      .. "  return kinds\nend"):format(table.concat(names, ", ")) } }
    reverse.reset { apps = { flow = { mode = "workflow" } }, sources = source }
    local run = reverse.run(function()
      return require("moonhook.session").app.workflow:invoke { app_id = "flow", inputs = {},
        response_mode = "blocking" }
    end)
    assert.equal("succeeded", run.data.status)
    assert.equal("function", run.data.outputs.step)
    assert.equal("table", run.data.outputs.app)
  end)

  it("are those of a request", function()
    local index = getmetatable(require("moonhook.request").new {}).__index
    local names = keys(upvalue(index, "load"))
    for _, name in ipairs(keys(upvalue(index, "Request"))) do
      if name ~= "new" then names[#names + 1] = name end
    end
    table.sort(names)
    assert.same(names, listed(library.request))
  end)

  it("say what permits each call", function()
    local function see(node)
      assert.is_true(node.permission == nil or library.permits[node.permission] ~= nil, node.title)
      for _, member in pairs(node.members) do
        if member ~= true then see(member) end
      end
    end
    see(library.session)
  end)
end)
