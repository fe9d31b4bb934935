// What the models cost, what monitoring them costs (never mixed), and when prices changed.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { heading, standIn } from "./common.js";

export function costs(container, view) {
  render(container,
    heading("costs", "Costs", "What the models’ use costs, as the usage endpoints say, and what these probes cost."),
    standIn(view.parts.costs, { isEmpty: () => false, empty: "" }));
}
