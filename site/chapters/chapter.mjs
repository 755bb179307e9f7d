/**
 * A chapter of the guide as its source has it: front matter, prose, code that runs, and lines that must not compile.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const guide = join(root, "site/guide");

/** The names of all chapters, in their order: `01-bigrams`. */
export const chapterNames = readdirSync(guide)
  .filter((name) => /^\d\d-.*\.md$/.test(name))
  .map((name) => name.slice(0, -".md".length))
  .sort();

/** The mark of a number in prose: the expression between is computed after the cells before it. */
const VALUE = /\{\{=\s*(.+?)\s*\}\}/g;
const FENCE = /^(`{3,})(.*)$/;

export const readChapter = (name) => parseChapter(name, readFileSync(join(guide, `${name}.md`), "utf8"));

/**
 * A piece of a chapter: prose has a text, with `{{= expression }}` where a number stands, the others have code.
 *
 * @typedef {{ kind: "prose" | "run" | "wrong", text: string, code: string, line: number }} Part
 */

/**
 * @returns {{ name: string, title: string, description: string, needs: string | undefined, parts: Part[] }} `needs`: the
 * environment variable that names a file which no machine has by itself; see kept.mjs.
 */
export function parseChapter(name, source) {
  const [, head = "", body = source] = /^---\n(.*?)\n---\n(.*)$/s.exec(source) ?? [];
  const field = (key) => new RegExp(`^${key}: *(.+)$`, "m").exec(head)?.[1];
  const [title, description] = [field("title"), field("description")];
  if (title === undefined || description === undefined)
    throw new Error(`${name}: a chapter begins with front matter that has a title and a description`);
  return { name, title, description, needs: field("needs"), parts: partsOf(body, name) };
}

/** @returns {Part[]} */
function partsOf(body, name) {
  const parts = [];
  let prose = [];
  let open; // the fence that is open: its marks, what it says, the lines in it
  const finish = () => {
    const text = prose.join("\n").trim();
    if (text !== "") parts.push({ kind: "prose", text });
    prose = [];
  };
  for (const [i, line] of body.split("\n").entries()) {
    const [, marks, info = ""] = FENCE.exec(line) ?? [];
    if (open === undefined && marks !== undefined) {
      open = { marks, info: info.trim(), lines: [], line: i + 2, first: line };
    } else if (open !== undefined && marks === open.marks && info === "") {
      const kind = /^ts (run|wrong)$/.exec(open.info)?.[1];
      if (kind === undefined) prose.push(open.first, ...open.lines, line);
      else {
        finish();
        parts.push({ kind, code: open.lines.join("\n").trimEnd(), line: open.line });
      }
      open = undefined;
    } else if (open !== undefined) open.lines.push(line);
    else prose.push(line);
  }
  if (open !== undefined) throw new Error(`${name}: a fence is not closed: ${open.first}`);
  finish();
  return parts;
}

/** The expressions in a piece of prose, in their order. */
export const expressionsIn = (text) => [...text.matchAll(VALUE)].map(([, expression]) => expression);

/** The prose with its numbers put in. */
export function withValues(text, values) {
  const rest = [...values];
  return text.replace(VALUE, () => rest.shift());
}

/** What is executed of a chapter: cells and the expressions of its prose. */
export const chapterSteps = ({ parts }) =>
  parts.flatMap((part) => {
    if (part.kind === "run") return [{ code: part.code }];
    return part.kind === "prose" ? expressionsIn(part.text).map((value) => ({ value })) : [];
  });
