// One Chromium for all checks. Every page is watched: console errors, failed requests and requests to any other host fail a check.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const SCREENSHOTS = new URL("../../../target/browser/", import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
/** For whatever is awaited: a machine that also compiles is slow, a person would have left long before. */
const PATIENCE_MS = 30_000;

export class Browser {
  /** Its screenshots go to a folder of that name. */
  static async start(host) {
    const browser = new Browser();
    browser.folder = `${SCREENSHOTS}${host}/`;
    mkdirSync(browser.folder, { recursive: true });
    browser.chromium = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    return browser;
  }

  /** What pages complained of since the last check. */
  complaints = [];
  pages = [];

  /** A page of its own profile. `expects`: complaints that belong to the check, as regular expressions. `prepare(page)`: before it goes there. */
  async open(url, { expects = [], init, prepare, ...options } = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1360, height: 900 }, timezoneId: "UTC", ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    if (init) await context.addInitScript(init);
    const page = await context.newPage();
    this.pages.push(page);
    const { host } = new URL(url);
    const complain = (text) => expects.some((expected) => expected.test(text)) || this.complaints.push(`${page.url()}: ${text}`);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(`console ${message.type()}: ${message.text()} ${message.location().url}`));
    page.on("pageerror", (error) => complain(`uncaught: ${error.stack}`));
    page.on("dialog", (dialog) => { complain(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("request", (request) => {
      const asked = new URL(request.url());
      if (["http:", "https:", "ws:", "wss:"].includes(asked.protocol) && asked.host !== host) complain(`request to another host: ${asked}`);
    });
    await prepare?.(page);
    await page.goto(url);
    return page;
  }

  /** Opens the dashboard and waits until its models are there. */
  async dashboard(url, options) {
    const page = await this.open(url, options);
    await page.locator(".model-row").first().waitFor();
    return page;
  }

  assertQuiet() {
    assert.deepEqual(this.complaints, [], "pages complained");
  }

  async screenshot(page, name, options = {}) {
    // What stays at the top of the window would else stand in the middle of the picture.
    if (options.fullPage) await page.evaluate(() => window.scrollTo({ top: 0, behavior: "instant" }));
    await page.screenshot({ path: `${this.folder}${name}.png`, ...options });
  }

  async screenshotAll(name) {
    for (const [index, page] of this.pages.entries()) {
      await this.screenshot(page, `${name}-${index}`, { fullPage: true }).catch(() => {});
    }
  }

  /** The serious findings of axe-core. */
  async audit(page) {
    // Through the protocol, not as a script of the page: the page's own policy forbids foreign scripts, as it should.
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
  }

  async closePages() {
    this.complaints = [];
    await Promise.all(this.pages.map((page) => page.context().close()));
    this.pages = [];
  }

  async stop() {
    await this.chromium.close();
  }
}
