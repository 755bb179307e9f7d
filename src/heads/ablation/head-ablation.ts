/**
 * What the loss of a model becomes without a head, everything after it computed anew (ARENA 1.2, "Head
 * ablation"; *In-context Learning and Induction Heads*, "ablations").
 */
import { InputError, requireKind } from "../../errors.ts";
import { combineEdits, editAt, toTokenTensor } from "../../model/index.ts";
import { baseRun, partialPass, Readout, requireChoice, RowMetric, rowLosses, runLosses } from "../../model/internal.ts";
import type { Edits, HeadId, HeadRef, Metric, PartialRun, TokensLike, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { distinctHeads } from "../../circuits/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * How {@link ablatedLosses} takes heads out.
 * @category Head scores
 */
export interface AblationOptions {
  /**
   * What a head gives in place of its own: `"zero"` (the default) nothing; `"mean"` its mean over prompts at each
   * position, as in ARENA; `"meanOverAll"` its mean over prompts and positions. Of heads taken out together, means are
   * those of the run without the earlier ones.
   */
  readonly value?: "zero" | "mean" | "meanOverAll" | undefined;
  /**
   * Whether later heads look where they then would (`"recomputed"`, the default) or where they did before (`"kept"`:
   * Olsson et al.'s pattern-preserving ablation).
   */
  readonly patterns?: "recomputed" | "kept" | undefined;
  /** Cancels the runs. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The loss of each prediction without some heads, in nats. Biases $b_O$ stay, and norms take the scale of the changed
 * stream.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param heads - the heads taken out together; none gives the model's own losses.
 * @returns `[batch, pos]`, as {@link lossPerToken}.
 * @throws {@link InputError} for tokens the model cannot run or predict, a head that it does not have or that is named
 * twice, an unknown option, or a mean over one prompt, which is the prompt itself; the signal's reason when aborted.
 * @category Head scores
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { meanAll } from "transformer-circuits/tensor";
 * import { ablatedLosses } from "transformer-circuits/heads";
 * import type { HeadRef } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 50, seed: 0, bos: 0 });
 * const loss = (heads: HeadRef[]) => meanAll(ablatedLosses(model, tokens, heads).slice("pos", 51, 100));
 * console.log(loss(["L0H5", "L0H7"]) - loss([]) > 1);
 * // true
 * ```
 */
export function ablatedLosses(
  model: Transformer,
  tokens: TokensLike,
  heads: readonly HeadRef[],
  options: AblationOptions = {},
): Tensor<"batch pos"> {
  requireKind("model", model, "model", "ablatedLosses", options, "value patterns signal");
  requireKind("list", heads, "heads", "ablatedLosses");
  const checked = requireAblation(model, tokens, options, "ablatedLosses");
  if (heads.length === 0) return runLosses(model, checked, { signal: options.signal });
  const distinct = distinctHeads(model, heads, "ablatedLosses");
  return lossesWithout(model, cleanRun(model, checked, options), distinct, options);
}

/**
 * Options of {@link headAblation}.
 * @category Head scores
 */
export interface HeadAblationOptions extends AblationOptions, ProgressOptions {
  /**
   * The first prediction that counts, as an entry of {@link lossPerToken}; 0 by default. ARENA counts the last L − 1 of
   * a prompt that repeats L tokens.
   */
  readonly from?: number | undefined;
  /** The heads to take out, one after the other; all by default. */
  readonly heads?: readonly HeadRef[] | undefined;
  /** Called with the losses without each head, `[batch, pos]`, which are not kept. */
  readonly onLosses?: ((head: HeadId, losses: Tensor<"batch pos">) => void) | undefined;
}

/**
 * What each head is worth on some tokens.
 * @category Head scores
 */
export interface HeadAblation {
  /**
   * `[layer, head]`: by how much the mean loss rises without the head, in nats, float64; NaN for heads that were not
   * asked for.
   */
  readonly rise: Tensor<"layer head">;
  /** The mean loss of the model itself over the predictions counted. */
  readonly clean: number;
}

/**
 * Takes each head out by itself and measures how much the loss rises, in nats: for each head a run of the model
 * from its layer on.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param options - `value`, `patterns`, `from`, `heads`, `onLosses`, `signal`, `onProgress` (in heads).
 * @throws {@link InputError} as {@link ablatedLosses}, or when `from` leaves no prediction; the signal's reason when
 * aborted.
 * @category Head scores
 * @example
 * ```ts
 * import { headAblation, repeatedTokens } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 50, batch: 4, seed: 0, bos: 0 });
 * const { rise } = headAblation(model, tokens, { from: 51 });
 * const largest = [...rise.data].indexOf(Math.max(...rise.data));
 * console.log(String(rise), `L${Math.floor(largest / 8)}H${largest % 8}`);
 * // Tensor[layer=2 head=8] float64 L0H5
 * ```
 */
export function headAblation(model: Transformer, tokens: TokensLike, options: HeadAblationOptions = {}): HeadAblation {
  requireKind("model", model, "model", "headAblation", options, "from heads onLosses value patterns signal onProgress");
  const operation = "headAblation";
  const { from = 0, onLosses } = options;
  const { n_layers, n_heads } = model.config;
  const checked = requireAblation(model, tokens, options, operation);
  const [batch = 0, pos = 0] = checked.shape;
  const count = pos - 1;
  if (!Number.isSafeInteger(from) || from < 0 || from >= count) {
    throw new InputError(`from is ${from}, but there are ${count} predictions, counted from 0.`, {
      operation,
      argument: "from",
      expected: [0, count - 1],
      actual: from,
    });
  }
  const heads = options.heads === undefined ? model.heads : distinctHeads(model, options.heads, operation);
  const { value = "zero", patterns, signal } = options;
  const steps = new Steps(options, heads.length);
  const base = baseRun(model, checked, {
    signal,
    also: (name) => patterns === "kept" && name.endsWith("hook_pattern"),
  });
  const all = new Set(Array.from({ length: n_heads }, (_, head) => head));
  const sources = model.layers.map(({ layer }) => replaced(base.cache.get(`blocks.${layer}.attn.hook_z`), all, value));
  const variants = heads.map(({ layer, head }) => [
    { layer, site: "z" as const, source: sources[layer] as Tensor, heads: [head] },
  ]);
  // Who asks for the losses gets those of all predictions.
  const first = onLosses === undefined ? from : 0;
  const losses: Float32Array[] = [];
  const readout = new Readout(
    base,
    predictionLosses(checked, first, (found) => void losses.push(Float32Array.from(found))),
  );
  const meanOf = (rows: readonly Float32Array[]): number => {
    let sum = 0;
    for (const row of rows) for (let p = from - first; p < row.length; p++) sum += row[p] as number;
    return sum / (batch * (count - from));
  };
  const clean = meanOf(losses.splice(0));
  const rise = new Float64Array(n_layers * n_heads).fill(NaN);
  partialPass(base, variants, { reads: readout.reads, patterns, signal }, (rows, begin, some) => {
    readout.values(rows, some);
    for (const head of heads.slice(begin, begin + some)) {
      const own = losses.splice(0, batch);
      rise[head.layer * n_heads + head.head] = meanOf(own) - clean;
      const data = Float32Array.from(own.flatMap((row) => [...row]));
      onLosses?.(head, Tensor.from("batch pos", [batch, count], data));
      steps.advance();
    }
  });
  return { rise: Tensor.from("layer head", [n_layers, n_heads], rise), clean };
}

/** The losses of a prompt's predictions from one on, as a metric that shows them. */
function predictionLosses(tokens: Tensor<"batch pos">, from: number, onLosses: (losses: Float64Array) => void): Metric {
  const count = tokens.sizeOf("pos") - 1;
  const ids = rawData(tokens);
  const positions = [Array.from({ length: count - from }, (_, i) => from + i)];
  const targets = (prompt: number): number[] => {
    const start = prompt * (count + 1) + from + 1;
    return Array.from({ length: count - from }, (_, i) => ids[start + i] as number);
  };
  const shown = (losses: Float64Array): number => {
    onLosses(losses);
    return NaN;
  };
  return new RowMetric(
    "loss",
    { positions, tokens: "all" },
    {
      losses: { targets, value: shown },
      value: (rows, prompt) => shown(rowLosses(rows, targets(prompt))),
      writeGradient: () => undefined,
    },
  );
}

/** The tokens, checked; refuses what cannot be predicted or averaged. */
function requireAblation(
  model: Transformer,
  tokens: TokensLike,
  { value = "zero", patterns = "recomputed" }: AblationOptions,
  operation: string,
): Tensor<"batch pos"> {
  requireChoice(value, ["zero", "mean", "meanOverAll"], "value", operation);
  requireChoice(patterns, ["recomputed", "kept"], "patterns", operation);
  const checked = toTokenTensor(model.config, tokens, operation);
  const [batch = 0, pos = 0] = checked.shape;
  if (pos < 2) {
    throw new InputError("a prompt of one token has no next token to predict. Give more tokens.", {
      operation,
      argument: "tokens",
      expected: "at least 2 tokens",
      actual: pos,
    });
  }
  if (value === "mean" && batch === 1) {
    throw new InputError(
      'the mean over one prompt is that prompt itself, so nothing would change. Give several prompts, or value: "meanOverAll".',
      { operation, argument: "tokens", expected: "at least 2 prompts", actual: batch },
    );
  }
  return checked;
}

/** The run that everything is compared with. */
function cleanRun(model: Transformer, tokens: Tensor<"batch pos">, options: AblationOptions): PartialRun {
  const { patterns, signal } = options;
  return model.run(tokens, {
    cache: (name) => NEEDED.test(name) || (patterns === "kept" && name.endsWith("attn.hook_pattern")),
    unembed: "none",
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The layers before those heads are as the run had them, so it is gone on with from their outputs. */
function lossesWithout(
  model: Transformer,
  clean: PartialRun,
  heads: readonly HeadId[],
  { value = "zero", patterns = "recomputed", signal }: AblationOptions,
): Tensor<"batch pos"> {
  const first = Math.min(...heads.map(({ layer }) => layer));
  const layers = [...new Set(heads.map(({ layer }) => layer))];
  const ablated = layers.map((layer) => {
    const members = new Set(heads.filter((head) => head.layer === layer).map(({ head }) => head));
    return editAt(`blocks.${layer}.attn.hook_z`, (z) => replaced(z, members, value));
  });
  const held: Edits[] =
    patterns === "kept"
      ? model.layers.slice(first + 1).map(({ layer }) => {
          const name = `blocks.${layer}.attn.hook_pattern` as const;
          return editAt(name, () => clean.cache.get(name));
        })
      : [];
  const from = { run: clean, hook: `blocks.${first}.attn.hook_z` } as const;
  return runLosses(model, clean.tokens, { from, edits: combineEdits(...ablated, ...held), signal });
}

/** What a run is gone on with from. */
const NEEDED = /\.(hook_resid_pre|attn\.hook_z)$/;

type HeadOutputs = Tensor<"batch pos head d_head">;

/** z with some heads replaced by nothing or by a mean. */
function replaced(z: HeadOutputs, members: ReadonlySet<number>, value: "zero" | "mean" | "meanOverAll"): HeadOutputs {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = z.shape;
  const data = rawData(z).slice();
  const width = heads * d_head;
  for (const head of members) {
    for (let e = head * d_head; e < (head + 1) * d_head; e++) {
      const fill = (from: number, step: number): void => {
        let sum = 0;
        if (value !== "zero") for (let at = from; at < data.length; at += step) sum += data[at] as number;
        const mean = sum / Math.ceil((data.length - from) / step);
        for (let at = from; at < data.length; at += step) data[at] = mean;
      };
      if (value === "mean") for (let p = 0; p < pos; p++) fill(p * width + e, pos * width);
      else fill(e, width);
    }
  }
  return Tensor.from("batch pos head d_head", [batch, pos, heads, d_head], data);
}
