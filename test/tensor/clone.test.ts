/** Tensors and figures that went through structuredClone: what is left says what to do, and what toJSON gives travels. */
import { describe, expect, test } from "vitest";
import { add, matmul, Tensor } from "../../src/tensor/index.ts";
import { heatmap, mount, arrange, type Figure, type MountTarget } from "../../src/viz/index.ts";

const t = Tensor.fromNested("a b", [
  [1, NaN],
  [-0, Infinity],
]);

describe("a structured clone", () => {
  test.each([
    ["add", (x: Tensor) => add(x, 1)],
    ["matmul", (x: Tensor) => matmul(x, t)],
    ["Tensor.fromJSON", (x: Tensor) => Tensor.fromJSON(x as never)],
  ])("of a tensor is refused by %s, which says how tensors travel", (_, use) => {
    expect(() => use(structuredClone(t) as Tensor)).toThrow(
      "It is a tensor's copy by structuredClone, which leaves the numbers behind: send t.toJSON() and read it with Tensor.fromJSON",
    );
  });

  test.each([
    ["arrange", (x: Figure) => arrange({ rows: [[x]] })],
    [
      "mount",
      (x: Figure) => mount({ ownerDocument: {}, replaceChildren: () => undefined } as unknown as MountTarget, x),
    ],
  ])("of a figure is refused by %s", (_, use) => {
    expect(() => use(structuredClone(heatmap({ values: [[1]] })) as Figure)).toThrow(
      "It is a figure's copy by structuredClone, which leaves the drawing behind",
    );
  });

  test("of what toJSON gives is the tensor again, with NaN, infinities and the sign of zero, short or long", () => {
    for (const one of [
      t,
      Tensor.from(
        "a",
        [1000],
        Float64Array.from({ length: 1000 }, (_, i) => Math.sin(i)),
      ),
    ]) {
      const back = Tensor.fromJSON(structuredClone(one.toJSON()));
      expect([back.axes, [...back.shape], back.dtype]).toEqual([one.axes, [...one.shape], one.dtype]);
      expect([...back.data].every((x, i) => Object.is(x, one.data[i]))).toBe(true);
    }
  });
});
