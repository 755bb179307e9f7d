import { expect, test } from "vitest";
import { edit } from "../../../src/interventions/index.ts";
import { map } from "../../../src/tensor/index.ts";
import { InputError } from "../../../src/errors.ts";
import { openBundledModel } from "../../../src/io/bundled.ts";

const { model } = await openBundledModel();

test("a list of edits at one hook acts in order", () => {
  const run = (edits: Parameters<typeof model.run>[1]): number =>
    model.run([0, 5], edits).cache.get("hook_embed").at(0, 1, 2);
  const one = edit("hook_embed", (x) => map(x, () => 3));
  const twice = edit("hook_embed", (x) => map(x, (value) => 2 * value));
  expect(run({ edits: [one, twice] })).toBe(6);
  expect(run({ edits: [twice, one] })).toBe(3);
});

test("a predicate that picks nothing, and a plain object { at, do }, are refused", () => {
  const nowhere = edit(
    () => false,
    (x) => x,
  );
  expect(() => model.run([0], { edits: nowhere })).toThrow(InputError);
  expect(() => model.run([0], { edits: { at: "hook_embed", do: "zero" } as never })).toThrow("Make one of it");
});
