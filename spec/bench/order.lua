-- wrk's script for the JSON workload: posts order.json.
-- luacheck: globals wrk
local file = assert(io.open("spec/bench/order.json"))
wrk.method = "POST"
wrk.body = file:read "*a"
wrk.headers["Content-Type"] = "application/json"
file:close()
