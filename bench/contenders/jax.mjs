/** jax-js on its WebAssembly backend, arrays already in its memory; what is more than one operation is compiled by `jit`. */
import { readFileSync } from "node:fs";

export async function open() {
  const jax = await import("@jax-js/jax");
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  const manifest = new URL("../node_modules/@jax-js/jax/package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, "utf8"));
  return {
    versions: { "jax-js": version },
    prepare(work, inputs) {
      const build = graphs[work.kind];
      if (build === undefined) return { skip: "has no float64" };
      const { compute, arrays = [] } = build(jax, work);
      const held = inputs.map(({ data, shape }) => jax.numpy.array(data, { shape }));
      const one = () => compute(...[...held, ...arrays].map((array) => array.ref));
      return {
        async run() {
          const out = one();
          await out.blockUntilReady();
          out.dispose();
        },
        result: () => one().data(),
        dispose: () => [...held, ...arrays].forEach((array) => array.dispose()),
      };
    },
  };
}

/** An operation consumes its arguments unless it is given `.ref`. */
const graphs = {
  matmul: ({ numpy }) => ({ compute: (a, b) => numpy.matmul(a, b) }),
  softmax: ({ jit, nn }) => ({ compute: jit((x) => nn.softmax(x, -1)) }),
  causalSoftmax(jax, { shape, masked }) {
    if (masked === "before") return graphs.softmax(jax);
    const { jit, nn, numpy } = jax;
    return { compute: jit((x, mask) => nn.softmax(numpy.add(x, mask), -1)), arrays: [causalMask(numpy, shape[1])] };
  },
  attention({ jit, nn, numpy }, { route, positions, d_head }) {
    // Its attention takes [positions, heads, d_head], and needs an engine with iterator helpers (Node 22 on).
    const swap = (x) => numpy.transpose(x, [1, 0, 2]);
    if (route === "fused" && globalThis.Iterator !== undefined) {
      return {
        compute: jit((q, k, v) => swap(nn.dotProductAttention(swap(q), swap(k), swap(v), { isCausal: true }))),
      };
    }
    return {
      compute: jit((q, k, v, mask) => {
        const products = numpy.matmul(q, numpy.transpose(k, [0, 2, 1])).mul(1 / Math.sqrt(d_head));
        return numpy.matmul(nn.softmax(products.add(mask), -1), v);
      }),
      arrays: [causalMask(numpy, positions)],
    };
  },
  layerNorm: ({ jit, nn }) => ({ compute: jit((x) => nn.standardize(x, -1)) }),
};

function causalMask(numpy, n) {
  const mask = new Float32Array(n * n);
  for (let i = 0; i < n; i++) mask.fill(-1e9, i * n + i + 1, (i + 1) * n);
  return numpy.array(mask, { shape: [n, n] });
}
