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

/** Where a run begins and ends among its hooks. */
interface Bounds {
  /** The first hook that fires; the first of all unless given. */
  readonly first?: HookName | undefined;
  /** The hook after which it ends. */
  readonly last?: HookName | undefined;
  /** The first hook that does not fire, where it ends between layers. */
  readonly end?: HookName | undefined;
  /** Whether it computes no logits, and ends after the last hook that anything is asked of unless told where. */
  readonly isPartial?: boolean | undefined;
}

/** Thrown through a pass where it ends early; {@link HookSession.run} catches it. */
const ENDED = new Error("internal: the run ends at this hook");

const orders = new WeakMap<ModelConfig, ReadonlyMap<HookName, number>>();

/** The hooks of a model with their places in the order in which they fire. */
export function orderOf(config: ModelConfig): ReadonlyMap<HookName, number> {
  const known = orders.get(config) ?? new Map(hookNames(config).map((name, place) => [name, place]));
  orders.set(config, known);
  return known;
}

/** One run's hooks. */
export class HookSession {
  readonly #order: ReadonlyMap<HookName, number>;
  readonly #wanted: Set<HookName>;
  readonly #edits: Edits;
  readonly #entries = new Map<HookName, CacheEntry>();
  readonly #before = new Map<HookName, Tensor>();
  readonly #edited: HookName[] = [];
  /** The place of the last hook that fires. */
  readonly #end: number;
  /** Whether the pass is left after that hook. */
  readonly #leaves: boolean;

  constructor(config: ModelConfig, request: CacheRequest, edits: Edits, bounds: Bounds = {}) {
    this.#order = orderOf(config);
    requireRequest(request);
    const edited = Object.keys(edits) as HookName[];
    for (const name of [...(typeof request === "object" ? request : []), ...edited]) this.#placeOf(name);
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
    const [from, to] = this.#range(bounds);
    const passes = (name: HookName): boolean => this.#placeOf(name) >= from && this.#placeOf(name) < to;
    const never = [
      ...(typeof request === "object" ? request : []),
      ...edited.filter((name) => this.#placeOf(name) < from),
    ];
    for (const name of never) if (!passes(name)) throw neverPasses(name, bounds);
    const named =
      typeof request === "object" ? request : this.#known.filter((name) => request === "all" || request(name));
    this.#wanted = new Set(named.filter(passes));
    this.#edits = edits;
    if (bounds.last !== undefined) this.#wanted.add(bounds.last);
    const isOpen = bounds.isPartial === true && bounds.end === undefined;
    const asked = [...this.#wanted, ...edited].map((name) => this.#placeOf(name)).filter((place) => place < to);
    this.#end = isOpen && bounds.last === undefined ? Math.max(-1, ...asked) : to - 1;
    this.#leaves = isOpen;
    if (to <= from) throw neverPasses(bounds.last ?? bounds.end ?? "hook_tokens", bounds);
  }

  get #known(): HookName[] {
    return [...this.#order.keys()];
  }

  #placeOf(name: HookName): number {
    const place = this.#order.get(name);
    if (place === undefined) throw noSuchHook(name, this.#known, "run");
    return place;
  }

  /** The places of the hooks that may fire: the first, and the one after the last. */
  #range({ first, last, end, isPartial }: Bounds): [number, number] {
    const from = first === undefined ? 0 : this.#placeOf(first);
    const stop = isPartial === true ? this.#placeOf("unembed.hook_out") : this.#order.size;
    const to = last !== undefined ? this.#placeOf(last) + 1 : end !== undefined ? this.#placeOf(end) : stop;
    return [from, to];
  }

  /** Whether the run ends before this hook fires. */
  endsBefore(name: HookName): boolean {
    return this.#end < this.#placeOf(name);
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
    if (result !== value) this.#edited.push(name);
    if (this.#wanted.has(name)) {
      this.#entries.set(name, result);
      if (result !== value) this.#before.set(name, value);
    }
    this.#endAfter(name);
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
    this.#endAfter(name);
  }

  #endAfter(name: HookName): void {
    if (this.#leaves && this.#order.get(name) === this.#end) throw ENDED;
  }

  /** What a pass gives; `undefined` where it ends early. */
  run<T>(pass: () => T): T | undefined {
    if (this.#end < 0) return undefined;
    try {
      return pass();
    } catch (thrown) {
      if (thrown === ENDED) return undefined;
      throw thrown;
    }
  }

  cache(): ActivationCache {
    return new ActivationCache(this.#entries, this.#known);
  }

  /** The hooks at which an edit changed something. */
  get edited(): readonly HookName[] {
    return this.#edited;
  }

  /** The hooks at which edits wait. */
  get waits(): ReadonlySet<HookName> {
    return new Set(Object.keys(this.#edits) as HookName[]);
  }

  /** What came to the edited hooks that are kept. */
  get before(): ReadonlyMap<HookName, Tensor> {
    return this.#before;
  }
}

function neverPasses(name: HookName, { first, last, end }: Bounds): InputError {
  const begins = first === undefined ? "" : ` begins at "${first}"`;
  const ends = last === undefined ? (end === undefined ? "" : ` ends before "${end}"`) : ` ends after "${last}"`;
  const where = [begins, ends].filter((part) => part !== "").join(" and") || " computes no logits";
  return new InputError(`"${name}" is asked for, but the run${where}, so that it never passes there.`, {
    operation: "run",
    argument: name,
    expected: [first, last ?? end],
    actual: name,
  });
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

/** The result of an edit, which has the axes and sizes of its input. */
export function checked<N extends HookName>(
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
