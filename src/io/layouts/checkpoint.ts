/**
 * The named tensors of a checkpoint, taken one by one: each must be there, of its shape, and none may be left over.
 * What takes them is a generator that yields the name of the next and is handed the tensor, so that each layout is
 * written once for tensors in memory and for files of which one tensor at a time is read.
 */
import { ConfigError } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Source } from "../bytes/fault.ts";
import { some } from "../checkpoint/files.ts";
import type { BareNames } from "./names.ts";

/**
 * Tensors by name: a `Map`, or anything that finds them when asked, so that what is not wanted need not be read.
 * @category Files
 */
export interface NamedTensors {
  /** The names of all tensors. */
  keys(): Iterable<string>;
  /** Whether there is a tensor of a name. */
  has(name: string): boolean;
  /** The tensor of a name, whatever its axes are called. */
  get(name: string): Tensor | undefined;
}

/** The names of tensors and their shapes, which say what a checkpoint is. */
export interface ListedTensors {
  keys(): Iterable<string>;
  shapeOf(name: string): readonly number[] | undefined;
}

/** What makes a `T` of tensors: it yields the name of each that it needs. */
export type Taking<T> = Generator<string, T, Tensor | undefined>;

/** Hands over tensors that are there. */
export function takeFrom<T>(tensors: NamedTensors, taking: Taking<T>): T {
  let step = taking.next();
  while (step.done !== true) step = taking.next(tensors.get(step.value));
  return step.value;
}

/**
 * How a matrix is stored: a Linear layer of PyTorch keeps `[out, in]`, a Conv1D of Hugging Face's GPT-2 `[in, out]`.
 */
export type MatrixOrder = "out in" | "in out";

/** Where the rows of one kind and head lie in a matrix that holds queries, keys and values, or one of them. */
export interface HeadsLayout {
  readonly order: MatrixOrder;
  readonly n_heads: number;
  readonly d_head: number;
  readonly d_model: number;
  /** How many rows of width d_head lie between those of one head and the next. */
  readonly headStep: number;
  /** Before how many such rows the first head begins. */
  readonly start: number;
  /** How many there are in all. */
  readonly total: number;
}

/** Heads that training by reinforcement puts beside a language model. */
const BESIDE = /^(v_head|value_head|reward_head|critic)\./;

export class Checkpoint {
  readonly source: Source;
  /** The names that layouts have, without wrappers and prefix. */
  readonly names: ReadonlySet<string>;
  /** What was taken for granted and what was passed over, a sentence each. */
  readonly notes: string[] = [];
  readonly #full: BareNames;
  readonly #taken = new Set<string>();
  /** Queries, keys and values are taken from one matrix and one bias, in turns: the last two tensors. */
  #latest: readonly (readonly [name: string, tensor: Tensor])[] = [];

  constructor(names: BareNames, source: Source) {
    this.source = source;
    this.#full = names;
    const beside = [...names.keys()].filter((name) => BESIDE.test(name));
    this.names = new Set([...names.keys()].filter((name) => !beside.includes(name)));
    if (beside.length > 0) this.notes.push(`Tensors beside the language model are passed over: ${some(beside, 4)}.`);
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  /** The name in the file; one that is not there is called as it would be beside the others. */
  full(name: string): string {
    const [full, second] = this.#full.get(name) ?? [];
    if (second !== undefined)
      throw this.fault(name, `${full} and ${second} are both it.`, "one tensor", [full, second]);
    if (full !== undefined) return full;
    for (const [other, [found = ""]] of this.#full) {
      if (found.endsWith(`.${other}`)) return found.slice(0, found.length - other.length) + name;
    }
    return name;
  }

  /** A prefix, where some names begin with it; otherwise none. */
  below(prefix: string): string {
    for (const name of this.names) if (name.startsWith(prefix)) return prefix;
    return "";
  }

  /** A tensor of a shape, or of any. */
  *take(name: string, shape?: readonly number[]): Taking<Tensor> {
    const full = this.full(name);
    const kept = this.#latest.find(([other]) => other === full)?.[1];
    const tensor = kept ?? (this.has(name) ? yield full : undefined);
    if (tensor === undefined) {
      const wanted = shape === undefined ? "" : ` [${shape.join(", ")}]`;
      throw this.fault(full, `it is missing; the configuration calls for it${wanted}.`, shape, undefined);
    }
    this.#taken.add(name);
    this.#latest = [[full, tensor], ...this.#latest.filter(([other]) => other !== full).slice(0, 1)];
    if (tensor.dtype === "int32") throw this.fault(full, "it holds integers, not weights.", "numbers", tensor.dtype);
    if (shape !== undefined && (tensor.rank !== shape.length || tensor.shape.some((n, a) => n !== shape[a]))) {
      throw this.fault(
        full,
        `its shape is [${tensor.shape.join(", ")}] but the configuration calls for [${shape.join(", ")}]. One of the two is wrong.`,
        shape,
        tensor.shape,
      );
    }
    return tensor;
  }

  /** A tensor, or zeros where the checkpoint leaves it out. */
  *takeOrZeros(name: string, shape: readonly number[]): Taking<Tensor> {
    if (this.has(name)) return yield* this.take(name, shape);
    return Tensor.zeros(shape.map((_, i) => `dim${i}`).join(" "), shape);
  }

  /** A matrix as `[in, out]`. */
  *matrix(name: string, [rows, cols]: readonly [number, number], order: MatrixOrder): Taking<Tensor> {
    if (order === "in out") return yield* this.take(name, [rows, cols]);
    const stored = yield* this.take(name, [cols, rows]);
    return strided(stored, [rows, cols], [1, rows]);
  }

  /** The maps of one kind, queries, keys or values, as `[head, d_model, d_head]`. */
  *headMatrices(name: string, layout: HeadsLayout): Taking<Tensor> {
    const { order, n_heads, d_head, d_model, headStep, start, total } = layout;
    const width = total * d_head;
    const shape = [n_heads, d_model, d_head];
    if (order === "in out") {
      const stored = yield* this.take(name, [d_model, width]);
      return strided(stored, shape, [headStep * d_head, width, 1], start * d_head);
    }
    const stored = yield* this.take(name, [width, d_model]);
    return strided(stored, shape, [headStep * d_head * d_model, 1, d_model], start * d_head * d_model);
  }

  /** The biases of one kind as `[head, d_head]`; zeros where the checkpoint has none. */
  *headBiases(name: string, layout: HeadsLayout): Taking<Tensor> {
    const { n_heads, d_head, headStep, start, total } = layout;
    const stored = yield* this.takeOrZeros(name, [total * d_head]);
    return strided(stored, [n_heads, d_head], [headStep * d_head, 1], start * d_head);
  }

  /** $W_O$ as `[head, d_head, d_model]`. */
  *outputMatrices(name: string, { order, n_heads, d_head, d_model }: HeadsLayout): Taking<Tensor> {
    const inner = n_heads * d_head;
    const shape = [n_heads, d_head, d_model];
    if (order === "in out")
      return strided(yield* this.take(name, [inner, d_model]), shape, [d_head * d_model, d_model, 1]);
    return strided(yield* this.take(name, [d_model, inner]), shape, [d_head, 1, inner]);
  }

  /** Refuses tensors that were neither taken nor are known to say nothing. */
  finish(ignored: readonly RegExp[], layout: string): void {
    for (const name of this.names) {
      if (this.#taken.has(name) || ignored.some((pattern) => pattern.test(name))) continue;
      throw this.fault(
        this.full(name),
        `the configuration does not call for it, and it is no part of ${layout}. One of the two is wrong; the option ignore passes over what is no part of the model.`,
        [...this.#taken],
        name,
      );
    }
  }

  /** The error for a tensor that contradicts the configuration. */
  fault(tensor: string, message: string, expected: unknown, actual: unknown): ConfigError {
    return new ConfigError(`${this.source.name}, tensor ${JSON.stringify(tensor)}: ${message}`, {
      operation: this.source.operation,
      argument: tensor,
      expected,
      actual,
    });
  }
}

/** The numbers of a tensor in another order, copied unless they lie as they are. */
function strided(t: Tensor, shape: readonly number[], strides: readonly number[], offset = 0): Tensor {
  const axes = shape.map((_, i) => `dim${i}`).join(" ");
  return Tensor.from(axes, shape, Tensor.view(axes, t.data, { shape, strides, offset }).data);
}
