/** Every format through one door: found by content, listed, read, converted. */
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import {
  detectFormat,
  inspect,
  openCheckpoint,
  parseSafetensors,
  readTensors,
  safetensorsChunks,
  writeSafetensors,
} from "../../../src/io/index.ts";
import type { ByteSource, Checkpoint, FileInput } from "../../../src/io/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { archiveOf, expectSameTensors, expectedState, fixture, golden } from "../formats.ts";
import { dict, int, storage, str, tensor, tuple, whole } from "../torch/pickles.ts";

async function refusal(promise: Promise<unknown>, name = "FormatError"): Promise<string> {
  const error: unknown = await promise.then(
    () => new Error("nothing was thrown"),
    (reason: unknown) => reason,
  );
  expect((error as Error).name).toBe(name);
  return (error as Error).message;
}

async function converted(checkpoint: Checkpoint, options = {}): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of safetensorsChunks(checkpoint, options)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

const formats = [
  ["dtypes.safetensors", "safetensors"],
  ["state.pt", "torch"],
  ["state-deflated.pt", "torch"],
  ["state-legacy.pt", "torch-legacy"],
  ["arrays.npz", "npz"],
  ["arrays-compressed.npz", "npz"],
  ["version2.npy", "npy"],
] as const;

describe("detectFormat", () => {
  test.each(formats)("%s is %s, whole and by its beginning", (name, format) => {
    const bytes = fixture(name);
    expect(detectFormat(bytes)).toBe(format);
    expect(detectFormat(bytes.subarray(0, 100))).toBe(format);
  });

  test("anything else is undefined", () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(100), zipSync({ "a.txt": new Uint8Array(3) })]) {
      expect(detectFormat(bytes)).toBeUndefined();
    }
    expect(detectFormat(zipSync({ "a.txt": new Uint8Array(3) }).subarray(0, 35))).toBeUndefined();
    expect(detectFormat(Uint8Array.of(0x50, 0x4b, 3, 4))).toBeUndefined();
  });
});

describe("openCheckpoint", () => {
  test.each(formats)("%s, from bytes, a Blob and random access", async (name, format) => {
    const bytes = fixture(name);
    const random: ByteSource = { size: bytes.length, read: (begin, end) => Promise.resolve(bytes.slice(begin, end)) };
    for (const input of [bytes, bytes.slice().buffer, new Blob([bytes]), random]) {
      const checkpoint = await openCheckpoint(input, { name });
      expect(checkpoint).toMatchObject({ name, format, files: [name], size: bytes.length, config: undefined });
      const tensors = await readTensors(checkpoint, { filter: (key) => !/^(u64|u32|u8|i8)$/.test(key) });
      for (const [key, { shape }] of tensors) expect(shape).toEqual(checkpoint.tensors.get(key)?.shape);
    }
  });

  test("the tensors are those that the reader of bytes gives", async () => {
    const checkpoint = await openCheckpoint(new Blob([fixture("state.pt")]));
    const expected = expectedState();
    for (const name of expected.tensors.keys()) {
      const dtype = name === "f64" ? ({ dtype: "float64" } as const) : {};
      expect([...(await checkpoint.read(name, dtype)).data], name).toEqual([...expected.read(name, dtype).data]);
    }
  });

  test("a configuration that is given comes in place of config.json, which is not read", async () => {
    const weights = writeSafetensors(new Map([["a", Tensor.from("x", [1], [5])]]));
    const files = new Map([
      ["model.safetensors", weights],
      ["config.json", new TextEncoder().encode("{")],
    ]);
    for (const config of [{ n_layers: 3 }, '{"n_layers": 3}', new TextEncoder().encode('{"n_layers": 3}')]) {
      expect((await openCheckpoint(files, { config })).config).toEqual({ n_layers: 3 });
      expect((await openCheckpoint(weights, { config })).config).toEqual({ n_layers: 3 });
    }
    await expect(openCheckpoint(files)).rejects.toThrow("config.json");
    await expect(openCheckpoint(files, { config: "{" })).rejects.toThrow("openCheckpoint: config.json is not JSON");
  });

  test("weights in several files, by their index", async () => {
    const folder = "hf-gpt2-bf16-sharded";
    const names = [1, 2, 3, 4, 5].map((i) => `model-0000${i}-of-00005.safetensors`);
    const files = new Map(
      ["config.json", "model.safetensors.index.json", ...names].map((name) => [name, golden(`${folder}/${name}`)]),
    );
    const checkpoint = await openCheckpoint(files);
    expect(checkpoint.files).toEqual(names);
    expect(checkpoint.tensors.size).toBe(40);
    expect(checkpoint.config).toMatchObject({ model_type: "gpt2", n_layer: 3 });
    const direct = parseSafetensors(files.get(names[0] ?? "") ?? new Uint8Array());
    for (const name of direct.tensors.keys()) {
      expect(checkpoint.tensors.get(name)).toMatchObject({ dtype: "BF16", file: names[0] });
      expect(await checkpoint.read(name)).toEqual(direct.read(name));
    }
    const without = new Map([...files].filter(([name]) => name !== names[2]));
    expect(await refusal(openCheckpoint(without, { name: "gpt2" }), "InputError")).toBe(
      `openCheckpoint: there is no ${names[2]} in gpt2, though the index of its weights names it.`,
    );
    const noIndex = new Map([...files].filter(([name]) => !name.endsWith("index.json")));
    expect(await refusal(openCheckpoint(noIndex, { name: "gpt2" }), "InputError")).toContain(
      "Their index, such as model.safetensors.index.json, is missing.",
    );
  });

  test("a signal stops it, and progress is told", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(openCheckpoint(fixture("state.pt"), { signal })).rejects.toThrow("enough");
    const checkpoint = await openCheckpoint(fixture("module.safetensors"));
    await expect(checkpoint.read("bias", { signal })).rejects.toThrow("enough");
    const told: number[][] = [];
    await readTensors(checkpoint, { onProgress: (done, total) => told.push([done, total]) });
    expect(told.at(-1)).toEqual([32, 32]);
    expect(told.length).toBe(2);
  });

  test("a source that fails, and one that gives too little", async () => {
    const failing: ByteSource = { size: 100, read: () => Promise.reject(new Error("no network")) };
    expect(await refusal(openCheckpoint(failing, { name: "m" }), "InputError")).toBe(
      "openCheckpoint: cannot read bytes 0 to 100 of m: no network.",
    );
    const short: ByteSource = { size: 100, read: () => Promise.resolve(new Uint8Array(3)) };
    expect(await refusal(openCheckpoint(short, { name: "m" }), "InputError")).toBe(
      "openCheckpoint: cannot read bytes 0 to 100 of m: 3 bytes came instead of 100. The file may have changed while it was read.",
    );
    expect(await refusal(openCheckpoint("model.pth" as never), "InputError")).toBe(
      'openCheckpoint: a file must be a Uint8Array, an ArrayBuffer, a Blob or an object with size and read(begin, end), not "model.pth".',
    );
  });

  test("what else lies where a checkpoint should", async () => {
    const of = (text: string): Promise<string> => {
      const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
      return refusal(openCheckpoint(bytes, { name: "m" }));
    };
    const known = "Read are safetensors, GGUF, PyTorch (.pt, .pth, .bin, .ckpt), .npz and .npy.";
    for (const [text, what] of [
      ["", "it is empty."],
      ["hello", "its format is not known."],
      [
        "version https://git-lfs.github.com/spec/v1\n",
        "it is a Git LFS pointer, not the file itself: fetch it with git lfs pull.",
      ],
      ["<!DOCTYPE html>", "it is a web page, not the file itself."],
      ["\x89HDF", "it is an HDF5 file, which is not read."],
      ["\x1f\x8b", "it is compressed with gzip: unpack it first."],
      [`${"a".repeat(257)}ustar`, "it is a tar archive: unpack it first."],
    ] as const) {
      expect(await of(text)).toBe(`openCheckpoint: m: ${what} ${known}`);
    }
    expect(await refusal(openCheckpoint(zipSync({ a: new Uint8Array(1) }), { name: "m" }))).toContain(
      "the ZIP archive holds neither data.pkl, as PyTorch's do, nor .npy arrays alone, as NumPy's do.",
    );
    const huge = new Uint8Array(16);
    huge[7] = 0x80;
    expect(await refusal(openCheckpoint(huge, { name: "m.safetensors" }))).toContain(
      `give a header of ${2n ** 63n} bytes, more than the 25000000 allowed.`,
    );
  });
});

describe("the weights of a folder", () => {
  const empty = writeSafetensors(new Map());
  const open = (...names: string[]): Promise<Checkpoint> =>
    openCheckpoint(
      new Map(
        names.map((name): [string, FileInput] => [
          name,
          name.endsWith(".json") ? new TextEncoder().encode("{}") : empty,
        ]),
      ),
      { name: "f" },
    );

  test.each([
    [["pytorch_model.bin", "model.safetensors", "model.safetensors.index.json"], "model.safetensors"],
    [["a_final.pth", "b.pth", "optimizer.pt"], "a_final.pth"],
    [["training_args.bin", "pytorch_model.bin", "README.md"], "pytorch_model.bin"],
    [["adapter.safetensors", "x.npz"], "adapter.safetensors"],
  ])("%j: %s", async (names, chosen) => {
    expect((await open(...names)).files).toEqual([chosen]);
  });

  test("none, and several", async () => {
    expect(await refusal(open(), "InputError")).toBe(
      "openCheckpoint: f holds no weights; it holds nothing. Read are safetensors, with or without an index, PyTorch (.pth, .pt, .bin, .ckpt), .gguf, .npz and .npy.",
    );
    expect(await refusal(open("a.pth", "b.pt"), "InputError")).toBe(
      "openCheckpoint: f holds several files of weights: a.pth, b.pt. Name one of them.",
    );
  });

  test("an index that lies", async () => {
    const index = (json: string, error?: string): Promise<string> =>
      refusal(
        openCheckpoint(
          new Map([
            ["model.safetensors.index.json", new TextEncoder().encode(json)],
            ["a.safetensors", empty],
          ]),
          { name: "f" },
        ),
        error,
      );
    const at = "openCheckpoint: f/model.safetensors.index.json";
    expect(await index("{}")).toBe(`${at}: it has no weight_map, an object of tensors' names and their files.`);
    expect(await index('{"weight_map":{}}')).toBe(`${at}: its weight_map is empty.`);
    expect(await index("[]")).toBe(`${at}: it is not a JSON object.`);
    expect(await index("{")).toBe(
      `${at}: it is not valid: expected a string at character 1 of the JSON, found the end.`,
    );
    expect(await index('{"weight_map":{"w":"../a.safetensors"}}')).toBe(
      `${at}, tensor "w": its file is "../a.safetensors", not the name of a file beside the index.`,
    );
    expect(await index('{"weight_map":{"w":"b.safetensors"}}', "InputError")).toBe(
      "openCheckpoint: there is no b.safetensors in f, though the index of its weights names it.",
    );
    expect(await index('{"weight_map":{"w":3}}')).toContain("its file is something else than a string");
    expect(await index('{"weight_map":{"w":"a.safetensors"}}')).toBe(
      `${at}, tensor "w": it should lie in a.safetensors, which has no such tensor.`,
    );
    expect(await index('{"__proto__":{"a":1}}')).toBe(
      `${at}: it has the key "__proto__", which would change a prototype.`,
    );
    expect(await index('{"weight_map":{"w":"a","w":"b"}}')).toContain('the key "w" appears a second time');
    const bytes = new Map([["model.safetensors.index.json", Uint8Array.of(0xff)]]);
    expect(await refusal(openCheckpoint(bytes))).toContain("it is not UTF-8 text.");
  });

  test("a tensor in two files", async () => {
    const shard = (...names: string[]): Uint8Array =>
      writeSafetensors(new Map(names.map((name) => [name, Tensor.zeros("a", [1])])));
    const index = new TextEncoder().encode('{"weight_map":{"v":"a.safetensors","w":"b.safetensors"}}');
    const files = new Map([
      ["model.safetensors.index.json", index],
      ["a.safetensors", shard("v", "w")],
      ["b.safetensors", shard("w")],
    ]);
    expect(await refusal(openCheckpoint(files))).toBe(
      'openCheckpoint: b.safetensors, tensor "w": a.safetensors has a tensor of this name too.',
    );
  });
});

describe("inspect", () => {
  test("lists what is there", async () => {
    const found = await inspect(fixture("state.pt"));
    expect(found.tensors.find(({ name }) => name === "transposed")).toEqual({
      name: "transposed",
      dtype: "F32",
      shape: [4, 3, 2],
      byteLength: 96,
      file: "the checkpoint",
    });
    expect(found.elements).toBe(
      [...expectedState().tensors.values()].reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0),
    );
  });
});

describe("safetensorsChunks", () => {
  test.each(["state.pt", "state-deflated.pt", "state-legacy.pt"])("%s keeps every bit", async (name) => {
    const file = parseSafetensors(await converted(await openCheckpoint(fixture(name))));
    expectSameTensors({ tensors: file.tensors, read: file.read }, expectedState());
    for (const { byteOffset, dtype } of file.tensors.values()) {
      expect(byteOffset % ({ F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2 }[dtype as string] ?? 1)).toBe(0);
    }
  });

  test("floating-point numbers in another type, settings as metadata", async () => {
    const checkpoint = await openCheckpoint(fixture("nanogpt.pt"));
    const told: number[] = [];
    const bytes = await converted(checkpoint, {
      dtype: "BF16",
      metadata: { by: "test" },
      onProgress: (done: number) => told.push(done),
    });
    const file = parseSafetensors(bytes);
    expect(new Set([...file.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(["BF16"]));
    expect(JSON.parse(file.metadata.get("model_args") ?? "")).toMatchObject({ n_layer: 2, vocab_size: null });
    expect(JSON.parse(file.metadata.get("config") ?? "")).toMatchObject({ seed: "9223372036854775813" });
    expect(file.metadata.get("by")).toBe("test");
    expect(told.at(-1)).toBe(328);
    const exact = await checkpoint.read("model._orig_mod.transformer.wte.weight");
    const rounded = file.read("model._orig_mod.transformer.wte.weight").data;
    for (const [i, x] of exact.data.entries())
      expect(Math.abs((rounded[i] ?? 0) - x)).toBeLessThanOrEqual(Math.abs(x) * 2 ** -8);
  });

  test("a number that is too large, a name that is taken", async () => {
    const big = await openCheckpoint(writeSafetensors(new Map([["w", Tensor.from("a", [1], [1e6])]])));
    expect(await refusal(converted(big, { dtype: "F16" }), "InputError")).toBe(
      'safetensorsChunks: tensor "w", element 0: 1000000 is too large for F16 and would become infinite. Write "BF16" or "F32".',
    );
    const named = await openCheckpoint(archiveOf(whole(dict(str("__metadata__"), tensor())), new Uint8Array(16)));
    expect(await refusal(converted(named), "InputError")).toBe(
      'safetensorsChunks: a tensor cannot be called "__metadata__", the header\'s own key. Rename it.',
    );
  });

  test("tensors that share a storage a thousand times over are refused together, and read one by one", async () => {
    const n = 2 ** 16;
    const shared = (i: number): number[] =>
      tensor({ storage: storage("0", n), offset: int(i), size: tuple(int(n - 300)), stride: tuple(int(1)) });
    const pickle = whole(dict(...Array.from({ length: 250 }, (_, i) => [str(`w${i}`), shared(i)]).flat()));
    const bytes = archiveOf(pickle, new Uint8Array(4 * n));
    const checkpoint = await openCheckpoint(bytes, { name: "m" });
    expect(await refusal(readTensors(checkpoint))).toBe(
      `readTensors: m: its tensors take ${250 * 4 * (n - 300)} bytes together, far more than files of ${bytes.length} bytes can mean: they share what is stored. Read them one by one.`,
    );
    expect((await checkpoint.read("w249")).size).toBe(n - 300);
  });
});
