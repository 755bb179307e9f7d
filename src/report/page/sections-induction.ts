/** The section on induction, and the one on how it was all done. */
import { drawInductionExamples } from "../../figures/index.ts";
import type { InductionExamples } from "../../figures/index.ts";
import { liveData } from "../../figures/internal.ts";
import { headLabel } from "../../model/index.ts";
import { barChart, table, visibleToken } from "../../viz/index.ts";
import type { Figure } from "../../viz/index.ts";
import type { InductionFacts, ReportData } from "../types.ts";
import { reference, type PageContext, type Section } from "./context.ts";
import { markup } from "./html.ts";
import type { Content, Html } from "./html.ts";
import { attentionOf, bestPartners } from "./induction-words.ts";
import { atPositions, count, fixed, list, range, shortList, signed, whole } from "./words.ts";

/** How the model repeats what it has seen. */
export function induction(page: PageContext): Section {
  const { induction: facts, repeated } = page.data;
  const title = { id: "induction", title: "The induction story", short: "Induction" };
  if (facts === null) return { ...title, body: markup`<div class="text">${noStory(page.data)}</div>` };
  const labels = facts.heads.map((head) => head.label);
  const [asIs] = facts.ablated;
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          What has followed the present token before is likely to follow it again:
          <span class="mono">[A][B] … [A] → [B]</span>. On random tokens given twice the loss falls from
          ${fixed(repeated?.first ?? 0)} nats in the first copy to ${fixed(repeated?.second ?? 0)} in the second. This
          is how it is done, in two steps.
        </p>
        <p><b>First,</b> ${previousSentence(facts)}</p>
        <p>
          <b>Then</b> ${count(labels.length, "induction head")} (${shortList(labels, 12)})
          ${labels.length === 1 ? "compares" : "compare"} the present token with what the keys say came before them, and
          so ${labels.length === 1 ? "attends" : "attend"} to the token after the earlier copy:
          ${attentionOf(facts)} of their attention lies there. ${compositionSentence(facts)} ${copyingSentence(facts)}
        </p>
        ${causes(facts)}
      </div>
      ${
        asIs === undefined
          ? null
          : page.figure(
              barChart({
                bars: facts.ablated.map(({ what, heads, loss }) => ({
                  label: what === "nothing" ? "the model as it is" : `without ${heads.length > 6 ? what : list(heads)}`,
                  value: loss,
                  group: what === "nothing" ? "as it is" : "ablated",
                })),
                xLabel: "loss on the second copy (nats)",
                format: { decimals: 2 },
                width: 760,
              }),
              {
                text: markup`Loss on the second copy with groups of heads ablated: their outputs set to zero, everything
                after computed anew${onSequences(page.data)}. A uniform guess costs ${fixed(page.data.loss.uniform)}.`,
              },
            )
      }
      <h3>The evidence, head by head</h3>
      ${page.figure(evidence(facts), {
        tall: facts.heads.length > 24,
        text: markup`What speaks for each induction head: its attention to the token after the earlier copy; the same
        while the previous-token heads are ablated; copying score; QK positivity through the previous-token heads;
        K-composition with each of them (random heads: ${fixed(facts.baseline.mean, 3)} ±
        ${fixed(facts.baseline.std, 3)}); its mean direct effect on the right token’s logit in the second copy; and the
        change of the loss there, in nats, when it alone is ablated. Where several do the same, one is missed little.`,
      })}
      ${facts.examples === null ? null : examples(page, liveData<InductionExamples>(facts.examples))}`,
  };
}

function onSequences({ repeated }: ReportData): string {
  if (repeated === null || repeated.ablatedSequences === repeated.sequences) return "";
  return `, on the first ${repeated.ablatedSequences === 1 ? "sequence" : count(repeated.ablatedSequences, "sequence")}`;
}

function noStory(data: ReportData): Content {
  const { found, config, repeated } = data;
  if (repeated === null)
    return markup`<p>
      Whether the model repeats what it has seen could not be measured: there is no room for a sequence given twice.
    </p>`;
  const gain = repeated.first - repeated.second;
  const layers =
    config.n_layers < 2
      ? markup` With ${count(config.n_layers, "layer")} none can be expected: an induction head reads keys that a head of
        an earlier layer wrote.`
      : null;
  const previous =
    found.previousToken.length === 0
      ? null
      : markup` There ${found.previousToken.length === 1 ? "is" : "are"}
        ${count(found.previousToken.length, "previous-token head")} (${shortList(found.previousToken)}), which is half
        of it.`;
  return markup`<p>
    No head attends to the token after an earlier copy of the present one clearly more than chance.${layers}${previous} The second copy of random tokens costs ${fixed(repeated.second)} nats,
    ${gain > 0 ? `${fixed(gain)} less than the first` : "no less than the first"}.
  </p>`;
}

function previousSentence({ previous }: InductionFacts): Content {
  if (previous.length === 0)
    return "no previous-token head was found; the keys must be shifted by other means, such as positions that are copied along.";
  const one = previous.length === 1;
  return markup`in earlier layers ${one ? "a previous-token head" : count(previous.length, "previous-token head")},
  ${shortList(previous.map(({ label }) => label))}, ${one ? "attends" : "attend"} to the token just before
  (${range(previous.map(({ score }) => score))} of ${one ? "its" : "their"}
  attention${atPositions(previous.map(({ positions }) => positions))}) and ${one ? "writes" : "write"}
  into each position which token came before it.`;
}

function compositionSentence(facts: InductionFacts): Content {
  const best = bestPartners(facts);
  if (best === null) return "";
  return markup`Whose output their keys read, the weights say: K-composition is largest with ${shortList(best.labels)},
  ${range(best.k, 3)}, ${range(best.z, 0)} standard deviations above random heads’ ${fixed(facts.baseline.mean, 3)}.`;
}

/** So many standard deviations above random heads' a copying score is no luck, as the report says of all heads. */
const CLEAR = 3;

function copyingSentence({ heads }: InductionFacts): Content {
  const copies = heads.filter(({ copying, copyingZ }) => (copyingZ === null ? copying > 0 : copyingZ > CLEAR));
  const scores = range(heads.map(({ copying }) => copying));
  const [whose, circuits, one] =
    heads.length === 1 ? ["Its", "circuit", "does not copy"] : ["Their", "circuits", "none copies"];
  if (copies.length === heads.length)
    return markup`${whose} OV ${circuits} ${heads.length === 1 ? "copies" : "copy"} what is found (${heads.length === 1 ? "score" : "scores"} ${scores}).`;
  if (copies.length > 0)
    return markup`The OV circuits of ${shortList(copies.map(({ label }) => label))} copy what is found; the copying scores of
    all are ${scores}.`;
  return markup`By the eigenvalues of ${whose.toLowerCase()} OV ${circuits} ${one} clearly more than random heads do
  (${heads.length === 1 ? "score" : "scores"} ${scores}).`;
}

function causes({ ablated, heads, previous }: InductionFacts): Content {
  const delta = (what: string): number | undefined => ablated.find((group) => group.what === what)?.delta;
  const [byInduction, byPrevious] = [delta("the induction heads"), delta("the previous-token heads")];
  const broken = heads.flatMap((head) => head.scoreWithoutPrevious ?? []);
  const first =
    byInduction === undefined
      ? null
      : markup`Ablating the induction ${heads.length === 1 ? "head" : "heads together"} changes the loss on the second
          copy by <b>${signed(byInduction)}</b> nats. `;
  const second =
    byPrevious === undefined
      ? null
      : markup`Ablating ${previous.length === 1 ? "the previous-token head" : "the previous-token heads"} instead changes
          it by
          <b>${signed(byPrevious)}</b
          >${broken.length === 0 ? "" : markup`, and the induction heads lose their aim: of ${range(heads.map((head) => head.strict))} of their attention on the right token ${range(broken)} ${broken.length === 1 ? "is" : "are"} left`}. `;
  return markup`<p>${first}${second}</p>`;
}

/** How many previous-token heads have a column. */
const MOST_PARTNERS = 4;

function evidence({ heads, previous }: InductionFacts): Figure {
  const two = { decimals: 2 };
  const partners = [...previous].sort((a, b) => b.score - a.score).slice(0, MOST_PARTNERS);
  return table({
    columns: [
      { label: "head" },
      { label: "attention", kind: "bar", format: two },
      {
        label: "without prev.",
        kind: "number",
        format: two,
        help: "attention while the previous-token heads are ablated",
      },
      { label: "copying", kind: "number", format: two },
      { label: "QK positivity", kind: "number", format: two },
      ...partners.map(({ label }) => ({
        label: `K with ${label}`,
        kind: "number" as const,
        format: { decimals: 3 },
        help: "K-composition score",
      })),
      { label: "direct effect", kind: "number", format: { decimals: 2, sign: true } },
      { label: "Δ loss", kind: "number", format: { decimals: 2, sign: true } },
    ],
    rows: heads.map((head) => [
      head.label,
      head.strict,
      head.scoreWithoutPrevious,
      head.copying,
      head.qkPositivity,
      ...partners.map(({ label }) => head.partners.find((partner) => partner.label === label)?.k ?? null),
      head.attribution,
      head.ablation,
    ]),
  });
}

function examples(page: PageContext, data: InductionExamples): Html {
  const [best] = data.examples;
  if (best === undefined) return markup``;
  const { query, key, attention } = best;
  const token = (at: number): Html => markup`<span class="tok">${visibleToken(data.tokens[at]?.text ?? "")}</span>`;
  const logProb = page.data.samples[0]?.logProbs[query + 1] ?? null;
  const given = logProb === null ? "" : `, and the model gave it a probability of ${fixed(Math.exp(logProb))}`;
  return markup`<h3>In the text</h3>
    ${page.figure(drawInductionExamples(data), {
      text: markup`At position ${query}, ${token(query)}, ${headLabel(data.head)} pays ${fixed(attention[key] ?? 0)} of its
        attention to ${token(key)} at ${key}, which came after the earlier ${token(key - 1)}. What came next was
        ${token(query + 1)}${given}.`,
      source: "induction",
    })}`;
}

/** How it was done, and what was left out. */
export function method(page: PageContext): Section {
  const { data } = page;
  const { text, seed, repeated } = data;
  const read =
    text.characters === null
      ? `${whole(text.tokens)} token ids`
      : `${whole(text.tokens)} tokens of a text of ${whole(text.characters)} characters`;
  return {
    id: "method",
    title: "How this was done",
    short: "Method",
    body: markup`<div class="text">
      <p>
        The text is ${text.source}: ${read} were run in ${count(text.windows, "window")} of up to ${text.windowLength}
        tokens, ${text.bos === null ? "without a token to begin with" : markup`each begun with token ${text.bos}`}.
        ${text.hasTokenizer ? "" : "There is no tokenizer, so tokens are shown by their numbers. "}Random tokens, random
        heads and the bootstrap come from seed
        ${seed}${repeated === null ? "" : markup`; the ${count(repeated.sequences, "sequence")} of random tokens are drawn evenly from the vocabulary, repeats within a copy allowed`}.
        The same model, text and seed give this page again, byte for byte.
      </p>
      <p>
        A head counts as one of a kind where its attention to what such heads look at, on repeated random tokens,
        exceeds that of even attention by a quarter of the rest (to the first token by half), over a range of positions
        that luck does not explain: by the lower end of an interval over sequences that holds for all heads and kinds
        together with 99 %. Losses are in nats. Spectra, norms, path sums and the certificate are computed in float64, the model’s
        own run in float32. Circuits are read from the weights as they are, without
        biases${data.config.normalization_type === null ? "" : " and without normalisation"}.
      </p>
      ${
        data.notes.length === 0
          ? markup`<p>Nothing was left out.</p>`
          : markup`<p>To keep the work within bounds:</p>
              <ul>
                ${data.notes.map((note) => markup`<li>${note}</li>`)}
              </ul>`
      }
      <p class="note">
        Papers: N. Elhage et al., <cite>${reference("architecture", true)} for Transformer Circuits</cite>, 2021; C. Olsson
        et al., <cite>${reference("heads", true)}</cite>, 2022. Names of weights are those of TransformerLens.
        Made with <span class="mono">transformer-circuits</span>.
      </p>
    </div>`,
  };
}
