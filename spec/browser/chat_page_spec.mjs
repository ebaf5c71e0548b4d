// The chat page in a real browser, on the real host. Screenshots go to build/screenshots.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, beforeEach, describe, it } from "node:test";
import { accessibilityProblems, launch, openPage, screenshot } from "../support/browser.mjs";
import { Host, bundledConfig } from "../support/host.mjs";
import { ModelServer, sleep } from "../support/model_server.mjs";

const HOSTILE = "O'Neil \\ 100%1 </script><img src=x onerror=window.hacked=1> 小猫";
const PHONE = { viewport: { width: 360, height: 740 } };
const RICH = [
  "Hello! I'm **Candy**, ", "a *small* model.\n\n## A list\n",
  "- one with `code`\n- two, see https://example.com/a_b.\n", "  - nested\n\n1. first\n2. second\n\n",
  "```lua\nlocal text = \"a rather long line of code that scrolls ", "inside its own box\"\nreturn text\n```\n\n",
  "> quoted <img src=x onerror=window.hacked=1>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n",
  "Bye 小猫 [home](https://example.com) [bad](javascript:hacked=1) ", "supercalifragilisticexpialidocious".repeat(4),
];

describe("the chat page", () => {
  let browser, server, host, page;
  before(async () => {
    browser = await launch();
    server = await ModelServer.start({ tls: true });
    host = await Host.start(bundledConfig({ ...server.config, skin: { bot_name: HOSTILE } }));
  });
  after(async () => {
    await browser?.close();
    await host?.stop();
    await server?.stop();
  });

  const open = async (options) => { page = await openPage(browser, host.page, options); };
  const send = async (text) => {
    await page.fill("textarea", text);
    await page.keyboard.press("Enter");
  };
  const idle = () => page.waitForSelector("#stop", { state: "hidden" });
  const answers = () => page.locator(".bot .bubble").allInnerTexts();
  const storedId = () => page.evaluate(() => localStorage.getItem("conversation_id:" + location.pathname));
  const overflow = () => page.evaluate(() =>
    [document.documentElement, document.querySelector("main")].map((node) => node.scrollWidth - node.clientWidth));

  beforeEach(async () => {
    await page?.context().close();
    server.answer = (call) => call.words(["Hello", " from", " the", " server."]);
    await open();
  });

  it("streams an answer in, word by word", async () => {
    let goOn;
    const isSeen = new Promise((resolve) => { goOn = resolve; });
    server.answer = async (call) => {
      call.delta({ content: "one " });
      await isSeen;
      await call.words(["two ", "three ", "four"]);
    };
    await send("Count");
    await page.waitForFunction(() => /one/.test(document.querySelector(".bot .bubble")?.innerText));
    assert.doesNotMatch((await answers())[0], /two/);
    goOn();
    await idle();
    assert.deepEqual(await answers(), ["one two three four"]);
    assert.deepEqual(await page.locator(".me .bubble").allInnerTexts(), ["Count"]);
  });

  it("keeps the conversation over turns", async () => {
    await send("first question");
    await idle();
    const id = await storedId();
    await send("second question");
    await idle();
    assert.ok(id);
    assert.equal(await storedId(), id);
    const texts = server.lastCall.body.messages.map((message) => message.content);
    assert.deepEqual(texts.slice(1), ["first question", "Hello from the server.", "second question"]);
  });

  it("shows a hostile name literally, and runs none of it", async () => {
    await send("Hi");
    await idle();
    assert.equal(await page.locator("h1").innerText(), HOSTILE);
    assert.equal(await page.title(), HOSTILE);
    assert.deepEqual(await page.locator(".bot .name").allInnerTexts(), [HOSTILE]);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("img").count(), 0);
    assert.deepEqual(page.troubles, []);
  });

  it("shows Markdown as elements and an answer's HTML as text", async () => {
    server.answer = (call) => call.words(RICH);
    await send("Show me");
    await idle();
    const bubble = page.locator(".bot .bubble");
    for (const selector of ["strong", "em", "h2", "ul > li > code", "ol > li", "pre > code", "blockquote", "table th"]) {
      assert.ok(await bubble.locator(selector).count() > 0, selector);
    }
    assert.deepEqual(await bubble.locator("a").evaluateAll((all) => all.map((a) => a.getAttribute("href"))),
      ["https://example.com/a_b", "https://example.com"]);
    assert.match(await bubble.innerText(), /<img src=x onerror=window\.hacked=1>/);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  });

  it("fits 360 pixels without sideways scroll", async () => {
    await page.context().close();
    await open(PHONE);
    server.answer = (call) => call.words(RICH);
    await send("a long word: " + "x".repeat(300));
    await idle();
    assert.deepEqual(await overflow(), [0, 0]);
  });

  it("follows a long answer to its end, unless the reader has scrolled up", async () => {
    const isAtEnd = () => page.locator("main").evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight < 2);
    server.answer = (call) => call.words(Array(40).fill("word\n\n"), 5);
    await send("Long");
    await idle();
    assert.ok(await isAtEnd());
    await send("Longer");
    await page.waitForSelector("#stop");
    await page.locator("main").evaluate((node) => { node.scrollTop = 0; });
    await idle();
    assert.equal(await isAtEnd(), false);
  });

  it("keeps short lines apart and joins wrapped ones", async () => {
    const long = "A line that somebody has wrapped where a hundred columns were full goes on";
    server.answer = (call) => call.words([`Roses\nViolets\n\n${long}\nhere.`]);
    await send("A poem");
    await idle();
    assert.deepEqual(await answers(), [`Roses\nViolets\n\n${long} here.`]);
  });

  it("adds a line with Shift+Enter and sends with Enter", async () => {
    await page.focus("textarea");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    assert.equal(await page.locator(".me").count(), 0);
    await page.keyboard.press("Enter");
    await idle();
    assert.equal(server.lastCall.body.messages.at(-1).content, "one\ntwo");
    assert.equal(await page.inputValue("textarea"), "");
  });

  it("shows where the focus is, on everything that takes it", async () => {
    const ringed = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press("Tab");
      ringed.push(await page.evaluate(() => {
        const node = document.activeElement, style = getComputedStyle(node);
        return [node.id || node.localName, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
      }));
    }
    for (const id of ["query", "send", "reset"]) {
      assert.ok(ringed.some(([name, has]) => name === id && has), `${id} in ${ringed}`);
    }
    assert.ok(ringed.every(([name, has]) => has || name === "body"), String(ringed));
  });

  it("refuses a second message visibly while an answer streams, and keeps its text", async () => {
    server.answer = (call) => call.words(["a ", "b ", "c "], 150);
    await send("first");
    await page.waitForSelector("#stop");
    await send("second");
    assert.match(await page.locator("#notice").innerText(), /still answering/);
    assert.equal(await page.inputValue("textarea"), "second");
    await idle();
    assert.equal(await page.locator("#notice").innerText(), "");
    assert.equal(await page.locator(".me").count(), 1);
  });

  it("says that an answer failed, and Retry asks again", async () => {
    server.answer = (call) => call.json(500, { error: { message: "SECRET" } }, { "Retry-After": "3600" });
    await send("Hi");
    await page.waitForSelector(".failure");
    const text = await page.locator(".failure").innerText();
    assert.match(text, /The answer failed/);
    assert.doesNotMatch(text, /SECRET/);
    server.answer = (call) => call.words(["Here I am."]);
    await page.click(".failure button");
    await idle();
    assert.deepEqual(await answers(), ["Here I am."]);
    assert.equal(await page.locator(".failure").count(), 0);
    assert.equal(await page.locator(".me").count(), 1);
  });

  it("keeps the half of an answer that broke off, and says so", async () => {
    server.answer = async (call) => {
      call.delta({ content: "Half an answer" });
      await sleep(100);
      call.cut();
    };
    await send("Hi");
    await page.waitForSelector(".failure");
    assert.deepEqual(await answers(), ["Half an answer"]);
    assert.equal(await page.locator(".failure button").innerText(), "Retry");
  });

  it("stops an answer on Stop", async () => {
    server.answer = (call) => call.words(Array(500).fill("on "), 20);
    await send("Go on");
    await page.waitForFunction(() => /on/.test(document.querySelector(".bot .bubble")?.innerText));
    await page.click("#stop");
    const left = Date.now();
    assert.ok(await server.lastCall.broken - left < 2000); // of the ten seconds of the answer
    assert.match(await page.locator(".bot").innerText(), /Stopped\./);
  });

  const ways = {
    "is left for another": () => page.goto("about:blank"),
    "is closed": () => page.close(),
  };
  for (const [how, leave] of Object.entries(ways)) {
    it(`closes the server's connection at once when it ${how}`, async () => {
      server.answer = (call) => call.words(Array(500).fill("on "), 20);
      await send("Go on");
      await page.waitForFunction(() => /on/.test(document.querySelector(".bot .bubble")?.innerText));
      const left = Date.now();
      await Promise.all([leave(), server.lastCall.broken]);
      const took = await server.lastCall.broken - left;
      assert.ok(took < 2000, `took ${took} ms`); // of the ten seconds of the answer
    });
  }

  it("forgets the conversation on Reset", async () => {
    await send("My name is Ada");
    await idle();
    await page.click("#reset");
    assert.equal(await storedId(), null);
    assert.equal(await page.locator(".message").count(), 0);
    await send("Who am I?");
    await idle();
    assert.equal(server.lastCall.body.messages.length, 2); // the prompt and the question
  });

  it("starts a new conversation when the app does not know its id", async () => {
    for (const id of ["6d2e5f1c-3c3f-4a52-9a3d-1f4b9a1f0000", "nonsense"]) {
      await page.evaluate((value) => localStorage.setItem("conversation_id:" + location.pathname, value), id);
      await page.reload();
      await send("Hi");
      await idle();
      assert.deepEqual(await answers(), ["Hello from the server."]);
      assert.equal(await page.locator(".failure").count(), 0);
      assert.ok(await storedId());
      assert.notEqual(await storedId(), id);
    }
  });

  it("remembers the conversation after a reload", async () => {
    await send("remember this");
    await idle();
    await page.reload();
    assert.ok(await page.locator("#remembered").isVisible());
    await send("and now?");
    await idle();
    assert.ok(server.lastCall.body.messages.some((message) => message.content === "remember this"));
  });

  it("reads events that arrive byte by byte", async () => {
    const html = await (await fetch(host.page)).text();
    const slow = http.createServer(async (request, response) => {
      response.writeHead(200, { "Content-Type": request.method === "GET" ? "text/html" : "text/event-stream" });
      if (request.method === "GET") return response.end(html);
      const events = ["小", "猫 \n\n", "🌸"].map((answer) => JSON.stringify({ event: "message", answer }) + "\n\n");
      for (const byte of Buffer.from(events.join(""))) {
        response.write(Buffer.from([byte]));
        await sleep(1);
      }
      response.end();
    }).listen(0, "127.0.0.1");
    await once(slow, "listening");
    await page.goto(`http://127.0.0.1:${slow.address().port}/pink`);
    await send("Hi");
    await idle();
    assert.deepEqual(await answers(), ["小猫\n\n🌸"]);
    slow.close();
    slow.closeAllConnections();
  });

  it("needs nothing from elsewhere", async () => {
    const urls = [];
    page.on("request", (request) => urls.push(request.url()));
    await page.reload();
    assert.deepEqual(urls.filter((url) => !url.startsWith("data:")), [host.page]);
  });

  for (const colorScheme of ["light", "dark"]) {
    it(`has no accessibility problem, ${colorScheme}, and is photographed`, async () => {
      for (const [size, options] of [["wide", { viewport: { width: 900, height: 900 } }], ["phone", PHONE]]) {
        await page.context().close();
        await open({ ...options, colorScheme });
        await screenshot(page, `chat-${colorScheme}-${size}-empty`);
        assert.deepEqual(await accessibilityProblems(page), []);
        server.answer = (call) => call.words(RICH);
        await send("Show me everything");
        await idle();
        await screenshot(page, `chat-${colorScheme}-${size}-answer`);
        server.answer = async (call) => { call.delta({ content: "Half" }); await sleep(50); call.cut(); };
        await send("And fail");
        await page.waitForSelector(".failure");
        assert.deepEqual(await accessibilityProblems(page), []);
        await screenshot(page, `chat-${colorScheme}-${size}-failed`);
      }
    });
  }
});

describe("the chat page without a name", () => {
  it("is Candy's, finds the docs, and knows the visitor's name until Reset", async () => {
    const host = await Host.start(bundledConfig({ demo: { pause_ms: 0 } }));
    const browser = await launch();
    try {
      const page = await openPage(browser, host.page);
      const ask = async (text) => {
        await page.fill("textarea", text);
        await page.keyboard.press("Enter");
        await page.waitForSelector("#stop", { state: "hidden" });
        return page.locator(".bot .bubble").last().innerText();
      };
      assert.equal(await page.locator("h1").innerText(), "Candy");
      await ask("My name is Ada");
      assert.match(await ask("How do I write a plugin?"), /docs\/[a-z-]+/);
      await screenshot(page, "chat-demo");
      assert.match(await ask("What is my name?"), /Ada/);
      assert.deepEqual([...new Set(await page.locator(".bot .name").allInnerTexts())], ["Candy"]);
      await page.click("#reset");
      assert.doesNotMatch(await ask("What is my name?"), /Ada/);
    } finally {
      await browser.close();
      await host.stop();
    }
  });
});
