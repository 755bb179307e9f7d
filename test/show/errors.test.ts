/** Errors in a console: what was given is named, never printed with all that is in it. */
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { openBundledModel } from "../../src/io/bundled.ts";
import * as library from "../support/everything.ts";

const { CircuitsError, InputError } = library;
const bundled = await openBundledModel();
const { model } = bundled;
const run = model.run([0, 1, 2, 3]);
const given: Readonly<Record<string, unknown>> = {
  "model with its tokenizer": bundled,
  run,
  cache: run.cache,
  tensor: run.logits,
  map: model.head("L1H2").W_OV,
  "long list": Array.from({ length: 5000 }, (_, i) => i),
  nested: [[["x".repeat(5000)]]],
  "long text": "x".repeat(5000),
};

const functions = Object.entries(library).filter(
  ([name, value]) => typeof value === "function" && !String(value).startsWith("class") && name !== "useThreads",
) as [string, (...given: unknown[]) => unknown][];

/** What Node writes below the stack of an error that nobody caught: it does not ask values to show themselves. */
function fieldsOf(error: InstanceType<typeof CircuitsError>): string {
  return inspect(error, { customInspect: false }).slice(error.stack?.length);
}

test.each(Object.keys(given))("the fields of every error about %s are printed in a few lines", async (name) => {
  const value = given[name];
  let count = 0;
  for (const [, f] of functions) {
    try {
      await f(value, value);
    } catch (error) {
      if (!(error instanceof CircuitsError)) continue;
      count++;
      expect(fieldsOf(error).length, error.message).toBeLessThan(1200);
      expect(JSON.stringify(error).length, error.message).toBeLessThan(1200);
    }
  }
  expect(count).toBeGreaterThan(50);
});

test("what is in sight is what is short; what is not can still be asked for", () => {
  const details = { operation: "f", argument: "x", expected: ["a", 1, null], actual: 3 };
  expect(Object.keys(new InputError("no", details))).toEqual(
    expect.arrayContaining(["operation", "argument", "expected", "actual"]),
  );
  const large = new InputError("no", { operation: "f", expected: () => 1, actual: model });
  expect(Object.keys(large)).not.toContain("actual");
  expect(Object.keys(large)).not.toContain("argument");
  expect(large.actual).toBe(model);
  expect(typeof large.expected).toBe("function");
});
