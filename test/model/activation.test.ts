/** Activation functions against tabled values, integrals and limits. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { activate, type ActivationFunction } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";

const at = (name: ActivationFunction, ...x: number[]): number[] => [
  ...activate(name, Tensor.from("d_mlp", [x.length], Float64Array.from(x))).data,
];

/** Φ(x) of standard normal tables, to ten digits or more. */
const normalTable: [x: number, phi: number][] = [
  [0, 0.5],
  [0.03, 0.511966473414113],
  [0.5, 0.691462461274013],
  [1, 0.841344746068543],
  [-1, 0.158655253931457],
  [1.96, 0.97500210485178],
  [-2, 0.0227501319481792],
  [-3, 0.00134989803163009],
  [-5, 2.86651571879194e-7],
  [-6, 9.86587645037698e-10],
  [-8, 6.22096057427178e-16],
];

test.each(normalTable)("gelu(%d) is x Φ(x) within 1e-10 of itself", (x, phi) => {
  const [value = NaN] = at("gelu", x);
  expect(Math.abs(value - x * phi)).toBeLessThanOrEqual(1e-10 * Math.abs(x * phi));
});

test("gelu has the slope Φ(x) + x φ(x), by central differences within 1e-8", () => {
  const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  fc.assert(
    fc.property(fc.double({ min: -7, max: 7, noNaN: true }), (x) => {
      const h = 1e-4;
      const [above = NaN, below = NaN, value = NaN] = at("gelu", x + h, x - h, x);
      const slope = (Math.abs(x) < 1e-3 ? 0.5 + x * density(0) : value / x) + x * density(x);
      expect(Math.abs((above - below) / (2 * h) - slope)).toBeLessThan(1e-8);
    }),
    { seed: 5, numRuns: 500 },
  );
});

test("the tanh forms are within 5e-4 of gelu, and not equal to it", () => {
  const x = Array.from({ length: 121 }, (_, i) => (i - 60) / 10);
  const exact = at("gelu", ...x);
  for (const name of ["gelu_new", "gelu_fast", "gelu_pytorch_tanh"] as const) {
    const worst = Math.max(...at(name, ...x).map((value, i) => Math.abs(value - (exact[i] as number))));
    expect(worst).toBeLessThan(5e-4);
    expect(worst).toBeGreaterThan(1e-4);
  }
});

test("gelu_new(1) by hand: ½ (1 + tanh(√(2/π) · 1.044715)) = 0.8411919906", () => {
  expect(at("gelu_new", 1)[0]).toBeCloseTo(0.8411919906082768, 12);
  expect(at("gelu_pytorch_tanh", 1)).toEqual(at("gelu_new", 1));
});

test("relu and silu by hand", () => {
  expect(at("relu", -2, 0, 3)).toEqual([0, 0, 3]);
  const [negative, zero, positive] = at("silu", -1, 0, 1);
  expect(negative).toBeCloseTo(-1 / (1 + Math.E), 14);
  expect(zero).toBe(0);
  expect(positive).toBeCloseTo(Math.E / (1 + Math.E), 14);
});

test("solu by hand: x times its softmax", () => {
  const [a, b] = at("solu", 0, Math.log(3));
  expect(a).toBe(0);
  expect(b).toBeCloseTo(0.75 * Math.log(3), 14);
  expect(at("solu_ln", 0, Math.log(3))).toEqual([a, b]);
});

describe.each(["gelu", "gelu_new", "gelu_fast", "relu", "silu"] as const)("%s", (name) => {
  test("is 0 far below and the identity far above, and keeps NaN", () => {
    const [below, above] = at(name, -1000, 1000);
    expect(Math.abs(below ?? NaN)).toBe(0);
    expect(above).toBe(1000);
    expect(at(name, NaN)[0]).toBeNaN();
  });
});
