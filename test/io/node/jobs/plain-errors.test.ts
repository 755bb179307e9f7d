/** Errors that pass between threads as data, and on a queue as text, are of their class again, with what they named. */
import { describe, expect, test } from "vitest";
import * as errors from "../../../../src/errors.ts";
import { errorFrom, errorFromText, plainError } from "../../../../src/io/node/jobs/plain-errors.ts";

const classes = Object.values(errors).filter(
  (value): value is typeof errors.CircuitsError =>
    typeof value === "function" && (value === errors.CircuitsError || value.prototype instanceof errors.CircuitsError),
);

test("the library's classes are found", () => {
  expect(classes.length).toBeGreaterThanOrEqual(7);
});

describe.each(classes.map((made) => [made.name, made] as const))("%s", (name, made) => {
  const error = new made("x is 2: too small.", { operation: "loadFolder", argument: "x", actual: 2 });

  test("as data keeps class, text, operation and argument", () => {
    const again = errorFrom(structuredClone(plainError(error)));
    expect(again).toBeInstanceOf(made);
    expect(again).toMatchObject({ name, message: error.message, operation: "loadFolder", argument: "x" });
  });

  test("as data without an argument has none", () => {
    const again = errorFrom(structuredClone(plainError(new made("no.", { operation: "f" }))));
    expect(again).toMatchObject({ name, message: "f: no.", argument: undefined });
  });

  test("as text keeps class, text and operation", () => {
    const again = errorFromText(`${error.name}: ${error.message}`);
    expect(again).toBeInstanceOf(made);
    expect(again).toMatchObject({ name, message: error.message, operation: "loadFolder" });
  });
});

test.each([
  ["TypeError: x is not a function", "TypeError", "x is not a function"],
  ["RangeError: f: out of range", "RangeError", "f: out of range"],
  ["InputError: without an operation", "InputError", "without an operation"],
  ["toString: f: no class", "Error", "toString: f: no class"],
  ["job stalled more than allowable limit", "Error", "job stalled more than allowable limit"],
])("the text %j of another is an error of that name", (text, name, message) => {
  const error = errorFromText(text);
  expect(error).not.toBeInstanceOf(errors.CircuitsError);
  expect(error).toMatchObject({ name, message });
  expect(errorFrom(structuredClone(plainError(error)))).toMatchObject({ name, message });
});
