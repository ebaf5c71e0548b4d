require "spec.support.library"
local passages = require "moonhook.backend.passages"

local function titles(text)
  local found = {}
  for i, passage in ipairs(passages.split("docs/x.md", text)) do
    found[i] = passage.title .. ": " .. passage.text
  end
  return found
end

describe("cutting a page into passages", function()
  it("cuts at headings and names the page", function()
    local list = passages.split("docs/x.md", "# Page\n\nintro\n\n## One ##\na\n\n### Two\r\nb\r\n")
    assert.same({ "Page: intro", "One: a", "Two: b" }, titles
      "# Page\n\nintro\n\n## One ##\na\n\n### Two\r\nb\r\n")
    assert.same({ "docs/x.md", "Page" }, { list[3].page, list[3].page_title })
  end)

  it("takes a page without headings as one passage under its path", function()
    assert.same({ "docs/x.md: just text" }, titles "just text")
    assert.same({}, titles "")
    assert.same({}, titles "# only\n## headings")
  end)

  it("leaves code alone", function()
    assert.same({ "A: ```sh\n# not one\n```" }, titles "# A\n```sh\n# not one\n```\n")
    assert.same({ "A: #tag and #more" }, titles "# A\n#tag and #more")
  end)

  it("cuts long sections between paragraphs, never inside code", function()
    local code = "```\n" .. ("x\n\n"):rep(600) .. "```"
    local list = passages.split("p", "# A\n\n" .. ("w"):rep(1000) .. "\n\n" .. code .. "\n\nend")
    assert.equal(2, #list)
    assert.equal(code .. "\n\nend", list[2].text)
    assert.same({ false, true }, { list[1].is_continued, list[2].is_continued })
  end)
end)
