-- What editors are told (lua/moonhook/meta, which `moonhook init` copies into a plugin's folder):
-- every type that is named there is defined there, as nothing else of the library is at hand.
local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local pages = {}
for path in io.popen("ls lua/moonhook/meta/*.lua"):lines() do pages[path] = read(path) end

-- The type at the beginning of an annotation; two spaces end it.
local function type_in(line)
  return (line:match "^(.-)  " or line):gsub('"[^"]*"', "")
end

describe("the annotations for editors", function()
  local defined = {}
  for _, text in pairs(pages) do
    for _, kind in ipairs { "class", "alias" } do
      for name in text:gmatch("%-%-%-@" .. kind .. " ([%w_.]+)") do defined[name] = true end
    end
  end

  it("are there", function()
    assert.is_true(defined.Handler and defined.Session and defined.TestPlugin)
  end)

  for path, text in pairs(pages) do
    it("define what they name: " .. path, function()
      for kind, rest in text:gmatch "%-%-%-@(%l+) ([^\n]+)" do
        if kind == "param" or kind == "return" or kind == "field" or kind == "class" then
          for name in type_in(rest):gmatch "%f[%w_]%u[%w_]+" do
            assert.is_true(defined[name], path .. ": " .. name .. " in " .. rest)
          end
        end
      end
    end)
  end

  it("know every handler of the examples and templates as one", function()
    local count = 0
    local search = "grep -rl ':invoke(request' examples plugins lua/templates --include=*.lua"
    for path in io.popen(search):lines() do
      local text = read(path)
      local name = text:match "function ([%w_]+):invoke%(request"
      local line = ("---@class %s: Handler\nlocal %s = {}"):format(name, name)
      assert.is_truthy(text:find(line, 1, true), path)
      count = count + 1
    end
    assert.is_true(count > 10)
  end)
end)
