import { InputError, requireKind } from "../../errors.ts";
import { checkCount, checkNonEmpty, checkObjects, checkOptions, checkSize, checkText } from "../check.ts";
import { Figure, svgLine, svgText, NARROW, narrowFrom } from "../figure.ts";
import { accessibleName, titleBlock, type Captions } from "../parts/frame.ts";
import { CELL_PADDING, chipsMarkup, LINE, SIZE, type ChipColumn, type TokenChip } from "../parts/token-chips.ts";
import { extent, largestOf } from "../parts/scale.ts";
import { TYPE } from "../parts/style.ts";
import { formatNumber, labelText, plural, textWidth, truncate, type NumberFormat } from "../parts/text.ts";

/**
 * A cell of a {@link tokenTable}: a text, a number, or tokens.
 * @category Figures
 */
export type TokenTableCell = string | number | readonly TokenChip[];

/**
 * A column of a {@link tokenTable}.
 * @category Figures
 */
export interface TokenTableColumn {
  readonly label: string;
  /** What the backgrounds of its tokens measure, with the unit; stands under the label with the range. */
  readonly legend?: string;
  /** The magnitude of the full colour; the largest one in the column if left out. */
  readonly limit?: number;
  /** Width in pixels; found from the content if left out, and what remains shared by the columns of tokens. */
  readonly width?: number;
  /** How numbers are written, in cells and on hover. */
  readonly format?: NumberFormat;
}

/**
 * Rows of a {@link tokenTable} under a heading of their own.
 * @category Figures
 */
export interface TokenTableGroup {
  readonly label?: string;
  /** Stands beside the label. */
  readonly note?: string;
  readonly rows: readonly (readonly TokenTableCell[])[];
}

/**
 * What {@link tokenTable} draws.
 * @category Figures
 */
export interface TokenTableOptions extends Captions {
  readonly columns: readonly TokenTableColumn[];
  readonly groups: readonly TokenTableGroup[];
  /** Width in pixels; 860 if left out, and more where the content needs it. */
  readonly width?: number;
}

const GAP = 18;
const WIDEST_TEXT = 220;
const NARROWEST_TOKENS = 150;
/** Room for the title. */
const NARROWEST = 520;

/**
 * A table of tokens as a drawing: cells hold lists of tokens with a value as background, wrapped, in groups of rows
 * with headings. Of the Framework paper's skip-trigram tables: `source`, `destinations`, `outputs`.
 *
 * @param options - columns, groups of rows, captions.
 * @returns the figure. Values that are not finite leave a token without background.
 * @throws ShapeError if there are no columns or a row has another number of cells.
 * @throws InputError if a width or limit is not positive.
 * @category Figures
 * @example
 * ```ts
 * import { tokenTable } from "transformer-circuits/viz";
 *
 * const figure = tokenTable({
 *   columns: [{ label: "source" }, { label: "out", legend: "logits" }],
 *   groups: [
 *     { label: "L0H3", rows: [[[{ token: " keep" }], [{ token: " mind", value: 2 }, { token: " bay", value: 1 }]]] },
 *   ],
 * });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>·mind: 2</title> <title>·bay: 1</title>
 * ```
 */
export function tokenTable(options: TokenTableOptions): Figure {
  checkOptions(options, "tokenTable", "columns groups width");
  checkObjects(options.columns, "tokenTable", "columns");
  for (const [j, { label }] of options.columns.entries()) checkText(label, "tokenTable", `columns[${j}].label`);
  checkObjects(options.groups, "tokenTable", "groups");
  for (const [g, { rows }] of options.groups.entries()) {
    requireKind("list", rows, `groups[${g}].rows`, "tokenTable");
    for (const [i, row] of rows.entries()) requireKind("list", row, `groups[${g}].rows[${i}]`, "tokenTable");
  }
  const { columns, groups } = options;
  checkNonEmpty(columns.length, "tokenTable", "columns");
  if (options.width !== undefined) checkSize(options.width, "tokenTable", "width");
  for (const [g, { rows }] of groups.entries())
    for (const [i, row] of rows.entries())
      checkCount(row.length, columns.length, "tokenTable", `groups[${g}].rows[${i}]`, "columns");
  const cells = columns.map((_, j) => groups.flatMap(({ rows }) => rows.map((row) => row[j] ?? "")));
  const styled = columns.map((column, j): ChipColumn => chipColumn(column, cells[j] ?? [], j));
  const inColumns = besideOneAnother(options, styled, cells, options.width ?? 860);
  const narrow = (): Figure => {
    const drawn = besideOneAnother(options, styled, cells, NARROW);
    return tableFigure(options, drawn.width > FITTING ? underOneAnother(options, styled) : drawn);
  };
  return tableFigure(options, inColumns, narrowFrom(inColumns.width, narrow));
}

interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly parts: readonly string[];
}

function tableFigure(options: TokenTableOptions, { parts, ...size }: Drawing, narrow?: Figure): Figure {
  const count = options.groups.reduce((sum, { rows }) => sum + rows.length, 0);
  return new Figure({
    kind: "tokenTable",
    ...size,
    narrow,
    label: accessibleName(options, `table of ${plural(count, "row")}`),
    content: parts.filter((part) => part !== "").join("\n"),
  });
}

/** The table in columns. */
function besideOneAnother(
  options: TokenTableOptions,
  styled: readonly ChipColumn[],
  cells: readonly (readonly TokenTableCell[])[],
  total: number,
): Drawing {
  const { columns, groups } = options;
  const widths = columnWidths(columns, styled, cells, total);
  const lefts = widths.map((_, j) => widths.slice(0, j).reduce((sum, width) => sum + width + GAP, 0));
  const width = Math.max(
    Math.min(NARROWEST, total === NARROW ? NARROW : (options.width ?? NARROWEST)),
    widths.reduce((sum, one) => sum + one + GAP, -GAP),
  );
  const head = titleBlock(options, width);
  const parts: string[] = [head.markup];
  let y = head.height + columnHeads(columns, styled, lefts, widths, head.height, parts);
  for (const { label, note, rows } of groups) {
    y = groupHead(label, note, y, width, parts);
    for (const row of rows) {
      parts.push(svgLine(0, y, width, y, 'class="tc-s-grid tc-crisp"'));
      let lines = 1;
      for (const [j, cell] of row.entries()) {
        const drawn = drawCell(cell, lefts[j] ?? 0, y, widths[j] ?? 0, styled[j] as ChipColumn);
        parts.push(drawn.markup);
        lines = Math.max(lines, drawn.lines);
      }
      y += lines * LINE + CELL_PADDING;
    }
  }
  parts.push(svgLine(0, y, width, y, 'class="tc-s-grid tc-crisp"'));
  return { width, height: y + 2, parts };
}

/** A group's heading from `y` on; returns where its rows begin. */
function groupHead(
  label: string | undefined,
  note: string | undefined,
  y: number,
  width: number,
  parts: string[],
): number {
  if (label === undefined) return y;
  parts.push(svgText(0, y + 17, "tc-title tc-f-ink", label));
  const after = textWidth(label, TYPE.title) + 12;
  if (note !== undefined)
    parts.push(svgText(after, y + 17, "tc-sub tc-f-muted", truncate(note, width - after, TYPE.sub)));
  return y + 24;
}

/** Columns of a table that is somewhat wider than a narrow place still stand side by side in it. */
const FITTING = 410;
const MOST_NAME = 110;

/**
 * The table in a narrow place: the cells of a row one below the other, each after its column's name; short ones share a
 * line.
 */
function underOneAnother(options: TokenTableOptions, styled: readonly ChipColumn[]): Drawing {
  const { columns, groups } = options;
  const head = titleBlock(options, NARROW);
  const parts: string[] = [head.markup];
  let y = head.height;
  for (const [j, { label, legend }] of columns.entries()) {
    if (legend === undefined) continue;
    const text = `${label}: ${legendText(legend, styled[j] as ChipColumn)}`;
    parts.push(svgText(0, y + 10, "tc-tick tc-f-muted", truncate(text, NARROW, TYPE.tick)));
    y += LEGEND_LINE;
  }
  for (const { label, note, rows } of groups) {
    y = groupHead(label, note, y, NARROW, parts);
    for (const row of rows) {
      parts.push(svgLine(0, y, NARROW, y, 'class="tc-s-grid tc-crisp"'));
      y = stackedRow(row, columns, styled, y, parts);
    }
  }
  parts.push(svgLine(0, y, NARROW, y, 'class="tc-s-grid tc-crisp"'));
  return { width: NARROW, height: y + 2, parts };
}

const LEGEND_LINE = 14;

/** One row of {@link underOneAnother}; returns where the next begins. */
function stackedRow(
  row: readonly TokenTableCell[],
  columns: readonly TokenTableColumn[],
  styled: readonly ChipColumn[],
  top: number,
  parts: string[],
): number {
  let [x, y, lines] = [0, top, 0];
  for (const [j, cell] of row.entries()) {
    const column = columns[j] as TokenTableColumn;
    const name = truncate(column.label, MOST_NAME, TYPE.tick);
    const beside = name === "" ? 0 : textWidth(name, TYPE.tick) + 6;
    const needed = beside + cellWidth(cell, column.format);
    if (x > 0 && x + needed > NARROW) [x, y, lines] = [0, y + lines * LINE, 0];
    const at = y + CELL_PADDING / 2 + SIZE + 1.5;
    if (name !== "") parts.push(svgText(x, at, "tc-tick tc-f-muted", name));
    const drawn = drawCell(cell, x + beside, y, Math.max(60, NARROW - x - beside), styled[j] as ChipColumn);
    parts.push(drawn.markup);
    lines = Math.max(lines, drawn.lines);
    x = drawn.lines > 1 ? NARROW : x + needed + GAP;
  }
  return y + lines * LINE + CELL_PADDING;
}

/** Names and legends of columns; returns the height that they take. */
function columnHeads(
  columns: readonly TokenTableColumn[],
  styled: readonly ChipColumn[],
  lefts: readonly number[],
  widths: readonly number[],
  top: number,
  parts: string[],
): number {
  for (const [j, { label, legend }] of columns.entries()) {
    const [left, room] = [lefts[j] ?? 0, (widths[j] ?? 0) + GAP - 4];
    parts.push(svgText(left, top + 12, "tc-lab tc-b tc-f-ink", label));
    if (legend === undefined) continue;
    const text = truncate(legendText(legend, styled[j] as ChipColumn), room, TYPE.tick);
    parts.push(svgText(left, top + 25, "tc-tick tc-f-muted", text));
  }
  return columns.some(({ legend }) => legend !== undefined) ? 32 : 19;
}

function legendText(legend: string, { limit, signed }: ChipColumn): string {
  return `${legend}, ${signed ? `±${formatNumber(limit)}` : `0 to ${formatNumber(limit)}`}`;
}

function chipColumn(column: TokenTableColumn, cells: readonly TokenTableCell[], j: number): ChipColumn {
  for (const name of ["width", "limit"] as const) {
    const value = column[name];
    if (value === undefined || (value > 0 && value < Infinity)) continue;
    throw new InputError(`columns[${j}].${name} is ${value}. Give a positive number.`, {
      operation: "tokenTable",
      argument: `columns[${j}].${name}`,
      expected: "> 0",
      actual: value,
    });
  }
  const values = cells.flatMap((cell) =>
    typeof cell === "object" ? cell.flatMap(({ value }) => (value === undefined ? [] : [value])) : [],
  );
  const [low, high] = extent([values]) ?? [0, 0];
  const limit = column.limit ?? Math.max(Math.abs(low), Math.abs(high));
  return { limit, signed: low < 0, format: column.format ?? {} };
}

/**
 * Columns of texts and numbers as wide as their widest; what remains is shared by the columns of tokens, none getting
 * more than it needs.
 */
function columnWidths(
  columns: readonly TokenTableColumn[],
  styled: readonly ChipColumn[],
  cells: readonly (readonly TokenTableCell[])[],
  total: number,
): number[] {
  const natural = columns.map((column, j) => {
    const list = cells[j] ?? [];
    const label = textWidth(column.label, TYPE.lab) + 2;
    const { legend } = column;
    const under = legend === undefined ? 0 : textWidth(legendText(legend, styled[j] as ChipColumn), TYPE.tick);
    const widest = largestOf(
      list.map((cell) => cellWidth(cell, column.format)),
      Math.max(label, Math.min(under, NARROWEST_TOKENS)),
    );
    return { fixed: column.width, widest, tokens: list.some((cell) => typeof cell === "object" && cell.length > 1) };
  });
  const isShared = ({ fixed, tokens }: (typeof natural)[number]): boolean => fixed === undefined && tokens;
  const taken = natural.map((one) => (isShared(one) ? 0 : (one.fixed ?? Math.min(one.widest, WIDEST_TEXT))));
  const widths = natural.map((_, j) => Math.ceil(taken[j] ?? 0));
  let room = total - GAP * (columns.length - 1) - taken.reduce((a, b) => a + b, 0);
  const shared = natural.map((one, j) => ({ ...one, j })).filter(isShared);
  shared.sort((a, b) => a.widest - b.widest);
  for (const [i, { widest, j }] of shared.entries()) {
    const width = Math.ceil(Math.min(widest, Math.max(NARROWEST_TOKENS, room / (shared.length - i))));
    widths[j] = width;
    room -= width;
  }
  return widths;
}

function cellWidth(cell: TokenTableCell, format: NumberFormat | undefined): number {
  if (typeof cell === "string") return textWidth(labelText(cell), TYPE.lab) * 1.07 + 4;
  if (typeof cell === "number") return textWidth(formatNumber(cell, format), TYPE.lab) * 1.07 + 4;
  return chipsMarkup(cell, 0, 0, Infinity, { limit: 0, signed: false, format: {} }).width;
}

function drawCell(
  cell: TokenTableCell,
  x: number,
  y: number,
  width: number,
  column: ChipColumn,
): { markup: string; lines: number } {
  if (typeof cell === "object") return chipsMarkup(cell, x, y + CELL_PADDING / 2, width, column);
  const text = typeof cell === "number" ? formatNumber(cell, column.format) : labelText(cell);
  const at = y + CELL_PADDING / 2 + SIZE + 1.5;
  return { markup: svgText(x, at, "tc-lab tc-f-ink", truncate(text, 0.94 * width, TYPE.lab)), lines: 1 };
}
