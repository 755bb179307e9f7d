/** Edits that hold attention patterns fixed. */
import type { Edits, Transformer } from "../../src/model/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

type Pattern = Tensor<"batch head query_pos key_pos">;

/** Edits that force the patterns of a run. */
export function frozenPatterns(model: Transformer, prompts: readonly (readonly number[])[]): Edits {
  const { cache } = model.run(prompts, { cache: (name) => name.endsWith("hook_pattern") });
  return Object.fromEntries(
    model.layers.map(({ layer }) => {
      const name = `blocks.${layer}.attn.hook_pattern` as const;
      return [name, (): Pattern => cache.get(name)];
    }),
  ) as unknown as Edits;
}
