/** The whole analysis of one model, step by step. */
import { qkSpectrum, scoreNull } from "../circuits/index.ts";
import { InputError, requireKind } from "../errors.ts";
import {
  compositionDiagram,
  headDump,
  importanceByHead,
  importanceFigure,
  lossOnRepeats,
  ovEigenvalues,
  pathEffects,
  positivityScatter,
  repeatedAttention,
  storyAttention,
} from "../figures/index.ts";
import type {
  AttentionFigure,
  CopyingHistogram,
  FigureInput,
  LossOnRepeats,
  OVEigenvalues,
  PositivityScatter,
} from "../figures/index.ts";
import { plainData, scoresOnRepeats } from "../figures/internal.ts";
import { findHeads, repeatedTokens } from "../heads/index.ts";
import type { HeadScores } from "../heads/index.ts";
import type { ModelConfig, Transformer } from "../model/index.ts";
import { stepOptions } from "../progress.ts";
import type { ProgressOptions } from "../progress.ts";
import { Tensor } from "../tensor/index.ts";
import { meanOf, rawData } from "../tensor/internal.ts";
import { trainingFilmFromJSON } from "../train/index.ts";
import type { FilmFrame, TrainingFilm } from "../train/index.ts";
import { checkBos, checkModel, readCorpus } from "./corpus.ts";
import type { Corpus, ReportTokenizer } from "./corpus.ts";
import { ablations, attributions, headFacts, labelsOf } from "./heads.ts";
import type { Prompts } from "./heads.ts";
import { inductionFacts } from "./induction.ts";
import { lossOnText } from "./loss.ts";
import { strongestPairs } from "./pairs.ts";
import { frequentTokens, idsOf, importanceWindows, readablePassage } from "./passages.ts";
import { planFor } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { Work } from "./progress.ts";
import type { ReportProgress } from "./progress.ts";
import type { HeadFacts, RepeatedFacts, ReportData } from "./types.ts";

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
  /** The film of the model's training, which becomes a section of its own. */
  readonly film?: TrainingFilm | undefined;
}

/** How long the steps take on the bundled model, in parts of about 40 milliseconds. */
const WEIGHTS = {
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

/**
 * Analyses a model on a text: loss, head scores, attention, spectra, composition, skip-trigrams, path expansion, term
 * importance, and the evidence for induction.
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
 * @throws {@link InputError} for an empty text, a text without a tokenizer, an id out of range or the film of another
 * model; {@link ConfigError} for a model without a next token to predict; the signal's reason when cancelled.
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
  requireKind(
    "model",
    model,
    "model",
    "analyse",
    options,
    "title source seed maxTokens sampleLength bos film signal onProgress",
  );
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
  const film = options.film && filmOf(options.film, config);
  const plan = planFor(config, bos !== undefined, options);
  const total = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);
  const work = new Work(total, { signal: options.signal, onProgress: options.onProgress });
  const corpus = await work.step("reading the text", 0, () => readCorpus(text, tokenizer, bos, plan, config, source));
  const parts = await analyseParts({ model, tokenizer, corpus, plan, bos, seed, work });
  work.finish();
  const { parameterCount } = model;
  return { version: 1, title, seed, config, parameterCount, text: corpus.facts, ...parts, ...(film && { film }) };
}

/** The inputs of every part of the analysis. */
interface Task {
  readonly model: Transformer;
  readonly tokenizer: ReportTokenizer | undefined;
  readonly corpus: Corpus;
  readonly plan: Plan;
  readonly bos: number | undefined;
  readonly seed: number;
  readonly work: Work;
}

type Parts = Omit<ReportData, "version" | "title" | "seed" | "config" | "parameterCount" | "text">;

/** Significant digits of the numbers that figures are drawn from. */
const DIGITS = 6;

async function analyseParts(task: Task): Promise<Parts> {
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

/** The model as figures take it, with some windows of the text. */
function inputOf(
  { model, tokenizer, bos, corpus }: Task,
  windows: readonly (readonly number[])[] = corpus.windows,
): FigureInput {
  return { model, tokenizer, bos: bos ?? null, text: idsOf(windows, corpus) };
}

/** A film as plain data; refuses that of another model. */
function filmOf(film: TrainingFilm, { n_layers, n_heads }: ModelConfig): object {
  const read = trainingFilmFromJSON(JSON.stringify(film));
  const [first] = read.frames as [FilmFrame, ...FilmFrame[]];
  if (first.n_layers !== n_layers || first.n_heads !== n_heads) {
    throw new InputError(
      `the film is of n_layers=${first.n_layers} and n_heads=${first.n_heads}, the model has n_layers=${n_layers} and n_heads=${n_heads}. Give the film of this model's training.`,
      {
        operation: "analyse",
        argument: "film",
        expected: [n_layers, n_heads],
        actual: [first.n_layers, first.n_heads],
      },
    );
  }
  return JSON.parse(JSON.stringify(read)) as object;
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

/** Heads of random weights that copying scores are compared with. */
const RANDOM_HEADS = 200;

interface HeadSpectra {
  readonly eigenvalues: OVEigenvalues | undefined;
  readonly copying: CopyingHistogram | undefined;
  readonly byHead: {
    readonly copying: ReadonlyMap<string, number>;
    readonly matching: ReadonlyMap<string, number>;
    readonly chance: CopyingHistogram["chance"] | undefined;
  };
}

/** Eigenvalues of all heads; there is no yardstick where the embedding or the unembedding is zero. */
function spectraOf(task: Task, inner: ProgressOptions): HeadSpectra {
  const { model, seed } = task;
  const { n_layers, n_heads } = model.config;
  if (n_layers === 0)
    return {
      eigenvalues: undefined,
      copying: undefined,
      byHead: { copying: new Map(), matching: new Map(), chance: undefined },
    };
  const eigenvalues = ovEigenvalues(inputOf(task), stepOptions(inner, 0, 3));
  const matching = qkSpectrum(model, stepOptions(inner, 1, 3)).score;
  const scores = eigenvalues.heads.map(({ copying }) => copying);
  const isZero = ["embed.W_E", "unembed.W_U"].some((name) => rawData(model.weight(name)).every((x) => x === 0));
  const found = isZero ? undefined : scoreNull(model, { samples: RANDOM_HEADS, seed, ...stepOptions(inner, 2, 3) });
  const chance = found && { mean: found.mean, std: found.std, samples: RANDOM_HEADS };
  return {
    eigenvalues,
    copying: chance && { scores: Tensor.from("layer head", [n_layers, n_heads], Float64Array.from(scores)), chance },
    byHead: {
      copying: new Map(model.heads.map(({ label }, i) => [label, scores[i] ?? 0])),
      matching: new Map(model.heads.map(({ label, layer, head }) => [label, matching.at(layer, head)])),
      chance,
    },
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

/** What was left out, in words. */
function notesOn(
  model: Transformer,
  plan: Plan,
  done: { chosen: number; ablated: number; maxOrder: number },
): string[] {
  const { n_layers } = model.config;
  const heads = model.heads.length;
  const notes: string[] = [];
  if (plan.period === 0)
    notes.push(
      "There is no room for a repeated sequence, or there are too few tokens: heads have no attention scores.",
    );
  if (n_layers === 0) return notes;
  if (done.ablated < heads && plan.period > 0)
    notes.push(
      `Of the ${heads} heads ${done.ablated} were ablated one by one: those found, and those of the largest direct effect.`,
    );
  if (done.chosen < heads)
    notes.push(
      `Skip-trigrams are listed for the ${done.chosen} heads of the largest copying scores, positive or negative.`,
    );
  if (done.maxOrder < n_layers)
    notes.push(
      `Paths through ${done.maxOrder === 0 ? "heads" : done.maxOrder === 1 ? "more than one head" : `more than ${done.maxOrder} heads`} are too many to write out; they are one term of the sum.`,
    );
  if (!plan.pairs.restricted && n_layers > 1)
    notes.push("Pairs of heads are listed by the paper’s score; what comes through each was not measured.");
  if (!plan.importanceByHead) notes.push("Term importance was not measured head by head.");
  return notes;
}
