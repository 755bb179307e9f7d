/** What charts share: title block, gridlines, axes with ticks and labels. */
import { svgLine, svgText } from "../figure.ts";
import { dataToPixels, niceTicks, tickDecimals, type Domain, type Frame, type Transform, project } from "./scale.ts";
import { formatNumber, textWidth, TYPE_LINE, wrapText } from "./text.ts";
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

/** Title and subtitle as SVG, and the height they take. */
export function titleBlock(
  captions: Captions,
  width: number,
  notes: readonly string[] = [],
): { markup: string; height: number } {
  const lines: string[] = [];
  let y = 0;
  for (const line of captions.title === undefined ? [] : wrapText(captions.title, width, TYPE.title)) {
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
  readonly toPixels: Transform;
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

/** Gridlines, ticks and labels. The y label stands above its axis, the x label under the right end. */
export function chartGround(options: GroundOptions): ChartGround {
  const { frame, xDomain, yDomain } = options;
  const toPixels = dataToPixels(frame, xDomain, yDomain);
  const x = (value: number): number => project(toPixels, value, yDomain[0])[0];
  const y = (value: number): number => project(toPixels, xDomain[0], value)[1];
  const right = frame.left + frame.width;
  const bottom = frame.top + frame.height;
  const xTicks = niceTicks(xDomain, Math.max(2, Math.floor(frame.width / 76))).filter(
    (t) => options.wholeX !== true || Number.isInteger(t),
  );
  const yTicks = niceTicks(yDomain, options.yTickCount);
  const parts: string[] = [];
  for (const [ticks, tick] of yTicks.map((t) => [yTicks, t] as const)) {
    parts.push(svgLine(frame.left, y(tick), right, y(tick), 'class="tc-s-grid tc-crisp"'));
    parts.push(
      svgText(
        frame.left - 8,
        y(tick) + 3.5,
        "tc-tick tc-f-muted",
        formatNumber(tick, { decimals: tickDecimals(ticks) }),
        'text-anchor="end"',
      ),
    );
  }
  for (const tick of xTicks) {
    if (options.verticalGrid === true)
      parts.push(svgLine(x(tick), frame.top, x(tick), bottom, 'class="tc-s-grid tc-crisp"'));
    parts.push(svgLine(x(tick), bottom, x(tick), bottom + 4, 'class="tc-s-axis tc-crisp"'));
    parts.push(
      svgText(
        x(tick),
        bottom + 15,
        "tc-tick tc-f-muted",
        formatNumber(tick, { decimals: tickDecimals(xTicks) }),
        'text-anchor="middle"',
      ),
    );
  }
  parts.push(svgLine(frame.left, bottom, right, bottom, 'class="tc-s-axis tc-crisp"'));
  if (options.yLabel !== undefined) parts.push(svgText(0, frame.top - 10, "tc-lab tc-f-muted", `↑ ${options.yLabel}`));
  if (options.xLabel !== undefined)
    parts.push(svgText(right, bottom + 31, "tc-lab tc-f-muted", `${options.xLabel} →`, 'text-anchor="end"'));
  return { frame, toPixels, x, y, markup: parts.join("\n") };
}

/** Width of the widest tick text. */
function tickWidth(ticks: readonly number[]): number {
  return Math.max(
    0,
    ...ticks.map((tick) => textWidth(formatNumber(tick, { decimals: tickDecimals(ticks) }), TYPE.tick)),
  );
}

/** How many y ticks suit a figure of some height; the same number rounds the domain, so that its ends are ticks. */
export function tickCount(height: number): number {
  return Math.max(2, Math.floor((height - 64) / 52));
}

/** Room that y tick texts need to the left of a frame. */
export function leftMargin(yDomain: Domain, yTickCount: number): number {
  return Math.ceil(tickWidth(niceTicks(yDomain, yTickCount))) + 10;
}
