/**
 * How values show themselves: in the consoles of Node, Deno and Bun, in a notebook, and as text anywhere.
 *
 * A value says what there is to see ({@link Showing}: a title, and parts of numbers, facts, rows or words); text and
 * HTML are written of that here, once for all classes. Reading order: shown.ts (the methods that hosts ask for),
 * parts.ts, text.ts, html.ts, numbers.ts, json.ts.
 */
export { jupyterDisplay, Shown, shownAs } from "./shown.ts";
export type { Facts, Numbers, Part, Rows, Showing, Words } from "./parts.ts";
export { numberJSON, resultJSON } from "./json.ts";
export { alignNumbers, shortNumber } from "./numbers.ts";
