-- GET /form shows a page with a form, POST /form takes it. Two methods, one handler.
local moonhook = require "moonhook"

---@class Form: Handler
local Form = {}

function Form:invoke(request, values, settings)
  local answer
  if request.method == "POST" then
    local name = request.form.name or ""
    if name == "" then moonhook.abort(400, "the form's field `name` is empty") end
    answer = ("%s, %s."):format(settings.greeting, name)
  end
  -- The template escapes what it is given: a name of <script> is shown, not run.
  local page = moonhook.template("form.html", { answer = answer or "Who are you?" })
  return moonhook.Response(page, { content_type = "text/html" })
end

return Form
