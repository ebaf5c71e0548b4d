--- Every address of the admin API. This table routes requests, checks what they bring, and is what
--- the OpenAPI document is made of: there is no other list.

local catalogue = require "moonhook.admin.catalogue"
local endpoints = require "moonhook.admin.endpoints"
local shapes = require "moonhook.admin.shapes"

local BASE = "/api/v1"
local P = shapes.parameters

---@class AdminRoute
---@field method string
---@field path string  with {names}
---@field id string  operationId
---@field summary string
---@field parameters? table[]  of the path and the query
---@field body? string  name of the body's schema
---@field gives table<integer, string|false>  status = schema's name; false: no body
---@field fails? integer[]  statuses beside those that every address may give
---@field run fun(input: table): integer|nil, string  status and JSON, or nil, code, message, fields

local CHANGES = { 404, 409, 503, 507 }

local routes = {
  { method = "GET", path = "/plugins", id = "listPlugins",
    summary = "Plugins with their declarations, state and last load error",
    parameters = { P.lang }, gives = { [200] = "PluginList" }, run = catalogue.plugins },
  { method = "GET", path = "/plugins/{author}/{name}", id = "showPlugin", summary = "One plugin",
    parameters = { P.author, P.name, P.lang }, gives = { [200] = "Plugin" }, fails = { 404 },
    run = catalogue.plugin },
  { method = "POST", path = "/plugins/{author}/{name}/release", id = "releasePlugin",
    summary = "Serve it as if it had never made a worker hang or crash",
    parameters = { P.author, P.name }, gives = { [200] = "Plugin" }, fails = { 404 },
    run = catalogue.release },
  { method = "GET", path = "/endpoints", id = "listEndpoints",
    summary = "Endpoints by age, page by page, those of moonhook.yaml first",
    parameters = { P.cursor, P.limit, P.plugin }, gives = { [200] = "EndpointPage" },
    run = endpoints.list },
  { method = "POST", path = "/endpoints", id = "createEndpoint",
    summary = "Activate a plugin: a new endpoint with a URL of its own", body = "EndpointCreate",
    gives = { [201] = "Endpoint" }, fails = { 409, 503, 507 }, run = endpoints.create },
  { method = "GET", path = "/endpoints/{id}", id = "showEndpoint", summary = "One endpoint",
    parameters = { P.id }, gives = { [200] = "Endpoint" }, fails = { 404 }, run = endpoints.show },
  { method = "PATCH", path = "/endpoints/{id}", id = "changeEndpoint",
    summary = "Change what the body names; the rest stays", parameters = { P.id },
    body = "EndpointChange", gives = { [200] = "Endpoint" }, fails = CHANGES,
    run = endpoints.change },
  { method = "DELETE", path = "/endpoints/{id}", id = "removeEndpoint",
    summary = "Remove it; its URL answers 404", parameters = { P.id }, gives = { [204] = false },
    fails = CHANGES, run = endpoints.remove },
  { method = "POST", path = "/endpoints/{id}/enable", id = "enableEndpoint",
    summary = "Serve it", parameters = { P.id }, gives = { [200] = "Endpoint" }, fails = CHANGES,
    run = endpoints.enable },
  { method = "POST", path = "/endpoints/{id}/disable", id = "disableEndpoint",
    summary = "Answer 404 at its URL, and keep it", parameters = { P.id },
    gives = { [200] = "Endpoint" }, fails = CHANGES, run = endpoints.disable },
  { method = "POST", path = "/endpoints/{id}/rotate", id = "rotateEndpoint",
    summary = "Give it a new random URL; the old one answers 404", parameters = { P.id },
    gives = { [200] = "Endpoint" }, fails = CHANGES, run = endpoints.rotate },
  { method = "GET", path = "/models", id = "listModels",
    summary = "Models that a model-selector can name", gives = { [200] = "ModelList" },
    run = catalogue.models },
  { method = "GET", path = "/apps", id = "listApps", summary = "Apps that an app-selector can name",
    gives = { [200] = "AppList" }, run = catalogue.apps },
  { method = "POST", path = "/secrets/rotate", id = "rotateSecrets",
    summary = "Seal every secret anew with a fresh key and forget the old keys",
    gives = { [200] = "Resealed" }, fails = { 409, 503, 507 }, run = endpoints.reseal },
  { method = "GET", path = "/config", id = "showConfig",
    summary = "The configuration in force, keys redacted", gives = { [200] = "Configuration" },
    run = catalogue.configuration },
  { method = "GET", path = "/status", id = "showStatus", summary = "Counts and versions",
    gives = { [200] = "Status" }, run = catalogue.status },
  { method = "GET", path = "/openapi.json", id = "showOpenApi", summary = "This document",
    gives = { [200] = "Status" },
    run = function() return 200, require("moonhook.admin.openapi").text() end },
}

for _, route in ipairs(routes) do
  route.path = BASE .. route.path
  route.parameters = route.parameters or {}
  route.names = {}
  -- "/endpoints/{id}" as a Lua pattern: a name stands for one segment.
  local plain = route.path:gsub("[%.%-%+]", "%%%0")
  route.pattern = "^" .. plain:gsub("{(%a+)}", function(name)
    route.names[#route.names + 1] = name
    return "([^/]+)"
  end) .. "$"
end

return routes
