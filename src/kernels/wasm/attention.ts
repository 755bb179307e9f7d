/** Fused attention in WebAssembly. */
import { checkAttention } from "../checks.ts";
import type { AttentionArgs, HeadVectorsView } from "../interface.ts";
import { attentionByParts } from "../plain/parts.ts";
import type { Parts } from "../plain/parts.ts";
import type { Engine } from "./engine.ts";
import { runJob } from "./jobs.ts";
import type { Job } from "./jobs.ts";
import { isInHeap, JOB, SPACE_BYTES } from "./memory.ts";
import type { Heap } from "./memory.ts";
import { borrow, withBlocks } from "./place.ts";
import type { Borrowed } from "./place.ts";
import { runRanges } from "./split.ts";

/** Vectors in memory, addresses and steps in bytes. */
export interface PlacedHeads {
  readonly address: number;
  readonly batch: number;
  readonly head: number;
  readonly row: number;
}

/** The bits of a float32, as a field of a job: read where the first job will lie. */
export function floatBits({ floats, ints }: Heap, x: number): number {
  floats[JOB >> 2] = x;
  return ints[JOB >> 2]!;
}

/** Vectors that do not live in memory are copied there as `[batch, head, row]`. */
export function placeHeads(
  engine: Engine,
  view: HeadVectorsView,
  { batch, heads }: Pick<AttentionArgs, "batch" | "heads">,
  rows: number,
  width: number,
  borrowed: Borrowed[],
): PlacedHeads {
  const { heap } = engine;
  const { data, offset } = view;
  if (isInHeap(heap, data)) {
    const address = data.byteOffset + 4 * offset;
    return { address, batch: 4 * view.batchStride, head: 4 * view.headStride, row: 4 * view.rowStride };
  }
  const address = borrow(heap, 4 * batch * heads * rows * width, borrowed);
  let to = address / 4;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < rows; i++, to += width) {
        const from = offset + b * view.batchStride + h * view.headStride + i * view.rowStride;
        heap.floats.set(data.subarray(from, from + width), to);
      }
    }
  }
  return { address, batch: 4 * heads * rows * width, head: 4 * rows * width, row: 4 * width };
}

/** Copies vectors of heads, `[batch, head, row]` from `from` on, to where they belong. */
export function copyHeadsOut(
  floats: Float32Array,
  from: number,
  out: HeadVectorsView,
  { batch, heads }: Pick<AttentionArgs, "batch" | "heads">,
  rows: number,
  width: number,
): void {
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < rows; i++, from += width) {
        const to = out.offset + b * out.batchStride + h * out.headStride + i * out.rowStride;
        out.data.set(floats.subarray(from, from + width), to);
      }
    }
  }
}

/** Prompts and heads of a job that takes so many heads: whole prompts, or some heads of the only one. */
export function promptsAndHeads(batch: number, heads: number, count: number): readonly [number, number] {
  return batch === 1 ? [1, count] : [count / heads, heads];
}

/** Fields of a job for vectors from one head on, counted over prompts. */
export function headsFrom(placed: PlacedHeads, heads: number, first: number): number[] {
  const { address, batch, head, row } = placed;
  return [address + Math.floor(first / heads) * batch + (first % heads) * head, batch, head, row];
}

function attend(engine: Engine, args: AttentionArgs, borrowed: Borrowed[]): void {
  const { heap } = engine;
  const { batch, heads, queries, keys, width, valueWidth } = args;
  const q = placeHeads(engine, args.q, args, queries, width, borrowed);
  const k = placeHeads(engine, args.k, args, keys, width, borrowed);
  const v = placeHeads(engine, args.v, args, keys, valueWidth, borrowed);
  const isInPlace = isInHeap(heap, args.out.data);
  const out = isInPlace
    ? placeHeads(engine, args.out, args, queries, valueWidth, borrowed)
    : {
        address: borrow(heap, 4 * batch * heads * queries * valueWidth, borrowed),
        batch: 4 * heads * queries * valueWidth,
        head: 4 * queries * valueWidth,
        row: 4 * valueWidth,
      };
  const job = (first: number, count: number): Job => {
    const at = (p: PlacedHeads): number[] => headsFrom(p, heads, first);
    return [
      ...[
        ...promptsAndHeads(batch, heads, count),
        queries,
        keys,
        width,
        valueWidth,
        ...at(q),
        ...at(k),
        ...at(v),
        ...at(out),
      ],
      ...[floatBits(heap, args.scale), args.isCausal ? 1 : 0, args.queryOffset],
    ];
  };
  const bytes = engine.kernels.attentionBytes(keys, width, valueWidth);
  if (bytes > SPACE_BYTES) {
    runJob(engine, "attention", job(0, batch * heads), borrow(heap, bytes, borrowed));
  } else {
    const unit = batch === 1 ? 1 : heads;
    const work = batch * heads * queries * keys * (width + valueWidth);
    runRanges(engine, "attention", batch * heads, unit, work, job);
  }
  if (!isInPlace) copyHeadsOut(heap.floats, out.address / 4, args.out, args, queries, valueWidth);
}

/** {@link Kernels.attention}. */
export function attention(engine: Engine, parts: Parts, args: AttentionArgs): void {
  checkAttention(args);
  const isFloat32 = [args.q, args.k, args.v, args.out].every(({ data }) => data instanceof Float32Array);
  const isNothing = args.batch * args.heads * args.queries * args.valueWidth === 0;
  if (!isFloat32 || isNothing || args.keys === 0) {
    attentionByParts(parts, args);
    return;
  }
  if (!withBlocks(engine.heap, (borrowed) => attend(engine, args, borrowed))) attentionByParts(parts, args);
}
