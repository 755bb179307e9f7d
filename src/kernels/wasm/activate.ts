/**
 * What neurons compute, in WebAssembly: a loop over numbers takes half the time of the product that they come from,
 * and no other thread takes part in it. In float64 as that loop, whose exponential may be one ulp apart: after rounding
 * to float32 the results are the same but for one in some ten millions.
 */
import { checkActivate } from "../checks.ts";
import type { ActivateArgs, ActivationKind } from "../interface.ts";
import { normalTable } from "../activations.ts";
import { activate as activateInLoops } from "../reference.ts";
import type { Engine } from "./engine.ts";
import { isInHeap, takeBlock } from "./memory.ts";
import type { Heap } from "./memory.ts";
import { borrow, withBlocks } from "./place.ts";
import { runRanges } from "./split.ts";

/** By the number that assembly/activate.ts knows them by. */
const KINDS: readonly ActivationKind[] = ["relu", "silu", "tanhGelu", "roundedTanhGelu", "gelu"];
/** Multiplications that a number counts as, where it is asked whether sharing it pays. */
const A_NUMBER = 64;
/** Numbers that are copied at once where they lie outside the memory. */
const AT_ONCE = 1_048_576;

const tables = new WeakMap<Heap, number>();

/** Where the table of the normal distribution lies; 0 where there is no room. */
function tableIn(heap: Heap): number {
  const known = tables.get(heap);
  if (known !== undefined) return known;
  const table = normalTable();
  const address = takeBlock(heap, table.byteLength);
  if (address === undefined) return 0;
  new Float64Array(heap.memory.buffer, address, table.length).set(table);
  tables.set(heap, address);
  return address;
}

/** {@link Kernels.activate}. */
export function activate(engine: Engine | undefined, args: ActivateArgs): void {
  const { kind, input, output } = args;
  const isFloat32 = input instanceof Float32Array && output instanceof Float32Array;
  const table = engine === undefined || !isFloat32 ? 0 : kind === "gelu" ? tableIn(engine.heap) : 1;
  if (engine === undefined || !isFloat32 || table === 0) {
    activateInLoops(args);
    return;
  }
  checkActivate(args);
  const { heap } = engine;
  const run = (from: number, to: number, count: number): void =>
    runRanges(engine, "activate", count, 1024, A_NUMBER * count, (first, some) => [
      ...[some, KINDS.indexOf(kind), from + 4 * first, to + 4 * first, table],
    ]);
  if (isInHeap(heap, input) && isInHeap(heap, output)) {
    run(input.byteOffset, output.byteOffset, output.length);
    return;
  }
  const isDone = withBlocks(heap, (borrowed) => {
    const address = borrow(heap, 4 * Math.min(AT_ONCE, output.length), borrowed);
    for (let at = 0; at < output.length; at += AT_ONCE) {
      const count = Math.min(AT_ONCE, output.length - at);
      heap.floats.set(input.subarray(at, at + count), address / 4);
      run(address, address, count);
      output.set(heap.floats.subarray(address / 4, address / 4 + count), at);
    }
  });
  if (!isDone) activateInLoops(args);
}
