/**
 * Layouts without a golden case, and the places of single numbers in all of them: checkpoints made from random models by the inverse of
 * each layout, so that the same weights must come back to the bit.
 */
import { describe, expect, test } from "vitest";
import { checkpointLayout, transformerFromTensors } from "../../../src/io/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { errorOf } from "../bytes.ts";
import { filled, gptLike, headOf, nanoGpt, same, sizes, w, without } from "./states.ts";

describe("nanoGPT", () => {
  const original = without(gptLike, /b_U$/);
  const tensors = nanoGpt(original);
  const modelArgs = { n_layer: 2, n_head: 3, n_embd: 12, block_size: 10, vocab_size: 17, bias: true, dropout: 0 };

  test("every weight comes back, by content and by name, as model_args or the whole checkpoint's fields", () => {
    expect(checkpointLayout({ tensors })).toBe("nanogpt");
    same(transformerFromTensors({ tensors, config: modelArgs }), original);
    same(
      transformerFromTensors({ layout: "nanogpt", tensors, config: { model_args: modelArgs, iter_num: 5 } }),
      original,
    );
  });

  test.each(["_orig_mod.", "module.", "model._orig_mod.", "model."])("names below %s", (prefix) => {
    const wrapped = new Map([...tensors].map(([name, t]) => [prefix + name, t]));
    if (prefix.startsWith("model")) wrapped.set("optimizer.state.0.exp_avg", Tensor.zeros("a", [3]));
    same(transformerFromTensors({ tensors: wrapped, config: modelArgs }), original);
  });

  test("without biases, whether the configuration says so or not", () => {
    const plain = without(gptLike, /\.b(_\w+)?$/);
    const bare = new Map([...nanoGpt(plain)].filter(([name]) => !name.endsWith("bias")));
    same(transformerFromTensors({ tensors: bare, config: { ...modelArgs, bias: false } }), plain);
    const rest = { ...modelArgs, bias: null };
    same(transformerFromTensors({ tensors: bare, config: rest }), plain);
    expect(errorOf(() => transformerFromTensors({ tensors: bare, config: modelArgs })).message).toContain(
      'tensor "transformer.h.0.ln_1.bias": it is missing, though other biases are there.',
    );
    expect(errorOf(() => transformerFromTensors({ tensors, config: { ...modelArgs, bias: false } })).message).toContain(
      'tensor "transformer.h.0.ln_1.bias": it is there, though the model has no biases.',
    );
  });

  test("a tied head that was left out, mask buffers, and another GELU", () => {
    const tied = new Map(tensors);
    tied.delete("lm_head.weight");
    tied.set("transformer.h.0.attn.bias", Tensor.zeros("a b c d", [1, 1, 10, 10]));
    const model = transformerFromTensors({ tensors: tied, config: { ...modelArgs, act_fn: "gelu_new" } });
    expect(model.weight("unembed.W_U").at(3, 5)).toBe(original.weight("embed.W_E").at(5, 3));
    expect(model.config.act_fn).toBe("gelu_new");
  });
});

test("Hugging Face's GPT-2 layout is nanoGPT's with matrices the other way round", () => {
  const original = without(gptLike, /b_U$/);
  const tensors = new Map(
    [...nanoGpt(original)].map(([name, t]) => {
      const isConv = /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
      const [rows = 0, cols = 0] = t.shape;
      return [name, isConv ? filled([cols, rows], (i, j) => t.at(j, i)) : t];
    }),
  );
  const config = {
    n_layer: 2,
    n_head: 3,
    n_embd: 12,
    n_inner: null,
    n_ctx: 10,
    vocab_size: 17,
    activation_function: "gelu",
    tie_word_embeddings: false,
  };
  expect(checkpointLayout({ tensors })).toBe("huggingface-gpt2");
  same(transformerFromTensors({ tensors, config }), original);
  same(transformerFromTensors({ layout: "huggingface-gpt2", tensors, config }), original);
});

test("Hugging Face's GPT-NeoX interleaves queries, keys and values head by head", () => {
  const original = without(
    randomModel({
      ...sizes,
      norm: "LN",
      position: "rotary",
      bias: true,
      mlp: "gelu_new",
      parallel: true,
      config: { rotary_dim: 2, rotary_base: 500, d_mlp: 15 },
    }),
    /b_U$/,
  );
  const tensors = new Map<string, Tensor>();
  const put = (name: string, shape: readonly number[], entry: (...index: number[]) => number): unknown =>
    tensors.set(name, filled(shape, entry));
  put("gpt_neox.embed_in.weight", [17, 12], w(original, "embed.W_E"));
  put("embed_out.weight", [17, 12], (t, m) => w(original, "unembed.W_U")(m, t));
  put("gpt_neox.final_layer_norm.weight", [12], w(original, "ln_final.w"));
  put("gpt_neox.final_layer_norm.bias", [12], w(original, "ln_final.b"));
  for (let l = 0; l < 2; l++) {
    const [from, to] = [`blocks.${l}`, `gpt_neox.layers.${l}`];
    for (const [ln, name] of [
      ["ln1", "input_layernorm"],
      ["ln2", "post_attention_layernorm"],
    ] as const) {
      put(`${to}.${name}.weight`, [12], w(original, `${from}.${ln}.w`));
      put(`${to}.${name}.bias`, [12], w(original, `${from}.${ln}.b`));
    }
    const place = (row: number): [string, number, number] => [
      "QKV"[Math.floor(row / 4) % 3] ?? "",
      Math.floor(row / 12),
      row % 4,
    ];
    put(`${to}.attention.query_key_value.weight`, [36, 12], (row, m) => {
      const [kind, h, i] = place(row);
      return w(original, `${from}.attn.W_${kind}`)(h, m, i);
    });
    put(`${to}.attention.query_key_value.bias`, [36], (row) => {
      const [kind, h, i] = place(row);
      return w(original, `${from}.attn.b_${kind}`)(h, i);
    });
    put(`${to}.attention.dense.weight`, [12, 12], (m, row) => w(original, `${from}.attn.W_O`)(...headOf(row), m));
    put(`${to}.attention.dense.bias`, [12], w(original, `${from}.attn.b_O`));
    put(`${to}.mlp.dense_h_to_4h.weight`, [15, 12], (n, m) => w(original, `${from}.mlp.W_in`)(m, n));
    put(`${to}.mlp.dense_h_to_4h.bias`, [15], w(original, `${from}.mlp.b_in`));
    put(`${to}.mlp.dense_4h_to_h.weight`, [12, 15], (m, n) => w(original, `${from}.mlp.W_out`)(n, m));
    put(`${to}.mlp.dense_4h_to_h.bias`, [12], w(original, `${from}.mlp.b_out`));
  }
  const config = {
    num_hidden_layers: 2,
    num_attention_heads: 3,
    hidden_size: 12,
    intermediate_size: 15,
    max_position_embeddings: 10,
    vocab_size: 17,
    hidden_act: "gelu_new",
    rotary_pct: 0.5,
    rotary_emb_base: 500,
  };
  expect(checkpointLayout({ tensors })).toBe("huggingface-gpt-neox");
  same(transformerFromTensors({ tensors, config }), original);
  same(transformerFromTensors({ layout: "huggingface-gpt-neox", tensors, config }), original);
});

test("minGPT keeps queries, keys and values apart, and may predict other tokens than it reads", () => {
  const original = without(
    randomModel({
      ...sizes,
      norm: "LN",
      position: "standard",
      bias: true,
      mlp: "gelu",
      config: { d_mlp: 48, d_vocab_out: 19 },
    }),
    /b_U$/,
  );
  const tensors = new Map<string, Tensor>();
  const put = (name: string, shape: readonly number[], entry: (...index: number[]) => number): unknown =>
    tensors.set(name, filled(shape, entry));
  put("tok_emb.weight", [17, 12], w(original, "embed.W_E"));
  put("pos_emb", [1, 10, 12], (_, p, m) => w(original, "pos_embed.W_pos")(p, m));
  put("head.weight", [19, 12], (t, m) => w(original, "unembed.W_U")(m, t));
  for (const side of ["weight", "bias"] as const) put(`ln_f.${side}`, [12], w(original, `ln_final.${side[0] ?? ""}`));
  for (let l = 0; l < 2; l++) {
    const at = `blocks.${l}`;
    for (const ln of ["ln1", "ln2"]) {
      put(`${at}.${ln}.weight`, [12], w(original, `${at}.${ln}.w`));
      put(`${at}.${ln}.bias`, [12], w(original, `${at}.${ln}.b`));
    }
    for (const [kind, name] of [
      ["Q", "query"],
      ["K", "key"],
      ["V", "value"],
    ] as const) {
      put(`${at}.attn.${name}.weight`, [12, 12], (row, m) => {
        const [h, i] = headOf(row);
        return w(original, `${at}.attn.W_${kind}`)(h, m, i);
      });
      put(`${at}.attn.${name}.bias`, [12], (row) => w(original, `${at}.attn.b_${kind}`)(...headOf(row)));
    }
    put(`${at}.attn.proj.weight`, [12, 12], (m, row) => w(original, `${at}.attn.W_O`)(...headOf(row), m));
    put(`${at}.attn.proj.bias`, [12], w(original, `${at}.attn.b_O`));
    put(`${at}.attn.mask`, [1, 1, 10, 10], () => 1);
    put(`${at}.mlp.0.weight`, [48, 12], (n, m) => w(original, `${at}.mlp.W_in`)(m, n));
    put(`${at}.mlp.0.bias`, [48], w(original, `${at}.mlp.b_in`));
    put(`${at}.mlp.2.weight`, [12, 48], (m, n) => w(original, `${at}.mlp.W_out`)(n, m));
    put(`${at}.mlp.2.bias`, [12], w(original, `${at}.mlp.b_out`));
  }
  const config = { n_layers: 2, n_heads: 3, d_model: 12, n_ctx: 10, d_vocab: 17, d_vocab_out: 19, act_fn: "gelu" };
  expect(checkpointLayout({ tensors })).toBe("mingpt");
  same(transformerFromTensors({ tensors, config }), original);
  same(transformerFromTensors({ layout: "mingpt", tensors, config }), original);
});

describe("TransformerLens 4.x's native model", () => {
  const cases = [
    ["attention only, no norm", randomModel({ ...sizes, position: "standard", bias: true })],
    ["MLPs, LayerNorm", randomModel({ ...sizes, position: "standard", norm: "LN", bias: true, mlp: "gelu" })],
    [
      "rotary, RMSNorm",
      randomModel({ ...sizes, position: "rotary", norm: "RMS", bias: true, config: { rotary_adjacent_pairs: true } }),
    ],
  ] as const;

  test.each(cases)("%s: every weight comes back", (_, original) => {
    const tensors = new Map<string, Tensor>();
    for (const [name, t] of original.weights) {
      const put = (to: string, shape: readonly number[], entry: (...index: number[]) => number): unknown =>
        tensors.set(to, filled(shape, entry));
      const [part, kind] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf(".") + 1)];
      const at = (...index: number[]): number => t.at(...index);
      if (/\.ln\d$|ln_final/.test(part)) put(`${part}.${kind === "w" ? "weight" : "bias"}`, t.shape, at);
      else if (kind === "W_E" || kind === "W_pos") put(`${part}.weight`, t.shape, at);
      else if (kind === "W_U") put("unembed.weight", [17, 12], (v, m) => t.at(m, v));
      else if (kind === "b_U") put("unembed.bias", [17], at);
      else if (/W_[QKV]/.test(kind)) {
        put(`${part}.${kind.slice(2).toLowerCase()}.weight`, [12, 12], (row, m) => {
          const [h, i] = headOf(row);
          return t.at(h, m, i);
        });
      } else if (/b_[QKV]/.test(kind))
        put(`${part}.${kind.slice(2).toLowerCase()}.bias`, [12], (r) => t.at(...headOf(r)));
      else if (kind === "W_O") put(`${part}.o.weight`, [12, 12], (m, row) => t.at(...headOf(row), m));
      else if (kind === "b_O") put(`${part}.o.bias`, [12], at);
      else if (kind.startsWith("W_")) {
        const [rows = 0, cols = 0] = t.shape;
        put(`${part}.${kind.slice(2)}.weight`, [cols, rows], (i, j) => t.at(j, i));
      } else put(`${part}.${kind.slice(2)}.bias`, t.shape, at);
    }
    const config = { ...original.config, rotary_adjacent_pairs: false };
    expect(checkpointLayout({ tensors, config })).toBe("transformer-lens-4");
    const model = transformerFromTensors({ tensors, config });
    expect(model.config).toEqual({ ...original.config, rotary_adjacent_pairs: true });
    for (const [name, t] of original.weights) expect(model.weight(name).toNested(), name).toEqual(t.toNested());
    expect(transformerFromTensors({ layout: "transformer-lens-4", tensors, config }).parameterCount).toBe(
      original.parameterCount,
    );
  });
});

describe("TransformerLens's own", () => {
  test("the form of config.json in its repositories", () => {
    const original = randomModel({ ...sizes, bias: true });
    const { n_layers, n_heads, d_model, d_head, d_vocab, n_ctx } = sizes;
    const config = {
      ...{ n_layers, n_heads, d_model, d_head, d_vocab, n_ctx, d_mlp: 48, act_fn: "solu_ln", attn_only: true },
      ...{ normalization: null, shortformer_pos: true, tokenizer_name: "x", architecture: "neel" },
    };
    same(transformerFromTensors({ tensors: original.weights, config }), original);
    const standard = randomModel({ ...sizes, bias: true, norm: "LN", position: "standard" });
    same(
      transformerFromTensors({
        tensors: standard.weights,
        config: { ...config, normalization: "LN", shortformer_pos: false },
      }),
      standard,
    );
    expect(
      errorOf(() =>
        transformerFromTensors({
          tensors: original.weights,
          config: { ...config, positional_embedding_type: "standard" },
        }),
      ).message,
    ).toBe('parseConfig: "shortformer_pos" is true: positional_embedding_type is "standard".');
  });

  test("ARENA's model, which comes without a configuration", () => {
    const original = without(randomModel({ ...sizes }), /\.b_/);
    const tensors = new Map(original.weights);
    tensors.delete("unembed.b_U");
    for (const layer of [0, 1]) {
      tensors.set(`blocks.${layer}.attn.mask`, Tensor.from("a b", [1, 1], [1], "int32"));
      tensors.set(`blocks.${layer}.attn.IGNORE`, Tensor.from("", [], [-1e5]));
    }
    same(transformerFromTensors({ tensors }), original);
    expect(transformerFromTensors({ tensors }).config.positional_embedding_type).toBe("shortformer");
  });

  test.each([
    ["a bias that is not zero, as folding leaves them", randomModel({ ...sizes, bias: true })],
    ["norms", randomModel({ ...sizes, norm: "LN" })],
    ["no positions", randomModel({ ...sizes, position: "none" })],
    ["MLPs", randomModel({ ...sizes, mlp: "gelu" })],
  ])("no configuration and %s: refused", (_, model) => {
    const { name, message } = errorOf(() => transformerFromTensors({ tensors: model.weights }));
    expect(name).toBe("ConfigError");
    expect(message).toBe(
      "transformerFromTensors: the weights: TransformerLens's model needs its configuration, as the tensors do not say kinds of positions and norms, but there is none. Pass the content of config.json, or put the file beside the weights.",
    );
  });

  test.each([2, 7, 9])("an old SoLU model of %d layers", (n_layers) => {
    const original = randomModel({
      ...sizes,
      n_layers,
      norm: "LN",
      position: "standard",
      bias: true,
      mlp: "solu_ln",
      config: { final_rms: true },
    });
    const tensors = new Map<string, Tensor>();
    for (const [name, t] of original.weights) {
      const old = name.replace("ln_final", "norm").replaceAll("ln", "norm");
      const isSwapped = name.includes("W_") && (name.endsWith("W_pos") ? n_layers <= 8 : n_layers <= 6);
      const shape = isSwapped ? [...t.shape.slice(0, -2), t.shape.at(-1) ?? 0, t.shape.at(-2) ?? 0] : t.shape;
      const swapped = (...index: number[]): number => {
        const [a = 0, b = 0] = index.slice(-2);
        return t.at(...index.slice(0, -2), b, a);
      };
      tensors.set(old, filled(shape, isSwapped ? swapped : (...index) => t.at(...index)));
    }
    expect([...tensors.keys()]).toContain("blocks.0.norm1.w");
    expect([...tensors.keys()]).toContain("blocks.0.mlp.norm.b");
    const config = { ...original.config };
    expect(checkpointLayout({ tensors, config })).toBe("solu-old");
    same(transformerFromTensors({ tensors, config }), original);
    same(transformerFromTensors({ layout: "solu-old", tensors, config }), original);
  });

  test("a square old matrix is told by the number of layers", () => {
    const square = randomModel({ ...sizes, n_ctx: 12, n_layers: 1, norm: "LN", position: "standard", mlp: "solu" });
    const config = { ...square.config, architecture: "neel-solu-old" };
    const tensors = new Map(square.weights);
    const model = transformerFromTensors({
      layout: "solu-old",
      tensors: new Map(
        [...tensors]
          .filter(([name]) => name === "pos_embed.W_pos" || !name.includes("W_"))
          .concat(
            [...tensors]
              .filter(([name]) => name.includes("W_") && name !== "pos_embed.W_pos")
              .map(([name, t]) => {
                const shape = [...t.shape.slice(0, -2), t.shape.at(-1) ?? 0, t.shape.at(-2) ?? 0];
                return [
                  name,
                  filled(shape, (...index) => t.at(...index.slice(0, -2), index.at(-1) ?? 0, index.at(-2) ?? 0)),
                ];
              }),
          ),
      ),
      config,
    });
    expect(model.weight("pos_embed.W_pos").at(2, 5)).toBe(square.weight("pos_embed.W_pos").at(5, 2));
    expect(model.weight("embed.W_E").toNested()).toEqual(square.weight("embed.W_E").toNested());
  });

  test("keys and values that heads share in groups are those of each", () => {
    const model = randomModel({ ...sizes, n_heads: 4, d_model: 16, bias: true });
    const tensors = new Map<string, Tensor>();
    for (const [name, t] of model.weights) {
      const isShared = /\.[Wb]_[KV]$/.test(name);
      tensors.set(isShared ? name.replace(/\.([Wb]_[KV])$/, "._$1") : name, isShared ? t.slice("head", 0, 2) : t);
    }
    const grouped = transformerFromTensors({ tensors, config: { ...model.config, n_key_value_heads: 2 } });
    for (const name of ["W_K", "b_V"] as const) {
      const weight = grouped.layer(1)[name];
      const stored = model.weight(`blocks.1.attn.${name}`);
      const heads = [0, 1, 2, 3].map((h) => weight.select("head", h).toNested());
      const [first, second] = [0, 1].map((h) => stored.select("head", h).toNested());
      expect(heads).toEqual([first, first, second, second]);
    }
  });
});
