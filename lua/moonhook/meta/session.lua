---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- The session: its namespaces and methods. docs/plugin-api.md is made from these annotations.

---@class Session
---@field app Apps
---@field model Models
---@field tool Tools
---@field workflow_node WorkflowNodes
---@field file Files
---@field http Http
---@field log Log  as `moonhook.log`
local Session = {}

---@class Apps
---@field chat ChatApp
---@field completion CompletionApp
---@field workflow WorkflowApp
local Apps = {}

---@class ChatApp
local ChatApp = {}

--- Asks a chat app.
---
--- ```lua
--- local events = self.session.app.chat:invoke {
---   app_id = settings.app.app_id,
---   query = "What is a plugin?",
---   conversation_id = body.conversation_id, -- nil or "" begins a new one
--- }
--- for event in events do
---   if event.event == "message" then coroutine.yield(event.answer) end
--- end
--- ```
---@param call ChatCall
---@return Stream|AppAnswer
function ChatApp:invoke(call) end

---@class CompletionApp
local CompletionApp = {}

--- Asks a completion app: one text from some inputs, without a conversation.
---
--- ```lua
--- local answer = self.session.app.completion:invoke {
---   app_id = settings.app.app_id,
---   inputs = { query = "three names for a cat" },
--- }
--- return answer.answer
--- ```
---@param call CompletionCall
---@return AppAnswer|Stream
function CompletionApp:invoke(call) end

---@class WorkflowApp
local WorkflowApp = {}

--- Runs a workflow app.
---
--- ```lua
--- local run = self.session.app.workflow:invoke {
---   app_id = settings.app.app_id,
---   inputs = { topic = "plugins" },
--- }
--- if run.data.status ~= "succeeded" then moonhook.abort(502, "the workflow failed") end
--- return Response.json(run.data.outputs)
--- ```
---@param call WorkflowCall
---@return WorkflowRun|Stream
function WorkflowApp:invoke(call) end

--- Tells how an app is set up: `opening_statement`, `suggested_questions`, `user_input_form`,
--- `file_upload` and Dify's other parameters.
---
--- ```lua
--- local parameters = self.session.app:fetch { app_id = settings.app.app_id }
--- return Response.json(parameters.suggested_questions)
--- ```
---@param call FetchCall
---@return AppParameters
function Apps:fetch(call) end

---@class Models
---@field llm Llm
---@field llm_structured_output StructuredOutput
---@field text_embedding TextEmbedding
---@field rerank Rerank
---@field tts Tts
---@field speech2text Speech2Text
---@field moderation Moderation
---@field summary Summary
local Models = {}

---@class Llm
local Llm = {}

--- Asks a chat model.
---
--- ```lua
--- local chunks = self.session.model.llm:invoke {
---   model_config = settings.llm, -- a model-selector's value, or { provider = ..., model = ... }
---   prompt_messages = { { role = "user", content = "Say hello." } },
--- }
--- for chunk in chunks do coroutine.yield(chunk.delta.message.content) end
--- ```
---@param call LlmCall
---@return Stream|LLMResult
function Llm:invoke(call) end

---@class StructuredOutput
local StructuredOutput = {}

--- Asks a chat model for a value that keeps to a JSON schema.
---
--- ```lua
--- local result = self.session.model.llm_structured_output:invoke {
---   model_config = settings.llm,
---   prompt_messages = { { role = "user", content = "Ada, born in 1815" } },
---   structured_output_schema = {
---     type = "object",
---     properties = { name = { type = "string" }, year = { type = "integer" } },
---     required = { "name", "year" },
---   },
---   stream = false,
--- }
--- return Response.json(result.structured_output)
--- ```
---@param call StructuredCall
---@return Stream|StructuredResult
function StructuredOutput:invoke(call) end

---@class TextEmbedding
local TextEmbedding = {}

--- Embeds texts: turns each into a vector.
---
--- ```lua
--- local result = self.session.model.text_embedding:invoke {
---   model_config = settings.text_embedding,
---   texts = { "a plugin", "an endpoint" },
---   input_type = "document",
--- }
--- local first = result.embeddings[1] -- an array of numbers
--- ```
---@param call TextEmbeddingCall
---@return TextEmbeddingResult
function TextEmbedding:invoke(call) end

--- The same for documents, each a text or an image.
---@param call MultimodalEmbeddingCall
---@return TextEmbeddingResult
function TextEmbedding:invoke_multimodal(call) end

---@class Rerank
local Rerank = {}

--- Gives the texts that fit a question, the best first.
---
--- ```lua
--- local ranked = self.session.model.rerank:invoke {
---   model_config = { provider = "local", model = "demo-rerank", top_n = 1 },
---   docs = { "cats purr", "dogs bark" },
---   query = "a purring cat",
--- }
--- local best = ranked.docs[1] -- { index = 0, text = "cats purr", score = 0.6 }
--- ```
---@param call RerankCall
---@return RerankResult
function Rerank:invoke(call) end

--- The same with texts and images.
---@param call MultimodalRerankCall
---@return RerankResult
function Rerank:invoke_multimodal(call) end

---@class Tts
local Tts = {}

--- Speaks a text: gives a stream of the sound's bytes, which `:collect()` gives as one string.
---
--- ```lua
--- return Response(function()
---   local sound = self.session.model.tts:invoke {
---     model_config = settings.voice,
---     content_text = "Hello!",
---   }
---   for bytes in sound do coroutine.yield(bytes) end
--- end, { content_type = "audio/mpeg" })
--- ```
---@param call TtsCall
---@return Stream
function Tts:invoke(call) end

---@class Speech2Text
local Speech2Text = {}

--- Writes down what is said in a recording.
---
--- ```lua
--- local text = self.session.model.speech2text:invoke {
---   model_config = settings.ear,
---   file = request.files.recording,
--- }
--- ```
---@param call SpeechCall
---@return string text
function Speech2Text:invoke(call) end

---@class Moderation
local Moderation = {}

--- Tells whether the model objects to a text.
---
--- ```lua
--- local is_flagged = self.session.model.moderation:invoke {
---   model_config = { provider = "local", model = "demo-moderation" },
---   text = body.query,
--- }
--- if is_flagged then moonhook.abort(422, "please be kind") end
--- ```
---@param call ModerationCall
---@return boolean is_flagged
function Moderation:invoke(call) end

---@class Summary
local Summary = {}

--- Shortens a text. One that is shorter than `min_summarize_length` comes back as it is, without
--- any call.
---
--- ```lua
--- local short = self.session.model.summary:invoke {
---   text = request:get_data(),
---   instruction = "for somebody in a hurry",
--- }
--- ```
---@param call SummaryCall
---@return string text
function Summary:invoke(call) end

--- Gives the models that the configured backends declare: an array of
--- `{ provider, model, model_type }`. `model_type` is `"llm"`, `"text-embedding"`, `"rerank"`,
--- `"tts"`, `"speech2text"` or `"moderation"`, or nil for all.
---@param model_type? string
---@return ListedModel[]
function Models:list(model_type) end

---@class Tools
local Tools = {}

--- Runs one of Dify's tools. Gives a stream of tool messages, `{ type, message }`; `:collect()`
--- gives them as an array.
---
--- ```lua
--- local messages = self.session.tool:invoke {
---   provider_type = "builtin",
---   provider = "time",
---   tool_name = "current_time",
---   parameters = { timezone = "UTC" },
--- }
--- for message in messages do
---   if message.type == "text" then coroutine.yield(message.message.text) end
--- end
--- ```
---@param call ToolInvocation
---@return Stream
function Tools:invoke(call) end

--- The same where the provider is built in.
---@param call TypedToolInvocation
---@return Stream
function Tools:invoke_builtin_tool(call) end

--- The same where the tool is a workflow.
---@param call TypedToolInvocation
---@return Stream
function Tools:invoke_workflow_tool(call) end

--- The same where the tool is an API.
---@param call TypedToolInvocation
---@return Stream
function Tools:invoke_api_tool(call) end

---@class WorkflowNodes
---@field parameter_extractor ParameterExtractor
---@field question_classifier QuestionClassifier

---@class ParameterExtractor
local ParameterExtractor = {}

--- Finds the values of parameters in a text, by Dify's workflow node. Gives
--- `{ process_data, inputs, outputs }`; the values are in `outputs`.
---
--- ```lua
--- local found = self.session.workflow_node.parameter_extractor:invoke {
---   model = { provider = "langgenius/openai/openai", name = "gpt-4o" },
---   parameters = { { name = "city", type = "string", description = "where to" } },
---   query = "I want to go to Rome.",
--- }
--- local city = found.outputs.city
--- ```
---@param call ExtractorCall
---@return NodeResult
function ParameterExtractor:invoke(call) end

---@class QuestionClassifier
local QuestionClassifier = {}

--- Finds the class that a text belongs to, by Dify's workflow node; it is in `outputs`.
---
--- ```lua
--- local answer = self.session.workflow_node.question_classifier:invoke {
---   model = { provider = "langgenius/openai/openai", name = "gpt-4o" },
---   classes = { { id = "1", name = "praise" }, { id = "2", name = "blame" } },
---   query = "Well done!",
--- }
--- local class = answer.outputs.class_name
--- ```
---@param call ClassifierCall
---@return NodeResult
function QuestionClassifier:invoke(call) end

---@class Files
local Files = {}

--- Uploads a file, so that an app can be given it.
---
--- ```lua
--- local picture = request.files.picture
--- local uploaded = self.session.file:upload {
---   filename = picture.filename,
---   content = picture.body,
---   mimetype = picture.content_type,
--- }
--- local run = self.session.app.workflow:invoke {
---   app_id = settings.app.app_id,
---   inputs = { picture = uploaded:to_app_parameter() },
--- }
--- ```
---@param call UploadCall
---@return UploadResult
function Files:upload(call) end

---@class UploadResult
---@field id string
---@field name string
---@field size integer
---@field extension string
---@field mime_type string
---@field type "image"|"video"|"audio"|"document"
---@field preview_url? string
local UploadResult = {}

--- The file as apps take it, in `inputs` or `files`.
---@return table
function UploadResult:to_app_parameter() end

-- ---- streams ------------------------------------------------------------------------------------

---@class Stream  called by `for`: gives the next value, nil at the end
---@overload fun(): any
local Stream = {}

--- Reads it to its end and gives what the blocking call gives. Only before the first value was
--- taken.
---@return any
function Stream:collect() end

--- Stops it; the upstream's connection is closed at once.
function Stream:close() end

-- ---- side by side, and later --------------------------------------------------------------------

--- Waits; other requests run meanwhile. Raises an Error coded `cancelled` when the client leaves.
---@param delay_ms number  from 0 to 86400000, a day
function Session:sleep(delay_ms) end

--- Runs `fn(...)` beside the handler. At most 64 at a time for one request; all are cancelled with
--- it. `:wait()` of what it gives returns what fn returned, and raises what it raised.
---
--- ```lua
--- local function ask(query)
---   return self.session.app.chat:invoke {
---     app_id = settings.app.app_id, query = query, response_mode = "blocking",
---   }
--- end
--- local first = self.session:spawn(ask, "one")
--- local second = self.session:spawn(ask, "two")
--- return Response.json { first:wait(), second:wait() }
--- ```
---@param fn function
---@param ... any
---@return Spawned
function Session:spawn(fn, ...) end

---@class Spawned
local Spawned = {}

--- Waits until the function is over; gives what it returned, raises what it raised.
---@return any ...
function Spawned:wait() end

---@return boolean
function Spawned:is_done() end

--- Runs a function after the reply is complete, for at most 60 s; at most 16 for one request. What
--- it raises goes to the log.
---
--- ```lua
--- self.session:after_response(function() moonhook.log.info "the client has it all" end)
--- ```
---@param fn fun()
function Session:after_response(fn) end

-- ---- workflow apps of the built-in backend ------------------------------------------------------

---@class WorkflowSession: Session  what a workflow app of the backend `local` is given
local WorkflowSession = {}

--- Calls `fn(...)` as a step, which the run's events tell of; gives what it returns.
---@param title string
---@param fn function
---@param ... any
---@return any ...
function WorkflowSession:step(title, fn, ...) end
