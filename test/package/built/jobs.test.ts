/** Jobs on threads of the built package: its own program of threads knows every kind of the package. */
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { root } from "../../support/files.ts";
import "../../support/require-build.ts";

type Jobs = typeof import("../../../src/jobs/index.ts");
type Node = typeof import("../../../src/io/node.ts");
type Train = typeof import("../../../src/train/index.ts");
type Report = typeof import("../../../src/report/index.ts");
type Load = (entry: string) => Promise<unknown>;

const require = createRequire(import.meta.url);
const formats: [string, Load][] = [
  ["ESM", (entry) => import(/* @vite-ignore */ `${root}/dist/${entry}.js`)],
  ["CommonJS", (entry) => Promise.resolve(require(`${root}/dist/${entry}.cjs`))],
];

test.each(formats)("of %s give what this thread gives", async (_, load) => {
  const [jobs, node, train, report] = (await Promise.all(["jobs", "node", "train", "report"].map(load))) as [
    ...[Jobs, Node, Train, Report],
  ];
  const kinds = { train: train.trainingJob, report: report.reportJob };
  const tasks = [
    { kind: "train", steps: 4, data: { kind: "max-of-k", batch: 4, d_vocab: 8 } },
    { kind: "report", text: { content: "interface Array<T> { length: number; }" }, maxTokens: 20 },
    { kind: "head-scores", length: 4 },
  ];
  const plan = jobs.parseJobPlan({ models: ["bundled"], tasks }, { kinds });
  const { rows, failed } = await jobs.runJobs(plan, { on: node.onThreads(2) });
  expect(failed).toEqual([]);
  const here = await jobs.runJobs(plan, { on: jobs.inProcess(node.modelsOfPlan(), node.filesOfPlan()) });
  expect(rows).toEqual(here.rows);
  expect(new Set(rows.map(({ kind }) => kind))).toEqual(new Set(["train", "report", "head-scores"]));
});
