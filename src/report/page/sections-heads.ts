/** Sections on the heads one by one: their scores, and what they attend to. */
import { drawAttention } from "../../figures/index.ts";
import type { AttentionFigure } from "../../figures/index.ts";
import { liveData } from "../../figures/internal.ts";
import { headGrid, smallMultiples } from "../../viz/index.ts";
import type { Figure } from "../../viz/index.ts";
import type { ReportFoundHeads, HeadFacts, ReportData } from "../types.ts";
import type { PageContext, Section } from "./context.ts";
import { ROLES } from "../heads.ts";
import { headTable } from "./head-table.ts";
import { markup } from "./html.ts";
import type { Content } from "./html.ts";
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
    body: markup`<div class="text"><p>${onRepeats}${foundSentence(data.found)}${placesSentence(data)}</p></div>
      ${grids(page)}
      ${page.figure(headTable(page), {
        tall: data.heads.length > 24,
        text: markup`All heads; a click on a column’s name sorts by it. ${columnsText(data)}`,
        source: "heads",
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
    ["prefix-matching head", found.prefixMatching.filter((label) => !found.induction.includes(label))],
  ];
  const present = classes.filter(([, labels]) => labels.length > 0);
  if (present.length === 0) return markup`No head does any of it clearly more than chance.`;
  const parts = present.map(([name, labels]) => `${count(labels.length, name)} (${shortList(labels, 12)})`);
  return markup`By attention that lies clearly above chance, there are ${list(parts)}.`;
}

/** How many heads are told with their positions. */
const MOST_PLACES = 4;

/** The heads that are of a kind at some positions only; those implied by other kinds are left out. */
function placesSentence({ heads: all }: ReportData): Content {
  const texts = all.flatMap(({ roles, evidence }) =>
    evidence.filter(({ kind, isEverywhere }) => !isEverywhere && roles.includes(ROLES[kind])).map(({ text }) => text),
  );
  if (texts.length === 0) return null;
  return markup` Not everywhere: ${shortList(texts, MOST_PLACES)}.`;
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
  const { heads: all, copying } = data;
  const chance =
    copying === null
      ? ""
      : ` z measures it against ${whole(copying.chance.samples)} heads of random weights between the same embedding and unembedding (${fixed(copying.chance.mean)} ± ${fixed(copying.chance.std)}).`;
  const causal = all.some((head) => head.ablation !== null)
    ? ` Effect is the head’s mean direct effect on the logit of the right token in the second copy; Δ loss is how much the loss there rises, in nats, when the head’s output is set to zero and everything after it computed anew${sequencesText(data)}.`
    : "";
  return `Copying is Σλ / Σ|λ| over the eigenvalues of the full OV circuit.${chance}${causal}`;
}

/** On how many of the sequences heads were ablated, where not on all. */
function sequencesText({ repeated }: ReportData): string {
  if (repeated === null || repeated.ablatedSequences === repeated.sequences) return "";
  return ` (on ${count(repeated.ablatedSequences, "of the sequences", "of the sequences")})`;
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
      ${samples.map((sample) =>
        page.figure(drawAttention({ ...liveData<AttentionFigure>(sample), measure: "attention" }, { title: "" }), {
          text: sample.kind === "text" ? PASSAGE : "Random tokens, given twice.",
          source: sample.kind === "text" ? "attention" : "induction",
        }),
      )}`,
  };
}

const PASSAGE =
  "A passage of the text: the one, among those analysed, in which the most pairs of neighbouring tokens come again.";
