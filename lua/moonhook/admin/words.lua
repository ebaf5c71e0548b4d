--- Texts in several languages, as packages declare them: {"en_US":"...","zh_Hans":"..."}.

local json = require "moonhook.json"

local words = {}

local function spell(lang)
  return (lang:lower():gsub("-", "_"))
end

--- The text in a language; else in another spelling of it or another country's, else in English,
--- else any. nil when there is none.
---@param texts table<string, string>|nil
---@param lang string  "pt_BR"
---@return string|nil
function words.pick(texts, lang)
  if type(texts) ~= "table" or texts == json.null then return nil end
  local wanted = spell(lang)
  local family = wanted:match "^[^_]+"
  local names = {}
  for name in pairs(texts) do names[#names + 1] = name end
  table.sort(names)
  local kin, english
  for _, name in ipairs(names) do
    local spelled = spell(name)
    if spelled == wanted then return texts[name] end
    if spelled:match "^[^_]+" == family then kin = kin or texts[name] end
    if spelled:match "^[^_]+" == "en" then english = english or texts[name] end
  end
  return kin or english or texts[names[1]]
end

return words
