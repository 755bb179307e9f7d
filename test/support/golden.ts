/** The golden cases of test/fixtures/golden, and the comparison with them. */
import { existsSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { loadTransformer, parseSafetensors } from "../../src/io/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";

export type GoldenCase =
  | "attn-1l-standard"
  | "attn-2l-ln"
  | "attn-2l-shortformer"
  | "attn-2l-shortformer-nobias"
  | "attn-3l-rotary"
  | "gpt2-2l"
  | "neox-2l"
  | "bundled";

/** The cases whose every intermediate result is kept. */
export const attentionCases = [
  "attn-1l-standard",
  "attn-2l-ln",
  "attn-2l-shortformer",
  "attn-2l-shortformer-nobias",
  "attn-3l-rotary",
] as const satisfies readonly GoldenCase[];

/** The cases with MLPs: after the attention, and beside it. */
export const mlpCases = ["gpt2-2l", "neox-2l"] as const satisfies readonly GoldenCase[];

/** The scalars and labels of `expected.json`, as far as they are used. */
export interface GoldenLabels {
  readonly loss: number;
  readonly decompose_resid_labels: readonly string[];
  readonly accumulated_resid_labels: readonly string[];
  readonly full_resid_decomposition_labels: readonly string[];
  readonly repeated_loss_second_half: number;
  /** Paths of heads, `""` the direct one, `"0.1->1.2"` head 0.1 and then 1.2. */
  readonly paths: readonly string[];
  readonly loss_by_max_order: readonly number[];
  readonly loss_uniform: number;
  readonly [key: string]: unknown;
}

export interface Golden {
  /** The parsed `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly model: Transformer;
  /** `expected.json`. */
  readonly labels: GoldenLabels;
  /** The names of the expected tensors. */
  readonly names: readonly string[];
  /** Whether the case has an expected tensor. */
  has(name: string): boolean;
  /** An expected tensor as it is stored (float64 and int32 stay so); masked scores, stored as -1e30, are -Infinity. */
  expected(name: string): Tensor;
  /** An int32 expected tensor `[batch, pos]` as lists of token ids. */
  tokens(name?: "tokens" | "repeated_tokens"): number[][];
}

/** The path of a file of a golden case. */
export function goldenFile(caseName: GoldenCase, file: string): URL {
  return new URL(`../fixtures/golden/${caseName}/${file}`, import.meta.url);
}

export function loadGolden(caseName: GoldenCase): Golden {
  const bytes = (file: string): Uint8Array => readFileSync(goldenFile(caseName, file));
  const json = (file: string): unknown => JSON.parse(readFileSync(goldenFile(caseName, file), "utf8"));
  const file = parseSafetensors(bytes("expected.safetensors"), { name: `${caseName}/expected.safetensors` });
  // Of some cases gradients lie in a file of their own.
  const more = existsSync(goldenFile(caseName, "gradients.safetensors"))
    ? parseSafetensors(bytes("gradients.safetensors"), { name: `${caseName}/gradients.safetensors` })
    : undefined;
  const config = json("config.json") as Record<string, unknown>;
  const expected = (name: string): Tensor => {
    const holder = more?.tensors.has(name) === true ? more : file;
    const isDouble = holder.tensors.get(name)?.dtype === "F64";
    const t = holder.read(name, isDouble ? { dtype: "float64" } : {});
    if (!name.endsWith("hook_attn_scores")) return t;
    return Tensor.from(
      t.axes,
      t.shape,
      Float32Array.from(t.data, (x) => (x < -1e29 ? -Infinity : x)),
    );
  };
  let model: Transformer | undefined;
  return {
    config,
    get model(): Transformer {
      return (model ??= loadTransformer({ config, weights: bytes("model.safetensors") }));
    },
    labels: json("expected.json") as GoldenLabels,
    names: [...file.tensors.keys(), ...(more?.tensors.keys() ?? [])],
    has: (name) => file.tensors.has(name) || more?.tensors.has(name) === true,
    expected,
    tokens: (name = "tokens") => expected(name).toNested() as number[][],
  };
}

export interface Tolerance {
  /** Absolute. */
  readonly atol?: number;
  /** Relative to the expected value. */
  readonly rtol?: number;
}

type Numbers = ArrayLike<number> | Tensor;

/**
 * Asserts |actual − expected| ≤ atol + rtol · |expected| for every element, shapes alike where both have one. NaN on either
 * side fails; an infinity is close to itself only. The failure names the element that is furthest beyond its bound.
 */
export function expectClose(actual: Numbers, expected: Numbers, { atol = 0, rtol = 0 }: Tolerance): void {
  const shape = sharedShape(actual, expected);
  const a = numbers(actual);
  const e = numbers(expected);
  // Called for many single numbers: what holds is not asked through `expect`, which takes its time.
  if (a.length !== e.length) expect(a.length, "number of elements").toBe(e.length);
  if (a.length === 0) expect.fail("there should be something to compare");
  let worst = 0;
  let worstExcess = -Infinity;
  let beyond = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, e[i] as number];
    const bound = atol + rtol * Math.abs(y);
    const excess = x === y ? -bound : Number.isFinite(x) && Number.isFinite(y) ? Math.abs(x - y) - bound : Infinity;
    if (excess > 0) beyond++;
    if (excess > worstExcess) {
      worstExcess = excess;
      worst = i;
    }
  }
  if (beyond === 0) return;
  const [x, y] = [a[worst] as number, e[worst] as number];
  expect.fail(
    `${beyond} of ${a.length} elements are not close (atol ${atol}, rtol ${rtol}); the worst is [${indexOf(worst, shape).join(", ")}]: ` +
      `actual ${x}, expected ${y}, difference ${x - y}`,
  );
}

function numbers(values: Numbers): ArrayLike<number> {
  return values instanceof Tensor ? values.data : values;
}

function sharedShape(actual: Numbers, expected: Numbers): readonly number[] {
  if (actual instanceof Tensor && expected instanceof Tensor) expect(actual.shape, "shape").toEqual(expected.shape);
  if (expected instanceof Tensor) return expected.shape;
  return actual instanceof Tensor ? actual.shape : [expected.length];
}

function indexOf(flat: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = flat;
  for (const n of [...shape].reverse()) {
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return index;
}
