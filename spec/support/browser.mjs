// Chromium for the browser specs: one per file, a fresh page with its own storage per test.
import { mkdirSync } from "node:fs";
import { require, root } from "./packages.mjs";

const { chromium } = require("playwright-core");
const flags = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });

// A page whose console errors and uncaught exceptions are collected in `page.troubles`.
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.troubles = [];
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  page.setDefaultTimeout(10_000);
  await page.goto(url);
  return page;
}

export async function screenshot(page, name) {
  mkdirSync(root + "build/screenshots", { recursive: true });
  await page.screenshot({ path: `${root}build/screenshots/${name}.png` });
}

// axe-core's findings, one line each.
export async function accessibilityProblems(page) {
  await page.evaluate(require("axe-core").source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html}: ${node.failureSummary}`));
}
