import type { Reporter, SerializedError, TestModule } from "vitest/node";

/**
 * Prints the run's real counts as the last line, `N passed, N failed`; tests that did not run are counted beside them and
 * listed by name above. A module that could not be loaded, a hook that threw and an error outside any test count as failures.
 */
class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    const skipped: string[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped.push(`${module.relativeModuleId} > ${test.fullName}`);
      }
    }
    for (const name of skipped) console.log(`not run: ${name}`);
    console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`);
  }
}

// Vitest loads a reporter from the default export of its file.
export default CountReporter;
