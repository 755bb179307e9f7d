import { InputError } from "../../errors.ts";
import {
  checkFinite,
  checkNonEmpty,
  checkNumber,
  checkObjects,
  checkOptions,
  checkSize,
  checkText,
  countNonFinite,
} from "../check.ts";
import { Figure, svgLine, svgRect, svgText, svgTitle, NARROW, narrowFrom } from "../figure.ts";
import {
  accessibleName,
  figureSide,
  nonFiniteNote,
  titleBlock,
  xScale,
  xTicks,
  type Captions,
} from "../parts/frame.ts";
import { drawLegend } from "../parts/legend.ts";
import { bounded, extent, largestOf, niceDomain, type Domain, type Frame } from "../parts/scale.ts";
import { SERIES_COLORS, TYPE } from "../parts/style.ts";
import { formatNumber, labelText, textWidth, truncate, type NumberFormat } from "../parts/text.ts";

/**
 * One bar of a {@link barChart}.
 * @category Figures
 */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Half the length of the error whisker, in units of the value. */
  readonly error?: number;
  /** Bars of one group share a colour, which a legend names; without groups the sign gives it. */
  readonly group?: string;
}

/**
 * What {@link barChart} draws.
 * @category Figures
 */
export interface BarChartOptions extends Captions {
  readonly bars: readonly Bar[];
  /** What is measured, with its unit. */
  readonly xLabel?: string;
  readonly width?: number;
  /** How the numbers beside the bars are written. */
  readonly format?: NumberFormat;
}

const ROW = 20;
/** Height of a line of labels above bars. */
const LABEL = 15;

/**
 * Horizontal bars from a zero line, each with its label and its value, in the order given. Labels stand beside the
 * bars, or above them where they would take more than two fifths of the width.
 *
 * @param options - bars and labels.
 * @returns the figure. A value that is NaN or infinite has no bar; its value is printed, and it is counted under the
 * title.
 * @throws ShapeError if there are no bars.
 * @throws InputError if no value is finite or an error is negative or not finite.
 * @category Figures
 * @example
 * ```ts
 * import { barChart } from "transformer-circuits/viz";
 *
 * const figure = barChart({
 *   bars: [{ label: "direct path", value: 1.8 }, { label: "L0H1→L1H2", value: -0.3, error: 0.05 }],
 *   xLabel: "marginal loss reduction (nats)",
 * });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>direct path: 1.8</title> <title>L0H1→L1H2: −0.3 ± 0.05</title>
 * ```
 */
export function barChart(options: BarChartOptions): Figure {
  checkOptions(options, "barChart", "bars xLabel width format");
  checkObjects(options.bars, "barChart", "bars");
  for (const [i, { label, value }] of options.bars.entries()) {
    checkText(label, "barChart", `bars[${i}].label`);
    checkNumber(value, "barChart", `bars[${i}].value`);
  }
  const { bars } = options;
  checkNonEmpty(bars.length, "barChart", "bars");
  const domain = barDomain(bars);
  const values = bars.map(({ value }) => value);
  const given = options.width ?? 560;
  checkSize(given, "barChart", "width");
  const head = titleBlock(options, given, nonFiniteNote(countNonFinite(values), "value", "no bar"));
  const groups = [...new Set(bars.flatMap(({ group }) => (group === undefined ? [] : [group])))];
  const legend = drawLegend(groups.length > 1 ? groups : [], head.height + 10, given);
  const format = options.format ?? {};
  const printed = values.map((value) => formatNumber(value, format));
  const numberRoom = largestOf(printed.map((text) => textWidth(text, TYPE.tick))) + 10;
  const labels = bars.map(({ label }) => labelText(label));
  const widest = largestOf(labels.map((label) => textWidth(label, TYPE.lab)));
  const above = widest > given * 0.4 ? LABEL : 0;
  const labelRoom = above > 0 ? 0 : widest;
  const left = Math.ceil(labelRoom) + 10 + (domain[0] < 0 ? numberRoom : 0);
  const width = figureSide(given, left + numberRoom + 4);
  const frame: Frame = {
    left,
    top: head.height + legend.height + 4,
    width: width - left - numberRoom - 4,
    height: bars.length * (ROW + above) + 4,
  };
  const x = xScale(frame, domain);
  const rows = bars.map((bar, i) => {
    const y = frame.top + 2 + i * (ROW + above);
    const paint =
      bar.group === undefined ? (bar.value < 0 ? "neg" : "pos") : `c${groups.indexOf(bar.group) % SERIES_COLORS}`;
    const text = labels[i] as string;
    const label =
      above > 0
        ? svgText(0, y + 12, "tc-lab tc-f-ink tc-s-bg tc-halo", truncate(text, width, TYPE.lab))
        : svgText(labelRoom + 2, y + 0.5 * ROW + 4, "tc-lab tc-f-ink", text, 'text-anchor="end"');
    return label + drawBar(bar, text, printed[i] as string, { x, y: y + above, paint });
  });
  const bottom = frame.top + frame.height;
  const axisLabel =
    options.xLabel === undefined
      ? ""
      : svgText(frame.left + frame.width, bottom + 31, "tc-lab tc-f-muted", `${options.xLabel} →`, 'text-anchor="end"');
  return new Figure({
    kind: "barChart",
    width,
    height: bottom + (options.xLabel === undefined ? 22 : 38),
    narrow: narrowFrom(width, () => barChart({ ...options, width: NARROW })),
    label: accessibleName(options, `bar chart of ${bars.length} values`),
    content: [head.markup, legend.markup, barGround(frame, domain, x), ...rows, axisLabel]
      .filter((part) => part !== "")
      .join("\n"),
  });
}

function barDomain(bars: readonly Bar[]): Domain {
  for (const [i, { error }] of bars.entries()) {
    if (error === undefined) continue;
    checkFinite(error, "barChart", `bars[${i}].error`);
    if (error < 0) {
      throw new InputError(`bars[${i}].error is ${error}. Give the length of the whisker, not below zero.`, {
        operation: "barChart",
        argument: "bars",
        actual: error,
      });
    }
  }
  const ends = extent(
    bars
      .filter(({ value }) => Number.isFinite(value))
      .map(({ value, error = 0 }) => [bounded(value - error), bounded(value + error)]),
  );
  if (ends === undefined) {
    throw new InputError("no value is finite. There is nothing to draw.", { operation: "barChart", argument: "bars" });
  }
  return niceDomain([Math.min(0, ends[0]), Math.max(0, ends[1])], 5);
}

function barGround(frame: Frame, domain: Domain, x: (value: number) => number): string {
  const bottom = frame.top + frame.height;
  const lines = xTicks(frame, domain, 80).map(({ value, text }) => {
    const classes = `class="${value === 0 ? "tc-s-axis" : "tc-s-grid"} tc-crisp"`;
    const line = svgLine(x(value), frame.top, x(value), bottom, classes);
    return line + svgText(x(value), bottom + 14, "tc-tick tc-f-muted", text, 'text-anchor="middle"');
  });
  return lines.join("\n");
}

function drawBar(
  bar: Bar,
  label: string,
  printed: string,
  place: { x: (value: number) => number; y: number; paint: string },
): string {
  const { x, y } = place;
  const mid = y + ROW / 2;
  const whisker = bar.error === undefined ? "" : ` ± ${formatNumber(bar.error)}`;
  if (!Number.isFinite(bar.value)) return svgText(x(0) + 5, mid + 3.5, "tc-tick tc-f-muted", printed);
  const [from, to] = [Math.min(x(0), x(bar.value)), Math.max(x(0), x(bar.value))];
  const parts = [
    svgRect(
      from,
      y + 3,
      to - from,
      ROW - 6,
      `class="tc-f-${place.paint}" fill-opacity="0.85"`,
      svgTitle(`${label}: ${formatNumber(bar.value)}${whisker}`),
    ),
  ];
  if (bar.error !== undefined) {
    const [low, high] = [x(bounded(bar.value - bar.error)), x(bounded(bar.value + bar.error))];
    parts.push(
      svgLine(low, mid, high, mid, 'class="tc-s-ink"'),
      svgLine(low, mid - 3, low, mid + 3, 'class="tc-s-ink"'),
      svgLine(high, mid - 3, high, mid + 3, 'class="tc-s-ink"'),
    );
  }
  const error = bar.error ?? 0;
  const negative = bar.value < 0;
  const at = negative ? x(bounded(bar.value - error)) - 5 : x(bounded(bar.value + error)) + 5;
  parts.push(svgText(at, mid + 3.5, "tc-tick tc-f-muted", printed, `text-anchor="${negative ? "end" : "start"}"`));
  return parts.join("");
}
