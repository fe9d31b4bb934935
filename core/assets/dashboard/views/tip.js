// One tooltip for all: whatever carries `data-tip` shows it on hover and on keyboard focus; Escape closes it.

const tip = document.getElementById("tip");
let owner = null;

function show(target) {
  owner = target;
  tip.textContent = target.dataset.tip;
  tip.hidden = false;
  place();
}

function hide() {
  owner = null;
  tip.hidden = true;
}

function place() {
  const at = owner.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - 8);
  const top = at.top - own.height - 8 >= 0 ? at.top - own.height - 8 : at.bottom + 8;
  tip.style.setProperty("left", `${left}px`);
  tip.style.setProperty("top", `${top}px`);
}

/** After a refresh: what is pointed at may say something new, or be gone. */
export function refreshTip() {
  if (!owner) return;
  if (!owner.isConnected || !owner.dataset.tip) hide();
  else if (tip.textContent !== owner.dataset.tip) show(owner);
}

export function startTips() {
  const wanted = (event) => event.target instanceof Element && event.target.closest("[data-tip]");
  addEventListener("pointerover", (event) => {
    const target = wanted(event);
    if (target) show(target);
    else if (owner && owner !== document.activeElement) hide();
  });
  addEventListener("focusin", (event) => {
    const target = wanted(event);
    if (target) show(target);
    else hide();
  });
  addEventListener("focusout", hide);
  addEventListener("scroll", () => owner && place(), { passive: true, capture: true });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
