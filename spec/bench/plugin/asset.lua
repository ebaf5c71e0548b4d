-- GET /asset: a file of the package.
local moonhook = require "moonhook"

return function()
  return moonhook.Response.file "_assets/page.css"
end
