/** Scratch arrays of one computation, placed where kernels use them without a copy. */
import type { FloatArray } from "./interface.ts";
import { wasmEngine } from "./wasm/engine.ts";
import { giveBack, takeBlock } from "./wasm/memory.ts";
import type { Recycled } from "./wasm/memory.ts";

/** An array of so many numbers, whose content is undefined. */
export type TakeArray = (kind: "float32" | "float64", length: number) => FloatArray;

const ordinary: TakeArray = (kind, length) =>
  kind === "float64" ? new Float64Array(length) : new Float32Array(length);

/**
 * Runs a computation on arrays in the kernels' memory, or ordinary ones where that has no room. They go back when it
 * ends, so that nothing of them may be kept.
 */
export function withWorkspace<R>(run: (take: TakeArray) => R): R {
  const heap = wasmEngine()?.heap;
  if (heap === undefined) return run(ordinary);
  const taken: (readonly [address: number, bytes: number])[] = [];
  const take: TakeArray = (kind, length) => {
    const bytes = length * (kind === "float64" ? 8 : 4);
    const address = takeBlock(heap, bytes);
    if (address === undefined) return ordinary(kind, length);
    taken.push([address, bytes]);
    // That of the heap's own arrays: an engine may make another object for the memory at any time, by which no array of
    // it is known.
    const { buffer } = heap.floats;
    return kind === "float64" ? new Float64Array(buffer, address, length) : new Float32Array(buffer, address, length);
  };
  try {
    return run(take);
  } finally {
    for (const [address, bytes] of taken) giveBack(heap, address, bytes);
  }
}

/** What a computation of which nothing is kept says of its results. */
export interface Recycling {
  /** Makes what outlives the computation. */
  readonly keep: <T>(make: () => T) => T;
  /** Says that what was made before the last call of this is no longer needed. */
  readonly turn: () => void;
}

const NONE: Recycling = { keep: (make) => make(), turn: () => undefined };

/**
 * Runs a computation of whose results nothing is kept, tensors included: their memory goes back when it ends, where it
 * would wait for the collector and be told to it: 132 MB of memory become 68 on the step of `bench --only train`.
 *
 * @param most - bytes that are taken at once at most; further results live in ordinary arrays.
 */
export function withRecycling<R>(run: (recycling: Recycling) => R, most = Infinity): R {
  const heap = wasmEngine()?.heap;
  if (heap === undefined || heap.recycled !== undefined) return run(NONE);
  const recycled: Recycled = { blocks: [], room: most };
  let before: Recycled["blocks"] = [];
  const giveAllBack = (blocks: Recycled["blocks"]): void => {
    // The first comes to the top, so that the next computation meets the blocks in the same order.
    for (const [address, bytes] of blocks.reverse()) {
      recycled.room += bytes;
      giveBack(heap, address, bytes);
    }
  };
  heap.recycled = recycled;
  try {
    return run({
      keep(make) {
        heap.recycled = undefined;
        try {
          return make();
        } finally {
          heap.recycled = recycled;
        }
      },
      turn() {
        giveAllBack(before);
        before = recycled.blocks;
        recycled.blocks = [];
      },
    });
  } finally {
    heap.recycled = undefined;
    giveAllBack(before);
    giveAllBack(recycled.blocks);
  }
}

/** The kind of an array. */
export function kindOf(data: FloatArray): "float32" | "float64" {
  return data instanceof Float64Array ? "float64" : "float32";
}
