/** Long runs of training: memory stays flat, and threads change nothing. */
import { expect, test } from "vitest";
import { useThreads } from "../../src/kernels/index.ts";
import { parseConfig } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { kernelInfo, Random } from "../../src/tensor/index.ts";
import { adamW, initialModel, train } from "../../src/train/index.ts";
import type { TrainingBatch } from "../../src/train/index.ts";
import { collectGarbage } from "../support/garbage.ts";

const MIB = 2 ** 20;

function drawn(batch: number, pos: number, d_vocab: number): (step: number) => TrainingBatch {
  return (step) => {
    const random = new Random(step);
    return { tokens: Array.from({ length: batch }, () => Array.from({ length: pos }, () => random.int(d_vocab))) };
  };
}

test("10,000 steps, most of whose arrays lie in the kernels' memory, take no more than the first 2,000", async () => {
  const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 32, n_ctx: 16, d_vocab: 64, attn_only: true });
  const marks: { readonly kernels: number; readonly heap: number; readonly outside: number }[] = [];
  await train(initialModel(config, { seed: 1 }), drawn(4, 16, 64), {
    steps: 10_000,
    clip: { norm: 1 },
    checkpoints: (step) => step > 0 && step % 2000 === 0,
    onCheckpoint: async () => {
      await collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      marks.push({ kernels: kernelInfo().memoryBytes, heap: heapUsed, outside: arrayBuffers });
    },
  });
  const [first, last] = [marks[0], marks.at(-1)];
  // A growth of the kernels' memory is 16 MiB; what leaks a block of 8 KiB a step would take 62 MiB of it.
  expect((last?.kernels ?? NaN) - (first?.kernels ?? NaN)).toBeLessThanOrEqual(16 * MIB);
  // What leaks 1 KiB a step would take 8 MiB.
  expect((last?.heap ?? NaN) - (first?.heap ?? NaN)).toBeLessThan(4 * MIB);
  expect((last?.outside ?? NaN) - (first?.outside ?? NaN)).toBeLessThan(4 * MIB);
});

test("two threads come to the weights of one, to the bit", async () => {
  const config = parseConfig({ n_layers: 2, n_heads: 4, d_model: 64, n_ctx: 64, d_vocab: 512, act_fn: "gelu" });
  const start = initialModel(config, { seed: 1 });
  const numbersOf = ({ weights }: Transformer): (readonly number[])[] =>
    [...weights.values()].map(({ data }) => [...data]);
  const run = async (): Promise<(readonly number[])[]> =>
    numbersOf((await train(start, drawn(16, 64, 512), { steps: 4, optimizer: adamW({ lr: 0.01 }) })).model);
  const one = await run();
  await useThreads(2);
  try {
    expect(kernelInfo().threads).toBe(2);
    expect(await run()).toEqual(one);
  } finally {
    await useThreads(1);
  }
});
