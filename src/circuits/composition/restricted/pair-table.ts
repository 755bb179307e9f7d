/** Pairs of heads: whom they are asked of, and the numbers that are found for them. */
import { requireKind } from "../../../errors.ts";
import type { AttentionHead, HeadRef, Transformer } from "../../../model/index.ts";
import { Tensor } from "../../../tensor/index.ts";
import type { PairScores } from "../pair-scores.ts";

/** The heads that read: those named, or all. */
export function readersOf(
  model: Transformer,
  readers: readonly HeadRef[] | undefined,
  operation: string,
): readonly AttentionHead[] {
  if (readers === undefined) return model.heads;
  requireKind("list", readers, "readers", operation);
  return readers.map((ref) => model.head(ref));
}

/** Several numbers for each pair of heads while they are found; 0 where none was put. */
export class PairTable<Field extends string> {
  readonly #shape: readonly [number, number, number, number];
  readonly #data: ReadonlyMap<Field, Float64Array>;

  constructor({ config: { n_layers, n_heads } }: Transformer, fields: readonly Field[]) {
    this.#shape = [n_layers, n_heads, n_layers, n_heads];
    this.#data = new Map(fields.map((field) => [field, new Float64Array((n_layers * n_heads) ** 2)]));
  }

  /** @param places - layer and head of the writer, then of the reader. */
  put(
    places: readonly [number, number, number, number],
    values: Readonly<Partial<Record<NoInfer<Field>, number>>>,
  ): void {
    const at = places.reduce((index, place, axis) => index * (this.#shape[axis] as number) + place, 0);
    for (const [field, data] of this.#data) data[at] = values[field] ?? 0;
  }

  /** Every field over all pairs. */
  get scores(): Readonly<Record<Field, PairScores>> {
    const tensors = [...this.#data].map(([field, data]): [Field, PairScores] => [
      field,
      Tensor.from("writer_layer writer_head reader_layer reader_head", this.#shape, data),
    ]);
    return Object.fromEntries(tensors) as Record<Field, PairScores>;
  }
}
