/**
 * What the engine can do: f32x4 multiply-adds on registers alone, no memory. As many independent accumulators as do best of
 * 8, 10 and 12, relaxed fused multiply-add where the engine has it, otherwise multiply and add.
 */
import { performance } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import wabt from "wabt";

const LOOPS = 20_000;
const STEPS = 8;

const features = { simd: true, relaxed_simd: true };

function moduleText(accumulators, fused) {
  const names = Array.from({ length: accumulators }, (_, i) => `$acc${i}`);
  const step = (name) =>
    fused
      ? `(local.set ${name} (f32x4.relaxed_madd (local.get ${name}) (local.get $x) (local.get $y)))`
      : `(local.set ${name} (f32x4.add (f32x4.mul (local.get ${name}) (local.get $x)) (local.get $y)))`;
  return `(module
  (memory (export "memory") 1)
  (func (export "spin") (param $loops i32)
    (local $x v128) (local $y v128) ${names.map((name) => `(local ${name} v128)`).join(" ")}
    ;; Each accumulator goes to y / (1 - x) = 1 and stays a normal number.
    (local.set $x (f32x4.splat (f32.const 0.75)))
    (local.set $y (f32x4.splat (f32.const 0.25)))
    ${names.map((name, i) => `(local.set ${name} (f32x4.splat (f32.const ${i + 2})))`).join("\n    ")}
    (loop $again
      ${Array.from({ length: STEPS }, () => names.map(step).join("\n      ")).join("\n      ")}
      (br_if $again (local.tee $loops (i32.sub (local.get $loops) (i32.const 1)))))
    ${names.map((name, i) => `(v128.store offset=${16 * i} (i32.const 0) (local.get ${name}))`).join("\n    ")}))`;
}

function assemble({ parseWat }, accumulators, fused) {
  const module = parseWat("ceiling.wat", moduleText(accumulators, fused), features);
  const { buffer } = module.toBinary({});
  module.destroy();
  return buffer;
}

/** Calls of the loop that one and two threads share: some milliseconds, beside which waking a thread is nothing. */
const SHARED = 16;

/** Another thread that runs the loop when asked to, and sleeps in between. */
const HELPER = `
const { bytes, words, calls, loops } = require("node:worker_threads").workerData;
const { spin } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
for (let asked = 0; ; asked++) {
  Atomics.wait(words, 0, asked);
  for (let i = 0; i < calls; i++) spin(loops);
  Atomics.add(words, 1, 1);
}`;

/** The same work on one thread, or half of it on each of two at once: what a second processor is worth to arithmetic alone. */
function sharedWork(bytes, spin, threads) {
  const half = SHARED / 2;
  const words = new Int32Array(new SharedArrayBuffer(8));
  if (threads === 2)
    new Worker(HELPER, { eval: true, workerData: { bytes, words, calls: half, loops: LOOPS } }).unref();
  return () => {
    if (threads === 2) {
      Atomics.add(words, 0, 1);
      Atomics.notify(words, 0);
    }
    for (let i = 0; i < (threads === 2 ? half : SHARED); i++) spin(LOOPS);
    if (threads === 2) while (Atomics.load(words, 1) !== Atomics.load(words, 0));
  };
}

/** The fastest of a few calls, once the optimising compiler has taken over. */
function fastest(spin) {
  let best = Infinity;
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    spin(LOOPS);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

export async function open({ threads } = {}) {
  const tools = await wabt();
  const fused = WebAssembly.validate(assemble(tools, 10, true));
  const candidates = [8, 10, 12].map((accumulators) => {
    const bytes = assemble(tools, accumulators, fused);
    const { spin, memory } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    // Four lanes, a multiplication and an addition each.
    const flops = LOOPS * STEPS * accumulators * 4 * 2;
    return { accumulators, bytes, spin, memory, flops, rate: flops / fastest(spin) };
  });
  const { accumulators, bytes, spin, memory, flops } = candidates.reduce((a, b) => (b.rate > a.rate ? b : a));
  if (threads !== undefined) {
    const run = sharedWork(bytes, spin, threads);
    return { versions: {}, prepare: () => ({ run, flops: SHARED * flops }) };
  }
  const instruction = fused ? "relaxed fused multiply-add" : "multiply and add";
  return {
    versions: { "SIMD ceiling": `${instruction}, ${accumulators} accumulators` },
    prepare: () => ({
      run: () => spin(LOOPS),
      result() {
        spin(LOOPS);
        return new Float32Array(memory.buffer, 0, accumulators * 4);
      },
      flops,
    }),
  };
}
