// What checks read from a page, and from the API beside it.

import assert from "node:assert/strict";

/** The demo gives up a probe after 4 s; its cycle is written then. */
const SLOWEST_PROBE_MS = 8000;

export async function api(baseUrl, path, parameters = {}, headers = {}) {
  const url = new URL(path, `${baseUrl}/`);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const response = await fetch(url, { headers });
  assert.equal(response.status, 200, `${url}`);
  return response.json();
}

const windows = new Map();

/** A window that nothing is added to any more, so that page and API say the same: it ends where the slowest probe has long ended. */
export function settledWindow(baseUrl) {
  if (!windows.has(baseUrl)) windows.set(baseUrl, settle(baseUrl));
  return windows.get(baseUrl);
}

async function settle(baseUrl) {
  await eventually(async () => {
    const failures = await api(baseUrl, "api/latency", { environment: "dev", model: "gpt-4o", status: "error" });
    return failures.some((record) => record.error_kind === "server_error" && record.http_status === 500);
  }, "the demo's gpt-4o fails in dev");
  const [oldest] = await api(baseUrl, "api/latency", { order: "asc", limit: 1 });
  const end = Date.now();
  while (Date.now() < end + SLOWEST_PROBE_MS) await new Promise((resolve) => setTimeout(resolve, 200));
  return { from: seconds(new Date(Date.parse(oldest.timestamp) - 1000)), to: seconds(new Date(end)) };
}

function seconds(date) {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** `412 ms`, `1.83 s`, `≈ 12 ms/tok` in milliseconds; `null` for a dash. */
export function milliseconds(text) {
  const found = text.match(/([\d.]+)\s*(ms|s)\b/);
  return found ? Number(found[1]) * (found[2] === "s" ? 1000 : 1) : null;
}

/** Shown values have three significant digits. */
export function assertShown(shownMs, measuredMs, what) {
  if (measuredMs == null) return assert.equal(shownMs, null, what);
  assert.ok(shownMs != null && Math.abs(shownMs - measuredMs) <= Math.max(0.006, measuredMs * 0.006), `${what}: shown ${shownMs}, measured ${measuredMs}`);
}

/** The comparison table: model → column → text. */
export async function modelTable(page) {
  return page.locator(".model-row").evaluateAll((rows) => Object.fromEntries(rows.map((row) => [
    row.querySelector(".model").textContent,
    Object.fromEntries([...row.children].map((cell) => [cell.dataset.label, cell.textContent])),
  ])));
}

export const modelRow = (page, name) => page.locator(".model-row", { has: page.locator(".model", { hasText: new RegExp(`^${name}$`) }) });

export const environmentButton = (page, name) => page.locator("#toolbar [aria-label='Environment'] button", { hasText: new RegExp(`^${name}`) });

/** Waits until `condition`, called in this process, holds. */
export async function eventually(condition, what, patienceMs = 30_000) {
  const end = Date.now() + patienceMs;
  for (;;) {
    let reason;
    try {
      const result = await condition();
      if (result) return result;
      reason = "it did not hold";
    } catch (error) {
      reason = error.message;
    }
    if (Date.now() > end) assert.fail(`${what}: ${reason}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
