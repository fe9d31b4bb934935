// Loaded before the first paint, so that the page never flashes in the wrong colours. `?theme=dark` wins, for a wall display.
(() => {
  const wanted = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try {
    kept = localStorage.getItem("llm-monitor-theme");
  } catch {
    // Storage is switched off: the system's preference holds.
  }
  const theme = ["light", "dark"].includes(wanted) ? wanted : kept;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
