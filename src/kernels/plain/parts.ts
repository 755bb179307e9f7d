/**
 * Attention, losses, and questions to the rows of a product, made of matrix products and softmax of a block at a time:
 * what serves where there is no kernel that does it in one pass.
 */
import { checkAttention, checkProductCrossEntropy, checkRowScreen } from "../checks.ts";
import type {
  AttentionArgs,
  CausalSoftmaxArgs,
  CrossEntropyArgs,
  HeadVectorsView,
  MatmulArgs,
  MatrixView,
  ProductCrossEntropyArgs,
  SoftmaxArgs,
} from "../interface.ts";
import { matrix, transposed } from "../view.ts";
import type { RowScreenArgs } from "../weights-interface.ts";

/** The kernel that questions to the rows of a product are made of. */
export interface Multiplies {
  matmul(args: MatmulArgs): void;
}

/** The kernels that attention is made of. */
export interface Parts extends Multiplies {
  softmax(args: SoftmaxArgs): void;
  causalSoftmax(args: CausalSoftmaxArgs): void;
}

/** The kernels that losses of a product are made of. */
export interface LossParts extends Multiplies {
  crossEntropy(args: CrossEntropyArgs): void;
}

/** Logits that are there at once. */
const MOST_LOGITS = 2 ** 20;

/** Losses by way of the logits of some rows at a time: float32 where the operands are. */
export function crossEntropyByParts(parts: LossParts, args: ProductCrossEntropyArgs): void {
  checkProductCrossEntropy(args);
  const { rows, cols, k, a, b, packed, bias, targets, output } = args;
  const some = Math.max(1, Math.min(rows, Math.floor(MOST_LOGITS / Math.max(1, cols))));
  const areFloat32 = [a, b].every(({ data }) => data instanceof Float32Array);
  const logits = areFloat32 ? new Float32Array(some * cols) : new Float64Array(some * cols);
  for (let first = 0; first < rows; first += some) {
    const m = Math.min(some, rows - first);
    const left = { ...a, offset: a.offset + first * a.rowStride };
    parts.matmul({ batch: 1, m, n: cols, k, a: left, b, packed, out: matrix(logits, cols) });
    if (bias !== undefined) {
      for (let at = 0; at < m * cols; at += cols) for (let j = 0; j < cols; j++) logits[at + j]! += bias[j]!;
    }
    const place = { rows: m, cols, logits, logitsOffset: 0 };
    parts.crossEntropy({ ...place, targets: targets.subarray(first), output: output.subarray(first) });
  }
}

const headView = ({ data, offset, rowStride, headStride, batchStride }: HeadVectorsView, b: number): MatrixView =>
  matrix(data, rowStride, headStride, offset + b * batchStride);

/** Attention by way of all scores of a prompt, in float64. */
export function attentionByParts(parts: Parts, args: AttentionArgs): void {
  checkAttention(args);
  const { batch, heads, queries, keys, width, valueWidth, q, k, v, out } = args;
  const scores = new Float64Array(heads * queries * keys);
  const scoresView = matrix(scores, keys, queries * keys);
  for (let b = 0; b < batch; b++) {
    const kT = transposed(headView(k, b));
    parts.matmul({ batch: heads, m: queries, n: keys, k: width, a: headView(q, b), b: kT, out: scoresView });
    for (let i = 0; i < scores.length; i++) scores[i] = scores[i]! / args.scale;
    if (args.isCausal) {
      const { queryOffset } = args;
      const causal = { batch: heads, queries, keys, scores, scoresOffset: 0, output: scores, outputOffset: 0 };
      parts.causalSoftmax({ ...causal, queryOffset });
    } else {
      const rows = {
        rows: heads * queries,
        cols: keys,
        input: scores,
        inputOffset: 0,
        output: scores,
        outputOffset: 0,
      };
      parts.softmax(rows);
    }
    const into = headView(out, b);
    parts.matmul({ batch: heads, m: queries, n: valueWidth, k: keys, a: scoresView, b: headView(v, b), out: into });
  }
}

/** Numbers of the product that exist at a time. */
const BLOCK_NUMBERS = 2 ** 20;

function forEachBlock(
  parts: Multiplies,
  { m, n, k, a, b }: RowScreenArgs,
  take: (row: Float32Array, i: number) => void,
): void {
  const rows = Math.max(1, Math.min(m, Math.floor(BLOCK_NUMBERS / Math.max(n, 1))));
  const block = new Float32Array(rows * n);
  for (let first = 0; first < m; first += rows) {
    const count = Math.min(rows, m - first);
    const out = matrix(block, n);
    parts.matmul({ batch: 1, m: count, n, k, a: { ...a, offset: a.offset + first * a.rowStride }, b, out });
    for (let i = 0; i < count; i++) take(block.subarray(i * n, (i + 1) * n), first + i);
  }
}

/**
 * The entries of one row that are above its bar, given the row of the cheap product; shared by all that are written in
 * TypeScript.
 */
export function screenRow(args: RowScreenArgs, row: Float32Array, i: number): void {
  const { keep, most, whole, bars, values, indices, found } = args;
  const high = keep === "between" ? args.highs![i]! : Infinity;
  let bar = bars[i]!;
  let [count, beyond] = [0, 0];
  for (let j = 0; j < row.length; j++) {
    let x = row[j]!;
    if (!(x > bar)) continue;
    if (whole !== undefined) {
      x = Math.fround(wholeEntry(whole, i, j));
      if (!(x > bar)) continue;
    }
    if (x > high) {
      beyond++;
      continue;
    }
    let place = i * most + Math.min(count, most - 1);
    if (keep === "largest") {
      for (; place > i * most && values[place - 1]! < x; place--) {
        values[place] = values[place - 1]!;
        indices[place] = indices[place - 1]!;
      }
    }
    if (keep === "largest" || count < most) {
      values[place] = x;
      indices[place] = j;
    }
    count = keep === "largest" ? Math.min(count + 1, most) : count + 1;
    if (keep === "first" && count === most) break;
    if (keep === "largest" && count === most) bar = values[i * most + most - 1]!;
  }
  found[i] = count;
  if (args.above !== undefined) args.above[i] = beyond;
}

function wholeEntry({ width, a, b }: NonNullable<RowScreenArgs["whole"]>, i: number, j: number): number {
  let sum = 0;
  for (let p = 0; p < width; p++) sum += a[i * width + p]! * b[j * width + p]!;
  return sum;
}

/** Entries above the bars of a product's rows, by blocks of rows. */
export function rowScreenByParts(parts: Multiplies, args: RowScreenArgs): void {
  checkRowScreen(args);
  forEachBlock(parts, args, (row, i) => screenRow(args, row, i));
}
