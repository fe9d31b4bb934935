// A colour and a stroke for each model, the same in every part of the page: told apart by dashes where colours repeat.

const COLOURS = 10;
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

/** The style of the `index`th model of all, in the colours of the present theme. */
export function strokeOf(index) {
  const name = `--series-${index % COLOURS}`;
  return {
    name,
    colour: getComputedStyle(document.documentElement).getPropertyValue(name).trim(),
    dash: DASHES[Math.floor(index / COLOURS) % DASHES.length],
  };
}
