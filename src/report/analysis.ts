/** The whole analysis of one model, step by step. */
import { repeatedTokens } from "../heads/index.ts";
import type { HeadScores } from "../heads/index.ts";
import { InputError } from "../errors.ts";
import type { Transformer } from "../model/index.ts";
import { checkBos, checkModel, readCorpus } from "./corpus.ts";
import type { Corpus, ReportTokenizer } from "./corpus.ts";
import { attentionSample, readablePassage } from "./parts/attention.ts";
import { compositionFacts, positivityFacts } from "./parts/composition.ts";
import { expansionFacts } from "./parts/expansion.ts";
import { foundHeads, headFacts, scoresOf, spectraFacts, spectraOf } from "./parts/heads.ts";
import type { Measured } from "./parts/heads.ts";
import { importanceFacts, importanceWindows } from "./parts/importance.ts";
import { inductionFacts } from "./parts/induction.ts";
import type { Prompts } from "./parts/induction.ts";
import { lossOnRepeats, lossOnText } from "./parts/loss.ts";
import { ablations, attributions, headsToSilence } from "./parts/measured.ts";
import { frequentTokens, headSkipTrigrams, trigramHeads } from "./parts/skip-trigrams.ts";
import { planFor } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { Work } from "./progress.ts";
import type { ReportProgress } from "./progress.ts";
import type {
  AttentionSample,
  ReportFoundHeads,
  HeadFacts,
  HeadSkipTrigrams,
  ReportLossOnRepeats,
  ReportData,
} from "./types.ts";

/**
 * How {@link analyse} works.
 * @category Report
 */
export interface AnalyseOptions {
  /** Cancels: the promise rejects with the signal's reason, at the latest after the step under way. */
  readonly signal?: AbortSignal | undefined;
  /** Told how far the analysis is. */
  readonly onProgress?: ((progress: ReportProgress) => void) | undefined;
  /** The report's title. */
  readonly title?: string | undefined;
  /** What the text is, in words: `declaration files of this package`. */
  readonly source?: string | undefined;
  /** The seed of random tokens, random heads and the bootstrap; 0 unless given. */
  readonly seed?: number | undefined;
  /** How many tokens of the text are run; as many as take a few seconds on a small model, unless given. */
  readonly maxTokens?: number | undefined;
  /** How many tokens the attention explorer shows. */
  readonly sampleLength?: number | undefined;
  /** The token that begins every sequence; the tokenizer's own unless given, `null` for none. */
  readonly bos?: number | null | undefined;
}

/** How long the steps take on the bundled model, in parts of about 40 milliseconds. */
const WEIGHTS = {
  loss: 13,
  repeats: 5,
  heads: 7,
  composition: 7,
  attention: 3,
  silence: 19,
  trigrams: 7,
  expansion: 9,
  importance: 27,
  induction: 10,
};
const RANDOM_HEADS = 64;

/**
 * Analyses a model on a text: loss, head scores, attention, spectra, composition, skip-trigrams, path expansion, term
 * importance, and the induction story.
 *
 * The work is cut to the model's size; what was cut stands in `notes`. Between steps the event loop has its turn, so
 * that timers run and a cancel is noticed.
 *
 * @param model - any transformer that predicts the next token, attention-only or with MLPs, down to no layers at all.
 * @param tokenizer - makes text of token ids; without one they are shown as `#123`.
 * @param text - a text, or token ids without BOS; longer ones than the context go through in windows.
 * @param options - cancelling, progress, title, seed and sizes.
 * @returns plain data for {@link renderReport}, {@link summarise} and `JSON.stringify`; the same input gives the same
 * data.
 * @throws {@link InputError} for an empty text, a text without a tokenizer or an id out of range; {@link ConfigError}
 * for a model without a next token to predict; the signal's reason when cancelled.
 * @category Report
 * @example
 * ```ts
 * import { analyse } from "transformer-circuits/report";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const text = "interface Array<T> {\n    push(...items: T[]): number;\n    pop(): T | undefined;\n}\n";
 * const data = await analyse(model, tokenizer, text, { title: "The bundled model" });
 * console.log(data.found.previousToken.join(" "));
 * // L0H5 L0H7
 * console.log(data.found.induction.join(" "));
 * // L1H1 L1H2 L1H3 L1H4 L1H7
 * ```
 */
export async function analyse(
  model: Transformer,
  tokenizer: ReportTokenizer | undefined,
  text: string | readonly number[],
  options: AnalyseOptions = {},
): Promise<ReportData> {
  const { config } = model;
  checkModel(config);
  checkCounts(options);
  const {
    seed = 0,
    title = model.config.attn_only ? "Attention-only transformer" : "Transformer",
    source = "the text given",
  } = options;
  const bos = options.bos === null ? undefined : (options.bos ?? tokenizer?.bos ?? config.bos_token_id);
  checkBos(bos, config);
  const plan = planFor(config, bos !== undefined, options);
  const total = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);
  const work = new Work(total, { signal: options.signal, onProgress: options.onProgress });
  const corpus = await work.step("reading the text", 0, () => readCorpus(text, tokenizer, bos, plan, config, source));
  const parts = await analyseParts({ model, corpus, plan, bos, seed, work });
  work.finish();
  const { parameterCount } = model;
  return { version: 1, title, seed, config, parameterCount, text: corpus.facts, ...parts };
}

/** What every part of the analysis is given. */
interface Task {
  readonly model: Transformer;
  readonly corpus: Corpus;
  readonly plan: Plan;
  readonly bos: number | undefined;
  readonly seed: number;
  readonly work: Work;
}

type Parts = Omit<ReportData, "version" | "title" | "seed" | "config" | "parameterCount" | "text">;

async function analyseParts(task: Task): Promise<Parts> {
  const { model, corpus, plan, seed, work } = task;
  const { signal } = work;
  const loss = await work.step("loss on the text", WEIGHTS.loss, (pause) =>
    lossOnText(model, corpus, plan, pause, signal),
  );
  const { repeated, lossTwice, scores } = await repeats(task);
  const found = foundHeads(scores);
  const spectra = await work.step("eigenvalues", WEIGHTS.heads, (_, inner) =>
    spectraOf(model, seed, RANDOM_HEADS, inner),
  );
  const composition = await work.step("composition", WEIGHTS.composition, (_, inner) =>
    compositionFacts(model, seed, RANDOM_HEADS, inner),
  );
  const positivity = await work.step("positivity", 0, () => positivityFacts(model, scores, found));
  const samples = await work.step("attention patterns", WEIGHTS.attention, () => attentionSamples(task, repeated));
  const measured = await silenced(task, found, repeated);
  const heads = headFacts(model, scores, spectra, found, measured);
  const skipTrigrams = await trigrams(task, heads);
  const windows = importanceWindows(corpus.windows, plan);
  const few = repeated && { ...repeated, prompts: repeated.prompts.slice(0, plan.silencedSequences) };
  const expansion = await work.step("path expansion", WEIGHTS.expansion, () =>
    expansionFacts(model, windows[0] ?? [], few && { ...few, prompts: few.prompts.slice(0, 1) }),
  );
  const importance = await work.step("term importance", WEIGHTS.importance, (pause) =>
    importanceFacts(model, windows, plan, seed, pause, signal),
  );
  const story = { facts: heads, found, composition, positivity };
  const induction = await work.step("induction", WEIGHTS.induction, (pause) =>
    few === undefined ? null : inductionFacts(model, story, few, corpus, pause),
  );
  const done = { chosen: skipTrigrams.length, silenced: measured.ablation.size, maxOrder: expansion.maxOrder };
  return {
    notes: [...corpus.notes, ...notesOn(model, plan, done)],
    loss,
    repeated: lossTwice,
    heads,
    found,
    samples,
    spectra: spectraFacts(model, spectra),
    composition,
    positivity,
    skipTrigrams,
    expansion,
    importance,
    induction,
  };
}

function checkCounts(options: AnalyseOptions): void {
  for (const [argument, least] of [
    ["maxTokens", 1],
    ["sampleLength", 2],
  ] as const) {
    const value = options[argument];
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) continue;
    throw new InputError(`${argument} is ${value}; give a whole number of at least ${least}.`, {
      operation: "analyse",
      argument,
      expected: `at least ${least}`,
      actual: value,
    });
  }
}

interface Repeats {
  readonly repeated: Prompts | undefined;
  readonly lossTwice: ReportLossOnRepeats | null;
  readonly scores: HeadScores | undefined;
}

/** Random tokens given twice, the loss on them and every head's scores. */
async function repeats({ model, plan, bos, seed, work }: Task): Promise<Repeats> {
  return work.step("repeated tokens", WEIGHTS.repeats, async (pause) => {
    const { period, sequences } = plan;
    if (period === 0) return { repeated: undefined, lossTwice: null, scores: undefined };
    const prompts = repeatedTokens(model.config, { length: period, batch: sequences, seed, bos: bos ?? null });
    const lossTwice = lossOnRepeats(model, prompts, plan);
    await pause(0.5);
    const scores = model.config.n_layers === 0 ? undefined : scoresOf(model, prompts, period, bos);
    return { repeated: { prompts, period, bos }, lossTwice, scores };
  });
}

function attentionSamples({ model, corpus, plan }: Task, repeated: Prompts | undefined): AttentionSample[] {
  if (model.config.n_layers === 0) return [];
  const passage = readablePassage(corpus.windows, plan.sampleLength);
  const twice = repeated?.prompts[0];
  return [
    attentionSample(model, passage, corpus, "text"),
    ...(twice === undefined ? [] : [attentionSample(model, twice, corpus, "repeated")]),
  ];
}

/** Attribution of all heads and ablation of as many as the plan allows. */
async function silenced(
  { model, plan, work }: Task,
  found: ReportFoundHeads,
  repeated: Prompts | undefined,
): Promise<Measured> {
  return work.step("heads silenced one by one", WEIGHTS.silence, async (pause) => {
    if (repeated === undefined || model.config.n_layers === 0) return { attribution: new Map(), ablation: new Map() };
    const few = { ...repeated, prompts: repeated.prompts.slice(0, plan.silencedSequences) };
    const attribution = attributions(model, few);
    await pause(0.1);
    const heads = headsToSilence(model, found, attribution, plan.silencedRuns);
    return { attribution, ablation: await ablations(model, heads, few, (part) => pause(0.1 + 0.9 * part)) };
  });
}

async function trigrams({ model, corpus, work }: Task, heads: readonly HeadFacts[]): Promise<HeadSkipTrigrams[]> {
  return work.step("skip-trigrams", WEIGHTS.trigrams, async (pause) => {
    const chosen = trigramHeads(model, heads);
    const candidates = frequentTokens(corpus);
    const lists: HeadSkipTrigrams[] = [];
    for (const head of chosen) {
      lists.push(headSkipTrigrams(model, head, corpus, candidates));
      await pause(lists.length / chosen.length);
    }
    return lists;
  });
}

/** What was left out, in words. */
function notesOn(
  model: Transformer,
  plan: Plan,
  done: { chosen: number; silenced: number; maxOrder: number },
): string[] {
  const { n_layers } = model.config;
  const heads = model.heads.length;
  const notes: string[] = [];
  if (plan.period === 0)
    notes.push(
      "There is no room for a repeated sequence, or there are too few tokens: heads have no attention scores.",
    );
  if (n_layers === 0) return notes;
  if (done.silenced < heads && plan.period > 0)
    notes.push(
      `Of the ${heads} heads ${done.silenced} were silenced one by one: those found, and those of the largest direct effect.`,
    );
  if (done.chosen < heads)
    notes.push(
      `Skip-trigrams are listed for the ${done.chosen} heads of the largest copying scores, positive or negative.`,
    );
  if (done.maxOrder < n_layers)
    notes.push(
      `Paths through more than ${done.maxOrder === 1 ? "one head" : `${done.maxOrder} heads`} are too many to write out; they are one term of the sum.`,
    );
  if (!plan.importanceByHead) notes.push("Term importance was not measured head by head.");
  return notes;
}
