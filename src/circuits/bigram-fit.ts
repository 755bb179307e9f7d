/**
 * How near the direct path is to a text's bigram statistics (*A Mathematical Framework for Transformer Circuits*,
 * "Zero-layer transformers").
 *
 * Without heads a model is one table, $W_E W_U$, and the table of least loss is $\ln p(b \mid a) + c_a$. In deeper
 * models the direct path is free to hold only what heads leave over.
 */
import { InputError, requireKind } from "../errors.ts";
import type { Transformer } from "../model/index.ts";
import { add, gather, matmul, Tensor } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";
import type { TensorData } from "../tensor/index.ts";
import { requireToken } from "../model/internal.ts";
import { Steps } from "../progress.ts";
import type { ProgressOptions } from "../progress.ts";

/**
 * Options of {@link bigramFit}.
 * @category Circuits
 */
export interface BigramFitOptions extends ProgressOptions {
  /**
   * How many pairs each context is taken to have been seen with beside those counted; 1 by default, 0 for bare counts.
   * They are spread as next tokens are overall, each of the vocabulary counted once more so that none has no share.
   */
  readonly smoothing?: number | undefined;
}

/**
 * The direct path against the bigrams of a text, in nats.
 * @category Circuits
 */
export interface BigramFit {
  /** How many pairs of neighbouring tokens were counted. */
  readonly pairs: number;
  /** The tokens that something follows, in ascending order. */
  readonly contexts: Int32Array;
  /** How often each context was seen. */
  readonly counts: Float64Array;
  /** $\mathrm{KL}\bigl(p(\cdot \mid a) \,\|\, \mathrm{softmax}(B_a)\bigr)$ of each context. */
  readonly divergence: Float64Array;
  /** The direct path's mean loss on the bigrams: the cross entropy, contexts weighted by how often they occur. */
  readonly loss: number;
  /** The least that a prediction from the token alone can lose, $H(\text{next} \mid \text{current})$. */
  readonly entropy: number;
  /** The mean divergence, contexts weighted; `loss` minus `entropy`. */
  readonly meanDivergence: number;
  /** What predicting each token as often as it occurs loses, whatever came before: the entropy of next tokens. */
  readonly unigramLoss: number;
}

/** Logits that are held at once. */
const MOST_LOGITS = 2 ** 22;

/**
 * Compares what the direct path predicts after each token with what follows that token in a text: the Kullback–Leibler
 * divergence of $\mathrm{softmax}(W_E[a] W_U + b_U)$ from the text's $p(b \mid a)$, for every token $a$ that occurs.
 *
 * The direct path is read as a model without layers would read it: the embedding through the final norm, its own scale
 * taken, and $b_U$; positions, which no bigram knows, are left out. Memory is linear in the text and in the vocabulary;
 * no table of size d_vocab x d_vocab is made. Logits are float32 where the weights are, sums over them float64.
 *
 * @param texts - token ids of one text, or of several; pairs are counted within a text.
 * @param options - `smoothing`, `signal`, `onProgress` (in contexts).
 * @throws {@link InputError} when `texts` are no lists, no text has two tokens, an id is no token of the model, or
 * `smoothing` is negative or not finite; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { bigramFit } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const fit = bigramFit(model, tokenizer.encode("interface Array<T> { readonly length: number; }"), { smoothing: 0 });
 * console.log(fit.pairs, Math.abs(fit.loss - fit.entropy - fit.meanDivergence) < 1e-9);
 * // 12 true
 * ```
 */
export function bigramFit(
  model: Transformer,
  texts: readonly number[] | readonly (readonly number[])[],
  options: BigramFitOptions = {},
): BigramFit {
  requireKind("model", model, "model", "bigramFit", options, "smoothing signal onProgress");
  const operation = "bigramFit";
  const { smoothing: pairs = 1 } = options;
  const smoothing = checkSmoothing(pairs, operation);
  const { d_vocab, d_vocab_out } = model.config;
  const counts = countBigrams(toTexts(texts), (id) => {
    requireToken(model, id, "a token", operation, Math.min(d_vocab, d_vocab_out));
  });
  if (counts.pairs === 0) {
    throw new InputError("no text has two tokens, so there is no bigram. Give more tokens.", {
      operation,
      argument: "texts",
      expected: "at least 2 tokens",
    });
  }
  const spread = smoothed(counts, smoothing, d_vocab_out);
  const { ids, totals } = counts;
  const steps = new Steps(options, ids.length);
  const band = Math.max(1, Math.floor(MOST_LOGITS / d_vocab_out));
  const divergence = new Float64Array(ids.length);
  let [loss, entropy] = [0, 0];
  for (let from = 0; from < ids.length; from += band) {
    const some = ids.subarray(from, from + band);
    const logits = directLogits(model, some);
    for (let r = 0; r < some.length; r++) {
      const row = logits.subarray(r * d_vocab_out, (r + 1) * d_vocab_out);
      const [own, cross] = entropies(row, counts.context(from + r), spread);
      const weight = (totals[from + r] as number) / counts.pairs;
      divergence[from + r] = cross - own;
      loss += weight * cross;
      entropy += weight * own;
      steps.advance();
    }
  }
  return {
    pairs: counts.pairs,
    contexts: ids,
    counts: totals,
    divergence,
    loss,
    entropy,
    meanDivergence: loss - entropy,
    unigramLoss: unigramEntropy(counts),
  };
}

function toTexts(texts: readonly number[] | readonly (readonly number[])[]): readonly (readonly number[])[] {
  const all: unknown = isIds(texts) && typeof texts[0] === "number" ? [texts] : texts;
  if (Array.isArray(all) && all.every(isIds)) return all;
  throw new InputError(
    "texts are no lists of token ids. Give the ids of one text or a list of texts; of a tensor, its toNested().",
    { operation: "bigramFit", argument: "texts", expected: "a list of token ids, or a list of such lists" },
  );
}

/** Whether a value from an untyped caller is a list that may hold ids, which are checked one by one. */
function isIds(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) || value instanceof Int32Array || value instanceof Uint16Array || value instanceof Uint32Array
  );
}

function checkSmoothing(smoothing: number, operation: string): number {
  if (Number.isFinite(smoothing) && smoothing >= 0) return smoothing;
  throw new InputError(`smoothing is ${smoothing}; it is a number of pairs, 0 or more.`, {
    operation,
    argument: "smoothing",
    expected: "at least 0",
    actual: smoothing,
  });
}

/** $W_E[a]$ through the final norm and $W_U$, with $b_U$: `[contexts, d_vocab_out]` flat. */
function directLogits(model: Transformer, ids: Int32Array): TensorData {
  const rows = gather(model.weight("embed.W_E") as Tensor<"d_vocab d_model">, "d_vocab", ids);
  const stream = Tensor.from("batch pos d_model", [1, ids.length, model.config.d_model], rawData(rows));
  const norm = model.ln_final;
  const read = norm === undefined ? stream : norm.apply(stream);
  return rawData(add(matmul(read, model.weight("unembed.W_U") as Tensor<"d_model d_vocab">), model.b_U));
}

/** The share of smoothing in every row: its mass over tokens, and the sum of $m \ln m$. */
interface Spread {
  readonly mass: Float64Array;
  readonly total: number;
  readonly sumMassLog: number;
}

function smoothed(counts: BigramCounts, smoothing: number, d_vocab: number): Spread {
  const mass = new Float64Array(d_vocab);
  if (smoothing === 0) return { mass, total: 0, sumMassLog: 0 };
  let sumMassLog = 0;
  for (let b = 0; b < d_vocab; b++) {
    // One is added to every count, so that no token's share is zero.
    const share = ((counts.next.get(b) ?? 0) + 1) / (counts.pairs + d_vocab);
    const m = smoothing * share;
    mass[b] = m;
    sumMassLog += m * Math.log(m);
  }
  return { mass, total: smoothing, sumMassLog };
}

/**
 * The entropy of a context's smoothed next tokens and their cross entropy under the softmax of its logits. With weights
 * $w_b = n_b + m_b$ that sum to $W$, these are $\ln W - \sum w \ln w / W$ and $\ln \sum e^{l} - \sum w\, l / W$; only
 * tokens seen differ from the spread's sums.
 */
function entropies(
  logits: ArrayLike<number>,
  context: ContextCounts,
  { mass, total, sumMassLog }: Spread,
): [own: number, cross: number] {
  let largest = -Infinity;
  for (let b = 0; b < logits.length; b++) largest = Math.max(largest, logits[b] as number);
  let [partition, weighted] = [0, 0];
  for (let b = 0; b < logits.length; b++) {
    partition += Math.exp((logits[b] as number) - largest);
    weighted += (mass[b] as number) * (logits[b] as number);
  }
  let sumLog = sumMassLog;
  for (let t = 0; t < context.next.length; t++) {
    const b = context.next[t] as number;
    const [n, m] = [context.counts[t] as number, mass[b] as number];
    weighted += n * (logits[b] as number);
    sumLog += (n + m) * Math.log(n + m) - (m === 0 ? 0 : m * Math.log(m));
  }
  const whole = context.total + total;
  return [Math.log(whole) - sumLog / whole, largest + Math.log(partition) - weighted / whole];
}

function unigramEntropy({ next, pairs }: BigramCounts): number {
  let entropy = 0;
  for (const n of next.values()) entropy -= (n / pairs) * Math.log(n / pairs);
  return entropy;
}

/** What followed one token. */
interface ContextCounts {
  readonly next: Int32Array;
  readonly counts: Float64Array;
  readonly total: number;
}

/** The pairs of a text. */
interface BigramCounts {
  readonly pairs: number;
  /** Tokens that something follows, ascending. */
  readonly ids: Int32Array;
  /** How often each of them does. */
  readonly totals: Float64Array;
  /** How often each token follows another. */
  readonly next: ReadonlyMap<number, number>;
  /** What followed the i-th of `ids`. */
  context(i: number): ContextCounts;
}

/** Counts the pairs within each text; `check` sees every token. */
function countBigrams(texts: readonly (readonly number[])[], check: (id: number) => void): BigramCounts {
  const pairs = texts.reduce((n, text) => n + Math.max(0, text.length - 1), 0);
  // Ids are below 2^26, so that a pair is a whole number below 2^52, exact in float64; sorting brings equal pairs
  // together.
  const keys = new Float64Array(pairs);
  const next = new Map<number, number>();
  let at = 0;
  for (const text of texts) {
    for (const id of text) check(id);
    for (let i = 1; i < text.length; i++) {
      const b = text[i] as number;
      keys[at++] = (text[i - 1] as number) * PAIR + b;
      next.set(b, (next.get(b) ?? 0) + 1);
    }
  }
  keys.sort();
  const [first, second, counts]: [number[], number[], number[]] = [[], [], []];
  for (const [i, key] of keys.entries()) {
    if (i === 0 || key !== keys[i - 1]) {
      first.push(Math.floor(key / PAIR));
      second.push(key % PAIR);
      counts.push(0);
    }
    counts[counts.length - 1] = (counts[counts.length - 1] as number) + 1;
  }
  const starts = first.flatMap((a, i) => (i === 0 || a !== first[i - 1] ? [i] : []));
  const ends = [...starts.slice(1), first.length];
  const [nextIds, countOf] = [Int32Array.from(second), Float64Array.from(counts)];
  const totals = Float64Array.from(starts, (from, i) => countOf.subarray(from, ends[i]).reduce((a, b) => a + b, 0));
  return {
    pairs,
    ids: Int32Array.from(starts, (from) => first[from] as number),
    totals,
    next,
    context: (i) => ({
      next: nextIds.subarray(starts[i], ends[i]),
      counts: countOf.subarray(starts[i], ends[i]),
      total: totals[i] as number,
    }),
  };
}

const PAIR = 2 ** 26;
