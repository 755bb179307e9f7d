/** What a console shows of a value: a title, and a few lines of what is in it. */
import { alignNumbers } from "./numbers.ts";
import type { Numbers, Part, Rows, Showing } from "./parts.ts";

/** The columns that a line may fill. */
const WIDTH = 80;

/** What stands for what is left out. */
const GAP = "…";

/** How a host colours words of a kind: Node's `stylize`. */
export type Stylize = (text: string, kind: "number" | "string" | "special" | "undefined") => string;

/**
 * A value as text.
 *
 * @param lines - the most lines below the title; 0 for the title alone.
 */
export function textOf({ title, parts }: Showing, lines: number, stylize: Stylize): string {
  if (lines === 0) return title;
  const all = parts?.() ?? [];
  let left = lines;
  let text = title;
  for (const part of all) {
    if (left <= 0) break;
    const written = linesOf(part, left, stylize);
    const [first = ""] = written;
    // What fits stands beside the title.
    if (all.length === 1 && written.length === 1 && part.kind !== "facts" && title.length + first.length < WIDTH) {
      return `${title} ${first}`;
    }
    text += written.map((line) => `\n${part.kind === "numbers" ? "" : "  "}${line}`).join("");
    left -= written.length;
  }
  return text;
}

function linesOf(part: Part, lines: number, stylize: Stylize): string[] {
  if (part.kind === "numbers") return numberLines(part, lines, stylize);
  if (part.kind === "rows") return rowLines(part, lines, stylize);
  if (part.kind === "words") return [shortened(part.text, WIDTH - 2)];
  const width = Math.max(...part.facts.map(([name]) => name.length));
  return kept(part.facts, lines).map((fact) => {
    if (fact === undefined) return stylize(GAP, "undefined");
    const [name, value] = fact;
    return `${name.padEnd(width)}  ${shortened(value, WIDTH - width - 4)}`;
  });
}

/** Text cut to a width. */
function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 2)} ${GAP}`;
}

/** The first and last of a list, with `undefined` for what is between, where it has more than so many. */
export function kept<T>(list: readonly T[], most: number): (T | undefined)[] {
  return keptOf(list.length, most).map((i) => (i === undefined ? undefined : list[i]));
}

/** {@link kept} of the numbers from 0 on. */
export function keptOf(size: number, most: number): (number | undefined)[] {
  if (size <= most) return Array.from({ length: size }, (_, i) => i);
  const shown = Math.max(1, most - 1);
  const last = Math.floor(shown / 2);
  const first = shown - last;
  return [...Array(first).keys(), undefined, ...Array.from({ length: last }, (_, i) => size - last + i)];
}

/** Nested brackets, as numpy prints arrays. */
function numberLines({ shape, at }: Numbers, lines: number, stylize: Stylize): string[] {
  if (shape.includes(0)) return ["[]"];
  const caps = capsFor(shape, lines);
  const columns = shape.at(-1) ?? 1;
  for (const most of [caps.at(-1) ?? 1, 7, 5, 3, 2]) {
    if (most > (caps.at(-1) ?? 1)) continue;
    const written = bracketed(shape, at, [...caps.slice(0, -1), most]);
    const widest = Math.max(...written.map((line) => line.reduce((sum, { text }) => sum + text.length, 0)));
    if (widest > WIDTH && most > 2 && columns > 2) continue;
    return written.map((line) =>
      line.map(({ text, kind }) => (kind === undefined ? text : stylize(text, kind))).join(""),
    );
  }
  return [];
}

/** How many indices of each axis are shown, so that all are no more than so many lines. */
function capsFor(shape: readonly number[], lines: number): number[] {
  const caps = shape.map((n, a) => (a === shape.length - 1 ? Math.min(n, 16) : n));
  const count = (a: number): number => {
    if (a >= shape.length - 1) return 1;
    const shown = keptOf(shape[a] ?? 1, caps[a] ?? 1);
    return shown.filter((i) => i !== undefined).length * count(a + 1) + (shown.includes(undefined) ? 1 : 0);
  };
  // Outer axes give way first.
  for (const most of [7, 5, 3, 2]) {
    for (let a = 0; a < shape.length - 1 && count(0) > lines; a++) caps[a] = Math.min(caps[a] ?? 1, most);
  }
  // The last axis of lines takes what room is left.
  const a = shape.length - 2;
  for (let more = caps[a] ?? 0; a >= 0 && more <= (shape[a] ?? 0); more++) {
    const before = caps[a] ?? 0;
    caps[a] = more;
    if (count(0) <= lines) continue;
    caps[a] = before;
    break;
  }
  return caps;
}

interface Piece {
  readonly text: string;
  readonly kind?: "number" | "undefined";
}

function bracketed(shape: readonly number[], at: Numbers["at"], caps: readonly number[]): Piece[][] {
  const shown = shape.map((n, a) => keptOf(n, caps[a] ?? 1));
  const values: number[] = [];
  const visit = (a: number, index: readonly number[]): void => {
    if (a === shape.length) values.push(at(...index));
    else for (const i of shown[a] ?? []) if (i !== undefined) visit(a + 1, [...index, i]);
  };
  visit(0, []);
  const texts = alignNumbers(values);
  let next = 0;
  const build = (a: number): Piece[][] => {
    if (a === shape.length) return [[{ text: texts[next++] ?? "", kind: "number" }]];
    const isLine = a === shape.length - 1;
    const list = shown[a] ?? [];
    const lines: Piece[][] = isLine ? [[]] : [];
    for (const [place, i] of list.entries()) {
      const comma = place < list.length - 1 ? "," : "";
      const inner: Piece[][] = i === undefined ? [[{ text: GAP, kind: "undefined" }]] : build(a + 1);
      inner.at(-1)?.push({ text: isLine && comma !== "" ? ", " : comma });
      if (isLine) lines[0]?.push(...(inner[0] ?? []));
      else lines.push(...inner);
    }
    return lines.map((line, row) => [
      { text: row === 0 ? "[" : " " },
      ...line,
      ...(row === lines.length - 1 ? [{ text: "]" }] : []),
    ]);
  };
  const lines = build(0);
  return shape.length === 0 ? lines.map((line) => line.map((piece) => ({ ...piece, text: piece.text.trim() }))) : lines;
}

/** A table without rules; numbers end, and words begin, where their column does. */
function rowLines({ columns, rows, total = rows.length }: Rows, lines: number, stylize: Stylize): string[] {
  const isCut = total > Math.min(rows.length, lines - 1);
  const some = rows.slice(0, Math.max(1, isCut ? lines - 2 : lines - 1));
  const isNumber = columns.map((_, c) => some.every((row) => typeof row[c] === "number"));
  const texts = columns.map((name, c) => {
    const cells = some.map((row) => row[c] ?? "");
    const body =
      isNumber[c] === true ? alignNumbers(cells as number[]) : cells.map((cell) => shortened(String(cell), 40));
    const width = Math.max(name.length, ...body.map((text) => text.length));
    return [name, ...body].map((text) => (isNumber[c] === true ? text.padStart(width) : text.padEnd(width)));
  });
  const written = [...Array(some.length + 1).keys()].map((r) =>
    texts
      .map((column, c) => {
        const text = column[r] ?? "";
        return r > 0 && isNumber[c] === true ? stylize(text, "number") : text;
      })
      .join("  ")
      .trimEnd(),
  );
  return isCut ? [...written, stylize(`${GAP} ${total - some.length} more`, "undefined")] : written;
}
