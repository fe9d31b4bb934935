// What the models cost, what monitoring them costs (never mixed), and when prices changed.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { state, update } from "../state.js";
import { choice, heading, instant, standIn } from "./common.js";
import { walk } from "./walk.js";

/** A chart of fewer days would be a few very wide bars. */
const DAYS_AT_LEAST = 14;
const TOP_MODELS = 10;

export function costs(container, view) {
  const isAll = state.costs === "all";
  render(container,
    heading("costs", isAll ? "Costs of all environments" : `Costs of ${view.env || "…"}`, "What the models’ own use costs, as the usage endpoints say, and apart from it what these probes cost. US dollars, UTC days.",
      choice("Environments", [{ id: "", label: view.env || "…" }, { id: "all", label: "All" }], state.costs, (id) => update({ costs: id }))),
    standIn(view.parts.costs, { isEmpty: () => false, empty: "" }) ?? body(view, isAll ? view.environments.map(({ name }) => name) : [view.env]));
}

function body(view, names) {
  const { usage, monitoring, price_changes: allChanges } = view.parts.costs.value;
  const isShown = ({ environment }) => names.includes(environment);
  const changes = allChanges.filter(isShown);
  const days = daysOf(view.parts.costs.value, names);
  const use = costByDay(usage.days.filter(isShown), days, names);
  const own = costByDay(monitoring.days.filter(isShown), days, names);
  return [
    h("div", { class: "cost-cards", key: "cards" },
      card("The models’ use", usage, names, use, "use"),
      card("Monitoring them", monitoring, names, own, "own", unpriced(monitoring.days.filter(isShown)))),
    bars("The models’ use a day", use, days, changes, names, 0),
    bars("Monitoring a day", own, days, [], names, 3),
    names.length > 1 && h("ul", { class: "legend", key: "legend" }, names.map((name, index) => h("li", { key: name }, h("span", { class: `swatch stack-${index % 6}`, "aria-hidden": "true" }), name))),
    changes.length > 0 && priceChanges(changes),
    byModel(usage.models.filter(isShown), monitoring.models.filter(isShown)),
  ];
}

function card(title, part, names, byDay, id, note) {
  const month = part.months.map((each) => each.month).sort().at(-1);
  const monthCost = sum(part.months.filter((each) => each.month === month && names.includes(each.environment)));
  const today = byDay.at(-1)?.total ?? null;
  return h("dl", { class: `cost-card is-${id}`, key: id },
    h("dt", null, title),
    h("dd", { class: "number big" }, format.usd(today), h("span", { class: "note" }, " today")),
    h("dd", { class: "note" }, monthCost == null ? "nothing known yet" : `${format.usd(monthCost)} this month, ${format.usd(sum(byDay.map(({ total }) => ({ cost: total }))))} in the days below`),
    note && h("dd", { class: "note" }, note));
}

function unpriced(days) {
  const number = days.reduce((total, day) => total + day.unpriced, 0);
  return number > 0 ? `${format.plural(number, "probe")} of unknown price not counted` : null;
}

/** Every UTC day from the first with any cost, ending with the last of the answer. */
function daysOf({ usage, monitoring, from, to }, names) {
  const all = [];
  for (let at = Date.parse(from); at < Date.parse(to); at += 86_400_000) all.push(new Date(at).toISOString().slice(0, 10));
  const known = [...usage.days, ...monitoring.days].filter(({ environment }) => names.includes(environment)).map(({ date }) => date).sort()[0];
  const first = known ? all.indexOf(known) : all.length;
  return all.slice(Math.max(0, Math.min(first < 0 ? 0 : first, all.length - DAYS_AT_LEAST)));
}

function costByDay(entries, days, names) {
  return days.map((date) => {
    const parts = names.map((name) => entries.find((entry) => entry.date === date && entry.environment === name)?.cost ?? null);
    return { date, parts, total: parts.some((cost) => cost != null) ? parts.reduce((total, cost) => total + (cost ?? 0), 0) : null };
  });
}

/** `hue`: the colour of a single environment's bars. */
function bars(title, byDay, days, changes, names, hue) {
  const most = Math.max(...byDay.map(({ total }) => total ?? 0));
  const every = Math.ceil(days.length / 7);
  return h("figure", { class: "bars", key: title },
    h("figcaption", { class: "note" }, title, h("span", { class: "number" }, most > 0 ? ` · the dashed line is ${format.usd(most)}` : " · nothing yet")),
    h("div", { class: "bar-area", role: "group", "aria-label": `${title}; arrow keys walk from day to day`, on: { keydown: walk } },
      byDay.map((day, index) => column(day, most, index === byDay.length - 1, changes.filter(({ at }) => at.slice(0, 10) === day.date), names, names.length > 1 ? null : hue))),
    h("div", { class: "bar-days", "aria-hidden": "true" }, days.map((date, index) => h("span", { key: date }, (days.length - 1 - index) % every === 0 && h("span", null, format.day(date))))));
}

function column({ date, parts, total }, most, isLast, changes, names, hue) {
  const each = names.length > 1 ? names.map((name, index) => (parts[index] == null ? null : `${name}: ${format.usd(parts[index])}`)).filter(Boolean) : [];
  const changed = changes.map((change) => `Price change: ${change.model_name} in ${change.environment}`);
  const tip = [`${format.day(date)}: ${total == null ? "unknown" : format.usd(total)}`, ...each, ...changed].join("\n");
  return h("span", { key: date, class: "bar-column", role: "img", tabindex: isLast ? "0" : "-1", "aria-label": tip.replaceAll("\n", ", "), "data-tip": tip },
    changes.length > 0 && h("span", { key: "change", class: "price-mark" }, "▾"),
    parts.map((cost, index) => cost > 0 && h("span", { key: String(index), class: `bar stack-${hue ?? index % 6}`, style: { height: `${((cost / most) * 100).toFixed(2)}%` } })));
}

function priceChanges(changes) {
  return h("div", { key: "changes" },
    h("h3", null, "Price changes"),
    h("table", { class: "plain cards", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["When", "Model", "Environment", "Input per 1,000 tokens", "Output per 1,000 tokens"].map((name) => h("th", { key: name, scope: "col", role: "columnheader" }, name)))),
      h("tbody", { role: "rowgroup" }, changes.map((change) => h("tr", { key: [change.at, change.environment, change.model_name].join("\u0000"), role: "row" },
        h("td", { key: "at", role: "cell", "data-label": "When" }, instant(new Date(change.at))),
        h("td", { key: "model", role: "cell", "data-label": "Model", class: "model" }, change.model_name),
        h("td", { key: "environment", role: "cell", "data-label": "Environment" }, change.environment),
        h("td", { key: "input", role: "cell", "data-label": "Input / 1,000" }, priceStep(change.before?.input, change.after?.input)),
        h("td", { key: "output", role: "cell", "data-label": "Output / 1,000" }, priceStep(change.before?.output, change.after?.output)))))));
}

function priceStep(before, after) {
  if (before === after) return h("span", null, format.usd(after), h("span", { class: "note" }, " unchanged"));
  const share = format.difference(after, before);
  return h("span", null, `${format.usd(before)} → ${format.usd(after)}`, share && h("span", { class: "note" }, ` ${share}`));
}

function byModel(used, probed) {
  const names = [...new Set([...used, ...probed].map((entry) => entry.model_name))];
  const rows = names.map((name) => {
    const of = (entries) => entries.filter((entry) => entry.model_name === name);
    return { name, use: of(used).length ? sum(of(used)) : null, tokens: of(used).reduce((total, entry) => total + entry.input_tokens + entry.output_tokens, 0), own: of(probed).length ? sum(of(probed)) : null };
  }).sort((a, b) => (b.use ?? -1) - (a.use ?? -1));
  if (rows.length === 0) return null;
  const most = Math.max(...rows.map(({ use }) => use ?? 0));
  return h("div", { key: "models" },
    h("h3", null, "By model, in the days above"),
    h("table", { class: "plain cards", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["Model", "Use", "Share", "Tokens", "Monitoring"].map((name) => h("th", { key: name, scope: "col", role: "columnheader", class: ["Use", "Tokens", "Monitoring"].includes(name) ? "number" : null }, name)))),
      h("tbody", { role: "rowgroup" }, rows.slice(0, TOP_MODELS).map(({ name, use, tokens, own }) => h("tr", { key: name, role: "row" },
        h("th", { key: "model", scope: "row", role: "rowheader", class: "model" }, name),
        h("td", { key: "use", role: "cell", "data-label": "Use", class: "number" }, format.usd(use)),
        h("td", { key: "share", role: "cell", "data-label": "Share", class: "share-cell" }, h("span", { class: "share" }, use > 0 && h("span", { class: "bar stack-0", style: { width: `${((use / most) * 100).toFixed(1)}%` } }))),
        h("td", { key: "tokens", role: "cell", "data-label": "Tokens", class: "number" }, tokens ? `${format.count(tokens)} tokens` : format.UNKNOWN),
        h("td", { key: "own", role: "cell", "data-label": "Monitoring", class: "number" }, format.usd(own)))))));
}

function sum(entries) {
  const known = entries.map(({ cost }) => cost).filter((cost) => cost != null);
  return known.length ? known.reduce((total, cost) => total + cost, 0) : null;
}
