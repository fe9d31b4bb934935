// One bar, cut at the phases of a probe.

import { h } from "../dom.js";
import * as format from "../format.js";
import { PHASES } from "../phases.js";

/** @param {{id: string, ms: number}[]} phases @param {number} scaleMs what the full width stands for */
export function phaseBar(phases, scaleMs, key = "phases") {
  const total = phases.reduce((sum, phase) => sum + phase.ms, 0);
  if (total <= 0) return h("span", { class: "phases is-empty", key }, format.UNKNOWN);
  const label = phases.map(({ id, ms }) => `${nameOf(id)} ${format.duration(ms)}`).join(", ");
  return h("span", { class: "phases", key, role: "img", "aria-label": `Where the time went: ${label}`, "data-tip": tip(phases, total) },
    phases.map(({ id, ms }) => h("span", { key: id, class: `phase is-${id}`, style: { width: `${((ms / Math.max(scaleMs, total)) * 100).toFixed(3)}%` } })));
}

/** The key to the colours, with each phase's length if given. */
export function phaseLegend(phases) {
  const shown = phases ? PHASES.filter(({ id }) => phases.some((phase) => phase.id === id)) : PHASES;
  return h("ul", { class: "phase-legend", key: "legend" }, shown.map(({ id, label, name }) => {
    const phase = phases?.find((candidate) => candidate.id === id);
    return h("li", { key: id, title: name }, h("span", { class: `swatch phase is-${id}`, "aria-hidden": "true" }), label,
      phase && h("span", { class: "number" }, ` ${format.duration(phase.ms)}`));
  }));
}

function nameOf(id) {
  return PHASES.find((phase) => phase.id === id).label;
}

function tip(phases, total) {
  return phases.map(({ id, ms }) => `${nameOf(id)}: ${format.duration(ms)} (${format.percent(ms / total)})`).join("\n");
}
