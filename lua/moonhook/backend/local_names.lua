--- The models of the backend `local`, by type.

return {
  llm = { "demo" },
  ["text-embedding"] = { "demo-embedding" },
  rerank = { "demo-rerank" },
  moderation = { "demo-moderation" },
}
