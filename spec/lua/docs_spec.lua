-- The documentation names what is there, and all of it.

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function lines_of(command)
  local lines, pipe = {}, io.popen(command)
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

local function pages()
  return lines_of "ls README.md docs/*.md docs/decisions/*.md"
end

local function without_code(text)
  return (text:gsub("```.-```", ""):gsub("`[^`\n]*`", ""))
end

describe("the documentation", function()
  it("links to files that are there", function()
    local broken = {}
    for _, page in ipairs(pages()) do
      local folder = page:match "^(.*/)" or ""
      for target in without_code(read(page)):gmatch "%]%(([^)%s]+)%)" do
        local path = target:gsub("#.*$", "")
        local is_here = not target:find "^%a+:" and path ~= ""
        if is_here and not exists(folder .. path) then
          broken[#broken + 1] = page .. ": " .. target
        end
      end
    end
    assert.same({}, broken)
  end)

  it("has every decision that the code refers to", function()
    local missing = {}
    for _, path in ipairs(lines_of "grep -rhoE 'docs/decisions/[a-z0-9-]+[.]md' host lua") do
      if not exists(path) then missing[#missing + 1] = path end
    end
    assert.same({}, missing)
  end)

  it("shows the example hello whole in the README", function()
    local readme = read "README.md"
    local manifest = read "examples/hello/manifest.yaml"
    assert.is_truthy(readme:find("```yaml\n# manifest.yaml\n" .. manifest .. "```", 1, true))
    assert.is_truthy(readme:find("```lua\n" .. read "examples/hello/hello.lua" .. "```", 1, true))
  end)

  it("lists every key of the configuration, and no other", function()
    local operations, code = read "docs/operations.md", read "host/process/config_fields.c"
    local keys, undocumented, invented = {}, {}, {}
    for key, variable in code:gmatch '\n  { "([%w_.]+)", "([%u_]+)", FIELD_' do
      keys[key] = true
      if not operations:find("\n| `" .. key .. "` |", 1, true) then
        undocumented[#undocumented + 1] = key
      end
      local family = variable:match "^(%u+)_" -- MOONHOOK_LIMITS_NAME stands for all limits
      if not operations:find("MOONHOOK_" .. variable, 1, true)
          and not operations:find("`MOONHOOK_" .. (family or "?") .. "_NAME`", 1, true) then
        undocumented[#undocumented + 1] = variable
      end
    end
    assert.is_true(keys["limits.body_bytes"]) -- the table was found
    for key in operations:gmatch "\n| `(%l+%.[%l_]+)` |" do
      if not keys[key] then invented[#invented + 1] = key end
    end
    assert.same({ {}, {} }, { undocumented, invented })
  end)
end)
