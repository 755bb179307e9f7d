/**
 * Tensors with named axes: immutable strided views over flat typed arrays.
 *
 * The element at indices $(i_1, \dots, i_r)$ lies at `offset + Σ i_a · strides[a]` of the storage, so permuting,
 * selecting and slicing are views that share it. Nobody writes through a tensor: operations return new ones, and only
 * `kernels/` writes, into storage that it was handed. Storage is float32 unless said; float64 serves spectra and
 * certificates, int32 token ids.
 */
import { describeAxes, parseAxes } from "../axes.ts";
import type { AxisOf, Renamed, Without } from "../axes.ts";
import { AxisError, InputError, nameOf, ShapeError, requireKind, requireObject, requireNumbers } from "../errors.ts";
import {
  allocateData,
  copyStrided,
  dtypeOf,
  integersOf,
  rowMajorStrides,
  sizeOfShape,
  storableSize,
} from "./storage.ts";
import type { DType, Layout, TensorData } from "./storage.ts";
import { TensorHabits } from "./habits.ts";
import { Home } from "./home.ts";
import { dataOfJSON, dataToJSON, isTensorJSON } from "./json.ts";
import type { TensorJSON } from "./json.ts";

/**
 * Numbers nested as deep as the tensor has axes.
 * @category Tensors
 */
export type Nested = number | readonly Nested[];

/**
 * The axis string `C` where it names the axes of `A` in another order.
 * @inline
 */
type Permutation<A extends string, C extends string> = string extends A
  ? C
  : string extends C
    ? C
    : [AxisOf<A>, AxisOf<C>] extends [AxisOf<C>, AxisOf<A>]
      ? C
      : A;

/**
 * What iterating over a tensor gives: numbers for one axis, tensors without the first axis for more; either where only
 * the run time knows. The first question is `string extends A`, asked such that the type varies with `A`.
 * @inline
 */
type ItemOf<A extends string> = ((axes: A) => void) extends (axes: string) => void
  ? number | Tensor
  : A extends `${string} ${infer Rest}`
    ? Tensor<Rest>
    : number;

/**
 * An immutable tensor with named axes, `Tensor<"batch pos d_model">`; the names are part of the type, the sizes are
 * checked at run time. A plain `Tensor` has axes that only the run time knows.
 *
 * The type varies with its axes through the field `axes` alone: methods take their axes from `this`, so that a
 * `Tensor<"pos d_model">` is a `Tensor`.
 *
 * @typeParam A - the axis names, separated by spaces; the empty string is a scalar.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 *
 * const x = Tensor.fromNested("pos d_model", [[1, 2, 3], [4, 5, 6]]);
 * console.log(x.at(1, 2), x.sizeOf("d_model"));
 * // 6 3
 * console.log(x.select("pos", 0).toNested());
 * // [ 1, 2, 3 ]
 * ```
 */
export class Tensor<A extends string = string> extends TensorHabits {
  /** The axis names, separated by spaces. */
  readonly axes: A;
  /** The axis names as a list. */
  readonly names: readonly string[];
  /** The size of each axis. */
  readonly shape: readonly number[];
  /** The step of each axis in the storage, in elements. */
  readonly strides: readonly number[];
  /** Where the first element lies in the storage. */
  readonly offset: number;
  /** The number of elements. */
  readonly size: number;
  // Private by TypeScript's word alone, for the functions of raw.ts: a static block that handed them out would be kept
  // in every bundle, and the kernels with it.
  private readonly home: Home;
  #contiguous: TensorData | undefined;
  #rawContiguous: TensorData | undefined;

  private constructor(axes: A, home: Home, layout: Layout, operation: string, names?: readonly string[]) {
    super();
    this.axes = axes;
    this.names = names ?? parseAxes(axes, operation);
    this.shape = layout.shape;
    this.strides = layout.strides;
    this.offset = layout.offset;
    this.home = home;
    if (this.names.length !== layout.shape.length) {
      throw new AxisError(
        `axes "${axes}" name ${this.names.length} axes but the shape [${layout.shape.join(", ")}] has ${layout.shape.length}.`,
        { operation, argument: "axes", expected: layout.shape.length, actual: this.names.length },
      );
    }
    this.size = sizeOfShape(layout.shape, operation);
  }

  /**
   * Makes a tensor of flat row-major numbers; typed arrays of the right kind are taken without a copy, so do not write
   * to them afterwards.
   *
   * @throws {@link ShapeError} when the number of elements is not the product of the sizes; {@link AxisError} when the
   * names do not fit the shape; {@link InputError} when what is to be int32 is no such integer.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * console.log(Tensor.from("pos d_model", [2, 2], [1, 2, 3, 4]).at(1, 0));
   * // 3
   * ```
   */
  static from<const A extends string>(
    axes: A,
    shape: readonly number[],
    data: ArrayLike<number>,
    dtype?: DType,
  ): Tensor<A> {
    requireKind("list", shape, "shape", "Tensor.from");
    requireKind("list", data, "data", "Tensor.from");
    const size = sizeOfShape(shape, "Tensor.from");
    if (data.length !== size) {
      throw new ShapeError(
        `axes "${axes}" of shape [${shape.join(", ")}] hold ${size} numbers but ${data.length} were given.`,
        { operation: "Tensor.from", argument: "data", expected: size, actual: data.length },
      );
    }
    const isTensorData = data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array;
    const wanted = dtype ?? (isTensorData ? dtypeOf(data) : "float32");
    if (!DTYPES.includes(wanted)) throw noSuchDType(wanted, "Tensor.from");
    let storage: TensorData;
    if (isTensorData && dtypeOf(data) === wanted) storage = data;
    else {
      storage = wanted === "int32" ? integersOf(data, "Tensor.from", false) : allocateData(wanted, size);
      if (Array.isArray(data)) requireNumbers(data, "Tensor.from");
      if (wanted !== "int32") storage.set(data);
    }
    const layout = { shape: [...shape], strides: rowMajorStrides(shape), offset: 0 };
    return new Tensor(axes, new Home(storage), layout, "Tensor.from");
  }

  /**
   * A tensor of zeros.
   *
   * @throws {@link ShapeError} when a size is not a non-negative integer; {@link AxisError} when the names do not fit.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * console.log(String(Tensor.zeros("batch pos", [2, 5])));
   * // Tensor[batch=2 pos=5] float32
   * ```
   */
  static zeros<const A extends string>(axes: A, shape: readonly number[], dtype: DType = "float32"): Tensor<A> {
    requireKind("list", shape, "shape", "Tensor.zeros");
    if (!DTYPES.includes(dtype)) throw noSuchDType(dtype, "Tensor.zeros");
    const size = storableSize(shape, "Tensor.zeros");
    return Tensor.from(axes, shape, allocateData(dtype, size));
  }

  /**
   * Makes a tensor of nested arrays of numbers.
   *
   * @throws {@link ShapeError} when the arrays are ragged or not nested as deep as there are axes; {@link AxisError}
   * when a name is malformed or appears twice.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
   * console.log(String(pattern), pattern.at(1, 0));
   * // Tensor[query_pos=2 key_pos=2] float32 0.25
   * ```
   */
  static fromNested<const A extends string>(axes: A, nested: Nested, dtype: DType = "float32"): Tensor<A> {
    const rank = parseAxes(axes, "Tensor.fromNested").length;
    const shape: number[] = [];
    for (let level: Nested | undefined = nested, a = 0; a < rank; a++) {
      if (!Array.isArray(level)) {
        throw new ShapeError(`axes "${axes}" name ${rank} axes but the array is nested ${a} deep.`, {
          operation: "Tensor.fromNested",
          argument: "nested",
          expected: rank,
          actual: a,
        });
      }
      shape.push(level.length);
      level = (level as readonly Nested[])[0];
      if (level === undefined) level = [];
    }
    const flat: number[] = [];
    flatten(nested, shape, 0, flat);
    return Tensor.from(axes, shape, flat, dtype);
  }

  /**
   * A view of given storage, without a copy: for readers of files and other packages' strided arrays.
   *
   * @throws {@link ShapeError} when the layout reaches outside the storage or has not one stride for each size;
   * {@link AxisError} when the names do not fit.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const storage = new Float32Array([0, 1, 2, 3, 4, 5]);
   * const everyOther = Tensor.view("pos", storage, { shape: [3], strides: [2], offset: 1 });
   * console.log(everyOther.toNested());
   * // [ 1, 3, 5 ]
   * ```
   */
  static view<const A extends string>(axes: A, storage: TensorData, layout: Layout): Tensor<A> {
    requireKind("list", storage, "storage", "Tensor.view");
    requireObject(layout, "layout", "Tensor.view");
    for (const name of ["shape", "strides"] as const)
      requireKind("list", layout[name], `layout.${name}`, "Tensor.view");
    if (layout.strides.length !== layout.shape.length) {
      throw new ShapeError(
        `${layout.shape.length} sizes need as many strides but ${layout.strides.length} were given.`,
        {
          operation: "Tensor.view",
          argument: "layout",
          expected: layout.shape.length,
          actual: layout.strides.length,
        },
      );
    }
    if (sizeOfShape(layout.shape, "Tensor.view") > 0) {
      let low = layout.offset;
      let high = layout.offset;
      for (const [a, n] of layout.shape.entries()) {
        const reach = (n - 1) * (layout.strides[a] ?? 0);
        if (reach < 0) low += reach;
        else high += reach;
      }
      const isInside = Number.isSafeInteger(low) && Number.isSafeInteger(high) && low >= 0 && high < storage.length;
      if (!isInside) {
        throw new ShapeError(
          `the view reaches elements ${low} to ${high} but the storage has ${storage.length}. Check offset, shape and strides.`,
          { operation: "Tensor.view", argument: "layout", expected: storage.length, actual: [low, high] },
        );
      }
    }
    return new Tensor(axes, new Home(storage), layout, "Tensor.view");
  }

  /** The number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** The element type of the storage. */
  get dtype(): DType {
    return dtypeOf(this.home.raw);
  }

  /**
   * The storage that this tensor is a view of; read only. Where the numbers live in the kernels' memory it is a copy,
   * made once and kept with the tensor.
   */
  get storage(): TensorData {
    return this.home.shown();
  }

  /** Whether the elements lie one after the other in row-major order. */
  get isContiguous(): boolean {
    let expected = 1;
    for (let a = this.rank - 1; a >= 0; a--) {
      const n = this.shape[a] ?? 1;
      if (n !== 1 && this.strides[a] !== expected) return false;
      expected *= n;
    }
    return true;
  }

  /**
   * The elements as a flat row-major array of length `size`; read only. No copy is made where the view is contiguous
   * and its storage an ordinary array; otherwise one, once.
   */
  get data(): TensorData {
    if (!this.home.isHidden) return this.rawElements();
    this.#contiguous ??= this.isWhole ? this.home.shown() : this.copied();
    return this.#contiguous;
  }

  /** The elements as {@link data}, not copied out of the kernels' memory. */
  private rawElements(): TensorData {
    this.#rawContiguous ??= this.contiguousIn(this.home.raw);
    return this.#rawContiguous;
  }

  private get isWhole(): boolean {
    return this.offset === 0 && this.home.raw.length === this.size && this.isContiguous;
  }

  /** The elements in row-major order, as a part of the storage where they lie so. */
  private contiguousIn(storage: TensorData): TensorData {
    if (!this.isContiguous) return this.copied();
    return this.isWhole ? storage : storage.subarray(this.offset, this.offset + this.size);
  }

  private copied(): TensorData {
    const out = new (this.home.raw.constructor as new (size: number) => TensorData)(this.size);
    copyStrided(this.home.raw, this, out);
    return out;
  }

  /**
   * The place of an axis among the axes, counted from 0.
   * @throws {@link AxisError} when the tensor has no such axis.
   */
  indexOf<B extends string>(this: Tensor<B>, axis: AxisOf<B>): number {
    const index = this.names.indexOf(axis);
    if (index < 0) throw noSuchAxis(this, axis, "indexOf");
    return index;
  }

  /**
   * The size of an axis.
   * @throws {@link AxisError} when the tensor has no such axis.
   */
  sizeOf<B extends string>(this: Tensor<B>, axis: AxisOf<B>): number {
    return this.shape[this.names.indexOf(axis)] ?? raise(noSuchAxis(this, axis, "sizeOf"));
  }

  /**
   * One element, by one index per axis, counted from 0; negative ones count from the end, so that -1 is the last.
   *
   * @throws {@link InputError} when the number of indices is wrong or one is out of range.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const K = Tensor.fromNested("writer_head reader_head", [[0.1, 0.7], [0.2, 0.3]]);
   * console.log(K.at(0, 1).toFixed(1));
   * // 0.7
   * ```
   */
  at(...indices: readonly number[]): number {
    if (indices.length !== this.rank) {
      throw new InputError(`${describeTensor(this)} needs ${this.rank} indices but ${indices.length} were given.`, {
        operation: "at",
        argument: "indices",
        expected: this.rank,
        actual: indices.length,
      });
    }
    let position = this.offset;
    for (const [a, index] of indices.entries()) {
      position += indexIn(this, a, index, "at") * (this.strides[a] ?? 0);
    }
    return this.home.raw[position] as number;
  }

  /**
   * The one element of a tensor of size 1.
   *
   * @throws {@link ShapeError} when there are more or fewer.
   * @example
   * ```ts
   * import { Tensor, mean } from "transformer-circuits";
   *
   * console.log(mean(Tensor.fromNested("pos", [1, 2, 6]), "pos").item());
   * // 3
   * ```
   */
  item(): number {
    if (this.size !== 1) {
      throw new ShapeError(`${describeTensor(this)} has ${this.size} elements, not one.`, {
        operation: "item",
        expected: 1,
        actual: this.size,
      });
    }
    return this.home.raw[this.offset] as number;
  }

  /**
   * The view at one index of an axis, without that axis; a negative index counts from the end.
   *
   * @throws {@link AxisError} for an unknown axis, {@link InputError} for an index out of range.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const pattern = Tensor.fromNested("head query_pos key_pos", [[[1, 0], [0.5, 0.5]], [[1, 0], [0, 1]]]);
   * console.log(pattern.select("head", 1).select("query_pos", 1).toNested());
   * // [ 0, 1 ]
   * ```
   */
  select<B extends string, const N extends AxisOf<B>>(this: Tensor<B>, axis: N, index: number): Tensor<Without<B, N>> {
    const a = this.names.indexOf(axis);
    if (a < 0) throw noSuchAxis(this, axis, "select");
    const at = indexIn(this, a, index, "select");
    const without = <T>(list: readonly T[]): T[] => list.filter((_, i) => i !== a);
    return new Tensor(
      without(this.names).join(" ") as Without<B, N>,
      this.home,
      {
        shape: without(this.shape),
        strides: without(this.strides),
        offset: this.offset + at * (this.strides[a] ?? 0),
      },
      "select",
    );
  }

  /**
   * The view of indices `start` (inclusive) to `end` (exclusive) of an axis; to its end where `end` is left out.
   * Negative ones count from the end.
   *
   * @throws {@link AxisError} for an unknown axis, {@link InputError} for a range that does not lie inside.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const loss = Tensor.fromNested("batch pos", [[5, 4, 1, 0], [6, 5, 2, 1]]);
   * console.log(loss.slice("pos", 2).toNested());
   * // [ [ 1, 0 ], [ 2, 1 ] ]
   * ```
   */
  slice<B extends string>(this: Tensor<B>, axis: AxisOf<B>, start: number, end?: number): Tensor<B> {
    const a = this.names.indexOf(axis);
    if (a < 0) throw noSuchAxis(this, axis, "slice");
    const n = this.shape[a] ?? 0;
    const first = start < 0 ? start + n : start;
    const stop = end === undefined ? n : end < 0 ? end + n : end;
    const isRange = Number.isInteger(first) && Number.isInteger(stop) && first >= 0 && first <= stop && stop <= n;
    if (!isRange) {
      throw new InputError(
        `${start} to ${end ?? n} is not a range of axis "${axis}" of ${describeTensor(this)}; it takes ${-n} to ${n}.`,
        { operation: "slice", argument: "start", expected: [-n, n], actual: [start, end ?? n] },
      );
    }
    return new Tensor(
      this.axes,
      this.home,
      {
        shape: this.shape.map((size, i) => (i === a ? stop - first : size)),
        strides: this.strides,
        offset: this.offset + first * (this.strides[a] ?? 0),
      },
      "slice",
    );
  }

  /**
   * The view with the axes in another order, named in full.
   *
   * @throws {@link AxisError} when the names are not the tensor's own.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
   * console.log(pattern.permute("key_pos query_pos").toNested());
   * // [ [ 1, 0.25 ], [ 0, 0.75 ] ]
   * ```
   */
  permute<B extends string, const C extends string>(this: Tensor<B>, axes: Permutation<B, C>): Tensor<C> {
    const wanted = parseAxes(axes, "permute");
    const order = wanted.map((name) => this.names.indexOf(name));
    if (wanted.length !== this.rank || order.includes(-1)) {
      throw new AxisError(`"${axes}" is not an order of the axes of ${describeTensor(this)}. Name each axis once.`, {
        operation: "permute",
        argument: "axes",
        expected: this.names,
        actual: wanted,
      });
    }
    return new Tensor(
      axes as string as C,
      this.home,
      {
        shape: order.map((a) => this.shape[a] ?? 0),
        strides: order.map((a) => this.strides[a] ?? 0),
        offset: this.offset,
      },
      "permute",
    );
  }

  /**
   * The same tensor with one axis named otherwise.
   *
   * @throws {@link AxisError} for an unknown axis, or when the new name is taken.
   * @example
   * ```ts
   * import { Tensor, matmul } from "transformer-circuits";
   *
   * const q = Tensor.fromNested("query_pos d_head", [[1, 2]]);
   * const k = Tensor.fromNested("pos d_head", [[3, 4], [5, 6]]);
   * console.log(matmul(q, k.rename("pos", "key_pos").permute("d_head key_pos")).toNested());
   * // [ [ 11, 17 ] ]
   * ```
   */
  rename<B extends string, const N extends AxisOf<B>, const M extends string>(
    this: Tensor<B>,
    from: N,
    to: M,
  ): Tensor<Renamed<B, N, M>> {
    const a = this.names.indexOf(from);
    if (a < 0) throw noSuchAxis(this, from, "rename");
    const axes = this.names.map((name, i) => (i === a ? to : name)).join(" ") as Renamed<B, N, M>;
    return new Tensor(axes, this.home, this, "rename");
  }

  /** The elements as arrays nested as deep as there are axes; a number for a scalar. */
  toNested(): Nested {
    const data = this.data;
    let position = 0;
    const build = (a: number): Nested => {
      if (a === this.rank) return data[position++] as number;
      return Array.from({ length: this.shape[a] ?? 0 }, () => build(a + 1));
    };
    return build(0);
  }

  /**
   * Goes over the first axis, as numpy does: the numbers of a tensor of one axis, the tensors at each index of one of
   * more; {@link Tensor.data} is all numbers in a row. A scalar gives its one number.
   *
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
   * for (const row of pattern) console.log([...row]);
   * // [ 1, 0 ]
   * // [ 0.25, 0.75 ]
   * ```
   */
  *[Symbol.iterator](): IterableIterator<ItemOf<A>> {
    const [axis] = this.names;
    if (axis === undefined) {
      yield this.item() as ItemOf<A>;
      return;
    }
    const [n = 0] = this.shape;
    for (let i = 0; i < n; i++) yield (this.rank === 1 ? this.at(i) : selected(this, axis, i)) as ItemOf<A>;
  }

  /**
   * What `JSON.stringify` writes: axes, shape, dtype and numbers, more than 256 of them as base64. NaN, infinities and
   * the sign of zero are kept. {@link Tensor.fromJSON} reads it.
   *
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * console.log(JSON.stringify(Tensor.from("pos", [3], [0.1, NaN, 2])));
   * // {"type":"Tensor","axes":"pos","shape":[3],"dtype":"float32","data":[0.1,"NaN",2]}
   * ```
   */
  override toJSON(): TensorJSON<A> {
    const { axes, shape, dtype, data } = this;
    return { type: "Tensor", axes, shape, dtype, data: dataToJSON(data) };
  }

  /**
   * The tensor that {@link Tensor.toJSON} wrote, once `JSON.parse` has read it.
   *
   * @throws {@link InputError} when it is not such an object; {@link ShapeError} when its numbers do not fill its
   * shape; {@link AxisError} when the names do not fit.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const text = JSON.stringify(Tensor.fromNested("layer head", [[0.1, 0.9], [0.4, -0.2]]));
   * console.log(Tensor.fromJSON(JSON.parse(text)).at(0, 1).toFixed(1));
   * // 0.9
   * ```
   */
  static fromJSON<A extends string = string>(json: TensorJSON<A>): Tensor<A> {
    const data = dataOfJSON(json, "Tensor.fromJSON");
    return Tensor.from(json.axes, json.shape, data, json.dtype);
  }

  /**
   * The second argument of `JSON.parse` for text with tensors in it: makes tensors of what {@link Tensor.toJSON} wrote
   * and leaves the rest as it is.
   *
   * @throws as {@link Tensor.fromJSON}.
   * @example
   * ```ts
   * import { Tensor } from "transformer-circuits";
   *
   * const text = JSON.stringify({ head: "L1H4", scores: Tensor.fromNested("pos", [0.5, 1]) });
   * console.log(JSON.parse(text, Tensor.revive));
   * // { head: 'L1H4', scores: Tensor[pos=2] float32 [0.5, 1.0] }
   * ```
   */
  static readonly revive = (_key: string, value: unknown): unknown =>
    isTensorJSON(value) ? Tensor.fromJSON(value) : value;

  /** Axes with sizes and dtype, not the numbers: `Tensor[pos=5 d_model=64] float32`. */
  override toString(): string {
    return `Tensor${describeTensor(this)} ${this.dtype}`;
  }
}

function selected(t: Tensor, axis: string, index: number): Tensor {
  return t.select(axis, index);
}

export const DTYPES: readonly DType[] = ["float32", "float64", "int32"];

/** The error for a dtype that tensors do not have. */
export function noSuchDType(dtype: DType, operation: string): InputError {
  return new InputError(`there is no dtype ${nameOf(dtype)}; the choices are ${DTYPES.join(", ")}.`, {
    operation,
    argument: "dtype",
    expected: DTYPES,
    actual: dtype,
  });
}

/** `[pos=5 d_model=64]`: a tensor's axes with sizes, as error texts show them. */
export function describeTensor(t: Tensor): string {
  return describeAxes(t.names, t.shape);
}

/** Refuses what is not a tensor of these axes, in this order: of others the numbers would be read as something else. */
export function requireAxes(t: Tensor, axes: string, argument: string, operation: string): void {
  requireKind("tensor", t, argument, operation);
  if (t.axes === axes) return;
  throw new AxisError(`${argument} is ${describeTensor(t)}, not [${axes}]. Permute or rename its axes.`, {
    operation,
    argument,
    expected: axes,
    actual: t.axes,
  });
}

/** The error for an axis that a tensor does not have. */
export function noSuchAxis(t: Tensor, axis: string, operation: string): AxisError {
  const has = t.rank === 0 ? "no axes" : `axes ${t.names.map((n) => `"${n}"`).join(", ")}`;
  return new AxisError(`there is no axis "${axis}" in ${describeTensor(t)}; it has ${has}.`, {
    operation,
    argument: "axis",
    expected: t.names,
    actual: axis,
  });
}

function flatten(nested: Nested, shape: readonly number[], depth: number, out: number[]): void {
  if (depth === shape.length) {
    if (typeof nested !== "number") throw ragged(shape, depth);
    out.push(nested);
    return;
  }
  if (!Array.isArray(nested) || nested.length !== shape[depth]) throw ragged(shape, depth);
  for (const part of nested as readonly Nested[]) flatten(part, shape, depth + 1, out);
}

function ragged(shape: readonly number[], depth: number): ShapeError {
  return new ShapeError(
    `the arrays are ragged: the first elements give the shape [${shape.join(", ")}] but another array at depth ${depth} differs.`,
    { operation: "Tensor.fromNested", argument: "nested", expected: shape },
  );
}

/** An index of an axis counted from 0; of a negative one, from the end. */
function indexIn(t: Tensor, a: number, index: number, operation: string): number {
  const n = t.shape[a] ?? 0;
  const at = index < 0 ? index + n : index;
  if (Number.isInteger(at) && at >= 0 && at < n) return at;
  throw new InputError(
    `index ${index} is outside axis "${t.names[a]}" of ${describeTensor(t)}; it takes ${n === 0 ? "none" : `${-n} to ${n - 1}`}.`,
    {
      operation,
      argument: t.names[a] ?? "index",
      expected: [-n, n - 1],
      actual: index,
    },
  );
}

function raise(error: Error): never {
  throw error;
}
