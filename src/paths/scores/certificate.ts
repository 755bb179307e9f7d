/**
 * How far a sum of score terms is from the scores of a float32 run by rounding alone; see certificate.ts for the
 * conventions.
 *
 * The rounding that a run is seen to have made, each piece cut to what float32 reaches, is followed to the score with
 * its sign:
 *
 * $$\begin{aligned}
 * e &&&\text{of the stream, from certificate.ts}\\
 * \rho_q &= \tilde q - (\tilde n W_Q + b_Q) &
 * \|\rho_q\| &\le \|W_Q\|\mu + \gamma_d \|\tilde n\| \|W_Q\|_F + u(2\|\tilde q\| + \|b_Q\|)\\
 * \rho_s &= \tilde s - \tilde q \cdot \tilde k / c &
 * |\rho_s| &\le \gamma_k \|\tilde q\| \|\tilde k\| / c + 2u|\tilde s|
 * \end{aligned}$$
 *
 * and $u\|\tilde q\|$ for a rotation; keys likewise. Proof that no run of float32 exceeds the bound: the frozen norm is
 * affine, so exact queries are $q = \tilde q - \delta_q$ with $\delta_q = \mathrm{n}(e) W_Q + \rho_q$, keys likewise,
 * and $\tilde s - q \cdot k / c =
 * (\tilde q \cdot \delta_k + \delta_q \cdot \tilde k - \delta_q \cdot \delta_k) / c + \rho_s$
 * is met exactly; what the float64 of the terms errs by is added.
 */
import type { HeadId } from "../../model/index.ts";
import { add, astype, frobeniusNorm, matmul, subtract } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { dot, rawData, rowNorms, sumRounding, U32 } from "../../tensor/internal.ts";
import {
  asRounding,
  normRounding,
  operationsOf,
  spectralBound,
  streamError,
  U64,
  writtenError,
} from "../certificate.ts";
import type { PerPosition } from "../certificate.ts";
import { constantStream, throughFrozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { readerEdit } from "../frozen/run-edits.ts";
import { rotated } from "./components.ts";
import type { ScoreComponent, ScorePartition } from "./components.ts";

/** The errors by rounding of the scores of a head. */
export interface ScoreRounding {
  /** The bound for the score of query position `i` and key position `j` of prompt `b`, in scores. */
  readonly at: (b: number, i: number, j: number, score: number) => number;
  /** That score of the stored queries and keys in float64, whether the run masked it or not. */
  readonly exact: (b: number, i: number, j: number) => number;
  /** A stored query or key, by its row, times an exact vector, and the bound for it; not divided by the scale. */
  readonly along: (
    side: "query" | "key",
    row: number,
    vector: Float64Array,
  ) => { readonly value: number; readonly reach: number };
}

/** Queries or keys of a head, one row a position of a prompt. */
interface Side {
  /** As the run stored them, rotated to their positions. */
  readonly vectors: Float64Array;
  /** How far they are, by rounding, from the sum of their parts. */
  readonly rounding: Float64Array;
  readonly size: PerPosition;
  /** The error of the float64 arithmetic of the parts and of their sum. */
  readonly ofParts: PerPosition;
  /** The sum of the sizes of the parts. */
  readonly partSizes: PerPosition;
}

/** Follows the rounding of a run to the scores of a head that are taken apart into `components`. */
export function scoreRounding(
  frozen: FrozenRun,
  { layer, head }: HeadId,
  by: ScorePartition,
  components: readonly ScoreComponent[],
): ScoreRounding {
  const { model } = frozen;
  const error = by === "head" ? writtenError(frozen, layer) : streamError(frozen, layer);
  const [q, k] = (["Q", "K"] as const).map((name) => sideOf(frozen, { layer, head }, name, error, components)) as [
    Side,
    Side,
  ];
  const pos = frozen.run.tokens.sizeOf("pos");
  const { d_head } = model.config;
  const { attnScale } = model.layer(layer);
  const ofSum = sumRounding(d_head);
  const ofTerms = U64 * components.length ** 2;
  return {
    at: (b, i, j, score) => {
      const [row, col] = [b * pos + i, b * pos + j];
      let [exact, carried] = [0, 0];
      for (let e = 0; e < d_head; e++) {
        const [x, y] = [q.vectors[row * d_head + e] as number, k.vectors[col * d_head + e] as number];
        const [dx, dy] = [q.rounding[row * d_head + e] as number, k.rounding[col * d_head + e] as number];
        exact += x * y;
        carried += x * dy + dx * y - dx * dy;
      }
      const of = (side: keyof Side, other: keyof Side): number => (q[side][row] as number) * (k[other][col] as number);
      const reach = (ofSum * of("size", "size")) / attnScale + 2 * U32 * Math.abs(score);
      const seen = score - exact / attnScale;
      const ofFloat64 =
        ofTerms * of("partSizes", "partSizes") + of("ofParts", "partSizes") + of("partSizes", "ofParts");
      const local = Math.sign(seen) * Math.min(Math.abs(seen), reach);
      return Math.abs(carried / attnScale + local) + ofFloat64 / attnScale;
    },
    exact: (b, i, j) => {
      return dot(q.vectors, (b * pos + i) * d_head, k.vectors, (b * pos + j) * d_head, d_head) / attnScale;
    },
    along: (name, row, vector) => {
      const side = name === "query" ? q : k;
      const size = Math.hypot(...vector);
      const ofFloat64 = (side.ofParts[row] as number) + ofTerms * (side.partSizes[row] as number);
      return {
        value: dot(side.vectors, row * d_head, vector, 0, d_head),
        reach: Math.abs(dot(side.rounding, row * d_head, vector, 0, d_head)) + size * ofFloat64,
      };
    },
  };
}

/** Follows the rounding of a run to a head's queries or keys. */
function sideOf(
  frozen: FrozenRun,
  { layer, head }: HeadId,
  name: "Q" | "K",
  error: Stream,
  components: readonly ScoreComponent[],
): Side {
  const { model, run } = frozen;
  const { config } = model;
  const attention = model.layer(layer);
  const [W, b] = [attention[`W_${name}`].select("head", head), attention[`b_${name}`].select("head", head)];
  const at = `blocks.${layer}.attn` as const;
  const hook = name === "Q" ? "q" : "k";
  const place = name === "Q" ? head : attention.head(head).keyValueHead;
  const own = wide(run.cache.get(`${at}.hook_${hook}`).select("head", place));
  const stored = beforeEdit(frozen, `${at}.hook_${hook}`, place);
  const { stream, rounding: ofRead } = readBy(frozen, layer);
  const [sizeBefore, sizeAfter] = [rowNorms(stored), rowNorms(own)];
  const size = stored === own ? sizeAfter : sizeAfter.map((x, row) => Math.max(x, sizeBefore[row] as number));
  const ofW = frobeniusNorm(W);
  const [ofNorm, ofSums, bias] = [spectralBound(W), sumRounding(config.d_model) * ofW, rowNorms(b)[0] ?? 0];
  const read = rowNorms(stream);
  const reach = size.map(
    (q, row) => ofNorm * (ofRead[row] as number) + ofSums * (read[row] as number) + U32 * (2 * q + bias),
  );
  // Where an edit changed what they are read from, the part of that edit is all that separates them from the stream.
  const isRead = frozen.trace === undefined || readerEdit(run, frozen.trace, attention, hook) === undefined;
  const defect = subtract(stored, add(matmul(stream, W), b));
  const local = asRounding(defect, isRead ? reach : new Float64Array(reach.length));
  let [vectors, rounding] = [own, add(matmul(throughFrozenNorm(frozen, layer, error), W), local)];
  if (config.positional_embedding_type === "rotary") {
    const turned = `${at}.hook_rot_${hook}` as const;
    const ofTurn = asRounding(
      subtract(beforeEdit(frozen, turned, place), rotated(frozen, own)),
      size.map((q) => U32 * q),
    );
    vectors = wide(run.cache.get(turned).select("head", place));
    rounding = add(rotated(frozen, rounding), ofTurn);
  }
  const part = name === "Q" ? "query" : "key";
  const operations = U64 * operationsOf(frozen, components.length);
  const sums = (of: (component: ScoreComponent) => PerPosition): PerPosition =>
    components.map(of).reduce((a, c) => a.map((x, row) => x + (c[row] as number)));
  return {
    vectors: rawData(vectors) as Float64Array,
    rounding: rawData(rounding) as Float64Array,
    size,
    ofParts: sums(({ readNorms }) => readNorms).map((x) => operations * (x * ofW + bias)),
    partSizes: sums((component) => rowNorms(component[part])),
  };
}

/** Vectors of a head as they came to a hook, float64. */
function beforeEdit(
  { run, trace }: FrozenRun,
  hook: `blocks.${number}.attn.hook_${"q" | "k" | "rot_q" | "rot_k"}`,
  head: number,
): Tensor<"batch pos d_head"> {
  const before = trace?.before.get(hook) as Tensor<"batch pos head d_head"> | undefined;
  return wide((before ?? run.cache.get(hook)).select("head", head));
}

/**
 * What the queries and keys of a layer are read from, in float64 of the stored stream, and what rounding reaches in the
 * run's own.
 */
function readBy(frozen: FrozenRun, layer: number): { readonly stream: Stream; readonly rounding: PerPosition } {
  const { model, run } = frozen;
  const { ln1 } = model.layer(layer);
  const stored = run.cache.get(`blocks.${layer}.hook_resid_pre`);
  const linear = throughFrozenNorm(frozen, layer, astype(stored, "float64"));
  const normed = ln1?.b === undefined ? linear : add(linear, constantStream(frozen, ln1.b));
  const rounding = normRounding(frozen, layer, stored);
  if (model.config.positional_embedding_type !== "shortformer") return { stream: normed, rounding };
  const stream = add(normed, run.cache.get("hook_pos_embed"));
  const sizes = rowNorms(stream);
  return { stream, rounding: rounding.map((mu, row) => mu + U32 * (sizes[row] as number)) };
}

const wide = <A extends string>(t: Tensor<A>): Tensor<A> => astype(t, "float64");
