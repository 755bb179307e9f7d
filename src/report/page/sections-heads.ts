/** Sections on the heads one by one: their scores, and what they attend to. */
import { attentionExplorer, headGrid, smallMultiples } from "../../viz/index.ts";
import type { Figure } from "../../viz/index.ts";
import type { AttentionSample, ReportFoundHeads, HeadFacts, ReportData } from "../types.ts";
import { FRAMEWORK, INDUCTION, type PageContext, type Section } from "./context.ts";
import { headTable } from "./head-table.ts";
import { markup } from "./html.ts";
import type { Content, Html } from "./html.ts";
import { count, fixed, list, shortList, whole } from "./words.ts";

/** The table of heads. */
export function heads(page: PageContext): Section {
  const { data } = page;
  if (data.heads.length === 0)
    return { id: "heads", title: "Heads", body: markup`<p class="text">A model without layers has no heads.</p>` };
  const onRepeats =
    data.repeated === null
      ? null
      : markup`The scores are mean attention on ${count(data.repeated.sequences, "sequence")} of ${data.repeated.period}
        random tokens given twice, where nothing but position and repetition can be attended to. `;
  return {
    id: "heads",
    title: "Heads",
    body: markup`<div class="text"><p>${onRepeats}${foundSentence(data.found)}</p></div>
      ${grids(page)}
      ${page.figure(headTable(page), {
        tall: data.heads.length > 24,
        text: markup`All heads; a click on a column’s name sorts by it. ${columnsText(data)}`,
        source: INDUCTION,
      })}`,
  };
}

function foundSentence(found: ReportFoundHeads): Content {
  const classes: readonly (readonly [string, readonly string[]])[] = [
    ["previous-token head", found.previousToken],
    ["induction head", found.induction],
    ["current-token head", found.currentToken],
    ["first-token head", found.firstToken],
    ["duplicate-token head", found.duplicateToken],
  ];
  const present = classes.filter(([, labels]) => labels.length > 0);
  if (present.length === 0) return markup`No head reaches ${fixed(found.threshold)} in any of them.`;
  const parts = present.map(([name, labels]) => `${count(labels.length, name)} (${shortList(labels, 12)})`);
  return markup`With ${fixed(found.threshold)} of the attention as the mark, there are ${list(parts)}.`;
}

function grids(page: PageContext): Content {
  const { data } = page;
  if (data.repeated === null || data.heads.length > 160) return null;
  const grid = (title: string, pick: (head: HeadFacts) => number): Figure =>
    headGrid({ values: byLayer(data, pick), title, scale: "sequential", limit: 1, legendLabel: "attention" });
  const figures = [
    grid("Previous token", (head) => head.scores?.previous ?? 0),
    grid("Induction", (head) => head.scores?.inductionStrict ?? 0),
  ];
  return page.figure(smallMultiples({ figures, columns: data.config.n_heads > 8 ? 1 : 2 }), {
    text: markup`Two scores for every head: the attention it pays to the token just before, and to the token after the
    earlier copy of the present one.`,
  });
}

function byLayer(data: ReportData, pick: (head: HeadFacts) => number): number[][] {
  return Array.from({ length: data.config.n_layers }, (_, layer) =>
    data.heads.filter((head) => head.layer === layer).map(pick),
  );
}

function columnsText(data: ReportData): Content {
  const { heads: all, spectra } = data;
  const chance =
    spectra.null === null
      ? ""
      : ` z measures it against ${whole(spectra.null.samples)} heads of random weights between the same embedding and unembedding (${fixed(spectra.null.mean)} ± ${fixed(spectra.null.std)}).`;
  const causal = all.some((head) => head.ablation !== null)
    ? ` Effect is the head’s mean direct effect on the logit of the right token in the second copy; Δ loss is how much the loss there rises, in nats, when the head’s output is set to zero and everything after it computed anew${sequencesText(data)}.`
    : "";
  return `Copying is Σλ / Σ|λ| over the eigenvalues of the full OV circuit.${chance}${causal}`;
}

/** On how many of the sequences heads were silenced, where not on all. */
function sequencesText({ repeated }: ReportData): string {
  if (repeated === null || repeated.silencedSequences === repeated.sequences) return "";
  return ` (on ${count(repeated.silencedSequences, "of the sequences", "of the sequences")})`;
}

/** Attention patterns to explore. */
export function attention(page: PageContext): Section {
  const { samples, heads: all } = page.data;
  if (all.length === 0 || samples.length === 0)
    return {
      id: "attention",
      title: "Attention patterns",
      body: markup`<p class="text">There are no heads whose attention could be shown.</p>`,
    };
  return {
    id: "attention",
    title: "Attention patterns",
    body: markup`<div class="text">
        <p>
          Pick heads, then hover over a token (or move to it with the keyboard) to see what it attends to. Heads rest on
          the first token where they have nothing to do; what counts is attention to tokens whose values are large, so
          the patterns can be weighted by the norm of the value vector, ‖v‖, or of what the head would write for it, ‖v
          W<sub>O</sub>‖.
        </p>
      </div>
      ${samples.map((sample) => sampleFigure(page, sample))}`,
  };
}

function sampleFigure(page: PageContext, sample: AttentionSample): Html {
  const picked = firstView(page.data, sample);
  const figure = attentionExplorer({
    tokens: sample.tokens,
    pattern: sample.layers.map((layer) => layer.pattern),
    valueWeighted: sample.layers.map((layer) => weighted(layer.pattern, layer.valueNorm)),
    resultWeighted: sample.layers.map((layer) => weighted(layer.pattern, layer.resultNorm)),
    logProbs: sample.loss.map((loss) => (loss === null ? Number.NaN : -loss)),
    ...picked,
    nonce: page.nonce,
  });
  const passage =
    "A passage of the text: the one, among those analysed, in which the most pairs of neighbouring tokens come again.";
  return page.figure(figure, {
    text: sample.kind === "text" ? passage : "Random tokens, given twice.",
    source: FRAMEWORK,
  });
}

/**
 * What the explorer shows first: the induction head and the position from which one looks hardest at the token after an
 * earlier copy of the present one; without induction heads, a previous-token head or the first head.
 */
function firstView(
  { found, heads: all }: ReportData,
  { ids, layers }: AttentionSample,
): { selected: { layer: number; head: number }[]; focus?: number } {
  const of = (labels: readonly string[]): HeadFacts[] => all.filter(({ label }) => labels.includes(label));
  const fallback = of(found.induction)[0] ?? of(found.previousToken)[0] ?? all[0];
  let best: { head: HeadFacts; query: number; attention: number } | undefined;
  for (const head of of(found.induction)) {
    const triangle = layers[head.layer]?.pattern[head.head] ?? [];
    for (const [query, id] of ids.entries()) {
      const before = query === 0 ? -1 : ids.lastIndexOf(id, query - 1);
      if (before < 0 || before + 1 >= query) continue;
      const attention = triangle[(query * (query + 1)) / 2 + before + 1] ?? 0;
      if (best === undefined || attention > best.attention) best = { head, query, attention };
    }
  }
  const head = best?.head ?? fallback;
  const selected = head === undefined ? [] : [{ layer: head.layer, head: head.head }];
  return best === undefined ? { selected } : { selected, focus: best.query };
}

/** Lower triangles times a number for each key. */
function weighted(pattern: readonly (readonly number[])[], norms: readonly (readonly number[])[]): number[][] {
  return pattern.map((triangle, head) => {
    const norm = norms[head] ?? [];
    let query = 0;
    let key = 0;
    return triangle.map((attention) => {
      const value = attention * (norm[key] ?? 0);
      if (key === query) {
        query += 1;
        key = 0;
      } else key += 1;
      return value;
    });
  });
}
