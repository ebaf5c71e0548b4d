-- The vectors of `local/demo-embedding`: each word and its character n-grams are hashed to one of
-- 384 dimensions with a sign, summed, and scaled to length one. Nothing is learned; texts that
-- share words or parts of words are near each other.
local fast_paths = require "host.fast_paths"

local embedding = { dimensions = 384 }

local DIMENSIONS = embedding.dimensions
local MAX_WORDS, MAX_WORD_BYTES = 8000, 256
local MAX_CACHED_WORDS = 4000
local MAX_CACHED_BYTES = 24

-- Words that say little about a text's subject.
local STOP_WORDS = {}
for word in ([[a about am an and any are as at be been but by can could day did do does for from get
    give good had has have he her him his how i if in into is it its just let like long many may me
    more much my new no not now of old on or our please she should show so some tell than that the
    their them then there these they this those time to today us use used using was we were what
    when where which while who why will with would you your]]):gmatch "%a+" do
  STOP_WORDS[word] = true
end

--- The words of a text in lower case, at most 8,000; stop words are left out where others remain.
---@return string[] words, boolean are_telling  false: there are only stop words and numbers
function embedding.words(text)
  local all, telling = {}, {}
  for word in text:lower():gmatch "[%w_\128-\255]+" do
    if #all == MAX_WORDS then break end
    all[#all + 1] = word:sub(1, MAX_WORD_BYTES)
    if not STOP_WORDS[word] then telling[#telling + 1] = word end
  end
  if #telling == 0 then return all, false end
  return telling, table.concat(telling):find "[%a\128-\255]" ~= nil
end

-- Stays below 2^53, so that it is exact in doubles.
local function add_feature(list, bytes, first, last, weight)
  local hash = last - first + 1
  for i = first, last do hash = (hash * 131 + bytes:byte(i)) % 2147483647 end
  hash = hash * 48271 % 2147483647
  local sign = math.floor(hash / DIMENSIONS) % 2 == 0 and weight or -weight
  list[#list + 1], list[#list + 2] = hash % DIMENSIONS + 1, sign
end

-- The features of one word: dimension and signed weight by turns.
local function features_of(word)
  local list, padded = {}, "<" .. word .. ">"
  add_feature(list, padded, 1, #padded, 1.5)
  for size = 3, 5 do
    for first = 1, #padded - size + 1 do add_feature(list, padded, first, first + size - 1, 1) end
  end
  -- Long words must not outweigh short ones.
  local scale = 1 / math.sqrt(#list / 2 + 3)
  for i = 2, #list, 2 do list[i] = list[i] * scale end
  return list
end

local cache, cached = {}, 0

local function cached_features(word)
  local list = cache[word]
  if list then return list end
  list = features_of(word)
  if fast_paths.are_on and #word <= MAX_CACHED_BYTES then
    if cached >= MAX_CACHED_WORDS then cache, cached = {}, 0 end
    cache[word], cached = list, cached + 1
  end
  return list
end

--- The vector of a list of words.
---@param weight_of? fun(word: string): number
function embedding.vector(words, weight_of)
  local vector, length = {}, 0
  for i = 1, DIMENSIONS do vector[i] = 0 end
  if #words == 0 then words = { "" } end
  for _, word in ipairs(words) do
    local list, weight = cached_features(word), weight_of and weight_of(word) or 1
    for i = 1, #list, 2 do vector[list[i]] = vector[list[i]] + weight * list[i + 1] end
  end
  for i = 1, DIMENSIONS do length = length + vector[i] * vector[i] end
  length = length > 0 and math.sqrt(length) or 1
  for i = 1, DIMENSIONS do vector[i] = vector[i] / length end
  return vector
end

--- The vector of a text: 384 numbers whose squares sum to one.
function embedding.embed(text)
  return embedding.vector((embedding.words(text)))
end

--- How near two vectors are: 1 for the same direction, about 0 for unrelated texts.
function embedding.similarity(a, b)
  local sum = 0
  for i = 1, DIMENSIONS do sum = sum + a[i] * b[i] end
  return sum
end

return embedding
