// What one can do with the page: choose, sort, link, go back, leave it open.

import assert from "node:assert/strict";
import { api, environmentButton, eventually, milliseconds, modelTable, settledWindow } from "../support/page.mjs";

const pressed = (page, group) => page.locator(`[aria-label='${group}'] [aria-pressed='true']`).textContent();

export const view = {
  "the picker searches, picks all, none and one": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    const items = page.locator(".picker-list li label");
    await items.first().waitFor();
    const all = await items.count();
    assert.ok(all >= 3);
    await page.getByLabel("Search models").fill("claude");
    await eventually(async () => (await items.count()) === 2, "two models are found");
    await page.getByLabel("Search models").fill("");
    await page.locator(".picker").getByRole("button", { name: "None" }).click();
    await page.getByText("No model is picked").waitFor();
    assert.equal(new URL(page.url()).searchParams.get("models"), "");
    await page.getByRole("button", { name: "Only gpt-4o-mini" }).click({ force: true });
    await page.locator(".picker legend", { hasText: "Models (1 of" }).waitFor();
    await page.locator(".chart canvas").waitFor();
    assert.deepEqual(new URL(page.url()).searchParams.getAll("models"), ["gpt-4o-mini"]);
    await page.locator(".picker").getByRole("button", { name: "All" }).click();
    await page.locator(".picker legend", { hasText: `Models (${all} of ${all})` }).waitFor();
    assert.equal(new URL(page.url()).searchParams.has("models"), false, "all is the default and needs no word");
  },

  "a cell of the matrix leads to its model": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    const row = page.locator(".matrix tbody tr", { has: page.locator("th .model", { hasText: /^gpt-4o$/ }) });
    await row.locator("td[data-label='qa'] a").click();
    await page.locator("#comparison-title", { hasText: "Models in qa" }).waitFor();
    assert.equal(await page.locator(".model-row.is-open .model").textContent(), "gpt-4o");
    assert.match(page.url(), /env=qa.*open=gpt-4o/);
  },

  "dragging across the chart zooms in": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod&window=6h`);
    await page.locator(".chart canvas").waitFor();
    await page.locator(".chart").scrollIntoViewIfNeeded();
    const area = await page.locator(".chart .u-over").boundingBox();
    await page.mouse.move(area.x + area.width * 0.4, area.y + 60);
    await page.mouse.down();
    await page.mouse.move(area.x + area.width * 0.9, area.y + 80, { steps: 8 });
    await page.mouse.up();
    await page.locator(".range").waitFor();
    const query = new URL(page.url()).searchParams;
    assert.ok(Date.parse(query.get("from")) < Date.parse(query.get("to")), page.url());
    assert.equal(query.has("window"), false);
  },

  "the window is what is asked for": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    const asked = page.waitForRequest((request) => request.url().includes("/api/summary") && request.url().includes("from="));
    await page.locator("[aria-label='Window'] button", { hasText: "7 d" }).click();
    const from = new URL((await asked).url()).searchParams.get("from");
    const hours = (Date.now() - Date.parse(from)) / 3_600_000;
    assert.ok(Math.abs(hours - 168) < 0.1, `${hours} hours`);
    assert.equal(new URL(page.url()).searchParams.get("window"), "7d");

    await page.locator("[aria-label='Window'] button", { hasText: "From" }).click();
    const closed = page.waitForRequest((request) => request.url().includes("/api/summary") && request.url().includes("to=2020-01-02"));
    await page.locator(".range input").first().fill("2020-01-01T00:00");
    await page.locator(".range input").last().fill("2020-01-02T00:00");
    assert.equal(new URL((await closed).url()).searchParams.get("from"), "2020-01-01T00:00:00Z");
    await page.getByText("no probe in prod in this window", { exact: false }).waitFor();
    await page.getByText("Choose a longer window", { exact: false }).first().waitFor();
  },

  "a link shows the same view to whoever opens it": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/`);
    await environmentButton(page, "qa").click();
    await page.locator("[aria-label='Window'] button", { hasText: "6 h" }).click();
    await page.locator("[aria-label='Metric'] button", { hasText: "Latency" }).click();
    await page.locator("[aria-label='Percentile'] button", { hasText: "p99" }).click();
    await page.locator(".picker").getByRole("button", { name: "Only gpt-4o", exact: true }).click({ force: true });
    await page.locator(".models thead button", { hasText: "Latency p95" }).click();
    await page.locator(".models thead button", { hasText: "Latency p95" }).click();
    await page.getByRole("button", { name: "gpt-4o-mini", expanded: false }).click();
    const other = await browser.dashboard(page.url());
    await other.locator("#detail").waitFor();
    assert.match(await pressed(other, "Environment"), /^qa/);
    assert.equal(await pressed(other, "Window"), "6 h");
    assert.equal(await pressed(other, "Metric"), "Latency");
    assert.equal(await pressed(other, "Percentile"), "p99");
    await other.locator(".picker legend", { hasText: "Models (1 of" }).waitFor();
    assert.equal(await other.locator("[aria-sort='descending']").textContent(), "Latency p95▼");
    assert.equal(await other.locator(".model-row.is-open .model").textContent(), "gpt-4o-mini");
  },

  "the back button undoes a step": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    await environmentButton(page, "dev").click();
    await page.locator("#comparison-title", { hasText: "Models in dev" }).waitFor();
    await page.goBack();
    await page.locator("#comparison-title", { hasText: "Models in prod" }).waitFor();
    assert.match(await pressed(page, "Environment"), /^prod/);
  },

  "columns sort both ways and say so": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod&live=off`);
    const button = page.locator(".models thead button", { hasText: "TTFT p50" });
    for (const [order, direction] of [["ascending", 1], ["descending", -1]]) {
      await button.click();
      await page.locator(`.models th[aria-sort='${order}']`, { hasText: "TTFT p50" }).waitFor();
      const values = Object.values(await modelTable(page)).map((row) => milliseconds(row["TTFT p50"])).filter((value) => value != null);
      assert.deepEqual(values, [...values].sort((a, b) => (a - b) * direction), order);
    }
    assert.equal(await page.locator(".models th[aria-sort='ascending'], .models th[aria-sort='descending']").count(), 1);
  },

  "it refreshes by itself and leaves what is being read in place": async ({ browser, baseUrl }) => {
    await eventually(async () => (await api(baseUrl, "api/latency", { environment: "prod", model: "gpt-4o" })).length > 0, "a first probe");
    // The chart above the row comes late, as it does where the monitor or the line is slow.
    let letChartCome;
    const isAwaited = new Promise((resolve) => { letChartCome = resolve; });
    const hold = (page) => page.route((url) => url.pathname.endsWith("/api/series"), async (route) => {
      await isAwaited;
      await route.continue();
    });
    const page = await browser.open(`${baseUrl}/?env=prod&open=gpt-4o`, { prepare: hold });
    await page.locator("#detail .probes tbody tr").first().waitFor();
    await page.locator("#trend .loading").waitFor();
    const newest = page.locator("#detail .probes tbody tr time").first();
    const before = await newest.getAttribute("datetime");
    // Where the row stands on the screen, not how far the page is scrolled: what grows above it may change that, and the reader sees
    // nothing of it. Scrolled at once, as the page's own smooth scrolling would still be under way when the position is taken.
    const position = () => page.evaluate(() => document.querySelector(".model-row.is-open").getBoundingClientRect().top);
    await page.evaluate(() => {
      const row = document.querySelector(".model-row.is-open");
      row.dataset.seen = "yes";
      row.querySelector("button").focus({ preventScroll: true });
      row.scrollIntoView({ block: "center", behavior: "instant" });
    });
    const top = await position();
    letChartCome();
    await page.locator("#trend .chart canvas").waitFor();
    await eventually(async () => (await newest.getAttribute("datetime")) !== before, "a newer probe is shown");
    assert.equal(await page.evaluate(() => document.querySelector(".model-row.is-open").dataset.seen), "yes", "the row is the same element");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "gpt-4o", "the focus stays");
    const moved = (await position()) - top;
    assert.ok(Math.abs(moved) < 80, `the page does not jump, but the row moved by ${moved} px`);
  },

  "pausing stops the requests": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    await page.getByRole("button", { name: "Live" }).click();
    assert.equal(new URL(page.url()).searchParams.get("live"), "off");
    await page.waitForLoadState("networkidle");
    let requests = 0;
    page.on("request", () => { requests += 1; });
    const pulse = await page.locator("#pulse").textContent();
    await eventually(async () => (await page.locator("#pulse").textContent()) !== pulse, "the age of the last cycle goes on");
    await new Promise((resolve) => setTimeout(resolve, 7000));
    assert.equal(requests, 0);
  },

  "the keyboard is enough": async ({ browser, baseUrl }) => {
    await settledWindow(baseUrl);
    const page = await browser.dashboard(`${baseUrl}/?env=prod&live=off`);
    const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await environmentButton(page, "dev").focus();
    await page.keyboard.press("Enter");
    await page.locator("#comparison-title", { hasText: "Models in dev" }).waitFor();
    await page.getByRole("button", { name: "gpt-4o", exact: true, expanded: false }).focus();
    await page.keyboard.press("Space");
    await page.locator("#detail").waitFor();
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "the focus can be seen");
    // Drawn, that is: before, nothing can be focused.
    await page.locator(".chart[aria-label*='Latest']").focus();
    await page.keyboard.press("ArrowLeft");
    await page.locator(".readout:not([hidden])", { hasText: /UTC.*(ms|s)/s }).waitFor();
    await environmentButton(page, "prod").evaluate((button) => button.click());
    await page.locator(".chart[aria-label*='Latest']:focus .readout:not([hidden])", { hasText: /UTC/ }).waitFor();
    await page.locator("#comparison-title", { hasText: "Models in prod" }).waitFor();
    await page.waitForLoadState("networkidle");
    await page.locator(".readout:not([hidden])", { hasText: /UTC.*(ms|s)/s }).waitFor();
  },
};
