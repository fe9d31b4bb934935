// How it looks and how heavy it is; screenshots are kept.

import assert from "node:assert/strict";
import { eventually } from "../support/page.mjs";

const FIRST_PAINT_BYTES = 100_000;
const WHOLE_BYTES = 125_000;
const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const isDark = (colour) => colour.match(/\d+/g).slice(0, 3).every((part) => Number(part) < 60);

async function assertNoSidewaysScroll(page) {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= seen, `the page is ${wide} px wide in a window of ${seen} px`);
}

async function settled(page) {
  await page.locator(".beat-strip").first().waitFor();
  await page.locator(".chart canvas").waitFor();
  await page.locator(".cost-card").first().waitFor();
  await page.locator(".matrix svg.spark").first().waitFor();
}

export const looks = {
  "the first paint takes less than 100 kB, the whole page little more": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/`);
    await page.locator(".chart canvas").waitFor();
    const files = await page.evaluate(() => {
      const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
      return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => !new URL(name).pathname.startsWith("/api/"))
        .map(({ name, transferSize, responseStart, encodedBodySize }) => ({ name, transferSize, encodedBodySize, isBeforePaint: responseStart <= paint }));
    });
    const bytes = (some) => some.reduce((sum, { transferSize }) => sum + transferSize, 0);
    const first = files.filter(({ isBeforePaint }) => isBeforePaint);
    console.log(`        first paint ${(bytes(first) / 1000).toFixed(1)} kB in ${first.length} files; all ${(bytes(files) / 1000).toFixed(1)} kB in ${files.length}`);
    assert.ok(first.length >= 4 && bytes(first) < FIRST_PAINT_BYTES, `${bytes(first)} bytes`);
    assert.ok(bytes(files) < WHOLE_BYTES, `${bytes(files)} bytes`);
  },

  "the page's policy allows no inline script or style, and no other host": async ({ baseUrl }) => {
    const response = await fetch(`${baseUrl}/`, { headers: { accept: "text/html" } });
    const policy = response.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    const html = await response.text();
    assert.doesNotMatch(html, / style=|<style|<script>|\son\w+=|https?:\/\//);
  },

  "light, dark, and the switch between them": async ({ browser, baseUrl }) => {
    const light = await browser.dashboard(`${baseUrl}/?env=dev`);
    assert.ok(!isDark(await background(light)));
    await settled(light);
    await browser.screenshot(light, "desktop-light");
    await browser.screenshot(light, "desktop-light-whole", { fullPage: true });
    assert.deepEqual(await browser.audit(light), []);

    const dark = await browser.dashboard(`${baseUrl}/?env=dev&open=gpt-4o`, { colorScheme: "dark" });
    assert.ok(isDark(await background(dark)), "the system's preference");
    await settled(dark);
    await dark.locator("#detail .probes").waitFor();
    await browser.screenshot(dark, "desktop-dark", { fullPage: true });
    assert.deepEqual(await browser.audit(dark), []);
    await dark.getByRole("button", { name: "Light" }).click();
    assert.ok(!isDark(await background(dark)), "the reader's choice");
    await dark.reload();
    assert.ok(!isDark(await background(dark)), "the choice is kept");
    await dark.getByRole("button", { name: "Auto" }).click();
    assert.ok(isDark(await background(dark)));
    const asked = await browser.open(`${baseUrl}/?theme=dark`);
    assert.ok(isDark(await background(asked)), "the address's word");
  },

  "a phone scrolls down only": async ({ browser, baseUrl }) => {
    for (const [width, colorScheme] of [[390, "light"], [320, "dark"]]) {
      const page = await browser.dashboard(`${baseUrl}/?env=dev&open=gpt-4o&costs=all`, { viewport: { width, height: 800 }, colorScheme, hasTouch: true, isMobile: true });
      await settled(page);
      await page.locator("#detail .probes").waitFor();
      await assertNoSidewaysScroll(page);
      await browser.screenshot(page, `phone-${width}-${colorScheme}`, { fullPage: true });
      assert.deepEqual(await browser.audit(page), []);
      await page.locator("[aria-label='Window'] button", { hasText: "From" }).click();
      await page.locator(".range input").first().waitFor();
      await assertNoSidewaysScroll(page);
    }
  },

  "a tablet and a large screen": async ({ browser, baseUrl }) => {
    for (const width of [820, 1100, 2200]) {
      const page = await browser.dashboard(`${baseUrl}/?env=dev&open=gpt-4o`, { viewport: { width, height: 1000 } });
      await settled(page);
      await assertNoSidewaysScroll(page);
      await browser.screenshot(page, `width-${width}`, { fullPage: true });
    }
  },

  "times are the reader's, UTC is on hover": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=dev&open=gpt-4o&live=off`, { timezoneId: "Asia/Tokyo" });
    const time = page.locator("#detail .probes time").first();
    await time.waitFor();
    const [text, title, datetime] = await time.evaluate((node) => [node.textContent, node.title, node.dateTime]);
    assert.equal(title, `${datetime.slice(0, 19).replace("T", " ")} UTC`);
    const tokyo = new Date(Date.parse(datetime) + 9 * 3_600_000).toISOString();
    assert.ok(text.endsWith(tokyo.slice(11, 19)), `${text} for ${datetime}`);
    assert.match(await page.locator("#foot").textContent(), /Asia\/Tokyo/);
  },

  "every number has its unit": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    await eventually(async () => (await page.locator(".model-row [data-label='TTFT p50']").first().textContent()) !== "–", "figures are there");
    const units = { "TTFT p50": /(ms|s)$/, "Latency p95": /(ms|s)$/, "TPOT p50": /ms\/tok$/, Success: /%$/, "In / 1k": /^\$/, "Out / 1k": /^\$/, Context: /tokens$/, "Tokens today": /tokens$/ };
    for (const [label, unit] of Object.entries(units)) {
      for (const text of await page.locator(`.model-row [data-label='${label}']`).allTextContents()) {
        assert.match(text, new RegExp(`^–$|${unit.source}`), label);
      }
    }
  },
};
