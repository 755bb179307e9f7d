import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Projects in the order in which they are begun. A worker keeps the modules that it has loaded as long as the next file is
 * of the same project, so that the files of one come together; the many short ones of `fast` come last, and keep all workers
 * busy to the end.
 */
const PROJECTS = ["browser", "site", "package", "docs", "types", "slow", "kernels", "fast"];

/** Files that take longest, of a project the longest first. */
const LONGEST = [
  "test/browser/playground.test.ts",
  "test/browser/playground-training.test.ts",
  "test/browser/jupyterlab.test.ts",
  "test/browser/mount.test.ts",
  "test/browser/report.test.ts",
  "test/browser/figures.test.ts",
  "test/site/accessible.test.ts",
  "test/site/reading.test.ts",
  "test/package/built/notebooks.test.ts",
  "test/package/built/consumers.test.ts",
  "test/docs/chapters.test.ts",
  "test/docs/blocks.test.ts",
  "test/types/nested-calls.test.ts",
  "test/train/experiments.slow.test.ts",
  "test/io/memory.slow.test.ts",
  "test/cli/sweep.slow.test.ts",
  "test/cli/cli.slow.test.ts",
  "test/queue/queue.slow.test.ts",
  "test/linear/search/screened.slow.test.ts",
  "test/cli/train.slow.test.ts",
  "test/train/long.slow.test.ts",
  "test/viz/extremes.slow.test.ts",
  "test/circuits/memory.slow.test.ts",
  "test/cli/figure.slow.test.ts",
  "test/kernels/kernels.slow.test.ts",
];

/** The order in which test files are begun: project by project, the longest of each first, as is known from earlier runs. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification): number => {
      const listed = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return PROJECTS.indexOf(project.name) * (LONGEST.length + 1) + (listed >= 0 ? listed : LONGEST.length);
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
