// Arrow keys walk along a row of marks of which only one is in the tab order.

export function walk(event) {
  const step = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
  const end = { Home: "firstElementChild", End: "lastElementChild" }[event.key];
  const from = document.activeElement;
  const to = step ? from[step] : end ? from.parentElement[end] : null;
  if (!to) return;
  event.preventDefault();
  to.focus();
}
