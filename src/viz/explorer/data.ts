/** Attention of all heads, checked and packed into bytes for a page. */
import { toBase64 } from "../../base64.ts";
import { InputError, isPromise, requireKind, ShapeError } from "../../errors.ts";
import { checkCount, checkNonEmpty, checkNumbers, type ShapedData } from "../check.ts";
import { largestOf } from "../parts/scale.ts";

/**
 * One attention-like quantity for all heads: an entry for each layer. It is a list of heads, each a row-major
 * `[query_pos, key_pos]` square or its lower triangle row by row; or one array with a shape
 * `[head, query_pos, key_pos]` (a leading batch axis of size 1 is allowed), such as a `Tensor`.
 * @category Figures
 */
export type AttentionStack = readonly (readonly ArrayLike<number>[] | ShapedData)[];

/** Lower triangles of all heads, layer by layer, in one array. */
export interface Triangles {
  readonly layers: number;
  readonly heads: number;
  readonly values: Float64Array;
}

const OPERATION = "attentionExplorer";

function isShaped(layer: readonly ArrayLike<number>[] | ShapedData): layer is ShapedData {
  return typeof layer === "object" && (layer as unknown) !== null && "shape" in layer && "data" in layer;
}

function headsOf(
  layer: readonly ArrayLike<number>[] | ShapedData,
  count: number,
  name: string,
): readonly ArrayLike<number>[] {
  if (!isShaped(layer)) {
    requireKind("list", layer, name, OPERATION);
    return layer;
  }
  const shape = layer.shape.length === 4 && layer.shape[0] === 1 ? layer.shape.slice(1) : layer.shape;
  const [heads = 0, queries, keys] = shape;
  if (shape.length !== 3 || queries !== count || keys !== count || layer.data.length !== heads * count * count) {
    throw new ShapeError(
      `${name} has shape [${layer.shape.join(", ")}] and ${layer.data.length} numbers for ${count} tokens; it must be [head, ${count}, ${count}], or that with a batch of 1 in front.`,
      { operation: OPERATION, argument: name, expected: ["head", count, count], actual: layer.shape },
    );
  }
  const flat = Array.from(layer.data);
  return Array.from({ length: heads }, (_, head) => flat.slice(head * count * count, (head + 1) * count * count));
}

/**
 * Reads a stack for `count` tokens; refuses other sizes, attention to later positions, and negative or non-finite
 * values.
 */
export function readTriangles(stack: AttentionStack, count: number, argument: string): Triangles {
  const given: unknown = stack;
  if (!Array.isArray(given) && !isPromise(given)) {
    throw new InputError(
      `${argument} is no list of layers. Give one entry for each: the hook_pattern of its heads, a [head, query_pos, key_pos] tensor or a list of heads.`,
      { operation: OPERATION, argument, expected: "a list of layers", actual: stack },
    );
  }
  requireKind("list", stack, argument, OPERATION);
  checkNonEmpty(stack.length, OPERATION, argument);
  const layers = stack.map((layer, index) => headsOf(layer, count, `${argument}[${index}]`));
  const heads = layers[0]?.length ?? 0;
  checkNonEmpty(heads, OPERATION, `${argument}[0]`);
  const size = (count * (count + 1)) / 2;
  const values = new Float64Array(layers.length * heads * size);
  for (const [layer, list] of layers.entries()) {
    checkCount(list.length, heads, OPERATION, `${argument}[${layer}]`, "heads of layer 0");
    for (const [head, pattern] of list.entries()) {
      copyTriangle(
        pattern,
        values.subarray((layer * heads + head) * size, (layer * heads + head + 1) * size),
        count,
        `${argument} of L${layer}H${head}`,
      );
    }
  }
  return { layers: layers.length, heads, values };
}

function copyTriangle(pattern: ArrayLike<number>, out: Float64Array, count: number, name: string): void {
  checkNumbers(pattern, OPERATION, name);
  const square = pattern.length === count * count;
  if (!square && pattern.length !== out.length) {
    throw new ShapeError(
      `${name} has ${pattern.length} numbers for ${count} tokens. Give the ${count} × ${count} square (${count * count}) or its lower triangle (${out.length}).`,
      { operation: OPERATION, argument: name, expected: [count * count, out.length], actual: pattern.length },
    );
  }
  let at = 0;
  for (let query = 0; query < count; query++) {
    for (let key = 0; key < (square ? count : query + 1); key++) {
      const value = pattern[square ? query * count + key : at] as number;
      if (key > query) {
        if (value !== 0)
          throw valueError(value, name, query, key, "0 for keys after the query; the explorer shows causal attention");
        continue;
      }
      if (!(value >= 0 && value < Infinity)) throw valueError(value, name, query, key, "a finite number of at least 0");
      out[at++] = value;
    }
  }
}

function valueError(value: number, name: string, query: number, key: number, expected: string): InputError {
  return new InputError(`${name} is ${value} at query ${query}, key ${key}. Give ${expected}.`, {
    operation: OPERATION,
    argument: name,
    expected,
    actual: value,
  });
}

/**
 * The number for each head and key, `[head, key]`, that one measure is another times, as value-weighted attention is
 * attention times the norms of values; none where it is not such a product, to what a page can show.
 */
export function keyWeights(base: Triangles, weighted: Triangles, count: number): number[] | undefined {
  const size = (count * (count + 1)) / 2;
  const tolerance = 1e-3 * largestValue(weighted.values);
  const weights: number[] = [];
  for (let start = 0; start < base.values.length; start += size) {
    for (let key = 0; key < count; key++) {
      // the query that attends most to the key tells the ratio best
      let best = at(key, key);
      for (let query = key; query < count; query++)
        if (valueOf(base, start + at(query, key)) > valueOf(base, start + best)) best = at(query, key);
      const attention = valueOf(base, start + best);
      const weight = attention === 0 ? 0 : valueOf(weighted, start + best) / attention;
      for (let query = key; query < count; query++) {
        const i = start + at(query, key);
        if (Math.abs(valueOf(weighted, i) - weight * valueOf(base, i)) > tolerance) return undefined;
      }
      weights.push(Number(weight.toPrecision(4)));
    }
  }
  return weights;
}

function at(query: number, key: number): number {
  return (query * (query + 1)) / 2 + key;
}

function valueOf({ values }: Triangles, i: number): number {
  return values[i] as number;
}

/** The largest value, or 1 when all are 0. */
export function largestValue(values: Float64Array): number {
  return largestOf(values, 0) || 1;
}

/**
 * Values as one byte each, on a square-root scale: fine where attention is small, at most 0.4 % of the largest value
 * off at the top.
 */
export function packValues(values: Float64Array, largest: number): string {
  return toBase64(Uint8Array.from(values, (value) => Math.round(255 * Math.sqrt(value / largest))));
}
