/**
 * The paths of a model: from a source (the embedding, what an MLP wrote, a bias) through at most one head of each later
 * layer, in order, to the unembedding.
 *
 * $L$ layers of $H$ heads have $\binom{L}{p} H^p$ paths of order $p$ (through $p$ heads), $(1 + H)^L$ in all; the MLP
 * of layer $l$ begins $(1 + H)^{L-l-1}$ more.
 */
import { Shown } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { composeProducts, identityMap, onFeatures } from "../../linear/index.ts";
import type { TensorProduct } from "../../linear/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { matmul, Tensor } from "../../tensor/index.ts";
import { finalNormProduct, headProduct, normalizedHeadProduct, patternProduct } from "../factors.ts";
import { headTerm, throughFinalNorm, throughFrozenNorm, writeValues } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import type { FrozenSource, PathSource } from "./sources.ts";
import type { Kind } from "../../errors.ts";

export const PATH_TERM: Kind = {
  member: "order",
  what: "a term of a path expansion",
  remedy: "Take it from its terms",
};

/**
 * One term of the logits.
 * @category Path expansion
 */
export interface PathTerm {
  /**
   * `direct`, `L0H1`, `L0H1→L1H2`, `0_mlp_out→L1H2`, `b_O[0]→L1H2`; `bias`, `remainder` or a group's name for what is
   * not one path.
   */
  readonly label: string;
  /** One path; everything that begins in a bias; all longer paths together; or terms grouped. */
  readonly kind: "path" | "bias" | "remainder" | "group";
  /** Where the path begins. */
  readonly source: PathSource;
  /** The heads on the way, earliest first. */
  readonly path: readonly HeadId[];
  /** The number of heads on the way; for the remainder and for groups, of the shortest path in it. */
  readonly order: number;
  /**
   * What the term gives to the unembedding, `[batch, pos, d_model]`, float64: the sum of all terms is
   * `unembed.hook_in`. Computed when first asked for.
   */
  readonly resid: Stream;
  /**
   * The path as one tensor product `A ⊗ W`, norms included, from {@link PathTerm.input} to the unembedding:
   * `applyProduct(input, product)` is `resid`. Absent where the term is not one path.
   */
  readonly product?: TensorProduct<"d_model", "d_model"> | undefined;
  /** What the path begins with, `[batch, pos, d_model]`, float64; for $b_V$ of a head, $b_V W_O$. */
  readonly input?: Stream | undefined;
}

/** What a term shows of itself. */
export function termShowing({ label }: PathTerm): Showing {
  return { title: `PathTerm ${label}` };
}

/** What a term is in JSON: what names it, without its activations. */
export function termJSON({ label, kind, source, path, order }: PathTerm): object {
  return { label, kind, source, path, order };
}

/** The label of a path: its heads, after its source unless that is the whole embedding. */
function labelOf(source: PathSource, path: readonly HeadId[]): string {
  if (path.length === 0) return source;
  const heads = path.map(headLabel);
  return (source === "direct" ? heads : [source, ...heads]).join("→");
}

/**
 * A path and its place in the tree of paths; streams that longer paths go on from are kept, those of leaves are not.
 */
export class PathNode extends Shown implements PathTerm {
  readonly label: string;
  readonly kind = "path";
  readonly source: PathSource;
  readonly path: readonly HeadId[];
  readonly root: FrozenSource;
  /** The layer that paths end before. */
  readonly end: number;
  /** Where the paths that go on through a layer stand in the list of terms, head by head. */
  readonly children = new Map<number, number>();
  readonly #frozen: FrozenRun;
  readonly #parent: PathNode | undefined;
  readonly #isLeaf: boolean;
  #stream: Stream | undefined;
  #normalized: { readonly layer: number; readonly stream: Stream } | undefined;

  private constructor(
    frozen: FrozenRun,
    root: FrozenSource,
    path: readonly HeadId[],
    isLeaf: boolean,
    end: number,
    parent?: PathNode,
  ) {
    super();
    this.label = labelOf(root.source, path);
    this.source = root.source;
    this.root = root;
    this.end = end;
    this.path = path;
    this.#frozen = frozen;
    this.#isLeaf = isLeaf;
    this.#parent = parent;
    this.#stream = path.length === 0 ? root.stream : undefined;
  }

  /** @internal */
  override showing(): Showing {
    return termShowing(this);
  }

  override toJSON(): object {
    return termJSON(this);
  }

  /** A path of no heads. */
  static root(frozen: FrozenRun, source: FrozenSource, end = frozen.model.config.n_layers): PathNode {
    return new PathNode(frozen, source, [], false, end);
  }

  /** The path that goes on through one more head. */
  extend(head: HeadId, isLeaf: boolean): PathNode {
    return new PathNode(this.#frozen, this.root, [...this.path, head], isLeaf, this.end, this);
  }

  get order(): number {
    return this.path.length;
  }

  /** The layers that may come next: all from the first to before the last. */
  get nextLayers(): readonly [first: number, end: number] {
    const last = this.path.at(-1);
    if (last !== undefined) return [last.layer + 1, this.end];
    const { from, enters } = this.root;
    return [from, enters === "stream" ? this.end : enters === "final" ? from : from + 1];
  }

  get resid(): Stream {
    return this.root.enters === "final" ? this.stream : throughFinalNorm(this.#frozen, this.stream);
  }

  get input(): Stream {
    const { stream, from } = this.root;
    const first = this.path[0];
    if (stream !== undefined || first === undefined) return stream ?? this.stream;
    const { b_V, W_O } = this.#frozen.model.layer(from);
    return matmul(everywhere(this.#frozen, b_V.select("head", first.head)), W_O.select("head", first.head));
  }

  get product(): TensorProduct<"d_model", "d_model"> {
    const end = this.#productSoFar;
    if (this.root.enters === "final") return end;
    const final = finalNormProduct(this.#frozen);
    return final === undefined ? end : composeProducts(end, final);
  }

  get #productSoFar(): TensorProduct<"d_model", "d_model"> {
    const last = this.path.at(-1);
    if (last === undefined || this.#parent === undefined) {
      return onFeatures(identityMap("d_model", this.#frozen.model.config.d_model));
    }
    if (this.path.length === 1 && this.root.enters === "values") return patternProduct(this.#frozen, last);
    if (this.path.length === 1 && this.root.enters === "normalized") return normalizedHeadProduct(this.#frozen, last);
    if (this.path.length === 1) return headProduct(this.#frozen, last);
    const before = this.#parent.#productSoFar;
    return composeProducts(before, headProduct(this.#frozen, last));
  }

  /** What the path writes to the residual stream. */
  get stream(): Stream {
    if (this.#stream !== undefined) return this.#stream;
    const computed = this.#compute();
    if (!this.#isLeaf) this.#stream = computed;
    return computed;
  }

  /** Takes a stream that was computed with those of other heads. */
  adopt(stream: Stream): void {
    if (!this.#isLeaf) this.#stream ??= stream;
  }

  #compute(): Stream {
    const last = this.path.at(-1);
    const parent = this.#parent;
    if (last === undefined || parent === undefined) {
      return (
        this.root.stream ?? Tensor.zeros("batch pos d_model", this.#frozen.run.cache.get("hook_embed").shape, "float64")
      );
    }
    const { layer, head } = last;
    const { enters } = this.root;
    if (parent.order === 0 && enters === "values") {
      const b_V = this.#frozen.model.layer(layer).b_V.select("head", head);
      return writeValues(this.#frozen, layer, head, everywhere(this.#frozen, b_V));
    }
    const read = parent.order === 0 && enters === "normalized" ? parent.stream : parent.#readBy(layer);
    return headTerm(this.#frozen, layer, head, read);
  }

  /** What the heads of a later layer read of this path; kept for the latest layer that asked. */
  #readBy(layer: number): Stream {
    if (this.#normalized?.layer !== layer) {
      this.#normalized = { layer, stream: throughFrozenNorm(this.#frozen, layer, this.stream) };
    }
    return this.#normalized.stream;
  }
}

/** A head's vector at every position of every prompt. */
function everywhere({ run }: FrozenRun, b_V: Tensor<"d_head">): Tensor<"batch pos d_head"> {
  const [batch = 0, pos = 0] = run.tokens.shape;
  const ones = Tensor.from("batch pos one", [batch, pos, 1], new Float64Array(batch * pos).fill(1));
  return matmul(ones, Tensor.from("one d_head", [1, b_V.size], b_V.data));
}

/**
 * All paths of order at most `maxOrder` from some roots: by order, and within an order head by head. A source that
 * enters within a layer is no path by itself.
 */
export function enumeratePaths(frozen: FrozenRun, roots: readonly PathNode[], maxOrder: number): PathNode[] {
  const { n_layers, n_heads } = frozen.model.config;
  const nodes: PathNode[] = roots.filter(({ root }) => root.enters === "stream" || root.enters === "final");
  let shorter: readonly PathNode[] = roots;
  for (let order = 1; order <= Math.min(maxOrder, n_layers); order++) {
    const longer: PathNode[] = [];
    for (const node of shorter) {
      const [from, end] = node.nextLayers;
      for (let layer = from; layer < end; layer++) {
        const isLeaf = layer === node.end - 1 || order === maxOrder;
        node.children.set(layer, nodes.length + longer.length);
        for (let head = 0; head < n_heads; head++) longer.push(node.extend({ layer, head }, isLeaf));
      }
    }
    for (const node of longer) nodes.push(node);
    shorter = longer;
  }
  return nodes;
}
