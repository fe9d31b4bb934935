// Runs every check, one after the other, and says how many passed.

import { parseArgs } from "node:util";
import { Browser } from "./support/browser.mjs";
import { startDemo } from "./support/hosts.mjs";
import { figures } from "./checks/figures.mjs";
import { looks } from "./checks/looks.mjs";
import { monitors } from "./checks/monitors.mjs";
import { view } from "./checks/view.mjs";

const { values: options } = parseArgs({ options: { "base-url": { type: "string" }, only: { type: "string" } } });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const browser = await Browser.start();
const demo = options["base-url"] ? null : await startDemo();
const baseUrl = options["base-url"]?.replace(/\/$/, "") ?? demo.url;

/** `monitors` start and stop monitors of their own, so they are of no use against a host that runs elsewhere. */
const groups = { figures, view, looks, ...(demo ? { monitors } : {}) };
let passed = 0;
const failed = [];
for (const [group, checks] of Object.entries(groups)) {
  for (const [name, check] of Object.entries(checks)) {
    if (options.only && !name.includes(options.only)) continue;
    const started = performance.now();
    try {
      await check({ browser, baseUrl });
      browser.assertQuiet();
      passed += 1;
      console.log(`ok      ${group}: ${name} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      failed.push(name);
      console.log(`FAILED  ${group}: ${name}\n${String(error.stack ?? error).replace(/^/gm, "        ")}`);
      await browser.screenshotAll(`failed-${failed.length}`);
    }
    await browser.closePages();
  }
}
await browser.stop();
await demo?.stop();
if (failed.length > 0) console.log(`\nFailed:\n${failed.map((name) => `  ${name}`).join("\n")}`);
console.log(`\n${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
