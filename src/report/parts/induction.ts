/** The induction story: for each induction head the evidence, and what happens without the heads that it leans on. */
import { headLabel } from "../../model/index.ts";
import type { AttentionHead, HeadId, HookName, Transformer } from "../../model/index.ts";
import { softmax } from "../../tensor/index.ts";
import type { Corpus } from "../corpus.ts";
import { short } from "../numbers.ts";
import type {
  CompositionFacts,
  ReportFoundHeads,
  HeadFacts,
  ReportInductionExample,
  InductionFacts,
  InductionHead,
  PositivityFacts,
} from "../types.ts";
import { silencedInduction, silencedLoss } from "./silence.ts";

/** Repeated tokens that runs with something silenced are made on. */
export interface Prompts {
  readonly prompts: readonly (readonly number[])[];
  readonly period: number;
  readonly bos: number | undefined;
}

/** What was found before the story is told. */
export interface StoryInput {
  readonly facts: readonly HeadFacts[];
  readonly found: ReportFoundHeads;
  readonly composition: CompositionFacts | null;
  readonly positivity: PositivityFacts | null;
}

/** The story of the induction heads found; `null` where there is none. */
export async function inductionFacts(
  model: Transformer,
  input: StoryInput,
  repeated: Prompts,
  corpus: Corpus,
  pause: (part: number) => Promise<void>,
): Promise<InductionFacts | null> {
  const { facts, found, composition, positivity } = input;
  const induction = headsOf(model, found.induction);
  if (induction.length === 0) return null;
  const previous = headsOf(model, found.previousToken);
  const { prompts, period, bos } = repeated;
  const without =
    previous.length === 0 ? undefined : silencedInduction(model, prompts, period, bos !== undefined, previous);
  await pause(0.3);
  const groups: readonly (readonly [string, readonly AttentionHead[]])[] = [
    ["nothing", []],
    ["the induction heads", induction],
    ["the previous-token heads", previous],
  ];
  const silenced: { what: string; heads: string[]; loss: number; delta: number }[] = [];
  for (const [i, [what, heads]] of groups.entries()) {
    if (i > 0 && heads.length === 0) continue;
    const loss = silencedLoss(model, prompts, period, heads);
    silenced.push({ what, heads: heads.map((head) => head.label), loss, delta: loss - (silenced[0]?.loss ?? loss) });
    await pause(0.4 + 0.2 * i);
  }
  const factsOf = (label: string): HeadFacts | undefined => facts.find((head) => head.label === label);
  return {
    heads: induction.map((head) => storyOf(head, factsOf(head.label), previous, composition, positivity, without)),
    previous: previous.map(({ label }) => ({
      label,
      score: factsOf(label)?.scores?.previous ?? 0,
      ablation: factsOf(label)?.ablation ?? null,
    })),
    baseline: composition?.baseline ?? { mean: 0, std: 0 },
    silenced,
    example: inductionExample(model, induction, corpus),
  };
}

/** Heads of some labels, in the labels' order. */
function headsOf(model: Transformer, labels: readonly string[]): AttentionHead[] {
  return labels.flatMap((label) => model.heads.filter((head) => head.label === label));
}

function storyOf(
  head: AttentionHead,
  facts: HeadFacts | undefined,
  previous: readonly AttentionHead[],
  composition: CompositionFacts | null,
  positivity: PositivityFacts | null,
  without: readonly (readonly number[])[] | undefined,
): InductionHead {
  const earlier = previous.filter(({ layer }) => layer < head.layer);
  return {
    label: head.label,
    score: facts?.scores?.induction ?? 0,
    strict: facts?.scores?.inductionStrict ?? 0,
    prefixMatching: facts?.scores?.prefixMatching ?? 0,
    copying: facts?.copying ?? 0,
    copyingZ: facts?.copyingZ ?? null,
    qkPositivity: positivity?.points.find(({ label }) => label === head.label)?.qk ?? null,
    attribution: facts?.attribution ?? null,
    ablation: facts?.ablation ?? null,
    scoreWithoutPrevious: earlier.length === 0 ? null : (without?.[head.layer]?.[head.head] ?? null),
    partners: partnersOf(head, earlier, composition),
  };
}

function partnersOf(
  head: AttentionHead,
  earlier: readonly AttentionHead[],
  composition: CompositionFacts | null,
): InductionHead["partners"] {
  if (composition === null) return [];
  const { labels, K, baseline } = composition;
  return earlier
    .map(({ label }) => {
      const k = K[labels.indexOf(label)]?.[labels.indexOf(head.label)] ?? 0;
      return { label, k, z: baseline.std > 0 ? (k - baseline.mean) / baseline.std : 0 };
    })
    .sort((a, b) => b.k - a.k);
}

/** Tokens of the example on either side of what matters. */
const BEFORE_KEY = 8;
const LONGEST = 40;
/** How much of the windows is searched. */
const SEARCHED = 4;

interface Candidate {
  readonly window: readonly number[];
  readonly head: AttentionHead;
  readonly query: number;
  readonly key: number;
  readonly row: readonly number[];
  readonly attention: number;
  readonly probability: number;
  readonly weight: number;
}

/**
 * The place in the text where an induction head attends most to a token that really comes next, after an earlier copy
 * of the present token: among a few windows, words before other tokens, and not so far back that it could not be shown.
 */
function inductionExample(
  model: Transformer,
  induction: readonly AttentionHead[],
  corpus: Corpus,
): ReportInductionExample | null {
  let best: Candidate | undefined;
  const isWord = (id: number | undefined): boolean => id !== undefined && /\p{L}{3}/u.test(corpus.tokenText(id));
  for (const window of corpus.windows.slice(0, SEARCHED)) {
    const { cache, logits } = model.run([window], { cache: (name: HookName) => name.endsWith("hook_pattern") });
    const probabilities = softmax(logits, "d_vocab");
    for (const head of induction) {
      const pattern = cache.get(`blocks.${head.layer}.attn.hook_pattern`).select("batch", 0).select("head", head.head);
      for (const { query, key } of matchesIn(window, corpus.bos)) {
        const attention = pattern.at(query, key);
        const probability = probabilities.at(0, query, window[query + 1] ?? 0);
        const weight = attention * probability * (isWord(window[query]) && isWord(window[key]) ? 1 : 0.5);
        if (best !== undefined && weight <= best.weight) continue;
        best = {
          window,
          head,
          query,
          key,
          attention,
          probability,
          weight,
          row: Array.from(pattern.select("query_pos", query).data),
        };
      }
    }
  }
  return best === undefined ? null : exampleOf(best, corpus);
}

/** Queries whose token occurred before, once, and whose next token is the one that followed then. */
function matchesIn(window: readonly number[], bos: number | undefined): { query: number; key: number }[] {
  const matches: { query: number; key: number }[] = [];
  for (let query = 1; query + 1 < window.length; query++) {
    const token = window[query];
    const before = window.lastIndexOf(token as number, query - 1);
    const isFar = query - before > LONGEST - BEFORE_KEY;
    if (before < 0 || before + 1 >= query || token === bos || isFar) continue;
    if (window[before + 1] === window[query + 1]) matches.push({ query, key: before + 1 });
  }
  return matches;
}

function exampleOf(
  { window, head, query, key, row, probability, attention }: Candidate,
  corpus: Corpus,
): ReportInductionExample {
  const start = Math.max(0, key - BEFORE_KEY);
  return {
    label: head.label,
    tokens: window.slice(start, query + 1).map(corpus.tokenText),
    attention: row.slice(start, query + 1).map((x) => short(x)),
    query: query - start,
    key: key - start,
    onKey: attention,
    next: corpus.tokenText(window[query + 1] ?? 0),
    probability,
  };
}

/** Labels of heads as ids. */
export function idsOf(model: Transformer, labels: readonly string[]): HeadId[] {
  return model.heads.filter((head) => labels.includes(headLabel(head))).map(({ layer, head }) => ({ layer, head }));
}
