/** What an attribution of a score is made of: both sides as positions with coefficients, and their vectors. */
import { InputError } from "../../errors.ts";
import type { HeadId } from "../../model/index.ts";
import { add, matmul, Tensor } from "../../tensor/index.ts";
import { dot, rowNorms } from "../../tensor/internal.ts";
import { constantStream, sourceStreams, throughFrozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";
import { scoreRounding } from "./certificate.ts";
import { ownEdits, projected } from "./components.ts";
import type { ScoreComponent } from "./components.ts";
import { layerStreams } from "./layer-streams.ts";
import type { LayerStreams } from "./layer-streams.ts";
import { directionVector, placeOf } from "./places.ts";
import type { Place, ScoreDirection } from "./places.ts";
import { placeReadings, rowsOf, spread, takenBack } from "./score-side.ts";
import type { SideReading } from "./score-side.ts";
import { scoresAsComputed, seenKeys } from "./stored-scores.ts";

/** What an attribution is made of. */
export interface Parts {
  readonly frozen: FrozenRun;
  readonly id: HeadId;
  readonly prompt: number;
  readonly against: "mean" | "softmax" | undefined;
  readonly whole: ScoreComponent;
  readonly streams: LayerStreams;
  readonly query: Side;
  readonly key: Side;
}

/** A side: positions with coefficients, or none for a direction; its vector, rotated. */
interface Side {
  readonly places: readonly Place[];
  readonly vector: Float64Array;
}

/** What is asked of a score. */
export interface Asked {
  readonly query: number | ScoreDirection;
  readonly key: number | ScoreDirection;
  readonly against?: "mean" | "softmax" | undefined;
}

/** Whether a side is a direction of one's own. */
export const isDirection = (side: number | ScoreDirection): side is ScoreDirection =>
  typeof side === "object" && side !== null;

/** The parts of an attribution. */
export function partsOf(frozen: FrozenRun, id: HeadId, prompt: number, { query, key, against }: Asked): Parts {
  const { model } = frozen;
  const streams = layerStreams(frozen, id.layer);
  const whole = wholeVectors(frozen, id, streams);
  const direction = (name: "Q" | "K", given: ScoreDirection): Side => ({
    places: [],
    vector: directionVector(model, id, name, given, "attributeScore"),
  });
  const at = (vectors: Tensor<"batch pos d_head">, places: readonly Place[]): Side => ({
    places,
    vector: combined(vectors, places),
  });
  const one = (position: number): Place[] => [placeOf(frozen, prompt, position, 1)];
  const q = isDirection(query) ? direction("Q", query) : at(whole.query, one(query));
  let k = isDirection(key) ? direction("K", key) : at(whole.key, one(key));
  if (against !== undefined && !isDirection(key)) {
    const position = isDirection(query) ? (query.at ?? 0) : query;
    const rest = restOfRow(frozen, id, { prompt, query: position, key }, whole, q.vector, against);
    k = at(whole.key, [...k.places, ...rest]);
  }
  return { frozen, id, prompt, against, whole, streams, query: q, key: k };
}

/** The other keys that a query sees, with the weights that they are taken away by. */
function restOfRow(
  frozen: FrozenRun,
  id: HeadId,
  { prompt, query, key }: { readonly prompt: number; readonly query: number; readonly key: number },
  whole: ScoreComponent,
  vector: Float64Array,
  against: "mean" | "softmax",
): Place[] {
  const pos = frozen.run.tokens.sizeOf("pos");
  const { attnScale } = frozen.model.layer(id.layer);
  const seen = seenKeys(frozen, id);
  const others = Array.from({ length: pos }, (_, at) => at).filter(
    (at) => at !== key && seen[(prompt * pos + query) * pos + at] === 1,
  );
  if (others.length === 0) {
    throw new InputError(
      `the query at ${query} sees no key but ${key}, so that there is nothing to compare with. Leave against out.`,
      {
        operation: "attributeScore",
        argument: "against",
        expected: "a row of several keys",
        actual: against,
      },
    );
  }
  const scores = others.map((at) => {
    const { length } = vector;
    return dot(whole.key.data, (prompt * pos + at) * length, vector, 0, length) / attnScale;
  });
  const most = Math.max(...scores);
  const shares = scores.map((score) => (against === "mean" ? 1 : Math.exp(score - most)));
  const sum = shares.reduce((a, b) => a + b, 0);
  return others.map((at, i) => placeOf(frozen, prompt, at, -(shares[i] as number) / sum));
}

/** All queries and keys of a head as the frozen model has them, edits of the layer included, rotated. */
function wholeVectors(frozen: FrozenRun, id: HeadId, { stream }: LayerStreams): ScoreComponent {
  const { model, run } = frozen;
  const { ln1, b_Q, b_K } = model.layer(id.layer);
  const linear = throughFrozenNorm(frozen, id.layer, stream);
  const normed = ln1?.b === undefined ? linear : add(linear, constantStream(frozen, ln1.b));
  const isShortformer = model.config.positional_embedding_type === "shortformer";
  const read = isShortformer ? add(normed, run.cache.get("hook_pos_embed")) : normed;
  const edits = ownEdits(frozen, id);
  const vectors = (name: "Q" | "K", part: "query" | "key"): Tensor<"batch pos d_head"> =>
    edits.reduce(
      (sum, edit) => add(sum, edit[part]),
      projected(frozen, id, name, read, (name === "Q" ? b_Q : b_K).select("head", id.head)),
    );
  const readNorms = rowNorms(read);
  return { label: "whole", path: [], isSum: true, query: vectors("Q", "query"), key: vectors("K", "key"), readNorms };
}

/** The sum of a side's vectors by their coefficients. */
function combined(vectors: Tensor<"batch pos d_head">, places: readonly Place[]): Float64Array {
  const width = vectors.sizeOf("d_head");
  const out = new Float64Array(width);
  for (const { row, weight } of places) {
    for (let e = 0; e < width; e++) out[e] = (out[e] as number) + weight * (vectors.data[row * width + e] as number);
  }
  return out;
}

/** The contribution of each pair of source tokens to the score. */
export function pairsOf(parts: Parts): Tensor<"query_source key_source"> {
  const { frozen, id } = parts;
  const { d_head, d_model } = frozen.model.config;
  const pos = frozen.run.tokens.sizeOf("pos");
  const units = Array.from({ length: d_head }, (_, e) => Float64Array.from({ length: d_head }, (__, i) => +(i === e)));
  const { embed } = sourceStreams(frozen);
  const vectors = (name: "Q" | "K"): Float64Array => {
    const reading = readingOf(parts, name);
    requireRead(reading, name === "Q" ? "query" : "key", "pairs");
    // One reading for each coordinate of the rotated vector.
    const own = new Float64Array(reading.places.length * d_head * d_model);
    for (const [e, other] of units.entries()) {
      const { stream } = placeReadings(frozen, { ...reading, other });
      for (let p = 0; p < reading.places.length; p++) {
        own.set(stream.subarray(p * d_model, (p + 1) * d_model), (p * d_head + e) * d_model);
      }
    }
    const readings = takenBack(frozen, id.layer, spread(frozen, reading.places, own, d_head));
    const rows = rowsOf(embed, readings, d_head);
    return rows.subarray(parts.prompt * pos * d_head, (parts.prompt + 1) * pos * d_head);
  };
  const rows: Tensor<"query_source d_head"> = Tensor.from("query_source d_head", [pos, d_head], vectors("Q"));
  const columns: Tensor<"d_head key_source"> = Tensor.from("key_source d_head", [pos, d_head], vectors("K")).permute(
    "d_head key_source",
  );
  const { attnScale } = frozen.model.layer(id.layer);
  const products = (matmul(rows, columns).data as Float64Array).map((x) => x / attnScale);
  return Tensor.from("query_source key_source", [pos, pos], products);
}

/** A side as it is read. */
export function readingOf({ frozen, id, query, key }: Parts, name: "Q" | "K"): SideReading {
  const { attnScale } = frozen.model.layer(id.layer);
  const [places, other] = name === "Q" ? [query.places, key.vector] : [key.places, query.vector];
  return { id, name, places, other: other.map((x) => x / attnScale) };
}

/** The score as the run has it, and by how much its rounding may part it from the frozen model's. */
export function ownScore(parts: Parts, score: number): { readonly own: number; readonly bound: number } {
  const { frozen, id, query, key, prompt, whole } = parts;
  const stored = scoresAsComputed(frozen, id.layer);
  const rounding = scoreRounding(frozen, id, "path", [whole]);
  const [q] = query.places;
  let [own, bound] = [0, 0];
  if (q !== undefined && key.places.length > 0) {
    for (const { at, weight } of key.places) {
      const seen = stored.at(prompt, id.head, q.at, at);
      const masked = seen === -Infinity ? rounding.exact(prompt, q.at, at) : seen;
      own += weight * masked;
      bound += Math.abs(weight) * rounding.at(prompt, q.at, at, masked);
    }
    return { own, bound };
  }
  // A direction is exact: the vectors of the run's side alone are rounded.
  const [side, name, direction] = q === undefined ? ([key, "key", query] as const) : ([query, "query", key] as const);
  const { attnScale } = frozen.model.layer(id.layer);
  for (const { row, weight } of side.places) {
    const { value, reach } = rounding.along(name, row, direction.vector);
    own += (weight * value) / attnScale;
    bound += (Math.abs(weight) * reach) / attnScale;
  }
  return side.places.length === 0 ? { own: score, bound: 0 } : { own, bound };
}

/** Refuses a side that nothing of the run feeds. */
export function requireRead({ places }: SideReading, side: "query" | "key", operation: string): void {
  if (places.length > 0) return;
  throw new InputError(`the ${side} is a direction of one's own: no source of the run feeds it. Take the other side.`, {
    operation,
    argument: "side",
    expected: side === "query" ? "key" : "query",
    actual: side,
  });
}
