/**
 * Which source, through which earlier heads, at which positions: single routes into one side of a score, the largest
 * first, in models too deep to list all paths.
 *
 * What a side reads at a position is what embeddings, MLPs, edits and biases left there, and what each earlier head
 * brought from each position that it attended to, $A_{pu}\, v_u W_O \cdot r$. The largest of these parts is taken apart
 * in turn, by what the head read there, until as many routes stand as are asked for. Nothing is lost: what was not
 * taken apart stands as a route from the whole stream at its position, or in the rest.
 */
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { foldedReader } from "../../model/internal.ts";
import { dot, rawData } from "../../tensor/internal.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import { constantValues } from "../frozen/frozen-layers.ts";
import { editsFrom, frozenNorm, mlpLabel, mlpStream, sourceStreams } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import type { FrozenHeads } from "../frozen/frozen-heads.ts";
import type { FrozenLayer, LayerStreams } from "./layer-streams.ts";
import { ownParts, placeReadings } from "./score-side.ts";
import type { SideReading } from "./score-side.ts";

/**
 * One route into a score.
 * @category Attention scores
 */
export interface ScoreRoute {
  /** `embed[10]→L0H5[11]`: the source and its position, then each head with the position that it wrote to. */
  readonly label: string;
  /**
   * What stood at the first position: `embed`, `pos_embed`, `0_mlp_out`, `edit[…]`, `bias`; where the route was not
   * followed further, `heads`, all that heads wrote there, or `stream`, all that stood there.
   */
  readonly source: string;
  /** The heads that moved it, earliest first. */
  readonly path: readonly HeadId[];
  /** The source's position, then that which each head of the path wrote to. */
  readonly positions: readonly number[];
  readonly value: number;
}

/**
 * The largest routes into one side of a score, and the sum of all others.
 * @category Attention scores
 */
export interface ScoreRoutes {
  /** The largest first. */
  readonly routes: readonly ScoreRoute[];
  /** What no route listed adds; with it they sum to the score. */
  readonly rest: number;
}

/** The stream before a layer, at a row, that a route comes from. */
interface Next {
  readonly layer: number;
  readonly row: number;
  readonly reading: () => Float64Array;
  /** What biases add to the route past the stream. */
  readonly constant: number;
}

/** A route that is listed, or taken apart where it comes from the whole stream before a layer. */
interface Open extends Omit<ScoreRoute, "label"> {
  readonly next?: Next | undefined;
}

/** How many parts of one stream are kept for each route asked for; smaller ones join the rest. */
const KEPT = 2;

/** How many streams are taken apart at most for each route asked for. */
const OPENED = 8;

/** The largest routes into a side. */
export function scoreRoutes(
  frozen: FrozenRun,
  streams: LayerStreams,
  side: SideReading,
  { top, maxOrder }: { readonly top: number; readonly maxOrder: number },
): ScoreRoutes {
  const { d_model } = frozen.model.config;
  const readings = placeReadings(frozen, side);
  const open: Open[] = side.places.map(({ row, at }, p) => {
    const own = readings.stream.subarray(p * d_model, (p + 1) * d_model);
    const value = dot(rawData(streams.stream), row * d_model, own, 0, d_model);
    const next = { layer: side.id.layer, row, constant: 0, reading: () => own };
    return { source: "stream", path: [], positions: [at], value, next };
  });
  for (const { label, place, value } of ownParts(frozen, side, readings)) {
    if (value !== 0) open.push({ source: label, path: [], positions: [place.at], value });
  }
  const listed: Open[] = [];
  let [rest, opened] = [0, 0];
  while (open.length > 0 && listed.length < top) {
    const [largest] = open.splice(indexOfLargest(open), 1) as [Open];
    const canOpen = largest.next !== undefined && largest.path.length <= maxOrder && opened < OPENED * top;
    if (!canOpen) {
      listed.push(largest);
      continue;
    }
    opened += 1;
    const parts = takenApart(frozen, streams, largest, largest.path.length < maxOrder);
    parts.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    open.push(...parts.slice(0, KEPT * top));
    for (const { value } of parts.slice(KEPT * top)) rest += value;
  }
  for (const { value } of open) rest += value;
  const routes = listed.map(({ source, path, positions, value }) => ({
    label: labelOf(source, path, positions),
    source,
    path,
    positions,
    value,
  }));
  return { routes: routes.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)), rest };
}

function labelOf(source: string, path: readonly HeadId[], positions: readonly number[]): string {
  return [`${source}[${positions[0]}]`, ...path.map((head, i) => `${headLabel(head)}[${positions[i + 1]}]`)].join("→");
}

function indexOfLargest(routes: readonly Open[]): number {
  let best = 0;
  for (const [i, { value }] of routes.entries()) {
    if (Math.abs(value) > Math.abs((routes[best] as Open).value)) best = i;
  }
  return best;
}

/** What stood at a position before a layer, by its reading: what was written there, and what heads brought there. */
function takenApart(frozen: FrozenRun, { layers }: LayerStreams, route: Open, isFollowed: boolean): Open[] {
  const { layer: before, row, reading, constant } = route.next as Next;
  const { d_model } = frozen.model.config;
  const r = reading();
  const parts: Open[] = [];
  const put = (source: string, value: number): void => {
    if (value !== 0) parts.push({ source, path: route.path, positions: route.positions, value });
  };
  const at = (x: Stream): number => dot(rawData(x), row * d_model, r, 0, d_model);
  const { embed, pos_embed } = sourceStreams(frozen);
  put("embed", at(embed));
  if (pos_embed !== undefined) put("pos_embed", at(pos_embed));
  let [bias, ofHeads] = [constant, 0];
  for (const [layer, own] of layers.slice(0, before).entries()) {
    const heads = frozenHeads(frozen, layer);
    bias += dot(rawData(heads.layer.b_O), 0, r, 0, d_model);
    const written = mlpStream(frozen, layer);
    if (written !== undefined) put(mlpLabel(layer), at(written));
    const back = heads.writeBack(r);
    if (isFollowed) parts.push(...brought(frozen, heads, own, route, back));
    else ofHeads += dot(own.z, row * heads.width, back, 0, heads.width);
  }
  put("heads", ofHeads);
  for (let from = 0; from <= before; from++) {
    for (const { label, stream } of editsFrom(frozen, from, "paths")) put(label, at(stream));
  }
  put("bias", bias);
  return parts;
}

/** What the heads of a layer brought to a position, each from each position that it attended to. */
function brought(frozen: FrozenRun, heads: FrozenHeads, own: FrozenLayer, route: Open, back: Float64Array): Open[] {
  const { layer, pos, width, d_head } = heads;
  const { row } = route.next as Next;
  const b = Math.floor(row / pos);
  const pattern = rawData(frozen.run.cache.get(`blocks.${layer.layer}.attn.hook_pattern`));
  const parts: Open[] = [];
  for (const { head } of layer.heads) {
    const start = ((b * heads.heads + head) * pos + (row % pos)) * pos;
    for (let u = 0; u < pos; u++) {
      const weight = pattern[start + u] as number;
      if (weight === 0) continue;
      const from = b * pos + u;
      const value = weight * dot(own.values, from * width + head * d_head, back, head * d_head, d_head);
      const by = (): Float64Array => back.slice(head * d_head, (head + 1) * d_head).map((x) => x * weight);
      parts.push({
        source: "stream",
        path: [{ layer: layer.layer, head }, ...route.path],
        positions: [u, ...route.positions],
        value,
        next: {
          layer: layer.layer,
          row: from,
          get constant() {
            return dot(constantValues(heads), head * d_head, by(), 0, d_head);
          },
          reading: () => valueReading(frozen, layer.layer, head, from, by()),
        },
      });
    }
  }
  return parts;
}

/** The reading of the stream at a row that a weighting of a head's values there is. */
function valueReading(frozen: FrozenRun, layer: number, head: number, row: number, by: Float64Array): Float64Array {
  const { d_model, d_head } = frozen.model.config;
  const W = foldedReader(frozen.model.layer(layer), "W_V").select("head", head).data;
  const scale = frozenNorm(frozen, layer)?.scale.data[row] ?? 1;
  return Float64Array.from({ length: d_model }, (_, i) => dot(W, i * d_head, by, 0, d_head) / scale);
}
