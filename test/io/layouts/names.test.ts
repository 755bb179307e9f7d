/** Names behind what training code puts before and between them, in every layout and every function that loads. */
import { describe, expect, test } from "vitest";
import {
  checkpointLayout,
  loadTransformer,
  openCheckpoint,
  transformerFromCheckpoint,
  transformerFromTensors,
  writeSafetensors,
} from "../../../src/io/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { errorOf } from "../bytes.ts";
import { filled, gptLike, nanoGpt, same, sizes, w, without } from "./states.ts";

const original = without(gptLike, /b_U$/);
const nano = nanoGpt(original);
const nanoArgs = { n_layer: 2, n_head: 3, n_embd: 12, block_size: 10, vocab_size: 17, bias: true, dropout: 0 };
const lens = randomModel({ ...sizes, norm: "LN", position: "standard", bias: true });

const renamed = (tensors: ReadonlyMap<string, Tensor>, rename: (name: string) => string): Map<string, Tensor> =>
  new Map([...tensors].map(([name, t]) => [rename(name), t]));

const wrappers: [string, (name: string) => string][] = [
  ["each block compiled", (name) => name.replace(/\b(h|blocks)\.(\d)\./, "$1.$2._orig_mod.")],
  ["attention checkpointed", (name) => name.replace(".attn.", "._checkpoint_wrapped_module.attn.")],
  ["FSDP within FSDP", (name) => `_fsdp_wrapped_module.${name.replace(".attn.", ".attn._fsdp_wrapped_module.")}`],
  ["FSDP of torch 1", (name) => `_fsdp_wrapped_module._fpw_module.${name}`],
  ["Lightning with DeepSpeed", (name) => `_forward_module.${name}`],
  ["trl", (name) => `pretrained_model.${name}`],
  ["Lightning's template", (name) => `net.${name}`],
  ["DDP of a compiled module in a trainer", (name) => `model.module._orig_mod.${name}`],
  ["a prefix of one's own", (name) => `agent.policy.${name}`],
];

describe.each(wrappers)("%s", (_, rename) => {
  test("nanoGPT, TransformerLens", () => {
    same(transformerFromTensors({ tensors: renamed(nano, rename), config: nanoArgs }), original);
    same(transformerFromTensors({ layout: "nanogpt", tensors: renamed(nano, rename), config: nanoArgs }), original);
    same(transformerFromTensors({ tensors: renamed(lens.weights, rename), config: lens.config }), lens);
  });

  test("from bytes and from an open checkpoint", async () => {
    const bytes = writeSafetensors(renamed(lens.weights, rename));
    same(loadTransformer({ weights: bytes, config: lens.config }), lens);
    const progress: number[][] = [];
    const checkpoint = await openCheckpoint(bytes);
    const onProgress = (done: number, total: number): unknown => progress.push([done, total]);
    same(await transformerFromCheckpoint(checkpoint, { config: lens.config, onProgress }), lens);
    const total = [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(progress.at(-1)).toEqual([total, total]);
  });
});

test("errors name the tensor as the file does", () => {
  const wrapped = renamed(nano, (name) => `net.${name}`);
  wrapped.delete("net.transformer.h.1.ln_2.weight");
  expect(errorOf(() => transformerFromTensors({ tensors: wrapped, config: nanoArgs })).message).toContain(
    'tensor "net.transformer.h.1.ln_2.weight": it is missing',
  );
  const both = new Map(nano).set("module.transformer.ln_f.weight", Tensor.zeros("a", [12]));
  expect(errorOf(() => transformerFromTensors({ tensors: both, config: nanoArgs })).message).toContain(
    "transformer.ln_f.weight and module.transformer.ln_f.weight are both it.",
  );
});

describe("several models in a file", () => {
  const twice = new Map([
    ...renamed(nano, (name) => `actor.lm.${name}`),
    ...renamed(nanoGpt(without(original, /mlp/)), (name) => `reference.${name}`),
  ]);

  test("are told apart by the option prefix alone", () => {
    const config = nanoArgs;
    expect(errorOf(() => transformerFromTensors({ tensors: twice, config })).message).toBe(
      'transformerFromTensors: the weights: there are several models, below "actor.lm.", "reference.". Say which with the option prefix.',
    );
    same(transformerFromTensors({ tensors: twice, config, prefix: "actor.lm." }), original);
    same(transformerFromTensors({ tensors: twice, config, prefix: "reference." }), without(original, /mlp/));
    same(transformerFromTensors({ tensors: twice, config, ignore: ["reference.*"] }), original);
    expect(checkpointLayout({ tensors: twice, prefix: "reference." })).toBe("nanogpt");
    expect(errorOf(() => transformerFromTensors({ tensors: twice, config, prefix: "critic." })).message).toContain(
      'no tensor\'s name begins with the prefix "critic."; they are actor.lm.transformer.wte.weight,',
    );
  });

  test("in every function that loads", async () => {
    const other = randomModel({ ...sizes, norm: "LN", position: "standard", bias: true, seed: 9 });
    const both = new Map([
      ...renamed(lens.weights, (name) => `a.one.${name}`),
      ...renamed(other.weights, (name) => `a.two.${name}`),
    ]);
    const weights = writeSafetensors(both);
    const { config } = lens;
    same(loadTransformer({ weights, config, prefix: "a.two." }), other);
    same(await transformerFromCheckpoint(await openCheckpoint(weights), { config, prefix: "a.one." }), lens);
    same(await transformerFromCheckpoint(await openCheckpoint(weights), { config, ignore: ["a.one.*"] }), other);
  });

  test.each([{ prefix: 3 }, { ignore: "a" }, { ignore: [1] }])("%j is no option", (options) => {
    const given = { tensors: twice, config: nanoArgs, ...options } as never;
    expect(errorOf(() => transformerFromTensors(given)).name).toBe("InputError");
  });
});

describe("what stands beside the model", () => {
  const head = Tensor.zeros("a b", [1, 12]);

  test("a value head is passed over and noted, what is unknown needs the option ignore", () => {
    const tensors = new Map(nano).set("v_head.summary.weight", head);
    const model = transformerFromTensors({ tensors, config: nanoArgs });
    same(model, original);
    expect(model.notes).toContain("Tensors beside the language model are passed over: v_head.summary.weight.");
    const probe = new Map(nano).set("probe.layers.3.weight", head);
    expect(errorOf(() => transformerFromTensors({ tensors: probe, config: nanoArgs })).message).toContain(
      'tensor "probe.layers.3.weight": the configuration does not call for it',
    );
    same(transformerFromTensors({ tensors: probe, config: nanoArgs, ignore: ["probe.*.weight"] }), original);
    const lensProbe = new Map(lens.weights).set("probe.w", head).set("v_head.w", head);
    same(transformerFromTensors({ tensors: lensProbe, config: lens.config, ignore: ["probe.*"] }), lens);
  });

  test("the tied matrix under the head's name alone", () => {
    const tied = new Map(nano);
    tied.delete("transformer.wte.weight");
    const model = transformerFromTensors({ tensors: tied, config: nanoArgs });
    expect(model.weight("embed.W_E").at(5, 3)).toBe(original.weight("unembed.W_U").at(3, 5));
    expect(model.weight("unembed.W_U").at(3, 5)).toBe(original.weight("unembed.W_U").at(3, 5));
  });

  test("a head beside the module that holds the rest is the model's", () => {
    const apart = renamed(nano, (name) => (name === "lm_head.weight" ? name : name.replace("transformer.", "trunk.")));
    same(transformerFromTensors({ tensors: apart, config: nanoArgs }), original);
  });

  test("GPT-2 by name, below a prefix", () => {
    const conv = new Map<string, Tensor>();
    for (const [name, t] of nano) {
      const [rows = 0, cols = 0] = t.shape;
      const isMatrix = /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
      conv.set(`net.${name}`, isMatrix ? filled([cols, rows], (i, j) => t.at(j, i)) : t);
    }
    const config = { n_layer: 2, n_head: 3, n_embd: 12, n_positions: 10, vocab_size: 17, tie_word_embeddings: false };
    const model = transformerFromTensors({
      layout: "huggingface-gpt2",
      tensors: conv,
      config: { ...config, activation_function: "gelu" },
    });
    same(model, original);
  });
});

describe("TransformerLens", () => {
  test("keys and values of as many groups as heads keep their own names", () => {
    const tensors = renamed(lens.weights, (name) => name.replace(/attn\.([Wb]_[KV])$/, "attn._$1"));
    same(transformerFromTensors({ tensors, config: { ...lens.config, n_key_value_heads: 3 } }), lens);
  });

  const native = (model: Transformer): Map<string, Tensor> => {
    const out = new Map<string, Tensor>();
    const { d_vocab, d_model, n_ctx, n_layers, d_head, d_vocab_out } = model.config;
    const put = (name: string, shape: number[], entry: (...i: number[]) => number): unknown =>
      out.set(name, filled(shape, entry));
    put("embed.weight", [d_vocab, d_model], w(model, "embed.W_E"));
    put("pos_embed.weight", [n_ctx, d_model], w(model, "pos_embed.W_pos"));
    for (let l = 0; l < n_layers; l++) {
      const at = `blocks.${l}.attn`;
      for (const kind of ["Q", "K", "V"]) {
        const name = `${at}.${kind.toLowerCase()}.weight`;
        put(name, [d_model, d_model], (r, m) => w(model, `${at}.W_${kind}`)(Math.floor(r / d_head), m, r % d_head));
      }
      const W_O = w(model, `${at}.W_O`);
      put(`${at}.o.weight`, [d_model, d_model], (m, r) => W_O(Math.floor(r / d_head), r % d_head, m));
    }
    put("unembed.weight", [d_vocab_out, d_model], (t, m) => w(model, "unembed.W_U")(m, t));
    return out;
  };

  test.each(["LNPre", "RMSPre"] as const)("4.3's native model with %s, whose norms have no weights", (norm) => {
    const random = randomModel({ ...sizes, norm, position: "standard", config: { rotary_adjacent_pairs: true } });
    const model = without(random, /\.b_/);
    const config = { ...model.config, scale_attn_by_inverse_layer_idx: true, parallel_attn_mlp: true };
    same(transformerFromTensors({ layout: "transformer-lens-4", tensors: native(model), config }), model);
    same(transformerFromTensors({ tensors: renamed(native(model), (n) => `_orig_mod.${n}`), config }), model);
  });
});

describe("the GELU of nanoGPT and minGPT", () => {
  const older = { ...nanoArgs, bias: undefined };
  const load = (config: object, options: object = {}): Transformer =>
    transformerFromTensors({ tensors: nano, config, ...options });

  test.each([
    ["bias in the configuration: since January 2023", nanoArgs, "gelu", true],
    ["none: before", older, "gelu_new", true],
    ["minGPT's dropouts", { ...older, attn_pdrop: 0.1, model_type: "gpt-nano" }, "gelu_new", false],
    ["minGPT's whole configuration", { model: { ...older, embd_pdrop: 0 }, trainer: {} }, "gelu_new", false],
    [
      "embeddings that do not decay: before May 2023",
      { model_args: nanoArgs, optimizer: { param_groups: [{ params: [...Array(8).keys()] }, { params: [8] }] } },
      "gelu_new",
      false,
    ],
    [
      "embeddings that decay",
      { model_args: nanoArgs, optimizer: { param_groups: [{ params: [...Array(10).keys()] }] } },
      "gelu",
      true,
    ],
    ["said", { ...nanoArgs, act_fn: "gelu_new" }, "gelu_new", false],
  ])("%s", (_, config, actFn, isDoubtful) => {
    const model = load(config);
    expect(model.config.act_fn).toBe(actFn);
    expect(model.notes.some((note) => note.startsWith(`act_fn is taken to be ${actFn}: `))).toBe(isDoubtful);
  });

  test("the option chooses, where the file does not", () => {
    const model = load(nanoArgs, { act_fn: "relu" });
    expect(model.config.act_fn).toBe("relu");
    expect(model.notes).toEqual([]);
    expect(errorOf(() => load({ ...nanoArgs, act_fn: "gelu" }, { act_fn: "relu" })).message).toBe(
      'transformerFromTensors: the option act_fn is "relu", but the configuration says gelu.',
    );
    const given = { tensors: lens.weights, config: lens.config, act_fn: "gelu" } as const;
    expect(errorOf(() => transformerFromTensors(given)).message).toContain("is for checkpoints of nanoGPT and minGPT");
  });

  test("fields that are not known are noted", () => {
    const note = "Fields of the configuration that are not known are passed over: flash.";
    expect(load({ ...nanoArgs, flash: true }).notes).toContain(note);
    expect(transformerFromTensors({ tensors: lens.weights, config: { ...lens.config, flash: 1 } }).notes).toEqual([
      note,
    ]);
  });
});

test("the token that begins sequences is the configuration's, in every layout, where the vocabulary has it", () => {
  for (const [tensors, config] of [
    [nano, nanoArgs],
    [lens.weights, lens.config],
  ] as const) {
    const load = (fields: object): unknown =>
      transformerFromTensors({ tensors, config: { ...config, ...fields } }).config.bos_token_id;
    expect([load({}), load({ bos_token_id: 3 }), load({ bos_token_id: 50256 })]).toEqual([undefined, 3, undefined]);
  }
});
