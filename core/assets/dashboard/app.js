// The page: what is asked for when, and who draws it.

import { hasToken } from "./api.js";
import { parts } from "./data.js";
import { render } from "./dom.js";
import { onChange, state } from "./state.js";
import { comparison } from "./views/comparison.js";
import { costs } from "./views/costs.js";
import { failures } from "./views/failures.js";
import { foot, notices, pulse } from "./views/frame.js";
import { heartbeat } from "./views/heartbeat.js";
import { matrix } from "./views/matrix.js";
import { monitor } from "./views/monitor.js";
import { overview } from "./views/overview.js";
import { refreshTip, startTips } from "./views/tip.js";
import { tokenForm } from "./views/token.js";
import { toolbar, tools } from "./views/toolbar.js";
import { trend } from "./views/trend.js";
import { question, viewOf } from "./view.js";

/** Between refreshes: as often as cycles come, within these; often while it is not known yet how often that is. */
const REFRESH_SECONDS = { least: 5, most: 30 };
const THEME = "llm-monitor-theme";

const place = (id) => document.querySelector(`#${id} > .body`) ?? document.getElementById(id);
const sections = { overview, matrix, trend, comparison, heartbeat, failures, costs, monitor };
let loading = null;
let isWanted = false;

/** Loads what a change needs, and draws as each part comes. One load at a time; a change during one starts the next. */
async function load(names = Object.keys(parts)) {
  if (loading) {
    isWanted = true;
    return loading;
  }
  loading = loadParts(names);
  try {
    await loading;
  } finally {
    loading = null;
  }
  draw();
  if (isWanted) {
    isWanted = false;
    await load();
  }
}

async function loadParts(names) {
  const wanted = (name) => names.includes(name);
  const refresh = (name) => parts[name].refresh(question()).then(draw);
  // The rest is asked in terms of these: the environments, and how far back there is anything.
  await Promise.all([refresh("health"), parts.oldest.value?.length ? null : refresh("oldest")]);
  await Promise.all(["models", "summary"].filter(wanted).map(refresh));
  await Promise.all(["sparks", "beats", "trend", "detail", "compare", "failures", "costs", "recent"].filter(wanted).map(refresh));
}

let isDrawingDue = false;

function draw() {
  if (isDrawingDue) return;
  isDrawingDue = true;
  requestAnimationFrame(() => {
    isDrawingDue = false;
    drawNow();
  });
}

function drawNow() {
  const view = { ...viewOf(), refresh: () => load(), redraw: draw, setTheme };
  document.title = view.title;
  render(place("pulse"), pulse(view));
  render(place("tools"), tools(view));
  render(place("foot"), foot(view));
  const isLocked = view.needsToken;
  document.body.classList.toggle("is-locked", isLocked);
  if (isLocked) {
    tokenForm(place("notices"), { wasRefused: hasToken(), retry: () => load() });
    return;
  }
  render(place("toolbar"), toolbar(view));
  render(place("notices"), notices(view));
  for (const [id, section] of Object.entries(sections)) {
    try {
      section(place(id), view);
    } catch (error) {
      // One section's fault is in the console, and leaves the others working.
      reportError(error);
    }
  }
  refreshTip();
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "auto") localStorage.removeItem(THEME);
    else localStorage.setItem(THEME, theme);
  } catch {
    // Without storage it holds for this page.
  }
  draw();
}

/** Which parts a change of the view concerns; the others keep what they have. */
function concerned(now, before) {
  const isChanged = (...names) => names.some((name) => now[name] !== before[name]);
  if (isChanged("window", "from", "to")) return Object.keys(parts);
  const names = new Set();
  if (isChanged("env")) for (const name of ["trend", "beats", "failures", "detail", "compare"]) names.add(name);
  if (isChanged("metric")) names.add("trend").add("sparks").add("compare");
  if (isChanged("percentile", "step")) names.add("trend");
  if (isChanged("open")) names.add("detail").add("compare");
  if (isChanged("live") && now.live === "on") return Object.keys(parts);
  return [...names];
}

onChange((now, before) => {
  draw();
  const names = concerned(now, before);
  if (names.length > 0) load(names);
});

let lastLoad = 0;

/** A clock that a sleeping laptop or a hidden tab does not pile up work with. */
async function tick() {
  const seconds = Math.min(Math.max(viewOf().interval ?? 0, REFRESH_SECONDS.least), REFRESH_SECONDS.most);
  if (state.live === "on" && !document.hidden && Date.now() - lastLoad >= seconds * 1000) {
    lastLoad = Date.now();
    await load();
  }
  if (!document.hidden) draw();
}

startTips();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
drawNow();
lastLoad = Date.now();
load().finally(() => setInterval(tick, 1000));
