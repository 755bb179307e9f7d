/**
 * The layout of redwood_attn_2l (ArthurConmy/redwood_attn_2l): TransformerLens's hub folder, LayerNorm, and positions that are added
 * after the norm to what queries and keys read. The weights are those of a golden case; make-redwood.py has the logits.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseCheckpoint, transformerFromTensors, writeSafetensors } from "../../../src/io/index.ts";
import { readSafetensors } from "../../support/tensors.ts";
import { loadFolder } from "../../../src/io/node.ts";
import { foldLayerNorm } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { archiveOf, fixture, golden } from "../formats.ts";
import { dict, int, storage, str, tensor, tuple, whole } from "../torch/pickles.ts";

const expected = parseCheckpoint(fixture("redwood.npz"));
const tokens = expected.read("tokens").toNested() as number[][];
const logits = expected.read("logits").data;
const largest = Array.from(logits, Math.abs).reduce((a, b) => Math.max(a, b));
const close = { atol: 1e-5 * largest, rtol: 1e-4 };

const config = {
  d_model: 32,
  n_layers: 2,
  d_head: 8,
  n_heads: 4,
  n_ctx: 32,
  d_vocab: 97,
  attn_only: true,
  act_fn: "solu_ln",
  d_mlp: 128,
  normalization: "LN",
  shortformer_pos: true,
};

/** The state dict of the time: masks of -1e5 in every layer, no bias of the unembedding where it is zero. */
function state(): Map<string, Tensor> {
  const tensors = readSafetensors(golden("attn-2l-ln/model.safetensors"));
  const mask = Tensor.from(
    "q k",
    [32, 32],
    Float32Array.from({ length: 1024 }, (_, i) => Number(i % 32 <= i / 32)),
  );
  for (const layer of [0, 1]) {
    tensors.set(`blocks.${layer}.attn.mask`, mask);
    tensors.set(`blocks.${layer}.attn.IGNORE`, Tensor.from("", [], [-1e5]));
  }
  return tensors;
}

test("its logits from tensors", () => {
  const model = transformerFromTensors({ tensors: state(), config });
  expect(model.config).toMatchObject({ positional_embedding_type: "shortformer", normalization_type: "LN" });
  expectClose(model.forward(tokens).data, logits, close);
});

test("and from a folder, a PyTorch file or safetensors", async () => {
  const named = [...state()];
  const pickled = named.flatMap(([name, t], i) => {
    const strides = t.shape.map((_, axis) => t.shape.slice(axis + 1).reduce((n, size) => n * size, 1));
    const parts = {
      storage: storage(String(i), t.size),
      offset: int(0),
      size: tuple(...t.shape.map(int)),
      stride: tuple(...strides.map(int)),
    };
    return [str(name), tensor(parts)];
  });
  const torch = archiveOf(
    whole(dict(...pickled)),
    ...named.map(([, t]) => new Uint8Array(Float32Array.from(t.data).buffer)),
  );
  for (const [file, bytes] of [
    ["redwood_final.pth", torch],
    ["model.safetensors", writeSafetensors(state())],
  ] as const) {
    const folder = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
    try {
      await writeFile(join(folder, file), bytes);
      await writeFile(join(folder, "config.json"), JSON.stringify(config));
      expectClose((await loadFolder(folder)).model.forward(tokens).data, logits, close);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
});

test("without an activation, which no attention-only model has", () => {
  for (const none of [null, undefined]) {
    const model = transformerFromTensors({ tensors: state(), config: { ...config, act_fn: none, d_mlp: undefined } });
    expectClose(model.forward(tokens).data, logits, close);
  }
});

test("its norms cannot be folded, for positions come after them", () => {
  expect(() => foldLayerNorm(transformerFromTensors({ tensors: state(), config }))).toThrow(/shortformer/);
});

test("the logits tell whether positions were added to the stream, or before the norm", () => {
  const standard = transformerFromTensors({ tensors: state(), config: { ...config, shortformer_pos: false } });
  expect(() => expectClose(standard.forward(tokens).data, logits, close)).toThrow("not close");
});
