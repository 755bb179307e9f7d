/**
 * One side of a score, the other side's vector given: a reading of the residual stream, taken apart by what the stream
 * was made of.
 *
 * With the vector $o$ of the other side, and weights $c_t$ of positions (one of 1, or a key against the rest of its
 * row), the score is $\sum_t c_t\, q_t \cdot o / \sqrt{d}$, and $q_t$ is affine in the stream at t. Its reading there
 * is $r_t = C\,\mathrm{diag}(w) W_Q R_t^\top o\, c_t / (s_t \sqrt{d})$, $R_t$ the rotation. Each writer adds what
 * it wrote at t times $r_t$; taken back through the layers the readings give what each token adds through all paths.
 */
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { foldedReader } from "../../model/internal.ts";
import { astype, Tensor } from "../../tensor/index.ts";
import { dot, rawData } from "../../tensor/internal.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import { biasStream } from "../frozen/frozen-layers.ts";
import { editsFrom, frozenNorm, mlpLabel, mlpStream, sourceStreams } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { ownEdits } from "./components.ts";
import type { LayerStreams } from "./layer-streams.ts";
import { turned } from "./places.ts";
import type { Place } from "./places.ts";

/**
 * What one writer of the stream adds to a score.
 * @category Attention scores
 */
export interface ScoreWriter {
  /** `embed`, `pos_embed`, `L0H5`, `0_mlp_out`, `edit[…]`, `bias`, `direction`. */
  readonly label: string;
  /** The head, where the writer is one. */
  readonly head: HeadId | undefined;
  readonly value: number;
}

/**
 * One side of an attributed score, twice: by source token, all paths counted, and by what wrote what was read. Either
 * sums to the score.
 * @category Attention scores
 */
export interface ScoreSide {
  /** `[pos]`: what the token at each position adds to the score through this side, float64. */
  readonly tokens: Tensor<"pos">;
  /**
   * `[pos]`: what its positional embedding adds; with shortformer positions only that of the query or key itself,
   * else 0.
   */
  readonly positions: Tensor<"pos">;
  /** `[pos]`: what the MLPs of earlier layers wrote at it adds, as the run had it; 0 where there are none. */
  readonly mlps: Tensor<"pos">;
  /** `[pos]`: what edits of the run changed at it adds; 0 where there are none. */
  readonly edits: Tensor<"pos">;
  /** The part of the biases. */
  readonly bias: number;
  /** The whole score where this side is a direction of one's own, which nothing of the run feeds; else 0. */
  readonly direction: number;
  /**
   * What each writer added to what this side reads, all that it had read itself included: embeddings, every earlier
   * head and MLP, edits, and the biases; largest first.
   */
  readonly writers: readonly ScoreWriter[];
}

/** A side as it is read: the head, the positions with their coefficients, the vector of the other side. */
export interface SideReading {
  readonly id: HeadId;
  readonly name: "Q" | "K";
  readonly places: readonly Place[];
  /** Divided by the attention scale. */
  readonly other: Float64Array;
}

/** What places of a side are read by, `[place, d_model]`, and weightings of their queries or keys before rotation. */
export interface PlaceReadings {
  readonly weights: readonly Float64Array[];
  readonly stream: Float64Array;
}

/** Readings of the stream at each place of a side. */
export function placeReadings(frozen: FrozenRun, { id, name, places, other }: SideReading): PlaceReadings {
  const { config } = frozen.model;
  const W = foldedReader(frozen.model.layer(id.layer), `W_${name}`).select("head", id.head).data;
  const norm = frozenNorm(frozen, id.layer);
  const weights = places.map(({ turn, weight }) => turned(config, other, -turn).map((x) => x * weight));
  const stream = new Float64Array(places.length * config.d_model);
  for (const [p, { row }] of places.entries()) {
    const by = weights[p] as Float64Array;
    const scale = norm?.scale.data[row] ?? 1;
    for (let i = 0; i < config.d_model; i++) {
      stream[p * config.d_model + i] = dot(W, i * config.d_head, by, 0, config.d_head) / scale;
    }
  }
  return { weights, stream };
}

/** A part of a side that is no part of the stream it reads, at a place. */
export interface OwnPart {
  readonly label: string;
  readonly place: Place;
  readonly value: number;
}

/** What joins a side after the stream: shortformer positions, the norm's bias, $b_Q$ or $b_K$, edits of the layer. */
export function ownParts(frozen: FrozenRun, side: SideReading, { weights }: PlaceReadings): OwnPart[] {
  const { model, run } = frozen;
  const { id, name, places } = side;
  const layer = model.layer(id.layer);
  const W = layer[`W_${name}`].select("head", id.head).data;
  const b = layer[`b_${name}`].select("head", id.head).data;
  const { d_model, d_head } = model.config;
  const isShortformer = model.config.positional_embedding_type === "shortformer";
  const positions = isShortformer ? rawData(run.cache.get("hook_pos_embed")) : undefined;
  const edits = ownEdits(frozen, id);
  return places.flatMap((place, p) => {
    const by = weights[p] as Float64Array;
    const read = (x: ArrayLike<number>, start: number): number => {
      let sum = 0;
      for (let i = 0; i < d_model; i++) sum += (x[start + i] as number) * dot(W, i * d_head, by, 0, d_head);
      return sum;
    };
    const bias = dot(b, 0, by, 0, d_head) + (layer.ln1?.b === undefined ? 0 : read(layer.ln1.b.data, 0));
    return [
      ...(positions === undefined ? [] : [{ label: "pos_embed", place, value: read(positions, place.row * d_model) }]),
      { label: "bias", place, value: bias },
      ...edits.map(({ label, query, key }) => {
        // Such parts are rotated already.
        const vectors = (name === "Q" ? query : key).data;
        return { label, place, value: place.weight * dot(vectors, place.row * d_head, side.other, 0, d_head) };
      }),
    ];
  });
}

/** The parts of a side by source token and by writer. */
export function scoreSide(frozen: FrozenRun, streams: LayerStreams, side: SideReading): ScoreSide {
  const readings = placeReadings(frozen, side);
  const own = ownParts(frozen, side, readings);
  return {
    ...bySource(frozen, side, readings, own),
    direction: 0,
    writers: writersOf(frozen, streams, side, readings, own),
  };
}

/** A side that is a direction of one's own. */
export function directionSide(score: number, pos: number): ScoreSide {
  const none = (): Tensor<"pos"> => Tensor.zeros("pos", [pos], "float64");
  const writers = [{ label: "direction", head: undefined, value: score }];
  return { tokens: none(), positions: none(), mlps: none(), edits: none(), bias: 0, direction: score, writers };
}

type BySource = Omit<ScoreSide, "direction" | "writers">;

function bySource(frozen: FrozenRun, side: SideReading, { stream }: PlaceReadings, own: readonly OwnPart[]): BySource {
  const { layer } = side.id;
  const pos = frozen.run.tokens.sizeOf("pos");
  const sums = {
    tokens: new Float64Array(pos),
    positions: new Float64Array(pos),
    mlps: new Float64Array(pos),
    edits: new Float64Array(pos),
  };
  const take = (into: Float64Array, source: Stream | undefined, readings: Float64Array): void => {
    if (source === undefined) return;
    for (const [row, value] of rowsOf(source, readings, 1).entries())
      into[row % pos] = (into[row % pos] as number) + value;
  };
  const takeEdits = (from: number, readings: Float64Array): void => {
    for (const edit of editsFrom(frozen, from, "paths")) take(sums.edits, edit.stream, readings);
  };
  const first = spread(frozen, side.places, stream, 1);
  takeEdits(layer, first);
  const readings = takenBack(frozen, layer, first, {
    after: (each, after) => take(sums.mlps, mlpStream(frozen, each), after),
    before: takeEdits,
  });
  const { embed, pos_embed } = sourceStreams(frozen);
  take(sums.tokens, embed, readings);
  take(sums.positions, pos_embed, readings);
  let bias = 0;
  for (const value of rowsOf(biasStream(frozen, layer), first, 1)) bias += value;
  for (const { label, place, value } of own) {
    if (label === "bias") bias += value;
    else {
      const into = label === "pos_embed" ? sums.positions : sums.edits;
      into[place.at] = (into[place.at] as number) + value;
    }
  }
  const wrap = (values: Float64Array): Tensor<"pos"> => Tensor.from("pos", [pos], values);
  return {
    tokens: wrap(sums.tokens),
    positions: wrap(sums.positions),
    mlps: wrap(sums.mlps),
    edits: wrap(sums.edits),
    bias,
  };
}

function writersOf(
  frozen: FrozenRun,
  { layers }: LayerStreams,
  { id, places }: SideReading,
  { stream }: PlaceReadings,
  own: readonly OwnPart[],
): ScoreWriter[] {
  const { model } = frozen;
  const { d_model } = model.config;
  const values = new Map<string, { readonly head: HeadId | undefined; value: number }>();
  const put = (label: string, value: number, head?: HeadId): void => {
    values.set(label, { head, value: (values.get(label)?.value ?? 0) + value });
  };
  const read = (x: ArrayLike<number>, rows: boolean): number => {
    let sum = 0;
    for (const [p, { row }] of places.entries()) sum += dot(x, rows ? row * d_model : 0, stream, p * d_model, d_model);
    return sum;
  };
  const { embed, pos_embed } = sourceStreams(frozen);
  put("embed", read(embed.data, true));
  if (pos_embed !== undefined) put("pos_embed", read(pos_embed.data, true));
  for (const [layer, { z }] of layers.entries()) {
    const heads = frozenHeads(frozen, layer);
    const back = heads.writeBack(stream);
    for (const each of heads.layer.heads) {
      let sum = 0;
      for (const [p, { row }] of places.entries()) {
        const start = each.head * heads.d_head;
        sum += dot(z, row * heads.width + start, back, p * heads.width + start, heads.d_head);
      }
      put(headLabel(each), sum, { layer, head: each.head });
    }
    put("bias", read(heads.layer.b_O.data, false));
    const written = mlpStream(frozen, layer);
    if (written !== undefined) put(mlpLabel(layer), read(written.data, true));
  }
  for (let from = 0; from <= id.layer; from++) {
    for (const { label, stream: added } of editsFrom(frozen, from, "paths")) put(label, read(added.data, true));
  }
  for (const { label, value } of own) put(label, value);
  return [...values]
    .map(([label, { head, value }]) => ({ label, head, value }))
    .filter(({ label, value }) => label !== "bias" || value !== 0)
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** Readings of places at their rows of the stream, `[reading, row, d_model]`; a place's own lie `[place, reading]`. */
export function spread(frozen: FrozenRun, places: readonly Place[], own: Float64Array, count: number): Float64Array {
  const { d_model } = frozen.model.config;
  const rows = frozen.run.tokens.size;
  const out = new Float64Array(count * rows * d_model);
  for (const [p, { row }] of places.entries()) {
    for (let r = 0; r < count; r++) {
      const start = (p * count + r) * d_model;
      out.set(own.subarray(start, start + d_model), (r * rows + row) * d_model);
    }
  }
  return out;
}

/** What is shown readings on their way back. */
export interface OnTheWay {
  /** Of the stream after a layer. */
  readonly after?: (layer: number, readings: Float64Array) => void;
  /** Of the stream before it. */
  readonly before?: (layer: number, readings: Float64Array) => void;
}

/** Readings of the stream before a layer as readings of the embeddings. */
export function takenBack(
  frozen: FrozenRun,
  before: number,
  first: Float64Array,
  onTheWay: OnTheWay = {},
): Float64Array {
  let readings = first;
  for (let layer = before - 1; layer >= 0; layer--) {
    onTheWay.after?.(layer, readings);
    const heads = frozenHeads(frozen, layer);
    const through = heads.valuesBack(heads.attend(heads.writeBack(readings), true));
    readings = readings.map((x, t) => x + (through[t] as number));
    onTheWay.before?.(layer, readings);
  }
  return readings;
}

/** What each row of a stream gives to the readings, `[row, reading]`. */
export function rowsOf(stream: Stream, readings: Float64Array, count: number): Float64Array {
  const d = stream.sizeOf("d_model");
  const rows = stream.size / d;
  const x = astype(stream, "float64").data;
  const out = new Float64Array(rows * count);
  for (let row = 0; row < rows; row++) {
    for (let e = 0; e < count; e++) out[row * count + e] = dot(x, row * d, readings, (e * rows + row) * d, d);
  }
  return out;
}
