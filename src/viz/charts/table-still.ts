/** A table as a drawing. */
import { svgLine, svgRect, svgText, svgTitle } from "../figure.ts";
import { BOLD, titleBlock, type Captions } from "../parts/frame.ts";
import { largestOf } from "../parts/scale.ts";
import { TYPE } from "../parts/style.ts";
import { formatNumber, labelText, textWidth, truncate, wrapText, type NumberFormat } from "../parts/text.ts";
import { CELL_PADDING, chipsMarkup, LINE, SIZE } from "../parts/token-chips.ts";

/** A column with its cells, checked. */
export interface StillColumn {
  readonly label: string;
  readonly kind: "text" | "number" | "bar" | "token" | "tokens";
  readonly format: NumberFormat;
  /** The magnitude of a full bar. */
  readonly scale: number;
  readonly cells: readonly (string | number | readonly string[] | null)[];
}

const GAP = 18;
const BAR = 61;
const WIDEST = 340;
const NO_VALUES = { limit: 1, signed: false, format: {} };

/** The drawing of a table's columns, and its size. */
export function tableStill(
  captions: Captions,
  columns: readonly StillColumn[],
  rows: number,
): { readonly width: number; readonly height: number; readonly content: string } {
  const labels = columns.map(({ label }) => wrapText(label, WIDEST, TYPE.lab));
  const widths = columns.map((column, j) => widthOf(column, labels[j] ?? []));
  const lefts = widths.map((_, j) => widths.slice(0, j).reduce((sum, width) => sum + width + GAP, 0));
  const inner = widths.reduce((sum, width) => sum + width + GAP, -GAP);
  const width = Math.max(inner, captions.title === undefined ? 0 : 420);
  const head = titleBlock(captions, width);
  const lines = largestOf(
    labels.map(({ length }) => length),
    1,
  );
  const parts = [head.markup];
  let y = head.height + lines * 14 + 5;
  for (const [j, { kind }] of columns.entries()) {
    const isRight = kind === "number" || kind === "bar";
    const [x, anchor] = isRight ? [(lefts[j] ?? 0) + (widths[j] ?? 0), 'text-anchor="end"'] : [lefts[j] ?? 0, ""];
    for (const [i, line] of (labels[j] ?? []).entries())
      parts.push(svgText(x, y - 6 - 14 * ((labels[j]?.length ?? 1) - 1 - i), "tc-lab tc-b tc-f-ink", line, anchor));
  }
  parts.push(svgLine(0, y, inner, y, 'class="tc-s-axis tc-crisp"'));
  for (let i = 0; i < rows; i++) {
    let most = 1;
    for (const [j, column] of columns.entries()) {
      const drawn = cellMarkup(column, i, lefts[j] ?? 0, y + CELL_PADDING / 2, widths[j] ?? 0);
      parts.push(drawn.markup);
      most = Math.max(most, drawn.lines);
    }
    y += most * LINE + CELL_PADDING;
    parts.push(svgLine(0, y, inner, y, 'class="tc-s-grid tc-crisp"'));
  }
  return { width, height: y + 2, content: parts.filter((part) => part !== "").join("\n") };
}

function widthOf({ kind, cells, format }: StillColumn, label: readonly string[]): number {
  const named = largestOf(
    label.map((line) => textWidth(line, TYPE.lab) * BOLD),
    0,
  );
  const widest = largestOf(
    cells.map((cell) => {
      if (cell === null) return 0;
      if (typeof cell === "number" && kind !== "text")
        return textWidth(formatNumber(cell, format), TYPE.lab) * 1.07 + (kind === "bar" ? BAR + 8 : 0);
      if (kind === "token" || kind === "tokens") return chipsMarkup(chipsOf(cell), 0, 0, WIDEST, NO_VALUES).width;
      return Math.min(WIDEST, textWidth(textOf(cell), TYPE.lab) * 1.07);
    }),
    0,
  );
  return Math.ceil(Math.max(named, widest)) + 2;
}

function textOf(cell: string | number | readonly string[]): string {
  return labelText(String(cell));
}

function chipsOf(cell: string | number | readonly string[]): { readonly token: string }[] {
  return (typeof cell === "object" ? cell : [String(cell)]).map((token) => ({ token }));
}

function cellMarkup(
  column: StillColumn,
  row: number,
  x: number,
  y: number,
  width: number,
): { markup: string; lines: number } {
  const { kind, format, scale } = column;
  const cell = column.cells[row] ?? null;
  const base = y + SIZE + 1.5;
  if (cell === null) return { markup: "", lines: 1 };
  if (kind === "token" || kind === "tokens") return chipsMarkup(chipsOf(cell), x, y, width, NO_VALUES);
  if (typeof cell === "number" && kind !== "text") {
    const text = formatNumber(cell, format);
    // At the cell's edge, so that the zero lines of a column stand one below the other.
    const bar = kind === "bar" ? barMarkup(cell, scale, x, y + 3) : "";
    return { markup: bar + svgText(x + width, base, "tc-lab tc-f-ink", text, 'text-anchor="end"'), lines: 1 };
  }
  const text = textOf(cell);
  const shown = truncate(text, width, TYPE.lab);
  const hover = shown === text ? "" : svgRect(x, y, width, LINE - 3, 'fill="transparent"', svgTitle(text));
  return { markup: svgText(x, base, "tc-lab tc-f-ink", shown) + hover, lines: 1 };
}

/** A bar from the middle: negative to the left. */
function barMarkup(value: number, scale: number, x: number, y: number): string {
  if (!Number.isFinite(value)) return "";
  const length = (Math.abs(value) / scale) * (BAR / 2 - 0.5);
  const middle = x + BAR / 2;
  const paint = value < 0 ? "neg" : "pos";
  return (
    svgLine(middle, y, middle, y + 9, 'class="tc-s-axis"') +
    svgRect(value < 0 ? middle - length : middle, y, length, 9, `class="tc-f-${paint}" fill-opacity="0.8"`)
  );
}
