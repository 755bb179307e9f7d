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
  const taken: Box[] = points.map(([x, y]) => ({
    x: x - radius,
    y: y - radius,
    width: 2 * radius,
    height: 2 * radius,
  }));
  taken.push(...others);
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
