// A colour and a stroke for each model, the same in every part of the page: told apart by dashes where colours repeat.

const COLOURS = 10;
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

/** The style of the `index`th model of all. */
export function strokeOf(index) {
  return { name: `--series-${index % COLOURS}`, dash: DASHES[Math.floor(index / COLOURS) % DASHES.length] };
}

/** What a colour's name stands for in the present theme: a canvas knows no variables. */
export function resolved(node, name) {
  const probe = document.createElement("span");
  probe.style.setProperty("color", `var(${name})`);
  node.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
