/** Sections on paths: the expansion with its certificate, and what paths are worth. */
import {
  drawImportanceByHead,
  drawImportanceByLayer,
  drawImportanceByOrder,
  drawPathEffects,
} from "../../figures/index.ts";
import type { ImportanceByHead, ImportanceFigure } from "../../figures/index.ts";
import { liveData } from "../../figures/internal.ts";
import type { PageContext, Section } from "./context.ts";
import { markup } from "./html.ts";
import { display, num, op, row, sub, v } from "./math.ts";
import { count, fixed, signed, small, whole } from "./words.ts";

/** The path expansion. */
export function paths(page: PageContext): Section {
  const { expansion, config } = page.data;
  const { maxDeviation, bound, withinBound } = expansion;
  const all = expansion.paths < 1e6 ? whole(expansion.paths) : small(expansion.paths);
  const layers = config.n_layers;
  const written =
    expansion.maxOrder < layers
      ? expansion.maxOrder === 0
        ? " Those through heads were not written out: they are one term."
        : markup` Those through at most ${count(expansion.maxOrder, "head")} were written out, the longer ones taken as one
          term.`
      : null;
  const where =
    expansion.on === "second copy" ? "in the second copy of a sequence of repeated random tokens" : "on the text";
  return {
    id: "paths",
    title: "The logits as a sum over paths",
    short: "Path expansion",
    body: markup`<div class="text">
        <p>
          With attention patterns${config.normalization_type === null ? "" : " and normalisation scales"} held as they
          are${config.attn_only ? "" : ", and what each MLP wrote"}, every logit is exactly a sum:
          ${layers === 0 ? "here of the direct path and the bias alone." : markup`the direct path from embedding to unembedding, ${config.attn_only ? "" : "what each MLP wrote, "}and one term for every chain of heads through the layers${config.attn_only ? "" : " that begins in either"}, ${all} paths in all.`}${written}
        </p>
        <p>
          That is not taken on trust. Over ${count(expansion.positions, "position")} and all ${whole(config.d_vocab)}
          logits at each, the sum of the ${whole(expansion.terms)} terms (the biases are one) differs from the model’s
          own logits by at most <b>${small(maxDeviation)}</b>; the rounding of the model’s run explains up to
          ${small(bound)}.
          ${withinBound ? "The expansion holds." : markup`<b>The deviation is larger than rounding explains: the expansion does not hold for this run.</b>`}
        </p>
      </div>
      ${page.figure(drawPathEffects(liveData(expansion)), {
        text: markup`The ${count(expansion.top.length, "term")} of the largest mean effect on the logit of the right next
        token
        ${where}.${layers < 2 ? null : markup` Two heads joined by an arrow are a virtual head: the second moves on what the first has moved.`}`,
        source: "expansion",
      })}`,
  };
}

/** Term importance. */
export function importance(page: PageContext): Section {
  const { config, importanceByHead } = page.data;
  const facts = liveData<ImportanceFigure>(page.data.importance);
  const [direct, single, ...longer] = facts.rows.filter(({ terms }) => terms.startsWith("order"));
  const worth = (gain: number, error: number): string =>
    Number.isNaN(error) ? signed(gain) : `${signed(gain)} ± ${fixed(error)}`;
  // the gains of different lengths are of the same windows; their errors are added as if they went together
  const virtual = longer.reduce((sum, { gain }) => sum + gain, 0);
  const virtualError = longer.reduce((sum, { error }) => sum + error, 0);
  return {
    id: "importance",
    title: "What the terms are worth",
    short: "Term importance",
    body: markup`<div class="text">
        <p>
          How much of the loss do paths of each length take off, the shorter ones given? Patterns are frozen, and paths
          are added length by length,
        </p>
        ${display(sub(v("Δ"), v("p")), op("="), sub(v("Loss"), row(v("p"), op("−"), num("1"))), op("−"), sub(v("Loss"), v("p")))}
        <p>
          beginning with the uniform guess. ${config.attn_only ? "The direct path is worth" : "The direct path, which is here the embedding and what the MLPs wrote, is worth"} ${worth(direct?.gain ?? 0, direct?.error ?? NaN)}
          nats${single === undefined ? "" : markup`, single heads ${worth(single.gain, single.error)}`}${longer.length === 0 ? "" : markup`, and virtual heads ${worth(virtual, virtualError)}${virtual < -2 * (virtualError || 0) ? ", which is to say that without them the loss would be lower" : ""}`}.
          Frozen patterns make this a measure of what values carry: what heads do through the <em>patterns</em> of later
          heads, as previous-token heads do for induction heads, is not in it.
        </p>
      </div>
      ${page.figure(drawImportanceByOrder(facts), {
        text: "Loss reduction by the number of heads on a path.",
        source: "importance",
      })}
      ${
        facts.n_layers < 2
          ? null
          : page.figure(drawImportanceByLayer(facts), {
              text: "The single heads of one layer at a time, from both ends.",
              source: "importance",
            })
      }
      ${
        importanceByHead === null
          ? null
          : page.figure(drawImportanceByHead(liveData<ImportanceByHead>(importanceByHead)), {
              text: markup`Head by head: across, by how much the head’s own path lowers the loss of the direct path alone; up,
              by how much the loss of the whole model rises without any path through the head.`,
              source: "importance",
            })
      }`,
  };
}
