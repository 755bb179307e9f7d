/** What charts share: title block, gridlines, axes with ticks and labels. */
import { svgLine, svgText } from "../figure.ts";
import { largestOf, niceTicks, shareOf, tickTexts, type Domain, type Frame } from "./scale.ts";
import { textWidth, TYPE_LINE, wrapText } from "./text.ts";
import { TYPE } from "./style.ts";

/**
 * What every figure may carry above its picture.
 * @category Figures
 */
export interface Captions {
  /** Bold line above the picture. */
  readonly title?: string;
  /** Smaller lines under the title: what was measured, on what, in which units. */
  readonly subtitle?: string;
}

/** How much wider bold text may be than its estimated width. */
export const BOLD = 1.12;

/** Title and subtitle as SVG, and the height they take. */
export function titleBlock(
  captions: Captions,
  width: number,
  notes: readonly string[] = [],
): { markup: string; height: number } {
  const lines: string[] = [];
  let y = 0;
  for (const line of captions.title === undefined ? [] : wrapText(captions.title, width / BOLD, TYPE.title)) {
    y += 17;
    lines.push(svgText(0, y - 4, "tc-title tc-f-ink", line));
  }
  const below = [captions.subtitle, ...notes].filter((text) => text !== undefined && text !== "").join(" ");
  for (const line of below === "" ? [] : wrapText(below, width, TYPE.sub)) {
    y += TYPE_LINE;
    lines.push(svgText(0, y - 3, "tc-sub tc-f-muted", line));
  }
  return { markup: lines.join("\n"), height: y === 0 ? 0 : y + 8 };
}

/** One line for screen readers: the title, or what kind of figure it is. */
export function accessibleName(captions: Captions, otherwise: string): string {
  return captions.title === undefined || captions.title === "" ? otherwise : captions.title;
}

/** The note that goes with values that are NaN or infinite. */
export function nonFiniteNote(count: number, what: string, drawn: string): string[] {
  return count === 0 ? [] : [`${count} ${what}${count === 1 ? "" : "s"} not finite (${drawn}).`];
}

/** A chart's ground: two linear axes in a frame. */
export interface ChartGround {
  readonly frame: Frame;
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly markup: string;
}

/** Where a chart's ground lies and what it says. */
export interface GroundOptions {
  readonly frame: Frame;
  readonly xDomain: Domain;
  readonly yDomain: Domain;
  readonly xLabel?: string | undefined;
  readonly yLabel?: string | undefined;
  /** Whether x ticks fall on whole numbers only. */
  readonly wholeX?: boolean;
  readonly verticalGrid?: boolean;
  /** About how many y ticks; see {@link tickCount}. */
  readonly yTickCount: number;
}

/** A tick with its text. */
export interface Tick {
  readonly value: number;
  readonly text: string;
}

/** Pixels a side of the smallest frame: captions and labels that leave less room make a figure larger. */
const LEAST_SIDE = 40;

/** The length of a figure's side: as asked for, or what captions and labels take and a smallest frame. */
export function figureSide(length: number, taken: number): number {
  return Math.max(length, taken + LEAST_SIDE);
}

/** Where a value stands on the x axis of a frame. */
export function xScale({ left, width }: Frame, domain: Domain): (value: number) => number {
  return (value) => left + width * shareOf(value, domain);
}

function yScale({ top, height }: Frame, domain: Domain): (value: number) => number {
  return (value) => top + height * (1 - shareOf(value, domain));
}

/** Gridlines, ticks and labels. The y label stands above its axis, the x label under the right end. */
export function chartGround(options: GroundOptions): ChartGround {
  const { frame, xDomain, yDomain } = options;
  const [x, y] = [xScale(frame, xDomain), yScale(frame, yDomain)];
  const right = frame.left + frame.width;
  const bottom = frame.top + frame.height;
  const parts: string[] = [];
  for (const { value, text } of ticksOf(niceTicks(yDomain, options.yTickCount))) {
    parts.push(svgLine(frame.left, y(value), right, y(value), 'class="tc-s-grid tc-crisp"'));
    parts.push(svgText(frame.left - 8, y(value) + 3.5, "tc-tick tc-f-muted", text, 'text-anchor="end"'));
  }
  for (const { value, text } of xTicks(frame, xDomain, 76, options.wholeX)) {
    if (options.verticalGrid === true)
      parts.push(svgLine(x(value), frame.top, x(value), bottom, 'class="tc-s-grid tc-crisp"'));
    parts.push(svgLine(x(value), bottom, x(value), bottom + 4, 'class="tc-s-axis tc-crisp"'));
    parts.push(svgText(x(value), bottom + 15, "tc-tick tc-f-muted", text, 'text-anchor="middle"'));
  }
  parts.push(svgLine(frame.left, bottom, right, bottom, 'class="tc-s-axis tc-crisp"'));
  if (options.yLabel !== undefined) parts.push(svgText(0, frame.top - 10, "tc-lab tc-f-muted", `↑ ${options.yLabel}`));
  if (options.xLabel !== undefined)
    parts.push(svgText(right, bottom + 31, "tc-lab tc-f-muted", `${options.xLabel} →`, 'text-anchor="end"'));
  return { frame, x, y, markup: parts.join("\n") };
}

function ticksOf(values: readonly number[]): Tick[] {
  const texts = tickTexts(values);
  return values.map((value, i) => ({ value, text: texts[i] ?? "" }));
}

function widthOf(ticks: readonly Tick[]): number {
  return largestOf(
    ticks.map(({ text }) => textWidth(text, TYPE.tick)),
    0,
  );
}

/** The ticks of an x axis, `apart` pixels from one another or as much more as their texts need. */
export function xTicks(frame: Frame, domain: Domain, apart: number, whole = false): Tick[] {
  let ticks: Tick[] = [];
  for (let count = Math.min(MOST_TICKS, Math.max(2, Math.floor(frame.width / apart))); count >= 2; count--) {
    ticks = ticksOf(niceTicks(domain, count).filter((tick) => !whole || Number.isInteger(tick)));
    const [first, second] = ticks;
    if (first === undefined || second === undefined) return ticks;
    const gap = frame.width * (shareOf(second.value, domain) - shareOf(first.value, domain));
    if (gap >= widthOf(ticks) + 4) return ticks;
  }
  return ticks.slice(0, 1);
}

const MOST_TICKS = 100;

/** How many y ticks suit a figure of some height; the same number rounds the domain, so that its ends are ticks. */
export function tickCount(height: number): number {
  return Math.min(MOST_TICKS, Math.max(2, Math.floor((height - 64) / 52)));
}

/** Room that y tick texts need to the left of a frame. */
export function leftMargin(yDomain: Domain, yTickCount: number): number {
  return Math.ceil(widthOf(ticksOf(niceTicks(yDomain, yTickCount)))) + 10;
}
