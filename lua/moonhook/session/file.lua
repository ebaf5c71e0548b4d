-- session.file: files for apps. What an upload gives can be put into an app's inputs.
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local transport = require "moonhook.session.transport"

local file = {}

local RULES = {
  { name = "filename", kind = "string", required = true },
  { name = "content", kind = "string", required = true, may_be_empty = true },
  { name = "mimetype", kind = "string", required = true },
  { name = "app_id", kind = "string" },
  { name = "user", kind = "string" },
}

---@class UploadResult
local UploadResult = {}
UploadResult.__index = UploadResult

local TYPES = { image = "image", video = "video", audio = "audio" }

local transfers = setmetatable({}, { __mode = "k" }) -- [result] = how apps are told of the file

--- The file as apps take it in `inputs` or `files`.
---@return table
function UploadResult:to_app_parameter()
  local method = transfers[self] or "tool_file"
  local kind = TYPES[(self.mime_type or ""):match "^(%w+)/"] or "document"
  if method == "local_file" then
    return { transfer_method = method, upload_file_id = self.id, type = kind }
  end
  return { transfer_method = method, tool_file_id = self.id, type = kind }
end

--- Uploads a file for apps. With an `app_id` it goes to the backend of that app, without one
--- to Dify, or to the only app of a `dify-service` backend.
---@param call UploadCall
---@return UploadResult
--- Raises Error with the codes of session.app.chat:invoke.
function file:upload(call)
  local title = "session.file:upload"
  check.call(title, file, self, call, RULES)
  local backend, backend_type, app_id = catalogue.of_file(call.app_id)
  local uploaded, transfer = transport.call(backend, backend_type, "upload_file", {
    filename = call.filename, content = call.content, mimetype = call.mimetype,
    user = call.user, app_id = app_id,
  }, title)
  local entity = {}
  for name, value in pairs(uploaded) do entity[name] = value end
  entity.mime_type = entity.mime_type or call.mimetype
  entity.type = entity.type or TYPES[call.mimetype:match "^(%w+)/"] or "document"
  transfers[entity] = transfer
  return setmetatable(entity, UploadResult)
end

return file
