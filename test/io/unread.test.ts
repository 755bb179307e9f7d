/** What lies beside the tensors and is not read is passed over and named; where a model needs it, an error names it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import {
  inspect,
  loadTransformer,
  openCheckpoint,
  parseCheckpoint,
  parseSafetensors,
  readTensors,
  transformerFromCheckpoint,
  writeSafetensors,
} from "../../src/io/index.ts";
import { readSafetensors } from "../support/tensors.ts";
import { convertPath, loadFolder } from "../../src/io/node.ts";
import { Transformer, expectedWeights, parseConfig } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { errorOf, fileOf, headerOf } from "./bytes.ts";
import { archiveOf } from "./formats.ts";
import { call, dict, global, int, legacyOf, storage, str, tensor, tuple, whole } from "./torch/pickles.ts";

const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 4, d_head: 2, n_ctx: 4, d_vocab: 5, attn_only: true });
const weights = new Map(
  [...expectedWeights(config)].map(([name, { axes, shape }], k) => {
    const size = shape.reduce((n, m) => n * m, 1);
    return [
      name,
      Tensor.from(
        axes,
        shape,
        Float32Array.from({ length: size }, (_, i) => Math.sin(i + k)),
      ),
    ] as const;
  }),
);
const logits = [...Transformer.fromWeights(config, weights).forward([0, 2, 4]).data];
const json = new TextEncoder().encode(JSON.stringify(config));

/** A pickled state dict of the model with more entries, some in place of its own. */
function stateWith(more: Readonly<Record<string, readonly number[]>>): Uint8Array {
  const named = [...weights].filter(([name]) => !(name in more));
  const entries = named.flatMap(([name, { shape, size }], i) => {
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((n, m) => n * m, 1));
    const parts = { size: tuple(...shape.map(int)), stride: tuple(...strides.map(int)) };
    return [str(name), tensor({ storage: storage(String(i), size), ...parts })];
  });
  const others = Object.entries(more).flatMap(([name, value]) => [str(name), [...value]]);
  const data = named.map(([, t]) => new Uint8Array(Float32Array.from(t.data).buffer));
  return archiveOf(whole(dict(...entries, ...others)), ...data);
}

const untyped = (numel: number): number[] => [
  ...tuple(str("storage"), global("torch.storage.UntypedStorage"), str("0"), str("cpu"), int(numel)),
  0x51,
];
const typed = (type: string, size: number): number[] =>
  call(
    "torch._utils._rebuild_tensor_v3",
    ...[untyped(8), int(0), tuple(int(size)), tuple(int(1)), [0x89], [0x4e]],
    global(`torch.${type}`),
  );
const latin = (text: string): number[] => call("_codecs.encode", str(text), str("latin1"));
const dtype = (kind: string, order = "<"): number[] => [
  ...call("numpy.dtype", str(kind), [0x89], [0x88]),
  ...tuple(int(3), str(order), [0x4e], [0x4e], [0x4e], int(-1), int(-1), int(0)),
  0x62,
];

/** Entries of PyTorch files, and what is said of those that are not read. */
const kinds: readonly (readonly [string, readonly number[], string | undefined])[] = [
  ["complex", call("__builtin__.complex", int(1), int(2)), "a complex number"],
  ["bytes", latin("abc"), "3 bytes"],
  ["bytes of protocol 3", [0x43, 2, 1, 255], "2 bytes"],
  ["path", call("pathlib.PurePosixPath", str("out")), "an object of pathlib.PurePosixPath"],
  ["function", global("torch.nn.functional.gelu"), "the function or class torch.nn.functional.gelu"],
  ["array", call("numpy.core.multiarray._reconstruct", global("numpy.ndarray"), tuple(int(0)), latin("b")), "an array of NumPy"],
  ["float8", typed("float8_e4m3fn", 8), "a tensor [8] of torch.float8_e4m3fn"],
  ["complex tensor", tensor({ storage: storage("0", 2, "ComplexFloat"), size: tuple(int(2)) }), "a tensor [2] of torch.ComplexFloatStorage"],
  ["sparse", call("torch._utils._rebuild_sparse_tensor", int(1), tuple()), "a sparse tensor"],
  ["quantized", call("torch._utils._rebuild_qtensor", int(1)), "a quantized tensor"],
  ["meta", call("torch._utils._rebuild_meta_tensor_no_storage", global("torch.float32"), tuple(int(2))), "a tensor of the meta device, which has no numbers"],
  ["dtype", global("torch.float32"), undefined],
  ["set", call("__builtin__.set", [0x5d, ...int(1), 0x61]), undefined],
  ["set of protocol 4", [0x8f, 0x28, ...int(1), 0x90], undefined],
  ["counter", call("collections.Counter", dict(str("a"), int(1))), undefined],
  ["defaultdict", [...call("collections.defaultdict", global("builtins.list")), ...str("a"), ...int(1), 0x73], undefined],
  ["namespace", [...global("argparse.Namespace"), 0x29, 0x81, ...dict(str("lr"), int(1)), 0x62], undefined],
  ["numpy scalar", call("numpy._core.multiarray.scalar", dtype("f8"), latin("\0\0\0\0\0\0\xf8\x3f")), undefined],
]; // prettier-ignore

describe("in PyTorch files", () => {
  test.each(kinds)("%s", async (_, value, what) => {
    const checkpoint = await openCheckpoint(stateWith({ extra: value }));
    expect(checkpoint.unread.get("extra")).toBe(what);
    expect("extra" in checkpoint.values).toBe(what === undefined);
    const model = await transformerFromCheckpoint(checkpoint, { config });
    expect([...model.forward([0, 2, 4]).data]).toEqual(logits);
    const { unread, values } = await inspect(stateWith({ extra: value }));
    expect([...unread.keys(), ...Object.keys(values)]).toEqual(["extra"]);
  });

  test("the plain ones have their values", () => {
    const { values } = parseCheckpoint(archiveOf(whole(dict(...kinds.flatMap(([name, value]) => [str(name), [...value]]))), new Uint8Array(16)));
    expect(values).toEqual({
      dtype: "torch.float32",
      set: [1],
      "set of protocol 4": [1],
      counter: { a: 1 },
      defaultdict: { a: 1 },
      namespace: { lr: 1 },
      "numpy scalar": 1.5,
    });
  }); // prettier-ignore

  test.each([
    ["f8", "<", "\0\0\0\0\0\0\xf8\x3f", 1.5],
    ["f8", ">", "\x3f\xf8\0\0\0\0\0\0", 1.5],
    ["f4", "<", "\0\0\x20\xc0", -2.5],
    ["f2", "<", "\0\x3e", 1.5],
    ["i8", "<", "\xfe\xff\xff\xff\xff\xff\xff\xff", -2],
    ["u8", "<", "\xff\xff\xff\xff\xff\xff\xff\xff", 2n ** 64n - 1n],
    ["i4", "<", "\x07\0\0\0", 7],
    ["b1", "|", "\x01", true],
  ])("a scalar %s%s of NumPy", (kind, order, text, value) => {
    for (const module of ["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"]) {
      const bytes = archiveOf(whole(dict(str("x"), call(module, dtype(kind, order), latin(text)))));
      expect(parseCheckpoint(bytes).values).toEqual({ x: value });
    }
  });

  test("unsigned integers of 16, 32 and 64 bits are read, in both layouts", () => {
    const numbers = (type: string, n: number): Uint8Array => whole(dict(str("x"), typed(type, n)));
    const bytes = Uint8Array.of(255, 255, 1, 0, 0, 0, 0, 0);
    expect(
      parseCheckpoint(archiveOf(numbers("uint16", 4), bytes))
        .read("x")
        .toNested(),
    ).toEqual([65535, 1, 0, 0]);
    expect(
      parseCheckpoint(archiveOf(numbers("uint32", 2), bytes))
        .read("x")
        .toNested(),
    ).toEqual([0x1ffff, 0]);
    expect(
      parseCheckpoint(archiveOf(numbers("uint64", 1), bytes))
        .read("x")
        .toNested(),
    ).toEqual([0x1ffff]);
    expect(errorOf(() => parseCheckpoint(archiveOf(numbers("uint16", 5), bytes)))).toMatchObject({
      name: "FormatError",
    });
    expect(errorOf(() => parseCheckpoint(legacyOf(numbers("uint16", 5), [])))).toMatchObject({ name: "FormatError" });
  });

  test.each(["unembed.b_U", "blocks.0.attn.W_Q", "embed.W_E", "ln_final.w"])("%s is needed", async (name) => {
    for (const [, value, what] of kinds.filter(([, , said]) => said !== undefined)) {
      const checkpoint = await openCheckpoint(stateWith({ [name]: value }), { name: "m.pt" });
      await expect(transformerFromCheckpoint(checkpoint, { config })).rejects.toThrow(
        `m.pt, tensor "${name}": it is ${what ?? ""}, which is not read.`,
      );
      await expect(checkpoint.read(name)).rejects.toThrow(`it is ${what ?? ""}, which is not read.`);
    }
  });

  test("a configuration in the file that is no plain value is named", async () => {
    const bytes = stateWith({ model_args: call("pathlib.PurePosixPath", str("args.json")) });
    await expect(transformerFromCheckpoint(await openCheckpoint(bytes))).rejects.toThrow(
      "its model_args is an object of pathlib.PurePosixPath, which is not read. Pass the configuration.",
    );
  });
});

describe("in safetensors", () => {
  /** The model's file with one more tensor of a type. */
  function fileWith(dtype: string, bytes: number, shape: string, name = "extra"): Uint8Array {
    const sound = writeSafetensors(new Map([...weights].filter(([other]) => other !== name)));
    const length = Number(new DataView(sound.buffer).getBigUint64(0, true));
    const header = new TextDecoder().decode(sound.subarray(8, 8 + length)).trimEnd();
    const data = sound.subarray(8 + length);
    const entry = `,"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${data.length},${data.length + bytes}]}}`;
    return fileOf(header.slice(0, -1) + entry, [...data, ...new Uint8Array(bytes)]);
  }

  test.each([
    ["F8_E4M3", 6, "[2,3]"],
    ["F8_E5M2", 6, "[2,3]"],
    ["F8_E8M0", 1, "[]"],
    ["C64", 16, "[2]"],
    ["F4", 3, "[6]"],
    ["F6_E2M3", 3, "[4]"],
  ])("%s", async (dtype, bytes, shape) => {
    const file = fileWith(dtype, bytes, shape);
    const what = `a tensor ${shape} of ${dtype}`;
    expect([...parseSafetensors(file).unread]).toEqual([["extra", what]]);
    expect([...readSafetensors(file).keys()].sort()).toEqual([...weights.keys()].sort());
    expect([...loadTransformer({ config, weights: file }).forward([0, 2, 4]).data]).toEqual(logits);
    const model = await transformerFromCheckpoint(await openCheckpoint(file), { config });
    expect([...model.forward([0, 2, 4]).data]).toEqual(logits);
    expect([...(await inspect(file)).unread]).toEqual([["extra", what]]);
    const needed = fileWith(dtype, bytes, shape, "unembed.b_U");
    const refusal = `tensor "unembed.b_U": it is ${what}, which is not read.`;
    expect(() => loadTransformer({ config, weights: needed })).toThrow(refusal);
    await expect(transformerFromCheckpoint(await openCheckpoint(needed), { config })).rejects.toThrow(refusal);
    expect(() => parseSafetensors(needed).read("unembed.b_U")).toThrow(refusal);
  });

  test("its bytes are checked all the same", () => {
    for (const header of [headerOf("C64", "[2]", "[0,15]"), headerOf("F4", "[3]", "[0,2]"), headerOf("F8_E4M3", "[-1]", "[0,1]")]) {
      expect(errorOf(() => parseSafetensors(fileOf(header, new Uint8Array(15))))).toMatchObject({ name: "FormatError" });
    }
    expect(errorOf(() => parseSafetensors(fileOf(headerOf("C64", "[1]", "[0,8]"), new Uint8Array(9))))).toMatchObject({ name: "FormatError" });
  }); // prettier-ignore

  test("other names that metadata give to tensors", async () => {
    const metadata = { format: "pt", "unembed.twin": "unembed.b_U", note: "embed.W_E", gone: "no such tensor" };
    const bytes = writeSafetensors(weights, { metadata });
    const file = parseSafetensors(bytes);
    expect([...file.aliases]).toEqual(["unembed.twin", "note"]);
    expect([...file.read("unembed.twin").data]).toEqual([...file.read("unembed.b_U").data]);
    const checkpoint = await openCheckpoint(new Map([["model.safetensors", bytes]]));
    expect((await readTensors(checkpoint)).size).toBe(weights.size + 2);
    const tied = new Map([...weights].filter(([name]) => name !== "unembed.b_U"));
    const other = writeSafetensors(new Map([...tied, ["blocks.0.attn.twin", weights.get("unembed.b_U") as Tensor]]), {
      metadata: { "unembed.b_U": "blocks.0.attn.twin", note: "embed.W_E" },
    });
    expect(parseSafetensors(other).read("unembed.b_U").data).toEqual(weights.get("unembed.b_U")?.data);
  });

  test("a free-form text that is a tensor's name does no harm", async () => {
    const bytes = writeSafetensors(weights, { metadata: { anchor: "embed.W_E", cfg: "a7f3", model_args: "none" } });
    const checkpoint = await openCheckpoint(new Map([["model.safetensors", bytes], ["config.json", json]])); // prettier-ignore
    expect([...(await transformerFromCheckpoint(checkpoint)).forward([0, 2, 4]).data]).toEqual(logits);
    expect([...loadTransformer({ config, weights: bytes }).forward([0, 2, 4]).data]).toEqual(logits);
  });
});

describe("in .npz", () => {
  const npy = (descr: string, shape: string, data: Uint8Array): Uint8Array => {
    const header = `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }\n`;
    const start = [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length, 0];
    return Uint8Array.from([...start, ...new TextEncoder().encode(header), ...data]);
  };
  const arrays = [...weights].map(
    ([name, t]) =>
      [`${name}.npy`, npy("'<f4'", `(${t.shape.join(", ")},)`, new Uint8Array(Float32Array.from(t.data).buffer))] as const,
  ); // prettier-ignore

  test.each([
    ["'<U5'", 'an array of texts of type "<U5"'],
    ["'|S5'", 'an array of texts of type "|S5"'],
    ["'<c8'", 'an array of elements of type "<c8"'],
    ["'<M8[ns]'", 'an array of elements of type "<M8[ns]"'],
    ["'|O'", "an array of objects"],
    ["[('a', '<f4'), ('b', '<i4')]", "an array of records"],
  ])("%s", async (descr, what) => {
    const archive = zipSync(Object.fromEntries([...arrays, ["extra.npy", npy(descr, "(1,)", new Uint8Array(20))]]));
    expect([...parseCheckpoint(archive).unread]).toEqual([["extra", what]]);
    const files = new Map([["model.npz", archive], ["config.json", json]]); // prettier-ignore
    const model = await transformerFromCheckpoint(await openCheckpoint(files));
    expect([...model.forward([0, 2, 4]).data]).toEqual(logits);
    const needed = zipSync(Object.fromEntries([...arrays, ["embed.W_E.npy", npy(descr, "(1,)", new Uint8Array(20))]]));
    const checkpoint = await openCheckpoint(needed, { name: "m.npz" });
    await expect(transformerFromCheckpoint(checkpoint, { config })).rejects.toThrow(
      `m.npz, tensor "embed.W_E": it is ${what}, which is not read.`,
    );
  });
});

test("from disk, and converted", async () => {
  const folder = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
  try {
    await writeFile(join(folder, "config.json"), json);
    await writeFile(join(folder, "model.pth"), stateWith({ extra: kinds[6]?.[1] ?? [], step: int(3) }));
    expect([...(await loadFolder(folder)).model.forward([0, 2, 4]).data]).toEqual(logits);
    const converted = await convertPath(join(folder, "model.pth"), join(folder, "model.safetensors"));
    expect(converted).toMatchObject({ tensors: weights.size, unread: ["extra"] });
    expect([...(await loadFolder(folder)).model.forward([0, 2, 4]).data]).toEqual(logits);
  } finally {
    await rm(folder, { recursive: true });
  }
});
