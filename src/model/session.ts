/** What a run keeps and what it changes: the one place through which every activation passes. */
import { AxisError, InputError, nameOf, ShapeError } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor } from "../tensor/internal.ts";
import { ActivationCache } from "./cache.ts";
import type { CacheEntry } from "./cache.ts";
import type { ModelConfig } from "./model-config.ts";
import { hookNames, noSuchHook } from "./hooks.ts";
import type { AxesOfHook, Edits, HookName } from "./hooks.ts";
import type { Norm } from "./norm.ts";

/**
 * Which activations a run keeps: all, those named, or those that a predicate picks.
 * @category Model
 */
export type CacheRequest = "all" | readonly HookName[] | ((name: HookName) => boolean);

/** One run's hooks. */
export class HookSession {
  readonly #known: readonly HookName[];
  readonly #wanted: Set<HookName>;
  readonly #edits: Edits;
  readonly #entries = new Map<HookName, CacheEntry>();

  constructor(config: ModelConfig, request: CacheRequest, edits: Edits) {
    this.#known = hookNames(config);
    requireRequest(request);
    const known = new Set<string>(this.#known);
    const named = typeof request === "object" ? request : [];
    for (const name of [...named, ...Object.keys(edits)])
      if (!known.has(name)) throw noSuchHook(name, this.#known, "run");
    for (const [name, edit] of Object.entries(edits)) {
      if (typeof edit !== "function") {
        throw new InputError(`the edit of "${name}" is not a function from the activation to its new value.`, {
          operation: "run",
          argument: name,
          expected: "function",
          actual: typeof edit,
        });
      }
    }
    this.#wanted = new Set(
      request === "all"
        ? this.#known
        : typeof request === "function"
          ? this.#known.filter((name) => request(name))
          : request,
    );
    this.#edits = edits;
  }

  /** Whether an edit waits at this hook. */
  edits(name: HookName): boolean {
    return this.#edits[name] !== undefined;
  }

  /** Whether an activation is kept or edited. */
  sees(name: HookName): boolean {
    return this.#wanted.has(name) || this.edits(name);
  }

  /** Passes an activation through its hook: edits it, keeps it, and returns what to go on with. */
  fire<N extends HookName>(name: N, value: Tensor<AxesOfHook<N>>): Tensor<AxesOfHook<N>> {
    const edit = this.#edits[name];
    const result = edit === undefined ? value : checked(name, value, edit(value, name));
    if (this.#wanted.has(name)) this.#entries.set(name, result);
    return result;
  }

  /** Passes a stream through a norm and its two hooks; unchanged where there is none. */
  throughNorm<Axis extends "d_model" | "d_mlp">(
    norm: Norm<Axis> | undefined,
    x: Tensor<`batch pos ${Axis}`>,
    name: "ln_final" | `blocks.${number}.${"ln1" | "ln2" | "mlp.ln"}`,
  ): Tensor<`batch pos ${Axis}`> {
    if (norm === undefined) return x;
    const own = norm.normalize(x);
    const scale = this.fire(`${name}.hook_scale`, own.scale);
    // As in TransformerLens, the hook lies before the norm's weights: a Pre norm and a folded one read the same there.
    const normalized = scale === own.scale ? own.normalized : norm.normalizeBy(x, scale);
    // The name says which of the two axes it is.
    const fired = this.fire(`${name}.hook_normalized`, normalized as Tensor as Tensor<"batch pos d_model">) as Tensor;
    return norm.addBias(norm.applyWeights(fired as typeof x));
  }

  /** Keeps an activation that nothing downstream needs, computed when it is first asked for. */
  keepLazily<N extends HookName>(name: N, compute: () => Tensor<AxesOfHook<N>>): void {
    if (this.#wanted.has(name)) this.#entries.set(name, compute);
  }

  cache(): ActivationCache {
    return new ActivationCache(this.#entries, this.#known);
  }
}

/** Refuses what an untyped caller may hand in for a list of names: a name alone would be read letter by letter. */
function requireRequest(request: CacheRequest): void {
  const given: unknown = request;
  if (given === "all" || typeof given === "function" || Array.isArray(given)) return;
  const shown = nameOf(given);
  throw new InputError(
    `cache is ${shown}. Give "all", a list of hook names (${typeof given === "string" ? `[${shown}]` : "[] for none"}) or a function that picks them.`,
    { operation: "run", argument: "cache", expected: '"all", a list or a function', actual: given },
  );
}

function checked<N extends HookName>(
  name: N,
  before: Tensor<AxesOfHook<N>>,
  after: Tensor<AxesOfHook<N>>,
): Tensor<AxesOfHook<N>> {
  if (!((after as unknown) instanceof Tensor)) {
    throw new InputError(`the edit of "${name}" returned no tensor. Return the value to go on with, changed or not.`, {
      operation: "run",
      argument: name,
      expected: before.axes,
      actual: typeof after,
    });
  }
  if (after.axes !== (before.axes as string)) {
    throw new AxisError(`the edit of "${name}" returned ${describeTensor(after)} for ${describeTensor(before)}.`, {
      operation: "run",
      argument: name,
      expected: before.axes,
      actual: after.axes,
    });
  }
  if (after.shape.some((n, a) => n !== before.shape[a])) {
    throw new ShapeError(
      `the edit of "${name}" returned ${describeTensor(after)} for ${describeTensor(before)}. Sizes must be equal; nothing is broadcast.`,
      { operation: "run", argument: name, expected: before.shape, actual: after.shape },
    );
  }
  return after;
}
