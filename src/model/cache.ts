/** What a run kept. */
import { InputError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import { noSuchHook } from "./hooks.ts";
import type { AxesOfHook, HookName } from "./hooks.ts";

/** An activation, or how to compute it from others that were kept. */
export type CacheEntry = Tensor | (() => Tensor);

/**
 * The activations that a run kept, by hook name; the type of each follows from its name.
 *
 * @category Model
 * @example
 * ```ts
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { cache } = model.run([0, 5, 6, 7]);
 * console.log(String(cache.get("blocks.1.attn.hook_pattern")));
 * // Tensor[batch=1 head=8 query_pos=4 key_pos=4] float32
 * ```
 */
export class ActivationCache {
  readonly #entries: Map<HookName, CacheEntry>;
  readonly #known: readonly HookName[];

  /** @internal */
  constructor(entries: Map<HookName, CacheEntry>, known: readonly HookName[]) {
    this.#entries = entries;
    this.#known = known;
    Object.freeze(this);
  }

  /**
   * The activation at a hook point.
   *
   * @throws {@link InputError} when the model has no such hook, or the run did not keep it.
   */
  get<N extends HookName>(name: N): Tensor<AxesOfHook<N>> {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      if (!this.#known.includes(name)) throw noSuchHook(name, this.#known, "cache.get");
      throw new InputError(`"${name}" was not kept by this run. Ask for it: run(tokens, { cache: ["${name}"] }).`, {
        operation: "cache.get",
        argument: "name",
        expected: this.names(),
        actual: name,
      });
    }
    if (typeof entry !== "function") return entry as Tensor<AxesOfHook<N>>;
    const value = entry();
    this.#entries.set(name, value);
    return value as Tensor<AxesOfHook<N>>;
  }

  /**
   * The same with some activations put in their place.
   * @internal
   */
  replacing(entries: ReadonlyMap<HookName, CacheEntry>): ActivationCache {
    const own = this.names().map((name): [HookName, CacheEntry] => [name, entries.get(name) ?? (() => this.get(name))]);
    return new ActivationCache(new Map(own), this.#known);
  }

  /** Whether the run kept this activation. */
  has(name: HookName): boolean {
    return this.#entries.has(name);
  }

  /** The names of what was kept, in the order in which the hooks fired. */
  names(): HookName[] {
    return [...this.#entries.keys()];
  }
}
