/** The analysis of one model on a text: what is asked for, checked, and put together. */
import { InputError, requireKind } from "../errors.ts";
import type { ModelConfig, Transformer } from "../model/index.ts";
import { trainingFilmFromJSON } from "../train/index.ts";
import type { FilmFrame, TrainingFilm } from "../train/index.ts";
import { checkBos, checkModel, readCorpus } from "./corpus.ts";
import type { ReportTokenizer } from "./corpus.ts";
import { planFor } from "./plan.ts";
import { Work } from "./progress.ts";
import type { ReportProgress } from "./progress.ts";
import { analyseParts, WEIGHTS } from "./steps.ts";
import type { ReportData } from "./types.ts";

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
