import { toBase64 } from "../../base64.ts";
import { InputError, ShapeError } from "../../errors.ts";
import { checkCount, checkOptions, checkTexts, readMatrix, type Matrix, type MatrixLike } from "../check.ts";
import { Figure } from "../figure.ts";
import { PAGE_SCRIPT } from "../page/script.ts";
import { DISTANCE, LENS, type View } from "../parts/camera.ts";
import { accessibleName, nonFiniteNote, type Captions } from "../parts/frame.ts";
import { SERIES_COLORS } from "../parts/style.ts";
import { escapeHtml, plural, visibleToken } from "../parts/text.ts";
import { cloudStill } from "./point-cloud-still.ts";
import type { Cloud } from "./point-cloud-still.ts";

/**
 * What {@link pointCloud} draws.
 * @category Figures
 */
export interface PointCloudOptions extends Captions {
  /** A row for each point, three numbers a row: rows of numbers, or a tensor of two axes such as `token direction`. */
  readonly points: MatrixLike;
  /** The points' names; whitespace is made visible. Numbers from 0 on if left out. */
  readonly labels?: readonly string[];
  /** The group of each point; points of a group share a colour. */
  readonly groups?: readonly string[];
  /** Names of the three directions. */
  readonly axes?: readonly string[];
  /** Whether a line joins the points in their order; it does not unless this is `true`. */
  readonly path?: boolean;
  /** From where it is seen at first, in radians: around the second axis, and above the plane of the others. */
  readonly view?: { readonly azimuth: number; readonly elevation: number };
  /** For pages whose content-security policy asks for a nonce. */
  readonly nonce?: string;
}

const OPERATION = "pointCloud";
const VIEW: View = { azimuth: 0.6, elevation: 0.35 };
const MOST_GROUPS = 256;

/**
 * Points in three dimensions that turn: embeddings along their first principal components, or along any three
 * directions.
 *
 * On a page they turn by dragging or with the arrow keys, move with Shift, grow with `+` and `-`, and are found by
 * name; where the reader asks for little motion nothing turns by itself. All directions have one scale, so that
 * distances are true, and the outermost points in sight are named. Tens of thousands of points stay fluid: while they
 * move, a part is drawn. The drawing is a still from the first view, thinned where points lie on one another.
 *
 * @param options - points, their names and groups, where to look from.
 * @returns the figure. Points with a number that is not finite are left out and counted under the title.
 * @throws ShapeError if there are not three numbers a point, or not one name or group for each.
 * @throws InputError if no point is finite, or there are more than 256 groups.
 * @category Figures
 * @example
 * ```ts
 * import { pointCloud } from "transformer-circuits/viz";
 *
 * const figure = pointCloud({
 *   points: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
 *   labels: ["a", " b", "c"],
 *   axes: ["PC 1", "PC 2", "PC 3"],
 * });
 * console.log(figure.kind, figure.svg.includes(">·b</text>"), figure.label);
 * // pointCloud true 3 points in three dimensions
 * ```
 */
export function pointCloud(options: PointCloudOptions): Figure {
  checkOptions(options, OPERATION, "points labels groups axes path view nonce");
  const { cloud, left } = readCloud(options);
  const count = cloud.labels.length;
  const label = accessibleName(options, `${plural(count, "point")} in three dimensions`);
  const notes = nonFiniteNote(left, "point", "left out");
  const still = cloudStill(cloud, options, notes);
  return new Figure({
    kind: "pointCloud",
    ...still,
    label,
    markup: markupOf(cloud, options, notes, label, drawingOf(still, label)),
    script: PAGE_SCRIPT,
    nonce: options.nonce,
  });
}

function readCloud(options: PointCloudOptions): { cloud: Cloud; left: number } {
  const matrix = readMatrix(options.points, OPERATION, "points");
  const { rows, cols, data } = matrix;
  if (cols !== 3) {
    throw new ShapeError(
      `points has ${plural(cols, "number")} a point; three are needed. Choose three directions, such as the first principal components.`,
      { operation: OPERATION, argument: "points", expected: 3, actual: cols },
    );
  }
  for (const name of ["labels", "groups", "axes"] as const)
    if (options[name] !== undefined) checkTexts(options[name], OPERATION, name);
  const { labels, groups, axes, path = false, view = VIEW } = options;
  if (labels) checkCount(labels.length, rows, OPERATION, "labels", "points");
  if (groups) checkCount(groups.length, rows, OPERATION, "groups", "points");
  if (axes) checkCount(axes.length, 3, OPERATION, "axes", "directions");
  checkView(view);
  const kept = Array.from({ length: rows }, (_, i) => i).filter((i) =>
    [0, 1, 2].every((k) => Number.isFinite(data[3 * i + k])),
  );
  if (kept.length === 0) {
    throw new InputError("no point is finite. There is nothing to draw.", { operation: OPERATION, argument: "points" });
  }
  const groupNames = [...new Set(groups ?? [])];
  if (groupNames.length > MOST_GROUPS) {
    throw new InputError(`there are ${groupNames.length} groups; at most ${MOST_GROUPS} can be told apart by number.`, {
      operation: OPERATION,
      argument: "groups",
      expected: `<= ${MOST_GROUPS}`,
      actual: groupNames.length,
    });
  }
  const numbers = new Map(groupNames.map((name, i) => [name, i]));
  return {
    cloud: {
      ...placed(matrix, kept),
      labels: kept.map((i) => (labels === undefined ? i.toString() : visibleToken(labels[i] as string))),
      groups: groups && Uint8Array.from(kept, (i) => numbers.get(groups[i] as string) ?? 0),
      ...{ groupNames, path, view: { azimuth: view.azimuth, elevation: view.elevation } },
      axes: axes ?? ["x", "y", "z"],
    },
    left: rows - kept.length,
  };
}

function checkView(view: View): void {
  for (const name of ["azimuth", "elevation"] as const) {
    if (Number.isFinite(view[name])) continue;
    throw new InputError(`view.${name} is ${view[name]}. Give an angle in radians.`, {
      operation: OPERATION,
      argument: `view.${name}`,
      expected: "a finite number",
      actual: view[name],
    });
  }
}

/** Points about the middle of their range, the outermost at 1; nothing overflows on the way. */
function placed({ data }: Matrix, kept: readonly number[]): Pick<Cloud, "places" | "middle" | "radius"> {
  const middle = [0, 1, 2].map((k) => {
    let [low, high] = [Infinity, -Infinity];
    for (const i of kept) {
      low = Math.min(low, data[3 * i + k] as number);
      high = Math.max(high, data[3 * i + k] as number);
    }
    return low / 2 + high / 2;
  });
  const places = Float64Array.from(
    { length: 3 * kept.length },
    (_, at) => (data[3 * (kept[Math.floor(at / 3)] as number) + (at % 3)] as number) - (middle[at % 3] as number),
  );
  const largest = places.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
  let radius = 0;
  for (let i = 0; i < places.length; i++) places[i] = (places[i] as number) / largest;
  for (let i = 0; i < places.length; i += 3)
    radius = Math.max(radius, Math.hypot(places[i] as number, places[i + 1] as number, places[i + 2] as number));
  if (radius > 0) for (let i = 0; i < places.length; i++) places[i] = (places[i] as number) / radius;
  return { places, middle, radius: Math.min(Number.MAX_VALUE, largest * (radius || 1)) };
}

/** The still inside the page's markup: what is seen where the script does not run. */
function drawingOf(still: { width: number; height: number; content: string }, label: string): string {
  const size = `width="${still.width}" height="${still.height}" viewBox="0 0 ${still.width} ${still.height}"`;
  const drawing = still.content.replace(/<title>[^<]*<\/title>/g, "");
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${escapeHtml(label)}">\n${drawing}\n</svg>`;
}

const BUTTONS = [
  ["out", "−", "smaller"],
  ["in", "+", "larger"],
  ["reset", "reset", "reset the view"],
  ["turn", "turn", "turn by itself"],
] as const;

function markupOf(cloud: Cloud, captions: Captions, notes: readonly string[], label: string, drawing: string): string {
  const title = captions.title === undefined ? "" : `<strong>${escapeHtml(captions.title)}</strong>`;
  const below = [captions.subtitle, ...notes].filter((text) => text !== undefined && text !== "").join(" ");
  const subtitle = below === "" ? "" : `<span>${escapeHtml(below)}</span>`;
  const legend = cloud.groupNames.map(
    (name, i) =>
      `<span><svg width="10" height="10" aria-hidden="true"><circle class="tc-f-c${i % SERIES_COLORS}" cx="5" cy="5" r="4"/></svg> ${escapeHtml(name)}</span>`,
  );
  const buttons = BUTTONS.map(
    ([what, text, name]) => `<button type="button" data-do="${what}" aria-label="${name}">${text}</button>`,
  );
  const data = {
    points: toBase64(new Uint8Array(Int16Array.from(cloud.places, (x) => Math.round(32767 * x)).buffer)),
    ...(cloud.groups && { groups: toBase64(cloud.groups) }),
    ...{ labels: cloud.labels, groupNames: cloud.groupNames, axes: cloud.axes, path: cloud.path },
    ...{ middle: cloud.middle, radius: cloud.radius, distance: DISTANCE, lens: LENS },
    view: [cloud.view.azimuth, cloud.view.elevation],
  };
  return [
    `<div class="tc-fig tc-cloud tc-fit" data-tc-cloud role="group" aria-label="${escapeHtml(label)}">`,
    `<div class="tc-cloud-still">${drawing}</div>`,
    '<div class="tc-cloud-live">',
    title + subtitle === "" ? "" : `<div class="tc-head">${title}${subtitle}</div>`,
    legend.length === 0 ? "" : `<div class="tc-controls">${legend.join("\n")}</div>`,
    '<div class="tc-cloud-stage" tabindex="0" role="application" aria-label="points; arrow keys turn, with Shift they move, plus and minus zoom, Home goes back"><canvas></canvas></div>',
    `<div class="tc-controls">${buttons.join("\n")}<label>find <input type="search" data-find></label><output class="tc-cloud-read"></output></div>`,
    "</div>",
    `<script type="application/json">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>`,
    "</div>",
  ]
    .filter((part) => part !== "")
    .join("\n");
}
