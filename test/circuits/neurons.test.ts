/** Circuits of neurons against what runs of the model compute (float32 runs: 1e-5). */
import { describe, expect, test } from "vitest";
import { neuronLogitCircuit, neuronTokenCircuit } from "../../src/circuits/index.ts";
import { pathExpansion } from "../../src/paths/index.ts";
import { ConfigError, InputError } from "../../src/errors.ts";
import { toDense } from "../../src/linear/index.ts";
import { editAt } from "../../src/model/index.ts";
import { add, matmul, subtract, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";

const tokens = [[3, 1, 4, 1, 5, 9]];
const model = randomModel({ n_layers: 2, norm: null, position: "none", bias: true, mlp: "gelu" });
const parallel = randomModel({ n_layers: 2, norm: null, position: "none", mlp: "relu", parallel: true });

test("pre-activations of the first layer are those of the tokens, of the tokens through each head, and biases (D2)", () => {
  const { cache } = model.run(tokens);
  const T = Tensor.from(
    "pos d_vocab",
    [6, 17],
    Float64Array.from({ length: 6 * 17 }, (_, i) => (i % 17 === tokens[0]?.[Math.floor(i / 17)] ? 1 : 0)),
  );
  const layer = model.layer(0);
  const table = (of: Parameters<typeof toDense>[0]): Tensor<"d_vocab d_mlp"> => {
    const { data } = toDense(of);
    return Tensor.from("d_vocab d_mlp", [17, 15], data);
  };
  let pre: Tensor = matmul(T, table(neuronTokenCircuit(model, 0)));
  for (const { head, label } of layer.heads) {
    const A = cache.get("blocks.0.attn.hook_pattern").select("batch", 0).select("head", head);
    const moved = matmul(A, T.rename("pos", "key_pos")).rename("query_pos", "pos");
    pre = add(pre, matmul(moved, table(neuronTokenCircuit(model, 0, label))) as never);
  }
  const expansion = pathExpansion(model, tokens);
  expect(expansion.certificate().withinBound).toBe(true);
  const W_in = Tensor.from("d_model d_mlp", [12, 15], model.weight("blocks.0.mlp.W_in").data);
  let bias: Tensor<"pos d_model"> = Tensor.zeros("pos d_model", [6, 12], "float64");
  bias = add(bias, layer.b_O);
  for (const head of layer.heads) {
    const b_V = Tensor.from("pos d_head", [1, 4], head.b_V.data);
    const written = matmul(
      b_V,
      model.weight("blocks.0.attn.W_O").select("head", head.head) as Tensor<"d_head d_model">,
    );
    bias = add(bias, written.select("pos", 0));
  }
  pre = add(add(pre, matmul(bias, W_in) as never), model.weight("blocks.0.mlp.b_in") as never);
  expectClose(pre.data, cache.get("blocks.0.mlp.hook_pre").data, { atol: 1e-5, rtol: 1e-5 });
});

test("one unit of activation of a neuron of the last layer moves the logits by its row", () => {
  const circuit = toDense(neuronLogitCircuit(model, 1));
  const clean = model.forward(tokens);
  for (const neuron of [0, 7, 14]) {
    const bumped = model.run(tokens, {
      cache: [],
      edits: editAt("blocks.1.mlp.hook_post", (post) => {
        const data = post.data.map((x, i) => (i % 15 === neuron ? x + 1 : x));
        return Tensor.from(post.axes, post.shape, data);
      }),
    }).logits;
    const row = Array.from({ length: 17 }, (_, c) => circuit.data[neuron * 17 + c] as number);
    const moved = subtract(bumped, clean).select("batch", 0).select("pos", 2).data;
    expectClose(moved, row, { atol: 2e-5 });
  }
});

describe("refusals", () => {
  test("an attention-only model has no neurons", () => {
    for (const call of [() => neuronTokenCircuit(randomModel(), 0), () => neuronLogitCircuit(randomModel(), 0)]) {
      expect(call).toThrow(ConfigError);
      expect(call).toThrow("this model is attention-only; it has no neurons.");
    }
  });

  test("a head that the MLP cannot read", () => {
    expect(() => neuronTokenCircuit(model, 0, "L1H0")).toThrow(InputError);
    expect(() => neuronTokenCircuit(model, 0, "L1H0")).toThrow(
      "neuronTokenCircuit: the MLP of layer 0 does not read what L1H0 writes; it reads heads of layers up to 0.",
    );
    expect(() => neuronTokenCircuit(parallel, 1, "L1H0")).toThrow("it reads heads of layers up to 0.");
    expect(neuronTokenCircuit(parallel, 1, "L0H0").cols).toBe(15);
  });
});
