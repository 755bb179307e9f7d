/** Jobs of composition between all pairs of heads. */
import { compositionScores } from "../../circuits/index.ts";
import { requireObject } from "../../errors.ts";
import { requireChoice } from "../../model/internal.ts";
import type { JobKind } from "./kind.ts";

const KINDS = ["Q", "K", "V"] as const;

/** The scores of every pair whose writer is the earlier, three rows a pair: through queries, keys and values. */
export const compositionJob: JobKind = {
  columns: {
    ...{ through: "text", writer_layer: "whole", writer_head: "whole", reader_layer: "whole", reader_head: "whole" },
    ...{ score: "number", z_score: "number" },
  },
  isSeeded: () => false,
  check: (settings) => {
    requireObject(settings, "composition", "parseJobPlan", "norms");
    requireChoice((settings["norms"] ?? "raw") as string, ["raw", "folded"], "norms", "parseJobPlan");
  },
  run: async ({ settings, model: open, signal, onProgress }) => {
    const { model } = await open();
    const scores = compositionScores(model, { ...settings, signal, onProgress });
    const { zScores } = scores;
    return KINDS.flatMap((through) =>
      model.heads.flatMap((writer) =>
        model.heads
          .filter((reader) => reader.layer > writer.layer)
          .map((reader) => {
            const at = [writer.layer, writer.head, reader.layer, reader.head] as const;
            return {
              ...{ through, writer_layer: at[0], writer_head: at[1], reader_layer: at[2], reader_head: at[3] },
              ...{ score: scores[through].at(...at), z_score: zScores[through].at(...at) },
            };
          }),
      ),
    );
  },
};
