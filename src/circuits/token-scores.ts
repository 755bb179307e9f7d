/** What a head's circuits say of single source tokens: rows of the OV circuit, columns of the QK circuit made comparable. */
import { addMaps, compose, linear, rowsOf, scaleMap, transpose } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { HeadRef, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { fullOVCircuit, fullQKCircuit } from "./full-circuits.ts";
import { referenceOf } from "./score-references.ts";
import type { ReferenceOptions, ScoreReference } from "./score-references.ts";

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
  /** All scores as a map, row = source token, column = destination token, in factors. */
  readonly lookedAt: Linear;
  /** All logits as a map, row = source token, column = output token, in factors. */
  readonly raised: Linear;
}

/** Sets up the scores of a head; `start` is needed for the reference `start`. */
export function tokenScores(
  model: Transformer,
  ref: HeadRef,
  reference: ScoreReference,
  options: ReferenceOptions = {},
): TokenScores {
  const head = model.head(ref);
  const raised = fullOVCircuit(model, head);
  const qk = fullQKCircuit(model, head);
  const byKey = transpose(qk);
  const { d_vocab, d_vocab_out } = model.config;
  const scale = model.layer(head.layer).attnScale;
  const compared = referenceOf(model, head, qk, reference, options);
  return {
    d_vocab,
    d_vocab_out,
    outputs: (sources) => rowsOf(raised, sources).data as Float64Array,
    destinations: (sources) =>
      (rowsOf(byKey, sources).data as Float64Array).map((score, t) => (score - (compared?.[t % d_vocab] ?? 0)) / scale),
    raised,
    lookedAt: scaleMap(compared === undefined ? byKey : addMaps<string, string>(byKey, minus(compared)), 1 / scale),
  };
}

/** What every row has taken off, as a map of rank 1. */
function minus(compared: Float64Array): Linear {
  const { length } = compared;
  const ones = Tensor.from("d_vocab one", [length, 1], new Float64Array(length).fill(1));
  const negative = Tensor.from(
    "one d_vocab",
    [1, length],
    compared.map((x) => -x),
  );
  return compose<string, string, string>(linear("d_vocab", "one", ones), linear("one", "d_vocab*", negative));
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
