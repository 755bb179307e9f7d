import { InputError } from "../../errors.ts";
import { checkFinite, checkNonEmpty, checkNumbers, checkOptions, checkSize, countNonFinite } from "../check.ts";
import { Figure, svgLine, svgRect, svgText, svgTitle, NARROW, narrowFrom } from "../figure.ts";
import {
  accessibleName,
  chartGround,
  type ChartGround,
  figureSide,
  leftMargin,
  nonFiniteNote,
  tickCount,
  titleBlock,
  type Captions,
} from "../parts/frame.ts";
import type { ReferenceLine } from "./line-chart.ts";
import { bounded, extent, largestOf, niceDomain, niceStep, shareOf, type Domain } from "../parts/scale.ts";
import { TYPE } from "../parts/style.ts";
import { formatNumber, labelText, plural, textWidth } from "../parts/text.ts";

/**
 * What {@link histogram} draws.
 * @category Figures
 */
export interface HistogramOptions extends Captions {
  readonly values: ArrayLike<number>;
  /** About how many bins; their edges fall on 1-2-5 steps. The square root of the count if left out. */
  readonly bins?: number;
  readonly xLabel?: string;
  /** What is counted: `heads`. */
  readonly yLabel?: string;
  /** Vertical reference lines, such as the value of one head among random ones. */
  readonly references?: readonly ReferenceLine[];
  readonly width?: number;
  readonly height?: number;
}

/**
 * Counts of values in bins whose edges are round numbers. A bin holds its lower edge; the last holds both.
 *
 * @param options - values, number of bins, labels and reference lines.
 * @returns the figure. Values that are NaN or infinite are left out and counted under the title.
 * @throws ShapeError if there are no values.
 * @throws InputError if no value is finite, or `bins` is not a whole number of at least 1.
 * @category Figures
 * @example
 * ```ts
 * import { histogram } from "transformer-circuits/viz";
 *
 * const figure = histogram({ values: [-0.9, 0.1, 0.15, 0.8], bins: 4, xLabel: "copying score" });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>−1 to −0.5: 1</title> <title>0 to 0.5: 2</title> <title>0.5 to 1: 1</title>
 * ```
 */
export function histogram(options: HistogramOptions): Figure {
  checkOptions(options, "histogram", "values bins xLabel yLabel references width height");
  checkNumbers(options.values, "histogram", "values");
  const { values } = options;
  checkNonEmpty(values.length, "histogram", "values");
  if (options.bins !== undefined) checkSize(options.bins, "histogram", "bins");
  for (const [i, line] of (options.references ?? []).entries())
    checkFinite(line.value, "histogram", `references[${i}].value`);
  const { edges, counts } = countBins(values, options.bins, options.references ?? []);
  const xDomain: Domain = [edges[0] as number, edges[edges.length - 1] as number];
  const given = { width: options.width ?? 480, height: options.height ?? 260 };
  checkSize(given.width, "histogram", "width");
  checkSize(given.height, "histogram", "height");
  const yTickCount = tickCount(given.height);
  const yDomain = niceDomain([0, largestOf(counts)], yTickCount);
  const head = titleBlock(options, given.width, nonFiniteNote(countNonFinite(values), "value", "left out"));
  const left = leftMargin(yDomain, yTickCount);
  const top = head.height + 24;
  const below = options.xLabel === undefined ? 24 : 40;
  const width = figureSide(given.width, left + 14);
  const height = figureSide(given.height, top + below);
  const frame = { left, top, width: width - left - 14, height: height - top - below };
  const ground = chartGround({
    frame,
    xDomain,
    yDomain,
    yTickCount,
    xLabel: options.xLabel,
    yLabel: options.yLabel ?? "count",
  });
  const format = edgeFormat(edges);
  const bars = counts.flatMap((count, k) => {
    const [from, to] = [edges[k] as number, edges[k + 1] as number];
    const name = `${formatNumber(from, format)} to ${formatNumber(to, format)}: ${formatNumber(count, { decimals: 0 })}`;
    const shape = [
      ground.x(from) + 0.5,
      ground.y(count),
      ground.x(to) - ground.x(from) - 1,
      ground.y(0) - ground.y(count),
    ] as const;
    return count === 0 ? [] : [svgRect(...shape, 'class="tc-f-c0" fill-opacity="0.8"', svgTitle(name))];
  });
  const lines = drawReferences(options.references ?? [], ground);
  return new Figure({
    kind: "histogram",
    width,
    height,
    narrow: narrowFrom(width, () => histogram({ ...options, width: NARROW })),
    label: accessibleName(options, `histogram of ${plural(values.length, "value")}`),
    content: [head.markup, ground.markup, ...bars, lines].filter((part) => part !== "").join("\n"),
  });
}

/** Vertical lines with their texts at the top, those that would lie over one another one below the other. */
function drawReferences(references: readonly ReferenceLine[], { x: xOf, frame }: ChartGround): string {
  const ends: number[] = [];
  const right = frame.left + frame.width;
  const placed = references
    .map(({ value, label }) => {
      const x = xOf(value);
      const text = `${label === undefined ? "" : `${labelText(label)} = `}${formatNumber(value)}`;
      const room = textWidth(text, TYPE.tick) + 6;
      const flip = x + room > right && x - room >= frame.left;
      return { x, text, flip, from: flip ? x - room : x, to: flip ? x : x + room };
    })
    .sort((a, b) => a.from - b.from);
  const lines: string[] = [];
  const texts = placed.map(({ x, text, flip, from, to }) => {
    const free = ends.findIndex((end) => end <= from);
    const line = free < 0 ? ends.length : free;
    ends[line] = to;
    lines.push(svgLine(x, frame.top, x, frame.top + frame.height, 'class="tc-s-ink" stroke-dasharray="3 3"'));
    const classes = "tc-tick tc-f-ink tc-s-bg tc-halo";
    return svgText(x + (flip ? -4 : 4), frame.top + 9 + 12 * line, classes, text, flip ? 'text-anchor="end"' : "");
  });
  return [...lines, ...texts].join("\n");
}

/** More bins than this are narrower than a pixel. */
const MOST_BINS = 1000;

/** Three digits, or as many as tell neighbouring edges apart. */
function edgeFormat(edges: readonly number[]): { readonly significant: number } {
  const [first = 0, second = 0] = edges;
  const size = Math.max(Math.abs(first), Math.abs(edges[edges.length - 1] ?? 0));
  const digits = 1 + Math.floor(Math.log10(size)) - Math.floor(Math.log10(bounded(second - first)));
  return { significant: Math.max(3, Math.min(17, digits + 1)) };
}

function countBins(
  values: ArrayLike<number>,
  bins: number | undefined,
  references: readonly ReferenceLine[],
): { edges: number[]; counts: number[] } {
  const data = extent([values]);
  if (data === undefined) {
    throw new InputError("no value is finite. There is nothing to draw.", {
      operation: "histogram",
      argument: "values",
    });
  }
  const count = Math.min(MOST_BINS, bins ?? Math.min(60, Math.max(5, Math.ceil(Math.sqrt(values.length)))));
  const [low, high] = extent([data, references.map(({ value }) => value)]) ?? data;
  const [from, to] = niceDomain([low, high], count);
  const span = bounded(to - from);
  const size = Math.max(1, Math.round(span / niceStep(span, count)) || 1);
  const edges = Array.from({ length: size + 1 }, (_, k) => from * (1 - k / size) + to * (k / size));
  const counts = Array.from({ length: size }, () => 0);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    const bin = Math.min(size - 1, Math.floor(shareOf(value, [from, to]) * size + 1e-9));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { edges, counts };
}
