/** Refusals of arguments that several functions take. */
import { ConfigError, InputError, nameOf } from "../errors.ts";
import type { Transformer } from "./transformer.ts";

/** Refuses what is not a token id of the model. */
export function requireToken(
  model: Transformer,
  token: number,
  argument: string,
  operation: string,
  size = model.config.d_vocab,
): void {
  if (Number.isInteger(token) && token >= 0 && token < size) return;
  throw new InputError(`${argument} is ${nameOf(token)}; token ids of this model are 0 to ${size - 1}.`, {
    operation,
    argument,
    expected: [0, size - 1],
    actual: token,
  });
}

/** Refuses a count that is not a positive integer. */
export function requireCount(count: number, argument: string, operation: string): void {
  if (Number.isSafeInteger(count) && count > 0) return;
  throw new InputError(`${argument} is ${count}; ask for a positive whole number.`, {
    operation,
    argument,
    expected: "a positive integer",
    actual: count,
  });
}

/** Refuses what is not a share: above 0 and at most 1. */
export function requireShare(share: number, argument: string, operation: string): void {
  if (typeof share === "number" && share > 0 && share <= 1) return;
  throw new InputError(`${argument} is ${nameOf(share)}, not a number above 0 and at most 1.`, {
    operation,
    argument,
    expected: "(0, 1]",
    actual: share,
  });
}

/** Refuses what is no seed. */
export function requireSeed(seed: number, operation: string): void {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return;
  throw new InputError(`seed is ${nameOf(seed)}; give a whole number from 0 to 2^32 - 1.`, {
    operation,
    argument: "seed",
    expected: [0, 2 ** 32 - 1],
    actual: seed,
  });
}

/** Refuses a number that is none, or not finite. */
export function requireFinite(value: number, argument: string, operation: string): void {
  if (typeof value === "number" && Number.isFinite(value)) return;
  throw new InputError(`${argument} is ${nameOf(value)}, not a finite number.`, {
    operation,
    argument,
    expected: "a finite number",
    actual: value,
  });
}

/** A number of samples; refuses what is not a positive integer. */
export function checkSamples(samples: number, operation: string): number {
  if (Number.isSafeInteger(samples) && samples > 0) return samples;
  throw new InputError(`samples is ${samples}; draw a positive whole number of them.`, {
    operation,
    argument: "samples",
    expected: "a positive integer",
    actual: samples,
  });
}

/** Refuses what is not one of the choices. */
export function requireChoice(value: string, choices: readonly string[], argument: string, operation: string): void {
  if (choices.includes(value)) return;
  throw new InputError(`${argument} is ${nameOf(value)}; the choices are ${choices.join(", ")}.`, {
    operation,
    argument,
    expected: choices,
    actual: value,
  });
}

/** Refuses models whose output tokens are not their input tokens. */
export function requireSameTokens(model: Transformer, operation: string): void {
  const { d_vocab, d_vocab_out } = model.config;
  if (d_vocab === d_vocab_out) return;
  throw new ConfigError(
    `copying is asked of models whose output tokens are their input tokens; this one has d_vocab=${d_vocab} and d_vocab_out=${d_vocab_out}.`,
    { operation, argument: "model", expected: d_vocab, actual: d_vocab_out },
  );
}
