-- The recipes of docs/cookbook.md, and the ports of docs/from-dify.md, do what their specs say: the
-- YAML, the Lua and the spec of each section are taken from the page and run.
local host = require "spec.support.host"

local HEAD = "version: 0.1.0\ntype: plugin\nauthor: me\nname: recipe\n"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The plugins of a page: { title, files }, one for each section that has a spec.
local function recipes(page)
  local found = {}
  for section in (read(page):gsub("\n## ", "\1")):gmatch "\1([^\1]+)" do
    local title = section:match "^[^\n]+"
    local files, has_spec = {}, false
    for language, code in section:gmatch "```(%l+)\n(.-)```" do
      local path = code:match "^%-%- ([%w_/%.]+%.%l+)\n" or code:match "^<!%-%- ([%w_/%.]+) %-%->\n"
      if language == "yaml" then files["manifest.yaml"] = HEAD .. code end
      if path then files[path] = code end
      has_spec = has_spec or (path and path:find "^spec/" ~= nil)
    end
    if has_spec then found[#found + 1] = { title, files } end
  end
  return found
end

for page, count in pairs { ["docs/cookbook.md"] = 11, ["docs/from-dify.md"] = 2 } do
  describe(page, function()
    local all = recipes(page)

    it("has recipes", function() assert.equal(count, #all) end)

    for _, recipe in ipairs(all) do
      it("runs: " .. recipe[1], function()
        local dir = host.folder { files = recipe[2] }
        local result = host.run { dir = dir, "check", "." }
        assert.equal(0, result.code, result.stdout)
        result = host.run { dir = dir, "test", "-o", "TAP" }
        assert.equal(0, result.code, result.stdout .. result.stderr)
        assert.matches("^ok 1", result.stdout)
      end)
    end
  end)
end
