/** TensorFlow.js on its WebAssembly backend, SIMD, tensors already in its memory. */
import { build } from "esbuild";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { trainingStep } from "./tfjs-train.mjs";

const require = createRequire(import.meta.url);

/** As a page's bundler makes it: the build for Node has no gradients. */
async function loadBundled() {
  const folder = mkdtempSync(join(tmpdir(), "bench-tfjs-"));
  const outfile = join(folder, "tfjs.cjs");
  const contents = `
    export * as tf from "@tensorflow/tfjs-core";
    export * as wasm from "@tensorflow/tfjs-backend-wasm";
    import "@tensorflow/tfjs-core/dist/register_all_gradients";`;
  const stdin = { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)) };
  const mainFields = ["module", "main"];
  try {
    await build({ stdin, outfile, bundle: true, platform: "node", format: "cjs", mainFields, logLevel: "error" });
    return require(outfile);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function open() {
  const { tf, wasm } = await loadBundled();
  wasm.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
  if (!(await tf.setBackend("wasm"))) throw new Error("the wasm backend did not start");
  await tf.ready();
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  return {
    versions: { "tfjs-wasm": `${tf.version_core}${simd ? ", SIMD" : ", no SIMD"}` },
    prepare(work, inputs) {
      if (work.kind === "train") return trainingStep(tf);
      const compute = graphs[work.kind];
      if (compute === undefined) return { skip: "has no float64" };
      const tensors = inputs.map(({ data, shape }) => tf.tensor(data, shape, "float32"));
      const more = work.kind === "attention" || work.masked === "inside" ? [maskTensor(tf, work)] : [];
      const one = () => tf.tidy(() => compute(tf, work, ...tensors, ...more));
      return {
        run: () => one().dispose(),
        async result() {
          const out = one();
          const data = await out.data();
          out.dispose();
          return data;
        },
        dispose: () => [...tensors, ...more].forEach((tensor) => tensor.dispose()),
      };
    },
  };
}

/** Zeros, and -1e9 where a key is later than the query. */
function maskTensor(tf, work) {
  const n = work.positions ?? work.shape[1];
  const mask = new Float32Array(n * n);
  for (let i = 0; i < n; i++) mask.fill(-1e9, i * n + i + 1, (i + 1) * n);
  return tf.tensor(mask, [n, n], "float32");
}

const graphs = {
  matmul: (tf, work, a, b) => tf.matMul(a, b),
  softmax: (tf, work, x) => tf.softmax(x),
  causalSoftmax: (tf, work, x, mask) => tf.softmax(mask === undefined ? x : tf.add(x, mask)),
  attention(tf, { d_head }, q, k, v, mask) {
    const scores = tf.matMul(tf.mul(q, 1 / Math.sqrt(d_head)), k, false, true);
    return tf.matMul(tf.softmax(tf.add(scores, mask)), v);
  },
  layerNorm(tf, work, x) {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
  },
};
