/**
 * The attribution of all paths to target logits at once.
 *
 * A path ends in its last head, which adds $z \cdot (W_O u)$ to a logit whose direction in the stream is $u$. So $u$ is
 * multiplied by $W_O$ once per layer, and a path costs only the weighted values $z$ of its last head. One product gives
 * the $z$ of all paths that end in a layer: of all streams before it and all its heads. The output of a path that no
 * longer path goes on from is never computed.
 */
import { Tensor } from "../../tensor/index.ts";
import { allocateData, dot, rawData } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import type { FrozenHeads } from "../frozen/frozen-heads.ts";
import { flat, normBiasValues, toStream } from "../frozen/frozen-layers.ts";
import { frozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import type { PathNode } from "./terms.ts";
import type { Readout } from "../targets.ts";
import { readAlong } from "../targets.ts";

/** Numbers in the streams that go through a layer together: 32 MiB of float64. */
const CHUNK = 2 ** 22;

/** Called with the place of a path in the list, and its attribution `[batch, pos]`. */
type Visit = (term: number, values: Float64Array) => void;

/** Whether the products are float32, for which the streams are rounded; streams kept for later are float64 alone. */
export type Precision = "float32" | "float64";

/** The precision of a model's own weights. */
export function precisionOf({ model }: FrozenRun): Precision {
  return [...model.weights.values()].every(({ dtype }) => dtype === "float32") ? "float32" : "float64";
}

/**
 * Goes through all paths; `nodes` is the list that children's places refer to, `inner` the roots that are not in it.
 */
export function attributePaths(
  frozen: FrozenRun,
  nodes: readonly PathNode[],
  inner: readonly PathNode[],
  readout: Readout,
  precision: Precision,
  visit: Visit,
): void {
  const u = readingsOfStream(frozen, readout);
  const inPrecision = (x: Stream): FloatArray => (precision === "float32" ? Float32Array.from(rawData(x)) : flat(x));
  const streams = new Map<PathNode, FloatArray>();
  const streamOf = (node: PathNode): FloatArray => streams.get(node) ?? inPrecision(node.stream);
  for (const [t, node] of nodes.entries()) {
    if (node.order > 0) break;
    const isFinal = node.root.enters === "final";
    visit(t, readAlong(isFinal ? readout : { ...readout, directions: u }, isFinal ? node.resid : node.stream));
  }
  for (const { layer } of frozen.model.layers) {
    const heads = frozenHeads(frozen, layer);
    const readings = heads.writeBack(inPrecision(u));
    const parents = [...inner, ...nodes].filter((node) => node.children.has(layer));
    const perChunk = Math.max(1, Math.floor(CHUNK / (heads.rows * heads.d_model)));
    for (let from = 0; from < parents.length; from += perChunk) {
      const some = parents.slice(from, from + perChunk);
      const z = heads.attend(valuesOf(heads, some, streamOf, precision));
      for (const [p, parent] of some.entries()) {
        const own = z.subarray(p * heads.rows * heads.width, (p + 1) * heads.rows * heads.width);
        const first = parent.children.get(layer) as number;
        readHeads(heads, own, readings, readout.positions, (h, values) => visit(first + h, values));
        const children = nodes.slice(first, first + heads.heads);
        if (children.every((child) => child.children.size === 0)) continue;
        const size = heads.rows * heads.d_model;
        const written = heads.writeEach(own);
        for (const [h, child] of children.entries()) {
          const stream = written.subarray(h * size, (h + 1) * size);
          if (stream instanceof Float64Array) child.adopt(toStream(frozen, stream));
          else streams.set(child, stream);
        }
      }
    }
  }
}

/** Directions of the normalised stream as directions of the raw one: the adjoint of the final norm's linear part. */
export function readingsOfStream(frozen: FrozenRun, readout: Readout): Stream {
  const found = frozenNorm(frozen, frozen.model.config.n_layers);
  const { directions } = readout;
  if (found === undefined) return directions;
  const [batch = 0, positions = 0, d = 0] = directions.shape;
  const { norm, scale } = found;
  const w = norm.w?.data;
  const out = Float64Array.from(directions.data);
  for (let row = 0; row < batch * positions; row++) {
    const s = scale.at(Math.floor(row / positions), row % positions, 0);
    let mean = 0;
    for (let i = 0; i < d; i++) {
      const x = ((w?.[i] ?? 1) * (out[row * d + i] as number)) / s;
      out[row * d + i] = x;
      mean += x / d;
    }
    if (norm.centers) for (let i = 0; i < d; i++) out[row * d + i] = (out[row * d + i] as number) - mean;
  }
  return Tensor.from("batch pos d_model", directions.shape, out);
}

/** The values that heads read of some paths, one after another. */
function valuesOf(
  heads: FrozenHeads,
  parents: readonly PathNode[],
  streamOf: (node: PathNode) => FloatArray,
  precision: Precision,
): FloatArray {
  const { rows, width, d_model } = heads;
  const isInner = ({ order, root }: PathNode): boolean => order === 0 && root.enters !== "stream";
  const size = parents.length * rows * d_model;
  const streams = allocateData(precision, size) as FloatArray;
  for (const [p, parent] of parents.entries()) {
    if (!isInner(parent)) streams.set(streamOf(parent), p * rows * d_model);
  }
  const values = heads.values(streams);
  for (const [p, parent] of parents.entries()) {
    if (!isInner(parent)) continue;
    const constants = parent.root.enters === "values" ? heads.layer.b_V.data : normBiasValues(heads.layer);
    for (let row = 0; row < rows; row++) values.set(constants ?? [], (p * rows + row) * width);
  }
  return values;
}

/** The dot products of every head's weighted values with the readings, `[batch, positions]` each. */
export function readHeads(
  heads: FrozenHeads,
  z: FloatArray,
  readings: FloatArray,
  positions: number,
  visit: (head: number, values: Float64Array) => void,
): void {
  const { width, d_head, pos, batch } = heads;
  for (let h = 0; h < heads.heads; h++) {
    const values = new Float64Array(batch * positions);
    for (let row = 0; row < values.length; row++) {
      const at = (Math.floor(row / positions) * pos + (row % positions)) * width + h * d_head;
      const other = row * width + h * d_head;
      values[row] = dot(z, at, readings, other, d_head);
    }
    visit(h, values);
  }
}
