/**
 * Attention, and questions to the rows of a product, made of matrix products and softmax of a block at a time: what
 * serves where there is no kernel that does it in one pass.
 */
import { checkAttention, checkRowScreen } from "../checks.ts";
import type {
  AttentionArgs,
  CausalSoftmaxArgs,
  HeadVectorsView,
  MatmulArgs,
  MatrixView,
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
