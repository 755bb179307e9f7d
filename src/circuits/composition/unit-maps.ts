/**
 * The maps of heads as composition scores need them, small and of norm 1. A score depends on $W_{OV} = W_V W_O$ only
 * through Frobenius norms. So $W_V$ may be replaced by any $R$, d_head x d_head, with $R^\top R = W_V^\top W_V$: then
 * $\|W_V W_O X\| = \|R W_O X\|$ for every $X$. The outer factors of the other maps are replaced likewise.
 *
 * Besides the weights this takes their four Gram matrices, d_head x d_head: $R$ is a root of one, and the norm of a map
 * is $\|W_V W_O\|^2 = \langle W_V^\top W_V,\, W_O W_O^\top \rangle$. Gram matrices are summed in float64. Maps are
 * float32 where the weights are.
 */
import { multiplyStacks, oneOf, rootsOf, squaresOf, stackOf, times } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { dot, kindOf, rawData, withWorkspace } from "../../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../../tensor/internal.ts";
import { gramsOf, readerOf, scaledMaps, withGrams, withoutGrams, writtenOf } from "./head-weights.ts";
import type { NormsInScores, Side, WeightName } from "./head-weights.ts";

/**
 * The writer and reader maps of one layer's heads, each scaled to Frobenius norm 1. The methods return the norm left
 * after scaling: 1 up to rounding, 0 for a zero head. Arrays come from the caller's workspace.
 */
export class UnitMaps {
  readonly #layer: AttentionLayer;
  readonly #norms: NormsInScores;
  readonly #take: TakeArray;
  readonly #rooted: readonly WeightName[];
  readonly #sides = new Map<string, Side>();

  /** `writes` and `reads` say which maps will be asked for. */
  constructor(
    layer: AttentionLayer,
    norms: NormsInScores,
    { writes, reads }: { readonly writes: boolean; readonly reads: boolean },
    take: TakeArray,
  ) {
    this.#layer = layer;
    this.#norms = norms;
    this.#take = take;
    this.#rooted = [...(writes ? (["W_V"] as const) : []), ...(reads ? (["W_Q", "W_K", "W_O"] as const) : [])];
  }

  /** How the maps are stored. */
  get kind(): "float32" | "float64" {
    const { W_O } = this.#layer;
    const weights = [W_O, ...(["W_Q", "W_K", "W_V"] as const).map((name) => readerOf(this.#layer, name, this.#norms))];
    return weights.some(({ dtype }) => dtype === "float64") ? "float64" : "float32";
  }

  /** $R W_O$ with $R^\top R = W_V^\top W_V$: what heads write. */
  writers(into: FloatArray): Float64Array {
    return this.#unit("W_V", "W_O", into);
  }

  /** What queries read: $R W_Q^\top$ with $R^\top R = W_K^\top W_K$. */
  queries(into: FloatArray): Float64Array {
    return this.#unit("W_K", "W_Q", into);
  }

  /** What keys read: $R W_K^\top$ with $R^\top R = W_Q^\top W_Q$. */
  keys(into: FloatArray): Float64Array {
    return this.#unit("W_Q", "W_K", into);
  }

  /** What values read: $R W_V^\top$ with $R^\top R = W_O W_O^\top$. */
  values(into: FloatArray): Float64Array {
    return this.#unit("W_O", "W_V", into);
  }

  #side(name: WeightName): Side {
    const known = this.#sides.get(name);
    if (known !== undefined) return known;
    const weight = this.#weight(name);
    const side = this.#rooted.includes(name) ? withGrams(weight, this.#take) : withoutGrams(weight);
    this.#sides.set(name, side);
    return side;
  }

  #weight(name: WeightName): Tensor<"head d_model d_head"> | Tensor<"head d_head d_model"> {
    return name === "W_O" ? writtenOf(this.#layer, this.#norms) : readerOf(this.#layer, name, this.#norms);
  }

  /**
   * Writes $R B$ for each head, scaled to norm 1, and returns the norms. $R$ is a root of the Gram matrix of `outer`,
   * $B$ is `inner`.
   */
  #unit(outer: WeightName, inner: WeightName, into: FloatArray): Float64Array {
    const { maps: B, grams: own } = this.#side(inner);
    const { count, rows: k, cols: d } = B;
    const grams = this.#side(outer).grams ?? gramsOf(this.#side(outer).maps, this.#take);
    const lengths = new Float64Array(count).fill(1);
    withWorkspace((take) => {
      const roots = take(kindOf(into), count * k * k);
      const exact = take("float64", count * k * k) as Float64Array;
      rootsOf(grams, count, k, exact);
      for (let h = 0; h < count; h++) {
        const at = h * k * k;
        const norm =
          own === undefined
            ? Math.sqrt(traceOf(grams, at, k))
            : (normOfProduct(grams, own, at, k) ??
              normByProduct(stackOf(exact, [1, k, k], { offset: at }), oneOf(B, h)));
        if (norm === 0) lengths[h] = 0;
        scaleInto(roots, exact, at, k * k, inverseOf(norm));
      }
      const multiply = (b: Stack): Stack =>
        multiplyStacks(stackOf(roots, [count, k, k]), b, stackOf(into, [count, k, d]));
      multiply(B);
      if (own !== undefined) return;
      if (!lengthsInto(lengths, into)) {
        multiply(scaledMaps(this.#weight(inner)));
        lengthsInto(lengths, into);
      }
    });
    return lengths;
  }
}

const inverseOf = (norm: number): number => (norm === 0 ? 0 : 1 / norm);

/**
 * Writes the lengths of maps; false where the square of one is far from 1, so that it, or what is made of it, may have
 * overflowed or vanished.
 */
function lengthsInto(lengths: Float64Array, maps: FloatArray): boolean {
  squaresOf(maps, lengths.length, lengths);
  const isUsual = lengths.every((square) => square > 1e-12 && square < 1e12);
  for (const [h, square] of lengths.entries()) lengths[h] = Math.sqrt(square);
  return isUsual;
}

function traceOf(grams: FloatArray, at: number, k: number): number {
  let trace = 0;
  for (let i = 0; i < k; i++) trace += grams[at + i * (k + 1)] as number;
  return trace;
}

function scaleInto(target: FloatArray, numbers: Float64Array, start: number, count: number, factor: number): void {
  for (let t = start; t < start + count; t++) target[t] = (numbers[t] as number) * factor;
}

/** Below this share of what the traces allow, too little of a norm is left after cancellation. */
const CANCELLED = 1e-6;

/** $\|A B\|$ from $A^\top A$ and $B B^\top$ of a head; `undefined` where it cancels. */
function normOfProduct(left: FloatArray, right: FloatArray, at: number, k: number): number | undefined {
  let square = 0;
  for (let t = at; t < at + k * k; t++) square += (left[t] as number) * (right[t] as number);
  return square > CANCELLED * traceOf(left, at, k) * traceOf(right, at, k) ? Math.sqrt(square) : undefined;
}

/** $\|R B\|$ of a head by multiplying out, in float64. */
function normByProduct(root: Stack, B: Stack): number {
  const { data } = times(root, B);
  return Math.sqrt(dot(data, 0, data, 0, data.length));
}

/** The heads of a layer whose $W_{OV}$ (or $W_{QK}$) is zero, by one row of each product where that settles it. */
export function zeroHeadsOf(layer: AttentionLayer, circuit: "W_OV" | "W_QK", norms: NormsInScores): readonly number[] {
  const isQK = circuit === "W_QK";
  const left = readerOf(layer, isQK ? "W_Q" : "W_V", norms);
  const right = isQK ? readerOf(layer, "W_K", norms) : writtenOf(layer, norms);
  const [heads = 0, d = 0, k = 0] = left.shape;
  const [A, B] = [rawData(left), rawData(right)];
  const isTurned = right.names[1] === "d_head";
  const isSettled = layer.heads.every(({ head }) => {
    // One row of the product, which is nothing but zeros for hardly any head that is not zero.
    const row = (head * d + (d >> 1)) * k;
    for (let j = 0; j < d; j++) {
      let sum = 0;
      for (let e = 0; e < k; e++) {
        sum += (A[row + e] as number) * (B[head * d * k + (isTurned ? e * d + j : j * k + e)] as number);
      }
      if (sum !== 0 && Number.isFinite(sum)) return true;
    }
    return false;
  });
  if (isSettled) return [];
  return withWorkspace((take) => {
    const maps = new UnitMaps(layer, norms, { writes: !isQK, reads: isQK }, take);
    const into = take(maps.kind, heads * k * d);
    const lengths = isQK ? maps.queries(into) : maps.writers(into);
    return [...lengths.keys()].filter((head) => lengths[head] === 0);
  });
}
