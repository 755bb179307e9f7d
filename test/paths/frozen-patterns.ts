/** Edits that hold attention patterns fixed. */
import { combineEdits, editAt } from "../../src/model/index.ts";
import type { Edits, Transformer } from "../../src/model/index.ts";

/** Edits that force the patterns of a run. */
export function frozenPatterns(model: Transformer, prompts: readonly (readonly number[])[]): Edits {
  const { cache } = model.run(prompts, { cache: (name) => name.endsWith("hook_pattern") });
  return combineEdits(
    ...model.layers.map(({ layer }) => {
      const name = `blocks.${layer}.attn.hook_pattern` as const;
      return editAt(name, () => cache.get(name));
    }),
  );
}
