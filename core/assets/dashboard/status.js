// What state a model is in. The rule is short, so that it can be said on the page: the last probe decides between working and
// failing, the window's failures between steady and unstable, and no news is never good news.

import { age, percent, plural, words } from "./format.js";

/** From this share of failed probes in the window on, a model that answers now is unstable. */
const UNSTABLE_FROM = 0.05;

export const STATES = {
  failing: { label: "Failing", rank: 0, symbol: "✕" },
  unstable: { label: "Unstable", rank: 1, symbol: "!" },
  limited: { label: "Rate limited", rank: 1, symbol: "!" },
  unknown: { label: "Unknown", rank: 2, symbol: "?" },
  ok: { label: "Working", rank: 3, symbol: "✓" },
  off: { label: "Not monitored", rank: 4, symbol: "○" },
  absent: { label: "Not used here", rank: 5, symbol: "" },
};

export const RULE =
  "Failing: the last probe failed. Unstable: it answers now, but 5 % or more of the window's probes failed. " +
  "Rate limited: the last probe met the account's own limit, which says nothing of the model. " +
  "Unknown: no cycle when one was due, or no probe in the window (one that was derived, not measured, is none).";

/**
 * @param {object|undefined} group the summary of one model in one environment
 * @param {object|undefined} model its entry of /api/models
 * @param {object} environment with `reason` if its state cannot be known now, `staleAfter` seconds, `isListed` if its catalog
 *   is known
 * @returns {{id: string, label: string, rank: number, symbol: string, why: string}}
 */
export function stateOf(group, model, environment) {
  const state = (id, why) => ({ id, ...STATES[id], why });
  if (model && !model.monitored) return state("off", model.reason ?? "No probe is sent to it.");
  if (!group?.last) {
    return model ? state("unknown", environment.reason ?? "No probe of it in this window.") : state("absent", "This environment does not use it.");
  }
  if (environment.reason) return state("unknown", environment.reason);
  // All its records were derived ones, and left out; the last of them says nothing of the model.
  if (group.count === 0) return state("unknown", "This window has derived records of it alone: nothing was measured.");
  const { last } = group;
  if (environment.staleAfter && last.ageSeconds > environment.staleAfter) {
    if (!model && environment.isListed) return state("off", `The usage endpoint lists it no more; its last probe is ${age(last.ageSeconds)} old.`);
    return state("unknown", `Its last probe is ${age(last.ageSeconds)} old.`);
  }
  const { failures, successes, rateLimited } = group;
  const judged = failures + successes;
  const limits = rateLimited > 0 ? ` ${plural(rateLimited, "probe")} met a rate limit.` : "";
  const share = `${failures} of ${plural(judged, "probe")} in this window failed`;
  if (last.kind === "rate_limited") return state("limited", `The last probe met the account’s rate limit. ${share}.`);
  if (!last.isSuccess) return state("failing", `The last probe failed${last.kind ? `: ${words(last.kind)}` : ""}. ${share}.${limits}`);
  if (judged > 0 && failures / judged >= UNSTABLE_FROM) return state("unstable", `It answers now, but ${share} (${percent(failures / judged)}).${limits}`);
  return state("ok", `${failures === 0 ? `All ${plural(judged, "probe")} in this window succeeded.` : `${share}.`}${limits}`);
}
