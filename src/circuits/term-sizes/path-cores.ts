/**
 * Gram matrices of paths by order, as the heads of every layer see them: `[d_head, d_head]`.
 *
 * Let $S_p$ be the Gram matrix of the paths of $p$ heads that enter a layer. Head $h$ reads
 * $R_h^p = W_V^{h\top} S_p W_V^h$. Each of these paths ends with an earlier head $g$, so
 * $R_h^p = \sum_g C_{gh}^\top R_g^{p-1} C_{gh}$ with the cores $C_{gh} = W_O^g W_V^h$. Backwards from the last layer,
 * $D_g^p = W_O^g B_p W_O^{g\top} = \sum_h C_{gh} D_h^{p-1} C_{gh}^\top$.
 *
 * Cost per order and pair of layers of $H$ heads: $2 H^2 d_{head}^3$ multiply-adds, against $2 H d_{model}^2 d_{head}$
 * per layer for propagating $S_p$ itself. At 12 layers of 12 heads that is a third of the work; it pays while layers
 * are fewer than about three times the heads. The cores serve all orders and sources. They exist for two layers at a
 * time.
 */
import { multiplyStacks, stackOf, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer } from "../../model/index.ts";
import { addTo, withWorkspace } from "../../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../../tensor/internal.ts";
import { factorsOfLayer } from "./path-grams.ts";
import type { Gram, LayerFactors } from "./path-grams.ts";
import type { Steps } from "../../progress.ts";

/** Paths whose sums are taken together. */
export interface PathFamily {
  /** By layer, `[head, d_head, d_head]`: what comes to its heads past all others. */
  readonly direct: readonly Gram[];
  /** The longest paths that are told apart; longer ones are in the same sum. */
  readonly longest: number;
}

/** By order, `[head, d_head, d_head]`: sums over the paths between the heads of a layer and the ends of the paths. */
export type HeadSums = readonly Gram[];

/**
 * The sums over the paths that lead to the heads of each layer.
 *
 * @param families - a list by layer for each is returned.
 */
export function pathsToHeads(
  layers: readonly AttentionLayer[],
  families: readonly PathFamily[],
  steps?: Steps,
): HeadSums[][] {
  return sumsOf(layers, families, true, steps);
}

/** The sums over the ways on from the heads of each layer; `direct` is what becomes of their values past all others. */
export function pathsFromHeads(
  layers: readonly AttentionLayer[],
  families: readonly PathFamily[],
  steps?: Steps,
): HeadSums[][] {
  return sumsOf(layers, families, false, steps);
}

function sumsOf(
  layers: readonly AttentionLayer[],
  families: readonly PathFamily[],
  isForward: boolean,
  steps: Steps | undefined,
): HeadSums[][] {
  const sums: HeadSums[][] = families.map(() => []);
  const order = isForward ? [...layers.keys()] : [...layers.keys()].reverse();
  const factors = layers.map(factorsOfLayer);
  withWorkspace((take) => {
    const space = order.length > 1 ? spaceOf(factors, take) : undefined;
    for (const [t, at] of order.entries()) {
      const own = families.map(({ direct }) => [(direct[at] as Gram).slice()]);
      for (const from of space === undefined ? [] : order.slice(0, t)) {
        const [writer, reader] = isForward ? [from, at] : [at, from];
        const cores = coresOf(factors[writer] as LayerFactors, factors[reader] as LayerFactors, space as Space);
        const N = isForward ? cores : transposedStack(cores);
        for (const [f, { longest }] of families.entries()) {
          for (const [p, sum] of ((sums[f] as HeadSums[])[from] as HeadSums).entries()) {
            addOnward(sum, N, space as Space, sumAt(own[f] as Gram[], Math.min(p + 1, longest)));
          }
        }
      }
      for (const [f, each] of own.entries()) (sums[f] as HeadSums[])[at] = each;
      steps?.advance();
    }
  });
  return sums;
}

/** The sum of an order, of which there is none yet where no path has been so long. */
function sumAt(sums: Gram[], order: number): Gram {
  return (sums[order] ??= new Float64Array((sums[0] as Gram).length));
}

/** Where a step between two layers works. */
interface Space {
  readonly heads: number;
  readonly k: number;
  /** `[head, d_head, head, d_head]`: of the writers by rows, of the readers by columns. */
  readonly cores: FloatArray;
  /** As `cores`. */
  readonly moved: FloatArray;
  /** `[head, d_head, d_head]`. */
  readonly before: FloatArray;
  /** `[head, d_head, d_head]`. */
  readonly after: FloatArray;
}

function spaceOf(layers: readonly LayerFactors[], take: TakeArray): Space {
  const { heads, k } = layers[0] as LayerFactors;
  const kind = layers.every((layer) => layer.kind === "float32") ? "float32" : "float64";
  const [all, own] = [(heads * k) ** 2, heads * k * k];
  return {
    ...{ heads, k, cores: take(kind, all), moved: take(kind, all) },
    ...{ before: take(kind, own), after: take(kind, own) },
  };
}

/** $W_O^g W_V^h$ of each head of a layer with each of a later one, one matrix. */
function coresOf({ d, O }: LayerFactors, { V }: LayerFactors, { heads, k, cores }: Space): Stack {
  const width = heads * k;
  const written = stackOf(O.view.data, [1, width, d]);
  multiplyStacks(written, V, stackOf(cores, [heads, width, k], { row: width, step: k }));
  return stackOf(cores, [1, width, width]);
}

/** Adds $\sum_g N_{gh}^\top R_g N_{gh}$ for each head, `N` being `[g, d_head, h, d_head]`. */
function addOnward(R: Gram, N: Stack, { heads, k, moved, before, after }: Space, into: Gram): void {
  const width = heads * k;
  before.set(R);
  const byWriter = rowBlocks(N, heads);
  multiplyStacks(stackOf(before, [heads, k, k]), byWriter, stackOf(moved, [heads, k, width]));
  const readers = stackOf(moved, [heads, width, k], { row: width, step: k });
  multiplyStacks(rowBlocks(transposedStack(N), heads), readers, stackOf(after, [heads, k, k]));
  addTo(into, after);
}

/** The rows of a matrix in so many blocks, one after another. */
function rowBlocks({ rows, cols, view }: Stack, count: number): Stack {
  const each = rows / count;
  return { count, rows: each, cols, view: { ...view, batchStride: each * view.rowStride } };
}
