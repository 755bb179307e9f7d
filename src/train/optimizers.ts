/**
 * Optimizers as values: what they are called and their settings, as they are kept in a file. `updates.ts` computes.
 *
 * Names, defaults and arithmetic are torch's: $m \leftarrow \beta_1 m + (1 - \beta_1) g$,
 * $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$,
 * $\theta \leftarrow \theta - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$ with
 * $\hat m = m / (1 - \beta_1^t)$, $\hat v = v / (1 - \beta_2^t)$.
 * Source: "Adam: A Method for Stochastic Optimization" (2014), "Decoupled Weight Decay Regularization" (2017).
 */
import { InputError, nameOf, requireOptions } from "../errors.ts";
import { checkDecays } from "./parameter-kind.ts";
import type { Decays } from "./parameter-kind.ts";

/**
 * Adam, with weight decay that is a part of the gradient (`"adam"`) or apart from it (`"adamw"`).
 * @category Training
 */
export interface AdamOptimizer {
  readonly kind: "adam" | "adamw";
  /** The rate, before its schedule. */
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  readonly decays: Decays;
}

/**
 * Gradient descent.
 * @category Training
 */
export interface SgdOptimizer {
  readonly kind: "sgd";
  /** The rate, before its schedule. */
  readonly lr: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
  readonly decays: Decays;
}

/**
 * An optimizer with its settings: what {@link adamW}, {@link adam} and {@link sgd} give.
 * @category Training
 */
export type Optimizer = AdamOptimizer | SgdOptimizer;

/**
 * Settings of {@link adamW} and {@link adam}.
 * @category Training
 */
export interface AdamOptions {
  /** The rate, which a schedule multiplies; 0.001 unless given. */
  readonly lr?: number | undefined;
  /** How much of the means of gradients and of their squares is kept in a step; [0.9, 0.999] unless given. */
  readonly betas?: readonly [number, number] | undefined;
  /** Added to the root of the mean square; 1e-8 unless given. */
  readonly eps?: number | undefined;
  /** 0.01 for `adamW` and 0 for `adam` unless given. */
  readonly weightDecay?: number | undefined;
  /** Which weights decay; all unless given, as in torch. */
  readonly decays?: Decays | undefined;
}

/**
 * Settings of {@link sgd}.
 * @category Training
 */
export interface SgdOptions {
  /** The rate, which a schedule multiplies; 0.001 unless given. */
  readonly lr?: number | undefined;
  /** How much of the last update is kept; 0 unless given. */
  readonly momentum?: number | undefined;
  /** Whether the gradient is taken as if the momentum had acted already; false unless given. */
  readonly nesterov?: boolean | undefined;
  /** Added to the gradient, times the weight; 0 unless given. */
  readonly weightDecay?: number | undefined;
  /** Which weights decay; all unless given, as in torch. */
  readonly decays?: Decays | undefined;
}

/**
 * AdamW as torch's: weights decay by `lr * weightDecay` of themselves at each step, apart from the gradient.
 *
 * @throws {@link InputError} for settings that are not finite or out of range.
 * @category Training
 * @example
 * ```ts
 * import { adamW } from "transformer-circuits/train";
 *
 * const { kind, lr, betas, weightDecay, decays } = adamW({ lr: 3e-4, decays: "matrices" });
 * console.log(kind, lr, betas, weightDecay, decays);
 * // adamw 0.0003 [ 0.9, 0.999 ] 0.01 matrices
 * ```
 */
export function adamW(options: AdamOptions = {}): AdamOptimizer {
  return adamOf("adamw", options, "adamW", 0.01);
}

/**
 * Adam as torch's: weight decay, where there is some, is added to the gradient.
 *
 * @throws {@link InputError} for settings that are not finite or out of range.
 * @category Training
 * @example
 * ```ts
 * import { adam } from "transformer-circuits/train";
 *
 * console.log(adam({ lr: 0.002 }).lr, adam().weightDecay);
 * // 0.002 0
 * ```
 */
export function adam(options: AdamOptions = {}): AdamOptimizer {
  return adamOf("adam", options, "adam", 0);
}

/**
 * Stochastic gradient descent as torch's, with momentum and Nesterov's momentum: $b \leftarrow \mu b + g$,
 * $\theta \leftarrow \theta - \eta\, b$.
 *
 * @throws {@link InputError} for settings that are not finite or out of range, and for `nesterov` without momentum.
 * @category Training
 * @example
 * ```ts
 * import { sgd } from "transformer-circuits/train";
 *
 * const { lr, momentum, nesterov } = sgd({ lr: 0.1, momentum: 0.9, nesterov: true });
 * console.log(lr, momentum, nesterov);
 * // 0.1 0.9 true
 * ```
 */
export function sgd(options: SgdOptions = {}): SgdOptimizer {
  const operation = "sgd";
  requireOptions(options, operation, "lr momentum nesterov weightDecay decays");
  const { lr = 1e-3, momentum = 0, nesterov = false, weightDecay = 0, decays = "all" } = options;
  for (const [name, value] of Object.entries({ lr, momentum, weightDecay })) requireAtLeast0(value, name, operation);
  if (typeof nesterov !== "boolean" || (nesterov && momentum === 0)) {
    throw new InputError(`nesterov is ${nameOf(nesterov)} and momentum ${momentum}. Nesterov's way needs momentum.`, {
      operation,
      argument: "nesterov",
      expected: "true or false, and momentum above 0 where true",
      actual: nesterov,
    });
  }
  return Object.freeze({ kind: "sgd", lr, momentum, nesterov, weightDecay, decays: checkDecays(decays, operation) });
}

function adamOf(kind: AdamOptimizer["kind"], options: AdamOptions, operation: string, usual: number): AdamOptimizer {
  requireOptions(options, operation, "lr betas eps weightDecay decays");
  const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = usual, decays = "all" } = options;
  for (const [name, value] of Object.entries({ lr, eps, weightDecay })) requireAtLeast0(value, name, operation);
  const given: unknown = betas;
  const isPair = Array.isArray(given) && given.length === 2;
  if (!isPair || !given.every((beta) => typeof beta === "number" && beta >= 0 && beta < 1)) {
    throw new InputError(
      `betas is ${isPair ? `[${given.join(", ")}]` : nameOf(given)}; give two numbers of at least 0 and below 1.`,
      { operation, argument: "betas", expected: "two numbers in [0, 1)", actual: given },
    );
  }
  const both = Object.freeze([betas[0], betas[1]] as const);
  return Object.freeze({ kind, lr, betas: both, eps, weightDecay, decays: checkDecays(decays, operation) });
}

/** Refuses what is no finite number of at least 0. */
export function requireAtLeast0(value: unknown, argument: string, operation: string): void {
  if (typeof value === "number" && value >= 0 && value < Infinity) return;
  throw new InputError(`${argument} is ${nameOf(value)}; give a finite number of at least 0.`, {
    operation,
    argument,
    expected: "a finite number of at least 0",
    actual: value,
  });
}

const MAKERS: Readonly<Record<Optimizer["kind"], (options: object) => Optimizer>> = { adamw: adamW, adam, sgd };

/** All of them. */
export const OPTIMIZER_KINDS = Object.keys(MAKERS) as readonly Optimizer["kind"][];

/** Any optimizer, checked: what an untyped caller or a file gave. */
export function checkOptimizer(given: unknown, operation: string): Optimizer {
  const kind = typeof given === "object" && given !== null && "kind" in given ? given.kind : undefined;
  const found = OPTIMIZER_KINDS.find((one) => one === kind);
  if (found !== undefined) return MAKERS[found](withoutKind(given as Optimizer));
  throw new InputError(`optimizer is ${nameOf(given)}. Make one with adamW({ lr }), adam or sgd.`, {
    operation,
    argument: "optimizer",
    expected: "an optimizer",
    actual: given,
  });
}

/** The settings of an optimizer or a schedule, as its maker takes them. */
export function withoutKind(given: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name !== "kind"));
}

/** What an optimizer keeps for each weight, under torch's names. */
export function momentsOf(optimizer: Optimizer): readonly string[] {
  if (optimizer.kind !== "sgd") return ["exp_avg", "exp_avg_sq"];
  return optimizer.momentum > 0 ? ["momentum_buffer"] : [];
}
