---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- What the session's calls take.

---@class ChatCall
---@field app_id string  what an app-selector setting holds as `app_id`
---@field query string  the question
---@field inputs? table<string, any>  the app's variables
---@field conversation_id? string  of an earlier event: goes on with that conversation
---@field user? string  who is asking, in your own terms
---@field files? table[]  as in Dify's Service API: `{ type, transfer_method, url }`
---@field response_mode? "streaming"|"blocking"  `"streaming"` (default) or `"blocking"`

---@class CompletionCall
---@field app_id string  what an app-selector setting holds as `app_id`
---@field inputs? table<string, any>  the app's variables; most apps want a `query`
---@field user? string  who is asking, in your own terms
---@field files? table[]  as of chat apps
---@field response_mode? "streaming"|"blocking"  `"blocking"` (default) or `"streaming"`

---@class WorkflowCall
---@field app_id string  what an app-selector setting holds as `app_id`
---@field inputs? table<string, any>  the workflow's inputs
---@field user? string  who is asking, in your own terms
---@field files? table[]  as of chat apps
---@field response_mode? "streaming"|"blocking"  `"blocking"` (default) or `"streaming"`

---@class FetchCall
---@field app_id string  what an app-selector setting holds as `app_id`

---@class LlmCall
--- `provider`, `model`, `completion_params` (`temperature`, `max_tokens`, `response_format` ...)
---@field model_config ModelConfig
--- an array of `{ role, content }`; roles `system`, `user`, `assistant`, `tool`, `developer`
---@field prompt_messages PromptMessage[]
--- an array of `{ name, description, parameters }`; the parameters are a JSON schema
---@field tools? PromptTool[]
--- `{ mode = "auto" }`, `"none"`, `"required"`, or `{ mode = "tool", name = ... }`
---@field tool_choice? { mode: "auto"|"none"|"required"|"tool", name?: string }
---@field stop? string[]  texts that end the answer
---@field stream? boolean  `true` (default) or `false`
---@field user? string  who is asking, in your own terms

---@class StructuredCall: LlmCall
---@field structured_output_schema table  the JSON schema that the answer keeps to

---@class TextEmbeddingCall
---@field model_config ModelConfig  `provider`, `model`
---@field texts string[]  what to embed
---@field input_type? "query"|"document"  `"query"` (default) or `"document"`
---@field user? string  who is asking, in your own terms

---@class Document
---@field content string  a text; of an image its base64 or its address
---@field content_type "text"|"image"

---@class MultimodalEmbeddingCall
---@field model_config ModelConfig  `provider`, `model`
--- an array of `{ content, content_type }`; a content_type is `"text"` or `"image"`
---@field documents Document[]
---@field input_type? "query"|"document"  `"query"` (default) or `"document"`
---@field user? string  who is asking, in your own terms

---@class RerankConfig: ModelConfig
---@field score_threshold? number  documents with a lower score are left out
---@field top_n? integer  at most so many

---@class RerankCall
---@field model_config RerankConfig  `provider`, `model`, `score_threshold`, `top_n`
---@field docs string[]  the texts to choose from
---@field query string  what they should fit
---@field user? string  who is asking, in your own terms

---@class MultimodalRerankCall
---@field model_config RerankConfig  `provider`, `model`, `score_threshold`, `top_n`
---@field docs Document[]  an array of `{ content, content_type }`
---@field query Document  `{ content, content_type }`
---@field user? string  who is asking, in your own terms

---@class VoiceConfig: ModelConfig
---@field voice? string

---@class TtsCall
---@field model_config VoiceConfig  `provider`, `model`, `voice`
---@field content_text string  what to say
---@field user? string  who is asking, in your own terms

---@class SpeechCall
---@field model_config ModelConfig  `provider`, `model`
---@field file string|UploadedFile  the recording's bytes, or a file of `request.files`
---@field user? string  who is asking, in your own terms

---@class ModerationCall
---@field model_config ModelConfig  `provider`, `model`
---@field text string  what to judge
---@field user? string  who is asking, in your own terms

---@class SummaryCall
---@field text string  what to shorten
---@field instruction? string  what matters in it
---@field min_summarize_length? integer  in characters; 1024 by default
---@field user? string  who is asking, in your own terms

---@class ToolInvocation
--- `"builtin"`, `"workflow"`, `"api"` or `"mcp"`
---@field provider_type "builtin"|"workflow"|"api"|"mcp"
---@field provider string  the tool's provider
---@field tool_name string  the tool
---@field parameters? table<string, any>  what the tool takes
---@field credential_id? string  which of the provider's credentials to use
---@field user? string  who is asking, in your own terms

---@class TypedToolInvocation
---@field provider string  the tool's provider
---@field tool_name string  the tool
---@field parameters? table<string, any>  what the tool takes
---@field credential_id? string  which of the provider's credentials to use
---@field user? string  who is asking, in your own terms

---@class NodeModel  has its name as `name`
---@field provider string
---@field name string
---@field mode? "chat"|"completion"  chat by default
---@field completion_params? table

---@class ExtractorCall
--- an array of `{ name, type, description, required, options }`; types `string`, `number`, `bool`,
--- `select`, `array[string]`, `array[number]`, `array[object]`
---@field parameters table[]
---@field model NodeModel  `provider` and `name`
---@field query string  the text to look in
---@field instruction? string  what the model should know
---@field user? string  who is asking, in your own terms

---@class ClassifierCall
---@field classes { id: string, name: string }[]  an array of `{ id, name }`
---@field model NodeModel  `provider` and `name`
---@field query string  the text to classify
---@field instruction? string  what the model should know
---@field user? string  who is asking, in your own terms

---@class UploadCall
---@field filename string  its name
---@field content string  its bytes
---@field mimetype string  its media type
---@field app_id? string  the app that it is for; needed where several apps could be meant
---@field user? string  who is asking; the app must be called with the same
