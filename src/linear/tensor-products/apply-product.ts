/** Tensor products applied to streams, and multiplied out. */
import { AxisError, InputError, ShapeError, requireKind } from "../../errors.ts";
import { kernels, matrix } from "../../kernels/index.ts";
import { astype, Tensor } from "../../tensor/index.ts";
import { describeTensor } from "../../tensor/internal.ts";
import { multiplyInto } from "../chain.ts";
import { halvesOf } from "../collapse.ts";
import { toDense } from "../dense.ts";
import { matrixFactor } from "../factor.ts";
import type { MatrixFactor } from "../factor.ts";
import type { PositionFactor, TensorProduct } from "./tensor-product.ts";
import { TENSOR_PRODUCT } from "./tensor-product.ts";

/** One stream after another, `[batch, pos, width]`, row-major. */
interface Rows {
  readonly batch: number;
  readonly pos: number;
  readonly width: number;
  readonly data: Float64Array;
}

/**
 * A tensor product applied to a stream: $(A \otimes W)\, x = A\, x\, W$, features mapped to their narrowest place
 * first, then positions, then the rest.
 *
 * @param x - `[batch, pos, In]`.
 * @returns `[batch, pos, Out]`, float64 when `x` is, otherwise float32; sums are float64.
 * @throws {@link AxisError} when the last axis is not the space that the product takes; {@link ShapeError} when the
 * features, positions or prompts differ in number.
 * @category Tensor products
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { applyProduct, identityMap, tensorProduct } from "transformer-circuits/linear";
 *
 * const first = Tensor.fromNested("query_pos key_pos", [[1, 0], [1, 0]]);
 * const x = Tensor.fromNested("batch pos d_model", [[[1, 2], [3, 4]]]);
 * console.log(applyProduct(x, tensorProduct(first, identityMap("d_model", 2))).toNested());
 * // [ [ [ 1, 2 ], [ 1, 2 ] ] ]
 * ```
 */
export function applyProduct<In extends string, Out extends string>(
  x: Tensor<`batch pos ${In}`>,
  product: TensorProduct<NoInfer<In>, Out>,
): Tensor<`batch pos ${Out}`> {
  requireKind("tensor", x, "x", "applyProduct");
  requireKind(TENSOR_PRODUCT, product, "product", "applyProduct");
  const { features } = product;
  checkStream(x, product);
  const [batch = 0, pos = 0, width = 0] = x.shape;
  let rows: Rows = { batch, pos, width, data: astype(x as Tensor, "float64").data as Float64Array };
  const axes = `batch pos ${features.out}` as const;
  if (features.factors.length === 0) {
    rows = alongPositions(rows, product.positions);
    const data = features.coefficient === 1 ? rows.data : rows.data.map((v) => features.coefficient * v);
    return finished(axes, { ...rows, data }, x.dtype);
  }
  const { left, right } = halvesOf(features);
  rows = alongPositions(times(rows, left), product.positions);
  return finished(axes, times(rows, right), x.dtype);
}

/**
 * The position side of a tensor product multiplied out: of a virtual head, its attention pattern $A^{h_2} A^{h_1}$.
 *
 * @param positions - how many positions, where the product takes any number (`Id ⊗ W`).
 * @returns `[batch, query_pos, key_pos]`, float64; a batch of 1 where it is the same for all prompts.
 * @throws {@link InputError} when the number of positions is not known and not given.
 * @category Tensor products
 * @example
 * ```ts
 * import { composeProducts, positionMatrixOf, tensorProduct } from "transformer-circuits/linear";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { cache } = model.run([0, 300, 301, 300]);
 * const [early, late] = [model.head("L0H5"), model.head("L1H4")];
 * const first = tensorProduct(cache.get("blocks.0.attn.hook_pattern").select("head", 5), early.W_OV);
 * const second = tensorProduct(cache.get("blocks.1.attn.hook_pattern").select("head", 4), late.W_OV);
 * const pattern = positionMatrixOf(composeProducts(first, second));
 * console.log(String(pattern), pattern.at(0, 0, 0).toFixed(3));
 * // Tensor[batch=1 query_pos=4 key_pos=4] float64 1.000
 * ```
 */
export function positionMatrixOf(product: TensorProduct, positions = product.keys): Tensor<"batch query_pos key_pos"> {
  requireKind(TENSOR_PRODUCT, product, "product", "positionMatrixOf");
  if (positions === undefined || !Number.isSafeInteger(positions) || positions < 0 || positions > 2 ** 14) {
    throw new InputError(
      `${String(product)} leaves positions as they are, however many there are. Say how many: positionMatrixOf(product, 64).`,
      { operation: "positionMatrixOf", argument: "positions", actual: positions },
    );
  }
  const batch = product.batch ?? 1;
  const data = new Float64Array(batch * positions * positions);
  for (let b = 0; b < batch; b++) for (let i = 0; i < positions; i++) data[(b * positions + i) * positions + i] = 1;
  const rows = alongPositions({ batch, pos: positions, width: positions, data }, product.positions);
  return Tensor.from("batch query_pos key_pos", [batch, rows.pos, positions], rows.data);
}

/** 2 GiB of float64. */
const MOST_ENTRIES = 2 ** 28;

/**
 * A tensor product written as one dense matrix, the Kronecker product of $A$ and $W^\top$: what it does to a stream
 * laid out in one vector, position after position. For checks and small sizes; everything else applies the two sides
 * one by one.
 *
 * @param options - `prompt`, which of the prompts (0); `positions`, where the product takes any number.
 * @returns `[target, source]`, `query_pos · Out` by `key_pos · In`, float64.
 * @throws {@link InputError} when there is no such prompt, the number of positions is not known, or the matrix would
 * have more than 2^28 entries.
 * @category Tensor products
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, tensorProduct, toDenseKronecker } from "transformer-circuits/linear";
 *
 * const A = Tensor.fromNested("query_pos key_pos", [[1, 0], [2, 3]]);
 * const W = linear("a", "b", Tensor.fromNested("a b", [[1], [10]]));
 * console.log(toDenseKronecker(tensorProduct(A, W)).toNested());
 * // [ [ 1, 10, 0, 0 ], [ 2, 20, 3, 30 ] ]
 * ```
 */
export function toDenseKronecker(
  product: TensorProduct,
  options: { readonly prompt?: number | undefined; readonly positions?: number | undefined } = {},
): Tensor<"target source"> {
  requireKind(TENSOR_PRODUCT, product, "product", "toDenseKronecker", options, "prompt positions");
  const { prompt = 0 } = options;
  const operation = "toDenseKronecker";
  const prompts = product.batch ?? 1;
  if (!Number.isInteger(prompt) || prompt < 0 || prompt >= prompts) {
    throw new InputError(`there is no prompt ${prompt}; the product holds for 0 to ${prompts - 1}.`, {
      operation,
      argument: "prompt",
      expected: [0, prompts - 1],
      actual: prompt,
    });
  }
  const A = positionMatrixOf(product, options.positions ?? product.keys);
  const [, queries = 0, keys = 0] = A.shape;
  const { rows, cols } = product.features;
  const [height, width] = [queries * cols, keys * rows];
  if (height * width > MOST_ENTRIES) {
    throw new InputError(
      `${height} x ${width} entries would take ${((height * width) / 2 ** 27).toFixed(1)} GiB; at most 2 GiB are made at once. Use applyProduct.`,
      { operation, argument: "product", expected: MOST_ENTRIES, actual: height * width },
    );
  }
  const W = toDense(product.features).data;
  const out = new Float64Array(height * width);
  for (let i = 0; i < queries; i++) {
    for (let j = 0; j < keys; j++) {
      const a = A.at(prompt, i, j);
      if (a === 0) continue;
      for (let c = 0; c < cols; c++) {
        const start = (i * cols + c) * width + j * rows;
        for (let r = 0; r < rows; r++) out[start + r] = a * (W[r * cols + c] as number);
      }
    }
  }
  return Tensor.from("target source", [height, width], out);
}

function checkStream(x: Tensor, product: TensorProduct): void {
  const { features } = product;
  const operands = `x is ${describeTensor(x)}, the product is ${String(product)}`;
  const details = { operation: "applyProduct", argument: "x" };
  if (x.axes !== `batch pos ${features.in}`) {
    throw new AxisError(`${operands}. It takes a stream [batch pos ${features.in}].`, {
      ...details,
      expected: `batch pos ${features.in}`,
      actual: x.axes,
    });
  }
  const [batch, pos, width] = x.shape;
  if (width !== features.rows) {
    throw new ShapeError(`sizes differ: ${operands}. Are they of the same model?`, {
      ...details,
      expected: features.rows,
      actual: width,
    });
  }
  if (pos !== (product.keys ?? pos) || batch !== (product.batch ?? batch)) {
    throw new ShapeError(
      `prompts differ: ${operands} for ${product.batch ?? "any number of"} prompts of ${product.keys} positions. Are they of the same run?`,
      { ...details, expected: [product.batch, product.keys], actual: [batch, pos] },
    );
  }
}

function times(rows: Rows, matrix: MatrixFactor): Rows {
  const count = rows.batch * rows.pos;
  const data = new Float64Array(count * matrix.cols);
  multiplyInto(data, matrixFactor(count, rows.width, rows.data), matrix, false);
  return { ...rows, width: matrix.cols, data };
}

function alongPositions(rows: Rows, factors: readonly PositionFactor[]): Rows {
  return factors.reduce((x, factor) => (factor.kind === "diagonal" ? scaled(x, factor) : moved(x, factor)), rows);
}

function scaled(rows: Rows, { batch, data: scales }: PositionFactor): Rows {
  const { width, pos } = rows;
  const data = rows.data.map((v, t) => {
    const row = Math.floor(t / width);
    return v * (scales[batch === undefined ? row % pos : row] as number);
  });
  return { ...rows, data };
}

function moved(rows: Rows, { batch, queries, keys, data: A }: PositionFactor): Rows {
  const { width } = rows;
  const data = new Float64Array(rows.batch * queries * width);
  kernels().matmul({
    batch: rows.batch,
    m: queries,
    n: width,
    k: keys,
    a: matrix(A, keys, batch === undefined ? 0 : queries * keys),
    b: matrix(rows.data, width, keys * width),
    out: matrix(data, width, queries * width),
  });
  return { ...rows, pos: queries, data };
}

function finished<A extends string>(axes: A, rows: Rows, dtype: Tensor["dtype"]): Tensor<A> {
  const data = dtype === "float64" ? rows.data : Float32Array.from(rows.data);
  return Tensor.from(axes, [rows.batch, rows.pos, rows.width], data);
}
