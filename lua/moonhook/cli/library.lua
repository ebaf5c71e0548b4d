--- What plugins' code finds in the library, by name: the members of its modules, of the session and
--- of a request. `moonhook check` holds compiled code against it.

---@class LibraryNode
---@field title string  how messages call it
---@field members table<string, LibraryNode|true>
---@field is_strict boolean  reading what is not there raises
---@field missing? string  what is said then, with %s for the name; "TITLE has no member '%s'"
---@field explain? fun(name: string): string  the whole of it, with what was meant
---@field permission? string  what a manifest must permit before its methods are called

local function node(title, members, options)
  local new = { title = title, members = {}, is_strict = true }
  for key, value in pairs(options or {}) do new[key] = value end
  for name, member in pairs(members) do
    if type(member) == "string" then
      for word in member:gmatch "%S+" do new.members[word] = true end
    else
      new.members[name] = member
    end
  end
  return new
end

local function calls(title, methods, permission)
  return node(title, { methods }, { is_strict = false, permission = permission })
end

local library = {}

local json = node("moonhook.json", { "null encode is_array decode array raw" })
local crypto = node("moonhook.crypto", { [[hmac aes_cbc_encrypt aes_cbc_decrypt aes_gcm_encrypt
  aes_gcm_decrypt pkcs7_pad pkcs7_unpad ed25519_verify equal random hex hex_decode base64 base64url
  base64_decode sha1 sha256 sha512]] })
local verify = node("moonhook.verify", { "standard_webhooks slack github stripe discord line" })
local log = node("moonhook.log", { "debug info warn error" })

--- By the name that is required; a module that is not here is not looked into.
---@type table<string, LibraryNode>
library.modules = {
  ["moonhook"] = node("moonhook", {
    [[Error abort template read sleep time equal base64 base64_decode pack_floats random uuid sha256
      hmac_sha256 hex pack unpack]],
    Response = node("moonhook.Response", { "json sse redirect file is" }),
    json = json, crypto = crypto, verify = verify, log = log,
  }),
  ["moonhook.json"] = json,
  ["moonhook.crypto"] = crypto,
  ["moonhook.verify"] = verify,
}

local INVOKE = "invoke"
local model = node("session.model", {
  "list",
  llm = calls("session.model.llm", INVOKE, "model.llm"),
  llm_structured_output = calls("session.model.llm_structured_output", INVOKE, "model.llm"),
  summary = calls("session.model.summary", INVOKE, "model.llm"),
  text_embedding = calls("session.model.text_embedding", "invoke invoke_multimodal",
    "model.text_embedding"),
  rerank = calls("session.model.rerank", "invoke invoke_multimodal", "model.rerank"),
  tts = calls("session.model.tts", INVOKE, "model.tts"),
  speech2text = calls("session.model.speech2text", INVOKE, "model.speech2text"),
  moderation = calls("session.model.moderation", INVOKE, "model.moderation"),
})
local app = node("session.app", {
  "fetch",
  chat = calls("session.app.chat", INVOKE, "app.enabled"),
  completion = calls("session.app.completion", INVOKE, "app.enabled"),
  workflow = calls("session.app.workflow", INVOKE, "app.enabled"),
}, { is_strict = false, permission = "app.enabled" })
local workflow_node = node("session.workflow_node", {
  parameter_extractor = calls("session.workflow_node.parameter_extractor", INVOKE, "node.enabled"),
  question_classifier = calls("session.workflow_node.question_classifier", INVOKE, "node.enabled"),
}, { is_strict = false })

---@type LibraryNode
library.session = node("session", {
  "sleep spawn after_response once",
  app = app, model = model, workflow_node = workflow_node, log = log,
  tool = calls("session.tool",
    "invoke invoke_builtin_tool invoke_workflow_tool invoke_api_tool", "tool.enabled"),
  file = calls("session.file", "upload"),
  storage = calls("session.storage", "set get delete exist list incr cas", "storage.enabled"),
  http = calls("session.http", "request get post", "network.enabled"),
})

--- What a workflow app gets: the session, and its steps.
---@type LibraryNode
library.workflow_session = node("session", { "step" })
for name, member in pairs(library.session.members) do
  library.workflow_session.members[name] = member
end

---@type LibraryNode
library.request = node("request", { [[method path raw_target query host remote_addr id hook_id
  hook_url url scheme headers args form files cookies get_data get_json]] })

-- As the library itself says it: it knows what other frameworks call things.
function library.request.explain(name)
  local methods, fields = { get_data = true, get_json = true }, {}
  for field in pairs(library.request.members) do
    if not methods[field] then fields[field] = true end
  end
  local _, message = pcall(require "moonhook.request.unknown", name, fields, methods)
  return message
end

--- The settings that a group declares.
---@param names string[]
---@return LibraryNode
function library.settings(names)
  return node("settings", { table.concat(names, " ") },
    { missing = "settings.%s: the group declares no setting of this name" })
end

--- The variables in a plugin's paths.
---@param names string[]
---@return LibraryNode
function library.values(names)
  return node("values", { table.concat(names, " ") },
    { missing = "values.%s: no path of the plugin has such a part" })
end

--- What a manifest says to permit something.
---@type table<string, string>
library.permits = {
  ["app.enabled"] = "app: { enabled: true }",
  ["tool.enabled"] = "tool: { enabled: true }",
  ["node.enabled"] = "node: { enabled: true }",
  ["storage.enabled"] = "storage: { enabled: true, size: 1048576 }",
  ["network.enabled"] = "network: { enabled: true }",
}
for kind in ("llm text_embedding rerank tts speech2text moderation"):gmatch "%S+" do
  library.permits["model." .. kind] = ("model: { enabled: true, %s: true }"):format(kind)
end

return library
