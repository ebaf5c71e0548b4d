-- The documentation that is built into the binary, cut into passages at its headings, and the
-- search for the passage nearest to a question. Read when first asked, kept per state.
local embedding = require "moonhook.backend.embedding"
local library = require "host.library"

local passages = {}

local MAX_INDEXED_BYTES = 2000
local TITLE_SHARE, PAGE_SHARE = 0.5, 0.15 -- the rest is the body's
local MIN_SCORE = 0.16 -- below it a passage is about something else

local function is_for_readers(path)
  return path:find "%.md$" and not path:find "^docs/decisions/" and not path:find "changelog"
end

local function add(list, page, title, lines)
  local text = table.concat(lines, "\n"):gsub("^%s+", ""):gsub("%s+$", "")
  if text ~= "" then
    list[#list + 1] = { page = page.path, page_title = page.title, title = title, text = text }
  end
end

--- Cuts one page at its headings; a `#` inside a code block is none.
function passages.split(path, text)
  local list, page, title, lines, is_code = {}, { path = path, title = path }, path, {}, false
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    if line:find "^```" then is_code = not is_code end
    local marks, heading = line:match "^(#+)%s+(.-)%s*#*$"
    if marks and not is_code then
      add(list, page, title, lines)
      title, lines = heading, {}
      if #marks == 1 and page.title == path then page.title = heading end
    else
      lines[#lines + 1] = line
    end
  end
  add(list, page, title, lines)
  return list
end

local index -- passages in order; counts[word]: in how many of them it stands

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
      local seen = {}
      for _, word in ipairs(passage.words) do
        if not seen[word] then index.counts[word] = (index.counts[word] or 0) + 1 end
        seen[word] = true
      end
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

--- The passages nearest to a question, the best first; `is_near`: it is about that subject.
---@param pause? fun()  called now and then, because the first search reads everything
---@return { passage: table, score: number, is_near: boolean }[]
function passages.search(question, count, pause)
  local all = passages.all()
  -- A word that stands in many passages tells little about which one is meant.
  local vector = embedding.vector(embedding.words(question), function(word)
    return math.log(1 + #all / (1 + (all.counts[word] or 0)))
  end)
  local found = {}
  for i, passage in ipairs(all) do
    if pause and not passage.body_vector and i % 8 == 0 then pause() end
    local title, page, body = vectors_of(passage)
    local score = TITLE_SHARE * embedding.similarity(vector, title)
      + PAGE_SHARE * embedding.similarity(vector, page)
      + (1 - TITLE_SHARE - PAGE_SHARE) * embedding.similarity(vector, body)
    found[i] = { passage = passage, score = score, is_near = score >= MIN_SCORE, order = i }
  end
  table.sort(found, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.order < b.order
  end)
  for i = #found, count + 1, -1 do found[i] = nil end
  return found
end

return passages
