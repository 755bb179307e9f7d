import { requireKind } from "../../errors.ts";
import { chooseScale, drawCell, maskedValues, type MaskedMatrix } from "../parts/cells.ts";
import { checkCount, checkOptions, checkSize, checkTexts, type Matrix, type MatrixLike, readMatrix } from "../check.ts";
import { inkOver, shadeOf, type ColorScale } from "../parts/color.ts";
import { colorBar, COLOR_BAR_WIDTH } from "../parts/color-bar.ts";
import { Figure, svgRect, svgText, NARROW, narrowFrom } from "../figure.ts";
import { accessibleName, BOLD, nonFiniteNote, titleBlock, type Captions } from "../parts/frame.ts";
import { imageCells } from "../parts/image-cells.ts";
import { labelledAxes, axisRoom, type AxisRoom } from "../parts/matrix-axes.ts";
import { largestOf } from "../parts/scale.ts";
import { formatNumber, labelText, textWidth, truncate, type NumberFormat } from "../parts/text.ts";
import { TYPE } from "../parts/style.ts";

/**
 * What {@link heatmap} draws.
 * @category Figures
 */
export interface HeatmapOptions extends Captions {
  /** `[row, column]`; row 0 is at the top. */
  readonly values: MatrixLike;
  /**
   * One text for each row; without them rows are numbered. Whitespace at their ends is drawn, as of tokens: `·declare`.
   * Where some are empty, all others are drawn, otherwise as many as there is room for.
   */
  readonly rowLabels?: readonly string[];
  /** One text for each column. */
  readonly columnLabels?: readonly string[];
  readonly xLabel?: string;
  readonly yLabel?: string;
  /** `diverging` (the default when some value is negative) or `sequential`. */
  readonly scale?: ColorScale;
  /** The magnitude of the full colour; the largest one among the values if left out. */
  readonly limit?: number;
  /** Whether there is a colour bar; there is unless this is `false`. */
  readonly legend?: boolean;
  /** What the colour bar measures, with its unit. */
  readonly legendLabel?: string;
  /** True for cells that do not exist, such as keys after the query under causal attention. */
  readonly mask?: (row: number, column: number) => boolean;
  /**
   * Whether the first of several columns is left out, as attention to the first token, on which heads rest: it is
   * masked, and where there is no `limit` the others have all of the colours; it is not unless this is `true`.
   */
  readonly skipFirst?: boolean;
  /** Whether the numbers are printed in the cells. */
  readonly showValues?: boolean;
  /**
   * A text for each cell, row by row, printed in it instead of its number, such as the token that a model expects. In a
   * narrow place rows become columns where that leaves them more room.
   */
  readonly texts?: readonly string[];
  /** How values are written in cells and hover texts. */
  readonly format?: NumberFormat;
  /** Side of a cell in whole pixels; chosen by size if left out. */
  readonly cell?: number;
}

/** Above this many cells a heatmap is an image. */
const MOST_RECTS = 900;
/** An image has at most this many cells a side; larger matrices are drawn in blocks. */
const MOST_IMAGE_CELLS = 540;

/**
 * A matrix as coloured cells, rows downward.
 *
 * Zero has exactly the page's own colour. Up to 900 cells each is a rectangle that tells its value on hover; above that
 * the cells are one small embedded image, and beyond 540 a side each drawn cell stands for a block and shows the
 * block's value of largest magnitude, so that single stripes survive; the subtitle says so. Cells that are NaN or
 * infinite are crossed out (solid grey in an image) and counted in the subtitle; masked cells are faintly grey.
 *
 * @param options - values, labels and scale.
 * @returns the figure.
 * @throws ShapeError if the matrix is empty or ragged, or the label counts are not its sizes.
 * @throws InputError if a sequential scale meets a negative value, or `limit` or `cell` is not positive.
 * @category Figures
 * @example
 * ```ts
 * import { heatmap } from "transformer-circuits/viz";
 *
 * const figure = heatmap({
 *   values: [[1, 0], [0.25, 0.75]],
 *   rowLabels: ["a", "b"],
 *   columnLabels: ["a", "b"],
 *   mask: (query, key) => key > query,
 *   title: "L0H0 attention",
 * });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>a, a: 1</title> <title>b, a: 0.25</title> <title>b, b: 0.75</title>
 * ```
 */
export function heatmap(options: HeatmapOptions): Figure {
  checkOptions(
    options,
    "heatmap",
    "values rowLabels columnLabels xLabel yLabel scale limit legend legendLabel mask skipFirst showValues texts format cell",
  );
  if (options.rowLabels) checkTexts(options.rowLabels, "heatmap", "rowLabels");
  if (options.columnLabels) checkTexts(options.columnLabels, "heatmap", "columnLabels");
  if (options.texts) checkTexts(options.texts, "heatmap", "texts");
  if (options.mask) requireKind("function", options.mask, "mask", "heatmap");
  const matrix = readMatrix(options.values, "heatmap");
  if (options.rowLabels) checkCount(options.rowLabels.length, matrix.rows, "heatmap", "rowLabels", "rows");
  if (options.columnLabels) checkCount(options.columnLabels.length, matrix.cols, "heatmap", "columnLabels", "columns");
  if (options.texts) checkCount(options.texts.length, matrix.rows * matrix.cols, "heatmap", "texts", "cells");
  if (options.cell !== undefined) checkSize(options.cell, "heatmap", "cell");
  const block = Math.ceil(Math.max(matrix.rows, matrix.cols) / MOST_IMAGE_CELLS);
  const cell = block > 1 ? 1 : (options.cell ?? cellSize(matrix, options));
  return mapOf({ ...options, ...maskOf(options, matrix) }, matrix, { block, cell });
}

/** How a map's values become cells. */
interface Cells {
  /** Values on a side of the block that one drawn cell stands for. */
  readonly block: number;
  /** Pixels of a drawn cell. */
  readonly cell: number;
  /** Pixels to a row, where that is more. */
  readonly cellHeight?: number;
  /** Whether this is the drawing for narrow places. */
  readonly isNarrow?: boolean;
}

function mapOf(options: HeatmapOptions, matrix: Matrix, cellsOf: Cells): Figure {
  const { block, cell, cellHeight = cell } = cellsOf;
  const drawn = maskedValues(matrix, options.mask);
  const { scale, limit } = chooseScale(drawn, options, "heatmap");
  const size = { width: (matrix.cols * cell) / block, height: (matrix.rows * cellHeight) / block };
  const sides = { rows: matrix.rows, columns: matrix.cols, cell: cell / block, cellHeight: cellHeight / block };
  const room = axisRoom({ ...options, ...sides });
  const image = matrix.rows * matrix.cols > MOST_RECTS;
  const notes = [
    ...nonFiniteNote(drawn.bad, "cell", image ? "grey" : "crossed out"),
    ...(block > 1 ? [`Each pixel shows the largest magnitude in a block of ${block} × ${block}.`] : []),
  ];
  const legendRoom = options.legend === false ? 0 : COLOR_BAR_WIDTH;
  const width = Math.max(room.left + size.width + room.right + legendRoom, captionWidth(options, notes));
  const head = titleBlock(options, width, notes);
  const frame = { left: room.left, top: head.height + room.top, ...size };
  const cells = image
    ? imageCells({ ...drawn, frame, cell: pixelsOf(cell, matrix), block, limit, scale })
    : rectCells(drawn, options, { left: frame.left, top: frame.top, cell, cellHeight, limit, scale });
  const bar =
    options.legend === false
      ? ""
      : colorBar({
          left: frame.left + size.width + 16,
          top: frame.top,
          height: size.height,
          limit,
          scale,
          label: options.legendLabel,
        });
  const axes = labelledAxes({ ...options, ...sides, frame });
  return new Figure({
    kind: "heatmap",
    width,
    height: frame.top + Math.max(size.height, options.legend === false ? 0 : 100) + room.bottom,
    narrow: cellsOf.isNarrow === true ? undefined : narrowFrom(width, () => narrowed(options, matrix, room)),
    label: accessibleName(options, `heatmap, ${matrix.rows} by ${matrix.cols}`),
    content: [head.markup, cells, axes, bar].join("\n"),
  });
}

/** Which cells do not exist, or are left out. */
function maskOf({ mask, skipFirst }: HeatmapOptions, { cols }: Matrix): Pick<HeatmapOptions, "mask"> {
  if (skipFirst !== true || cols < 2) return {};
  return { mask: (row, column) => column === 0 || mask?.(row, column) === true };
}

/** Rows at least this high have a label each. */
const LABELLED_ROW = 11;
/** Of at most so many rows each is as high in a narrow place, if they are far fewer than columns. */
const FEW_ROWS = 24;

/**
 * The map with cells that fit a narrow place, as far as whole pixels go, or in blocks of values; few rows of many
 * columns keep rows high enough for their labels.
 */
function narrowed(options: HeatmapOptions, matrix: Matrix, { left, right }: AxisRoom): Figure {
  const { rows, cols } = matrix;
  if (options.texts !== undefined && rows < cols) return transposedNarrow({ ...options, texts: options.texts }, matrix);
  const legend = options.legend === false ? 0 : COLOR_BAR_WIDTH;
  const room = Math.max(40, NARROW - left - right - legend);
  const block = Math.ceil(Math.max(cols / room, rows / MOST_IMAGE_CELLS));
  const cell = Math.max(1, Math.floor((room * block) / cols));
  const isFlat = block === 1 && rows <= FEW_ROWS && 2 * rows <= cols && cell < LABELLED_ROW;
  return mapOf({ ...options, showValues: options.showValues === true && cell >= 24 }, matrix, {
    ...{ block, cell: block > 1 ? 1 : cell, isNarrow: true },
    ...(isFlat && { cellHeight: LABELLED_ROW }),
  });
}

/** The same in a narrow place with rows as columns: texts need wide cells. */
function transposedNarrow(options: HeatmapOptions & { readonly texts: readonly string[] }, matrix: Matrix): Figure {
  const { rows, cols, data } = matrix;
  const { mask, rowLabels, columnLabels, xLabel, yLabel } = options;
  const at = Array.from({ length: rows * cols }, (_, i) => (i % rows) * cols + Math.floor(i / rows));
  const turned: HeatmapOptions = {
    ...options,
    values: { rows: cols, cols: rows, data: at.map((i) => data[i] as number) },
    texts: at.map((i) => options.texts[i] as string),
    rowLabels: columnLabels ?? Array.from({ length: cols }, (_, j) => formatNumber(j)),
    columnLabels: rowLabels ?? Array.from({ length: rows }, (_, i) => formatNumber(i)),
    ...(yLabel !== undefined && { xLabel: yLabel }),
    ...(xLabel !== undefined && { yLabel: xLabel }),
    ...(mask !== undefined && { mask: (row: number, column: number) => mask(column, row) }),
  };
  const { left, right } = axisRoom({ ...turned, rows: cols, columns: rows, cell: SMALLEST_TEXT });
  const legend = options.legend === false ? 0 : COLOR_BAR_WIDTH;
  const cell = Math.max(1, Math.min(TEXT_CELL, Math.floor((NARROW - left - right - legend) / rows)));
  return mapOf(turned, readMatrix(turned.values, "heatmap"), { block: 1, cell, isNarrow: true });
}

/** The side of a cell that shows a text, and the least at which one is shown. */
const TEXT_CELL = 46;
const SMALLEST_TEXT = 22;

/** Below this width words under a title are hard to read. */
const NARROWEST = 240;

/** The width that title and what stands under it need: a title alone may be as narrow as it is. */
function captionWidth({ title, subtitle }: HeatmapOptions, notes: readonly string[]): number {
  if (subtitle !== undefined || notes.length > 0) return NARROWEST;
  return title === undefined ? 0 : Math.min(NARROWEST, Math.ceil(BOLD * textWidth(title, TYPE.title)));
}

function cellSize(matrix: Matrix, options: HeatmapOptions): number {
  const side = Math.max(matrix.rows, matrix.cols);
  if (options.texts !== undefined && matrix.rows * matrix.cols <= MOST_RECTS) return TEXT_CELL;
  if (options.showValues === true) {
    const widest = largestOf(
      Array.from(matrix.data, (value) => textWidth(formatNumber(value, options.format), TYPE.tick)),
    );
    return Math.max(24, Math.ceil(widest) + 8);
  }
  return side <= 60 ? Math.min(28, Math.floor(420 / side)) : Math.max(1, Math.floor(MOST_IMAGE_CELLS / side));
}

/** Pixels a side of a cell in an image, which is drawn larger where cells are. */
function pixelsOf(cell: number, { rows, cols }: Matrix): number {
  return Math.min(cell, Math.max(1, Math.floor((2 * MOST_IMAGE_CELLS) / Math.max(rows, cols))));
}

interface CellLayout {
  readonly left: number;
  readonly top: number;
  readonly cell: number;
  readonly cellHeight: number;
  readonly limit: number;
  readonly scale: ColorScale;
}

function rectCells(matrix: MaskedMatrix, options: HeatmapOptions, layout: CellLayout): string {
  const { cell, cellHeight } = layout;
  const parts: string[] = [];
  for (let i = 0; i < matrix.rows; i++) {
    for (let j = 0; j < matrix.cols; j++) {
      const value = matrix.data[i * matrix.cols + j] as number;
      const [x, y] = [layout.left + j * cell, layout.top + i * cellHeight];
      if (matrix.masked[i * matrix.cols + j]) {
        parts.push(svgRect(x, y, cell, cellHeight, 'class="tc-f-muted" fill-opacity="0.07"'));
        continue;
      }
      const text = options.texts?.[i * matrix.cols + j];
      const number = formatNumber(value, options.format);
      const place = `${labelText(options.rowLabels?.[i] ?? i)}, ${labelText(options.columnLabels?.[j] ?? j)}`;
      const name = `${place}: ${text === undefined ? number : `${labelText(text)} ${number}`}`;
      parts.push(
        drawCell({ x, y, width: cell, height: cellHeight, value, limit: layout.limit, scale: layout.scale, name }),
      );
      if (text !== undefined && cell >= SMALLEST_TEXT) {
        const ink = Number.isFinite(value) ? inkOver(shadeOf(value, layout.limit, layout.scale)) : "tc-f-ink";
        parts.push(cellText(labelText(text), x, y, cell, ink));
      } else if (options.showValues === true && Number.isFinite(value)) {
        const ink = inkOver(shadeOf(value, layout.limit, layout.scale));
        parts.push(
          svgText(
            x + cell / 2,
            y + cell / 2 + 3.5,
            `tc-tick ${ink}`,
            number,
            'text-anchor="middle" pointer-events="none"',
          ),
        );
      }
    }
  }
  return `<g class="tc-crisp">\n${parts.join("\n")}\n</g>`;
}

/** A text in a cell, cut to what it holds. */
function cellText(text: string, x: number, y: number, cell: number, ink: string): string {
  const shown = truncate(text, cell - 4, TYPE.tick, true);
  const place = 'text-anchor="middle" pointer-events="none"';
  return svgText(x + cell / 2, y + cell / 2 + 3.5, `tc-mono ${ink}`, shown, `font-size="${TYPE.tick}" ${place}`);
}
