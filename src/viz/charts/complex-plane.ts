import { InputError } from "../../errors.ts";
import {
  checkCount,
  checkNonEmpty,
  checkNumber,
  checkNumbers,
  checkObjects,
  checkOptions,
  checkSize,
} from "../check.ts";
import { Figure, svgLine, svgText, svgTitle } from "../figure.ts";
import { accessibleName, nonFiniteNote, titleBlock, type Captions } from "../parts/frame.ts";
import { bounded, largestOf, niceTicks } from "../parts/scale.ts";
import { formatNumber, px } from "../parts/text.ts";

/**
 * A complex number.
 * @category Figures
 */
export interface PlanePoint {
  readonly re: number;
  readonly im: number;
}

/**
 * What {@link complexPlane} draws.
 * @category Figures
 */
export interface ComplexPlaneOptions extends Captions {
  /** Eigenvalues, as points or as two lists of equal length. */
  readonly points: readonly PlanePoint[] | { readonly re: ArrayLike<number>; readonly im: ArrayLike<number> };
  /** How far from the centre: `log` (the default, as the Framework paper draws it) or `linear` in the modulus. */
  readonly radius?: "log" | "linear";
  /** The modulus at the rim; the largest one if left out. Give the same to all heads to compare them. */
  readonly rim?: number;
  /**
   * With `log`, how many powers of ten lie between centre and rim; 4 if left out. Smaller moduli are drawn at the
   * centre.
   */
  readonly decades?: number;
  /** A line under the picture, such as the copying score. */
  readonly caption?: string;
  /** Diameter of the plot in pixels; 260 if left out. Below 180 the rings carry no labels. */
  readonly size?: number;
}

/**
 * Eigenvalues in the complex plane: angle is the argument, distance from the centre the modulus, logarithmic or linear.
 *
 * The half of positive real parts is tinted, and the colour of a point is the sign of its real part: a head that copies
 * has its eigenvalues there (A Mathematical Framework for Transformer Circuits, "Summarizing OV/QK matrices").
 *
 * @param options - points, kind of radius and captions.
 * @returns the figure. Points that are NaN or infinite are left out and counted under the title.
 * @throws ShapeError if there are no points or the two lists differ in length.
 * @throws InputError if `rim` or `decades` is not positive.
 * @category Figures
 * @example
 * ```ts
 * import { complexPlane } from "transformer-circuits/viz";
 *
 * const figure = complexPlane({ points: [{ re: 10, im: 0 }, { re: 0, im: -1 }], title: "L1H4" });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>10, |λ| = 10, 0°</title> <title>−1i, |λ| = 1, −90°</title>
 * ```
 */
export function complexPlane(options: ComplexPlaneOptions): Figure {
  checkOptions(options, "complexPlane", "points radius rim decades caption size");
  const points = readPoints(options.points);
  const finite = points.filter(({ re, im }) => Number.isFinite(re) && Number.isFinite(im));
  const size = options.size ?? 260;
  checkSize(size, "complexPlane", "size");
  checkPositive(options.rim, "rim");
  checkPositive(options.decades, "decades");
  const largest = largestOf(finite.map(modulusOf), 0);
  const rim = options.rim ?? (largest === 0 ? 1 : largest);
  const margin = size < 180 ? 10 : 22;
  const width = size + 2 * margin;
  const notes = nonFiniteNote(points.length - finite.length, "point", "left out");
  const head =
    size < 180 && options.subtitle === undefined && notes.length === 0
      ? smallTitle(options, width)
      : titleBlock(options, width, notes);
  const center: Point = [margin + size / 2, head.height + (size < 180 ? 2 : 14) + size / 2];
  const polar: Polar = {
    center,
    radius: size / 2,
    rim,
    log: options.radius !== "linear",
    decades: options.decades ?? 4,
  };
  const bottom = center[1] + size / 2 + (size < 180 ? 4 : 16);
  const caption =
    options.caption === undefined
      ? ""
      : svgText(center[0], bottom + 12, "tc-lab tc-f-ink", options.caption, 'text-anchor="middle"');
  return new Figure({
    kind: "complexPlane",
    width,
    height: bottom + (options.caption === undefined ? 2 : 20),
    label: accessibleName(options, `${points.length} eigenvalues in the complex plane`),
    content: [
      head.markup,
      drawGround(polar, size >= 180),
      ...finite.map((point) => drawPoint(point, polar, size)),
      caption,
    ]
      .filter((part) => part !== "")
      .join("\n"),
  });
}

/** A small plot has its title centred, as its caption is. */
function smallTitle(options: ComplexPlaneOptions, width: number): { markup: string; height: number } {
  if (options.title === undefined) return { markup: "", height: 0 };
  return { markup: svgText(width / 2, 11, "tc-lab tc-b tc-f-ink", options.title, 'text-anchor="middle"'), height: 15 };
}

type Point = readonly [number, number];

interface Polar {
  readonly center: Point;
  readonly radius: number;
  readonly rim: number;
  readonly log: boolean;
  readonly decades: number;
}

function isTwoLists(points: ComplexPlaneOptions["points"]): points is Exclude<typeof points, readonly PlanePoint[]> {
  return typeof points === "object" && (points as unknown) !== null && "re" in points;
}

function readPoints(points: ComplexPlaneOptions["points"]): readonly PlanePoint[] {
  if (isTwoLists(points)) {
    checkNumbers(points.re, "complexPlane", "points.re");
    checkNumbers(points.im, "complexPlane", "points.im");
    checkCount(points.im.length, points.re.length, "complexPlane", "points.im", "real parts");
    const { im } = points;
    const list = Array.from(points.re, (re, i) => ({ re, im: im[i] as number }));
    checkNonEmpty(list.length, "complexPlane", "points");
    return list;
  }
  checkObjects(points, "complexPlane", "points");
  for (const [i, { re, im }] of points.entries()) {
    checkNumber(re, "complexPlane", `points[${i}].re`);
    checkNumber(im, "complexPlane", `points[${i}].im`);
  }
  checkNonEmpty(points.length, "complexPlane", "points");
  return points;
}

function checkPositive(value: number | undefined, argument: string): void {
  if (value !== undefined && !(value > 0 && value < Infinity)) {
    throw new InputError(`${argument} is ${value}. Give a positive number.`, {
      operation: "complexPlane",
      argument,
      expected: "> 0",
      actual: value,
    });
  }
}

function modulusOf({ re, im }: PlanePoint): number {
  return bounded(Math.hypot(re, im));
}

/** Powers of ten from the largest number to the smallest. */
const DECADES = 632;

/** Distance from the centre, as a share of the rim's. */
function reach(modulus: number, polar: Polar): number {
  const ratio = modulus / polar.rim;
  if (!polar.log) return Math.min(1, ratio);
  return Math.max(0, Math.min(1, 1 + Math.log10(ratio) / polar.decades));
}

function drawGround(polar: Polar, labelled: boolean): string {
  const { center, radius, rim } = polar;
  const [x, y] = center;
  const half = `<path class="tc-f-pos" fill-opacity="0.07" d="M${px(x)} ${px(y - radius)}A${radius} ${radius} 0 0 1 ${px(x)} ${px(y + radius)}Z"/>`;
  const parts = [half];
  const top = Math.floor(Math.log10(rim));
  const rings = polar.log
    ? Array.from({ length: Math.min(DECADES, Math.ceil(polar.decades)) }, (_, k) => Number(`1e${top - k}`))
    : niceTicks([0, rim], 3);
  for (const ring of rings) {
    const r = reach(ring, polar) * radius;
    if (r <= 2) continue;
    parts.push(
      `<circle class="tc-line ${ring === 1 ? "tc-s-axis" : "tc-s-grid"}" cx="${px(x)}" cy="${px(y)}" r="${px(r)}"/>`,
    );
    if (!labelled || r < 12) continue;
    const [dx, dy] = [r * Math.cos(1.95), -r * Math.sin(1.95)];
    parts.push(svgText(x + dx, y + dy + 3, "tc-small tc-f-muted", ringText(ring, polar.log), 'text-anchor="middle"'));
  }
  parts.push(`<circle class="tc-line tc-s-axis" cx="${px(x)}" cy="${px(y)}" r="${px(radius)}"/>`);
  parts.push(
    svgLine(x - radius, y, x + radius, y, 'class="tc-s-axis tc-crisp"'),
    svgLine(x, y - radius, x, y + radius, 'class="tc-s-grid tc-crisp"'),
  );
  parts.push(svgLine(x, y, x + radius, y, 'class="tc-s-pos" stroke-width="2"'));
  if (labelled) {
    parts.push(
      svgText(x + radius + 5, y + 3.5, "tc-tick tc-b tc-f-pos", "+"),
      svgText(x - radius - 5, y + 3.5, "tc-tick tc-b tc-f-neg", "−", 'text-anchor="end"'),
    );
    parts.push(
      svgText(x, y - radius - 5, "tc-tick tc-f-muted", "+i", 'text-anchor="middle"'),
      svgText(x, y + radius + 12, "tc-tick tc-f-muted", "−i", 'text-anchor="middle"'),
    );
  }
  return parts.join("\n");
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function ringText(ring: number, log: boolean): string {
  if (!log || (ring > 0.05 && ring < 500)) return formatNumber(ring);
  const power = Math.round(Math.log10(ring));
  return `10${power < 0 ? "⁻" : ""}${[...Math.abs(power).toString()].map((digit) => SUPERSCRIPTS.charAt(Number(digit))).join("")}`;
}

function complexText({ re, im }: PlanePoint): string {
  if (im === 0) return formatNumber(re);
  if (re === 0) return `${formatNumber(im)}i`;
  return `${formatNumber(re)} ${im < 0 ? "−" : "+"} ${formatNumber(Math.abs(im))}i`;
}

function drawPoint(point: PlanePoint, polar: Polar, size: number): string {
  const modulus = modulusOf(point);
  // + 0 keeps a negative zero from turning a real number's angle to -180°.
  const angle = modulus === 0 ? 0 : Math.atan2(point.im + 0, point.re);
  const r = modulus === 0 ? 0 : reach(modulus, polar) * polar.radius;
  const [x, y] = [polar.center[0] + r * Math.cos(angle), polar.center[1] - r * Math.sin(angle)];
  const paint = modulus === 0 ? "muted" : point.re < 0 ? "neg" : "pos";
  const name = `${complexText(point)}, |λ| = ${formatNumber(modulus)}, ${formatNumber((angle * 180) / Math.PI)}°`;
  return `<circle class="tc-f-${paint}" fill-opacity="0.7" cx="${px(x)}" cy="${px(y)}" r="${size < 180 ? 2.4 : 3.6}">${svgTitle(name)}</circle>`;
}
