/** Ten thousand runs whose edits throw leave nothing behind: later runs are the same to the bit, and no memory is held. */
import { expect, test } from "vitest";
import { CircuitsError } from "../../../src/errors.ts";
import { edit } from "../../../src/interventions/index.ts";
import type { Action, EditTarget } from "../../../src/interventions/index.ts";
import { editAt, hookNames } from "../../../src/model/index.ts";
import type { HookName, RunOptions } from "../../../src/model/index.ts";
import { wasmEngine } from "../../../src/kernels/wasm/engine.ts";
import { Random } from "../../../src/tensor/index.ts";
import { collectGarbage } from "../../support/garbage.ts";
import { randomModel } from "../../support/random-model.ts";

const model = randomModel({ n_layers: 2, n_heads: 3, d_model: 24, d_head: 8, norm: "LN", bias: true, n_ctx: 16 });
const prompts = Array.from({ length: 2 }, (_, i) => Array.from({ length: 12 }, (_, j) => (5 * i + 3 * j) % 17));
const names = hookNames(model.config);

/** An edit that throws when the run comes to it: of its own accord, or refused by the library. */
function failing(random: Random): RunOptions["edits"] {
  const name = names[random.int(names.length)] as HookName;
  const targets: EditTarget[] = [
    { hook: "resid_pre", pos: 24 },
    { hook: "pattern", offset: 30 },
    { head: 3 },
    "mlp_out",
  ];
  const actions: Action[] = [{ copyFrom: "missing" }, { set: [1, 2] }, { resample: [9] }, { projectOut: [0] }];
  switch (random.int(4)) {
    case 0:
      return editAt(name, () => {
        throw new RangeError("thrown on purpose");
      });
    case 1:
      return [edit("z", "mean"), edit(targets[random.int(targets.length)] ?? "z", "zero")];
    case 2:
      return [edit({ hook: "q", pos: 3 }, { noise: 1 }), edit("result", actions[random.int(actions.length)] ?? "zero")];
    default:
      return edit(name, (x) => x.slice("batch" as never, 0, 1));
  }
}

test("10,000 runs with edits that throw: the same to the bit before and after, memory flat", async () => {
  const random = new Random(11);
  const silent = [edit("L0H1", "zero"), edit({ hook: "resid_pre", layer: 1 }, { noise: 0.1, seed: 4 })];
  const before = [model.run(prompts), model.run(prompts, { edits: silent })];
  const kept = before.map(({ logits, cache }) => [
    logits.data.slice(),
    ...cache.names().map((n) => cache.get(n).data.slice()),
  ]);

  const held: { readonly heap: number; readonly buffers: number; readonly kernels: number }[] = [];
  const measure = async (): Promise<void> => {
    await collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    held.push({ heap: heapUsed, buffers: arrayBuffers, kernels: wasmEngine()?.heap.lent ?? 0 });
  };
  const counts = new Map<string, number>();
  for (let i = 0; i < 10_000; i++) {
    let error: unknown;
    try {
      model.run(prompts, { edits: failing(random) });
    } catch (thrown) {
      error = thrown;
    }
    expect(error instanceof CircuitsError || error instanceof RangeError).toBe(true);
    const kind = (error as Error).name;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (i % 2000 === 1999) await measure();
  }
  expect(counts.get("RangeError")).toBeGreaterThan(2000);

  // The first thousands warm up what is compiled and cached. After that, a run that left its activations behind would hold
  // 6,000 times some 50 kB.
  const [first, last] = [held[1], held[4]];
  expect((last?.heap ?? 0) - (first?.heap ?? 0)).toBeLessThan(4e6);
  expect((last?.buffers ?? 0) - (first?.buffers ?? 0)).toBeLessThan(4e6);
  expect((last?.kernels ?? 0) - (first?.kernels ?? 0)).toBeLessThan(4e6);

  for (const [i, { logits, cache }] of [model.run(prompts), model.run(prompts, { edits: silent })].entries()) {
    const again = [logits.data, ...cache.names().map((n) => cache.get(n).data)];
    for (const [j, data] of again.entries()) expect(data).toEqual(kept[i]?.[j]);
  }
});
