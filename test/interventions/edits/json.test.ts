/** Edits written as JSON and read back say the same, and do the same. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { edit, parseEdits, withRuns } from "../../../src/interventions/index.ts";
import type { Action, EditTarget, Heads } from "../../../src/interventions/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import type { Indices } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { runs } from "../../support/model-arbitrary.ts";

const model = randomModel({ n_layers: 2, n_heads: 3, norm: "LN", bias: true });
const tokens = [
  [1, 5, 3, 5],
  [2, 2, 7, 1],
];
const reference = model.run([
  [3, 3, 1, 0],
  [8, 1, 2, 2],
]);

/** Ways to name indices of an axis of a size. */
function indicesOf(size: number, isSigned = true): fc.Arbitrary<Indices> {
  const index = fc.integer({ min: isSigned ? -size : 0, max: size - 1 });
  const range = fc.record({ start: fc.integer({ min: 0, max: size - 1 }) });
  const some = fc.oneof(index, range, fc.array(fc.oneof(index, range), { minLength: 1, maxLength: 3 }));
  return fc.oneof(some, fc.record({ not: index }));
}

const layer = indicesOf(2);
const heads: fc.Arbitrary<Heads> = fc.oneof(
  indicesOf(3) as fc.Arbitrary<Heads>,
  fc.constantFrom<Heads>("L0H2", ["L1H0", "L0H1"]),
);
const optional = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> =>
  fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>;

const places: fc.Arbitrary<EditTarget> = fc.oneof(
  fc.constantFrom<EditTarget>("L0H1", "z", "pattern", "blocks.1.attn.hook_result", ["L0H1", "L1H2"]),
  optional({ batch: indicesOf(2), pos: indicesOf(4), head: heads, feature: indicesOf(4) }),
  fc.record({ hook: fc.constantFrom("q", "k", "v"), layer, pos: indicesOf(4) }) as fc.Arbitrary<EditTarget>,
  fc.record({
    hook: fc.constant("resid_pre"),
    layer,
    pos: indicesOf(4),
    feature: indicesOf(12),
  }) as fc.Arbitrary<EditTarget>,
  fc.record({ hook: fc.constant("pattern"), layer, offset: indicesOf(4, false) }) as fc.Arbitrary<EditTarget>,
);
const number = fc.oneof(fc.double({ min: -4, max: 4 }), fc.constantFrom(-0, Infinity, -Infinity, NaN));
const actions: fc.Arbitrary<Action> = fc.oneof(
  fc.constantFrom<Action>("zero", "mean", "resample", { mean: "batch" }, { resample: [1, 0] }),
  fc.record({ scale: number }),
  fc.record({ set: number }),
  fc.record({ add: number, times: number }),
  fc.record({ noise: fc.double({ min: 0, max: 2, noNaN: true }), seed: fc.nat(), relative: fc.boolean() }),
  fc.record({ resample: fc.nat() }),
  fc.constantFrom<Action>(
    { copyFrom: reference, name: "reference" },
    { mean: "batch", of: reference, name: "reference" },
    { mean: "batch", of: [reference, reference], name: "reference" },
    { resample: 3, from: reference, name: "reference" },
    { copyFrom: "reference" },
    { set: Tensor.from("batch", [2], [1, -Infinity]) },
    { add: Tensor.from("batch", [2], new Float64Array([0.1, -0])) },
  ),
);

/** The logits of a run, or what was thrown. */
function outcome(edits: ReturnType<typeof parseEdits>): string | readonly number[] {
  try {
    return Array.from(model.run(tokens, { edits, cache: [] }).logits.data);
  } catch (error) {
    return String(error);
  }
}

test("what is read is what was written, and gives the same run to the bit", () => {
  let ran = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(places, actions), { minLength: 1, maxLength: 3 }), (given) => {
      const edits = given.map(([at, action]) => edit(at, action));
      const text = JSON.stringify(edits);
      const asks = text.includes('"reference"');
      const needsList = given.some(([, action]) => Array.isArray((action as { of?: unknown }).of));
      const needsOne = given.some(
        ([, action]) => typeof action === "object" && ("copyFrom" in action || "from" in action),
      );
      fc.pre(!(needsList && needsOne));
      const supplied = needsList ? [reference, reference] : reference;
      const read = parseEdits(text, asks ? { reference: supplied } : {});
      expect(JSON.stringify(read)).toBe(text);
      const bare = parseEdits(text);
      expect(JSON.stringify(bare)).toBe(text);
      if (asks) expect(JSON.stringify(withRuns(bare, { reference: supplied }))).toBe(text);
      const expected = outcome(asks ? edits.map((one) => withNamed(one)) : edits);
      if (typeof expected !== "string") ran++;
      expect(outcome(read)).toEqual(expected);
    }),
    runs(5, 300),
  );
  // Selections that are drawn without regard to each other may be empty, and then both are refused alike.
  expect(ran).toBeGreaterThan(150);
});

/** An edit that names the run with the run supplied. */
function withNamed(one: ReturnType<typeof edit>): ReturnType<typeof edit> {
  const named = (one.do as { copyFrom?: unknown }).copyFrom === "reference";
  return named ? (withRuns(one, { reference })[0] ?? one) : one;
}
