/** Heads chosen by name or by layer. */
import { InputError, requireKind } from "../../errors.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";

/**
 * A set of heads: those named, and all of the layers named.
 * @category Path expansion
 */
export interface HeadSubset {
  readonly heads?: readonly HeadRef[] | undefined;
  readonly layers?: readonly number[] | undefined;
}

/** Whether a head is in a subset; refuses heads and layers that the model does not have. */
export function membership(
  model: Transformer,
  subset: HeadSubset,
  operation: string,
): (layer: number, head: number) => boolean {
  if (subset.heads === undefined && subset.layers === undefined) {
    throw new InputError(
      'no heads are named. Pass { heads: ["L1H4"] } or { layers: [1] }; an empty list is none of them.',
      {
        operation,
        argument: "subset",
        expected: "heads or layers",
      },
    );
  }
  const { heads = [], layers = [] } = subset;
  requireKind("list", heads, "subset.heads", operation);
  requireKind("list", layers, "subset.layers", operation);
  const members = new Set(heads.map((ref) => model.head(ref).label as string));
  for (const layer of layers) for (const { label } of model.layer(layer).heads) members.add(label);
  return (layer, head) => members.has(`L${layer}H${head}`);
}
