/** Sums of numbers side by side in WebAssembly: a third of the time of a loop, which for few numbers serves as well. */
import { add as addInLoops } from "../reference.ts";
import { checkAdd } from "../checks.ts";
import type { AddArgs } from "../interface.ts";
import type { Engine } from "./engine.ts";
import { isInHeap } from "./memory.ts";
import { borrow, withBlocks } from "./place.ts";
import { runRanges } from "./split.ts";

/** Fewer numbers are not worth a call. */
const FEW = 1024;
/** Multiplications that a sum counts as, where it is asked whether sharing it pays: it waits for memory. */
const A_SUM = 8;

/** {@link Kernels.add}. */
export function add(engine: Engine | undefined, args: AddArgs): void {
  const { period, a, b, out } = args;
  const count = out.length;
  const isFloat32 = [a, b, out].every((data) => data instanceof Float32Array);
  const isOurs =
    engine !== undefined && isFloat32 && count >= FEW && isInHeap(engine.heap, a) && isInHeap(engine.heap, out);
  if (!isOurs) {
    addInLoops(args);
    return;
  }
  checkAdd(args);
  const isOne = period === count;
  const { heap } = engine;
  const isDone = withBlocks(heap, (borrowed) => {
    const isThere = isInHeap(heap, b);
    const second = isThere ? b.byteOffset : borrow(heap, 4 * period, borrowed);
    if (!isThere) heap.floats.set(b.subarray(0, period), second / 4);
    runRanges(engine, "add", count, isOne ? 1024 : period, A_SUM * count, (from, some) => {
      const bytes = 4 * from;
      return [some, period, a.byteOffset + bytes, isOne ? second + bytes : second, out.byteOffset + bytes];
    });
  });
  if (!isDone) addInLoops(args);
}
