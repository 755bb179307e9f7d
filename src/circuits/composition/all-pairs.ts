/**
 * Composition scores of all pairs of heads: what composition.ts defines for two, fast.
 *
 * A Frobenius norm keeps its value when an outer factor is replaced by a root of its Gram matrix:
 * $\|W_V W_O X\| = \|R W_O X\|$ for any $R$ with $R^\top R = W_V^\top W_V$. Both outer factors of a score are replaced
 * so. Each head's map becomes one matrix $B$ or $A$, d_head x d_model, of norm 1 (unit-maps.ts), and a score is
 * $\|B A^\top\|$. Its square is $\langle B^\top B,\, A^\top A \rangle$, an inner product of symmetric matrices that are
 * made once for all pairs. At 12 layers of 12 heads this takes a third of the time of a product for every pair; at 2
 * layers, no more.
 *
 * An inner product loses digits where it cancels. A pair whose score comes out far below chance, $1/d_{model}$, is
 * computed by its own product.
 */
import { requireKind } from "../../errors.ts";
import { multiplyStacks, oneOf, squaresOf, squaresOfPairs, stackOf, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { allocateData, kindOf, withWorkspace } from "../../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../../tensor/internal.ts";
import { checkBaseline, compositionBaseline, overPairs } from "./baseline.ts";
import type { NormsInScores } from "./head-weights.ts";
import type { CompositionBaseline, CompositionMaps, CompositionScores, PairScores } from "./pair-scores.ts";
import { UnitMaps, zeroHeadsOf } from "./unit-maps.ts";

/**
 * Options of {@link compositionScores}.
 * @category Circuits
 */
export interface CompositionOptions extends ProgressOptions {
  /**
   * `"raw"` (the default): of the weights as they are, as TransformerLens's; `"folded"`: of the weights with every
   * norm's own folded into what reads through it, and with the mean over d_model, which LayerNorm takes out, taken out
   * of what is written.
   */
  readonly norms?: NormsInScores | undefined;
  /**
   * What `excess` and `zScores` are relative to; {@link compositionBaseline} unless given.
   * {@link sampleCompositionBaseline} has the truer spread.
   */
  readonly baseline?: CompositionBaseline | undefined;
}

/**
 * Q-, K- and V-composition between all pairs of heads, writers in earlier layers than readers.
 *
 * Products are float32 where the weights are (scores then err by less than 1e-6), float64 otherwise. Compare scores
 * with the baseline and with each other, but not between models. A rotary model's rotations are left out, as they are
 * in $W_{QK}$.
 *
 * @param options - `norms`, `baseline`, `signal`, `onProgress` (in bands of matrices that all pairs share).
 * @throws {@link InputError} for an unknown choice of `norms` or a baseline without a spread; the signal's reason when
 * aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { compositionScores } from "transformer-circuits";
 * import { sampleCompositionBaseline } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { K, baseline, zScores } = compositionScores(model);
 * console.log(String(K));
 * // Tensor[writer_layer=2 writer_head=8 reader_layer=2 reader_head=8] float64
 * console.log(K.at(0, 5, 1, 4) > baseline.mean + 10 * baseline.std, zScores.K.at(0, 5, 1, 4) > 10);
 * // true true
 *
 * const drawn = sampleCompositionBaseline(model.config, { samples: 100, seed: 1 });
 * console.log(compositionScores(model, { baseline: drawn }).zScores.K.at(0, 5, 1, 4) > 20);
 * // true
 * ```
 */
export function compositionScores(model: Transformer, options: CompositionOptions = {}): CompositionScores {
  requireKind("model", model, "model", "compositionScores", options, "norms baseline signal onProgress");
  const { norms = "raw", signal } = options;
  requireChoice(norms, ["raw", "folded"], "norms", "compositionScores");
  const baseline = checkBaseline(options.baseline ?? compositionBaseline(model.config), "compositionScores");
  const { n_layers, n_heads } = model.config;
  const shape = [n_layers, n_heads, n_layers, n_heads];
  const size = (n_layers * n_heads) ** 2;
  const scores = { Q: new Float64Array(size), K: new Float64Array(size), V: new Float64Array(size) };
  signal?.throwIfAborted();
  withWorkspace((take) => {
    const { writers, readers } = unitMapsOf(model, norms, take);
    scoresOfPairs(writers, readers, options, (w, r, score) => {
      const [kind, place] = [KINDS[Math.floor(r / n_heads) % KINDS.length] as "Q" | "K" | "V", r % n_heads];
      const layer = 1 + Math.floor(r / (KINDS.length * n_heads));
      scores[kind][(w * n_layers + layer) * n_heads + place] = score;
    });
  });
  const tensor = (data: Float64Array): PairScores =>
    Tensor.from("writer_layer writer_head reader_layer reader_head", shape, data);
  const maps = { Q: tensor(scores.Q), K: tensor(scores.K), V: tensor(scores.V) };
  const zero = { W_OV: zeroHeads(model, "W_OV", norms), W_QK: zeroHeads(model, "W_QK", norms) };
  const relative = (f: (score: number) => number): CompositionMaps => ({
    Q: overPairs(maps.Q, { writers: zero.W_OV, readers: zero.W_QK }, f),
    K: overPairs(maps.K, { writers: zero.W_OV, readers: zero.W_QK }, f),
    V: overPairs(maps.V, { writers: zero.W_OV, readers: zero.W_OV }, f),
  });
  return {
    ...maps,
    baseline,
    zeroHeads: zero,
    get excess() {
      return relative((score) => score - baseline.mean);
    },
    get zScores() {
      return relative((score) => (score - baseline.mean) / baseline.std);
    },
  };
}

const KINDS = ["Q", "K", "V"] as const;

/** Maps of norm 1, `[layer, map, d_head, d_model]`. */
export interface UnitStack {
  readonly maps: Stack;
  /** The norm of each: near 1, or 0 for a zero map. */
  readonly lengths: Float64Array;
  readonly perLayer: number;
}

/** The writers of all layers but the last, and the readers of all layers but the first: queries, keys and values. */
function unitMapsOf(
  model: Transformer,
  norms: NormsInScores,
  take: TakeArray,
): { readonly writers: UnitStack; readonly readers: UnitStack } {
  const { n_heads, d_model, d_head } = model.config;
  const later = Math.max(0, model.layers.length - 1);
  const layers = model.layers.map(
    (layer) => new UnitMaps(layer, norms, { writes: layer.layer < later, reads: layer.layer > 0 }, take),
  );
  const kind = layers.some((maps) => maps.kind === "float64") ? "float64" : "float32";
  const size = n_heads * d_head * d_model;
  const empty = (perLayer: number): UnitStack => ({
    maps: stackOf(take(kind, later * perLayer * d_head * d_model), [later * perLayer, d_head, d_model]),
    lengths: new Float64Array(later * perLayer),
    perLayer,
  });
  const [writers, readers] = [empty(n_heads), empty(KINDS.length * n_heads)];
  const place = ({ maps, lengths }: UnitStack, at: number, unit: (into: FloatArray) => Float64Array): void =>
    lengths.set(unit(maps.view.data.subarray(at * size, (at + 1) * size)), at * n_heads);
  for (const [l, maps] of layers.entries()) {
    if (l < later) place(writers, l, (into) => maps.writers(into));
    if (l === 0) continue;
    for (const [t, side] of (["queries", "keys", "values"] as const).entries()) {
      place(readers, KINDS.length * (l - 1) + t, (into) => maps[side](into));
    }
  }
  return { writers, readers };
}

function zeroHeads(model: Transformer, circuit: "W_OV" | "W_QK", norms: NormsInScores): HeadId[] {
  return model.layers.flatMap((layer) =>
    zeroHeadsOf(layer, circuit, norms).map((head) => ({ layer: layer.layer, head })),
  );
}

/** Rows of the symmetric matrices in a step. */
const BAND = 48;
/** Below this share of chance, $1/d_{model}$, an inner product of float32 numbers has lost too many digits. */
const CANCELLED = 0.1;

/**
 * $\|B A^\top\|$ of every writer with every reader of a later layer. The first readers are one layer after the first
 * writers.
 *
 * @param visit - called with a writer and a reader, counted over all layers, and the score, from 0 to 1.
 */
export function scoresOfPairs(
  writers: UnitStack,
  readers: UnitStack,
  options: ProgressOptions,
  visit: (writer: number, reader: number, score: number) => void,
): void {
  const { count, rows: k, cols: d } = writers.maps;
  const bands = count === 0 ? 0 : Math.ceil(d / BAND);
  const steps = new Steps(options, bands);
  if (count === 0) return;
  const first = Int32Array.from({ length: count }, (_, i) => Math.floor(i / writers.perLayer) * readers.perLayer);
  let band = 0;
  const squares = squaresOfPairs(writers.maps, readers.maps, first, (rows) => {
    for (const done = rows < d ? Math.floor(rows / BAND) : bands; band < done; band++) steps.advance();
  });
  const space = allocateData(kindOf(writers.maps.view.data), k * k) as FloatArray;
  for (let i = 0; i < count; i++) {
    for (let j = first[i] as number; j < readers.maps.count; j++) {
      const scale = (writers.lengths[i] as number) * (readers.lengths[j] as number);
      const square = squareOf(squares[i * readers.maps.count + j] as number, scale);
      const isTrusted = square > CANCELLED / d;
      visit(i, j, lengthOf(isTrusted ? square : squareOf(onePair(writers.maps, i, readers.maps, j, space), scale)));
    }
  }
}

/** The square of a score, 0 where a map is zero. */
const squareOf = (square: number, scale: number): number => (scale === 0 ? 0 : square / (scale * scale));

/** The norm of a product of maps of norm 1: at most 1, whatever rounding does. */
const lengthOf = (square: number): number => Math.min(1, Math.sqrt(square));

/** The square of $\|B A^\top\|$ of one pair by its product. */
function onePair(writers: Stack, i: number, readers: Stack, j: number, space: FloatArray): number {
  const product = stackOf(space, [1, writers.rows, readers.rows]);
  multiplyStacks(oneOf(writers, i), transposedStack(oneOf(readers, j)), product);
  return squaresOf(space, 1)[0] as number;
}
