/**
 * The paths of a model: from the embedding, or from what an MLP wrote, through at most one head of each later layer, in order, to
 * the unembedding.
 *
 * $L$ layers of $H$ heads have $\binom{L}{p} H^p$ paths of order $p$ (through $p$ heads), $(1 + H)^L$ in all; the MLP of layer $l$
 * begins $(1 + H)^{L-l-1}$ more.
 */
import { headLabel } from "../model/index.ts";
import type { HeadId } from "../model/index.ts";
import { headTerm, throughFinalNorm, throughFrozenNorm } from "./frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen-run.ts";

/**
 * Where a path begins: in the whole residual stream before the first layer (`direct`), in one of its two parts, or in what the MLP
 * of a layer wrote (`0_mlp_out`).
 * @category Path expansion
 */
export type PathSource = "direct" | "embed" | "pos_embed" | `${number}_mlp_out`;

/**
 * One term of the logits.
 * @category Path expansion
 */
export interface PathTerm {
  /** `direct`, `L0H1`, `L0H1→L1H2`; `bias` and `remainder` for the two terms that are not one path. */
  readonly label: string;
  /** One path, everything that begins in a bias, or all longer paths together. */
  readonly kind: "path" | "bias" | "remainder";
  /** Where the path begins. */
  readonly source: PathSource;
  /** The heads on the way, earliest first. */
  readonly path: readonly HeadId[];
  /** The number of heads on the way; for the remainder, of the shortest path in it. */
  readonly order: number;
  /**
   * What the term gives to the unembedding, `[batch, pos, d_model]`, float64: the sum of all terms is `unembed.hook_in`.
   * Computed when first asked for.
   */
  readonly resid: Stream;
}

/** The number of paths of order at most `maxOrder` from one source through `n_layers` layers. */
export function countPaths(n_layers: number, n_heads: number, maxOrder: number): number {
  let count = 0;
  let ofOrder = 1;
  for (let order = 0; order <= Math.min(maxOrder, n_layers); order++) {
    count += ofOrder;
    ofOrder *= ((n_layers - order) / (order + 1)) * n_heads;
  }
  return Math.round(count);
}

/** The label of a path: its heads, after its source where there is more than one. */
function labelOf(source: PathSource, path: readonly HeadId[]): string {
  if (path.length === 0) return source;
  const heads = path.map(headLabel);
  return (source === "direct" ? heads : [source, ...heads]).join("→");
}

/** A path and its place in the tree of paths; streams that longer paths go on from are kept, those of leaves are not. */
export class PathNode implements PathTerm {
  readonly label: string;
  readonly kind = "path";
  readonly source: PathSource;
  readonly path: readonly HeadId[];
  readonly #frozen: FrozenRun;
  readonly #compute: () => Stream;
  readonly #isLeaf: boolean;
  readonly #firstLayer: number;
  #stream: Stream | undefined;
  #normalized: { readonly layer: number; readonly stream: Stream } | undefined;

  private constructor(
    frozen: FrozenRun,
    source: PathSource,
    path: readonly HeadId[],
    isLeaf: boolean,
    firstLayer: number,
    compute: () => Stream,
  ) {
    this.label = labelOf(source, path);
    this.source = source;
    this.path = path;
    this.#frozen = frozen;
    this.#isLeaf = isLeaf;
    this.#firstLayer = firstLayer;
    this.#compute = compute;
  }

  /** A path of no heads; those of `firstLayer` are the first that it can go on through. */
  static root(frozen: FrozenRun, source: PathSource, stream: Stream, firstLayer = 0): PathNode {
    return new PathNode(frozen, source, [], false, firstLayer, () => stream);
  }

  /** The path that goes on through one more head. */
  extend(head: HeadId, isLeaf: boolean): PathNode {
    return new PathNode(this.#frozen, this.source, [...this.path, head], isLeaf, head.layer + 1, () =>
      headTerm(this.#frozen, head.layer, head.head, this.#readBy(head.layer)),
    );
  }

  /** The first layer whose heads can read this path. */
  get firstLayer(): number {
    return this.#firstLayer;
  }

  get order(): number {
    return this.path.length;
  }

  get resid(): Stream {
    return throughFinalNorm(this.#frozen, this.stream);
  }

  /** What the path writes to the residual stream. */
  get stream(): Stream {
    if (this.#isLeaf) return this.#compute();
    this.#stream ??= this.#compute();
    return this.#stream;
  }

  /** What the heads of a later layer read of this path; kept for the latest layer that asked. */
  #readBy(layer: number): Stream {
    if (this.#normalized?.layer !== layer) {
      this.#normalized = { layer, stream: throughFrozenNorm(this.#frozen, layer, this.stream) };
    }
    return this.#normalized.stream;
  }
}

/** All paths of order at most `maxOrder` from some roots: by order, and within an order head by head. */
export function enumeratePaths(frozen: FrozenRun, roots: readonly PathNode[], maxOrder: number): PathNode[] {
  const { n_layers, n_heads } = frozen.model.config;
  const nodes: PathNode[] = [...roots];
  let shorter: readonly PathNode[] = roots;
  for (let order = 1; order <= Math.min(maxOrder, n_layers); order++) {
    const longer: PathNode[] = [];
    for (const node of shorter) {
      for (let layer = node.firstLayer; layer < n_layers; layer++) {
        const isLeaf = layer === n_layers - 1 || order === maxOrder;
        for (let head = 0; head < n_heads; head++) longer.push(node.extend({ layer, head }, isLeaf));
      }
    }
    nodes.push(...longer);
    shorter = longer;
  }
  return nodes;
}
