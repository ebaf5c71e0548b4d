local library = require "spec.support.library"
local dify = require "moonhook.backend.dify"
local multipart = require "moonhook.backend.multipart"
local json = require "host.json"

assert(library)

local function part_sent(part)
  local request = dify.llm_request {
    model_config = { provider = "p", model = "m" },
    prompt_messages = { { role = "user", content = { part } } },
  }
  return request.prompt_messages[1].content[1]
end

describe("a request to Dify", function()
  it("says each part's format and mime type, from what it was told", function()
    for _, case in ipairs {
      { { type = "image", mime_type = "image/svg+xml", base64_data = "x" }, "svg+xml", nil },
      { { type = "image", url = "https://a.b/c.d/e.JPG?size=1.png" }, "jpg", "image/jpeg" },
      { { type = "image", url = "https://a.b/picture" }, "png", "image/png" },
      { { type = "audio", mime_type = "audio/x-wav", base64_data = "x" }, "wav", nil },
      { { type = "audio", url = "https://a.b/c" }, "mp3", "audio/mpeg" },
      { { type = "video", url = "https://a.b/c.webm" }, "webm", "video/webm" },
      { { type = "document", mime_type = "application/xml", base64_data = "x" }, "xml", nil },
      { { type = "document", url = "https://a.b/c.txt#page" }, "txt", "text/plain" },
    } do
      local sent = part_sent(case[1])
      assert.same({ case[2], case[3] or case[1].mime_type }, { sent.format, sent.mime_type })
      assert.equal(case[1].type == "image" and "low" or nil, sent.detail)
    end
  end)

  it("says null for lists that are empty, and leaves what it was given alone", function()
    local message = { role = "assistant", tool_calls = json.array {} }
    local call = { model_config = { provider = "p", model = "m" }, prompt_messages = { message },
      tools = {}, stop = {} }
    local sent = dify.llm_request(call)
    assert.same({ json.null, json.null, json.null, "" }, { sent.tools, sent.stop,
      sent.prompt_messages[1].tool_calls, sent.prompt_messages[1].content })
    assert.same({ role = "assistant", tool_calls = {} }, message)
    assert.same({ prompt_messages = { message }, tools = {}, stop = {},
      model_config = { provider = "p", model = "m" } }, call)
  end)
end)

describe("a multipart form", function()
  it("has its fields, then the file, byte for byte", function()
    local body, content_type = multipart.encode({ { "user", "u" } }, {
      name = "file", filename = 'a"\r\n\\b', mime_type = "text/plain\r\nX: y", content = "\0\r\n--",
    }, "B")
    assert.equal("multipart/form-data; boundary=B", content_type)
    assert.equal('--B\r\nContent-Disposition: form-data; name="user"\r\n\r\nu\r\n'
      .. '--B\r\nContent-Disposition: form-data; name="file"; filename="a\\"%0D%0A\\\\b"\r\n'
      .. "Content-Type: text/plainX: y\r\n\r\n\0\r\n--\r\n--B--\r\n", body)
  end)
end)
