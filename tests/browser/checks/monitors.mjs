// Monitors with settings and a past of their own: tokens, simple mode, names that attack, silence.

import assert from "node:assert/strict";
import { startDemo, startMonitor, startUsageEndpoint } from "../support/hosts.mjs";
import { csv, failure, success, usageCsv } from "../support/history.mjs";
import { api, environmentButton, eventually, modelRow } from "../support/page.mjs";

const TOKEN = "correct-horse-battery-staple";
/** So that these monitors probe nothing of their own. */
const NOWHERE = { DEV_USAGE_ENDPOINT: "http://127.0.0.1:9/none", OLLAMA_BASE_URL: "http://127.0.0.1:9", MONITOR_INTERVAL: "3600", LLM_API_TIMEOUT: "2" };
const ATTACKS = ["<img src=x onerror=alert(1)>", "\"><script>alert(2)</script>", "javascript:alert(3)", "__proto__", "a".repeat(180)];

function past(model, environment, minutes, more) {
  return Array.from({ length: minutes }, (_, index) => success(model, environment, minutesAgo(minutes - index), 900 + 30 * (index % 7), more));
}

function minutesAgo(minutes) {
  return new Date(Math.floor(Date.now() / 60_000) * 60_000 - minutes * 60_000);
}

export const monitors = {
  "a token is asked for, kept in the session and nowhere else": async ({ browser, use }) => {
    const monitor = await use(startMonitor({ ...NOWHERE, API_TOKEN: TOKEN }, { "latency_data.csv": csv(past("gpt-4o", "dev", 30)) }));
    const page = await browser.open(`${monitor.url}/`, { expects: [/status of 401/] });
    const field = page.getByLabel("API token");
    await field.waitFor();
    assert.deepEqual(await browser.audit(page), []);
    await browser.screenshot(page, "token");
    await field.fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("refused this token").waitFor();
    await field.fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.locator(".model-row").first().waitFor();
    assert.ok(!page.url().includes(TOKEN));
    const stored = await page.evaluate(() => [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie]);
    assert.ok(!stored[0].includes(TOKEN) && stored[1].includes(TOKEN) && stored[2] === "");
    await page.reload();
    await page.locator(".model-row").first().waitFor();
    await page.getByRole("button", { name: "Forget the API token" }).click();
    await page.getByLabel("API token").waitFor();
  },

  "simple mode wears a banner, and derived numbers a mark": async ({ browser, use }) => {
    const records = ["dev", "test", "qa", "prod"].flatMap((environment) => past("gpt-4o", environment, 40, { simulated: String(environment !== "dev") }));
    const monitor = await use(startMonitor({ ...NOWHERE, MULTI_ENV_MODE: "simple" }, { "latency_data.csv": csv(records) }));
    const page = await browser.dashboard(`${monitor.url}/`);
    await page.getByText("only one environment is measured").waitFor();
    assert.match(await page.locator("#comparison-title").textContent(), /Models in dev/, "the measured one is shown first");
    assert.equal(await page.locator("#comparison .simulated").count(), 0);
    await browser.screenshot(page, "simulated", { fullPage: true });
    await page.locator("#toolbar button", { hasText: "qa" }).click();
    await page.locator("#comparison-title", { hasText: "Models in qa" }).waitFor();
    assert.equal(await modelRow(page, "gpt-4o").locator(".simulated").count(), 1);
    assert.ok(await page.locator(".matrix thead .simulated").count() >= 3);
    assert.deepEqual(await browser.audit(page), []);
  },

  "a model's name and a failure's words are text, whatever they hold": async ({ browser, use }) => {
    const records = ATTACKS.flatMap((name) => [...past(name, "dev", 25), failure(name, "dev", minutesAgo(0), "server_error", "<b onmouseover=alert(4)>boom</b>", { http_status: 500 })]);
    const monitor = await use(startMonitor(NOWHERE, { "latency_data.csv": csv(records) }));
    for (const name of ATTACKS) {
      const page = await browser.dashboard(`${monitor.url}/?env=dev&open=${encodeURIComponent(name)}`);
      await page.locator("#detail .probes").waitFor();
      await page.locator(".chart canvas").waitFor();
      const names = await page.locator(".model-row .model").allTextContents();
      assert.ok(ATTACKS.every((attack) => names.includes(attack)), `names are shown as they are: ${names}`);
      assert.equal(await page.locator("main img, main script, main b").count(), 0);
      // A beat that is drawn anew under the pointer takes its words away: a person points again.
      await eventually(async () => {
        await page.mouse.move(0, 0);
        await page.locator(".beat.is-failing").first().hover();
        return page.locator("#tip", { hasText: "<b onmouseover" }).isVisible();
      }, "the failure's words are shown");
      await page.locator(".chart").focus();
      await page.keyboard.press("ArrowLeft");
      await page.setViewportSize({ width: 390, height: 800 });
      const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= seen, `${wide} px wide on a phone of ${seen} px`);
    }
  },

  "a missed cycle is unknown, never green": async ({ browser, use }) => {
    const records = past("gpt-4o", "dev", 60).filter((_, index) => index < 20 || index > 30).slice(0, 40);
    const monitor = await use(startMonitor(NOWHERE, { "latency_data.csv": csv(records) }));
    const page = await browser.open(`${monitor.url}/?env=dev&window=1h`, { expects: [/status of 503/] });
    // What /health says once the grace of a start is over.
    await page.route("**/health", async (route) => {
      const response = await route.fetch().catch(() => null);
      if (!response) return route.abort();
      const health = await response.json();
      health.status = "stale";
      for (const environment of Object.values(health.environments)) Object.assign(environment, { status: "stale", problems: ["the last cycle was due 600 s ago; after 180 s it is stale"] });
      return route.fulfill({ status: 503, contentType: "application/json", body: JSON.stringify(health) });
    });
    await page.reload();
    await page.locator(".verdict", { hasText: "Unknown: no news from dev" }).waitFor();
    await modelRow(page, "gpt-4o").locator(".badge.is-unknown").waitFor();
    assert.equal(await page.locator(".badge.is-ok, .mark.is-ok, .dot.is-ok").count(), 0, "nothing is green");
    await page.locator(".beat.is-unknown[data-tip*='No cycle for']").nth(4).waitFor();
    await browser.screenshot(page, "stale", { fullPage: true });
    await page.unrouteAll({ behavior: "ignoreErrors" });
  },

  "price changes are marked on their day, and listed": async ({ browser, use }) => {
    const daysAgo = (days) => new Date(Date.now() - days * 86_400_000);
    const day = (date) => date.toISOString().slice(0, 10);
    const file = (date) => `latency_data.d/usage/environment=dev/date=${day(date)}.csv`;
    const said = (output) => [{ name: "mystery-1", cost: 0.5, input: 1e-6, output }];
    const report = [{ llmCode: "mystery-1", cost: 0.5, inputTokens: 1000, outputTokens: 100, promptCount: 10, inputTokenRate: 1e-6, outputTokenRate: 2e-6 }];
    const usage = await use(startUsageEndpoint(report));
    const monitor = await use(startMonitor(
      { ...NOWHERE, DEV_USAGE_ENDPOINT: usage.url, MULTI_ENV_MODE: "full", ENVIRONMENTS: "dev", MONITOR_INTERVAL: "1" },
      { [file(daysAgo(4))]: usageCsv(daysAgo(4), said(4e-6)), [file(daysAgo(2))]: usageCsv(daysAgo(2), said(2e-6)) },
    ));
    const changes = async () => (await api(monitor.url, "api/costs")).price_changes;
    await eventually(async () => (await api(monitor.url, "api/costs")).usage.days.length === 3, "today's usage is kept");
    const page = await browser.open(`${monitor.url}/?env=dev`);
    const column = (date) => page.locator("#costs .bars").first().locator(`.bar-column[aria-label^='${Number(day(date).slice(8))} ']`);
    const marked = (date) => column(date).locator(".price-mark");
    await marked(daysAgo(2)).waitFor();
    assert.equal(await page.locator("#costs .price-mark").count(), 1, "the day of the change, and no other");
    await column(daysAgo(2)).hover();
    await page.locator("#tip", { hasText: "Price change: mystery-1 in dev" }).waitFor();

    report[0].inputTokenRate = 1.5e-6;
    await eventually(async () => (await changes()).length === 2, "the new price is heard");
    await page.reload();
    await marked(daysAgo(0)).waitFor();
    assert.equal(await page.locator("#costs .price-mark").count(), 2);
    const rows = page.locator("#costs table", { hasText: "Input per 1,000 tokens" }).locator("tbody tr");
    await rows.nth(1).waitFor();
    const texts = await rows.allTextContents();
    assert.ok(texts.some((text) => /\$0\.001 unchanged\$0\.004 → \$0\.002 −50/.test(text)), `${texts}`);
    assert.ok(texts.some((text) => /\$0\.001 → \$0\.0015 \+50\s%\$0\.002 unchanged/.test(text)), `${texts}`);
    const shown = await rows.locator("time").evaluateAll((times) => times.map((time) => time.dateTime));
    assert.deepEqual(shown.sort(), (await changes()).map(({ at }) => at).sort());
    await browser.screenshot(page, "price-changes", { fullPage: true });
  },

  "a model of which there are derived records alone is unknown": async ({ browser, use }) => {
    const records = [...past("gpt-4o", "dev", 20), ...past("claude", "dev", 20, { simulated: "true" })];
    const monitor = await use(startMonitor({ ...NOWHERE, MULTI_ENV_MODE: "full", ENVIRONMENTS: "dev" }, { "latency_data.csv": csv(records) }));
    const page = await browser.dashboard(`${monitor.url}/?env=dev&window=1h`);
    await modelRow(page, "gpt-4o").locator(".badge.is-ok").waitFor();
    await modelRow(page, "claude").locator(".badge.is-unknown").waitFor();
    await modelRow(page, "claude").getByRole("button").click();
    await page.locator("#detail .why", { hasText: "derived" }).waitFor();
    const derived = page.locator(".matrix tbody tr, .beat-line, .model-row", { has: page.locator(".model", { hasText: /^claude$/ }) });
    assert.equal(await derived.count(), 3, "the matrix, the heartbeat and the comparison have it");
    assert.equal(await derived.locator(".badge.is-ok, .mark.is-ok").count(), 0, "it is green nowhere");
    await browser.screenshot(page, "derived-alone", { fullPage: true });
  },

  "where a request fails no figure of before stands under the new name": async ({ browser, use }) => {
    const records = [...past("only-dev", "dev", 40), failure("only-dev", "dev", minutesAgo(0), "server_error", "boom of dev"), ...past("both", "dev", 40), ...past("both", "test", 40)];
    const monitor = await use(startMonitor(NOWHERE, { "latency_data.csv": csv(records) }));
    /** Requests that fail, as a function of their address. */
    let isFailing = () => false;
    const page = await browser.dashboard(`${monitor.url}/?env=dev&window=1h&open=both`, {
      expects: [/status of 500/],
      prepare: (page) => page.route(/\/api\//, (route) => (isFailing(new URL(route.request().url()))
        ? route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ detail: "the store is on fire" }) })
        : route.continue())),
    });
    const choose = (group, label) => page.locator(`[aria-label='${group}'] button`, { hasText: label }).first().click();
    const figures = {
      "#trend": ".chart, .picker", "#heartbeat": ".beat-strip", "#failures": "table", "#detail": ".probes", "#matrix": "table", "#comparison": ".model-row",
    };
    const areShown = async (...sections) => {
      for (const section of sections) await page.locator(section).locator(figures[section]).first().waitFor();
    };
    const haveFailed = async (...sections) => {
      for (const section of sections) {
        await page.locator(section).locator(".failed", { hasText: "the store is on fire" }).first().waitFor();
        assert.equal(await page.locator(section).locator(figures[section]).count(), 0, `${section} shows figures of before`);
      }
    };
    const mend = async () => {
      isFailing = () => false;
      await page.getByRole("button", { name: "Refresh" }).click();
      await eventually(async () => (await page.locator(".failed").count()) === 0, "the next answer takes the place of the failure");
    };
    await areShown("#trend", "#heartbeat", "#failures", "#detail", "#matrix", "#comparison");
    await page.locator("#detail h3", { hasText: "TTFT in dev against the other environments" }).waitFor();

    isFailing = (url) => url.searchParams.get("environment") === "test" && /series|latency/.test(url.pathname);
    await environmentButton(page, "test").click();
    await page.locator("#comparison-title", { hasText: "Models in test" }).waitFor();
    await haveFailed("#trend", "#heartbeat", "#failures", "#detail");
    await areShown("#matrix", "#comparison");
    await browser.screenshot(page, "failed-environment", { fullPage: true });
    await mend();
    await areShown("#trend", "#heartbeat", "#detail");

    isFailing = (url) => url.searchParams.get("metric") === "latency_ms";
    await choose("Metric", "Latency");
    await haveFailed("#trend");
    await page.locator("#detail .failed").waitFor();
    await page.locator("#matrix .failed").waitFor();
    assert.equal(await page.locator("#matrix .spark path").count(), 0, "no course of the metric of before");
    await areShown("#heartbeat", "#matrix", "#comparison");
    await mend();
    await page.locator("#detail h3", { hasText: "Latency in test against the other environments" }).waitFor();

    isFailing = (url) => url.searchParams.get("step") === "1800s";
    await page.locator("#trend select").selectOption("30m");
    await haveFailed("#trend");
    await mend();

    isFailing = (url) => /summary|compare/.test(url.pathname);
    await choose("Window", "6 h");
    await haveFailed("#matrix", "#comparison");
    await page.locator(".verdict", { hasText: "Unknown" }).filter({ hasText: "the store is on fire" }).waitFor();
    assert.doesNotMatch(await page.locator("#overview").textContent(), /\d (ms|s|%)|no probe|no success/, "no figure, and nothing that was not asked");
    await areShown("#trend");
    await browser.screenshot(page, "failed-window", { fullPage: true });
    await mend();
    await areShown("#matrix", "#comparison");
  },

  "a chart library that does not load is asked for with pauses": async ({ browser, use }) => {
    const monitor = await use(startMonitor(NOWHERE, { "latency_data.csv": csv([...past("gpt-4o", "dev", 30)]) }));
    const started = performance.now();
    let asked = 0;
    let isMissing = true;
    const page = await browser.dashboard(`${monitor.url}/?env=dev&window=1h`, {
      expects: [/ERR_FAILED/],
      prepare: (page) => page.route("**/uPlot.iife.min.js", (route) => {
        asked += 1;
        return isMissing ? route.abort() : route.continue();
      }),
    });
    await page.locator(".picker").waitFor();
    await eventually(() => asked > 0, "it is asked for");
    for (const percentile of ["p90", "p95", "p99", "p50", "p90", "p95", "p99", "p50"]) {
      const answer = page.waitForResponse((response) => response.url().includes("/api/series") && response.url().includes(`percentile=${percentile}`));
      await page.locator("[aria-label='Percentile'] button", { hasText: percentile }).click();
      await answer;
      await page.locator("#trend .heading .note", { hasText: `${percentile} of each` }).waitFor();
    }
    const seconds = (performance.now() - started) / 1000;
    assert.ok(asked <= 1 + seconds, `asked for ${asked} times in ${seconds.toFixed(1)} s`);

    await page.getByText("The chart as a table").click();
    await page.locator(".values tbody tr").first().waitFor();
    await modelRow(page, "gpt-4o").getByRole("button").click();
    await page.locator("#detail .probes").waitFor();
    assert.equal(await page.locator(".chart canvas").count(), 0);
    isMissing = false;
    await page.locator(".chart canvas").waitFor();
  },

  "without any record the page says what comes next": async ({ browser, use }) => {
    const usage = await use(startUsageEndpoint([{ llmCode: "mystery-1", inputTokenRate: 1e-6, outputTokenRate: 2e-6 }]));
    const monitor = await use(startMonitor({ ...NOWHERE, DEV_USAGE_ENDPOINT: usage.url }));
    const page = await browser.dashboard(`${monitor.url}/`);
    await page.locator("#failures .empty").waitFor();
    assert.match(await page.locator(".verdict").textContent(), /No model is monitored in dev.*llm-monitor check/s);
    await modelRow(page, "mystery-1").getByRole("button").click();
    assert.match(await page.locator("#detail .why").textContent(), /MODEL_PROVIDERS/, "why it is not monitored, and what mends it");
    for (const section of ["trend", "heartbeat"]) assert.match(await page.locator(`#${section} .empty`).textContent(), /wait for the next cycle/i);
    assert.doesNotMatch(await page.locator("main").textContent(), /NaN|undefined|null|Infinity/);
    assert.deepEqual(await browser.audit(page), []);
    await browser.screenshot(page, "empty", { fullPage: true });
  },

  "a monitor that stops answering leaves no green behind": async ({ browser, use }) => {
    const demo = await use(startDemo());
    const page = await browser.dashboard(`${demo.url}/?env=prod`, { expects: [/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/] });
    await page.locator(".badge.is-ok").first().waitFor();
    await demo.stop();
    await page.locator(".verdict", { hasText: "the monitor does not answer" }).waitFor();
    await page.getByRole("alert").filter({ hasText: "does not answer" }).waitFor();
    assert.equal(await page.locator(".badge.is-ok, .mark.is-ok, .dot.is-ok").count(), 0, "nothing is green");
    assert.ok(await page.locator(".model-row").count() > 0, "what was known is still there to read");
    await browser.screenshot(page, "unreachable", { fullPage: true });
  },
};
