// The environment, the window, and the page's own switches.

import { h } from "../dom.js";
import * as format from "../format.js";
import { WINDOWS, state, update } from "../state.js";
import { STATES } from "../status.js";
import { choice, mark } from "./common.js";

export function toolbar(view) {
  return [environments(view), windows(view)];
}

function environments({ environments: all, env }) {
  const options = all.map(({ name, models, worst, failing }) => {
    const bad = failing > 0 ? `, ${failing} failing` : "";
    return {
      id: name,
      label: name,
      title: `${format.plural(models, "model")} monitored${bad}`,
      extra: [
        worst && worst.id !== "ok" && mark(worst),
        h("span", { class: "count" }, String(models), h("span", { class: "unseen" }, ` models${bad}${worst ? `, ${STATES[worst.id].label}` : ""}`)),
      ],
    };
  });
  return choice("Environment", options, env, (name) => update({ env: name }, { isStep: true }));
}

function windows(view) {
  const options = [...WINDOWS, { id: "custom", label: "From … to" }];
  const choose = (id) => {
    if (id !== "custom") {
      update({ window: id, from: "", to: "" }, { isStep: true });
      return;
    }
    const { from, to } = view;
    update({ window: "custom", from: iso(from), to: iso(to) }, { isStep: true });
  };
  return h("div", { class: "windows", key: "windows" },
    choice("Window", options, view.windowId, choose),
    state.window === "custom" && h("div", { class: "range", key: "range" }, boundary("from"), boundary("to")));
}

function boundary(name) {
  const value = state[name] ? local(new Date(state[name])) : "";
  const change = (event) => {
    const date = new Date(event.target.value);
    if (event.target.value === "") {
      if (name === "to") update({ to: "" }, { isStep: true });
    } else if (!Number.isNaN(date.getTime())) update({ [name]: date.toISOString().replace(".000", "") }, { isStep: true });
  };
  const title = name === "to" ? `in ${format.ZONE}; empty: until now` : `in ${format.ZONE}`;
  return h("label", { key: name, title }, name, " ",
    h("input", { type: "datetime-local", value, step: "60", on: { change } }));
}

function iso(seconds) {
  return `${new Date(Math.round(seconds / 60) * 60_000).toISOString().slice(0, 19)}Z`;
}

/** As `datetime-local` wants it: the reader's own clock. */
function local(date) {
  const pad = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

const THEMES = [
  { id: "auto", label: "Auto", title: "Colours as the system has them" },
  { id: "light", label: "Light", title: "Light colours" },
  { id: "dark", label: "Dark", title: "Dark colours" },
];

export function tools(view) {
  const isLive = state.live === "on";
  return [
    h("button", {
      key: "live", type: "button", class: "tool", "aria-pressed": String(isLive),
      title: isLive ? "Refreshes by itself; press to pause" : "Paused; press to go on",
      on: { click: () => update({ live: isLive ? "off" : "on" }) },
    }, h("span", { class: `live ${isLive ? "is-on" : ""}`, "aria-hidden": "true" }), "Live"),
    h("button", { key: "refresh", type: "button", class: "tool", title: "Refresh now", on: { click: view.refresh } }, "Refresh"),
    choice("Colours", THEMES, document.documentElement.dataset.theme ?? "auto", view.setTheme),
  ];
}
