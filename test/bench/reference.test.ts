/** A contender that computes something else is found out, by one wrong entry or by a missing one. */
import { describe, expect, test } from "vitest";
import { makeInputs } from "../../bench/lib/inputs.mjs";
import { complaint } from "../../bench/lib/reference.mjs";
import { groups, selectGroups } from "../../bench/lib/workloads.mjs";

/** Inputs of a few numbers, and what each kind of work makes of them, by hand. */
const input = (shape: number[], data: ArrayLike<number>) => ({ shape, data });
const third = 1 / 3;
const e = Math.E;

const handWorked = [
  {
    name: "matmul",
    work: { kind: "matmul", m: 1, k: 2, n: 2 },
    inputs: [input([1, 2], Float32Array.of(1, 2)), input([2, 2], Float32Array.of(1, 2, 3, 4))],
    result: [7, 10],
  },
  {
    name: "a stack of products",
    work: { kind: "matmul", batch: 2, m: 1, k: 1, n: 1 },
    inputs: [input([2, 1, 1], Float32Array.of(2, 3)), input([2, 1, 1], Float32Array.of(5, 7))],
    result: [10, 21],
  },
  {
    name: "softmax",
    work: { kind: "softmax", shape: [1, 1, 3] },
    inputs: [input([1, 1, 3], Float32Array.of(4, 4, 4))],
    result: [third, third, third],
  },
  {
    name: "causal softmax",
    work: { kind: "causalSoftmax", shape: [1, 2, 2] },
    inputs: [input([1, 2, 2], Float32Array.of(1, 9, 1, 0))],
    result: [1, 0, e / (e + 1), 1 / (e + 1)],
  },
  {
    name: "attention",
    work: { kind: "attention", heads: 1, positions: 2, d_head: 1 },
    inputs: [
      input([1, 2, 1], Float32Array.of(1, 1)),
      input([1, 2, 1], Float32Array.of(1, 0)),
      input([1, 2, 1], Float32Array.of(3, 5)),
    ],
    result: [3, (3 * e + 5) / (e + 1)],
  },
  {
    name: "layer norm",
    work: { kind: "layerNorm", shape: [1, 2] },
    inputs: [input([1, 2], Float32Array.of(3, 1))],
    result: [1 / Math.sqrt(1 + 1e-5), -1 / Math.sqrt(1 + 1e-5)],
  },
  {
    name: "eigenvalues",
    work: { kind: "eigenvalues", count: 1, size: 2 },
    inputs: [input([1, 2, 2], Float64Array.of(0, -2, 2, 0))],
    result: [0, 0, 2, -2],
  },
  {
    name: "singular value decomposition",
    work: { kind: "svd", count: 1, size: 2 },
    inputs: [input([1, 2, 2], Float64Array.of(0, 3, 2, 0))],
    result: [1, 0, 0, 1, 3, 2, 0, 1, 1, 0],
  },
];

describe.each(handWorked)("$name", ({ work, inputs, result }) => {
  test("the right result passes", () => {
    expect(complaint(work, inputs, Float64Array.from(result))).toBeUndefined();
  });

  test("a wrong entry does not, wherever it stands", () => {
    for (const i of result.keys()) {
      for (const wrong of [(result[i] ?? 0) + 0.01, NaN]) {
        expect(complaint({ ...work }, inputs, Float64Array.from(result).fill(wrong, i, i + 1))).toMatch(
          /^is off by \S+, more than \S+$/,
        );
      }
    }
  });

  test("a missing entry does not", () => {
    expect(complaint({ ...work }, inputs, Float64Array.from(result.slice(1)))).toBe(
      `returned ${result.length - 1} numbers instead of ${result.length}`,
    );
  });
});

describe("workloads", () => {
  test("inputs are the same each time", () => {
    const work = { kind: "matmul", m: 3, k: 4, n: 5 };
    expect(makeInputs(work)).toEqual(makeInputs(work));
    expect(makeInputs(work).map(({ shape }) => shape)).toEqual([
      [3, 4],
      [4, 5],
    ]);
  });

  test("scores that are masked before have -1e9 where a key is later than the query, and only there", () => {
    const [{ data } = { data: [] }] = makeInputs({ kind: "causalSoftmax", shape: [2, 3, 3], masked: "before" });
    const masked = Array.from(data, (score) => (score < -1e8 ? 1 : 0));
    expect(masked).toEqual([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0]);
  });

  test("--only keeps a named group whole and of others the named cases", () => {
    expect(selectGroups([])).toBe(groups);
    expect(selectGroups(["layer-norm"]).map(({ id }) => id)).toEqual(["layer-norm"]);
    const chosen = selectGroups(["512³", "start"]);
    expect(chosen.map(({ id, cases }) => [id, ...cases.map(({ name }) => name)])).toEqual([
      ["matmul", "512³"],
      ["threads", "512³"],
      ["start"],
    ]);
    expect(selectGroups(["nothing"])).toEqual([]);
  });
});
