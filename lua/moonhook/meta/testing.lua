---@meta moonhook.testing
-- luacheck: ignore 122 212 241 (annotations only)
-- require "moonhook.testing", for editors; docs/testing.md explains it. For specs, not for plugins.

---@class TestFakes  what plays the world; docs/testing.md tells the forms
---@field app? any  any app: a string, a list of pieces, a function(call), testing.each(...)
---@field apps? table<string, any>  apps by their ids
---@field fetch_app? any
---@field llm? any
---@field llm_structured_output? any
---@field text_embedding? any
---@field rerank? any
---@field tts? any
---@field speech2text? any
---@field moderation? any
---@field summary? any
---@field tool? any  any tool
---@field tools? table<string, any>  tools by their names
---@field parameter_extractor? any
---@field question_classifier? any
---@field upload_file? any
---@field http? any  a function(call), or answers by URL, "METHOD URL", or a start and `*`

---@class TestOptions: TestFakes
---@field dir? string  the plugin's folder; by default the nearest one above the spec
---@field settings? table  as in moonhook.yaml
---@field storage? table|false  what is stored at first; false: no store can be reached
---@field models? table<string, table<string, string[]>>  { gpt = { llm = { "gpt-4o" } } }

---@class TestRequest
---@field path? string  begins with `/`
---@field method? string  GET; POST where there is a body
---@field query? table|string
---@field headers? table
---@field cookies? table
---@field body? string
---@field json? any
---@field form? table
---@field files? table<string, string|{ content: string, filename: string?, content_type: string? }>
---@field host? string

---@class TestCall  a call of the plugin's: these, and the fields that it gave
---@field kind string  "app", "llm", "tool", "http" ...
---@field is_over boolean
---@field is_cancelled boolean  the plugin left it before its end
---@field pieces_sent integer
---@field [string] any  the fields that the plugin gave

---@class TestReply
---@field status integer
---@field headers table<string, string>  names in any case
---@field body string  waits for the end; raises when the reply broke off
---@field times integer[]  of each piece, in milliseconds since the request
---@field is_complete boolean
local TestReply = {}

---@return string[]
function TestReply:pieces() end
---@return string?
function TestReply:next_piece() end
---@return { data: string?, event: string?, id: string?, retry: string? }[]
function TestReply:events() end
---@return any
function TestReply:json() end
---@return string[]
function TestReply:received() end
---@return boolean
function TestReply:is_broken() end
function TestReply:close() end

---@class TestPlugin
---@field calls TestCall[]
---@field storage table<string, string>
---@field url string
local TestPlugin = {}

---@param path string
---@param options? TestRequest
---@return TestReply
function TestPlugin:get(path, options) end
---@param path string
---@param options? TestRequest
---@return TestReply
function TestPlugin:post(path, options) end
---@param path string
---@param options? TestRequest
---@return TestReply
function TestPlugin:put(path, options) end
---@param path string
---@param options? TestRequest
---@return TestReply
function TestPlugin:patch(path, options) end
---@param path string
---@param options? TestRequest
---@return TestReply
function TestPlugin:delete(path, options) end
---@param path string
---@param options? TestRequest
---@return TestReply
function TestPlugin:head(path, options) end
---@param options TestRequest
---@return TestReply
function TestPlugin:request(options) end
---@param fakes TestFakes  and `storage`: what befalls its calls
function TestPlugin:play(fakes) end
---@param files? table<string, string>  texts in place of files of the package
---@return true? is_loaded, string? problems
function TestPlugin:reload(files) end
---@param kind string
---@return TestCall[]
function TestPlugin:calls_of(kind) end
---@param delay_ms number
function TestPlugin:advance(delay_ms) end
---@return { level: string, msg: string }[]
function TestPlugin:log() end
function TestPlugin:close() end

local testing = {}

---@param options? TestOptions
---@return TestPlugin
function testing.load(options) end
---@param delay_ms number  the next piece comes so much later
function testing.wait(delay_ms) end
--- The connection breaks off here.
function testing.cut() end
--- For `storage`: there is no room left.
function testing.full() end
--- Nothing more comes, and no end.
function testing.hang() end
---@param message string  what the upstream says of its failure
function testing.fail(message) end
---@param status integer
---@param body? string|table
---@param headers? table<string, string>
function testing.refuse(status, body, headers) end
---@param outputs table  of a workflow's run
function testing.workflow(outputs) end
---@param ... any  answers for one call after the other
function testing.each(...) end
---@return number  seconds since 1970, of the spec's clock
function testing.time() end

return testing
