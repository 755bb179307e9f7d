/** All that the entries other than figures, report, files and the bundled model offer, for tests that go through everything. */
export * from "../../src/tensor/index.ts";
export * from "../../src/linear/index.ts";
export * from "../../src/model/index.ts";
export * from "../../src/circuits/index.ts";
export * from "../../src/paths/index.ts";
export * from "../../src/heads/index.ts";
export * from "../../src/interventions/index.ts";
export * from "../../src/io/index.ts";
export * from "../../src/train/index.ts";
