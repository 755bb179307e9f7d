/**
 * All fields of the configurations of TransformerLens 3.9 and 4.3 and of Hugging Face's GPT-2 and GPT-NeoX, one at a
 * time: the model that is read has that library's own logits, or the field is refused by name. `make.py` beside the
 * fixtures asked the libraries.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../src/errors.ts";
import { transformerFromTensors } from "../../../src/io/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";

interface Case {
  readonly base: string;
  readonly changed: Readonly<Record<string, unknown>>;
  readonly shapes?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly gone?: readonly string[];
  /** Absent where they are the base's. */
  readonly logits?: readonly (readonly number[])[];
  /** What the library itself says of the value. */
  readonly refused?: string;
}
interface Fixture {
  readonly tokens: readonly number[];
  readonly bases: Readonly<
    Record<string, { config: Record<string, unknown>; shapes: string; logits: readonly (readonly number[])[] }>
  >;
  readonly shapes: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
  readonly cases: readonly Case[];
}

const fixture = (name: string): Fixture =>
  JSON.parse(readFileSync(new URL(`../../fixtures/config-fields/${name}.json`, import.meta.url), "utf8")) as Fixture;

/** The weights of `make.py`. */
function weightOf(name: string, shape: readonly number[]): Tensor {
  const k = [...name].reduce((sum, c) => sum + c.charCodeAt(0), 0) % 97;
  const isNorm = shape.length === 1 && /ln|norm/.test(name) && /(w|weight)$/.test(name);
  const length = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length }, (_, i) => 0.5 * Math.sin(0.37 * i * i + k) + (isNorm ? 1 : 0));
  return Tensor.from(shape.map((_, a) => `dim${a}`).join(" "), shape, data);
}

/**
 * Values that change nothing in that library and are refused all the same: a switch of what is not supported, set
 * without effect.
 */
const CAUTIOUS: Readonly<Record<string, readonly string[]>> = {
  tl3: [
    ...["clip_qkv", "num_experts", "rotary_scaling_factor", "use_NTK_by_parts_rope"],
    ...["use_dynamic_ntk_rope", "use_logn_attn", "use_yarn_rope"],
  ],
  tl4: ["gated_mlp", "rope_scaling"],
  gpt2: [
    ...["add_cross_attention", "attention_chunk_size", "layer_norm_eps", "layer_types", "norm_eps", "rms_norm_eps"],
    "sliding_window",
  ],
  neox: [
    ...["attention_chunk_size", "layer_norm_epsilon", "layer_types", "norm_eps", "rms_norm_eps", "rope_parameters"],
    "sliding_window",
  ],
};

describe.each(["tl3", "tl4", "gpt2", "neox"])("%s", (library) => {
  const { tokens, bases, shapes, cases } = fixture(library);
  // Tensors are values: models of the same shapes share them.
  const weights = new Map<string, ReadonlyMap<string, Tensor>>();
  const load = (config: unknown, shapeKey: string): (() => ReturnType<typeof transformerFromTensors>) => {
    const tensors =
      weights.get(shapeKey) ??
      new Map(Object.entries(shapes[shapeKey] ?? {}).map(([n, shape]) => [n, weightOf(n, shape)]));
    weights.set(shapeKey, tensors);
    return () => transformerFromTensors({ tensors, config });
  };
  // Float32 in both libraries, logits of order 1 to 10.
  const difference = (a: ArrayLike<number>, b: readonly number[]): number =>
    b.reduce((most, x, i) => Math.max(most, Math.abs((a[i] ?? NaN) - x)), 0);

  test.each(Object.keys(bases))("the base %s", (base) => {
    const { config, shapes: key, logits } = bases[base] ?? { config: {}, shapes: "", logits: [] };
    expect(difference(load(config, key)().forward([...tokens]).data, logits.flat())).toBeLessThan(1e-4);
  });

  test("every field", () => {
    const wrong: string[] = [];
    const cautious = new Set<string>();
    for (const { base, changed, shapes: key, config = {}, gone = [], logits, refused } of cases) {
      if (refused !== undefined) continue;
      const plain = bases[base] ?? { config: {}, shapes: "", logits: [] };
      const whole = Object.fromEntries(
        Object.entries({ ...plain.config, ...config }).filter(([field]) => !gone.includes(field)),
      );
      const what = `${base} ${JSON.stringify(changed)}`;
      const make = load(whole, key ?? plain.shapes);
      let model: ReturnType<typeof make>;
      try {
        model = make();
      } catch (error) {
        const field = error instanceof ConfigError ? error.argument : undefined;
        if (field === undefined || !(field in changed))
          wrong.push(`${what}: refused, but not by name: ${String(error)}`);
        else if (logits === undefined) cautious.add(field);
        continue;
      }
      const worst = difference(model.forward([...tokens]).data, (logits ?? plain.logits).flat());
      if (!(worst < 1e-4)) wrong.push(`${what}: logits off by ${worst}`);
    }
    expect(wrong).toEqual([]);
    expect([...cautious].sort()).toEqual([...(CAUTIOUS[library] ?? [])]);
  });
});
