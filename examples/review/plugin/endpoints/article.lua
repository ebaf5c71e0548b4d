-- GET /texts/<name>: a published text.
local articles = require "lib.articles"
local pages = require "lib.pages"

local HOME = "../texts"

---@class Article: Handler
local Article = {}

function Article:invoke(request, values)
  local article = articles.find(self.session, values.name)
  if not article then
    return pages.problem(404, "There is no such text", "Perhaps its address is not complete.", HOME)
  end
  local page = { title = article.title, home = HOME, { "article", { title = article.title } } }
  for _, paragraph in ipairs(article.paragraphs) do
    page[#page + 1] = { "paragraph", { text = paragraph } }
  end
  page[#page + 1] = { "article_end", { home = HOME } }
  return pages.show(page)
end

return Article
