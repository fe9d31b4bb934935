// What frames the sections: the monitor's pulse, notices, the foot.

import { h } from "../dom.js";
import * as format from "../format.js";
import { hasToken, setToken } from "../api.js";
import { instant } from "./common.js";

/** When the last cycle was; said again each second, so that a page left open cannot pretend. */
export function pulse(view) {
  const { health, unreachable } = view;
  if (unreachable) return [dot("unknown"), h("span", { key: "text" }, "No answer from the monitor")];
  if (!health) return [dot("unknown"), h("span", { key: "text" }, "Asking the monitor …")];
  const ages = [...health.environments.values()].map(({ last_cycle: last }) => last?.age_seconds).filter((age) => age != null);
  const newest = ages.length ? Math.min(...ages) : null;
  const text = newest == null ? "No cycle yet" : `Last cycle ${format.age(view.ageNow(newest))} ago`;
  const ids = { ok: "ok", starting: "unknown", degraded: "unstable", stale: "unknown", unavailable: "failing" };
  return [dot(ids[health.status] ?? "unknown"), h("a", { key: "text", href: "#monitor", title: health.problems.join("\n") || "Every environment’s cycles are on time" }, text,
    health.status === "ok" ? "" : ` · ${health.status}`)];
}

function dot(id) {
  return h("span", { key: "dot", class: `dot is-${id}`, "aria-hidden": "true" });
}

export function notices(view) {
  const { parts, environments, env } = view;
  const known = environments.some(({ name }) => name === env);
  const failed = ["models", "summary", "recent"].map((name) => parts[name].error).find((error) => error && error.status !== 401);
  return [
    view.isSimple && h("div", { class: "notice is-simulated", key: "simulated", role: "note" },
      h("strong", null, "Simple mode: only one environment is measured. "),
      `${environments.filter(({ isSimulated }) => isSimulated).map(({ name }) => name).join(", ") || "The others"} are derived from it by fixed percentages and say nothing of the real ones. Set MULTI_ENV_MODE=full to measure each.`),
    view.health && !known && env && h("div", { class: "notice is-bad", key: "unknown" }, `This monitor has no environment “${env}”. Choose one above.`),
    view.unreachable && h("div", { class: "notice is-bad", key: "unreachable", role: "alert" },
      h("strong", null, "The monitor does not answer. "), "What is shown is ", view.loadedAt ? ["from ", instant(view.loadedAt)] : "not known", "; every state is unknown until it answers again."),
    !view.unreachable && failed && h("div", { class: "notice is-bad", key: "failed", role: "alert" }, failed.message,
      failed.requestId && h("span", { class: "note" }, ` Request id for the log: ${failed.requestId}`)),
  ];
}

export function foot(view) {
  return [
    h("p", { key: "times" }, `Times are in ${format.ZONE}; UTC on hover. `,
      "TTFT: probe start to the first generated token, connection included. TPOT: (latency − TTFT) / (output tokens − 1)."),
    h("p", { key: "links" },
      h("a", { href: "docs" }, "API"), h("a", { href: "openapi.json" }, "OpenAPI"), h("a", { href: "health" }, "Health"), h("a", { href: "metrics" }, "Metrics"),
      hasToken() && h("button", { key: "forget", class: "link", type: "button", on: { click: () => { setToken(""); location.reload(); } } }, "Forget the API token"),
      view.loadedAt && h("span", null, "Shown as of ", instant(view.loadedAt, format.time))),
  ];
}
