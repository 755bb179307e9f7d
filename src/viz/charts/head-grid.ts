import { chooseScale, drawCell } from "../parts/cells.ts";
import { checkOptions, checkSize, countNonFinite, type Matrix, type MatrixLike, readMatrix } from "../check.ts";
import { inkOver, shadeOf, type ColorScale } from "../parts/color.ts";
import { colorBar, COLOR_BAR_WIDTH } from "../parts/color-bar.ts";
import { TYPE } from "../parts/style.ts";
import { Figure, svgText, NARROW, narrowFrom } from "../figure.ts";
import { accessibleName, nonFiniteNote, titleBlock, type Captions } from "../parts/frame.ts";
import { formatNumber, scientific, textWidth } from "../parts/text.ts";

/**
 * What {@link headGrid} draws.
 * @category Figures
 */
export interface HeadGridOptions extends Captions {
  /** `[layer, head]`, as a `Tensor<"layer head">` or nested arrays; layer 0 is at the top. */
  readonly values: MatrixLike;
  /** `diverging` (the default when some value is negative) or `sequential`. */
  readonly scale?: ColorScale;
  /** The magnitude of the full colour; the largest one among the values if left out. */
  readonly limit?: number;
  /** What is measured, with its unit, beside the colour bar. */
  readonly legendLabel?: string;
  /** Digits after the point of the printed values; 2 if left out. */
  readonly decimals?: number;
}

/**
 * One number for each head: a grid of layers by heads with the label (`L1H4`) and the value printed in every cell.
 *
 * @param options - values `[layer, head]` and scale.
 * @returns the figure. Values that are not finite are crossed out and counted in the subtitle.
 * @throws ShapeError if `values` is empty or ragged or has not two axes.
 * @throws InputError if a sequential scale meets a negative value.
 * @category Figures
 * @example
 * ```ts
 * import { headGrid } from "transformer-circuits/viz";
 *
 * const figure = headGrid({ values: [[0, 0.04], [0.91, -0.5]], title: "OV copying score" });
 * console.log(figure.svg.includes("<title>L1H0: 0.91</title>"));
 * // true
 * ```
 */
export function headGrid(options: HeadGridOptions): Figure {
  checkOptions(options, "headGrid", "values scale limit legendLabel decimals");
  const matrix = readMatrix(options.values, "headGrid");
  const decimals = options.decimals ?? 2;
  checkSize(decimals + 1, "headGrid", "decimals + 1");
  const bad = countNonFinite(matrix.data);
  const { scale, limit } = chooseScale(
    { ...matrix, masked: new Uint8Array(matrix.data.length), bad },
    options,
    "headGrid",
  );
  return gridOf(options, matrix, scale, limit, Math.round(Math.max(34, Math.min(54, 860 / matrix.cols))));
}

/** The grid with cells of some width; the narrow one has no colour bar, as its cells bear their numbers. */
function gridOf(options: HeadGridOptions, matrix: Matrix, scale: ColorScale, limit: number, side: number): Figure {
  const decimals = options.decimals ?? 2;
  const bad = countNonFinite(matrix.data);
  const isNarrow = side < 34;
  const cell = { width: side, height: isNarrow ? 26 : 36 };
  const size = { width: matrix.cols * cell.width, height: matrix.rows * cell.height };
  const width = Math.max(30 + size.width + (isNarrow ? 0 : COLOR_BAR_WIDTH), 260);
  const head = titleBlock(options, width, nonFiniteNote(bad, "value", "crossed out"));
  const [left, top] = [30, head.height + 18];
  const parts: string[] = [];
  for (let layer = 0; layer < matrix.rows; layer++) {
    parts.push(
      svgText(
        left - 7,
        top + (layer + 0.5) * cell.height + 3.5,
        "tc-tick tc-f-muted",
        `L${layer}`,
        'text-anchor="end"',
      ),
    );
    for (let index = 0; index < matrix.cols; index++) {
      const value = matrix.data[layer * matrix.cols + index] as number;
      const [x, y] = [left + index * cell.width, top + layer * cell.height];
      const label = `L${layer}H${index}`;
      const ink = Number.isFinite(value) ? inkOver(shadeOf(value, limit, scale)) : "tc-f-ink";
      const gap = { x: x + 1, y: y + 1, width: cell.width - 2, height: cell.height - 2 };
      parts.push(drawCell({ ...gap, value, limit, scale, name: `${label}: ${formatNumber(value)}` }));
      parts.push(
        `<rect x="${gap.x}" y="${gap.y}" width="${gap.width}" height="${gap.height}" class="tc-line tc-s-grid" pointer-events="none"/>`,
      );
      if (!isNarrow) {
        parts.push(
          svgText(
            x + cell.width / 2,
            y + 14,
            `tc-small ${ink}`,
            label,
            'text-anchor="middle" pointer-events="none" opacity="0.75"',
          ),
        );
      }
      parts.push(
        svgText(
          x + cell.width / 2,
          y + (isNarrow ? 17 : 28),
          `${isNarrow ? "tc-small" : "tc-lab"} ${ink}`,
          printed(value, decimals, cell.width - 3, isNarrow ? TYPE.small : TYPE.lab),
          'text-anchor="middle" pointer-events="none"',
        ),
      );
    }
  }
  for (let index = 0; index < matrix.cols; index++) {
    parts.push(
      svgText(left + (index + 0.5) * cell.width, top - 5, "tc-tick tc-f-muted", `H${index}`, 'text-anchor="middle"'),
    );
  }
  if (!isNarrow)
    parts.push(
      colorBar({
        left: left + size.width + 14,
        top: top + 1,
        height: size.height,
        limit,
        scale,
        label: options.legendLabel,
      }),
    );
  return new Figure({
    kind: "headGrid",
    width,
    height: top + Math.max(size.height, isNarrow ? 0 : 98) + 6,
    narrow: narrowFrom(isNarrow ? 0 : width, () =>
      gridOf(options, matrix, scale, limit, Math.max(20, Math.min(33, Math.floor((NARROW - 30) / matrix.cols)))),
    ),
    label: accessibleName(options, `${matrix.rows} layers by ${matrix.cols} heads`),
    content: [head.markup, ...parts].join("\n"),
  });
}

/** A value with its decimals, with fewer where its cell has no room for them, or in powers of ten. */
function printed(value: number, decimals: number, width: number, size: number): string {
  for (let some = decimals; some >= 0; some--) {
    const text = formatNumber(value, { decimals: some });
    if (textWidth(text, size) <= width || !Number.isFinite(value)) return text;
  }
  return scientific(value, 2);
}
