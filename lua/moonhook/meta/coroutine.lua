---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- The coroutine functions in a plugin are Lua's own with one addition: a wait (a call on `session`,
-- moonhook.sleep) inside a coroutine of the plugin's passes outward to the host, so it may stand at
-- any depth. A coroutine that waits can be resumed by nobody else: coroutine.resume gives false and
-- "coroutine is waiting".

--- Inside a generator that a Response was made of: sends a piece, and returns when the client's
--- unsent bytes leave room for more. In a Response.sse an Event is a piece as well. Inside a
--- coroutine of the plugin's own: Lua's yield.
--- Raises Error coded "cancelled" when the client has left.
---@param piece string|Event
function coroutine.yield(piece) end
