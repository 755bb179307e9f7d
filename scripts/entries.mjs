/**
 * The entries of the package: the name of each file of the build, and the source it is made of. The build, the tests, the
 * documentation and the type checks read this list; package.json's `exports` and tsconfig.json's `paths`, which can't, are held
 * to it by test/package/entries.test.ts.
 */
export const entries = {
  index: "src/index.ts",
  tensor: "src/tensor/index.ts",
  linear: "src/linear/index.ts",
  model: "src/model/index.ts",
  circuits: "src/circuits/index.ts",
  paths: "src/paths/index.ts",
  heads: "src/heads/index.ts",
  interventions: "src/interventions/index.ts",
  jobs: "src/jobs/index.ts",
  io: "src/io/index.ts",
  train: "src/train/index.ts",
  viz: "src/viz/index.ts",
  figures: "src/figures/index.ts",
  report: "src/report/index.ts",
  node: "src/io/node.ts",
  queue: "src/queue/index.ts",
  bundled: "src/io/bundled.ts",
  ndarray: "src/tensor/ndarray.ts",
  "ndarray-ops": "src/tensor/ndarray-ops.ts",
};

/** The name under which users import an entry. */
export const specifierOf = (name) => (name === "index" ? "transformer-circuits" : `transformer-circuits/${name}`);
