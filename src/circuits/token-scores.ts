/** What a head's circuits say of single source tokens: rows of the OV circuit, columns of the QK circuit made comparable. */
import { applyMap, columnsOf, rowsOf, transpose } from "../linear/index.ts";
import type { HeadRef, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { fullOVCircuit, fullQKCircuit } from "./full-circuits.ts";

/**
 * What a score of the QK circuit is compared with, as scores of different query tokens are not comparable: nothing (`raw`),
 * the query token's mean over all key tokens (`mean`), or its score with the start token (`start`), where heads rest that
 * find nothing. All leave every pattern as it is.
 * @category Circuits
 */
export type ScoreReference = "raw" | "mean" | "start";

/**
 * A token with what a circuit gives it.
 * @category Circuits
 */
export interface TokenValue {
  readonly token: number;
  readonly value: number;
}

/** A head's circuits by source token. */
export interface TokenScores {
  readonly d_vocab: number;
  readonly d_vocab_out: number;
  /** Scores with each destination token, divided by the attention scale and less the reference, `[source, d_vocab]`. */
  destinations(sources: readonly number[]): Float64Array;
  /** Logits of each output token, `[source, d_vocab_out]`. */
  outputs(sources: readonly number[]): Float64Array;
}

/** Sets up the scores of a head; `start` is needed for the reference `start`. */
export function tokenScores(model: Transformer, ref: HeadRef, reference: ScoreReference, start?: number): TokenScores {
  const head = model.head(ref);
  const ov = fullOVCircuit(model, head);
  const qk = fullQKCircuit(model, head);
  const byKey = transpose(qk);
  const { d_vocab, d_vocab_out } = model.config;
  const scale = model.layer(head.layer).attnScale;
  let compared: Float64Array | undefined;
  if (reference === "mean") {
    const uniform = Tensor.from("row d_vocab", [1, d_vocab], new Float64Array(d_vocab).fill(1 / d_vocab));
    compared = applyMap(uniform, byKey).data as Float64Array;
  } else if (reference === "start" && start !== undefined) compared = columnsOf(qk, [start]).data as Float64Array;
  return {
    d_vocab,
    d_vocab_out,
    outputs: (sources) => rowsOf(ov, sources).data as Float64Array,
    destinations: (sources) =>
      (rowsOf(byKey, sources).data as Float64Array).map((score, t) => (score - (compared?.[t % d_vocab] ?? 0)) / scale),
  };
}

/** The `k` largest entries that are not left out, largest first; ties go to the lower token. */
export function largestTokens(values: Float64Array, k: number, isLeftOut: (token: number) => boolean): TokenValue[] {
  const top: TokenValue[] = [];
  for (let token = 0; token < values.length; token++) {
    const value = values[token] as number;
    const last = top[k - 1];
    if ((last !== undefined && value <= last.value) || isLeftOut(token)) continue;
    let place = Math.min(top.length, k - 1);
    for (; place > 0 && (top[place - 1] as TokenValue).value < value; place--)
      top[place] = top[place - 1] as TokenValue;
    top[place] = { token, value };
  }
  return top;
}
