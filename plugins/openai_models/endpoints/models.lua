-- GET /v1/models lists the models on offer; GET /v1/models/<model> gives one of them.
local moonhook = require "moonhook"
local catalogue = require "lib.catalogue"
local guard = require "lib.guard"
local Response, json = moonhook.Response, moonhook.json

-- When a model was made is not known here: 0, since clients ask for an integer.
local function model_of(entry)
  return { id = entry.id, object = "model", created = 0, owned_by = entry.provider }
end

---@class Models: Handler
local Models = {}

function Models:invoke(request, values, settings)
  return guard(request, settings, function()
    local list, seen = {}, {}
    for _, entry in ipairs(catalogue.offered(self.session, settings)) do
      if entry.id == values.model then return Response.json(model_of(entry)) end
      if not seen[entry.id] then list[#list + 1] = model_of(entry) end
      seen[entry.id] = true
    end
    if values.model then catalogue.not_found(values.model) end
    return Response.json { object = "list", data = json.array(list) }
  end)
end

return Models
