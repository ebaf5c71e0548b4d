-- The pattern functions that states run with. What is expected here is what LuaJIT's own do; the
-- fuzz target pattern_match compares the two on patterns that nobody thought of.
require "spec.support.library"
local pattern = require "moonhook.pattern"
local find, match, gmatch, gsub = pattern.find, pattern.match, pattern.gmatch, pattern.gsub

local function list(...)
  return { n = select("#", ...), ... }
end

-- { { arguments, results }, ... }
local function gives(call, cases)
  for i, case in ipairs(cases) do
    assert.same(list(unpack(case[2], 1, math.max(1, table.maxn(case[2])))),
      list(call(unpack(case[1], 1, table.maxn(case[1])))), "case " .. i)
  end
end

local function message_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

local function all(text, what)
  local found = {}
  for first, second in gmatch(text, what) do
    found[#found + 1] = second and { first, second } or first
  end
  return found
end

describe("a pattern", function()
  it("has classes of ASCII characters only", function()
    local members = { a = 52, c = 33, d = 10, g = 94, l = 26, p = 32, s = 6, u = 26, w = 62, x = 22,
      z = 1 }
    for letter, count in pairs(members) do
      local inside, outside = 0, 0
      for byte = 0, 255 do
        if match(string.char(byte), "%" .. letter) then inside = inside + 1 end
        if match(string.char(byte), "%" .. letter:upper()) then outside = outside + 1 end
      end
      assert.same({ count, 256 - count }, { inside, outside }, letter)
    end
    assert.equal("\233", match("\233", "%\233"))
    assert.equal("-", match("a-b", "%-"))
  end)

  it("has sets", function()
    gives(match, {
      { { "key]=", "[]=]+" }, { "]=" } },
      { { "a-b", "[a-]+" }, { "a-" } },
      { { "x^y", "[x^]+" }, { "x^" } },
      { { "12ab", "[^%d]+" }, { "ab" } },
      { { "12ab", "[^%a%s]+" }, { "12" } },
      { { "m[i]", "%[([^]]*)%]" }, { "i" } },
      { { "e-\0", "[a-%%z]+" }, { "\0" } },
      { { "\200\201", "[\128-\255]+" }, { "\200\201" } },
      { { "a%b", "[%%]" }, { "%" } },
    })
  end)

  it("repeats as much or as little as it may", function()
    gives(match, {
      { { "aaab", "a*" }, { "aaa" } },
      { { "aaab", "a-b" }, { "aaab" } },
      { { "aaab", "a-" }, { "" } },
      { { "baaa", "ba?a" }, { "baa" } },
      { { "b", "ba?" }, { "b" } },
      { { "xx", "y+" }, { nil } },
      { { "<a><b>", "<.->" }, { "<a>" } },
      { { "<a><b>", "<.*>" }, { "<a><b>" } },
      { { "a.b.c", "^(.*)%.(.-)$" }, { "a.b", "c" } },
      { { "  x  ", "^%s*(.-)%s*$" }, { "x" } },
      { { "*", "*" }, { "*" } },
    })
  end)

  it("is anchored by ^ at its start and $ at its end, and nowhere else", function()
    gives(find, {
      { { "banana", "^an" }, { nil } },
      { { "banana", "^an", 2 }, { 2, 3 } },
      { { "banana", "na$" }, { 5, 6 } },
      { { "a$b", "a$b" }, { 1, 3 } },
      { { "a^b", "a^b" }, { 1, 3 } },
      { { "", "^$" }, { 1, 0 } },
    })
  end)

  it("captures text and positions, nested as well", function()
    gives(match, {
      { { "2024-05", "(%d+)-(%d+)" }, { "2024", "05" } },
      { { "hello", "()ll()" }, { 3, 5 } },
      { { "abc", "((a)(b))" }, { "ab", "a", "b" } },
      { { [["it's"]], [[(["'])(.-)%1]] }, { '"', "it's" } },
      { { "abab", "(ab)%1" }, { "ab" } },
      { { "x", "()%1" }, { nil } },
      { { ("x"):rep(32), ("(x)"):rep(32) }, { (("x"):rep(32):gsub(".", "%0 ")):match(
        ("(%S) "):rep(32)) } },
    })
  end)

  it("has %b and %f", function()
    gives(match, {
      { { "f(a(b)c)d)", "%b()" }, { "(a(b)c)" } },
      { { "((a)", "%b()" }, { "(a)" } },
      { { "'a'b'", "%b''" }, { "'a'" } },
      { { "THE (quick) fox", "%f[%a]%a+%f[%A]" }, { "THE" } },
      { { "THE (quick) fox", "%f[%l]%a+" }, { "quick" } },
      { { "end", "d%f[%z]" }, { "d" } },
    })
  end)

  it("ends at a zero byte, and %z matches one", function()
    assert.equal("a", match("a\0b", "a\0x"))
    assert.same({ 2, 2 }, { find("a\0b", "%z") })
    assert.same({ 2, 3 }, { find("a\0b", "\0b") }) -- plain
  end)

  it("that makes no sense is an error, when it comes to that part", function()
    for what, text in pairs {
      ["x%"] = "malformed pattern (ends with '%')", ["[a"] = "malformed pattern (missing ']')",
      ["[]"] = "malformed pattern (missing ']')", ["[%"] = "malformed pattern (missing ']')",
      ["%f"] = "missing '[' after '%f' in pattern", ["%bx"] = "unbalanced pattern",
      ["x)"] = "invalid pattern capture", ["(x"] = "unfinished capture",
      ["%1"] = "invalid capture index", ["(%1)"] = "invalid capture index",
      ["%0"] = "invalid capture index", [("(x?)"):rep(33)] = "too many captures",
    } do
      assert.equal(text, message_of(match, "x", what))
    end
    assert.is_nil((match("y", "x%")))
    assert.equal("", message_of(function() return 1, gsub("x", "x", "%2") end)
      :gsub("^.*pattern_spec%.lua:%d+: invalid capture index$", ""))
  end)
end)

describe("find", function()
  it("takes a start, from the end as well", function()
    gives(find, {
      { { "abcabc", "b", 3 }, { 5, 5 } },
      { { "abcabc", "b", -2 }, { 5, 5 } },
      { { "abc", "a", -10 }, { 1, 1 } },
      { { "abc", "", 4 }, { 4, 3 } },
      { { "abc", "", 10 }, { 4, 3 } },
      { { "abc", "c", 2.9 }, { 3, 3 } },
      { { "abc", "c", "3" }, { 3, 3 } },
      { { 123, 2 }, { 2, 2 } },
    })
  end)

  it("looks for plain text", function()
    gives(find, {
      { { "a.b", ".", 1, true }, { 2, 2 } },
      { { "f(x)", "(", 1, true }, { 2, 2 } },
      { { "a]b)", "b)" }, { 3, 4 } },
      { { "ab", "abc", 1, true }, { nil } },
      { { ("ab"):rep(40), ("ba"):rep(20), 1, true }, { 2, 41 } },
      { { "", "", 1, true }, { 1, 0 } },
      { { "x", "(x)" }, { 1, 1, "x" } },
    })
  end)

  it("refuses arguments in Lua's words", function()
    assert.equal("bad argument #1 to 'find' (string expected, got nil)",
      message_of(function() local x = find(nil, "a") return x end):match ": (.*)$")
    assert.equal("bad argument #2 to 'find' (string expected, got no value)",
      message_of(function() local x = find "a" return x end):match ": (.*)$")
  end)
end)

describe("gmatch", function()
  it("goes through all matches, empty ones once at each place", function()
    assert.same({ "one", "two" }, all("one two", "%a+"))
    assert.same({ "", "", "" }, all("ab", "x*"))
    assert.same({ "a", "", "" }, all("a1", "a*"))
    assert.same({ { "a", "1" }, { "b", "2" } }, all("a=1, b=2", "(%w+)=(%w+)"))
    assert.same({ 1, 2, 3 }, all("ab", "()"))
  end)

  it("takes ^ for a character", function()
    assert.same({ "^a" }, all("a^ab", "^a"))
  end)
end)

describe("gsub", function()
  it("puts a text in", function()
    gives(gsub, {
      { { "hello world", "o", "0" }, { "hell0 w0rld", 2 } },
      { { "hello world", "o", "0", 1 }, { "hell0 world", 1 } },
      { { "abc", "", "-" }, { "-a-b-c-", 4 } },
      { { "abc", "%w*", "x" }, { "xx", 2 } },
      { { "abc", "%w", "%0%0" }, { "aabbcc", 3 } },
      { { "abc", "%w", "%1" }, { "abc", 3 } },
      { { "a=1", "(%w)=(%w)", "%2=%1" }, { "1=a", 1 } },
      { { "abc", "()b", "%1" }, { "a2c", 1 } },
      { { "a b", " ", "%%" }, { "a%b", 1 } },
      { { "a b", " ", "%x%" }, { "ax\0b", 1 } },
      { { "abc", "^a", "" }, { "bc", 1 } },
      { { "aaa", "^a", "b" }, { "baa", 1 } },
      { { "abc", "b", 7 }, { "a7c", 1 } },
      { { "abc", "x", "y" }, { "abc", 0 } },
      { { "abc", "b", "y", 0 }, { "abc", 0 } },
      { { "abc", "b", "y", -1 }, { "abc", 0 } },
      { { "", "^", "x" }, { "x", 1 } },
    })
  end)

  it("puts the values of a table in", function()
    local values = { name = "Ann", n = 3, no = false }
    gives(gsub, {
      { { "$name $n $no $other", "%$(%w+)", values }, { "Ann 3 $no $other", 4 } },
      { { "ab", "()", { "x", [3] = "y" } }, { "xaby", 3 } },
      { { "ab", "(a)(", { a = "x" } }, { "xb", 1 } }, -- the first capture is all it needs
      { { "ab", "(a)(", setmetatable({ a = "x" }, {}) }, { "xb", 1 } },
      { { "a b", "%w", setmetatable({}, { __index = function(_, key) return key .. key end }) },
        { "aa bb", 2 } },
    })
  end)

  it("puts the values of a function in", function()
    gives(gsub, {
      { { "a1b2", "(%a)(%d)", function(letter, digit) return digit .. letter end }, { "1a2b", 2 } },
      { { "abc", "%w", function(c) if c == "b" then return 5 end end }, { "a5c", 3 } },
      { { "abc", "%w", function() return false end }, { "abc", 3 } },
      { { "abc", "", function() return "-" end, 2 }, { "-a-bc", 2 } },
      { { "aab", "^a", function() return "x" end }, { "xab", 1 } },
      { { 121, 1, function() return "x" end, "1" }, { "x21", 1 } },
      { { "abc", "b", string.upper, 1.9 }, { "aBc", 1 } },
    })
    local long = ("word "):rep(5000)
    assert.equal(long:upper(), (gsub(long, "%a+", string.upper)))
  end)

  it("calls from Lua, so that its function may wait", function()
    local resume = coroutine.wrap(function()
      return (gsub("a b", "%a", function(c) return coroutine.yield(c) end))
    end)
    assert.equal("a", resume())
    assert.equal("b", resume "x")
    assert.equal("x y", resume "y")
  end)

  it("blames the line that called it", function()
    local here = debug.getinfo(1, "l").currentline
    local messages = {
      message_of(function() local x = gsub("a", "a", function() return {} end) return x end),
      message_of(function() local x = gsub("a", "a", { a = print }) return x end),
      message_of(function() local x = gsub("a", "a%", function() end) return x end),
      message_of(function() local x = gsub("a", nil, function() end) return x end),
      message_of(function() local x = gsub("a", "a") return x end),
      message_of(function() local x = gsub("a", "a", "b", {}) return x end),
    }
    for i, expected in ipairs { "invalid replacement value (a table)",
      "invalid replacement value (a function)", "malformed pattern (ends with '%')",
      "bad argument #2 to 'gsub' (string expected, got nil)",
      "bad argument #3 to 'gsub' (string/function/table expected)",
      "bad argument #4 to 'gsub' (number expected, got table)" } do
      assert.equal(("%d: %s"):format(here + 1 + i, expected),
        messages[i]:match "pattern_spec%.lua:(.*)$")
    end
  end)
end)

describe("a pattern that needs too many steps", function()
  local text = ("a"):rep(200000)

  it("is an error at the line that used it", function()
    for _, call in ipairs {
      function() local x = find(text, ".-.-.-b") return x end,
      function() local x = match(text, "(.*)(.*)(.*)b") return x end,
      function() for _ in gmatch(text, "a*a*a*b") do error "found" end end,
      function() local x = gsub(text, ".-.-b", "") return x end,
      function() local x = gsub(text, ".-.-b", print) return x end,
      function() local x = find(("a"):rep(5000), ("a*"):rep(30) .. "b") return x end,
      function() local x = find("a", ("a*"):rep(300)) return x end,
    } do
      assert.equal("pattern too complex", message_of(call):match "pattern_spec%.lua:%d+: (.*)$")
    end
  end)

  it("is not one that goes once through a long text", function()
    local long = ("word, "):rep(1000000)
    assert.equal(1000000, select(2, gsub(long, "%a+", "%0")))
    assert.is_nil((find(long, "%a+;")))
    assert.is_nil((find(long, "[^,%s%a]")))
    assert.equal(long, match(long, "^.*$"))
    assert.is_nil((find(("a"):rep(1000000), ("a"):rep(500000) .. "b", 1, true)))
  end)
end)
