/**
 * From maps to tensors: the axes that a map's numbers bear, the one function that multiplies a map out, and applying
 * a map to vectors.
 */
import type { InitAxes, Join, LastAxis } from "../axes.ts";
import { AxisError, InputError, ShapeError, requireKind } from "../errors.ts";
import { allocate } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { astype, Tensor } from "../tensor/index.ts";
import { describeTensor } from "../tensor/internal.ts";
import { multiplyChain } from "./chain.ts";
import { cheapest, matricesOf, multiplyOut } from "./collapse.ts";
import { matrixFactor, toFloat64 } from "./factor.ts";
import type { Product } from "./factor.ts";
import { baseOf, describeMap, type Linear, LINEAR_MAP } from "./linear.ts";

/**
 * A space without its star: `BaseSpace<"d_model*">` is `"d_model"`.
 * @category Linear maps
 */
export type BaseSpace<S extends string> = string extends S ? string : S extends `${infer Space}*` ? Space : S;

/**
 * The axes of a map's numbers as a tensor: the two spaces, `"d_vocab d_model"`; or, where they are one space (a star
 * aside) and two axes cannot share a name, `"d_vocab_in d_vocab_out"`.
 * @category Linear maps
 */
export type MatrixAxes<In extends string, Out extends string> = string extends In
  ? string
  : string extends Out
    ? string
    : [BaseSpace<In>] extends [BaseSpace<Out>]
      ? `${BaseSpace<In>}_in ${BaseSpace<Out>}_out`
      : `${In} ${Out}`;

/** {@link MatrixAxes} at run time. */
function matrixAxes<In extends string, Out extends string>(f: Linear<In, Out>): MatrixAxes<In, Out> {
  const [from, to] = [baseOf(f.in), baseOf(f.out)];
  return (from === to ? `${from}_in ${to}_out` : `${f.in} ${f.out}`) as MatrixAxes<In, Out>;
}

/** 2 GiB of float64. */
const MOST_ENTRIES = 2 ** 28;

/** The numbers of a product as a float64 tensor with the axes of the map it comes from. */
export function denseTensor<In extends string, Out extends string>(
  f: Linear<In, Out>,
  product: Product,
  operation: string,
): Tensor<MatrixAxes<In, Out>> {
  const { rows, cols } = product;
  if (rows * cols > MOST_ENTRIES) {
    const gibibytes = ((rows * cols) / 2 ** 27).toFixed(1);
    throw new InputError(
      `${rows} x ${cols} entries of ${describeMap(f)} would take ${gibibytes} GiB; at most 2 GiB are made at once. Ask for fewer rows or columns (restrict), or for what you need of them (topKPerRow, diagonalOf, singularValuesOf).`,
      { operation, argument: "f", expected: MOST_ENTRIES, actual: rows * cols },
    );
  }
  return Tensor.from(matrixAxes(f), [rows, cols], multiplyOut(product));
}

/**
 * Multiplies a map out: its matrix in float64. The only function that does; for vocabulary-sized maps ask for rows,
 * columns or largest entries instead.
 *
 * @returns `[in, out]`, with axes {@link MatrixAxes}.
 * @throws {@link InputError} when the matrix would have more than 2^28 entries (2 GiB).
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose, toDense } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[1], [2]]));
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[3, 4]]));
 * const W_OV = toDense(compose(W_V, W_O));
 * console.log(W_OV.axes);
 * // d_model_in d_model_out
 * console.log(W_OV.toNested());
 * // [ [ 3, 4 ], [ 6, 8 ] ]
 * ```
 */
export function toDense<In extends string, Out extends string>(f: Linear<In, Out>): Tensor<MatrixAxes<In, Out>> {
  requireKind(LINEAR_MAP, f, "f", "toDense");
  return denseTensor(f, cheapest(f), "toDense");
}

/**
 * Applies a map to row vectors, `x f`: through the factors one by one, or through their product, whichever is cheaper.
 *
 * @param x - `[..., in]`: its last axis is the space that `f` takes.
 * @returns `[..., out]`, float64 when `x` is, otherwise float32; sums are float64.
 * @throws {@link AxisError} when the last axis of `x` is not the space that `f` takes; {@link ShapeError} when sizes
 * differ or `x` has no axes; {@link InputError} when numbers that are not finite make NaN of the product.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, applyMap } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const W_U = linear("d_model", "d_vocab", Tensor.fromNested("d_model d_vocab", [[1, 0, 2], [0, 1, 3]]));
 * const resid = Tensor.fromNested("pos d_model", [[1, 1], [2, -1]]);
 * console.log(applyMap(resid, W_U).toNested());
 * // [ [ 1, 1, 5 ], [ 2, -1, 1 ] ]
 * ```
 */
export function applyMap<A extends string, Out extends string>(
  x: Tensor<A>,
  f: Linear<NoInfer<LastAxis<A>>, Out>,
): Tensor<Join<InitAxes<A>, Out>> {
  requireKind("tensor", x, "x", "applyMap");
  requireKind(LINEAR_MAP, f, "f", "applyMap");
  const operation = "applyMap";
  const given = x.names[x.rank - 1];
  const size = x.shape[x.rank - 1];
  const operands = `x is ${describeTensor(x)}, the map is ${describeMap(f)}`;
  if (given === undefined || size === undefined) {
    throw new ShapeError(`x has no axes, so no vectors to map: ${operands}.`, { operation, argument: "x", actual: 0 });
  }
  if (given !== f.in) {
    throw new AxisError(
      `spaces differ: ${operands}. x ends with ${given}=${size} but the map takes ${f.in}=${f.rows}.`,
      { operation, argument: "f", expected: given, actual: f.in },
    );
  }
  if (size !== f.rows) {
    throw new ShapeError(`sizes differ: ${operands}. Are they of the same model?`, {
      operation,
      argument: "f",
      expected: size,
      actual: f.rows,
    });
  }
  const floats = x.dtype === "int32" ? astype(x, "float64") : x;
  const count = x.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const product = cheapest(f);
  const rows = matrixFactor(count, size, floats.data as FloatArray);
  const numbers = toFloat64(multiplyChain([rows, ...matricesOf(product)]), product.coefficient);
  if (holdsNaN(numbers) && !holdsNaN(floats.data)) {
    throw new InputError(
      `the map or x holds numbers that are not finite, and products with them are undefined: ${operands}. Replace them, or mask scores after the product.`,
      { operation, argument: "f", expected: "finite numbers" },
    );
  }
  const axes = [...x.names.slice(0, -1), f.out].join(" ") as Join<InitAxes<A>, Out>;
  return Tensor.from(
    axes,
    [...x.shape.slice(0, -1), f.cols],
    floats.dtype === "float64" ? numbers : toFloat32(numbers),
  );
}

function holdsNaN(numbers: ArrayLike<number>): boolean {
  for (let i = 0; i < numbers.length; i++) if (Number.isNaN(numbers[i])) return true;
  return false;
}

function toFloat32(numbers: Float64Array): Float32Array {
  const out = allocate(numbers.length);
  out.set(numbers);
  return out;
}
