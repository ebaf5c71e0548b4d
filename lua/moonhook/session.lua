-- What plugins see as `self.session`: the namespaces through which they call apps and models.
-- One table per state, without any state of its own: C knows which task is running, what it may
-- call, and whom it answers. A namespace is loaded when it is first used.
local MODULES = { app = "moonhook.session.app", model = "moonhook.session.model" }

return setmetatable({}, {
  __index = function(session, name)
    local namespace = MODULES[name] and require(MODULES[name])
    rawset(session, name, namespace)
    return namespace
  end,
})
