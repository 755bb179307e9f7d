/**
 * What a head's circuits say of single source tokens: rows of the OV circuit, columns of the QK circuit made
 * comparable.
 */
import { addMaps, compose, linear, rowsOf, scaleMap, transpose } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import { fullOVCircuit, fullQKCircuit } from "../circuits.ts";
import { referenceOf, referenceVector } from "./references.ts";
import type { ReferenceOptions, ScoreReference } from "./references.ts";
import { topTokens } from "./top-tokens.ts";
import type { TokenValue, TokenVectors } from "./top-tokens.ts";

/** Says something of a token. */
export type TokenTest = (token: number) => boolean;

/** A head's circuits by source token. */
export interface TokenScores {
  readonly d_vocab: number;
  readonly d_vocab_out: number;
  /** Scores with each destination token, divided by the attention scale and less the reference, `[source, d_vocab]`. */
  destinations(sources: readonly number[]): Float64Array;
  /** Logits of each output token, `[source, d_vocab_out]`. */
  outputs(sources: readonly number[]): Float64Array;
  /** The tokens that look at each source most, by {@link TokenScores.destinations}, largest first. */
  topDestinations(sources: readonly number[], k: number, isLeftOut: TokenTest): TokenValue[][];
  /** The tokens that each source raises most, by {@link TokenScores.outputs}, largest first. */
  topOutputs(sources: readonly number[], k: number, isLeftOut: TokenTest): TokenValue[][];
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
  const { W_E } = model;
  const raised = fullOVCircuit(model, head);
  const byKey = transpose(fullQKCircuit(model, head));
  const { d_vocab, d_vocab_out } = model.config;
  const scale = model.layer(head.layer).attnScale;
  let known: { readonly less: Float64Array | undefined } | undefined;
  const compared = (): Float64Array | undefined => {
    known ??= { less: referenceOf(model, head, reference, options) };
    return known.less;
  };
  return {
    d_vocab,
    d_vocab_out,
    outputs: (sources) => rowsOf(raised, sources).data as Float64Array,
    destinations: (sources) =>
      (rowsOf(byKey, sources).data as Float64Array).map(
        (score, t) => (score - (compared()?.[t % d_vocab] ?? 0)) / scale,
      ),
    topDestinations: (sources, k, isLeftOut) => {
      const rows = rowsOf(compose(W_E, head.W_K, transpose(head.W_Q)), sources).data as Float64Array;
      const vector = referenceVector(model, head, reference, options);
      if (vector !== undefined) subtractFromRows(rows, vector);
      const less = vector === undefined ? compared() : undefined;
      return topTokens({ rows, tokens: embeddings(model), less, scale, k, isLeftOut });
    },
    topOutputs: (sources, k, isLeftOut) => {
      const rows = rowsOf(compose(W_E, head.W_OV), sources).data as Float64Array;
      return topTokens({ rows, tokens: unembeddings(model), scale: 1, k, isLeftOut });
    },
    raised,
    get lookedAt() {
      const less = compared();
      return scaleMap(less === undefined ? byKey : addMaps<string, string>(byKey, minus(less)), 1 / scale);
    },
  };
}

function subtractFromRows(rows: Float64Array, vector: Float64Array): void {
  for (let i = 0; i < rows.length; i++) rows[i] = (rows[i] as number) - (vector[i % vector.length] as number);
}

/** The number to subtract from each row, as a map of rank 1. */
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

function embeddings(model: Transformer): TokenVectors {
  const { d_vocab, d_model } = model.config;
  const data = rawData(model.weight("embed.W_E")) as FloatArray;
  return { count: d_vocab, width: d_model, data, step: d_model, stride: 1 };
}

function unembeddings(model: Transformer): TokenVectors {
  const { d_vocab_out, d_model } = model.config;
  const data = rawData(model.weight("unembed.W_U")) as FloatArray;
  return { count: d_vocab_out, width: d_model, data, step: 1, stride: d_vocab_out };
}
