/** Row and column labels around a matrix of cells. */
import { svgLine, svgText } from "../figure.ts";
import { largestOf, niceStep, type Frame } from "./scale.ts";
import { formatNumber, labelText, px, textWidth, truncate } from "./text.ts";
import { TYPE } from "./style.ts";

const LONGEST_LABEL = 130;

/** What stands around a matrix. */
export interface MatrixAxesOptions {
  readonly rows: number;
  readonly columns: number;
  /** Pixels to a row or column; may be below 1. */
  readonly cell: number;
  /** Pixels to a row, where a row is higher than a column is wide. */
  readonly cellHeight?: number;
  readonly rowLabels?: readonly string[];
  readonly columnLabels?: readonly string[];
  readonly xLabel?: string;
  readonly yLabel?: string;
}

/** Pixels that labels need on each side. */
export interface AxisRoom {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Every n-th row or column gets a label, at positions apart enough to read. */
function labelStep(count: number, cell: number, apart: number, labelled: boolean): number {
  if (cell >= apart) return 1;
  const step = labelled
    ? Math.ceil(apart / cell)
    : Math.max(1, Math.round(niceStep(count, (count * cell) / Math.max(48, 2.2 * apart))));
  return Math.max(1, step);
}

function indices(count: number, step: number): number[] {
  return Array.from({ length: Math.ceil(count / step) }, (_, k) => k * step);
}

/** The indices of the texts that are not empty, where some are: those few are all drawn. */
function labelledOnly(texts: readonly string[] | undefined): number[] | undefined {
  if (texts?.includes("") !== true) return undefined;
  return texts.flatMap((text, at) => (text === "" ? [] : [at]));
}

function rowsOf(options: MatrixAxesOptions): { readonly at: number; readonly text: string }[] {
  const step = labelStep(options.rows, options.cellHeight ?? options.cell, 10, options.rowLabels !== undefined);
  return (labelledOnly(options.rowLabels) ?? indices(options.rows, step)).map((at) => ({
    at,
    text: truncate(labelText(options.rowLabels?.[at] ?? formatNumber(at)), LONGEST_LABEL, TYPE.tick),
  }));
}

function columnsOf(options: MatrixAxesOptions): {
  readonly list: { readonly at: number; readonly text: string }[];
  readonly upright: boolean;
  /** Whether a short line leads from each label to its column. */
  readonly hasTicks: boolean;
} {
  const texts = (options.columnLabels ?? []).map(labelText);
  const widest = largestOf(
    (texts.length > 0 ? texts : [formatNumber(options.columns)]).map((text) => textWidth(text, TYPE.tick)),
  );
  const few = labelledOnly(options.columnLabels);
  const gap =
    few === undefined ? 1 : few.reduce((least, at, i) => Math.min(least, at - (few[i - 1] ?? -Infinity)), Infinity);
  const upright = options.columnLabels === undefined || widest + 4 <= gap * options.cell;
  const apart = upright ? widest + 4 : 11;
  const step = labelStep(options.columns, options.cell, apart, options.columnLabels !== undefined);
  const list = (few ?? indices(options.columns, step)).map((at) => ({
    at,
    text: truncate(texts[at] ?? formatNumber(at), LONGEST_LABEL, TYPE.tick),
  }));
  return { list, upright, hasTicks: few === undefined };
}

/** The room that the labels of {@link labelledAxes} take. */
export function axisRoom(options: MatrixAxesOptions): AxisRoom {
  const rowWidth = largestOf(
    rowsOf(options).map(({ text }) => textWidth(text, TYPE.tick)),
    0,
  );
  const columns = columnsOf(options);
  const columnHeight = columns.upright
    ? 14
    : largestOf(
        columns.list.map(({ text }) => textWidth(text, TYPE.tick)),
        0,
      ) + 6;
  return {
    left: Math.ceil(rowWidth) + 10,
    right: 8,
    top: options.yLabel === undefined ? 4 : 18,
    bottom: Math.ceil(columnHeight) + 6 + (options.xLabel === undefined ? 0 : 16),
  };
}

/** Labels of rows and columns, a thin frame, and the names of both axes. */
export function labelledAxes(options: MatrixAxesOptions & { readonly frame: Frame }): string {
  const { frame, cell } = options;
  const bottom = frame.top + frame.height;
  const parts = [
    `<rect x="${px(frame.left)}" y="${px(frame.top)}" width="${px(frame.width)}" height="${px(frame.height)}" class="tc-line tc-s-grid tc-crisp"/>`,
  ];
  for (const { at, text } of rowsOf(options)) {
    parts.push(
      svgText(
        frame.left - 6,
        frame.top + (at + 0.5) * (options.cellHeight ?? cell) + 3.5,
        "tc-tick tc-f-muted",
        text,
        'text-anchor="end"',
      ),
    );
  }
  const columns = columnsOf(options);
  for (const { at, text } of columns.list) {
    const x = frame.left + (at + 0.5) * cell;
    if (cell < 8 && columns.hasTicks) parts.push(svgLine(x, bottom, x, bottom + 3, 'class="tc-s-axis tc-crisp"'));
    if (columns.upright) parts.push(svgText(x, bottom + 14, "tc-tick tc-f-muted", text, 'text-anchor="middle"'));
    else
      parts.push(
        svgText(
          0,
          0,
          "tc-tick tc-f-muted",
          text,
          `text-anchor="end" transform="translate(${px(x + 3.5)} ${px(bottom + 6)}) rotate(-90)"`,
        ),
      );
  }
  if (options.yLabel !== undefined)
    parts.push(svgText(frame.left, frame.top - 6, "tc-lab tc-f-muted", `↓ ${options.yLabel}`));
  if (options.xLabel !== undefined) {
    parts.push(
      svgText(
        frame.left + frame.width,
        bottom + axisRoom(options).bottom - 5,
        "tc-lab tc-f-muted",
        `${options.xLabel} →`,
        'text-anchor="end"',
      ),
    );
  }
  return parts.join("\n");
}
