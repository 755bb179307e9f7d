/** What a notebook shows of a value: a card with tables, in the colours of the page it stands in. */
import { alignNumbers } from "./numbers.ts";
import type { Numbers, Part, Rows, Showing } from "./parts.ts";
import { kept, keptOf } from "./text.ts";

/** The most rows and columns of a table, and the most tables of one tensor. */
const ROWS = 20;
const COLUMNS = 12;
const TABLES = 3;

/** The most characters of a cell or a line. */
const LONG = 400;

const CELL = "padding:2px 8px;border:0;white-space:nowrap";
const HEAD = `${CELL};font-weight:600;opacity:.7`;

/** A value as HTML: no script, no style sheet, nothing fetched. */
export function htmlOf({ title, parts }: Showing): string {
  const body = (parts?.() ?? []).map(partHtml).join("");
  return `<div style="overflow-x:auto"><div style="font-family:monospace;margin:2px 0 6px"><b>${escape(title)}</b></div>${body}</div>`;
}

function partHtml(part: Part): string {
  if (part.kind === "numbers") return numbersHtml(part);
  if (part.kind === "rows") return rowsHtml(part);
  if (part.kind === "words") return `<div style="font-family:monospace;margin:2px 0 6px">${escape(part.text)}</div>`;
  const rows = kept(part.facts, 2 * ROWS).map((fact) => {
    const [name, value] = fact ?? ["…", ""];
    return `<tr><th style="${HEAD};text-align:left">${escape(name)}</th><td style="${CELL};text-align:left">${escape(value)}</td></tr>`;
  });
  return table(rows);
}

/** The last two axes as a table; the first few indices of those before it. */
function numbersHtml({ names, shape, at }: Numbers): string {
  if (shape.includes(0)) return `<div>no numbers</div>`;
  const [rows = 1, columns = 1] = [shape.at(-2), shape.at(-1)];
  const shownRows = keptOf(rows, ROWS);
  const shownColumns = keptOf(columns, COLUMNS);
  const outer = shape.slice(0, -2);
  const all = outer.reduce((count, n) => count * n, 1);
  const tables: string[] = [];
  for (let t = 0; t < Math.min(all, TABLES); t++) {
    const index: number[] = [];
    for (let a = outer.length - 1, rest = t; a >= 0; a--) {
      const n = outer[a] ?? 1;
      index.unshift(rest % n);
      rest = Math.floor(rest / n);
    }
    const place = (r: number, c: number): number[] =>
      shape.length === 0 ? [] : shape.length === 1 ? [c] : [...index, r, c];
    const caption = index.map((i, a) => `${names[a]} ${i} of ${outer[a]}`).join(", ");
    tables.push(
      grid(shownRows, shownColumns, (r, c) => at(...place(r, c)), { caption, row: names.at(-2), column: names.at(-1) }),
    );
  }
  if (all > TABLES) tables.push(`<div style="opacity:.7">… and ${all - TABLES} more</div>`);
  return tables.join("");
}

interface GridLabels {
  readonly caption: string;
  readonly row: string | undefined;
  readonly column: string | undefined;
}

function grid(
  rows: readonly (number | undefined)[],
  columns: readonly (number | undefined)[],
  at: (row: number, column: number) => number,
  { caption, row, column }: GridLabels,
): string {
  const values = rows.map((r) => columns.map((c) => (r === undefined || c === undefined ? undefined : at(r, c))));
  const numbers = values.flat().filter((x) => x !== undefined);
  const texts = alignNumbers(numbers);
  const scale = largestOf(numbers);
  let next = 0;
  const gap = `<td style="${CELL}">…</td>`;
  const body = rows.map((r, i) => {
    const cells = (values[i] ?? []).map((x) => (x === undefined ? gap : numberCell(texts[next++] ?? "", x / scale)));
    const head = row === undefined ? "" : `<th style="${HEAD}">${r ?? "…"}</th>`;
    return `<tr>${head}${cells.join("")}</tr>`;
  });
  const corner = row === undefined ? "" : `<th style="${HEAD}">${escape(row)} ↓ ${escape(column ?? "")} →</th>`;
  const above =
    row === undefined && column !== undefined
      ? `<th colspan="${columns.length}" style="${HEAD};text-align:left">${escape(column)}</th></tr><tr>`
      : "";
  const heads = columns.map((c) => `<th style="${HEAD}">${c ?? "…"}</th>`).join("");
  const head = column === undefined ? "" : `<tr>${above}${corner}${heads}</tr>`;
  return `${caption === "" ? "" : `<div style="opacity:.7">${escape(caption)}</div>`}${table([head, ...body])}`;
}

function rowsHtml({ columns, rows, indices = 0, total = rows.length }: Rows): string {
  const some = rows.slice(0, ROWS);
  const isNumber = columns.map((_, c) => some.every((row) => typeof row[c] === "number"));
  const texts = columns.map((_, c) => (isNumber[c] === true ? alignNumbers(some.map((row) => row[c] as number)) : []));
  const scales = columns.map((_, c) => largestOf(isNumber[c] === true ? some.map((row) => row[c] as number) : []));
  const head = columns.map((name, c) => `<th style="${HEAD};${aligned(isNumber[c])}">${escape(name)}</th>`).join("");
  const body = some.map((row, r) => {
    const cells = columns.map((_, c) =>
      isNumber[c] === true
        ? numberCell(texts[c]?.[r] ?? "", c < indices ? 0 : (row[c] as number) / (scales[c] ?? 1))
        : `<td style="${CELL};text-align:left">${escape(String(row[c] ?? ""))}</td>`,
    );
    return `<tr>${cells.join("")}</tr>`;
  });
  const more = total > some.length ? `<div style="opacity:.7">… ${total - some.length} more</div>` : "";
  return `${table([`<tr>${head}</tr>`, ...body])}${more}`;
}

const aligned = (isNumber: boolean | undefined): string => `text-align:${isNumber === true ? "right" : "left"}`;

const table = (rows: readonly string[]): string =>
  `<table style="border-collapse:collapse;margin:0 0 8px;font-family:monospace">${rows.join("")}</table>`;

const largestOf = (values: readonly number[]): number =>
  values.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0) || 1;

/** A number on a ground as strong as its share of the largest: blue above zero, orange below. */
function numberCell(text: string, share: number): string {
  const strength = Number.isFinite(share) ? Math.round(Math.abs(share) * 55) / 100 : 0;
  const colour = share > 0 ? "66,133,244" : "244,140,40";
  const ground = strength === 0 ? "" : `;background:rgba(${colour},${strength})`;
  return `<td style="${CELL};text-align:right${ground}">${text.trim()}</td>`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escape(text: string): string {
  const short = text.length > LONG ? `${text.slice(0, LONG)} …` : text;
  return short.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
