/**
 * Changes of the weights that leave the function as it is (P22 to P28): what weight processing rests on, held against the forward pass.
 *
 * Weights are float64, so the changes are exact; the two runs store float32 activations and differ by some tens of roundings of
 * numbers up to about 10, hence 5e-5. Each identity also has a neighbour that must fail.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectedWeights, parseConfig, Transformer } from "../../src/model/index.ts";
import type { PositionalEmbeddingType } from "../../src/model/index.ts";
import { add, logSoftmax, maxAbsDifference, mean, multiply, subtract, sum, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel, withWeights } from "../support/random-model.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const tolerance = { atol: 5e-5, rtol: 1e-5 };
const seeds = fc.integer({ min: 0, max: 1e6 });
const unfolded: readonly PositionalEmbeddingType[] = ["standard", "rotary", "none"];
const check = (property: (seed: number, position: PositionalEmbeddingType) => void, positions = unfolded): void => {
  fc.assert(fc.property(seeds, fc.constantFrom(...positions), property), { seed: 22, numRuns: 15 });
};

/** The same weights under another configuration; weights it does not call for are left out. */
function rebuilt(model: Transformer, fields: object, change: (name: string, weight: Tensor) => Tensor): Transformer {
  const config = parseConfig({ ...model.config, attn_only: true, ...fields });
  return Transformer.fromWeights(
    config,
    new Map([...expectedWeights(config).keys()].map((name) => [name, change(name, model.weight(name))])),
  );
}

const isReader = (name: string): boolean => /W_[QKVU]$/.test(name);
const layerOf = (name: string): string => /^blocks\.\d+/.exec(name)?.[0] ?? "";
const normOf = (name: string): string => (name.startsWith("unembed") ? "ln_final" : `${layerOf(name)}.ln1`);

/** b W for the reader that a bias belongs to. */
function through(model: Transformer, biasName: string, vector: Tensor): Tensor {
  const W = model.weight(biasName.replace(/b_([QKVU])$/, "W_$1"));
  return sum(multiply(W, vector), "d_model");
}

/** Norm weights and biases moved into what reads the norm: LN becomes LNPre. */
function folded(model: Transformer): Transformer {
  return rebuilt(model, { normalization_type: "LNPre" }, (name, weight) => {
    if (isReader(name)) return multiply(weight, model.weight(`${normOf(name)}.w`));
    if (/b_[QKVU]$/.test(name)) return add(weight, through(model, name, model.weight(`${normOf(name)}.b`)));
    return weight;
  });
}

const centredReaders = (model: Transformer): Transformer =>
  withWeights(model, (name, weight) => (isReader(name) ? subtract(weight, mean(weight, "d_model")) : weight));

const centredWriters = (model: Transformer): Transformer =>
  withWeights(model, (name, weight) =>
    /W_E$|W_pos$|W_O$|b_O$/.test(name) ? subtract(weight, mean(weight, "d_model")) : weight,
  );

describe("the logits stay as they are within 5e-5 absolute plus 1e-5 relative", () => {
  test("when the weights and biases of LayerNorms are folded into readers (P23)", () => {
    check((seed, position) => {
      const model = randomModel({ seed, position, norm: "LN", bias: true, dtype: "float64" });
      expectClose(folded(model).forward(tokens), model.forward(tokens), tolerance);
    });
  });

  test("but not for shortformer positions, which join after the norm and would be scaled with it", () => {
    const model = randomModel({ position: "shortformer", norm: "LN", bias: true, dtype: "float64" });
    expect(maxAbsDifference(folded(model).forward(tokens), model.forward(tokens))).toBeGreaterThan(1e-2);
  });

  test("when readers are then centred (P24), and when writers are (P25)", () => {
    check((seed, position) => {
      const model = randomModel({ seed, position, norm: "LNPre", bias: true, dtype: "float64" });
      expectClose(centredReaders(model).forward(tokens), model.forward(tokens), tolerance);
      expectClose(centredWriters(model).forward(tokens), model.forward(tokens), tolerance);
    });
  });

  test("but not without a norm, nor under RMSNorm, which takes no mean out", () => {
    for (const norm of [null, "RMSPre"] as const) {
      const model = randomModel({ norm, position: "standard", dtype: "float64" });
      expect(maxAbsDifference(centredReaders(model).forward(tokens), model.forward(tokens))).toBeGreaterThan(1e-2);
    }
  });

  test("when b_V is folded into b_O (P26)", () => {
    check(
      (seed, position) => {
        const model = randomModel({ seed, position, bias: true, dtype: "float64" });
        const moved = withWeights(model, (name, weight) => {
          if (name.endsWith("b_V")) return Tensor.zeros(weight.axes, weight.shape, "float64");
          if (!name.endsWith("b_O")) return weight;
          const at = `${layerOf(name)}.attn`;
          const written = multiply(model.weight(`${at}.W_O`), model.weight(`${at}.b_V`));
          return add(weight, sum(sum(written, "d_head"), "head"));
        });
        expectClose(moved.forward(tokens), model.forward(tokens), tolerance);
      },
      ["standard", "shortformer", "rotary", "none"],
    );
  });

  const without = (model: Transformer, bias: string): Transformer =>
    withWeights(model, (name, weight) =>
      name.endsWith(bias) ? Tensor.zeros(weight.axes, weight.shape, "float64") : weight,
    );

  test("when b_K is dropped (P27), unless positions are rotary; b_Q does matter", () => {
    check(
      (seed, position) => {
        const model = randomModel({ seed, position, bias: true, dtype: "float64" });
        expectClose(without(model, "b_K").forward(tokens), model.forward(tokens), tolerance);
      },
      ["standard", "shortformer", "none"],
    );
    const difference = (model: Transformer, bias: string): number =>
      maxAbsDifference(without(model, bias).forward(tokens), model.forward(tokens));
    expect(difference(randomModel({ position: "rotary", bias: true }), "b_K")).toBeGreaterThan(1e-2);
    expect(difference(randomModel({ bias: true }), "b_Q")).toBeGreaterThan(1e-2);
  });

  test("when b_Q, b_K, b_V and b_U are read from a coordinate that is always 1 (P28)", () => {
    check(
      (seed, position) => {
        const model = randomModel({ seed, position, bias: true, dtype: "float64" });
        const { d_model } = model.config;
        const wider = (name: string): Tensor => {
          const weight = model.weight(name);
          const bias = isReader(name) ? model.weight(name.replace("W_", "b_")) : undefined;
          return withCoordinate(weight, bias ?? (name === "embed.W_E" ? 1 : 0));
        };
        const config = parseConfig({ ...model.config, attn_only: true, d_model: d_model + 1 });
        const weights = new Map(
          [...expectedWeights(config).keys()].map((name) => {
            const weight = model.weight(name);
            if (/b_[QKVU]$/.test(name)) return [name, Tensor.zeros(weight.axes, weight.shape)];
            return [name, wider(name)];
          }),
        );
        expectClose(Transformer.fromWeights(config, weights).forward(tokens), model.forward(tokens), tolerance);
      },
      ["standard", "shortformer", "rotary", "none"],
    );
  });
});

/** One more coordinate on the `d_model` axis, holding a number or, for a reader, its bias. */
function withCoordinate(weight: Tensor, value: number | Tensor): Tensor {
  const axis = weight.names.indexOf("d_model");
  const shape = weight.shape.map((n, a) => (a === axis ? n + 1 : n));
  const inner = weight.shape.slice(axis + 1).reduce((p, n) => p * n, 1);
  const length = weight.shape[axis] ?? 0;
  const out: number[] = [];
  for (let block = 0; block < weight.size / (inner * length); block++) {
    out.push(...weight.data.subarray(block * length * inner, (block + 1) * length * inner));
    for (let i = 0; i < inner; i++)
      out.push(typeof value === "number" ? value : (value.data[block * inner + i] as number));
  }
  return Tensor.from(weight.axes, shape, out, "float64");
}

test("centring W_U and b_U over the vocabulary leaves log-probabilities as they are and logits not (P22, 5e-5)", () => {
  check(
    (seed, position) => {
      const model = randomModel({ seed, position, norm: "LN", bias: true, dtype: "float64" });
      const centred = withWeights(model, (name, weight) =>
        name.startsWith("unembed") ? subtract(weight, mean(weight, "d_vocab")) : weight,
      );
      const [before, after] = [model.forward(tokens), centred.forward(tokens)];
      expectClose(logSoftmax(after, "d_vocab"), logSoftmax(before, "d_vocab"), tolerance);
      expect(maxAbsDifference(before, after)).toBeGreaterThan(1e-3);
    },
    ["standard", "shortformer", "rotary", "none"],
  );
});
