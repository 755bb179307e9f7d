/** Collects garbage, for tests that look at what memory is held. */
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/**
 * Collects what nothing refers to, and waits until all of it is given back: what collected tensors leave comes back in
 * tasks that follow, and buffers of arrays in another thread, which the next collection waits for.
 */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await turn();
    collect();
    // A turn from check to check passes through the phase in which such tasks run.
    await turn();
    await turn();
  }
}
