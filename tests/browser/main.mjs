// Runs every check on every host, one after the other, and says how many passed.

import { parseArgs } from "node:util";
import { Browser } from "./support/browser.mjs";
import { startDemo, startGateway } from "./support/hosts.mjs";
import { figures } from "./checks/figures.mjs";
import { looks } from "./checks/looks.mjs";
import { monitors } from "./checks/monitors.mjs";
import { view } from "./checks/view.mjs";

const { values: options } = parseArgs({ options: { "base-url": { type: "string" }, host: { type: "string" }, only: { type: "string" } } });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** The same router and pages on both; `monitors` start and stop monitors of their own, which only the local runner is. */
const HOSTS = {
  local: { start: startDemo, groups: { figures, view, looks, monitors } },
  lambda: { start: startGateway, groups: { figures, view, looks }, leavesOut: { monitors: "each starts a local runner of its own" } },
};
const running = { url: options["base-url"]?.replace(/\/$/, ""), stop: async () => {} };
const hosts = options["base-url"]
  ? { local: { start: () => running, groups: { figures, view, looks }, leavesOut: { monitors: "a host was given" } } }
  : Object.fromEntries(Object.entries(HOSTS).filter(([name]) => !options.host || name === options.host));
if (Object.keys(hosts).length === 0) throw new Error(`--host ${options.host}: expected local or lambda`);

let passed = 0;
let leftOut = 0;
const failed = [];
const isAsked = (name) => !options.only || name.includes(options.only);

for (const [host, { start, groups, leavesOut = {} }] of Object.entries(hosts)) {
  const browser = await Browser.start(host);
  const served = await start();
  console.log(`${host}: ${served.url}`);
  for (const [group, checks] of Object.entries(groups)) {
    for (const [name, check] of Object.entries(checks).filter(([name]) => isAsked(name))) {
      const started = performance.now();
      const used = [];
      /** What a check starts beside its host: stopped when its pages are closed, as a page that outlives its monitor complains of it. */
      const use = async (starting) => {
        used.push(await starting);
        return used.at(-1);
      };
      try {
        await check({ browser, baseUrl: served.url, host, use });
        browser.assertQuiet();
        passed += 1;
        console.log(`ok      ${host}: ${group}: ${name} (${Math.round(performance.now() - started)} ms)`);
      } catch (error) {
        failed.push(`${host}: ${name}`);
        console.log(`FAILED  ${host}: ${group}: ${name}\n${String(error.stack ?? error).replace(/^/gm, "        ")}`);
        await browser.screenshotAll(`failed-${failed.length}`);
      }
      await browser.closePages();
      for (const { stop } of used.reverse()) await stop();
    }
  }
  const all = { figures, looks, monitors, view };
  for (const [group, reason] of Object.entries(leavesOut)) {
    for (const name of Object.keys(all[group]).filter(isAsked)) {
      leftOut += 1;
      console.log(`left out ${host}: ${group}: ${name} (${reason})`);
    }
  }
  await browser.stop();
  await served.stop();
}
if (failed.length > 0) console.log(`\nFailed:\n${failed.map((name) => `  ${name}`).join("\n")}`);
console.log(`\n${passed} passed, ${failed.length} failed, ${leftOut} left out as they have no sense on that host`);
process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;
