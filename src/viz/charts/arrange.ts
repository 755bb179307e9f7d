import { requireKind } from "../../errors.ts";
import { checkNonEmpty, checkOptions } from "../check.ts";
import { checkFigures, Figure, rowsMarkup } from "../figure.ts";
import { accessibleName, titleBlock, type Captions } from "../parts/frame.ts";
import { largestOf } from "../parts/scale.ts";
import { plural, px } from "../parts/text.ts";

/**
 * What {@link arrange} puts together.
 * @category Figures
 */
export interface ArrangeOptions extends Captions {
  /** Rows of drawn figures, each with its own size. */
  readonly rows: readonly (readonly Figure[])[];
}

const GAP = 26;

/**
 * Figures of different kinds and sizes in rows, as one figure: a pattern beside its profile. For many of one kind there
 * is {@link smallMultiples}.
 *
 * @param options - rows of figures and captions.
 * @returns the figure.
 * @throws ShapeError if there are no rows or a row is empty.
 * @category Figures
 * @example
 * ```ts
 * import { arrange, heatmap, histogram } from "transformer-circuits/viz";
 *
 * const left = heatmap({ values: [[1, 2], [3, 4]] });
 * const right = histogram({ values: [1, 2, 3, 4] });
 * const figure = arrange({ rows: [[left, right]], title: "Four numbers" });
 * console.log(figure.width === left.width + 26 + right.width, figure.label);
 * // true Four numbers
 * ```
 */
export function arrange(options: ArrangeOptions): Figure {
  checkOptions(options, "arrange", "rows");
  requireKind("list", options.rows, "rows", "arrange");
  for (const [i, row] of options.rows.entries()) checkFigures(row, "arrange", `rows[${i}]`);
  checkNonEmpty(options.rows.length, "arrange", "rows");
  for (const [i, row] of options.rows.entries()) checkNonEmpty(row.length, "arrange", `rows[${i}]`);
  const widths = options.rows.map((row) => row.reduce((sum, { width }) => sum + width + GAP, -GAP));
  const width = largestOf(widths);
  const head = titleBlock(options, width);
  const parts = [head.markup];
  let y = head.height === 0 ? 0 : head.height + 6;
  for (const row of options.rows) {
    let x = 0;
    for (const figure of row) {
      parts.push(`<g transform="translate(${px(x)} ${px(y)})">\n${figure.content}\n</g>`);
      x += figure.width + GAP;
    }
    y += largestOf(row.map(({ height }) => height)) + GAP;
  }
  const count = options.rows.reduce((sum, row) => sum + row.length, 0);
  const label = accessibleName(options, plural(count, "figure"));
  return new Figure({
    kind: "arrange",
    width,
    height: y - GAP,
    label,
    rows: rowsMarkup(label, options, options.rows),
    content: parts.filter((part) => part !== "").join("\n"),
  });
}
