// What the page says is what the API says.

import assert from "node:assert/strict";
import { startOtherOrigin } from "../support/hosts.mjs";
import { api, assertShown, environmentButton, milliseconds, modelTable, settledWindow } from "../support/page.mjs";

export const figures = {
  "every model of the environment has its row, with the measured figures": async ({ browser, baseUrl }) => {
    const page = await browser.dashboard(`${baseUrl}/?env=prod`);
    const models = await api(baseUrl, "api/models", { environment: "prod" });
    const table = await modelTable(page);
    assert.deepEqual(Object.keys(table).sort(), Object.keys(models).sort());
    for (const [name, model] of Object.entries(models)) {
      assert.ok(table[name].Model.includes(model.provider), `${name}: provider`);
      assert.equal(table[name].Where, model.is_cloud ? "cloud" : "on-prem");
      assert.equal(Number(table[name]["In / 1k"].slice(1)), Number(model.pricing.input.toPrecision(3)), `${name}: price of input`);
      assert.equal(Number(table[name]["Out / 1k"].slice(1)), Number(model.pricing.output.toPrecision(3)), `${name}: price of output`);
    }
  },

  "switching the environment shows the numbers of the API for it": async ({ browser, baseUrl }) => {
    const window = await settledWindow(baseUrl);
    const page = await browser.dashboard(`${baseUrl}/?env=prod&${new URLSearchParams(window)}`);
    for (const environment of ["prod", "dev", "test"]) {
      await environmentButton(page, environment).click();
      await page.locator("#comparison-title", { hasText: `Models in ${environment}` }).waitFor();
      const { groups } = await api(baseUrl, "api/summary", { ...window, environment });
      assert.ok(groups.length > 0);
      const table = await modelTable(page);
      for (const group of groups) {
        const row = table[group.model_name];
        const what = `${group.model_name} in ${environment}`;
        assertShown(milliseconds(row["TTFT p50"]), group.ttft_ms.p50, `${what}: TTFT p50`);
        assertShown(milliseconds(row["TTFT p95"]), group.ttft_ms.p95, `${what}: TTFT p95`);
        assertShown(milliseconds(row["Latency p50"]), group.latency_ms.p50, `${what}: latency p50`);
        assertShown(milliseconds(row["Latency p95"]), group.latency_ms.p95, `${what}: latency p95`);
        assertShown(milliseconds(row["TPOT p50"]), group.tpot_ms.p50, `${what}: TPOT p50`);
        assert.ok(Math.abs(parseFloat(row.Success) / 100 - group.success_rate) < 0.002, `${what}: success rate`);
      }
    }
    assert.equal(new URL(page.url()).searchParams.get("env"), "test");
  },

  "a failing model tells its kind in the strip, in the row and among the failures": async ({ browser, baseUrl }) => {
    const window = await settledWindow(baseUrl);
    const page = await browser.dashboard(`${baseUrl}/?env=dev&open=gpt-4o&${new URLSearchParams(window)}`);
    const strip = page.locator(".beat-line", { has: page.locator(".model", { hasText: /^gpt-4o$/ }) });
    const beat = strip.locator(".beat[data-tip*='server error']").last();
    await beat.scrollIntoViewIfNeeded();
    await beat.hover();
    await page.locator("#tip", { hasText: "server error" }).waitFor();
    await page.mouse.move(0, 0);
    await strip.locator(".beat[tabindex='0']").focus();
    for (let step = 0; step < 60 && !(await page.locator("#tip").textContent()).includes("server error"); step += 1) await page.keyboard.press("ArrowLeft");
    assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /server error/, "arrow keys lead to a failure");
    await page.locator("#tip", { hasText: "server error" }).waitFor();

    const group = page.locator("#failures tbody tr", { hasText: "gpt-4o" }).filter({ hasText: "server error" }).filter({ hasText: "HTTP 500" });
    const shown = Number(await group.first().locator("[data-label='Probes']").textContent());
    const records = await api(baseUrl, "api/latency", { ...window, environment: "dev", model: "gpt-4o", status: "error", limit: "500" });
    assert.equal(shown, records.filter((record) => record.error_kind === "server_error" && record.http_status === 500).length);
    assert.match(await page.locator("#detail").textContent(), /server error/);
  },

  "an open row shows distribution, use and the last probes with their phases": async ({ browser, baseUrl }) => {
    const window = await settledWindow(baseUrl);
    const page = await browser.dashboard(`${baseUrl}/?env=prod&${new URLSearchParams(window)}`);
    await page.getByRole("button", { name: "gpt-4o", exact: true, expanded: false }).click();
    await page.locator("#detail .probes tbody tr").first().waitFor();
    const { groups: [group] } = await api(baseUrl, "api/summary", { ...window, environment: "prod", model: "gpt-4o" });
    const cells = await page.locator("#detail table").first().locator("tbody tr").nth(0).locator("td").allTextContents();
    const expected = ["min", "mean", "p50", "p90", "p95", "p99", "max"].map((name) => group.ttft_ms[name]);
    cells.forEach((text, index) => assertShown(milliseconds(text), expected[index], `TTFT, column ${index}`));
    const model = (await api(baseUrl, "api/models", { environment: "prod" }))["gpt-4o"];
    const use = await page.locator("#detail table").nth(1).textContent();
    assert.ok(use.includes(model.usage_stats.daily_input_tokens.toLocaleString("en-US")), "input tokens of today");
    const records = await api(baseUrl, "api/latency", { ...window, environment: "prod", model: "gpt-4o", limit: "20" });
    assert.equal(await page.locator("#detail .probes tbody tr").count(), Math.min(20, records.length));
    const [compared] = (await api(baseUrl, "api/compare", { ...window, a: "prod", b: "dev", metric: "ttft_ms", model: "gpt-4o" })).models;
    await page.locator("#detail tr", { hasText: /^dev/ }).filter({ hasText: compared.verdict }).waitFor();
    const bar = page.locator("#detail .probes tbody tr .phases[role=img]").first();
    assert.match(await bar.getAttribute("aria-label"), /Waiting .*First token .*Streaming/s);
    await bar.hover();
    await page.locator("#tip", { hasText: "Streaming" }).waitFor();
  },

  "the chart shows what /api/series says": async ({ browser, baseUrl }) => {
    const window = await settledWindow(baseUrl);
    const page = await browser.dashboard(`${baseUrl}/?env=prod&metric=latency_ms&percentile=p95&step=5m&${new URLSearchParams(window)}`);
    await page.getByText("The chart as a table").click();
    const rows = page.locator(".values tbody tr");
    await rows.first().waitFor();
    const answer = await api(baseUrl, "api/series", { ...window, environment: "prod", metric: "latency_ms", percentile: "p95", step: "5m" });
    assert.equal(await rows.count(), answer.times.length);
    const names = await page.locator(".values thead th").allTextContents();
    for (const series of answer.series) {
      const column = names.indexOf(series.model_name);
      assert.ok(column > 0, series.model_name);
      const shown = await page.locator(`.values tbody tr > :nth-child(${column + 1})`).allTextContents();
      shown.forEach((text, index) => assertShown(milliseconds(text), series.values.p95[index], `${series.model_name}, bucket ${index}`));
    }
    await page.locator(".chart canvas").waitFor();
  },

  "the matrix has every environment's p95": async ({ browser, baseUrl }) => {
    const window = await settledWindow(baseUrl);
    const page = await browser.dashboard(`${baseUrl}/?${new URLSearchParams(window)}`);
    const { groups } = await api(baseUrl, "api/summary", window);
    for (const group of groups) {
      const row = page.locator(".matrix tbody tr", { has: page.locator("th .model", { hasText: new RegExp(`^${group.model_name}$`) }) });
      const text = await row.locator(`td[data-label='${group.environment}'] .cell-top > .number`).textContent();
      assertShown(milliseconds(text), group.ttft_ms.p95, `${group.model_name} in ${group.environment}`);
    }
  },

  "a page on another loopback port may call the API as the predecessor's dashboard did, but not a deployed one": async ({ browser, baseUrl, host, use }) => {
    const other = await use(startOtherOrigin());
    const page = await browser.chromium.newPage();
    await page.goto(other.url);
    const asked = page.evaluate(async (base) => {
      const ask = async (path) => (await fetch(`${base}${path}`)).json();
      return { records: await ask("/api/latency?environment=prod"), models: await ask("/api/models?environment=prod") };
    }, baseUrl);
    if (host === "lambda") {
      // Unless CORS_ALLOWED_ORIGINS names it.
      await assert.rejects(asked, /Failed to fetch/);
      return await page.close();
    }
    const { records, models } = await asked;
    await page.close();
    assert.ok(Array.isArray(records) && records.length > 0 && records.length <= 100);
    assert.ok(records.every((record) => "latency_ms" in record && record.environment === "prod"));
    assert.ok(Object.values(models).every((model) => "pricing" in model && "is_cloud" in model));
  },
};
