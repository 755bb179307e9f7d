/** The steps of an analysis in their order, and what becomes of their results. */
import {
  compositionDiagram,
  headDump,
  importanceByHead,
  importanceFigure,
  lossOnRepeats,
  pathEffects,
  positivityScatter,
  repeatedAttention,
  storyAttention,
} from "../figures/index.ts";
import type { AttentionFigure, LossOnRepeats, PositivityScatter } from "../figures/index.ts";
import { plainData, scoresOnRepeats } from "../figures/internal.ts";
import { findHeads, repeatedTokens } from "../heads/index.ts";
import type { HeadScores } from "../heads/index.ts";
import { meanOf } from "../tensor/internal.ts";
import { ablations, attributions, headFacts, labelsOf } from "./heads.ts";
import type { Prompts } from "./heads.ts";
import { inductionFacts } from "./induction.ts";
import { lossOnText } from "./loss.ts";
import { strongestPairs } from "./pairs.ts";
import { frequentTokens, importanceWindows, readablePassage } from "./passages.ts";
import type { Plan } from "./plan.ts";
import { notesOn } from "./notes.ts";
import { spectraOf } from "./spectra.ts";
import { inputOf } from "./task.ts";
import type { Task } from "./task.ts";
import type { HeadFacts, RepeatedFacts, ReportData } from "./types.ts";

/** How long the steps take on the bundled model, in parts of about 40 milliseconds. */
export const WEIGHTS = {
  loss: 13,
  repeats: 5,
  heads: 7,
  composition: 5,
  positivity: 3,
  attention: 5,
  ablation: 10,
  pairs: 4,
  trigrams: 7,
  expansion: 9,
  importance: 20,
  byHead: 5,
  induction: 6,
};

type Parts = Omit<ReportData, "version" | "title" | "seed" | "config" | "parameterCount" | "text">;

/** Significant digits of the numbers that figures are drawn from. */
const DIGITS = 6;

export async function analyseParts(task: Task): Promise<Parts> {
  const { model, corpus, plan, seed, work } = task;
  const { signal } = work;
  const loss = await work.step("loss on the text", WEIGHTS.loss, (pause) =>
    lossOnText(model, corpus, plan, pause, signal),
  );
  const { repeated, curve, scores } = await repeats(task);
  const named = scores && findHeads(scores);
  const found = labelsOf(named);
  const spectra = await work.step("eigenvalues", WEIGHTS.heads, (_, inner) => spectraOf(task, inner));
  const composition = await work.step("composition", WEIGHTS.composition, (_, inner) =>
    model.config.n_layers < 2
      ? undefined
      : compositionDiagram(inputOf(task), {
          seed,
          original: false,
          layers: model.layers.map(({ layer }) => layer),
          ...inner,
        }),
  );
  const positivity = await work.step("positivity", WEIGHTS.positivity, () => positivityOf(task, found.previousToken));
  const passage = readablePassage(corpus.windows, plan.sampleLength);
  const samples = await work.step("attention patterns", WEIGHTS.attention, () =>
    attentionSamples(task, passage, repeated),
  );
  const few = repeated && { ...repeated, prompts: repeated.prompts.slice(0, plan.ablatedSequences) };
  const lost = await ablated(task, found, few);
  const heads = headFacts(model, { scores, found: named, ...spectra.byHead, ...lost });
  const pairs = await work.step("pairs of heads", WEIGHTS.pairs, () =>
    composition === undefined
      ? []
      : strongestPairs(model, composition, heads, { text: passage, repeats: few }, plan.pairs),
  );
  const chosen = trigramHeads(heads);
  const skipTrigrams = await work.step("skip-trigrams", WEIGHTS.trigrams, (_, inner) =>
    heads.length === 0
      ? undefined
      : headDump(inputOf(task), { heads: chosen, sources: frequentTokens(corpus), rows: 2, listed: 3, ...inner }),
  );
  const windows = importanceWindows(corpus.windows, plan);
  const text = inputOf(task, windows);
  const expansion = await work.step("path expansion", WEIGHTS.expansion, () => pathEffects(text, { seed, signal }));
  const importance = await work.step("term importance", WEIGHTS.importance, (_, inner) =>
    importanceFigure(text, { windows: windows.length, seed, ...inner }),
  );
  const middle = windows[windows.length >> 1] ?? [];
  const byHead = await work.step("term importance by head", WEIGHTS.byHead, () =>
    plan.importanceByHead && heads.length > 0 ? importanceByHead(inputOf(task, [middle]), { signal }) : undefined,
  );
  const story = { passage: inputOf(task, [passage]), facts: heads, found, composition, positivity };
  const induction = await work.step("induction", WEIGHTS.induction, (pause) =>
    few === undefined ? null : inductionFacts(story, few, lost.clean, pause, signal),
  );
  const done = { chosen: chosen.length, ablated: lost.ablation.size, maxOrder: expansion.maxOrder };
  return {
    notes: [...corpus.notes, ...notesOn(model, plan, done)],
    loss,
    repeated: curve === undefined ? null : repeatedFacts(curve, plan),
    heads,
    found,
    samples: samples.map((sample) => plainData(sample, 4)),
    spectra: plainOrNull(spectra.eigenvalues),
    copying: plainOrNull(spectra.copying),
    composition: plainOrNull(composition),
    pairs,
    positivity: plainOrNull(positivity),
    skipTrigrams: plainOrNull(skipTrigrams),
    expansion: plainData(expansion),
    importance: plainData(importance, DIGITS),
    importanceByHead: plainOrNull(byHead),
    induction,
  };
}

function plainOrNull<T>(data: T | undefined): ReturnType<typeof plainData<T>> | null {
  return data === undefined ? null : plainData(data, DIGITS);
}

interface Repeats {
  readonly repeated: Prompts | undefined;
  readonly curve: LossOnRepeats | undefined;
  readonly scores: HeadScores | undefined;
}

/** Random tokens given twice, the loss on them and every head's scores. */
async function repeats(task: Task): Promise<Repeats> {
  const { model, plan, bos, seed, work } = task;
  return work.step("repeated tokens", WEIGHTS.repeats, async (pause) => {
    const { period, sequences } = plan;
    if (period === 0) return { repeated: undefined, curve: undefined, scores: undefined };
    const curve = lossOnRepeats(inputOf(task), { prompts: sequences, seed });
    await pause(0.5);
    // those that the figure of the loss is made of
    const prompts = repeatedTokens(model.config, { length: period, batch: sequences, seed, bos: bos ?? null });
    const first = bos === undefined ? 0 : 1;
    const scores = model.config.n_layers === 0 ? undefined : scoresOnRepeats(model, { prompts, period, first });
    return { repeated: { prompts, period, bos }, curve, scores };
  });
}

function repeatedFacts(curve: LossOnRepeats, { ablatedSequences }: Plan): RepeatedFacts {
  const { mean, period, first, prompts } = curve;
  return {
    sequences: prompts,
    ablatedSequences: Math.min(ablatedSequences, prompts),
    period,
    // entry i is the loss of token i + 1, and the second copy begins at token first + period
    first: meanOf(mean.slice(0, first + period - 1)),
    second: meanOf(mean.slice(first + period)),
    curve: plainData(curve, DIGITS),
  };
}

/** The scatter of positivity; none where no previous-token head was found before the last layer. */
function positivityOf(task: Task, previous: readonly string[]): PositivityScatter | undefined {
  const last = task.model.config.n_layers - 1;
  const isThere = task.model.heads.some(({ layer, label }) => layer < last && previous.includes(label));
  return isThere ? positivityScatter(inputOf(task), { seed: task.seed }) : undefined;
}

function attentionSamples(
  task: Task,
  passage: readonly number[],
  repeated: Prompts | undefined,
): readonly AttentionFigure[] {
  if (task.model.config.n_layers === 0) return [];
  const { period, seed } = { period: repeated?.period ?? 0, seed: task.seed };
  return [
    storyAttention(inputOf(task, [passage])),
    ...(repeated === undefined ? [] : [repeatedAttention(inputOf(task), { repeats: 2, period, seed })]),
  ];
}

/** What {@link ablated} finds. */
interface Lost {
  readonly attribution: ReadonlyMap<string, number>;
  readonly ablation: ReadonlyMap<string, number>;
  /** The loss on the second copy as it is. */
  readonly clean: number;
}

/** Attribution of all heads and ablation of as many as the plan allows. */
async function ablated(
  { model, plan, work }: Task,
  found: ReportData["found"],
  prompts: Prompts | undefined,
): Promise<Lost> {
  return work.step("heads ablated one by one", WEIGHTS.ablation, async (pause, inner) => {
    if (prompts === undefined || model.config.n_layers === 0)
      return { attribution: new Map(), ablation: new Map(), clean: 0 };
    const attribution = attributions(model, prompts);
    await pause(0.1);
    const { rises, clean } = ablations(model, prompts, found, attribution, plan.ablatedRuns, inner);
    return { attribution, ablation: rises, clean };
  });
}

/** Of more heads those of the largest copying scores have their skip-trigrams listed. */
const MOST_TRIGRAM_HEADS = 16;

function trigramHeads(heads: readonly HeadFacts[]): { readonly layer: number; readonly head: number }[] {
  const largest = [...heads].sort((a, b) => Math.abs(b.copying) - Math.abs(a.copying)).slice(0, MOST_TRIGRAM_HEADS);
  return heads.filter((head) => largest.includes(head)).map(({ layer, head }) => ({ layer, head }));
}
