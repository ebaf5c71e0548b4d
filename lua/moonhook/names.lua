--- The names that plugins' code finds: globals, the members of its libraries, the modules that it
--- may require. The sandbox copies what stands here, `moonhook check` holds code against it.

return {
  ---@type string  copied from Lua, or made bounded; `pairs` and its like may be replaced
  base = [[assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen rawset select
    setmetatable tonumber tostring type unpack xpcall _VERSION]],
  ---@type string  that the sandbox makes itself
  own = "_G load loadstring print require",
  ---@type table<string, string>
  libraries = {
    string = "byte char find format gmatch gsub len lower match rep reverse sub upper",
    table = "concat foreach foreachi getn insert maxn move pack remove sort unpack",
    math = [[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10
      max min modf pi pow rad random randomseed sin sinh sqrt tan tanh]],
    bit = "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex",
    coroutine = "create isyieldable resume running status wrap yield",
  },
  ---@type table<string, boolean>
  public = {
    ["moonhook"] = true, ["moonhook.json"] = true, ["moonhook.template"] = true,
    ["moonhook.crypto"] = true, ["moonhook.verify"] = true,
  },
}
