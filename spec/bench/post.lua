-- wrk's script for workloads that post JSON: the file that BENCH_BODY names.
-- luacheck: globals wrk
local file = assert(io.open(assert(os.getenv "BENCH_BODY")))
wrk.method = "POST"
wrk.body = file:read "*a"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer bench" -- the plugin with the vectors asks for it
file:close()
