/**
 * Arithmetic element by element. The second operand may be a number, a tensor of the same axes, or a tensor of some of
 * the first one's axes, which is then repeated along the others: axes are matched by name, never by position.
 */
import type { AxisOf } from "../axes.ts";
import { AxisError, ShapeError, requireKind } from "../errors.ts";
import { kernels } from "../kernels/index.ts";
import { rawData, rawStorage, tensorOf } from "./raw.ts";
import { DTYPES, describeTensor, noSuchDType, Tensor } from "./tensor.ts";
import { copyStrided, dataForResult, integersOf, rowMajorStrides } from "./storage.ts";
import type { DType, TensorData } from "./storage.ts";

/**
 * What an operand lacks that has axes other than the first one's; never satisfied.
 * @inline
 */
interface NotAmong<A extends string> {
  readonly "its axes must be among": A;
}

/**
 * A tensor of axes `B`, all of which must be axes of `A`.
 * @inline
 */
export type Within<A extends string, B extends string> = Tensor<B> &
  (AxisOf<B> extends AxisOf<A> ? unknown : NotAmong<NoInfer<A>>);

/**
 * `out[i] = x[i] ∘ y[i mod period]`, `period` dividing the length. An engine compiles a loop well for one kind of
 * arrays, so those of float32 alone, which nearly all are, have loops of their own.
 */
type Loop<Data> = (out: Data, x: Data, y: Data, period: number) => void;

const FLOAT32_LOOPS = {
  add(out, x, y, period) {
    kernels().add({ period, a: x, b: y, out });
  },
  subtract(out, x, y, period) {
    for (let start = 0; start < out.length; start += period) {
      for (let j = 0; j < period; j++) out[start + j] = (x[start + j] as number) - (y[j] as number);
    }
  },
  multiply(out, x, y, period) {
    for (let start = 0; start < out.length; start += period) {
      for (let j = 0; j < period; j++) out[start + j] = (x[start + j] as number) * (y[j] as number);
    }
  },
  divide(out, x, y, period) {
    for (let start = 0; start < out.length; start += period) {
      for (let j = 0; j < period; j++) out[start + j] = (x[start + j] as number) / (y[j] as number);
    }
  },
} satisfies Record<string, Loop<Float32Array>>;

const FUNCTIONS = {
  add: (x: number, y: number) => x + y,
  subtract: (x: number, y: number) => x - y,
  multiply: (x: number, y: number) => x * y,
  divide: (x: number, y: number) => x / y,
};

type Operation = keyof typeof FUNCTIONS;

function mixedLoop(operation: Operation, out: TensorData, x: TensorData, y: TensorData, period: number): void {
  const f = FUNCTIONS[operation];
  for (let start = 0; start < out.length; start += period) {
    for (let j = 0; j < period; j++) out[start + j] = f(x[start + j] as number, y[j] as number);
  }
}

/** A number is no float32 in general: the loops keep its float64. */
const NUMBER_LOOPS = {
  add(out, x, y) {
    for (let i = 0; i < out.length; i++) out[i] = (x[i] as number) + y;
  },
  subtract(out, x, y) {
    for (let i = 0; i < out.length; i++) out[i] = (x[i] as number) - y;
  },
  multiply(out, x, y) {
    for (let i = 0; i < out.length; i++) out[i] = (x[i] as number) * y;
  },
  divide(out, x, y) {
    for (let i = 0; i < out.length; i++) out[i] = (x[i] as number) / y;
  },
} satisfies Record<string, (out: Float32Array, x: Float32Array, y: number) => void>;

function combine(operation: Operation, a: Tensor | number, b: Tensor | number): Tensor {
  if (typeof a === "number") return fromNumber(operation, a, b);
  requireKind("tensor", a, "a", operation);
  if (typeof b !== "number") requireKind("tensor", b, "b", operation);
  const isDouble = a.dtype === "float64" || (typeof b !== "number" && b.dtype === "float64");
  const out = dataForResult(isDouble ? "float64" : "float32", a.size);
  const x = rawData(a);
  const isSingle = out instanceof Float32Array && x instanceof Float32Array;
  if (isSingle && typeof b === "number") NUMBER_LOOPS[operation](out, x, b);
  else {
    const y = typeof b === "number" ? Float64Array.of(b) : spread(operation, a, b);
    if (out.length > 0) {
      if (isSingle && y instanceof Float32Array) FLOAT32_LOOPS[operation](out, x, y, y.length);
      else mixedLoop(operation, out, x, y, y.length);
    }
  }
  return tensorOf(a.axes, a.shape, out);
}

/** `out[i] = a ∘ b[i]` */
function fromNumber(operation: Operation, a: number, b: Tensor | number): Tensor {
  requireKind("tensor", b, "b", operation);
  const t = b as Tensor;
  const f = FUNCTIONS[operation];
  const y = rawData(t);
  const out = dataForResult(t.dtype === "float64" ? "float64" : "float32", t.size);
  for (let i = 0; i < out.length; i++) out[i] = f(a, y[i] as number);
  return tensorOf(t.axes, t.shape, out);
}

/**
 * The elements of `b` in the order of `a`'s: once where its axes are `a`'s last ones, otherwise repeated along those it
 * lacks.
 */
export function spread(operation: string, a: Tensor, b: Tensor): TensorData {
  const strides: number[] = new Array<number>(a.rank).fill(0);
  for (const [i, name] of b.names.entries()) {
    const place = a.names.indexOf(name);
    if (place < 0) {
      throw new AxisError(
        `the second operand has an axis "${name}" that the first lacks: a is ${describeTensor(a)}, b is ${describeTensor(b)}. Rename it or swap the operands.`,
        { operation, argument: "b", expected: a.names, actual: b.names },
      );
    }
    if (a.shape[place] !== b.shape[i]) {
      throw new ShapeError(
        `axis "${name}" has size ${a.shape[place]} in the first operand and ${b.shape[i]} in the second: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`,
        { operation, argument: "b", expected: a.shape[place], actual: b.shape[i] },
      );
    }
    strides[place] = b.strides[i] ?? 0;
  }
  if (b.rank > 0 && b.names.every((name, i) => name === a.names[a.rank - b.rank + i])) return repeated(b);
  const out = dataForResult(b.dtype, a.size);
  copyStrided(rawStorage(b), { shape: a.shape, strides, offset: b.offset }, out);
  return out;
}

/** The elements of a tensor, once where it repeats them along its first axes, as positions along prompts. */
function repeated(b: Tensor): TensorData {
  let first = 0;
  while (first < b.rank - 1 && b.strides[first] === 0) first++;
  const shape = b.shape.slice(first);
  const lies = rowMajorStrides(shape).every((stride, i) => stride === b.strides[first + i]);
  const size = shape.reduce((product, n) => product * n, 1);
  return first > 0 && lies && b.size > 0 ? rawStorage(b).subarray(b.offset, b.offset + size) : rawData(b);
}

/**
 * The sum `a + b`; `b` is a number or a tensor whose axes are among `a`'s, or `a` is a number.
 *
 * @throws {@link AxisError} when `b` has an axis that `a` lacks; {@link ShapeError} when sizes differ.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, add } from "transformer-circuits";
 *
 * const resid = Tensor.fromNested("pos d_model", [[1, 2], [3, 4]]);
 * const bias = Tensor.fromNested("d_model", [10, 20]);
 * console.log(add(resid, bias).toNested());
 * // [ [ 11, 22 ], [ 13, 24 ] ]
 * ```
 */
export function add<B extends string = never, A extends string = B>(
  a: Tensor<A> | number,
  b: Within<A, B> | number,
): Tensor<A> {
  return combine("add", a, b) as Tensor<A>;
}

/**
 * The difference `a − b`; `b` is a number or a tensor whose axes are among `a`'s, or `a` is a number.
 *
 * @throws {@link AxisError} and {@link ShapeError} as {@link add}.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, mean, subtract } from "transformer-circuits";
 *
 * const scores = Tensor.fromNested("query_pos key_pos", [[1, 3], [10, 20]]);
 * console.log(subtract(scores, mean(scores, "key_pos")).toNested());
 * // [ [ -1, 1 ], [ -5, 5 ] ]
 * ```
 */
export function subtract<B extends string = never, A extends string = B>(
  a: Tensor<A> | number,
  b: Within<A, B> | number,
): Tensor<A> {
  return combine("subtract", a, b) as Tensor<A>;
}

/**
 * The product `a · b`, element by element; `b` is a number or a tensor whose axes are among `a`'s, or `a` is a
 * number.
 *
 * @throws {@link AxisError} and {@link ShapeError} as {@link add}.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, multiply } from "transformer-circuits";
 *
 * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.5, 0.5]]);
 * const valueNorms = Tensor.fromNested("key_pos", [2, 6]);
 * console.log(multiply(pattern, valueNorms).toNested());
 * // [ [ 2, 0 ], [ 1, 3 ] ]
 * ```
 */
export function multiply<B extends string = never, A extends string = B>(
  a: Tensor<A> | number,
  b: Within<A, B> | number,
): Tensor<A> {
  return combine("multiply", a, b) as Tensor<A>;
}

/**
 * The quotient `a / b`, element by element; `b` is a number or a tensor whose axes are among `a`'s, or `a` is a
 * number.
 *
 * @throws {@link AxisError} and {@link ShapeError} as {@link add}.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, divide, sum } from "transformer-circuits";
 *
 * const counts = Tensor.fromNested("pos d_vocab", [[1, 3], [2, 0]]);
 * console.log(divide(counts, sum(counts, "d_vocab")).toNested());
 * // [ [ 0.25, 0.75 ], [ 1, 0 ] ]
 * ```
 */
export function divide<B extends string = never, A extends string = B>(
  a: Tensor<A> | number,
  b: Within<A, B> | number,
): Tensor<A> {
  return combine("divide", a, b) as Tensor<A>;
}

/**
 * A function of each element.
 *
 * @param t - any tensor; int32 gives float32.
 * @param f - called with each element in row-major order.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, map } from "transformer-circuits";
 *
 * console.log(map(Tensor.fromNested("pos", [1, 4, 9]), Math.sqrt).toNested());
 * // [ 1, 2, 3 ]
 * ```
 */
export function map<A extends string>(t: Tensor<A>, f: (value: number) => number): Tensor<A> {
  requireKind("tensor", t, "t", "map");
  requireKind("function", f, "f", "map");
  const out = dataForResult(t.dtype === "float64" ? "float64" : "float32", t.size);
  const x = rawData(t);
  for (let i = 0; i < out.length; i++) out[i] = f(x[i] as number);
  return Tensor.from(t.axes, t.shape, out);
}

/**
 * The same numbers in another dtype; int32 drops what follows the decimal point.
 *
 * @returns the tensor itself where it has that dtype already.
 * @throws {@link InputError} when a number is NaN or too large for int32.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { astype } from "transformer-circuits/tensor";
 *
 * const single = Tensor.fromNested("pos", [0.1, 2.7]);
 * console.log(astype(single, "float64").at(0) - 0.1 < 2e-9, astype(single, "int32").toNested());
 * // true [ 0, 2 ]
 * ```
 */
export function astype<A extends string>(t: Tensor<A>, dtype: DType): Tensor<A> {
  requireKind("tensor", t, "t", "astype");
  if (t.dtype === dtype) return t;
  if (!DTYPES.includes(dtype)) throw noSuchDType(dtype, "astype");
  const data = rawData(t);
  return Tensor.from(t.axes, t.shape, dtype === "int32" ? integersOf(data, "astype", true) : data, dtype);
}
