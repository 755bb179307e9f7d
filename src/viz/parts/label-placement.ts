/** Labels that do not lie over one another. */

/** A rectangle in pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/**
 * Positions moved as little as needed to stand `apart` pixels from one another, in the same order, inside
 * `[low, high]`.
 */
export function spreadApart(positions: readonly number[], apart: number, low: number, high: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => (positions[a] as number) - (positions[b] as number) || a - b);
  const out = [...positions];
  let floor = low;
  for (const i of order) {
    out[i] = Math.max(positions[i] as number, floor);
    floor = out[i] + apart;
  }
  let ceiling = high;
  for (const i of [...order].reverse()) {
    out[i] = Math.min(out[i] as number, ceiling);
    ceiling = out[i] - apart;
  }
  return out;
}

/** Where a label may go, seen from its point: direction of its box and text anchor. */
const CANDIDATES = [
  { dx: 1, dy: 0 },
  { dx: 0, dy: -1 },
  { dx: -1, dy: 0 },
  { dx: 0, dy: 1 },
  { dx: 1, dy: -1 },
  { dx: -1, dy: -1 },
  { dx: 1, dy: 1 },
  { dx: -1, dy: 1 },
] as const;

/** A point that wants a label. */
export interface LabelRequest {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** How far labels with a line to their point may stand from it, in pixels. */
const FAR = [18, 30, 44, 60, 80];
const DIRECTIONS = Array.from(
  { length: 16 },
  (_, i) => [Math.cos((i * Math.PI) / 8), Math.sin((i * Math.PI) / 8)] as const,
);

/** Whether a line from a point to the nearest point of a box, its leader, passes through another box. */
function crosses([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number], box: Box): boolean {
  let [from, to] = [0, 1];
  for (const [start, step, low, high] of [
    [x1, x2 - x1, box.x, box.x + box.width],
    [y1, y2 - y1, box.y, box.y + box.height],
  ] as const) {
    if (step === 0) {
      if (start <= low || start >= high) return false;
      continue;
    }
    const [a, b] = [(low - start) / step, (high - start) / step];
    from = Math.max(from, Math.min(a, b));
    to = Math.min(to, Math.max(a, b));
  }
  return from < to;
}

/**
 * Boxes for labels that found no place near their points, at some distance and clear of all that is taken; `undefined`
 * where there is none. Their leaders pass through no label where that can be had.
 */
export function placeFarLabels(
  requests: readonly LabelRequest[],
  points: readonly (readonly [number, number])[],
  frame: Box,
  radius: number,
  others: readonly Box[],
): (Box | undefined)[] {
  const labels: Box[] = [...others];
  const around = points.map(([x, y]) => aroundPoint(x, y, radius));
  const leaders: (readonly [readonly [number, number], readonly [number, number]])[] = [];
  return requests.map(({ x, y, width, height }) => {
    let struck: Box | undefined;
    for (const distance of FAR) {
      for (const [dx, dy] of DIRECTIONS) {
        const [cx, cy] = [x + dx * (distance + width / 2), y + dy * (distance + height / 2)];
        const box = { x: cx - width / 2, y: cy - height / 2, width, height };
        if (!liesIn(box, frame) || [...labels, ...around].some((other) => overlaps(box, other))) continue;
        const end = nearestOf(box, x, y);
        if (
          labels.some((other) => crosses([x, y], end, other)) ||
          leaders.some(([from, to]) => crosses(from, to, box))
        ) {
          struck ??= box;
          continue;
        }
        return taken(box);
      }
    }
    return struck === undefined ? undefined : taken(struck);

    function taken(box: Box): Box {
      labels.push(box);
      leaders.push([[x, y], nearestOf(box, x, y)]);
      return box;
    }
  });
}

/** The point of a box that is nearest to another, where a line to that ends. */
export function nearestOf({ x, y, width, height }: Box, px: number, py: number): readonly [number, number] {
  return [Math.max(x, Math.min(px, x + width)), Math.max(y, Math.min(py, y + height))];
}

function aroundPoint(x: number, y: number, radius: number): Box {
  return { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius };
}

/**
 * Boxes for labels, greedily in the order given: the first of eight places around the point that is inside the frame
 * and clear of all points, of labels placed before and of `others`. `undefined` where none is.
 */
export function placeLabels(
  requests: readonly LabelRequest[],
  points: readonly (readonly [number, number])[],
  frame: Box,
  radius: number,
  others: readonly Box[] = [],
): (Box | undefined)[] {
  const taken: Box[] = [...points.map(([x, y]) => aroundPoint(x, y, radius)), ...others];
  return requests.map((request) => {
    const box = placesAround(request, frame, radius).find(
      (place) => liesIn(place, frame) && !taken.some((other) => overlaps(place, other)),
    );
    if (box !== undefined) taken.push(box);
    return box;
  });
}

/** The places of a label by preference; one above or below its point keeps inside the frame's sides. */
function placesAround({ x, y, width, height }: LabelRequest, frame: Box, radius: number): Box[] {
  return CANDIDATES.map(({ dx, dy }) => {
    const gap = dx !== 0 && dy !== 0 ? radius * 0.8 : radius + 2;
    const left = x + dx * gap - (width * (1 - dx)) / 2;
    const inside = Math.max(frame.x, Math.min(left, frame.x + frame.width - width));
    return { x: dx === 0 ? inside : left, y: y + dy * gap - (height * (1 - dy)) / 2, width, height };
  });
}

function liesIn(box: Box, frame: Box): boolean {
  return (
    box.x >= frame.x &&
    box.y >= frame.y &&
    box.x + box.width <= frame.x + frame.width &&
    box.y + box.height <= frame.y + frame.height
  );
}
