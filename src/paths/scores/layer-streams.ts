/** The frozen affine model from the tokens to a layer, in float64: what each layer reads, and what its heads weigh. */
import { add } from "../../tensor/index.ts";
import { addTo } from "../../tensor/internal.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import { constantValues, flat, toStream } from "../frozen/frozen-layers.ts";
import { addMlp, directStream } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";

/** What a layer has in the frozen model; rows are positions of prompts. */
export interface FrozenLayer {
  /** `[row, head, d_head]`: the values, constants included. */
  readonly values: Float64Array;
  /** `[row, head, d_head]`: the values weighted by the patterns. */
  readonly z: Float64Array;
}

/** The layers before one, and the stream that it reads. */
export interface LayerStreams {
  readonly layers: readonly FrozenLayer[];
  readonly stream: Stream;
}

/** Runs the frozen model up to a layer. */
export function layerStreams(frozen: FrozenRun, before: number): LayerStreams {
  let stream = directStream(frozen);
  const layers = frozen.model.layers.slice(0, before).map(({ layer, b_O }): FrozenLayer => {
    const heads = frozenHeads(frozen, layer);
    const values = heads.values(flat(stream));
    const constants = constantValues(heads);
    for (let start = 0; start < values.length; start += heads.width) addTo(values, constants, start);
    const z = heads.attend(values);
    stream = addMlp(frozen, layer, add(stream, add(toStream(frozen, heads.write(z)), b_O)));
    return { values, z };
  });
  return { layers, stream };
}
