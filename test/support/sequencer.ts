import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Projects by the length of their longest file, so that the short files of `fast`, which come last, keep all workers busy to
 * the end. Within a project the longest file is first, as far as its time is known from an earlier run.
 */
const ORDER = ["browser", "site", "docs", "types", "package", "slow", "fast"];

/** The order in which test files are begun. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ project }: TestSpecification): number => ORDER.indexOf(project.name);
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
