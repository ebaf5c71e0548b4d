-- The documentation that is built into the binary, cut into passages at its headings, and the
-- search for the passage nearest to a question. Read when first asked, kept per state.
local embedding = require "moonhook.backend.embedding"
local library = require "host.library"

local passages = {}

local MAX_PASSAGE_BYTES = 900 -- then it ends with the paragraph
local MIN_PASSAGE_BYTES = 300
local MAX_INDEXED_BYTES = 2000
-- What nearness is made of: the question's direction compared with that of the passage's title,
-- page and body, and the share of its words that stand in the passage.
local TITLE_SHARE, PAGE_SHARE, BODY_SHARE, COVERAGE_SHARE = 0.35, 0.1, 0.25, 0.3
local CONTINUED_COST = 0.05 -- the beginning of a section says what it is about
-- Below these a passage is about something else; little coverage asks for a better score.
local MIN_SCORE, GOOD_SCORE = 0.2, 0.26
local MIN_COVERAGE, GOOD_COVERAGE = 0.25, 0.4

local function is_for_readers(path)
  return path:find "%.md$" and not path:find "^docs/decisions/" and not path:find "changelog"
end

-- A long section makes several passages, cut between paragraphs; a code block stays whole, and a
-- short rest stays with what it belongs to.
local function add_section(list, page, title, lines)
  local first, kept, bytes, is_code = #list + 1, {}, 0, false
  local function add(is_rest)
    local text = table.concat(kept, "\n"):gsub("^%s+", ""):gsub("%s+$", "")
    kept, bytes = {}, 0
    if is_rest and #list >= first and #text < MIN_PASSAGE_BYTES then
      list[#list].text = (list[#list].text .. "\n\n" .. text):gsub("%s+$", "")
    elseif text ~= "" then
      local passage = { page = page.path, page_title = page.title, title = title, text = text }
      passage.is_continued = #list >= first
      list[#list + 1] = passage
    end
  end
  for _, line in ipairs(lines) do
    if line:find "^```" then is_code = not is_code end
    if line == "" and not is_code and bytes > MAX_PASSAGE_BYTES then add(false) end
    kept[#kept + 1], bytes = line, bytes + #line + 1
  end
  add(true)
end

--- Cuts one page at its headings; a `#` inside a code block is none.
function passages.split(path, text)
  local list, page, title, lines, is_code = {}, { path = path, title = path }, path, {}, false
  for line in (text:gsub("\r\n", "\n") .. "\n"):gmatch "(.-)\n" do
    if line:find "^```" then is_code = not is_code end
    local marks, heading = line:match "^(#+)%s+(.-)%s*#*$"
    if marks and not is_code then
      add_section(list, page, title, lines)
      title, lines = heading, {}
      if #marks == 1 and page.title == path then page.title = heading end
    else
      lines[#lines + 1] = line
    end
  end
  add_section(list, page, title, lines)
  return list
end

-- "plugins" and "plugin", "streaming" and "stream" are one word to a search.
local function stem(word)
  local short = word:gsub("s$", ""):gsub("ing$", ""):gsub("ed$", ""):gsub("e$", "")
  return #short >= 3 and short or word
end

local function stems_of(words)
  local stems = {}
  for _, word in ipairs(words) do stems[stem(word)] = true end
  return stems
end

local index -- passages in order; counts[stem]: in how many of them it stands

local function build()
  index = { counts = {} }
  local paths = library.list "docs/"
  table.insert(paths, 1, "README.md")
  for _, path in ipairs(paths) do
    local text = is_for_readers(path) and library.read(path)
    for _, passage in ipairs(text and passages.split(path, text) or {}) do
      index[#index + 1] = passage
      local beginning = passage.text:sub(1, MAX_INDEXED_BYTES)
      passage.words = embedding.words(passage.title .. " " .. beginning)
      passage.stems = stems_of(passage.words)
      for one in pairs(passage.stems) do index.counts[one] = (index.counts[one] or 0) + 1 end
    end
  end
end

--- Every passage, in reading order.
function passages.all()
  if not index then build() end
  return index
end

local function vectors_of(passage)
  if not passage.body_vector then
    passage.body_vector = embedding.vector(passage.words)
    passage.title_vector = embedding.embed(passage.title)
    passage.page_vector = embedding.embed(passage.page .. " " .. passage.page_title)
    passage.words = nil
  end
  return passage.title_vector, passage.page_vector, passage.body_vector
end

-- How telling a word is: one that stands in many passages says little about which is meant.
local function weight_of(word)
  return math.log(1 + #index / (1 + (index.counts[stem(word)] or 0)))
end

-- The share of the question's words, by weight, that stand in a passage.
local function coverage_of(words, passage)
  local found, sum = 0, 0
  for _, word in ipairs(words) do
    local weight = weight_of(word)
    sum = sum + weight
    if passage.stems[stem(word)] then found = found + weight end
  end
  return sum > 0 and found / sum or 0
end

--- The passages nearest to a question, the best first; `is_near`: it is about that subject.
---@param pause? fun()  called now and then, because the first search reads everything
---@return { passage: table, score: number, is_near: boolean }[]
function passages.search(question, count, pause)
  local all, words, are_telling = passages.all(), embedding.words(question)
  local vector, found = embedding.vector(words, weight_of), {}
  for i, passage in ipairs(all) do
    if pause and not passage.body_vector and i % 8 == 0 then pause() end
    local title, page, body = vectors_of(passage)
    local coverage = coverage_of(words, passage)
    local score = COVERAGE_SHARE * coverage
      + TITLE_SHARE * embedding.similarity(vector, title)
      + PAGE_SHARE * embedding.similarity(vector, page)
      + BODY_SHARE * embedding.similarity(vector, body)
      - (passage.is_continued and CONTINUED_COST or 0)
    found[i] = { passage = passage, score = score, order = i }
    found[i].is_near = are_telling and coverage >= MIN_COVERAGE
      and score >= (coverage < GOOD_COVERAGE and GOOD_SCORE or MIN_SCORE)
  end
  table.sort(found, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.order < b.order
  end)
  for i = #found, count + 1, -1 do found[i] = nil end
  return found
end

return passages
