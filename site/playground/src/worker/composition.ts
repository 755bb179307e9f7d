/** Which head reads what which other wrote, against chance. */
import { compositionScores, headLabel } from "transformer-circuits";
import { compositionChance, drawCompositionChance, makeFigure } from "transformer-circuits/figures";
import { table } from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import type { FiguresReply, HeadAsk } from "../protocol.ts";
import type { Session } from "./session.ts";
import { shown } from "./work.ts";
import type { Work } from "./work.ts";

const LISTED = 12;

export async function composition({ model }: Session, { head }: HeadAsk, work: Work): Promise<FiguresReply> {
  if (model.config.n_layers < 2)
    return shown([], "Composition is between heads of two layers, and this model has fewer.");
  const maps = (await makeFigure("composition-maps", { model }, work)).figure;
  return shown([pairsTable(model, head, work), maps, drawCompositionChance(compositionChance({ model }, work))]);
}

interface Pair {
  readonly kind: "Q" | "K" | "V";
  readonly writer: string;
  readonly reader: string;
  readonly score: number;
  readonly z: number;
}

/** The pairs furthest above chance that the head is part of, then those of all heads. */
function pairsTable(model: Session["model"], head: string, work: Work): Figure {
  const { baseline, zScores, ...scores } = compositionScores(model, work);
  const pairs = model.heads.flatMap((w) =>
    model.heads
      .filter((r) => r.layer > w.layer)
      .flatMap((r) =>
        (["Q", "K", "V"] as const).map((kind): Pair => {
          const at = [w.layer, w.head, r.layer, r.head] as const;
          const score = scores[kind].at(...at);
          return { kind, writer: headLabel(w), reader: headLabel(r), score, z: zScores[kind].at(...at) };
        }),
      ),
  );
  const own = pairs.filter(({ writer, reader }) => writer === head || reader === head);
  return table({
    title: `What ${head} reads and is read by, furthest from chance first`,
    subtitle: `Composition scores. Heads of random weights score ${baseline.mean.toFixed(3)} ± ${baseline.std.toFixed(3)}; the last column is how many of those deviations lie between.`,
    columns: [
      { label: "writes" },
      { label: "reads" },
      { label: "through its", help: "Q: queries, K: keys, V: values" },
      { label: "score", kind: "bar", format: { decimals: 3 } },
      { label: "times chance", kind: "number", format: { decimals: 2 } },
      { label: "above chance", kind: "number", format: { decimals: 1, sign: true }, help: "in standard deviations" },
    ],
    rows: own
      .sort((a, b) => b.z - a.z)
      .slice(0, LISTED)
      .map(({ kind, writer, reader, score, z }) => [writer, reader, kind, score, score / baseline.mean, z]),
  });
}
