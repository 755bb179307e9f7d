/**
 * Matrix product as `reference.ts`, except that the operands are packed into Float64Array panels and multiplied in
 * tiles of 4 x 4, which keeps sixteen sums in registers and spares the conversion from float32 in the inner loop.
 *
 * Layout. A panel holds 4 rows of `a` (or 4 columns of `b`) with the four entries of one `p` side by side, short
 * panels padded with zeros. Blocks are at most 256 x 256; sums of a block of `out` stay in float64 until all of `k` is
 * done, so the result is rounded once.
 */
import { checkGram, checkMatmul } from "../checks.ts";
import type { FloatArray, MatmulArgs, MatrixView } from "../interface.ts";
import { addTile, BLOCK, pack, TILE } from "./tiles.ts";
import type { GramArgs } from "../weights-interface.ts";

/** Which loop nest a product takes: dot products, weighted sums of rows of `b`, or packed tiles. */
export type MatmulPath = "nothing" | "dots" | "rows" | "tiles";

/** The path that {@link matmul} takes for these sizes and strides. */
export function matmulPath(args: MatmulArgs): MatmulPath {
  const { batch, m, n, k, b } = args;
  if (batch === 0 || m === 0 || n === 0) return "nothing";
  if (m < TILE && n >= TILE && b.colStride === 1) return "rows";
  if (m < TILE || n < TILE || m * n * k <= 256) return "dots";
  return "tiles";
}

/** One matrix for all of the batch and rows that follow on: the batch is only more rows. */
export function foldBatch(args: MatmulArgs): MatmulArgs {
  const { batch, m, a, b, out } = args;
  const folds =
    batch > 1 && b.batchStride === 0 && a.batchStride === m * a.rowStride && out.batchStride === m * out.rowStride;
  return folds ? { ...args, batch: 1, m: batch * m } : args;
}

/** Batched product in float64 sums over any strides, in plain TypeScript; see {@link MatmulArgs}. */
export function matmul(given: MatmulArgs): void {
  checkMatmul(given);
  const args = foldBatch(given);
  const path = matmulPath(args);
  if (path === "nothing") return;
  for (let t = 0; t < args.batch; t++) {
    if (path === "tiles") multiplyTiles(args, t);
    else if (path === "rows") multiplyRows(args, t);
    else multiplyDots(args, t);
  }
}

/** Gram matrices as products with the operand transposed; see {@link GramArgs}. */
export function gram(args: GramArgs): void {
  checkGram(args);
  const { a, m } = args;
  matmul({ ...args, n: m, b: { ...a, rowStride: a.colStride, colStride: a.rowStride } });
}

function multiplyDots(args: MatmulArgs, t: number): void {
  const { m, n, k, a, b, out } = args;
  const accumulate = args.accumulate === true;
  const left = a.data;
  const right = b.data;
  const target = out.data;
  const aStep = a.colStride;
  const bStep = b.rowStride;
  for (let i = 0; i < m; i++) {
    const aRow = a.offset + t * a.batchStride + i * a.rowStride;
    for (let j = 0; j < n; j++) {
      let ai = aRow;
      let bi = b.offset + t * b.batchStride + j * b.colStride;
      let sum = 0;
      for (let p = 0; p < k; p++) {
        sum += left[ai]! * right[bi]!;
        ai += aStep;
        bi += bStep;
      }
      const at = out.offset + t * out.batchStride + i * out.rowStride + j * out.colStride;
      target[at] = accumulate ? target[at]! + sum : sum;
    }
  }
}

/** Few rows of `a`: each row of the result is a weighted sum of rows of `b`, read in the order they lie in. */
function multiplyRows(args: MatmulArgs, t: number): void {
  const { m, n, k, a, b } = args;
  const { sums } = workingSpace();
  for (let i = 0; i < m; i++) {
    const aRow = a.offset + t * a.batchStride + i * a.rowStride;
    for (let jc = 0; jc < n; jc += sums.length) {
      const nc = Math.min(sums.length, n - jc);
      sums.fill(0, 0, nc);
      const bStart = b.offset + t * b.batchStride + jc;
      addWeightedRows(sums, nc, a.data, aRow, a.colStride, k, b.data, bStart, b.rowStride);
      writeRow(args, t, i, jc, nc, sums);
    }
  }
}

function addWeightedRows(
  sums: Float64Array,
  nc: number,
  weights: FloatArray,
  weightStart: number,
  weightStep: number,
  k: number,
  rows: FloatArray,
  rowStart: number,
  rowStep: number,
): void {
  let p = 0;
  for (; p + 3 < k; p += 4) {
    const w = weightStart + p * weightStep;
    const w0 = weights[w]!;
    const w1 = weights[w + weightStep]!;
    const w2 = weights[w + 2 * weightStep]!;
    const w3 = weights[w + 3 * weightStep]!;
    const r0 = rowStart + p * rowStep;
    const r1 = r0 + rowStep;
    const r2 = r1 + rowStep;
    const r3 = r2 + rowStep;
    for (let j = 0; j < nc; j++) {
      sums[j] = sums[j]! + (w0 * rows[r0 + j]! + w1 * rows[r1 + j]! + (w2 * rows[r2 + j]! + w3 * rows[r3 + j]!));
    }
  }
  for (; p < k; p++) {
    const w = weights[weightStart + p * weightStep]!;
    const r = rowStart + p * rowStep;
    for (let j = 0; j < nc; j++) sums[j] = sums[j]! + w * rows[r + j]!;
  }
}

function writeRow(args: MatmulArgs, t: number, i: number, jc: number, nc: number, sums: Float64Array): void {
  const { out } = args;
  const target = out.data;
  const step = out.colStride;
  const start = out.offset + t * out.batchStride + i * out.rowStride + jc * step;
  if (args.accumulate === true) {
    for (let j = 0; j < nc; j++) target[start + j * step] = target[start + j * step]! + sums[j]!;
  } else {
    for (let j = 0; j < nc; j++) target[start + j * step] = sums[j]!;
  }
}

interface Space {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly sums: Float64Array;
}

let kept: Space | undefined;

/** Working space for one block of each operand and of the sums: 1.5 MiB, made on first use and kept. */
function workingSpace(): Space {
  const numbers = (): Float64Array => new Float64Array(BLOCK * BLOCK);
  kept ??= { a: numbers(), b: numbers(), sums: numbers() };
  return kept;
}

function multiplyTiles(args: MatmulArgs, t: number): void {
  const space = workingSpace();
  const { m, n, k, a, b } = args;
  const aStart = a.offset + t * a.batchStride;
  const bStart = b.offset + t * b.batchStride;
  for (let jc = 0; jc < n; jc += BLOCK) {
    const nc = Math.min(BLOCK, n - jc);
    for (let ic = 0; ic < m; ic += BLOCK) {
      const mc = Math.min(BLOCK, m - ic);
      const tiles = Math.ceil(mc / TILE) * Math.ceil(nc / TILE);
      space.sums.fill(0, 0, tiles * TILE * TILE);
      for (let pc = 0; pc < k; pc += BLOCK) {
        const kc = Math.min(BLOCK, k - pc);
        pack(space.b, b.data, bStart + pc * b.rowStride + jc * b.colStride, b.colStride, b.rowStride, nc, kc);
        pack(space.a, a.data, aStart + ic * a.rowStride + pc * a.colStride, a.rowStride, a.colStride, mc, kc);
        addTiles(space, Math.ceil(mc / TILE), Math.ceil(nc / TILE), kc);
      }
      writeTiles(args.out, t, ic, jc, mc, nc, space.sums, args.accumulate === true);
    }
  }
}

/** Adds the product of every panel of `a` with every panel of `b`, `kc` deep, to their tiles of `sums`. */
function addTiles({ a, b, sums }: Space, panelsA: number, panelsB: number, kc: number): void {
  for (let i = 0; i < panelsA; i++) {
    for (let j = 0; j < panelsB; j++) {
      addTile(a, i * kc * TILE, b, j * kc * TILE, kc, sums, (i * panelsB + j) * TILE * TILE);
    }
  }
}

function writeTiles(
  out: MatrixView,
  t: number,
  ic: number,
  jc: number,
  mc: number,
  nc: number,
  sums: Float64Array,
  accumulate: boolean,
): void {
  const target = out.data;
  const panels = Math.ceil(nc / TILE);
  const step = out.colStride;
  const start = out.offset + t * out.batchStride + ic * out.rowStride + jc * step;
  for (let i = 0; i < mc; i++) {
    const row = start + i * out.rowStride;
    const from = (i >> 2) * panels * 16 + (i & 3) * TILE;
    for (let j = 0; j < nc; j++) {
      const at = row + j * step;
      const sum = sums[from + (j >> 2) * 16 + (j & 3)]!;
      target[at] = accumulate ? target[at]! + sum : sum;
    }
  }
}
