/** What a sweep puts in the place of activations. */
import { InputError } from "../../errors.ts";
import { siteHook } from "../../model/internal.ts";
import type { BaseRun, PartialSite } from "../../model/internal.ts";
import { Random, Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";

/**
 * What a sweep puts in the place of an activation: that of the other run of the same prompt, nothing, the mean over
 * prompts at each position, the mean over prompts and positions, or that of another prompt.
 * @category Interventions
 */
export type Replacement = "copy" | "zero" | "mean" | "meanOverAll" | "resample";

export const REPLACEMENTS: readonly Replacement[] = ["copy", "zero", "mean", "meanOverAll", "resample"];

/** Makes whole activations to take from, each once. */
export class Sources {
  readonly #from: BaseRun;
  readonly #put: Replacement;
  /** The prompt of `from` that each prompt of the base run takes from. */
  readonly #prompts: readonly number[];
  readonly #made = new Map<string, Tensor>();

  constructor(from: BaseRun, put: Replacement, prompts: number, seed: number, isOwn: boolean) {
    this.#from = from;
    this.#put = put;
    const others = from.tokens.sizeOf("batch");
    this.#prompts =
      put === "resample" ? drawn(prompts, others, seed, isOwn) : Array.from({ length: prompts }, (_, b) => b);
  }

  /** The activation to take from at a site. */
  at(layer: number, site: PartialSite): Tensor {
    const key = `${layer}.${site}`;
    const made = this.#made.get(key) ?? this.#make(site, this.#from.cache.get(siteHook(layer, site)));
    this.#made.set(key, made);
    return made;
  }

  #make(site: PartialSite, given: Tensor): Tensor {
    const [batch = 0, rows = 0] = given.shape;
    const count = this.#prompts.length;
    const each = given.size / Math.max(1, batch);
    const shape = [count, ...given.shape.slice(1)];
    const from = rawData(given);
    if (this.#put === "copy" && given.isContiguous) return given;
    const out = new Float32Array(count * each);
    if (this.#put === "mean" || this.#put === "meanOverAll") {
      // Of what lies at the same place of every prompt, or of every position of every prompt.
      const period = this.#put === "mean" ? each : each / Math.max(1, rows);
      const sums = new Float64Array(period);
      for (let i = 0; i < from.length; i++) sums[i % period] = (sums[i % period] as number) + (from[i] as number);
      for (let i = 0; i < out.length; i++) out[i] = ((sums[i % period] as number) * period) / from.length;
    } else if (this.#put === "zero") {
      // Keys that a query does not see stay unseen.
      if (site === "attn_scores") for (let i = 0; i < out.length; i++) out[i] = from[i] === -Infinity ? -Infinity : 0;
    } else {
      for (const [b, prompt] of this.#prompts.entries()) {
        out.set(from.subarray(prompt * each, (prompt + 1) * each), b * each);
      }
    }
    return Tensor.from(given.axes, shape, out);
  }
}

/** Another prompt for each: around a random circle of one's own, or any of others. */
function drawn(prompts: number, others: number, seed: number, isOwn: boolean): number[] {
  const random = new Random(seed);
  if (!isOwn) return Array.from({ length: prompts }, () => random.int(others));
  const circle = Array.from({ length: prompts }, (_, b) => b);
  for (let i = prompts - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [circle[i], circle[j]] = [circle[j] as number, circle[i] as number];
  }
  const out = new Array<number>(prompts);
  for (const [i, b] of circle.entries()) out[b] = circle[(i + 1) % prompts] as number;
  return out;
}

/** Refuses what would change nothing, or has no meaning. */
export function requireReplacement(
  put: Replacement,
  {
    prompts,
    others,
    isOwn,
    sites,
  }: {
    readonly prompts: number;
    readonly others: number;
    readonly isOwn: boolean;
    readonly sites: readonly PartialSite[];
  },
  operation: string,
): void {
  const refuse = (message: string): never => {
    throw new InputError(message, { operation, argument: "put", expected: REPLACEMENTS, actual: put });
  };
  if (put === "copy" && isOwn) refuse('there is nothing to copy from. Give corrupted prompts too, or put: "zero".');
  if (put === "copy" && prompts !== others) {
    refuse(`activations of ${others} prompts cannot be copied into ${prompts}, one into each. Give as many of both.`);
  }
  if (isOwn && prompts < 2 && (put === "mean" || put === "resample")) {
    refuse(
      `one prompt has no others to take a ${put === "mean" ? "mean over" : "sample of"}, so nothing would change. Give several prompts, or put: "meanOverAll" or "zero".`,
    );
  }
  if (put === "meanOverAll" && sites.some((site) => site === "pattern" || site === "attn_scores")) {
    refuse("patterns and scores of different positions see different keys, and have no mean over positions.");
  }
}
