/**
 * What the engine can do: f32x4 multiply-adds on registers alone, no memory. As many independent accumulators as do best of
 * 8, 10 and 12, relaxed fused multiply-add where the engine has it, otherwise multiply and add.
 */
import { performance } from "node:perf_hooks";
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

export async function open() {
  const tools = await wabt();
  const fused = WebAssembly.validate(assemble(tools, 10, true));
  const candidates = [8, 10, 12].map((accumulators) => {
    const { instance } = {
      instance: new WebAssembly.Instance(new WebAssembly.Module(assemble(tools, accumulators, fused))),
    };
    const { spin, memory } = instance.exports;
    // Four lanes, a multiplication and an addition each.
    const flops = LOOPS * STEPS * accumulators * 4 * 2;
    return { accumulators, spin, memory, flops, rate: flops / fastest(spin) };
  });
  const { accumulators, spin, memory, flops } = candidates.reduce((a, b) => (b.rate > a.rate ? b : a));
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
