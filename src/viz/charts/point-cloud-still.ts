/** A cloud of points as a drawing, from its first view. */
import { svgLine, svgText, svgTitle } from "../figure.ts";
import { cameraOf, type View } from "../parts/camera.ts";
import { titleBlock, type Captions } from "../parts/frame.ts";
import { placeLabels, type Box } from "../parts/label-placement.ts";
import { drawLegend } from "../parts/legend.ts";
import { SERIES_COLORS, TYPE } from "../parts/style.ts";
import { px, textWidth } from "../parts/text.ts";

/** A cloud of points, checked, moved to its middle and scaled into a sphere of radius 1. */
export interface Cloud {
  /** Three numbers a point. */
  readonly places: Float64Array;
  readonly labels: readonly string[];
  /** The group of each point, by number. */
  readonly groups: Uint8Array | undefined;
  readonly groupNames: readonly string[];
  readonly axes: readonly string[];
  readonly middle: readonly number[];
  readonly radius: number;
  readonly view: View;
  readonly path: boolean;
}

const WIDTH = 640;
const HEIGHT = 520;
/** So many points are circles with their names on hover; more are dots. */
const MOST_CIRCLES = 400;
const MOST_LABELS = 60;
/** Pixels on which one dot is enough. */
const APART = 1.5;

type Place = readonly [x: number, y: number, depth: number];

/** The drawing and its size; of points that lie on one another one is drawn. */
export function cloudStill(
  cloud: Cloud,
  captions: Captions,
  notes: readonly string[],
): { readonly width: number; readonly height: number; readonly content: string } {
  const head = titleBlock(captions, WIDTH, notes);
  const legend = drawLegend(cloud.groupNames, head.height + 10, WIDTH);
  const top = head.height + legend.height;
  const project = cameraOf(cloud.view, WIDTH, HEIGHT);
  const at = (x: number, y: number, z: number): Place => {
    const [left, down, depth] = project([x, y, z]);
    return [left, down + top, depth];
  };
  const { places } = cloud;
  const count = cloud.labels.length;
  const seen = Array.from({ length: count }, (_, i) =>
    at(places[3 * i] as number, places[3 * i + 1] as number, places[3 * i + 2] as number),
  );
  const axes = cloud.axes.map((name, k) => axisOf(name, k, at, top));
  const isFew = count <= MOST_CIRCLES;
  const drawn = isFew ? seen.map((_, i) => i) : apart(seen);
  return {
    width: WIDTH,
    height: top + HEIGHT,
    content: [
      head.markup,
      legend.markup,
      ...axes.map(({ markup }) => markup),
      cloud.path
        ? `<polyline class="tc-line tc-s-axis" points="${seen.map(([x, y]) => `${px(x)},${px(y)}`).join(" ")}"/>`
        : "",
      isFew ? circles(cloud, seen) : dots(cloud, seen, drawn),
      labels(
        cloud,
        seen,
        drawn,
        top,
        axes.map(({ box }) => box),
      ),
    ]
      .filter((part) => part !== "")
      .join("\n"),
  };
}

/** The nearest of the points on each few pixels, far ones first. */
function apart(seen: readonly Place[]): number[] {
  const squares = new Map<number, number>();
  for (const [i, [x, y, depth]] of seen.entries()) {
    const key = Math.round(x / APART) * 4096 + Math.round(y / APART);
    const other = squares.get(key);
    if (other === undefined || depth < (seen[other] as Place)[2]) squares.set(key, i);
  }
  return [...squares.values()].sort((a, b) => (seen[b] as Place)[2] - (seen[a] as Place)[2]);
}

/** An axis with its name at the positive end. */
function axisOf(
  name: string,
  axis: number,
  at: (...point: [number, number, number]) => Place,
  top: number,
): { readonly markup: string; readonly box: Box } {
  const end = (sign: number): Place => {
    const [x = 0, y = 0, z = 0] = [0, 1, 2].map((k) => (k === axis ? 1.12 * sign : 0));
    return at(x, y, z);
  };
  const [[x1, y1], [x2, y2]] = [end(-1), end(1)];
  const half = textWidth(name, TYPE.lab) / 2;
  const x = Math.max(half, Math.min(WIDTH - half, x2));
  const y = Math.max(top + 12, Math.min(top + HEIGHT - 4, y2 - 5));
  const text = svgText(x, y, "tc-lab tc-f-muted tc-s-bg tc-halo", name, 'text-anchor="middle"');
  return {
    markup: svgLine(x1, y1, x2, y2, 'class="tc-s-grid"') + text,
    box: { x: x - half, y: y - 11, width: 2 * half, height: 14 },
  };
}

function paintOf({ groups }: Cloud, i: number): string {
  return `c${(groups?.[i] ?? 0) % SERIES_COLORS}`;
}

function circles(cloud: Cloud, seen: readonly Place[]): string {
  const order = seen.map((_, i) => i).sort((a, b) => (seen[b] as Place)[2] - (seen[a] as Place)[2] || a - b);
  return order
    .map((i) => {
      const [x, y] = seen[i] as Place;
      return `<circle class="tc-f-${paintOf(cloud, i)} tc-s-bg" stroke-width="0.8" fill-opacity="0.85" cx="${px(x)}" cy="${px(y)}" r="3.5">${svgTitle(cloud.labels[i] as string)}</circle>`;
    })
    .join("\n");
}

function dots(cloud: Cloud, seen: readonly Place[], drawn: readonly number[]): string {
  const paths = new Map<string, string[]>();
  for (const i of drawn) {
    const [x, y] = seen[i] as Place;
    const paint = paintOf(cloud, i);
    const path = paths.get(paint) ?? [];
    paths.set(paint, path);
    path.push(`M${x.toFixed(1)} ${y.toFixed(1)}h0`);
  }
  return [...paths]
    .map(
      ([paint, path]) =>
        `<path class="tc-line tc-s-${paint}" stroke-width="${drawn.length > 4000 ? 2 : 3}" stroke-linecap="round" stroke-opacity="0.6" d="${path.join("")}"/>`,
    )
    .join("\n");
}

/** Names of the outermost points that find room. */
function labels(
  cloud: Cloud,
  seen: readonly Place[],
  drawn: readonly number[],
  top: number,
  others: readonly Box[],
): string {
  const { places } = cloud;
  const far = (i: number): number => Math.hypot(...[0, 1, 2].map((k) => places[3 * i + k] as number));
  const named = [...drawn].sort((a, b) => far(b) - far(a) || a - b).slice(0, 6 * MOST_LABELS);
  const requests = named.map((i) => {
    const [x, y] = seen[i] as Place;
    return { x, y, width: textWidth(cloud.labels[i] as string, TYPE.tick), height: 11 };
  });
  const points = (drawn.length > 2000 ? named : drawn).map((i): readonly [number, number] => {
    const [x, y] = seen[i] as Place;
    return [x, y];
  });
  const boxes = placeLabels(requests, points, { x: 0, y: top, width: WIDTH, height: HEIGHT }, 3, others);
  return named
    .flatMap((i, at) => {
      const box = boxes[at];
      if (box === undefined) return [];
      return [
        svgText(
          box.x + box.width / 2,
          box.y + 9,
          "tc-tick tc-f-ink tc-s-bg tc-halo",
          cloud.labels[i] as string,
          'text-anchor="middle"',
        ),
      ];
    })
    .slice(0, MOST_LABELS)
    .join("\n");
}
