---@meta
-- The shapes that the session takes and gives: Dify's entities, for editors and the documentation.

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

---@class AppEvent  more fields by event; unknown events are passed on
---@field event "message"|"message_end"|"message_replace"|"agent_message"|"agent_thought"|string
---@field task_id string
---@field message_id string
---@field conversation_id string
---@field created_at integer
---@field answer? string  of message: what to append; of message_replace: what to show instead
---@field metadata? { usage: Usage, retriever_resources: table[] }  of message_end

---@class AppAnswer
---@field event "message"
---@field mode string
---@field answer string
---@field task_id string
---@field id string
---@field message_id string
---@field conversation_id string
---@field created_at integer
---@field metadata { usage: Usage, retriever_resources: table[] }

---@class ChatCall
---@field app_id string
---@field query string
---@field inputs? table<string, any>
---@field conversation_id? string  nil or "": a new conversation
---@field user? string  who is asking, in the caller's own terms
---@field files? table[]
---@field response_mode? "streaming"|"blocking"  streaming by default

---@class LlmCall
---@field model_config ModelConfig
---@field prompt_messages PromptMessage[]
---@field tools? PromptTool[]
---@field tool_choice? { mode: "auto"|"none"|"required"|"tool", name?: string }
---@field stop? string[]
---@field stream? boolean  true by default

---@class TextEmbeddingCall
---@field model_config ModelConfig
---@field texts string[]
---@field input_type? "query"|"document"  query by default

---@class Session
---@field app { chat: ChatApp }
---@field model Models

---@class Models
---@field llm Llm
---@field text_embedding TextEmbedding
---@field list fun(self: Models, model_type?: string): ListedModel[]

---@class ListedModel
---@field provider string
---@field model string
---@field model_type string

---@class ChatApp
---@field invoke fun(self: ChatApp, call: ChatCall): Stream|AppAnswer

---@class Llm
---@field invoke fun(self: Llm, call: LlmCall): Stream|LLMResult

---@class TextEmbedding
---@field invoke fun(self: TextEmbedding, call: TextEmbeddingCall): TextEmbeddingResult
