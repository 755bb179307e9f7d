/** onnxruntime-web, WebAssembly, one thread: a session for each case; handing tensors over and back is part of its call. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { models } from "./onnx.mjs";

export async function open() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
  const { version } = JSON.parse(readFileSync(join(folder, "../package.json"), "utf8"));
  return {
    versions: { "onnxruntime-web": version },
    async prepare(work, inputs) {
      const build = models[work.kind];
      if (build === undefined) return { skip: "has no such decomposition" };
      const session = await ort.InferenceSession.create(build(work), { executionProviders: ["wasm"] });
      const feed = Object.fromEntries(
        inputs.map(({ data, shape }, i) => [`x${i}`, new ort.Tensor("float32", data, shape)]),
      );
      return {
        async run() {
          const { y } = await session.run(feed);
          y.dispose();
        },
        result: async () => (await session.run(feed)).y.data,
        dispose: () => void session.release(),
      };
    },
  };
}
