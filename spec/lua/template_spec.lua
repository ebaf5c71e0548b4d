local library = require "spec.support.library"
local template = require "moonhook.template"
local json = require "moonhook.json"

local NASTY = "O'Neil \\ 100%1 </script><img src=x onerror=\"alert(1)\"> 小猫"
local ESCAPED = "O&#39;Neil \\ 100%1 &lt;/script&gt;"
  .. "&lt;img src=x onerror=&quot;alert(1)&quot;&gt; 小猫"
local count = 0

-- Renders a page given as text.
local function render(text, values)
  count = count + 1
  local path = ("page%d.html"):format(count)
  library.files[path] = text
  local html = template(path, values)
  return html
end

local function refused(text, values)
  local ok, message = pcall(render, text, values or { x = "v", t = {} })
  assert.is_false(ok, text)
  return (assert(message:match "template_spec%.lua:%d+: page%d+%.html:(.*)$", message))
end

describe("a value in a page", function()
  it("is escaped in text", function()
    assert.equal("<h1>" .. ESCAPED .. "</h1>", render("<h1>{{ x }}</h1>", { x = NASTY }))
    assert.equal("a&amp;b&#96;", render("{{x}}", { x = "a&b`" }))
  end)

  it("is escaped in <title> and <textarea>", function()
    assert.equal("<title>" .. ESCAPED .. "</title><textarea>&lt;b&gt;</textarea>",
      render("<title>{{ x }}</title><textarea>{{ y }}</textarea>", { x = NASTY, y = "<b>" }))
  end)

  it("is escaped in attributes with either quote", function()
    assert.equal(([[<a title="%s" alt='%s'>]]):format(ESCAPED, ESCAPED),
      render([[<a title="{{ x }}" alt='{{ x }}'>]], { x = NASTY }))
  end)

  it("gets quotes in an attribute without them", function()
    assert.equal('<a title="' .. ESCAPED .. '" b>', render("<a title={{ x }} b>", { x = NASTY }))
    assert.equal('<a width="1" height="2px">',
      render("<a width={{x}} height={{y}}px>", { x = 1, y = 2 }))
    assert.equal('<a a="xy" b="">', render("<a a=x{{x}} b={{y}}>", { x = "y", y = "" }))
    assert.equal('<a a="12"\nb=3>', render("<a a={{x}}{{y}}\nb=3>", { x = 1, y = 2 }))
  end)

  it("is JSON in a script, and cannot end it", function()
    local html = render("<script>const x = {{ x }};</script>", { x = NASTY })
    assert.is_nil(html:find("</script><img", 1, true))
    local text = html:match "const x = (.*);</script>$"
    assert.equal(NASTY, json.decode(text))
    assert.is_nil(text:find "[<>&]")
    assert.equal('<script>x={"a":[1,null]}</script>',
      render("<script>x={{ t }}</script>", { t = { a = { 1, json.null } } }))
  end)

  it("hides the line separators that end a string in old scripts", function()
    assert.equal([[<script>x="\u2028\u2029"</script>]],
      render("<script>x={{ x }}</script>", { x = "\226\128\168\226\128\169" }))
  end)

  it("is the inside of a string in a script's string", function()
    local value = NASTY .. "\n`${alert(1)}"
    for _, quote in ipairs { '"', "'", "`" } do
      local html = render(("<script>%s{{ x }}%s</script>"):format(quote, quote), { x = value })
      local inner = html:match "^<script>.(.*).</script>$"
      assert.equal(value, json.decode('"' .. inner .. '"'))
      assert.is_nil(inner:find "[<>&'`$\n]")
      assert.is_nil(inner:gsub("\\.", ""):find('"', 1, true))
    end
  end)

  it("cannot open a hole in a template literal", function()
    assert.equal([[<script>`$\u007balert(1)}`</script>]],
      render("<script>`${{ x }}`</script>", { x = "{alert(1)}" }))
  end)

  it("is JSON again behind strings, comments, regular expressions and holes", function()
    for _, before in ipairs { [["a\"b"]], "'it\\'s'", "/* \" ' */ ", "// it's\n", [[/["'/]/g]],
        "`a ${ {b: '}'} } c`", "x = a / 2; y = b / '1'", "return /'/.test(a), ", "`${`${1}`}`" } do
      assert.equal("<script>" .. before .. ' + "v"</script>',
        render("<script>" .. before .. " + {{ x }}</script>", { x = "v" }))
    end
  end)

  it("is escaped again behind a script", function()
    assert.equal("<script>x=1</script>&lt;", render("<script>x=1</SCRIPT >{{ x }}", { x = "<" })
      :gsub("</SCRIPT >", "</script>"))
  end)

  it("keeps a link from becoming a script", function()
    for _, url in ipairs { "javascript:alert(1)", " JavaScript:alert(1)", "java\nscript:alert(1)",
        "\1javascript:alert(1)", "vbscript:x", "data:text/html,x", "data:image/svg+xml,x" } do
      assert.equal('<a href="about:invalid">', render('<a href="{{ x }}">', { x = url }))
      assert.equal('<a href="&#32;about:invalid">', render('<a href="&#32;{{ x }}">', { x = url }))
    end
    for _, url in ipairs { "https://a/?b=c", "/x", "x/y:z", "?a:b", "#a:b", "mailto:a@b", "",
        "data:image/png;base64,AA" } do
      assert.equal('<a href="' .. url .. '">', render('<a href="{{ x }}">', { x = url }))
    end
    assert.equal('<a href="/go?to=javascript:x">',
      render('<a href="/go?to={{ x }}">', { x = "javascript:x" }))
  end)

  it("may be a number, a boolean, or json.null for nothing", function()
    assert.equal("1.5 9007199254740991 true []",
      render("{{ a }} {{ b }} {{ c }} [{{ d }}]",
        { a = 1.5, b = 2 ^ 53 - 1, c = true, d = json.null }))
    assert.equal("<script>1- -1+null</script>",
      render("<script>1-{{ a }}+{{ b }}</script>", { a = -1, b = json.null }))
  end)

  it("may be a member of a table", function()
    assert.equal("me 2", render("{{ user.name }} {{ user.list.1 }}",
      { user = { name = "me", list = { 2 } } }))
  end)

  it("is an error when it is missing, with its name and place", function()
    assert.equal("2: no value is given for {{ x }}", refused("a\n{{ x }}", {}))
    assert.equal("1: no value is given for {{ a.b.c }}", refused("{{ a.b.c }}", { a = { b = 1 } }))
    assert.equal("1: {{ x }}: expected a string, a number or a boolean, got a table",
      refused("{{ x }}", { x = {} }))
    assert.equal("1: {{ x }}: cannot encode a function as JSON",
      refused("<script>{{ x }}</script>", { x = print }))
  end)
end)

describe("a place where no value is safe", function()
  for text, place in pairs {
    ["<style>a { color: {{ x }} }</style>"] = "a style sheet",
    ["<!-- {{ x }} -->"] = "a comment",
    ["<!doctype {{ x }}>"] = "a declaration",
    ["<{{ x }}>"] = "a tag's name",
    ["</{{ x }}>"] = "a declaration",
    ["<a{{ x }}>"] = "a tag's name",
    ["<a {{ x }}>"] = "a tag, outside of an attribute's value",
    ["<a b{{ x }}='1'>"] = "a tag, outside of an attribute's value",
    ["<a onclick='f({{ x }})'>"] = "an event handler (use a data- attribute)",
    ["<a style='color: {{ x }}'>"] = "a style attribute",
    ["<iframe srcdoc='{{ x }}'>"] = "a srcdoc attribute",
    ["<iframe>{{ x }}</iframe>"] = "<iframe>",
    ["<a href='javascript:f({{ x }})'>"] = "a javascript: URL",
    ["<a b=c\"d{{ x }}>"] = "an attribute without quotes that holds a quote",
    ["<script>// {{ x }}\n</script>"] = "a comment",
    ["<script>/* {{ x }} */</script>"] = "a comment",
    ["<script>a = /{{ x }}/</script>"] = "a regular expression",
    ["<script>'\\{{ x }}'</script>"] = "a value right after a backslash",
    ["<script><!-- {{ x }}</script>"] = "an HTML comment in a script",
    ["<title><b>{{ x }}</b></title>"] = "a <title> that holds tags",
  } do
    it("is refused with file and line: " .. text:gsub("\n", " "), function()
      assert.equal("3: {{ x }} may not stand in " .. place, refused("\n\n" .. text))
    end)
  end

  it("is found also when the page breaks off", function()
    assert.equal("1: a <script> does not end", refused "<script>{{ x }}")
    assert.equal("1: a tag does not end", refused "<a b={{ x }}")
    assert.matches("a script that ends inside a string", refused "<script>`{{ x }}</script>")
    assert.matches("a string that does not end on its line", refused "<script>'{{ x }}\n'</script>")
  end)

  it("does not matter in a page without values there", function()
    local page = "<style>a{}</style><!-- ' --><script>'\n</script><a onclick='f()'>"
    assert.equal(page .. "v", render(page .. "{{ x }}", { x = "v" }))
  end)
end)

describe("moonhook.template", function()
  it("refuses what is no name between the braces", function()
    assert.equal("2: expected {{ name }}, got {{ a-b }}", refused "\n{{ a-b }}")
    assert.equal("1: expected {{ name }}, got {{", refused "{{")
    assert.equal("1: expected {{ name }}, got {{}}", refused "{{}}")
    assert.equal("1: expected {{ name }}, got {{ a..b }}", refused "{{ a..b }}")
  end)

  it("reads a file once", function()
    library.files["kept.html"] = "1{{ x }}"
    assert.equal("1a", template("kept.html", { x = "a" }))
    library.files["kept.html"] = "2{{ x }}"
    assert.equal("1b", template("kept.html", { x = "b" }))
  end)

  it("renders a page without values", function()
    assert.equal("<p>", render "<p>")
  end)

  it("names a file that is not there, at the author's line", function()
    local _, message = pcall(function()
      local html = template("missing.html")
      return html
    end)
    assert.matches("template_spec%.lua:%d+: moonhook%.template: missing%.html: no such", message)
  end)
end)
