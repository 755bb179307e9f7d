import { InputError } from "../../errors.ts";
import {
  checkCount,
  checkDomain,
  checkFinite,
  checkNonEmpty,
  checkNumbers,
  checkObjects,
  checkOptions,
  checkSize,
  checkText,
  countNonFinite,
} from "../check.ts";
import { Figure, svgLine, svgRect, svgText, svgTitle, NARROW, narrowFrom } from "../figure.ts";
import {
  accessibleName,
  chartGround,
  figureSide,
  leftMargin,
  nonFiniteNote,
  tickCount,
  titleBlock,
  type Captions,
  type ChartGround,
} from "../parts/frame.ts";
import { spreadApart } from "../parts/label-placement.ts";
import { extent, largestOf, niceDomain, widened, type Domain, type Frame } from "../parts/scale.ts";
import { SERIES_COLORS, TYPE } from "../parts/style.ts";
import { formatNumber, labelText, px, textWidth, truncate } from "../parts/text.ts";

/**
 * One line of a {@link lineChart}.
 * @category Figures
 */
export interface LineSeries {
  readonly name: string;
  readonly y: ArrayLike<number>;
  /** Where the values stand, in ascending order; 0, 1, 2 … if left out. */
  readonly x?: ArrayLike<number>;
  /** A shaded band around the line, such as mean plus and minus one standard deviation. */
  readonly band?: { readonly lower: ArrayLike<number>; readonly upper: ArrayLike<number> };
}

/**
 * A shaded span of the x axis.
 * @category Figures
 */
export interface Region {
  readonly from: number;
  readonly to: number;
  readonly label?: string;
}

/**
 * A dashed line across a chart at a known value, such as $\ln V$ for a uniform guess.
 * @category Figures
 */
export interface ReferenceLine {
  readonly value: number;
  readonly label?: string;
}

/**
 * What {@link lineChart} draws.
 * @category Figures
 */
export interface LineChartOptions extends Captions {
  readonly series: readonly LineSeries[];
  readonly xLabel?: string;
  /** What is measured, with its unit: `loss (nats)`. */
  readonly yLabel?: string;
  readonly regions?: readonly Region[];
  /** Horizontal reference lines. */
  readonly references?: readonly ReferenceLine[];
  /** A place on the x axis that is pointed out by a line, such as the step that a figure beside shows. */
  readonly cursor?: number;
  readonly xDomain?: Domain;
  readonly yDomain?: Domain;
  readonly width?: number;
  readonly height?: number;
}

interface Prepared {
  readonly name: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly band: LineSeries["band"];
}

/**
 * Lines over a shared x axis, named at their right ends, over gridlines at 1-2-5 steps.
 *
 * Values that are NaN or infinite leave gaps and are counted under the title. A lone value between two gaps is a dot.
 *
 * @param options - series, labels, shaded regions and reference lines.
 * @returns the figure.
 * @throws ShapeError if there is no series, a series is empty, or its `x` or band has another length.
 * @throws InputError if nothing is finite or a domain, region or reference is not.
 * @category Figures
 * @example
 * ```ts
 * import { lineChart } from "transformer-circuits/viz";
 *
 * const figure = lineChart({
 *   series: [{ name: "repeated tokens", y: [6.9, 7.1, 0.4, 0.2] }],
 *   regions: [{ from: 2, to: 3, label: "second half" }],
 *   references: [{ value: Math.log(1024), label: "ln V" }],
 *   xLabel: "position",
 *   yLabel: "loss (nats)",
 * });
 * console.log(figure.width, figure.height, figure.svg.includes("ln V"));
 * // 680 320 true
 * ```
 */
export function lineChart(options: LineChartOptions): Figure {
  checkOptions(options, "lineChart", "series xLabel yLabel regions references cursor xDomain yDomain width height");
  checkObjects(options.series, "lineChart", "series");
  const series = options.series.map((one, index) => prepare(one, index));
  checkNonEmpty(series.length, "lineChart", "series");
  const given = { width: options.width ?? 680, height: options.height ?? 320 };
  checkSize(given.width, "lineChart", "width");
  checkSize(given.height, "lineChart", "height");
  const yTickCount = tickCount(given.height);
  const [xDomain, yDomain] = domains(series, options, yTickCount);
  const bad = series.reduce((sum, one) => sum + countNonFinite(one.y), 0);
  const head = titleBlock(options, given.width, nonFiniteNote(bad, "value", "left as gaps"));
  const endLabels = series.length > 1 ? largestOf(series.map(({ name }) => textWidth(name, TYPE.lab))) : 0;
  const left = leftMargin(yDomain, yTickCount);
  const top =
    head.height +
    (options.yLabel === undefined ? 8 : 24) +
    (options.regions?.some(({ label }) => label !== undefined) ? 4 : 0);
  const below = options.xLabel === undefined ? 24 : 40;
  const wholeX = series.every(({ x }) => Array.from(x).every(Number.isInteger));
  const height = figureSide(given.height, top + below);
  const groundWith = (right: number): { width: number; frame: Frame; ground: ChartGround } => {
    const width = figureSide(given.width, left + right);
    const frame = { left, top, width: width - left - right, height: height - top - below };
    const { xLabel, yLabel } = options;
    return { width, frame, ground: chartGround({ frame, xDomain, yDomain, yTickCount, wholeX, xLabel, yLabel }) };
  };
  const right = Math.max(12, Math.min(endLabels + 16, given.width * 0.3));
  const references = options.references ?? [];
  // Names of several series stand where texts that find no place on the ground would.
  const beside =
    series.length > 1 ? [] : references.filter((line) => !placeOf(line, groundWith(right).ground, series).isClear);
  const besideRoom =
    largestOf(
      beside.map((line) => textWidth(textOf(line), TYPE.tick)),
      0,
    ) + 8;
  const { width, frame, ground } = groundWith(beside.length === 0 ? right : Math.max(right, besideRoom));
  const content = [
    head.markup,
    ...drawRegions(options.regions ?? [], ground, xDomain),
    ground.markup,
    clipped(
      series.map((one, index) => drawSeries(one, index, ground)),
      frame,
      options.xDomain !== undefined || options.yDomain !== undefined,
    ),
    ...references.map((line) => drawReference(line, ground, series, beside.includes(line))),
    series.length > 1 ? drawNames(series, ground, width) : "",
    options.cursor === undefined ? "" : drawCursor(options.cursor, ground, xDomain),
  ];
  return new Figure({
    kind: "lineChart",
    width,
    height,
    narrow: narrowFrom(width, () => lineChart({ ...options, width: NARROW })),
    label: accessibleName(options, `line chart of ${series.map(({ name }) => name).join(", ")}`),
    content: content.filter((part) => part !== "").join("\n"),
  });
}

function prepare(series: LineSeries, index: number): Prepared {
  const name = `series[${index}]`;
  checkText(series.name, "lineChart", `${name}.name`);
  for (const axis of ["y", "x"] as const)
    if (axis === "y" || series.x !== undefined) checkNumbers(series[axis], "lineChart", `${name}.${axis}`);
  const count = series.y.length;
  checkNonEmpty(count, "lineChart", `${name}.y`);
  const x = series.x ?? Array.from({ length: count }, (_, i) => i);
  checkCount(x.length, count, "lineChart", `${name}.x`, "values of y");
  for (let i = 0; i < count; i++) checkFinite(x[i] as number, "lineChart", `${name}.x[${i}]`);
  if (series.band) {
    checkCount(series.band.lower.length, count, "lineChart", `${name}.band.lower`, "values of y");
    checkCount(series.band.upper.length, count, "lineChart", `${name}.band.upper`, "values of y");
  }
  return { name: labelText(series.name), x, y: series.y, band: series.band };
}

function domains(series: readonly Prepared[], options: LineChartOptions, yTickCount: number): [Domain, Domain] {
  for (const [i, line] of (options.references ?? []).entries())
    checkFinite(line.value, "lineChart", `references[${i}].value`);
  for (const [i, region] of (options.regions ?? []).entries())
    checkDomain([region.from, region.to], "lineChart", `regions[${i}]`);
  if (options.xDomain) checkDomain(options.xDomain, "lineChart", "xDomain");
  if (options.yDomain) checkDomain(options.yDomain, "lineChart", "yDomain");
  if (options.cursor !== undefined) checkFinite(options.cursor, "lineChart", "cursor");
  const x = extent(series.map((one) => one.x)) ?? [0, 1];
  const bands = series.flatMap(({ band }) => (band ? [band.lower, band.upper] : []));
  const y = extent([...series.map((one) => one.y), ...bands, (options.references ?? []).map(({ value }) => value)]);
  if (y === undefined || extent(series.map((one) => one.y)) === undefined) {
    throw new InputError("no value of any series is finite. There is nothing to draw.", {
      operation: "lineChart",
      argument: "series",
    });
  }
  // One place of a whole number has room for half a place on both sides.
  const whole = widened(x[0] === x[1] && Math.abs(x[0]) < 1e6 ? [x[0] - 0.5, x[1] + 0.5] : x);
  // A measure that comes near zero is read against zero.
  const based: Domain = y[0] > 0 && y[0] < 0.4 * y[1] ? [0, y[1]] : y;
  return [options.xDomain ?? whole, options.yDomain ?? niceDomain(based, 2 * yTickCount)];
}

/** Spans with their names, which go a line down where they would meet. */
function drawRegions(regions: readonly Region[], ground: ChartGround, domain: Domain): string[] {
  const lines: Domain[][] = [];
  const { left, width } = ground.frame;
  return regions.map((region) => {
    const [from, to] = [ground.x(Math.max(region.from, domain[0])), ground.x(Math.min(region.to, domain[1]))];
    if (to <= from) return "";
    const half = textWidth(region.label ?? "", TYPE.tick) / 2 + 3;
    const middle = (from + to) / 2;
    const at = half > width / 2 ? middle : Math.max(left + half, Math.min(left + width - half, middle));
    const free = lines.findIndex((taken) => taken.every(([a, b]) => b <= at - half || at + half <= a));
    const line = free < 0 ? lines.length : free;
    if (region.label !== undefined) (lines[line] ??= []).push([at - half, at + half]);
    return drawRegion(region, ground, { from, to, at, line });
  });
}

function drawCursor(cursor: number, ground: ChartGround, domain: Domain): string {
  const { top, height } = ground.frame;
  const x = ground.x(Math.max(domain[0], Math.min(domain[1], cursor)));
  return svgLine(x, top, x, top + height, 'class="tc-s-pos" stroke-width="1.5"');
}

/** A span from one pixel to another, its name at a pixel of a line. */
interface PlacedRegion {
  readonly from: number;
  readonly to: number;
  readonly at: number;
  readonly line: number;
}

function drawRegion(region: Region, ground: ChartGround, { from, to, at, line }: PlacedRegion): string {
  const { top, height } = ground.frame;
  const edge =
    from > ground.frame.left
      ? svgLine(from, top, from, top + height, 'class="tc-s-axis tc-crisp" stroke-dasharray="2 3"')
      : "";
  const shade = svgRect(from, top, to - from, height, 'class="tc-f-muted" fill-opacity="0.09"') + edge;
  if (region.label === undefined) return shade;
  return shade + svgText(at, top + 13 + 12 * line, "tc-tick tc-f-muted", region.label, 'text-anchor="middle"');
}

/** A nested `<svg>` cuts off what leaves the frame, where a given domain may leave some out. */
function clipped(parts: readonly string[], frame: Frame, cut: boolean): string {
  if (!cut) return parts.join("\n");
  const box = [frame.left, frame.top, frame.width, frame.height].map(px);
  return `<svg x="${box[0]}" y="${box[1]}" width="${box[2]}" height="${box[3]}" viewBox="${box.join(" ")}">\n${parts.join("\n")}\n</svg>`;
}

/** Places along a line that its label may have, and the pixels from the data that are enough. */
const PLACES = 9;
const CLEAR = 10;

function textOf({ label, value }: ReferenceLine): string {
  return `${label === undefined ? "" : `${labelText(label)} = `}${formatNumber(value)}`;
}

/** Where a label over its line begins, at the end that is farther from the data, or between where neither is clear. */
function placeOf(
  line: ReferenceLine,
  ground: ChartGround,
  series: readonly Prepared[],
): { readonly x: number; readonly isEnd: boolean; readonly isClear: boolean } {
  const { left, width } = ground.frame;
  const y = ground.y(line.value);
  const room = textWidth(textOf(line), TYPE.tick) + 10;
  const nearest = (from: number, to: number): number => {
    const gaps = series.flatMap((one) =>
      Array.from(one.y, (value, i) => {
        const at = ground.x(one.x[i] as number);
        return Number.isFinite(value) && at >= from && at <= to ? Math.abs(ground.y(value) - (y - 8)) : Infinity;
      }),
    );
    return gaps.reduce((a, b) => Math.min(a, b), Infinity);
  };
  const places = Array.from({ length: PLACES }, (_, k) => left + ((width - room) * k) / (PLACES - 1));
  const gaps = places.map((at) => nearest(at, at + room));
  // An end is where labels are looked for; elsewhere only where there is clearly more room.
  const [first = 0, last = 0] = [gaps[0], gaps[PLACES - 1]];
  const end = last > first ? PLACES - 1 : 0;
  const best = gaps.reduce((a, gap, k) => (gap > Math.max(gaps[a] ?? 0, CLEAR) ? k : a), end);
  const chosen = (gaps[end] ?? 0) >= CLEAR ? end : best;
  const isEnd = chosen === PLACES - 1;
  return {
    x: isEnd ? left + width - 5 : (places[chosen] ?? left) + 5,
    isEnd,
    isClear: (gaps[chosen] ?? 0) >= 0.6 * CLEAR,
  };
}

/** A level with its label over it, or beside the ground. */
function drawReference(
  line: ReferenceLine,
  ground: ChartGround,
  series: readonly Prepared[],
  isBeside: boolean,
): string {
  const { left, width } = ground.frame;
  const right = left + width;
  const y = ground.y(line.value);
  const level = svgLine(left, y, right, y, 'class="tc-s-ink" stroke-dasharray="3 3"');
  if (isBeside) return level + svgText(right + 5, y + 3.5, "tc-tick tc-f-ink", textOf(line));
  const { x, isEnd } = placeOf(line, ground, series);
  const anchor = isEnd ? 'text-anchor="end"' : "";
  return level + svgText(x, y - 4, "tc-tick tc-f-ink tc-s-bg tc-halo", textOf(line), anchor);
}

/** Runs of indices at which every list is finite. */
function finiteRuns(count: number, lists: readonly ArrayLike<number>[]): number[][] {
  const runs: number[][] = [];
  let run: number[] = [];
  for (let i = 0; i <= count; i++) {
    if (i < count && lists.every((list) => Number.isFinite(list[i]))) run.push(i);
    else {
      if (run.length > 0) runs.push(run);
      run = [];
    }
  }
  return runs;
}

function drawSeries(series: Prepared, index: number, ground: ChartGround): string {
  const color = index % SERIES_COLORS;
  const point = (i: number, list: ArrayLike<number>): string =>
    `${px(ground.x(series.x[i] as number))} ${px(ground.y(list[i] as number))}`;
  const parts: string[] = [];
  const { band } = series;
  if (band) {
    for (const run of finiteRuns(series.y.length, [band.lower, band.upper])) {
      const edge = [...run.map((i) => point(i, band.upper)), ...[...run].reverse().map((i) => point(i, band.lower))];
      parts.push(`<path class="tc-f-c${color}" fill-opacity="0.16" d="M${edge.join("L")}Z"/>`);
    }
  }
  for (const run of finiteRuns(series.y.length, [series.y])) {
    if (run.length === 1) {
      const [x = "", y = ""] = point(run[0] as number, series.y).split(" ");
      parts.push(`<circle class="tc-f-c${color}" cx="${x}" cy="${y}" r="2.5"/>`);
    } else {
      const d = `M${run.map((i) => point(i, series.y)).join("L")}`;
      parts.push(
        `<path class="tc-line tc-s-c${color}" stroke-width="1.6" stroke-linejoin="round" d="${d}">${svgTitle(series.name)}</path>`,
      );
    }
  }
  return parts.join("\n");
}

function drawNames(series: readonly Prepared[], ground: ChartGround, width: number): string {
  const right = ground.frame.left + ground.frame.width;
  const ends = series.map((one) => {
    for (let i = one.y.length - 1; i >= 0; i--) if (Number.isFinite(one.y[i])) return ground.y(one.y[i] as number);
    return ground.frame.top;
  });
  const apart = Math.min(13, ground.frame.height / Math.max(1, series.length - 1));
  const at = spreadApart(ends, apart, ground.frame.top, ground.frame.top + ground.frame.height);
  return series
    .map((one, i) =>
      svgText(
        right + 7,
        (at[i] as number) + 4,
        `tc-lab tc-f-c${i % SERIES_COLORS}`,
        truncate(one.name, width - right - 8, TYPE.lab),
      ),
    )
    .join("\n");
}
