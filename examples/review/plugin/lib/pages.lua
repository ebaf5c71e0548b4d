-- Pages of several templates, sent so that a link's token stays where it is.
local moonhook = require "moonhook"

local pages = {}

--- A page. Its parts are { template, values }.
---@param page table  title, status?, home?: where the texts are, refresh?: the header; the parts
function pages.show(page)
  local nonce = moonhook.base64(moonhook.random(16))
  local head = { title = page.title, nonce = nonce, home = page.home or "texts" }
  local html = { moonhook.template("pages/head.html", head) }
  for _, part in ipairs(page) do
    html[#html + 1] = moonhook.template("pages/" .. part[1] .. ".html", part[2])
  end
  html[#html + 1] = moonhook.template "pages/foot.html"
  return moonhook.Response(table.concat(html), {
    status = page.status,
    content_type = "text/html",
    headers = {
      -- No script at all, no frame around the buttons, forms that go only here.
      ["Content-Security-Policy"] = ("default-src 'none'; style-src 'nonce-%s'; img-src data:; "
        .. "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"):format(nonce),
      ["Cache-Control"] = "no-store",
      ["Referrer-Policy"] = "no-referrer", -- the address has the token
      ["X-Content-Type-Options"] = "nosniff",
      ["Refresh"] = page.refresh and { page.refresh } or {},
    },
  })
end

--- A page that says what is wrong.
function pages.problem(status, title, text, home)
  return pages.show {
    title = title, status = status, home = home,
    { "problem", { title = title, text = text, home = home or "texts" } },
  }
end

return pages
