/** Matrix products by axis name, over the kernel. */
import type { InitAxes, Join, LastAxis } from "../axes.ts";
import { AxisError, ShapeError, requireKind } from "../errors.ts";
import { kernels, matrix } from "../kernels/index.ts";
import type { FloatArray, MatmulArgs, MatrixView } from "../kernels/index.ts";
import { kernelStorage, packedView, reshaped, tensorOf, tensorOfNames } from "./raw.ts";
import { describeTensor } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";
import { dataForResult } from "./storage.ts";
import { astype } from "./elementwise.ts";

type NoInferLast<A extends string> = LastAxis<NoInfer<A>>;

/**
 * The matrix product `a @ b` over the last axis of `a` and the first of `b`, which must bear the same name: rows times
 * a matrix, `matmul(resid, W_U)`. Any leading axes of `a` are rows.
 *
 * Products of float32 are summed in float32 where WebAssembly runs: 256 terms in a register, then the sums of 256; see
 * docs/numerics.md. Products with a float64 operand are summed in float64.
 *
 * @param a - `[..., inner]`.
 * @param b - `[inner, out]`.
 * @returns `[..., out]`.
 * @throws {@link AxisError} when the joined axes differ in name; {@link ShapeError} when they differ in size or `b` is
 * not a matrix.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, matmul } from "transformer-circuits";
 *
 * const resid = Tensor.fromNested("pos d_model", [[1, 0], [1, 1]]);
 * const W_U = Tensor.fromNested("d_model d_vocab", [[1, 2, 3], [10, 20, 30]]);
 * console.log(matmul(resid, W_U).toNested());
 * // [ [ 1, 2, 3 ], [ 11, 22, 33 ] ]
 * ```
 */
export function matmul<A extends string, J extends string>(
  a: Tensor<A>,
  b: Tensor<string extends A ? string : `${NoInferLast<A>} ${J}`>,
): Tensor<Join<InitAxes<A>, J>> {
  requireKind("tensor", a, "a", "matmul");
  requireKind("tensor", b, "b", "matmul");
  const operation = "matmul";
  if (a.rank < 1 || b.rank !== 2) {
    throw new ShapeError(
      `takes rows [..., inner] and a matrix [inner, out]: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`,
      { operation, argument: b.rank === 2 ? "a" : "b", expected: 2, actual: b.rank },
    );
  }
  const inner = a.names[a.rank - 1] ?? "";
  const [from = "", to = ""] = b.names;
  const k = a.shape[a.rank - 1] ?? 0;
  const [kOther = 0, n = 0] = b.shape;
  if (inner !== from) {
    const hint = inner === to ? ` Did you mean b.permute("${to} ${from}")?` : "";
    throw new AxisError(
      `inner axes differ: a is ${describeTensor(a)}, b is ${describeTensor(b)}. a ends with ${inner}=${k} but b starts with ${from}=${kOther}.${hint}`,
      { operation, argument: "b", expected: inner, actual: from },
    );
  }
  if (k !== kOther) {
    throw new ShapeError(
      `axis "${inner}" has size ${k} in a and ${kOther} in b: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`,
      { operation, argument: "b", expected: k, actual: kOther },
    );
  }
  if (a.rank === 2) {
    const m = a.shape[0] ?? 0;
    return tensorOfNames([a.names[0] ?? "", to], [m, n], product(a, b, 1, m, n, k));
  }
  const rowShape = a.shape.slice(0, -1);
  let m = 1;
  for (const size of rowShape) m *= size;
  const out = product(reshaped(a, "rows inner", [m, k]), b, 1, m, n, k);
  return tensorOfNames([...a.names.slice(0, -1), to], [...rowShape, n], out);
}

/**
 * The product of two stacks of matrices that share their first axis, `[stack, rows, inner] @ [stack, inner, out]`: the
 * axis that the stacks share and the inner axis must bear the same names.
 *
 * @returns `[stack, rows, out]`.
 * @throws {@link AxisError} when names differ or clash; {@link ShapeError} when sizes differ.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { batchMatmul } from "transformer-circuits/tensor";
 *
 * const pattern = Tensor.fromNested("head query_pos key_pos", [[[1, 0], [0.5, 0.5]]]);
 * const v = Tensor.fromNested("head key_pos d_head", [[[2], [4]]]);
 * console.log(batchMatmul(pattern, v).toNested());
 * // [ [ [ 2 ], [ 3 ] ] ]
 * ```
 */
export function batchMatmul<B extends string, I extends string, K extends string, J extends string>(
  a: Tensor<`${B} ${I} ${K}`>,
  b: Tensor<`${NoInfer<B>} ${NoInfer<K>} ${J}`>,
): Tensor<`${B} ${I} ${J}`> {
  requireKind("tensor", a, "a", "batchMatmul");
  requireKind("tensor", b, "b", "batchMatmul");
  const operation = "batchMatmul";
  if (a.rank !== 3 || b.rank !== 3) {
    throw new ShapeError(
      `takes [stack, rows, inner] and [stack, inner, out]: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`,
      { operation, argument: a.rank === 3 ? "b" : "a", expected: 3, actual: a.rank === 3 ? b.rank : a.rank },
    );
  }
  for (const [i, j] of [
    [0, 0],
    [2, 1],
  ] as const) {
    if (a.names[i] !== b.names[j]) {
      throw new AxisError(
        `${i === 0 ? "stacked" : "inner"} axes differ: a is ${describeTensor(a)}, b is ${describeTensor(b)}. a has ${a.names[i]} but b has ${b.names[j]}.`,
        { operation, argument: "b", expected: a.names[i], actual: b.names[j] },
      );
    }
    if (a.shape[i] !== b.shape[j]) {
      throw new ShapeError(
        `axis "${a.names[i]}" has size ${a.shape[i]} in a and ${b.shape[j]} in b: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`,
        { operation, argument: "b", expected: a.shape[i], actual: b.shape[j] },
      );
    }
  }
  const [batch = 0, m = 0, k = 0] = a.shape;
  const n = b.shape[2] ?? 0;
  const out = product(a, b, batch, m, n, k);
  const axes = `${a.names[0]} ${a.names[1]} ${b.names[2]}` as `${B} ${I} ${J}`;
  return tensorOf(axes, [batch, m, n], out);
}

function product(a: Tensor, b: Tensor, batch: number, m: number, n: number, k: number): FloatArray {
  const dtype = a.dtype === "float64" || b.dtype === "float64" ? "float64" : "float32";
  const out = dataForResult(dtype, batch * m * n) as FloatArray;
  const view = matrix(out, n, m * n);
  kernels().matmul({ batch, m, n, k, a: matrixView(a), ...rightOperand(b, m), out: view });
  return out;
}

/** A right operand of fewer numbers lies in the near cache as it is. */
const LEAST_PACKED = 8192;
/** Products of fewer rows read their right operand as it lies. */
const LEAST_ROWS = 8;

/** A rank 2 or 3 tensor as the right operand of a product of `m` rows: packed too, where it has been one before. */
export function rightOperand(t: Tensor, m: number): Pick<MatmulArgs, "b" | "packed"> {
  const b = matrixView(t);
  if (t.size < LEAST_PACKED || m < LEAST_ROWS || t.dtype !== "float32") return { b, packed: undefined };
  const [batch, k, n] = t.rank === 3 ? t.shape : [1, ...t.shape];
  return { b, packed: packedView(t, b, batch ?? 0, k ?? 0, n ?? 0) };
}

/** A rank 2 or 3 tensor as the kernels take it. */
export function matrixView(t: Tensor): MatrixView {
  const f = t.dtype === "int32" ? astype(t, "float32") : t;
  const { strides, offset } = f;
  const rank = strides.length;
  return {
    data: kernelStorage(f) as FloatArray,
    offset,
    rowStride: strides[rank - 2] ?? 0,
    colStride: strides[rank - 1] ?? 0,
    batchStride: rank === 3 ? (strides[0] ?? 0) : 0,
  };
}
