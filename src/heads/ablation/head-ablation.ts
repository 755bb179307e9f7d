/**
 * What the loss of a model becomes without a head, everything after it computed anew (ARENA 1.2, "Head
 * ablation"; *In-context Learning and Induction Heads*, "ablations").
 */
import { InputError, requireKind } from "../../errors.ts";
import { combineEdits, editAt, lossPerToken, toTokenTensor } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import type { Edits, HeadId, HeadRef, Run, TokensLike, Transformer } from "../../model/index.ts";
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
  const clean = cleanRun(model, tokens, options, "ablatedLosses");
  return heads.length === 0
    ? lossPerToken(clean.logits, clean.tokens)
    : lossesWithout(model, clean, distinctHeads(model, heads, "ablatedLosses"), options);
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
  const clean = cleanRun(model, tokens, options, operation);
  const count = clean.tokens.sizeOf("pos") - 1;
  if (!Number.isSafeInteger(from) || from < 0 || from >= count) {
    throw new InputError(`from is ${from}, but there are ${count} predictions, counted from 0.`, {
      operation,
      argument: "from",
      expected: [0, count - 1],
      actual: from,
    });
  }
  const heads = options.heads === undefined ? model.heads : distinctHeads(model, options.heads, operation);
  const steps = new Steps(options, heads.length);
  const meanFrom = (losses: Tensor<"batch pos">): number => {
    const data = rawData(losses);
    let sum = 0;
    for (let t = 0; t < data.length; t++) if (t % count >= from) sum += data[t] as number;
    return sum / ((data.length / count) * (count - from));
  };
  const before = meanFrom(lossPerToken(clean.logits, clean.tokens));
  const rise = new Float64Array(n_layers * n_heads).fill(NaN);
  for (const head of heads) {
    const losses = lossesWithout(model, clean, [head], options);
    onLosses?.(head, losses);
    rise[head.layer * n_heads + head.head] = meanFrom(losses) - before;
    steps.advance();
  }
  return { rise: Tensor.from("layer head", [n_layers, n_heads], rise), clean: before };
}

/** The run that everything is compared with; refuses what cannot be predicted or averaged. */
function cleanRun(model: Transformer, tokens: TokensLike, options: AblationOptions, operation: string): Run {
  const { value = "zero", patterns = "recomputed", signal } = options;
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
  return model.run(checked, {
    cache: (name) => NEEDED.test(name) || (patterns === "kept" && name.endsWith("attn.hook_pattern")),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The layers before those heads are as the run had them, so it is gone on with from their outputs. */
function lossesWithout(
  model: Transformer,
  clean: Run,
  heads: readonly HeadId[],
  { value = "zero", patterns = "recomputed", signal }: AblationOptions,
): Tensor<"batch pos"> {
  const first = Math.min(...heads.map(({ layer }) => layer));
  const layers = [...new Set(heads.map(({ layer }) => layer))];
  const silenced = layers.map((layer) => {
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
  const { logits } = model.run(clean.tokens, {
    from: { run: clean, hook: `blocks.${first}.attn.hook_z` },
    cache: [],
    edits: combineEdits(...silenced, ...held),
    ...(signal === undefined ? {} : { signal }),
  });
  return lossPerToken(logits, clean.tokens);
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
