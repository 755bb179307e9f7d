/** From an open checkpoint to a model: what is read, in which order, and what contradicts. */
import { describe, expect, test } from "vitest";
import {
  loadTransformer,
  openCheckpoint,
  parseSafetensors,
  transformerFromCheckpoint,
  writeSafetensors,
} from "../../../src/io/index.ts";
import { readSafetensors } from "../../support/tensors.ts";
import type { ByteSource, FileInput } from "../../../src/io/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { archiveOf, fixture, golden } from "../formats.ts";
import { dict, int, storage, str, tensor, tuple, whole } from "../torch/pickles.ts";

const expected = parseSafetensors(golden("hf-gpt2/expected.safetensors"));
const tokens = expected.read("tokens").toNested() as number[][];
const gpt2Config = JSON.parse(new TextDecoder().decode(golden("hf-gpt2/config.json"))) as Record<string, unknown>;

/** The golden GPT-2 under nanoGPT's names, its matrices as Linear layers keep them. */
function nanoTensors(): Map<string, Tensor> {
  return new Map(
    [...readSafetensors(golden("hf-gpt2/model.safetensors"))].map(([name, t]) => {
      const isMatrix = /c_(attn|proj|fc)\.weight$/.test(name);
      const [rows = 0, cols = 0] = t.shape;
      const swapped = Array.from({ length: rows * cols }, (_, i) => t.at(i % rows, Math.floor(i / rows)));
      return [`_orig_mod.${name}`, isMatrix ? Tensor.from("a b", [cols, rows], swapped) : t] as const;
    }),
  );
}
const modelArgs = { n_layer: 2, n_head: 4, n_embd: 32, block_size: 40, vocab_size: 101, act_fn: "gelu_new" };

/** A file that tells which bytes were asked for. */
function watched(bytes: Uint8Array): { input: ByteSource; ranges: [number, number][] } {
  const ranges: [number, number][] = [];
  const read = (begin: number, end: number): Promise<Uint8Array> => {
    ranges.push([begin, end]);
    return Promise.resolve(bytes.subarray(begin, end));
  };
  return { input: { size: bytes.length, read }, ranges };
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "nothing was thrown",
    (error: unknown) => String(error),
  );
}

describe("transformerFromCheckpoint", () => {
  test("a folder's files, with their config.json", async () => {
    const files = new Map(["config.json", "model.safetensors"].map((name) => [name, golden(`hf-gpt2/${name}`)]));
    const model = await transformerFromCheckpoint(await openCheckpoint(files));
    expectClose(model.forward(tokens).data, expected.read("logits").data, { atol: 1e-5, rtol: 1e-4 });
  });

  test("each tensor is read once, the tied embedding twice; progress rises to the whole", async () => {
    const { input, ranges } = watched(golden("hf-gpt2/model.safetensors"));
    const checkpoint = await openCheckpoint(input);
    ranges.length = 0;
    const told: (readonly [number, number])[] = [];
    const onProgress = (done: number, total: number): void => void told.push([done, total]);
    await transformerFromCheckpoint(checkpoint, { config: gpt2Config, onProgress });
    expect(ranges.length).toBe(checkpoint.tensors.size + 1);
    expect(new Set(ranges.map(String)).size).toBe(checkpoint.tensors.size);
    const total = [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(told.at(-1)).toEqual([total, total]);
    expect(told.every(([done], i) => done >= (told[i - 1]?.[0] ?? 0))).toBe(true);
  });

  test("masks and what lies outside the model are not read", async () => {
    const model = new Map([...nanoTensors()].map(([name, t]) => [`model.${name}`, t]));
    model.set("optimizer.state.0.exp_avg", Tensor.zeros("a", [5000]));
    model.set("model._orig_mod.transformer.h.0.attn.bias", Tensor.zeros("a", [7000]));
    const { input, ranges } = watched(writeSafetensors(model));
    const checkpoint = await openCheckpoint(input);
    ranges.length = 0;
    const told: (readonly [number, number])[] = [];
    const onProgress = (done: number, total: number): void => void told.push([done, total]);
    await transformerFromCheckpoint(checkpoint, { config: modelArgs, onProgress });
    expect(ranges.length).toBeGreaterThan(20);
    expect(ranges.map(([begin, end]) => end - begin).filter((n) => n === 20_000 || n === 28_000)).toEqual([]);
    expect(told.at(-1)?.[0]).toBe(told.at(-1)?.[1]);
  });

  test("nanoGPT's model_args, among a PyTorch file's values and in a converted file's metadata", async () => {
    const named = [...nanoTensors()];
    const pickled = named.map(([name, t], i) => {
      const strides = t.rank === 2 ? [t.shape[1] ?? 0, 1] : [1];
      return [
        str(name),
        tensor({
          storage: storage(String(i), t.size),
          offset: int(0),
          size: tuple(...t.shape.map(int)),
          stride: tuple(...strides.map(int)),
        }),
      ];
    });
    const args = Object.entries(modelArgs).map(([key, value]) => [
      str(key),
      typeof value === "number" ? int(value) : str(value),
    ]);
    const pickle = whole(dict(str("model"), dict(...pickled.flat()), str("model_args"), dict(...args.flat())));
    const storages = named.map(([, t]) => new Uint8Array(Float32Array.from(t.data).buffer));
    const torch = archiveOf(pickle, ...storages);
    const converted = writeSafetensors(new Map(named), { metadata: { model_args: JSON.stringify(modelArgs) } });
    for (const bytes of [torch, converted]) {
      const model = await transformerFromCheckpoint(await openCheckpoint(bytes));
      expect(model.config.n_ctx).toBe(40);
      expectClose(model.forward(tokens).data, expected.read("logits").data, { atol: 1e-5, rtol: 1e-4 });
    }
    const other = await openCheckpoint(torch);
    expect((await transformerFromCheckpoint(other, { config: { ...modelArgs, act_fn: "relu" } })).config.act_fn).toBe(
      "relu",
    );
  });

  test("a signal stops it, between tensors too", async () => {
    const checkpoint = await openCheckpoint(golden("hf-gpt2/model.safetensors"));
    const signal = AbortSignal.abort(new Error("before"));
    expect(await refusal(transformerFromCheckpoint(checkpoint, { config: gpt2Config, signal }))).toBe("Error: before");
    const cancel = new AbortController();
    const told: number[] = [];
    const onProgress = (done: number): void => {
      told.push(done);
      if (told.length === 3) cancel.abort(new Error("during"));
    };
    const options = { config: gpt2Config, signal: cancel.signal, onProgress };
    expect(await refusal(transformerFromCheckpoint(checkpoint, options))).toBe("Error: during");
    expect(told.length).toBe(3);
  });

  test("what is missing or contradicts is named", async () => {
    const of = async (file: FileInput, config?: unknown): Promise<string> =>
      refusal(transformerFromCheckpoint(await openCheckpoint(file, { name: "m" }), { config }));
    const weights = golden("hf-gpt2/model.safetensors");
    expect(await of(weights)).toBe(
      "ConfigError: transformerFromCheckpoint: m: Hugging Face's GPT-2 needs its configuration, as the tensors do not say how many heads there are, but there is none. Pass the content of config.json, or put the file beside the weights.",
    );
    expect(await of(golden("tl-pth-ln/tl-pth-ln_final.pth"))).toBe(
      "ConfigError: transformerFromCheckpoint: m: TransformerLens's model needs its configuration, as the tensors do not say kinds of positions and norms, but there is none. Pass the content of config.json, or put the file beside the weights.",
    );
    expect(await of(weights, "{")).toContain("FormatError: transformerFromCheckpoint: config.json is not JSON: ");
    expect(await of(weights, { ...gpt2Config, n_embd: 64 })).toContain(
      'm, tensor "transformer.wte.weight": its shape is [101, 32] but the configuration calls for [101, 64].',
    );
    expect(await of(fixture("arrays.npz"), {})).toContain("no token embedding was found under a known name");
    const metadata = writeSafetensors(nanoTensors(), { metadata: { model_args: "{" } });
    expect(await of(metadata)).toContain("model_args in the metadata is not JSON: ");
  });

  test("tensors that share a storage a thousand times over are refused", async () => {
    const n = 2 ** 18;
    const shared = tensor({
      storage: storage("0", n),
      offset: int(0),
      size: tuple(int(n)),
      stride: tuple(int(1)),
    });
    const names = Array.from({ length: 100 }, (_, i) => (i === 0 ? "embed.W_E" : `w${i}`));
    const bytes = archiveOf(whole(dict(...names.flatMap((name) => [str(name), shared]))), new Uint8Array(4 * n));
    const config = { n_layers: 1, n_heads: 1, d_model: 1, d_head: 1, n_ctx: 1, d_vocab: n, attn_only: true };
    const checkpoint = await openCheckpoint(bytes, { name: "m" });
    expect(await refusal(transformerFromCheckpoint(checkpoint, { config }))).toMatch(
      /^FormatError: transformerFromCheckpoint: m: its tensors take \d+ bytes together, far more than files of \d+ bytes can mean: they share what is stored\.$/,
    );
  });
});

test("loadTransformer says what else it was given", () => {
  for (const [file, what] of [
    ["state.pt", "a ZIP archive, as PyTorch and NumPy write them"],
    ["state-legacy.pt", "a PyTorch file"],
    ["version1.npy", "a NumPy file"],
  ] as const) {
    expect(() => loadTransformer({ config: {}, weights: fixture(file), name: "m" })).toThrow(
      `loadTransformer: m: it is ${what}, not safetensors. Read it with openCheckpoint() and transformerFromCheckpoint(), or make safetensors of it: npx transformer-circuits convert.`,
    );
  }
});
