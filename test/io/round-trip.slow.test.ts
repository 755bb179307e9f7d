/** Whatever a writer of the library writes, every reader of it opens, and a header of any length is told from other formats. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  detectFormat,
  inspect,
  openCheckpoint,
  parseSafetensors,
  readTensors,
  safetensorsChunks,
  writeSafetensors,
} from "../../src/io/index.ts";
import { readSafetensors } from "../support/tensors.ts";
import { convertPath, inspectPath, loadFolder, openPath } from "../../src/io/node.ts";
import { Transformer, expectedWeights, parseConfig } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { fileOf } from "./bytes.ts";
import { fixture } from "./formats.ts";
import { joined } from "./torch/pickles.ts";

const entry = '"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}';

/** A file of one tensor whose header has a given length, by a long text in it or by white space behind it. */
function headerOf(length: number, fill: "text" | "space"): Uint8Array {
  const short = `{"__metadata__":{"note":""},${entry}}`;
  const json =
    fill === "space" || length < short.length
      ? `{${entry}}`.padEnd(length)
      : short.replace('""', `"${"n".repeat(length - short.length)}"`);
  return fileOf(json, [7, 8]);
}

const shortest = `{${entry}}`.length;

const source = (bytes: Uint8Array) => ({
  size: bytes.length,
  read: (begin: number, end: number) => Promise.resolve(bytes.slice(begin, end)),
});

describe("a header of any length", () => {
  test("from the shortest to 4,000 bytes, and those to which multiples of 65,536 are added", () => {
    for (let length = shortest; length < 4000; length++) {
      const bytes = headerOf(length, length % 2 === 0 ? "text" : "space");
      expect(detectFormat(bytes), `${length}`).toBe("safetensors");
      expect(detectFormat(bytes.subarray(0, 64)), `${length}`).toBe("safetensors");
    }
    for (const start of [0x80, 0x180, 0x280, 0x380, 0x480, 0x580, 0x93, 0x4b50, 0x8b1f, 0xcfc8]) {
      for (const more of [0, 1, 2, 7, 255, 380]) {
        const length = start + more * 65_536;
        if (length < shortest) continue;
        expect(detectFormat(headerOf(length, "space").subarray(0, 512)), `${length}`).toBe("safetensors");
      }
    }
  });

  test("an empty file of tensors", () => {
    expect(detectFormat(writeSafetensors(new Map()))).toBe("safetensors");
  });

  test("in bytes, a Blob, random access and a folder: 60 lengths of seed 8, of those that begin as a pickle and others", async () => {
    const like = fc.integer({ min: 0, max: 5 }).map((protocol) => 0x80 + 256 * protocol);
    const lengths = fc
      .tuple(fc.oneof(like, fc.integer({ min: shortest, max: 5000 })), fc.nat(3))
      .map(([length, more]) => length + more * 65_536);
    await fc.assert(
      fc.asyncProperty(lengths, fc.constantFrom("text", "space"), async (length, fill) => {
        const bytes = headerOf(length, fill);
        const blob = new Blob([bytes.slice()]);
        for (const input of [bytes, bytes.slice().buffer, blob, source(bytes)]) {
          const checkpoint = await openCheckpoint(input);
          expect(checkpoint.format).toBe("safetensors");
          expect((await checkpoint.read("x")).toNested()).toEqual([7, 8]);
        }
        for (const name of ["model.safetensors", "weights.pt", "weights.bin"]) {
          expect((await inspect(new Map([[name, bytes]]))).format).toBe("safetensors");
        }
      }),
      { seed: 8, numRuns: 60 },
    );
  });

  test("and what begins so and is a pickle stays one", () => {
    for (const protocol of [0, 1, 2, 3, 4, 5]) {
      expect(detectFormat(Uint8Array.of(0x80, protocol, 0x7d, 0x2e))).toBe("torch-legacy");
      expect(detectFormat(Uint8Array.of(0x80, protocol, 0x58, 5, 0, 0, 0, 0x68, 0x7b, 0x6c, 0x6c, 0x6f, 0x2e))).toBe(
        "torch-legacy",
      );
    }
    for (const name of ["state-legacy.pt", "module-legacy.pt"])
      expect(detectFormat(fixture(name).subarray(0, 64))).toBe("torch-legacy");
    for (const name of ["state.pt", "state-protocol4.pt"]) expect(detectFormat(fixture(name))).toBe("torch");
    for (const name of ["arrays.npz", "arrays-compressed.npz"]) expect(detectFormat(fixture(name))).toBe("npz");
    for (const name of ["version1.npy", "version2.npy"]) expect(detectFormat(fixture(name))).toBe("npy");
  });
});

test("writeSafetensors: names of 1 to 1,499 letters and metadata, by every reader", async () => {
  for (let letters = 1; letters < 1500; letters++) {
    const name = "a".repeat(letters);
    const bytes = writeSafetensors(new Map([[name, Tensor.from("x", [2], [1, letters])]]));
    expect((await openCheckpoint(bytes)).tensors.has(name), `${letters}`).toBe(true);
  }
  const tensors = fc.dictionary(fc.string({ maxLength: 300 }), fc.float32Array({ maxLength: 5 }), { maxKeys: 6 });
  const notes = fc.dictionary(fc.string({ maxLength: 40 }), fc.string({ maxLength: 900 }), { maxKeys: 3 });
  await fc.assert(
    fc.asyncProperty(tensors, notes, fc.constantFrom("F32", "F16", "BF16"), async (given, metadata, dtype) => {
      const weights = new Map(
        Object.entries(given).map(([name, data]) => [
          name,
          Tensor.from(
            "a",
            [data.length],
            data.map((x) => (Math.abs(x) < 1 ? x : 1)),
          ),
        ]),
      );
      for (const name of ["__metadata__", "__proto__"]) weights.delete(name);
      const clean = Object.fromEntries(
        Object.entries(metadata).filter(([key, text]) => key !== "__proto__" && !weights.has(text)),
      );
      const bytes = writeSafetensors(weights, { dtype, metadata: clean });
      const names = [...weights.keys()].sort();
      expect(detectFormat(bytes)).toBe("safetensors");
      expect([...parseSafetensors(bytes).tensors.keys()].sort()).toEqual(names);
      const read = readSafetensors(bytes);
      const checkpoint = await openCheckpoint(new Map([["model.safetensors", bytes]]));
      expect((await inspect(new Blob([bytes.slice()]))).tensors.map(({ name }) => name).sort()).toEqual(names);
      const chunks: Uint8Array[] = [];
      for await (const chunk of safetensorsChunks(checkpoint)) chunks.push(chunk);
      const again = await readTensors(await openCheckpoint(joined(chunks)));
      for (const name of names) {
        expect([...(again.get(name)?.data ?? [])]).toEqual([...(read.get(name)?.data ?? [1])]);
        expect([...(await checkpoint.read(name)).data]).toEqual([...(read.get(name)?.data ?? [1])]);
      }
    }),
    { seed: 9, numRuns: 120 },
  );
});

test("a whole model with headers that begin as a pickle: written, converted, read from disk", async () => {
  const config = parseConfig({ n_layers: 1, n_heads: 1, d_model: 2, d_head: 2, n_ctx: 2, d_vocab: 3, attn_only: true });
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
      ];
    }),
  );
  const logits = Transformer.fromWeights(config, weights).forward([0, 2]).data;
  const lengthOf = (bytes: Uint8Array): number =>
    Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const written = (letters: number): Uint8Array =>
    writeSafetensors(weights, { metadata: { note: "n".repeat(letters) } });
  const first = lengthOf(written(0));
  const folder = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
  try {
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    const wanted = [0x80, 0x180, 0x280, 0x380, 0x480, 0x580].map((length) => length + 65_536);
    for (const length of wanted) {
      const bytes = written(length - first);
      expect(lengthOf(bytes)).toBe(length);
      await writeFile(join(folder, "model.safetensors"), bytes);
      expect([...(await loadFolder(folder)).model.forward([0, 2]).data]).toEqual([...logits]);
      expect((await inspectPath(join(folder, "model.safetensors"))).format).toBe("safetensors");
      const other = join(folder, "other.safetensors");
      await convertPath(join(folder, "model.safetensors"), other, { force: true });
      const again = await openPath(other);
      expect(again.tensors.size).toBe(weights.size);
      await again.close();
      await rm(other);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
