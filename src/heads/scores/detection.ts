/** TransformerLens's head detector: how much a pattern resembles an ideal one. */
import { InputError, ShapeError, nameOf, requireKind } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import { requireChoice } from "../../model/internal.ts";
import { patternSizes } from "./tally.ts";
import type { Pattern } from "./tally.ts";

/**
 * The behaviours that {@link detectionPattern} draws, under TransformerLens's names.
 * @category Head scores
 */
export type DetectionKind = "previous_token_head" | "duplicate_token_head" | "induction_head";

/**
 * The ideal pattern of a behaviour on a prompt, of zeros and ones: the previous token; every earlier occurrence of the
 * same token; or what came after each earlier occurrence (TransformerLens, `head_detector`).
 *
 * @param tokens - `[batch, pos]`.
 * @returns `[batch, query_pos, key_pos]`, 1 where such a head would look.
 * @throws {@link InputError} for an unknown kind.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor, detectionPattern } from "transformer-circuits";
 *
 * const tokens = Tensor.from("batch pos", [1, 3], [5, 6, 5], "int32");
 * console.log(detectionPattern(tokens, "induction_head").select("batch", 0).toNested());
 * // [ [ 0, 0, 0 ], [ 0, 0, 0 ], [ 0, 1, 0 ] ]
 * ```
 */
export function detectionPattern(tokens: Tensor<"batch pos">, kind: DetectionKind): Tensor<"batch query_pos key_pos"> {
  requireAxes(tokens, "batch pos", "tokens", "detectionPattern");
  const [batch = 0, pos = 0] = tokens.shape;
  const ids = tokens.data;
  const out = new Float32Array(batch * pos * pos);
  const isSame = (b: number, i: number, j: number): boolean => j >= 0 && ids[b * pos + i] === ids[b * pos + j];
  const rules: Record<DetectionKind, (b: number, query: number, key: number) => boolean> = {
    previous_token_head: (_, query, key) => key === query - 1,
    duplicate_token_head: (b, query, key) => key < query && isSame(b, query, key),
    induction_head: (b, query, key) => key <= query && isSame(b, query, key - 1),
  };
  if (!Object.hasOwn(rules, kind)) {
    throw new InputError(`there is no behaviour ${nameOf(kind)}; those drawn are ${Object.keys(rules).join(", ")}.`, {
      operation: "detectionPattern",
      argument: "kind",
      expected: Object.keys(rules),
      actual: kind,
    });
  }
  for (let i = 0; i < out.length; i++) {
    const [b, query, key] = [Math.floor(i / (pos * pos)), Math.floor(i / pos) % pos, i % pos];
    out[i] = rules[kind](b, query, key) ? 1 : 0;
  }
  return Tensor.from("batch query_pos key_pos", [batch, pos, pos], out);
}

/**
 * How {@link detectionScores} compares.
 * @category Head scores
 */
export interface DetectionOptions {
  /**
   * `"mul"` (the default): the share of attention that the ideal pattern covers; `"abs"`: 1 minus n times the mean
   * absolute difference, n being the number of positions.
   */
  readonly measure?: "mul" | "abs" | undefined;
  /** Leaves column 0 out, of the pattern and of the ideal. */
  readonly excludeBos?: boolean | undefined;
  /** Leaves the diagonal out, of both. */
  readonly excludeCurrentToken?: boolean | undefined;
}

/**
 * How much each head's pattern $A$ resembles an ideal one $D$: $\sum A \odot D / \sum A$ (`"mul"`), or
 * $1 - n \cdot \mathrm{mean}\,|A - D|$ (`"abs"`), per prompt and averaged over prompts (TransformerLens, `detect_head`,
 * which rounds the latter to three places). Entries that are left out count as 0 in either sum; the mean stays that of
 * all $n^2$.
 *
 * `"mul"` divides by all attention, so that on a prompt repeated twice a perfect induction head which rests elsewhere
 * before the repeat scores about one half.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`.
 * @param detection - `[batch, query_pos, key_pos]`, from {@link detectionPattern} or made by hand.
 * @returns `[head]`, float64; 0 under `"mul"` where no attention is left.
 * @throws {@link AxisError} or {@link ShapeError} when the tensors do not fit; {@link InputError} for an unknown
 * measure.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor, detectionPattern, detectionScores } from "transformer-circuits";
 *
 * const tokens = Tensor.from("batch pos", [1, 2], [5, 6], "int32");
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[[[1, 0], [0.75, 0.25]]]]);
 * console.log(detectionScores(pattern, detectionPattern(tokens, "previous_token_head")).at(0));
 * // 0.375
 * ```
 */
export function detectionScores(
  pattern: Pattern,
  detection: Tensor<"batch query_pos key_pos">,
  options: DetectionOptions = {},
): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "detectionScores", options);
  requireAxes(detection, "batch query_pos key_pos", "detection", "detectionScores");
  const operation = "detectionScores";
  const { measure = "mul", excludeBos = false, excludeCurrentToken = false } = options;
  requireChoice(measure, ["mul", "abs"], "measure", operation);
  const { batch, heads, queries, keys } = patternSizes(pattern, operation);
  if (detection.rank !== 3 || [batch, queries, keys].some((n, a) => detection.shape[a] !== n)) {
    throw new ShapeError(
      `the pattern is ${describeTensor(pattern)} but the detection pattern is ${describeTensor(detection)}.`,
      {
        operation,
        argument: "detection",
        expected: [batch, queries, keys],
        actual: detection.shape,
      },
    );
  }
  const [data, ideal] = [rawData(pattern), rawData(detection)];
  const size = queries * keys;
  const scores = new Float64Array(heads);
  for (let i = 0; i < batch * heads; i++) {
    const [b, h] = [Math.floor(i / heads), i % heads];
    let [covered, total, difference] = [0, 0, 0];
    for (let place = 0; place < size; place++) {
      const [query, key] = [Math.floor(place / keys), place % keys];
      if ((excludeBos && key === 0) || (excludeCurrentToken && key === query)) continue;
      const [a, d] = [data[i * size + place] as number, ideal[b * size + place] as number];
      covered += a * d;
      total += a;
      difference += Math.abs(a - d);
    }
    const score = measure === "abs" ? 1 - (queries * difference) / size : total === 0 ? 0 : covered / total;
    scores[h] = (scores[h] as number) + score / batch;
  }
  return Tensor.from("head", [heads], scores);
}
