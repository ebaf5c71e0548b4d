// The unmodified `openai` clients, both majors in use, against the real host.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { require } from "../support/packages.mjs";
import { API_KEY, Host, bundledConfig } from "../support/host.mjs";
import { ModelServer, sleep } from "../support/model_server.mjs";
import { assertChunk, assertCompletion, assertEmbeddings, assertModels } from "../support/openai_schema.mjs";

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather", description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const hello = [{ role: "user", content: "Hello" }];

const connect = (name, host, options = {}) =>
  new (require(name).OpenAI)({ baseURL: host.api, apiKey: API_KEY, maxRetries: 0, ...options });

async function read(stream, check = assertChunk) {
  const chunks = [];
  for await (const chunk of stream) {
    check(chunk);
    chunks.push(chunk);
  }
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
const reasons = (chunks) => chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean);

for (const name of ["openai6", "openai7"]) {
  describe(`${name} and the built-in model`, () => {
    let host, client;
    before(async () => {
      host = await Host.start(bundledConfig({
        openai: { text_embedding: { provider: "local", model: "demo-embedding", model_type: "text-embedding" } },
        demo: { pause_ms: 5 },
      }));
      client = connect(name, host);
    });
    after(() => host.stop());

    it("gets a whole answer", async () => {
      const reply = await client.chat.completions.create({ model: "anything", messages: hello });
      assertCompletion(reply);
      assert.equal(reply.model, "demo");
      assert.ok(reply.choices[0].message.content.length > 0);
      assert.equal(reply.choices[0].finish_reason, "stop");
      assert.ok(reply.usage.total_tokens > 0);
    });

    it("gets a stream with one id, the role once, and the text of the whole answer", async () => {
      const request = { model: "demo", messages: hello, seed: 1 };
      const chunks = await read(await client.chat.completions.create({ ...request, stream: true }));
      const whole = await client.chat.completions.create(request);
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
      assert.deepEqual(chunks.map((chunk) => chunk.choices[0].delta.role).filter(Boolean), ["assistant"]);
      assert.deepEqual(reasons(chunks), ["stop"]);
      assert.ok(chunks.length > 3);
      assert.ok(chunks.every((chunk) => chunk.usage == null && chunk.choices.length === 1));
      assert.equal(textOf(chunks), whole.choices[0].message.content);
    });

    it("gets pieces that are apart in time", async () => {
      const times = [];
      const stream = await client.chat.completions.create({ model: "demo", messages: hello, stream: true });
      for await (const _ of stream) times.push(performance.now());
      assert.ok(times.at(-1) - times[0] > 5 * (times.length - 3), `all at once: ${times}`);
    });

    it("gets the usage in a last chunk when it asks", async () => {
      const options = { stream: true, stream_options: { include_usage: true } };
      const chunks = await read(await client.chat.completions.create({ model: "demo", messages: hello, ...options }));
      const last = chunks.at(-1);
      assert.deepEqual(last.choices, []);
      assert.equal(last.usage.total_tokens, last.usage.prompt_tokens + last.usage.completion_tokens);
      assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
    });

    it("is served by the .stream() helper", async () => {
      const stream = client.chat.completions.stream({ model: "demo", messages: hello });
      const whole = await stream.finalChatCompletion();
      assert.equal(whole.choices[0].finish_reason, "stop");
      assert.ok(whole.choices[0].message.content.length > 0);
    });

    it("gets embeddings as floats and as base64, of the same numbers", async () => {
      const request = { model: "demo-embedding", input: ["cats purr", "dogs bark"] };
      const floats = await client.embeddings.create({ ...request, encoding_format: "float" });
      const packed = await client.embeddings.create(request); // the client asks for base64 and unpacks it
      const raw = await client.embeddings.create({ ...request, encoding_format: "base64" });
      assertEmbeddings(floats);
      assert.equal(typeof raw.data[0].embedding, "string");
      for (const i of [0, 1]) {
        const bytes = Buffer.from(raw.data[i].embedding, "base64");
        assert.equal(bytes.length, 4 * floats.data[i].embedding.length);
        floats.data[i].embedding.forEach((number, n) => {
          assert.ok(Math.abs(bytes.readFloatLE(4 * n) - number) < 1e-6);
          assert.ok(Math.abs(packed.data[i].embedding[n] - number) < 1e-6);
        });
      }
      assert.ok(floats.usage.total_tokens > 0);
    });

    it("lists the models and reads one", async () => {
      const page = await client.models.list();
      assertModels(page.data);
      assert.deepEqual(page.data.map((model) => model.id), ["demo", "demo-embedding"]);
      assert.equal((await client.models.retrieve("demo")).owned_by, "local");
      await assert.rejects(client.models.retrieve("a/b"), { status: 404, code: "model_not_found" });
    });

    it("does the tools' round trip", async () => {
      const messages = [{ role: "user", content: "Please call get_weather for Paris" }];
      const first = await client.chat.completions.create({ model: "demo", messages, tools: [WEATHER] });
      assertCompletion(first);
      const asked = first.choices[0].message;
      assert.equal(first.choices[0].finish_reason, "tool_calls");
      assert.equal(asked.tool_calls[0].function.name, "get_weather");
      assert.equal(typeof JSON.parse(asked.tool_calls[0].function.arguments), "object");
      messages.push(asked, { role: "tool", tool_call_id: asked.tool_calls[0].id, content: "21 degrees, sunny" });
      const second = await client.chat.completions.create({ model: "demo", messages, tools: [WEATHER] });
      assert.equal(second.choices[0].finish_reason, "stop");
      assert.match(second.choices[0].message.content, /21 degrees/);
    });

    it("gets streamed tool calls assembled", async () => {
      const messages = [{ role: "user", content: "Please call get_weather for Paris" }];
      const stream = client.chat.completions.stream({ model: "demo", messages, tools: [WEATHER] });
      const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
      assert.equal(call.function.name, "get_weather");
      assert.equal(typeof JSON.parse(call.function.arguments), "object");
    });

    it("is refused with a wrong key or none", async () => {
      const wrong = connect(name, host, { apiKey: "wrong" });
      await assert.rejects(wrong.models.list(), { status: 401, code: "invalid_api_key", type: "invalid_request_error" });
      const bare = await fetch(host.api + "/models");
      assert.equal(bare.status, 401);
      assert.deepEqual(Object.keys((await bare.json()).error).sort(), ["code", "message", "param", "type"]);
    });

    const refused = [
      ["n", { n: 2 }], ["logprobs", { logprobs: true }], ["temperature", { temperature: 9 }],
      ["messages", { messages: [] }], ["messages[0].role", { messages: [{ role: "bishop", content: "x" }] }],
      ["messages[0].content[0].type", { messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] }],
      ["tools[0].type", { tools: [{ type: "custom", custom: {} }] }], ["top_k", { top_k: 4 }],
      ["stream_options", { stream_options: { include_usage: true } }], ["functions", { functions: [] }],
    ];
    for (const [param, change] of refused) {
      it(`is told that ${param} of ${JSON.stringify(change)} cannot be carried`, async () => {
        const request = { model: "demo", messages: hello, ...change };
        await assert.rejects(client.chat.completions.create(request), { status: 400, param, type: "invalid_request_error" });
      });
    }

    it("is told that token ids and unknown formats cannot be embedded", async () => {
      const create = (more) => client.embeddings.create({ model: "e", input: "x", ...more });
      await assert.rejects(create({ input: [1, 2, 3] }), { status: 400, param: "input" });
      await assert.rejects(create({ input: [] }), { status: 400, param: "input" });
      await assert.rejects(create({ encoding_format: "int8" }), { status: 400, param: "encoding_format" });
      await assert.rejects(create({ dimensions: 8 }), { status: 400, param: "dimensions" });
    });

    it("is told which setting is missing", async () => {
      const bare = bundledConfig();
      delete bare.endpoints[1].settings.llm;
      const other = await Host.start(bare);
      try {
        const asked = connect(name, other);
        await assert.rejects(asked.chat.completions.create({ model: "m", messages: hello }), (error) =>
          error.status === 400 && /`llm`/.test(error.message));
        await assert.rejects(asked.embeddings.create({ model: "m", input: "x" }), (error) =>
          error.status === 400 && /`text_embedding`/.test(error.message));
      } finally {
        await other.stop();
      }
    });
  });

  describe(`${name} and a model server over TLS`, () => {
    let server, host, client;
    before(async () => {
      server = await ModelServer.start({ tls: true });
      host = await Host.start(bundledConfig({ ...server.config, openai: { models: ["*"] } }));
      client = connect(name, host);
    });
    after(async () => {
      await host.stop();
      await server.stop();
    });
    const ask = (more = {}, options) => client.chat.completions.create({ model: "fake", messages: hello, ...more }, options);

    it("streams the server's words as they come", async () => {
      server.answer = (call) => call.words(["one ", "two ", "three"], 60);
      const times = [], words = [];
      for await (const chunk of await ask({ stream: true })) {
        if (!chunk.choices[0].delta.content) continue;
        words.push(chunk.choices[0].delta.content);
        times.push(performance.now());
      }
      assert.deepEqual(words, ["one ", "two ", "three"]);
      assert.ok(times[2] - times[0] > 80);
      assert.equal(server.lastCall.body.stream_options.include_usage, true);
    });

    it("gets a whole answer with the server's usage", async () => {
      server.answer = (call) => call.words(["one ", "two"]);
      const reply = await ask();
      assertCompletion(reply);
      assert.equal(reply.choices[0].message.content, "one two");
      assert.equal(reply.usage.total_tokens, 12);
    });

    it("passes parameters, parts, tools and results on", async () => {
      server.answer = (call) => call.words(["ok"]);
      const image = "data:image/png;base64,iVBORw0KGgo=";
      await ask({
        temperature: 0.25, top_p: 0.5, max_completion_tokens: 9, stop: "END", seed: 3, tool_choice: "required", tools: [WEATHER],
        response_format: { type: "json_object" }, user: "someone",
        messages: [
          { role: "developer", content: "Be brief." },
          {
            role: "user",
            content: [{ type: "text", text: "See" }, { type: "image_url", image_url: { url: image, detail: "low" } }],
          },
          {
            role: "assistant", content: null,
            tool_calls: [{ id: "c1", type: "function", function: { name: "get_weather", arguments: "{}" } }],
          },
          { role: "tool", tool_call_id: "c1", content: "sunny" },
        ],
      });
      const sent = server.lastCall.body;
      assert.equal(sent.temperature, 0.25);
      assert.equal(sent.top_p, 0.5);
      assert.equal(sent.max_completion_tokens, 9);
      assert.equal(sent.seed, 3);
      assert.equal(sent.user, "someone");
      assert.deepEqual(sent.stop, ["END"]);
      assert.deepEqual(sent.response_format, { type: "json_object" });
      assert.equal(sent.tool_choice, "required");
      assert.deepEqual(sent.tools, [WEATHER]);
      assert.deepEqual(sent.messages.map((message) => message.role), ["system", "user", "assistant", "tool"]);
      assert.deepEqual(sent.messages[1].content[1], { type: "image_url", image_url: { url: image, detail: "low" } });
      assert.equal(sent.messages[2].tool_calls[0].function.name, "get_weather");
      assert.equal(sent.messages[3].tool_call_id, "c1");
    });

    it("gets two tool calls out of interleaved fragments", async () => {
      server.answer = (call) => {
        const part = (index, rest) => call.delta({ tool_calls: [{ index, ...rest }] });
        part(0, { id: "a", type: "function", function: { name: "get_weather", arguments: "" } });
        part(0, { function: { arguments: '{"city":' } });
        part(1, { id: "b", type: "function", function: { name: "get_weather", arguments: '{"city":"Rome"}' } });
        part(0, { function: { arguments: '"Paris"}' } });
        call.finish("tool_calls");
      };
      const stream = client.chat.completions.stream({ model: "fake", messages: hello, tools: [WEATHER] });
      const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
      assert.equal(finish_reason, "tool_calls");
      const asked = message.tool_calls.map((call) => [call.id, JSON.parse(call.function.arguments).city]);
      assert.deepEqual(asked, [["a", "Paris"], ["b", "Rome"]]);
    });

    it("picks the model by its name, of all backends", async () => {
      server.answer = (call) => call.words(["x"]);
      const ids = (await client.models.list()).data.map((model) => model.id);
      for (const id of ["fake", "fake-embedding", "demo", "demo-embedding"]) assert.ok(ids.includes(id), `${id} of ${ids}`);
      assert.equal((await ask({ model: "demo" })).model, "demo");
      assert.equal((await ask({ model: "server/fake" })).model, "fake");
      await assert.rejects(ask({ model: "fake-embedding" }), { status: 404, code: "model_not_found" });
      await assert.rejects(ask({ model: "gpt-99" }), { status: 404, code: "model_not_found", param: "model" });
    });

    const failures = [
      [429, { status: 429, code: "rate_limit_exceeded" }], [500, { status: 502 }], [401, { status: 502 }], [504, { status: 504 }],
    ];
    for (const [status, expected] of failures) {
      it(`gets ${expected.status} without the server's text when it answers ${status}`, async () => {
        server.answer = (call) => call.json(status, { error: { message: "SECRET", code: "c" } }, { "Retry-After": "3600" }); // too long for the host to wait
        for (const stream of [false, true]) {
          await assert.rejects(ask({ stream }), (error) => {
            assert.equal(error.status, expected.status);
            if (expected.code) assert.equal(error.code, expected.code);
            if (status === 429) assert.equal(error.headers.get("retry-after"), "3600");
            return !JSON.stringify(error.error).includes("SECRET");
          });
        }
      });
    }

    it("gets an error, and no end, when the server's stream is cut", async () => {
      server.answer = async (call) => {
        call.delta({ content: "Half" });
        await sleep(50);
        call.cut();
      };
      const words = [];
      await assert.rejects(async () => {
        for await (const chunk of await ask({ stream: true })) words.push(chunk.choices[0].delta.content);
      }, (error) => error.code === "upstream_error");
      assert.deepEqual(words, ["Half"]);
      const raw = await fetch(host.api + "/chat/completions", {
        method: "POST", headers: { Authorization: "Bearer " + API_KEY },
        body: JSON.stringify({ model: "fake", messages: hello, stream: true }),
      });
      let text = "";
      await assert.rejects(async () => {
        for await (const bytes of raw.body) text += Buffer.from(bytes).toString();
      }, "the connection must break off");
      assert.match(text, /"error":/);
      assert.doesNotMatch(text, /\[DONE\]/);
    });

    it("stops the server's answer at once when it aborts", async () => {
      server.answer = (call) => call.words(Array(500).fill("on "), 20);
      const stream = await ask({ stream: true });
      for await (const _ of stream) break; // leaving the loop aborts
      const left = Date.now();
      assert.ok(await server.lastCall.broken - left < 2000);
    });

    it("stops the server's answer at once when it aborts before the first byte", async () => {
      server.answer = () => {};
      const controller = new AbortController(), count = server.calls.length;
      const pending = assert.rejects(ask({ stream: true }, { signal: controller.signal }));
      while (server.calls.length === count) await sleep(5);
      const left = Date.now();
      controller.abort();
      await pending;
      assert.ok(await server.lastCall.broken - left < 2000);
    });
  });
}
