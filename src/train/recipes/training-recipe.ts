/**
 * A run of training as data: what is trained, on what, how. It is what a file of JSON holds, what crosses to a worker,
 * and what a command line comes to; the same recipe gives the same run.
 */
import { InputError, requireObject, requireOptions } from "../../errors.ts";
import { parseEdits } from "../../interventions/index.ts";
import { parseConfig } from "../../model/index.ts";
import type { ModelConfig, Transformer } from "../../model/index.ts";
import { requireChoice, requireCount, requireSeed } from "../../model/internal.ts";
import { rawData } from "../../tensor/internal.ts";
import {
  associativeRecallData,
  markovChainData,
  maxOfKData,
  repeatedTokenData,
  skipTrigramData,
  textData,
} from "../data/index.ts";
import type { DrawnBatch, DrawnData, TextData, TextDataOptions, TextEncoding } from "../data/index.ts";
import { HELD_OUT_PROMPTS, HELD_OUT_STEP, knownLosses } from "../data/known-losses.ts";
import { checkClip } from "../clip.ts";
import type { ClipLike } from "../clip.ts";
import type { EditStretch } from "../edit-stretches.ts";
import { initialModel } from "../initial-model.ts";
import type { Initialization } from "../initial-model.ts";
import { checkOptimizer, OPTIMIZER_KINDS } from "../optimizers.ts";
import type { Optimizer } from "../optimizers.ts";
import { checkSchedule } from "../schedules.ts";
import type { Schedule } from "../schedules.ts";
import type { TrainOptions } from "../train.ts";
import { USUAL } from "./usual.ts";
import type { Named, RecipeData } from "./usual.ts";

/**
 * A run of training as JSON has it. What is left out is as in the usual run on these data.
 * @category Training
 */
export interface RecipeJSON {
  /** Fields of a configuration, as `parseConfig` takes them; vocabulary and context are those of the data. */
  readonly model?: Readonly<Record<string, unknown>> | undefined;
  /** Which data, by `kind`, and what their generator is told; `repeated-tokens` unless given. */
  readonly data?: { readonly kind: RecipeData; readonly [option: string]: unknown } | undefined;
  readonly steps?: number | undefined;
  readonly init?: Initialization | undefined;
  /** The seed of the first weights, and of the data unless they have their own; 0 unless given. */
  readonly seed?: number | undefined;
  /** What `adamW`, `adam` or `sgd` take, and the `kind`. */
  readonly optimizer?: { readonly kind: Optimizer["kind"]; readonly [option: string]: unknown } | undefined;
  /** A schedule by its `kind`; one that falls does so until the last step unless told otherwise. */
  readonly schedule?: { readonly kind: Schedule["kind"]; readonly [option: string]: unknown } | undefined;
  readonly clip?: ClipLike | undefined;
  /** What is changed in the runs, as `JSON.stringify` writes edits, each for all steps or some. */
  readonly edits?: readonly { readonly from?: number; readonly to?: number; readonly edits: object }[] | undefined;
}

/**
 * What comes with a recipe whose data are a text.
 * @category Training
 */
export interface RecipeOptions {
  readonly text?: string | readonly string[] | undefined;
  /** What makes ids of the text, or a function that makes it, of as many tokens as it is told. */
  readonly tokenizer?: TextEncoding | ((vocabSize: number) => TextEncoding) | undefined;
}

/**
 * A run of training, ready to begin.
 * @category Training
 */
export interface TrainingRecipe {
  readonly config: ModelConfig;
  readonly data: DrawnData | TextData;
  /** What {@link train} is told. */
  readonly options: Pick<TrainOptions, "steps" | "optimizer" | "schedule" | "clip" | "edits">;
  /** Prompts that no step trains on, for a film's losses. */
  readonly heldOut: DrawnBatch;
  /** The losses that are known of these prompts, in nats, by the name of the guess, for a film's floors. */
  readonly floors: Readonly<Record<string, number>>;
  /** The model before the first step. */
  readonly start: () => Transformer;
  /** The recipe whole, with what was left out. */
  readonly toJSON: () => RecipeJSON;
}

const OPERATION = "trainingRecipe";

const GENERATORS = {
  "repeated-tokens": repeatedTokenData,
  "markov-chains": markovChainData,
  "skip-trigrams": skipTrigramData,
  "associative-recall": associativeRecallData,
  "max-of-k": maxOfKData,
} as unknown as Readonly<Record<RecipeData, ((options: Named) => DrawnData) | undefined>>;

/**
 * Reads a recipe: a run of training as JSON, of which all may be left out.
 *
 * What is left out is as in a run that is known to work on the data: repeated tokens, on which induction heads form
 * within a few hundred steps; in-context Markov chains; skip-trigrams; associative recall; the largest of k numbers; or
 * a text.
 *
 * @param json - the recipe, parsed.
 * @param options - `text` and `tokenizer`, for the data `text`.
 * @throws {@link InputError} for fields that are none, and for whatever the data's generator, the optimizer and the
 * schedule refuse; {@link ConfigError} for a model that there cannot be.
 * @category Training
 * @example
 * ```ts
 * import { train, trainingRecipe } from "transformer-circuits/train";
 *
 * const recipe = trainingRecipe({ data: { kind: "max-of-k", d_vocab: 8 }, model: { d_model: 16 }, steps: 3 });
 * const { losses } = await train(recipe.start(), recipe.data, recipe.options);
 * console.log(losses.length, recipe.config.d_vocab, JSON.stringify(recipe.toJSON().data));
 * // 3 8 {"kind":"max-of-k","k":4,"d_vocab":8,"batch":128,"seed":0}
 * ```
 */
export function trainingRecipe(json: RecipeJSON = {}, options: RecipeOptions = {}): TrainingRecipe {
  requireOptions(options, OPERATION, "text tokenizer");
  requireObject(json, "recipe", OPERATION, "model data steps init seed optimizer schedule clip edits");
  const { model = {}, data = { kind: "repeated-tokens" }, seed = 0, init = "transformer-lens" } = json;
  requireObject(model, "model", OPERATION);
  requireObject(data, "data", OPERATION);
  requireChoice(data.kind, Object.keys(USUAL), "data.kind", OPERATION);
  requireSeed(seed, OPERATION);
  const usual = USUAL[data.kind];
  const { kind, ...given } = defined(data);
  const dataOptions = { ...usual.data(model), seed, ...given };
  const drawn = dataOf(kind, dataOptions, options);
  const fields = { ...usual.model, n_ctx: drawn.n_ctx, d_vocab: drawn.d_vocab, ...defined(model) };
  const config = parseConfig(fields);
  const optimizer = optimizerOf(json.optimizer ?? usual.optimizer);
  const { steps = usual.steps } = json;
  requireCount(steps, "steps", OPERATION);
  const more = {
    ...(json.schedule && { schedule: scheduleOf(json.schedule, steps) }),
    ...(json.clip && { clip: checkClip(json.clip, OPERATION) }),
  };
  const edits = json.edits?.map(stretchOf);
  const start = (): Transformer => initialModel(config, { seed, init });
  const isText = "length" in drawn;
  let heldOut: DrawnBatch | undefined;
  const prompts = (): DrawnBatch => (heldOut ??= ((isText ? drawn.heldOut : undefined) ?? drawn).batch(HELD_OUT_STEP));
  let floors: TrainingRecipe["floors"] | undefined;
  const whole: RecipeJSON = {
    data: { kind, ...dataOptions },
    model: fields,
    steps,
    init,
    seed,
    optimizer: { ...optimizer },
    ...(more.schedule && { schedule: { ...more.schedule } }),
    ...(more.clip && { clip: more.clip }),
    ...(json.edits && { edits: json.edits }),
  };
  return {
    config,
    data: drawn,
    options: { steps, optimizer, ...more, ...(edits && { edits }) },
    get heldOut() {
      return prompts();
    },
    get floors() {
      return (floors ??= isText ? {} : floorsOf(drawn, prompts()));
    },
    start,
    toJSON: () => whole,
  };
}

/** What an even guess loses on the held-out prompts, and what the data tell of others. */
function floorsOf(data: DrawnData, { tokens, lossMask }: DrawnBatch): Readonly<Record<string, number>> {
  const [batch = 0, pos = 0] = tokens.shape;
  const prompts = Math.min(batch, HELD_OUT_PROMPTS);
  const told = knownLosses(data, { prompts, pos, weights: lossMask && rawData(lossMask) });
  return { uniform: Math.log(data.d_vocab), ...told };
}

/** Without what is undefined, which is as if it were left out. */
export function defined<T extends Named>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}

function dataOf(kind: RecipeData, options: Named, { text, tokenizer }: RecipeOptions): DrawnData | TextData {
  const generator = GENERATORS[kind];
  if (generator !== undefined) return generator(options);
  if (text === undefined || tokenizer === undefined) {
    const missing = text === undefined ? "text" : "tokenizer";
    throw new InputError(
      `the data are a text, and there is no ${missing}. Give both beside the recipe: { text, tokenizer }.`,
      { operation: OPERATION, argument: missing, expected: `a ${missing}`, actual: undefined },
    );
  }
  const { vocabSize, ...rest } = options as Named & { readonly vocabSize: number };
  requireCount(vocabSize, "data.vocabSize", OPERATION);
  return textData(
    text,
    typeof tokenizer === "function" ? tokenizer(vocabSize) : tokenizer,
    rest as unknown as TextDataOptions,
  );
}

function optimizerOf(given: NonNullable<RecipeJSON["optimizer"]>): Optimizer {
  requireObject(given, "optimizer", OPERATION);
  requireChoice(given.kind, OPTIMIZER_KINDS, "optimizer.kind", OPERATION);
  return checkOptimizer(given, OPERATION);
}

function scheduleOf(given: NonNullable<RecipeJSON["schedule"]>, steps: number): Schedule {
  requireObject(given, "schedule", OPERATION);
  const falls = given.kind === "linear" || given.kind === "cosine";
  return checkSchedule(falls ? { steps, ...given } : given, OPERATION);
}

function stretchOf({ from, to, edits }: NonNullable<RecipeJSON["edits"]>[number], i: number): EditStretch {
  if (typeof edits !== "object" || edits === null) requireObject(edits, `edits[${i}].edits`, OPERATION);
  return { from, to, edits: parseEdits(edits) };
}
