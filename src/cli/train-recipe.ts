/** What a run of training is by the command line: a file of JSON, options over it, a text. */
import { readFile } from "node:fs/promises";
import { FormatError, InputError } from "../errors.ts";
import type { Initialization, RecipeData, RecipeJSON } from "../train/index.ts";
import { defined } from "../train/internal.ts";

/** Options that say what is trained, on what, how. */
export interface RecipeCommandOptions {
  readonly data?: RecipeData;
  readonly text?: string;
  readonly vocab?: number;
  readonly context?: number;
  readonly batch?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly dModel?: number;
  readonly dHead?: number;
  readonly positions?: string;
  readonly norm?: string;
  readonly mlp?: string;
  readonly steps?: number;
  readonly optimizer?: "adamw" | "adam" | "sgd";
  readonly lr?: number;
  readonly weightDecay?: number;
  readonly warmup?: number;
  readonly schedule?: "constant" | "linear" | "cosine";
  readonly clip?: number;
  readonly init?: Initialization;
  readonly seed?: number;
  readonly zero: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const OPERATION = "train";

/** The recipe of a file, or the configuration of a model alone. */
export async function readRecipe(file: string): Promise<RecipeJSON> {
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    const why =
      { ENOENT: "there is no such file", EISDIR: "it is a folder, not a file" }[cause.code ?? ""] ?? cause.message;
    throw new InputError(`cannot read ${file}: ${why}.`, { operation: OPERATION, argument: "recipe" }, { cause });
  });
  return recipeOfText(text, file);
}

/** The recipe that a text is, which lies in a file. */
export function recipeOfText(text: string, file: string): RecipeJSON {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    const message = `${file} is no JSON: ${(cause as Error).message}.`;
    throw new FormatError(message, { operation: OPERATION, argument: "recipe" }, { cause });
  }
  const isConfig = typeof parsed === "object" && parsed !== null && "n_layers" in parsed;
  return isConfig ? { model: parsed as Fields } : (parsed as RecipeJSON);
}

/** A recipe with what the options say. */
export function withOptions(recipe: RecipeJSON, options: RecipeCommandOptions): RecipeJSON {
  const kind = options.text === undefined ? options.data : "text";
  // Options of other data say nothing of these.
  const before = kind === undefined || kind === recipe.data?.kind ? recipe.data : undefined;
  const isText = (kind ?? recipe.data?.kind) === "text";
  const data = defined({ ...(kind && { kind }), batch: options.batch, ...(isText && { vocabSize: options.vocab }) });
  const model = defined({
    d_vocab: isText ? undefined : options.vocab,
    n_ctx: options.context,
    n_layers: options.layers,
    n_heads: options.heads,
    d_model: options.dModel,
    d_head: options.dHead,
    positional_embedding_type: options.positions,
    normalization_type: options.norm === "none" ? null : options.norm,
    ...(options.mlp && { attn_only: options.mlp === "none", ...(options.mlp !== "none" && { act_fn: options.mlp }) }),
  });
  const optimizer = defined({
    ...(options.optimizer && { kind: options.optimizer }),
    lr: options.lr,
    weightDecay: options.weightDecay,
  });
  const isOther = options.optimizer !== undefined && options.optimizer !== recipe.optimizer?.kind;
  return {
    ...recipe,
    ...defined({ steps: options.steps, init: options.init, seed: options.seed }),
    ...(Object.keys(data).length > 0 && {
      data: { kind: "repeated-tokens", ...before, ...data },
    }),
    ...(Object.keys(model).length > 0 && { model: { ...recipe.model, ...model } }),
    ...(Object.keys(optimizer).length > 0 && {
      optimizer: { kind: "adamw", ...(isOther ? {} : recipe.optimizer), ...optimizer },
    }),
    ...scheduleOf(options),
    ...(options.clip !== undefined && { clip: { norm: options.clip } }),
    ...(options.zero.length > 0 && { edits: [{ edits: options.zero.map((at) => ({ at, do: "zero" })) }] }),
  };
}

function scheduleOf({ schedule, warmup }: RecipeCommandOptions): Pick<RecipeJSON, "schedule"> {
  if (schedule === undefined && warmup === undefined) return {};
  return { schedule: { kind: schedule ?? "constant", ...(warmup !== undefined && { warmup }) } };
}

/** The first field of which two recipes say different things; undefined where there is none. */
export function firstDifference(
  ours: unknown,
  theirs: unknown,
  path = "",
): { readonly field: string; readonly ours: unknown; readonly theirs: unknown } | undefined {
  const areObjects = [ours, theirs].every((one) => typeof one === "object" && one !== null);
  if (!areObjects) return Object.is(ours, theirs) ? undefined : { field: path, ours, theirs };
  const [a, b] = [ours, theirs] as [Fields, Fields];
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const found = firstDifference(a[key], b[key], path === "" ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
