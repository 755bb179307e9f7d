/** What wakes figures, as a function and as the script that they carry or that a page has once. */
import { setUpCloud } from "./cloud.js";
import { enlivenAll } from "./enliven.js";
import { setUpExplorer } from "./explorer.js";
import { setUpFlip } from "./flip.js";
import { setUpTable } from "./table.js";

/** Sets up the figures in an element or a document that are not ready yet; returns what undoes it. */
export function enlivenIn(scope: unknown): () => void {
  return enlivenAll(scope, { setUpTable, setUpExplorer, setUpCloud, setUpFlip });
}

/**
 * The same as text without its indents, run on the page. Some tools that compile for a server wrap functions in a call
 * of `__name`, which pages do not have.
 */
const scriptOf = (kinds: Readonly<Record<string, { toString(): string }>>): string => {
  const parts = Object.entries(kinds).map(([name, setUp]) => `${name}:${setUp.toString()}`);
  const text = `(function(){const __name=function(f){return f};\n(${enlivenAll.toString()})(document,{${parts.join(",")}})})();`;
  return text.replace(/\n +/g, "\n");
};

export const PAGE_SCRIPT = scriptOf({ setUpTable, setUpExplorer, setUpCloud, setUpFlip });

/** What flipbooks alone need: figures of other kinds are left to the script that they carry. */
export const FLIP_SCRIPT = scriptOf({ setUpFlip });
