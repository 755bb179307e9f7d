/**
 * Term importance as a table with errors: gains by order of paths, by layer and by head, each with its spread over
 * texts (*A Mathematical Framework for Transformer Circuits*, "Term importance analysis"). Patterns, norm scales and
 * MLP outputs are frozen. The direct path is the embedding and the MLP outputs together, and a single-head path begins
 * in any of them that the head can read.
 */
import { headLabel } from "../../model/index.ts";
import { checkSamples } from "../../model/internal.ts";
import type { Run, TokensLike, Transformer } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { add, Random } from "../../tensor/index.ts";
import { finalConstants } from "../frozen/frozen-layers.ts";
import { frozenOf } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { headGains, layerGains, lossesOfPaths, minus } from "./gains.ts";
import { streamsByOrder } from "../frozen/order-streams.ts";
import { requireNextTokens } from "../logits/orders.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Options of {@link termImportance}.
 * @category Path expansion
 */
export interface TermImportanceOptions extends ProgressOptions {
  /** How often the texts are drawn anew for the errors; 1,000 by default. */
  readonly resamples?: number | undefined;
  /** The seed of the draws; 0 by default. */
  readonly seed?: number | undefined;
  /** Whether every layer has its two lines; true by default. */
  readonly layers?: boolean | undefined;
  /** Whether every head has its two lines; true by default. */
  readonly heads?: boolean | undefined;
}

/**
 * What some terms are worth.
 * @category Path expansion
 */
export interface TermImportanceRow {
  /** `order 1`, `L1`, `L1H4`. */
  readonly terms: string;
  /** What they are added to or removed from: `uniform`, `orders below`, `direct`, `direct and other layers`, `full`. */
  readonly relativeTo: string;
  /**
   * By how much they lower the mean loss, in nats; of terms removed from the full model, by how much that raises it.
   */
  readonly gain: number;
  /** The bootstrap's standard error of the gain over texts; NaN for one text. */
  readonly error: number;
  /** The bounds between which 95 % of the resampled gains lie; NaN for one text. */
  readonly interval: readonly [low: number, high: number];
}

/**
 * The Framework's table of term importance with its split by layer, and both ends of every head, each gain with a
 * bootstrap error: prompts are drawn with replacement, and the spread of the mean gain over the draws is its error.
 * Prompts are the unit, since losses within a text go together.
 *
 * @param tokens - several prompts of equal length, of at least two tokens; one prompt has no error.
 * @param options - `resamples`, `seed`, `layers`, `heads`, `signal`, `onProgress` (in lines worked out).
 * @throws {@link InputError} when `resamples` or `seed` is unusable, for tokens the model cannot run or predict; the
 * signal's reason when aborted.
 * @category Path expansion
 * @example
 * ```ts
 * import { repeatedTokens, termImportance } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, batch: 8, seed: 1, bos: 0 });
 * const rows = termImportance(model, tokens, { heads: false, resamples: 200 });
 * console.log(rows.map(({ terms, relativeTo }) => `${terms} (${relativeTo})`).join(", "));
 * // order 0 (uniform), order 1 (orders below), order 2 (orders below), L0 (direct), L0 (direct and other layers), L1 (direct), L1 (direct and other layers)
 * console.log(rows.every(({ error, interval: [low, high] }) => error > 0 && low < high));
 * // true
 * ```
 */
export function termImportance(
  model: Transformer,
  tokens: TokensLike,
  options?: TermImportanceOptions,
): TermImportanceRow[];
/** As above, of a run that was made before, edits and all. */
export function termImportance(run: Run, options?: TermImportanceOptions): TermImportanceRow[];
export function termImportance(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | TermImportanceOptions,
  given?: TermImportanceOptions,
): TermImportanceRow[] {
  const operation = "termImportance";
  const { frozen, options } = frozenOf(
    subject,
    tokensOrOptions,
    given,
    operation,
    "resamples seed layers heads signal onProgress",
  );
  const { model } = frozen;
  const { resamples = 1000, seed = 0, layers = true, heads = true } = options;
  const draws = checkSamples(resamples, operation);
  const random = new Random(seed);
  requireNextTokens(frozen, operation);
  const batch = frozen.run.tokens.sizeOf("batch");
  // The same draws for every line, so that errors compare.
  const drawn = Array.from({ length: draws }, () =>
    Array.from({ length: batch }, () => Math.floor(random.uniform() * batch)),
  );
  const { n_layers, n_heads } = model.config;
  const count = n_layers + 1 + (layers ? 2 * n_layers : 0) + (heads ? 2 * n_layers * n_heads : 0);
  const steps = new Steps(options, count);
  const rows: TermImportanceRow[] = [];
  const push = (terms: string, relativeTo: string, gains: Float64Array): void => {
    rows.push({ terms, relativeTo, ...spreadOf(gains, drawn) });
    steps.advance();
  };
  orderRows(frozen, push);
  if (layers) {
    layerGains(frozen, (layer, alone, last) => {
      push(`L${layer}`, "direct", alone);
      push(`L${layer}`, "direct and other layers", last);
    });
  }
  if (heads) {
    headGains(frozen, (head, added, removed) => {
      push(headLabel(head), "direct", added);
      push(headLabel(head), "full", removed);
    });
  }
  return shownAs(rows, importanceShowing);
}

function importanceShowing(lines: readonly TermImportanceRow[]): Showing {
  const rows = lines.map(({ terms, relativeTo, gain, error }) => [terms, relativeTo, gain, error]);
  const columns = ["terms", "relative to", "gain in nats", "error"];
  return { title: `TermImportance: ${rows.length} rows`, parts: () => [{ kind: "rows", columns, rows }] };
}

/** Takes a line: terms, what they are relative to, and the gain on every prompt. */
type Push = (terms: string, relativeTo: string, gains: Float64Array) => void;

function orderRows(frozen: FrozenRun, push: Push): void {
  const bias = finalConstants(frozen);
  const uniform = new Float64Array(frozen.run.tokens.sizeOf("batch")).fill(Math.log(frozen.model.config.d_vocab_out));
  let before: Float64Array = uniform;
  let kept: Stream | undefined;
  for (const [order, stream] of streamsByOrder(frozen).entries()) {
    kept = kept === undefined ? stream : add(kept, stream);
    const losses = lossesOfPaths(frozen, kept, bias);
    push(`order ${order}`, order === 0 ? "uniform" : "orders below", minus(before, losses));
    before = losses;
  }
}

/** The mean of the gains, and its spread over draws of prompts. */
function spreadOf(
  gains: Float64Array,
  drawn: readonly (readonly number[])[],
): Pick<TermImportanceRow, "gain" | "error" | "interval"> {
  const gain = gains.reduce((a, b) => a + b, 0) / gains.length;
  if (gains.length < 2) return { gain, error: NaN, interval: [NaN, NaN] };
  const means = Float64Array.from(
    drawn,
    (places) => places.reduce((s, b) => s + (gains[b] as number), 0) / places.length,
  );
  means.sort();
  const center = means.reduce((a, b) => a + b, 0) / means.length;
  const squares = means.reduce((s, x) => s + (x - center) ** 2, 0);
  const at = (share: number): number => means[Math.min(means.length - 1, Math.floor(share * means.length))] as number;
  return { gain, error: Math.sqrt(squares / Math.max(1, means.length - 1)), interval: [at(0.025), at(0.975)] };
}
