import { InputError } from "../../errors.ts";
import { checkDomain, checkNonEmpty, checkNumber, checkObjects, checkOptions, checkSize } from "../check.ts";
import { Figure, svgLine, svgText, svgTitle, NARROW, narrowFrom } from "../figure.ts";
import {
  accessibleName,
  chartGround,
  figureSide,
  leftMargin,
  nonFiniteNote,
  tickCount,
  titleBlock,
  type Captions,
} from "../parts/frame.ts";
import { drawLegend } from "../parts/legend.ts";
import { nearestOf, placeFarLabels, placeLabels } from "../parts/label-placement.ts";
import { extent, niceDomain, type Domain, type Frame } from "../parts/scale.ts";
import { SERIES_COLORS, TYPE } from "../parts/style.ts";
import { formatNumber, labelText, plural, px, textWidth } from "../parts/text.ts";

/**
 * One point of a {@link scatter}.
 * @category Figures
 */
export interface ScatterPoint {
  readonly x: number;
  readonly y: number;
  /** Written beside the point where there is room, and shown on hover always. */
  readonly label?: string;
  /** Points of one group share a colour and a line in the legend. */
  readonly group?: string;
}

/**
 * What {@link scatter} draws.
 * @category Figures
 */
export interface ScatterOptions extends Captions {
  readonly points: readonly ScatterPoint[];
  readonly xDomain?: Domain;
  readonly yDomain?: Domain;
  readonly xLabel?: string;
  readonly yLabel?: string;
  /** Whether lines through zero divide the plot; they do where zero is inside, unless this is `false`. */
  readonly quadrants?: boolean;
  /** Whether a line joins the points in their order; it does not unless this is `true`. */
  readonly path?: boolean;
  /** Whether the line of equal x and y is drawn; it is not unless this is `true`. */
  readonly diagonal?: boolean;
  /** How many labels are drawn at most, those of the first points; 400 unless given. The others are left to hover. */
  readonly mostLabels?: number;
  readonly width?: number;
  readonly height?: number;
}

const RADIUS = 4;

/**
 * Points in the plane with labels that do not overlap, and lines through zero.
 *
 * Labels are placed greedily in the order of the points, one for points that lie on one another; one that finds no
 * place beside its point stands further away with a line to it, and where there is no room at all it is left to hover.
 * The Framework paper's "QK vs. OV positivity" figure is this with one point for each head.
 *
 * @param options - points, domains and labels.
 * @returns the figure. Points that are NaN or infinite, or outside a given domain, are left out and counted under the
 * title.
 * @throws ShapeError if there are no points.
 * @throws InputError if no point is finite or a domain is not two finite ascending numbers.
 * @category Figures
 * @example
 * ```ts
 * import { scatter } from "transformer-circuits/viz";
 *
 * const figure = scatter({
 *   points: [{ x: 0.9, y: 0.8, label: "L1H4", group: "induction" }, { x: -0.1, y: 0.2, label: "L1H0" }],
 *   xDomain: [-1, 1],
 *   yDomain: [-1, 1],
 *   xLabel: "OV copying score",
 *   yLabel: "QK positivity",
 * });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>L1H4: 0.9, 0.8</title> <title>L1H0: −0.1, 0.2</title>
 * ```
 */
export function scatter(options: ScatterOptions): Figure {
  checkOptions(
    options,
    "scatter",
    "points xDomain yDomain xLabel yLabel quadrants path diagonal mostLabels width height",
  );
  checkObjects(options.points, "scatter", "points");
  for (const [i, { x, y }] of options.points.entries()) {
    checkNumber(x, "scatter", `points[${i}].x`);
    checkNumber(y, "scatter", `points[${i}].y`);
  }
  const { points } = options;
  checkNonEmpty(points.length, "scatter", "points");
  const finite = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const given = { width: options.width ?? 480, height: options.height ?? 440 };
  checkSize(given.width, "scatter", "width");
  checkSize(given.height, "scatter", "height");
  if (options.mostLabels !== undefined) checkSize(options.mostLabels, "scatter", "mostLabels");
  const yTickCount = tickCount(given.height);
  const [xDomain, yDomain] = scatterDomains(finite, options, yTickCount);
  const drawn = finite.filter(({ x, y }) => x >= xDomain[0] && x <= xDomain[1] && y >= yDomain[0] && y <= yDomain[1]);
  const outside =
    drawn.length === finite.length ? [] : [`${plural(finite.length - drawn.length, "point")} outside the axes.`];
  const head = titleBlock(options, given.width, [
    ...nonFiniteNote(points.length - finite.length, "point", "left out"),
    ...outside,
  ]);
  const groups = [...new Set(points.flatMap(({ group }) => (group === undefined ? [] : [group])))];
  const legend = drawLegend(groups, head.height + 10, given.width);
  const left = leftMargin(yDomain, yTickCount);
  const top = head.height + legend.height + 24;
  // The last label is centred on the frame's edge.
  const right = Math.max(14, Math.ceil(textWidth(formatNumber(xDomain[1]), TYPE.tick) / 2) + 2);
  const width = figureSide(given.width, left + right);
  const height = figureSide(given.height, top + 40);
  const frame: Frame = { left, top, width: width - left - right, height: height - top - 40 };
  const ground = chartGround({
    frame,
    xDomain,
    yDomain,
    yTickCount,
    xLabel: options.xLabel,
    yLabel: options.yLabel,
    verticalGrid: true,
  });
  const places = drawn.map(({ x, y }) => [ground.x(x), ground.y(y)] as const);
  const dots = drawn.map((point, i) => {
    const [x, y] = places[i] as readonly [number, number];
    const name = `${point.label === undefined ? "" : `${labelText(point.label)}: `}${formatNumber(point.x)}, ${formatNumber(point.y)}`;
    return `<circle class="tc-f-${paintOf(point, groups)} tc-s-bg" stroke-width="0.8" fill-opacity="0.85" cx="${px(x)}" cy="${px(y)}" r="${RADIUS}">${svgTitle(name)}</circle>`;
  });
  return new Figure({
    kind: "scatter",
    width,
    height,
    narrow: narrowFrom(width, () => scatter({ ...options, width: NARROW, height: Math.min(given.height, 380) })),
    label: accessibleName(options, `scatter plot of ${points.length} points`),
    content: [
      head.markup,
      legend.markup,
      ground.markup,
      options.quadrants === false ? "" : zeroLines(frame, xDomain, yDomain, ground),
      options.diagonal === true ? diagonal(xDomain, yDomain, ground) : "",
      options.path === true ? pathThrough(places) : "",
      ...dots,
      drawLabels(drawn, places, frame, options.mostLabels ?? MOST_LABELS),
    ]
      .filter((part) => part !== "")
      .join("\n"),
  });
}

function scatterDomains(
  points: readonly ScatterPoint[],
  options: ScatterOptions,
  yTickCount: number,
): [Domain, Domain] {
  const x = extent([points.map((point) => point.x)]);
  const y = extent([points.map((point) => point.y)]);
  if (x === undefined || y === undefined) {
    throw new InputError("no point is finite. There is nothing to draw.", { operation: "scatter", argument: "points" });
  }
  if (options.xDomain) checkDomain(options.xDomain, "scatter", "xDomain");
  if (options.yDomain) checkDomain(options.yDomain, "scatter", "yDomain");
  return [options.xDomain ?? niceDomain(x, 5), options.yDomain ?? niceDomain(y, yTickCount)];
}

function paintOf(point: ScatterPoint, groups: readonly string[]): string {
  return point.group === undefined ? "muted" : `c${groups.indexOf(point.group) % SERIES_COLORS}`;
}

function zeroLines(
  frame: Frame,
  xDomain: Domain,
  yDomain: Domain,
  ground: { x: (v: number) => number; y: (v: number) => number },
): string {
  const inside = (domain: Domain): boolean => domain[0] <= 0 && domain[1] >= 0;
  const vertical = inside(xDomain)
    ? svgLine(ground.x(0), frame.top, ground.x(0), frame.top + frame.height, 'class="tc-s-axis tc-crisp"')
    : "";
  return (
    vertical +
    (inside(yDomain)
      ? svgLine(frame.left, ground.y(0), frame.left + frame.width, ground.y(0), 'class="tc-s-axis tc-crisp"')
      : "")
  );
}

/** The line of equal x and y, as far as both domains go. */
function diagonal(
  xDomain: Domain,
  yDomain: Domain,
  { x, y }: { x: (v: number) => number; y: (v: number) => number },
): string {
  const [from, to] = [Math.max(xDomain[0], yDomain[0]), Math.min(xDomain[1], yDomain[1])];
  return from < to ? svgLine(x(from), y(from), x(to), y(to), 'class="tc-s-axis" stroke-dasharray="3 3"') : "";
}

/** A line through all points in order. */
function pathThrough(places: readonly (readonly [number, number])[]): string {
  const points = places.map(([x, y]) => `${px(x)},${px(y)}`).join(" ");
  return `<polyline class="tc-line tc-s-axis" points="${points}"/>`;
}

/** Labels tried in their order, unless the caller says how many; a plot has room for fewer. */
const MOST_LABELS = 400;

/** Points that lie on one another share a label, which names them all. */
function sharedLabels(
  points: readonly ScatterPoint[],
  places: readonly (readonly [number, number])[],
  most: number,
): { readonly text: string; readonly at: readonly [number, number] }[] {
  const shared: { readonly names: string[]; readonly at: readonly [number, number] }[] = [];
  // Those near a point lie in its square of the grid or a neighbouring one.
  const squares = new Map<string, (typeof shared)[number][]>();
  for (const [i, { label }] of points.entries()) {
    if (label === undefined) continue;
    const at = places[i] as readonly [number, number];
    const [column, row] = [Math.floor(at[0] / RADIUS), Math.floor(at[1] / RADIUS)];
    const near = NEIGHBOURS.flatMap(([dx, dy]) => squares.get(`${column + dx} ${row + dy}`) ?? []);
    const found = near.find((one) => Math.hypot(one.at[0] - at[0], one.at[1] - at[1]) <= RADIUS);
    if (found !== undefined) {
      found.names.push(labelText(label));
      continue;
    }
    const one = { names: [labelText(label)], at };
    shared.push(one);
    const key = `${column} ${row}`;
    squares.set(key, [...(squares.get(key) ?? []), one]);
  }
  return shared.slice(0, most).map(({ names, at }) => ({ text: names.join(", "), at }));
}

const NEIGHBOURS = [-1, 0, 1].flatMap((dx) => [-1, 0, 1].map((dy) => [dx, dy] as const));

function drawLabels(
  points: readonly ScatterPoint[],
  places: readonly (readonly [number, number])[],
  frame: Frame,
  most: number,
): string {
  const named = sharedLabels(points, places, most);
  const requests = named.map(({ text, at }) => ({ x: at[0], y: at[1], width: textWidth(text, TYPE.tick), height: 11 }));
  const inside = { x: frame.left, y: frame.top, width: frame.width, height: frame.height };
  const near = placeLabels(requests, places, inside, RADIUS);
  const late = requests.filter((_, i) => near[i] === undefined);
  const taken = near.filter((box) => box !== undefined);
  const far = placeFarLabels(late, places, inside, RADIUS, taken);
  const lines: string[] = [];
  const texts: string[] = [];
  for (const [i, { text, at }] of named.entries()) {
    const placed = near[i];
    const box = placed ?? far.shift();
    if (box === undefined) continue;
    const [x, y] = nearestOf(box, at[0], at[1]);
    if (placed === undefined) lines.push(svgLine(at[0], at[1], x, y, 'class="tc-s-axis"'));
    texts.push(
      svgText(box.x + box.width / 2, box.y + 9, "tc-tick tc-f-ink tc-s-bg tc-halo", text, 'text-anchor="middle"'),
    );
  }
  return [...lines, ...texts].join("\n");
}
