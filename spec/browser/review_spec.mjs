// examples/review in a real browser: a text is written, a person decides, it is published once.
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { after, before, beforeEach, describe, it } from "node:test";
import { accessibilityProblems, launch, openPage, screenshot } from "../support/browser.mjs";
import { Host } from "../support/host.mjs";
import { root } from "../support/packages.mjs";

const EXAMPLE = root + "examples/review/";
const TOPIC = "What is a hook id?";
const PHONE = { viewport: { width: 360, height: 740 } }, WIDE = { viewport: { width: 900, height: 900 } };

// The configuration of the example; `publisher` is a file in place of its second workflow.
function reviewConfig(publisher = EXAMPLE + "apps/publish.lua") {
  return {
    plugins: [EXAMPLE + "plugin"],
    apps: {
      write: { mode: "workflow", source: EXAMPLE + "apps/write.lua" },
      publish: { mode: "workflow", source: publisher },
    },
    demo: { pause_ms: 0 },
    endpoints: [{
      plugin: "review", hook_id: "review-dev",
      settings: { writer: { app_id: "write" }, publisher: { app_id: "publish" } },
    }],
  };
}

describe("the review", () => {
  let browser, host, page;
  before(async () => {
    browser = await launch();
    host = await Host.start(reviewConfig());
  });
  after(async () => {
    await browser?.close();
    await host?.stop();
  });

  const home = () => host.base + "/e/review-dev/texts";
  const said = (target = page) => target.locator("main").innerText();
  const items = () => page.locator(".list a").count();
  const sent = (target, path) => target.waitForResponse((reply) => reply.request().method() === "POST" && reply.url().includes(path));
  const published = (target = page) => target.getByText("Accepted and published").waitFor();
  const press = (name, target = page) => target.getByRole("button", { name }).click();

  async function open(options) {
    await page?.context().close();
    page = await openPage(browser, home(), options);
  }
  // Has a text written; the page is then the one that decides on it.
  async function write(topic = TOPIC) {
    await page.goto(home());
    await page.fill("input", topic);
    await press("Write it");
    await page.getByRole("button", { name: "Accept" }).waitFor();
  }
  // How often something was published for the page that shows that it was: the texts of its name.
  async function copies() {
    const link = await page.locator("main a").getAttribute("href");
    await page.goto(home());
    return page.locator(`.list a[href="${link}"]`).count();
  }

  beforeEach(() => open());

  it("writes a text, and its link shows it to somebody else", async () => {
    await write();
    assert.match(page.url(), /review\?token=[0-9a-f]{32}$/);
    const other = await openPage(browser, page.url());
    assert.equal(await other.locator("h1").innerText(), TOPIC);
    assert.match(await said(other), /A random hook id has 26 characters/);
    assert.equal(await other.getByRole("button").count(), 2);
    await other.context().close();
  });

  it("publishes what is accepted, once", async () => {
    const count = await items();
    await write();
    await press("Accept");
    await published();
    await page.click("text=Read the published text");
    assert.equal(await page.locator("h1").innerText(), TOPIC);
    assert.match(await said(), /A random hook id has 26 characters/);
    await page.click("text=All texts");
    assert.equal(page.url(), home());
    assert.equal(await items(), count + 1);
  });

  it("publishes nothing that is rejected", async () => {
    const count = await items();
    await write();
    await press("Reject");
    await page.getByText("This text is not published.").waitFor();
    assert.equal(await page.getByRole("button").count(), 0);
    await page.goto(home());
    assert.equal(await items(), count);
  });

  it("publishes once on a double click", async () => {
    for (let i = 0; i < 5; i++) {
      const count = await items();
      await write();
      const link = page.url();
      await page.getByRole("button", { name: "Accept" }).dblclick();
      await published();
      await page.goto(link);
      assert.equal(await copies(), 1);
      assert.equal(await items(), count + 1);
    }
  });

  it("publishes once from two tabs, and tells the second", async () => {
    const count = await items();
    await write();
    const tab = await page.context().newPage();
    await tab.goto(page.url());
    await Promise.all([press("Accept"), press("Accept", tab), sent(page, "/accept"), sent(tab, "/accept")]);
    await Promise.all([published(), published(tab)]);
    await tab.reload();
    assert.equal(await copies(), 1);
    assert.equal(await items(), count + 1);
  });

  it("tells a tab that comes late what was decided before", async () => {
    await write();
    const tab = await page.context().newPage();
    await tab.goto(page.url());
    await press("Reject");
    await page.getByText("This text is not published.").waitFor();
    const [reply] = await Promise.all([sent(tab, "/accept"), press("Accept", tab)]);
    assert.equal(reply.status(), 409);
    assert.match(await said(tab), /This was decided already\s+The text was rejected before/);
  });

  it("changes nothing when the decided page is reloaded or gone back to", async () => {
    const count = await items();
    await write();
    const link = page.url();
    await press("Accept");
    await published();
    await page.reload();
    assert.match(await said(), /Accepted and published/);
    await page.goto(home());
    await page.goto(link);
    assert.equal(await page.getByRole("button").count(), 0);
    await page.goto(home());
    assert.equal(await items(), count + 1);
  });

  it("says what is wrong with a link that is none", async () => {
    const reply = await page.goto(host.base + "/e/review-dev/review?token=" + "0".repeat(32));
    assert.equal(reply.status(), 404);
    assert.match(await said(), /This link leads nowhere/);
    await page.click("text=Back to the texts");
    assert.equal(page.url(), home());
  });

  it("goes on after a restart in between", async () => {
    const count = await items();
    await write();
    const link = new URL(page.url());
    await host.stop({ keepsFolder: true });
    host = await Host.start(reviewConfig(), { dir: host.dir });
    await page.goto(host.base + link.pathname + link.search);
    await press("Accept");
    await published();
    assert.equal(await copies(), 1);
    assert.equal(await items(), count + 1);
  });

  it("needs nothing from elsewhere, and breaks no rule of its own", async () => {
    const urls = [], refused = [];
    page.on("request", (request) => urls.push(request.url()));
    page.on("console", (message) => refused.push(message.text()));
    await write();
    await press("Accept");
    await published();
    assert.deepEqual(urls.filter((url) => !url.startsWith(host.base) && !url.startsWith("data:")), []);
    assert.deepEqual(refused, []);
  });

  it("works with the keyboard alone, and shows where the focus is", async () => {
    const isRinged = () => page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    });
    await page.focus("input");
    assert.ok(await isRinged());
    await page.keyboard.type(TOPIC);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Accept" }).waitFor();
    for (const name of ["Review", "Accept", "Reject"]) {
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.innerText), name);
      assert.ok(await isRinged(), name);
    }
    await page.keyboard.press("Enter");
    await page.getByText("This text is not published.").waitFor();
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [size, options] of [["wide", WIDE], ["phone", PHONE]]) {
      it(`has no accessibility problem and no sideways scroll, ${colorScheme}, ${size}, and is photographed`, async () => {
        const look = async (name) => {
          await screenshot(page, `review-${colorScheme}-${size}-${name}`);
          assert.deepEqual(await accessibilityProblems(page), []);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
        };
        await open({ ...options, colorScheme });
        await look("texts");
        await write();
        const link = page.url();
        await look("waiting");
        await press("Accept");
        await published();
        await look("published");
        await page.click("text=Read the published text");
        await look("article");
        await write("supercalifragilisticexpialidocious".repeat(3).slice(0, 100));
        await look("long");
        const tab = await page.context().newPage();
        await tab.goto(page.url());
        await press("Reject");
        await page.getByText("This text is not published.").waitFor();
        await look("rejected");
        await press("Accept", tab);
        [page] = [tab, await page.close()];
        await page.getByText("This was decided already").waitFor();
        await look("late");
        await page.goto(link.slice(0, -1));
        await look("unknown");
      });
    }
  }
});

describe("the review, when publishing takes its time", () => {
  it("shows that, and follows by itself; when it fails, it offers to publish again", async () => {
    const folder = mkdtempSync(root + "build/spec/review-"), file = folder + "/publish.lua";
    writeFileSync(file, "return function(session) session:sleep(1500) error('broken') end");
    const host = await Host.start(reviewConfig(file)), browser = await launch();
    try {
      const page = await openPage(browser, host.base + "/e/review-dev/texts");
      await page.fill("input", TOPIC);
      await page.getByRole("button", { name: "Write it" }).click();
      await page.getByRole("button", { name: "Accept" }).click();
      await page.getByText("It is being published.").waitFor();
      await screenshot(page, "review-light-wide-publishing");
      await page.getByText("Accepted, but not published yet").waitFor();
      await screenshot(page, "review-light-wide-stalled");
      assert.deepEqual(await accessibilityProblems(page), []);
      assert.doesNotMatch(await page.locator("main").innerText(), /broken/);

      writeFileSync(file, "return function(session, inputs) return { summary = '', paragraphs = { inputs.text } } end");
      const loaded = host.records.length;
      host.process.kill("SIGHUP");
      await host.record((record) => /^configuration/.test(record.msg) && host.records.indexOf(record) >= loaded);
      await page.getByRole("button", { name: "Publish again" }).click();
      await page.getByText("Accepted and published").waitFor();
    } finally {
      await browser.close();
      await host.stop();
    }
  });
});
