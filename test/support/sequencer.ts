import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take longest, the longest first: a run that begins with them has all workers busy to its end. */
const LONGEST = [
  "test/site/accessible.test.ts",
  "test/browser/playground.test.ts",
  "test/browser/jupyterlab.test.ts",
  "test/docs/blocks.test.ts",
  "test/queue/queue.slow.test.ts",
  "test/io/memory.slow.test.ts",
  "test/cli/sweep.slow.test.ts",
  "test/site/reading.test.ts",
  "test/docs/chapters.test.ts",
  "test/cli/cli.slow.test.ts",
  "test/kernels/kernels.slow.test.ts",
  "test/linear/search/screened.slow.test.ts",
  "test/types/nested-calls.test.ts",
  "test/package/built/consumers.test.ts",
];

/** Projects by the length of their longest file; the short files of `fast` come last. */
const PROJECTS = ["browser", "site", "docs", "types", "package", "slow", "kernels", "fast"];

/** The order in which test files are begun: the longest first, as is written here and known from earlier runs. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification): number => {
      const listed = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return listed >= 0 ? listed : LONGEST.length + PROJECTS.indexOf(project.name);
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
