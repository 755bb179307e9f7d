import { ShapeError } from "../../errors.ts";
import { checkNonEmpty, checkOptions, checkSize, checkTexts } from "../check.ts";
import { checkFigures, Figure, svgText, rowsMarkup } from "../figure.ts";
import { accessibleName, titleBlock, type Captions } from "../parts/frame.ts";
import { largestOf } from "../parts/scale.ts";
import { plural, px, textWidth } from "../parts/text.ts";
import { TYPE } from "../parts/style.ts";

/**
 * What {@link smallMultiples} puts together.
 * @category Figures
 */
export interface SmallMultiplesOptions extends Captions {
  /** Drawn figures, row by row. */
  readonly figures: readonly Figure[];
  /** How many stand in a row; as many as fit 900 pixels if left out. */
  readonly columns?: number;
  /** One text for each row of figures, at the left. */
  readonly rowLabels?: readonly string[];
}

const GAP = 10;

/**
 * Figures of one kind in a grid, as one figure: all heads' eigenvalues, or one heatmap for each head.
 *
 * @param options - figures and columns.
 * @returns the figure.
 * @throws ShapeError if there are no figures, or the row labels are not one for each row.
 * @throws InputError if `columns` is not a whole number of at least 1.
 * @category Figures
 * @example
 * ```ts
 * import { complexPlane, smallMultiples } from "transformer-circuits/viz";
 *
 * const heads = ["L0H0", "L0H1", "L1H0"].map((title) =>
 *   complexPlane({ points: [{ re: 1, im: 0 }], title, size: 100 }),
 * );
 * const figure = smallMultiples({ figures: heads, columns: 2 });
 * console.log(figure.width, figure.height);
 * // 250 256
 * ```
 */
export function smallMultiples(options: SmallMultiplesOptions): Figure {
  checkOptions(options, "smallMultiples", "figures columns rowLabels");
  checkFigures(options.figures, "smallMultiples", "figures");
  if (options.rowLabels) checkTexts(options.rowLabels, "smallMultiples", "rowLabels");
  const { figures } = options;
  checkNonEmpty(figures.length, "smallMultiples", "figures");
  const cell = {
    width: largestOf(figures.map(({ width }) => width)),
    height: largestOf(figures.map(({ height }) => height)),
  };
  const labels = options.rowLabels ?? [];
  const left = labels.length === 0 ? 0 : Math.ceil(largestOf(labels.map((text) => textWidth(text, TYPE.lab)))) + 10;
  const columns =
    options.columns ?? Math.max(1, Math.min(figures.length, Math.floor((900 - left + GAP) / (cell.width + GAP))));
  checkSize(columns, "smallMultiples", "columns");
  const rows = Math.ceil(figures.length / columns);
  if (labels.length !== 0 && labels.length !== rows) {
    throw new ShapeError(
      `rowLabels has ${labels.length} entries for ${rows} rows (${figures.length} figures in ${columns} columns). Give one entry for each row.`,
      {
        operation: "smallMultiples",
        argument: "rowLabels",
        expected: rows,
        actual: labels.length,
      },
    );
  }
  const width = left + Math.min(columns, figures.length) * (cell.width + GAP) - GAP;
  const head = titleBlock(options, width);
  const parts = figures.map((figure, i) => {
    const [x, y] = [
      left + (i % columns) * (cell.width + GAP),
      head.height + Math.floor(i / columns) * (cell.height + GAP),
    ];
    return `<g transform="translate(${px(x)} ${px(y)})">\n${figure.content}\n</g>`;
  });
  const names = labels.map((text, row) =>
    svgText(0, head.height + row * (cell.height + GAP) + cell.height / 2, "tc-lab tc-b tc-f-muted", text),
  );
  const label = accessibleName(options, plural(figures.length, "figure"));
  const lines = Array.from({ length: rows }, (_, row) => figures.slice(row * columns, (row + 1) * columns));
  return new Figure({
    kind: "smallMultiples",
    width,
    height: head.height + rows * (cell.height + GAP) - GAP,
    label,
    rows: rowsMarkup(label, options, lines, labels),
    content: [head.markup, ...names, ...parts].filter((part) => part !== "").join("\n"),
  });
}
