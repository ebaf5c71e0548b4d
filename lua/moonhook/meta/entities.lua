---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- The shapes that the session gives, and that messages have: Dify's entities.

---@class ModelConfig  what a model-selector setting holds; further fields are ignored
---@field provider string  a backend's name, or a provider that the `dify` backend knows
---@field model string
---@field model_type? "llm"|"text-embedding"|"rerank"|"speech2text"|"moderation"|"tts"
---@field mode? "chat"|"completion"
---@field completion_params? table  temperature, top_p, max_tokens, stop, seed, response_format ...

---@class PromptPart
---@field type "text"|"image"|"audio"|"video"|"document"
---@field data? string  of a text
---@field url? string  of anything else: this, or base64_data with mime_type
---@field base64_data? string
---@field mime_type? string
---@field format? string
---@field filename? string
---@field detail? "low"|"high"  of an image

---@class ToolCall
---@field id string  "" in all fragments but the first
---@field type string  "function"
---@field function { name: string, arguments: string }  the arguments are JSON text
---@field index? integer  in streams: which call a fragment belongs to, from 0

---@class PromptMessage
---@field role "system"|"user"|"assistant"|"tool"|"developer"
---@field content string|PromptPart[]
---@field name? string
---@field tool_calls? ToolCall[]
---@field tool_call_id? string  of a tool's answer
---@field opaque_body? table  of an answer: what its server said beyond this; goes back as it came

---@class PromptTool
---@field name string
---@field description string
---@field parameters table  a JSON schema
---@field strict? boolean

---@class Usage  prices are decimals as strings
---@field prompt_tokens integer
---@field prompt_unit_price string
---@field prompt_price_unit string
---@field prompt_price string
---@field completion_tokens integer
---@field completion_unit_price string
---@field completion_price_unit string
---@field completion_price string
---@field total_tokens integer
---@field total_price string
---@field currency string
---@field latency number  seconds

---@class AssistantMessage
---@field role "assistant"
---@field content string|PromptPart[]
---@field tool_calls ToolCall[]
---@field reasoning_content? string  what the model thought, where the server tells
---@field refusal? string
---@field opaque_body? table  what the server said beyond this: sound, sources ...

---@class LLMResultChunk
---@field model string
---@field prompt_messages table  always empty
---@field system_fingerprint? string
---@field delta { index: integer, message: AssistantMessage, usage?: Usage, finish_reason?: string }

---@class LLMResult
---@field model string
---@field prompt_messages table  always empty
---@field message AssistantMessage
---@field usage Usage
---@field system_fingerprint? string
---@field finish_reason? string  "stop", "length", "tool_calls", "content_filter"
---@field logprobs? table  where asked for and given by the server; in chunks: of the delta

---@class TextEmbeddingResult
---@field model string
---@field embeddings number[][]  in the order of the texts
---@field usage EmbeddingUsage

---@class EmbeddingUsage
---@field tokens integer
---@field total_tokens integer
---@field unit_price string
---@field price_unit string
---@field total_price string
---@field currency string
---@field latency number  seconds

---@class StructuredChunk: LLMResultChunk
---@field structured_output? table  in the last chunk

---@class StructuredResult: LLMResult
---@field structured_output? table  the answer's value; nil when the model called tools instead

---@class RerankResult
---@field model string
---@field docs { index: integer, text: string, score: number }[]  the best first; indexes from 0

---@class AppEvent  more fields by event; unknown events are passed on
---@field event "message"|"message_end"|"message_replace"|"agent_message"|"workflow_finished"|string
---@field task_id string
---@field message_id? string
---@field conversation_id? string  of chat apps
---@field workflow_run_id? string  of workflows
---@field created_at? integer
---@field answer? string  of message: what to append; of message_replace: what to show instead
---@field metadata? { usage: Usage, retriever_resources: table[] }  of message_end
---@field data? table  of workflows' events

---@class AppAnswer
---@field event "message"
---@field mode "chat"|"completion"|"agent-chat"|"advanced-chat"
---@field answer string
---@field task_id string
---@field id string
---@field message_id string
---@field conversation_id? string  of chat apps
---@field created_at integer
---@field metadata { usage: Usage, retriever_resources: table[] }

---@class WorkflowRun
---@field workflow_run_id string
---@field task_id string
---@field data WorkflowData

---@class WorkflowData
---@field id string
---@field workflow_id string
---@field status "succeeded"|"failed"|"stopped"|string
---@field outputs? table<string, any>
---@field error? string
---@field elapsed_time number  seconds
---@field total_tokens integer
---@field total_steps integer
---@field created_at integer
---@field finished_at integer

---@class AppParameters  Dify's; what an app does not have is switched off
---@field opening_statement string
---@field suggested_questions string[]
---@field user_input_form table[]  the app's variables
---@field file_upload table
---@field system_parameters table

---@class ToolMessage
---@field type string  "text", "json", "link", "image", "blob", "variable", "log", "file" ...
---@field message table  { text } or { json_object } or { blob } ... by type
---@field meta? table

---@class NodeResult
---@field process_data table
---@field inputs table
---@field outputs table

---@class ListedModel
---@field provider string
---@field model string
---@field model_type string
