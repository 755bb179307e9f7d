/** What a run kept. */
import { InputError } from "../errors.ts";
import type { Showing } from "../show/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { describeTensor } from "../tensor/internal.ts";
import { HookHabits } from "./hook-habits.ts";
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
export class ActivationCache extends HookHabits {
  readonly #entries: Map<HookName, CacheEntry>;
  readonly #known: readonly HookName[];

  /** @internal */
  constructor(entries: Map<HookName, CacheEntry>, known: readonly HookName[]) {
    super();
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

  /** The names of what was kept. */
  override toJSON(): object {
    return { type: "ActivationCache", names: this.names() };
  }

  /** @internal */
  override showing(): Showing {
    const count = this.#entries.size;
    const title = `ActivationCache of ${count} activation${count === 1 ? "" : "s"}`;
    return { title, parts: () => [{ kind: "facts", facts: factsOf(this.#entries) }] };
  }

  /** Whether the run kept this activation. */
  has(name: HookName): boolean {
    return this.#entries.has(name);
  }

  /** The names of what was kept, in the order in which the hooks fired. */
  override names(): HookName[] {
    return [...this.#entries.keys()];
  }

  /** Goes over names and activations, in the order in which the hooks fired. */
  *[Symbol.iterator](): IterableIterator<[name: HookName, activation: Tensor]> {
    for (const name of this.names()) yield [name, this.get(name)];
  }
}

/** What was kept, one line for the same hook of all layers. */
function factsOf(entries: ReadonlyMap<HookName, CacheEntry>): [name: string, value: string][] {
  const layers = new Map<string, string[]>();
  const shapes = new Map<string, string>();
  for (const [name, entry] of entries) {
    const [, layer, hook] = /^blocks\.(\d+)\.(.*)$/.exec(name) ?? [];
    const key = hook ?? name;
    const value = typeof entry === "function" ? "computed when asked for" : describeTensor(entry);
    shapes.set(key, shapes.get(key) ?? value);
    if (layer !== undefined) layers.set(key, [...(layers.get(key) ?? []), layer]);
  }
  return [...shapes].map(([key, value]) => {
    const of = layers.get(key);
    const range =
      of === undefined || of.length === 1 ? of?.[0] : `{${of.length > 3 ? `${of[0]},…,${of.at(-1)}` : of.join(",")}}`;
    return [range === undefined ? key : `blocks.${range}.${key}`, value];
  });
}
