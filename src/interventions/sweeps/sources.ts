/** What a sweep puts in the place of activations. */
import { InputError } from "../../errors.ts";
import type { HookName } from "../../model/index.ts";
import { siteHook, siteOfHook } from "../../model/internal.ts";
import type { BaseRun, PartialSite } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { drawnPrompts, textsOf } from "../drawn-prompts.ts";

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
  readonly #to: BaseRun;
  readonly #put: Replacement;
  /** The prompt of `from` that each prompt of the base run takes from. */
  readonly #prompts: readonly number[];
  readonly #made = new Map<string, Tensor>();

  constructor(from: BaseRun, put: Replacement, to: BaseRun, seed: number) {
    this.#from = from;
    this.#to = to;
    this.#put = put;
    const prompts = to.tokens.sizeOf("batch");
    this.#prompts = put === "resample" ? drawnFor(to, from, seed) : Array.from({ length: prompts }, (_, b) => b);
  }

  /** The activation to take from at a site. */
  at(layer: number, site: PartialSite): Tensor {
    return this.of(siteHook(layer, site));
  }

  /** The activation to take from at a hook. */
  of(name: HookName): Tensor {
    const made = this.#made.get(name) ?? this.#make(siteOfHook(name)?.site, this.#from.cache.get(name));
    this.#made.set(name, made);
    return made;
  }

  #make(site: PartialSite | undefined, given: Tensor): Tensor {
    const [batch = 0, rows = 0] = given.shape;
    const count = this.#prompts.length;
    const each = given.size / Math.max(1, batch);
    const shape = [count, ...given.shape.slice(1)];
    const from = rawData(given);
    if (this.#put === "copy" && given.isContiguous) return given;
    const out = new Float32Array(count * each);
    if (this.#put === "mean" || this.#put === "meanOverAll") {
      // Of what lies at the same place of every prompt, or of every position of every prompt; text alone.
      const period = this.#put === "mean" ? each : each / Math.max(1, rows);
      const visible = site === "pattern" || site === "attn_scores" ? undefined : this.#from.mask?.visible;
      const width = each / Math.max(1, rows);
      const sums = new Float64Array(period);
      const counts = new Float64Array(period);
      for (let i = 0; i < from.length; i++) {
        if (visible?.[Math.floor(i / width)] === 0) continue;
        sums[i % period] = (sums[i % period] as number) + (from[i] as number);
        counts[i % period] = (counts[i % period] as number) + 1;
      }
      for (let i = 0; i < out.length; i++)
        out[i] = (sums[i % period] as number) / Math.max(1, counts[i % period] as number);
    } else if (this.#put === "zero") {
      // Keys that a query does not see stay unseen.
      if (site === "attn_scores") this.#hideUnseen(out);
    } else {
      for (const [b, prompt] of this.#prompts.entries()) {
        out.set(from.subarray(prompt * each, (prompt + 1) * each), b * each);
      }
    }
    return Tensor.from(given.axes, shape, out);
  }

  /** Scores of keys that a query does not see. */
  #hideUnseen(scores: Float32Array): void {
    const { model, tokens, mask } = this.#to;
    const pos = tokens.sizeOf("pos");
    const isCausal = model.config.attention_dir === "causal";
    const each = scores.length / tokens.sizeOf("batch");
    for (let i = 0; i < scores.length; i++) {
      const [query, key] = [Math.floor(i / pos) % pos, i % pos];
      const isPadding = mask?.visible[Math.floor(i / each) * pos + key] === 0;
      if (isPadding || (isCausal && key > query)) scores[i] = -Infinity;
    }
  }
}

/** Prompts, and what of them is padding. */
type Prompts = Pick<BaseRun, "tokens" | "mask">;

/** Another prompt for each, of those whose text lies at the same positions; -1 where there is none. */
function drawnFor(to: Prompts, from: Prompts, seed: number): number[] {
  return drawnPrompts(seed, textsOfPrompts(to), from === to ? undefined : textsOfPrompts(from));
}

const textsOfPrompts = ({ tokens, mask }: Prompts): string[] =>
  textsOf(mask, tokens.sizeOf("batch"), tokens.sizeOf("pos"));

const OF_PAIRS: readonly PartialSite[] = ["pattern", "attn_scores"];

/** Refuses what would change nothing, or has no meaning. */
export function requireReplacement(
  put: Replacement,
  { to, from, sites }: { readonly to: Prompts; readonly from: Prompts; readonly sites: readonly PartialSite[] },
  operation: string,
): void {
  const refuse = (message: string): never => {
    throw new InputError(message, { operation, argument: "put", expected: REPLACEMENTS, actual: put });
  };
  const isOwn = from === to;
  const [prompts, others] = [to, from].map(({ tokens }) => tokens.sizeOf("batch")) as [number, number];
  if (put === "copy" && isOwn) refuse('there is nothing to copy from. Give corrupted prompts too, or put: "zero".');
  if (put === "copy" && prompts !== others) {
    refuse(`activations of ${others} prompts cannot be copied into ${prompts}, one into each. Give as many of both.`);
  }
  if (isOwn && prompts < 2 && (put === "mean" || put === "resample")) {
    refuse(
      `one prompt has no others to take a ${put === "mean" ? "mean over" : "sample of"}, so nothing would change. Give several prompts, or put: "meanOverAll" or "zero".`,
    );
  }
  const isOfPairs = sites.some((site) => OF_PAIRS.includes(site));
  if (put === "meanOverAll" && isOfPairs) {
    refuse("patterns and scores of different positions see different keys, and have no mean over positions.");
  }
  requireSameText(put, to, from, isOfPairs, refuse);
}

/** Refuses to put activations of padding where there is text. */
function requireSameText(
  put: Replacement,
  to: Prompts,
  from: Prompts,
  isOfPairs: boolean,
  refuse: (message: string) => never,
): void {
  if (to.mask === undefined && from.mask === undefined) return;
  const [own, theirs] = [textsOfPrompts(to), textsOfPrompts(from)];
  if (put === "copy") {
    const b = own.findIndex((text, i) => text !== theirs[i]);
    if (b >= 0) {
      refuse(
        `the text of prompt ${b} lies at other positions in the run that activations come from. Give both texts of one length, padded alike.`,
      );
    }
  }
  if (put === "resample") {
    const b = drawnFor(to, from, 0).indexOf(-1);
    if (b >= 0) {
      refuse(
        `no other prompt has its text at the positions of prompt ${b}. Give several of each length, or put: "mean" or "zero".`,
      );
    }
  }
  if (put === "mean" && isOfPairs && new Set([...own, ...theirs]).size > 1) {
    refuse("the prompts have padding at different positions, so that a mean pattern would look at padding of some.");
  }
  if (put === "mean") {
    const isCovered = (p: number): boolean => theirs.some((text) => text[p] === "1");
    const p = [...(own[0] ?? "")].findIndex((_, at) => own.some((text) => text[at] === "1") && !isCovered(at));
    if (p >= 0) refuse(`position ${p} is padding in all prompts that the mean is of. Give longer ones.`);
  }
}
