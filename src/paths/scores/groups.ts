/**
 * The parts of queries and keys in deep models, with paths summed: all of each order, or all that begin with each head.
 * The frozen layers are linear, so a sum of paths goes through them as one stream.
 */
import { headLabel } from "../../model/index.ts";
import { add } from "../../tensor/index.ts";
import { layerTerm } from "../frozen/frozen-layers.ts";
import { headlessStream, headTerm, sourceStreams, throughFrozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { streamsByOrder } from "../frozen/order-streams.ts";
import type { EditView } from "../frozen/run-edits.ts";
import { editSources, mlpSources } from "../logits/sources.ts";
import type { HeadId } from "../../model/index.ts";

/** A part of the stream before it is read. */
export interface ScorePart {
  readonly label: string;
  readonly path: readonly HeadId[];
  readonly isSum?: boolean;
  readonly stream: () => Stream;
}

/** The sources that no head moved: embeddings, outputs of MLPs, and additions of edits. */
export function unmovedParts(frozen: FrozenRun, before: number, view: EditView = "paths"): ScorePart[] {
  const { embed, pos_embed } = sourceStreams(frozen);
  const unmoved = (label: string, stream: Stream): ScorePart => ({ label, path: [], stream: () => stream });
  return [
    unmoved("embed", embed),
    ...(pos_embed === undefined ? [] : [unmoved("pos_embed", pos_embed)]),
    ...[...mlpSources(frozen, before), ...editSources(frozen, before, view)].map(({ source, stream }) =>
      unmoved(source, stream),
    ),
  ];
}

/** All paths of each number of heads, `1 head`, `2 heads`; those of more than `maxOrder` as one, `remainder`. */
export function orderParts(frozen: FrozenRun, before: number, maxOrder: number): ScorePart[] {
  const [, ...orders] = streamsByOrder(frozen, { before });
  const parts = orders.slice(0, maxOrder).map((stream, i): ScorePart => ({
    label: i === 0 ? "1 head" : `${i + 1} heads`,
    path: [],
    isSum: true,
    stream: () => stream,
  }));
  const [first, ...others] = orders.slice(maxOrder);
  if (first === undefined) return [...unmovedParts(frozen, before), ...parts];
  const rest = (): Stream => others.reduce((a, b) => add(a, b), first);
  return [...unmovedParts(frozen, before), ...parts, { label: "remainder", path: [], isSum: true, stream: rest }];
}

/**
 * All paths that begin with each head, `L0H5⋯`: what it moves of what no head moved before, and all that later heads do
 * with that.
 */
export function firstHeadParts(frozen: FrozenRun, before: number): ScorePart[] {
  const begun = frozen.model.layers.slice(0, before).flatMap(({ layer, heads }) => {
    const read = throughFrozenNorm(frozen, layer, headlessStream(frozen, layer));
    return heads.map((each): ScorePart => ({
      label: `${headLabel(each)}⋯`,
      path: [{ layer, head: each.head }],
      isSum: true,
      stream: () => {
        let stream = headTerm(frozen, layer, each.head, read);
        for (let later = layer + 1; later < before; later++) stream = add(stream, layerTerm(frozen, later, stream));
        return stream;
      },
    }));
  });
  return [...unmovedParts(frozen, before), ...begun];
}
