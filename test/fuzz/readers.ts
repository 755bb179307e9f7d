/** Every reader with sound files of its format, and what reading one whole means. */
import { readFileSync } from "node:fs";
import { unzipSync, zipSync } from "fflate";
import { detectFormat, parseCheckpoint, parseSafetensors } from "../../src/io/index.ts";
import { fileOf } from "../io/bytes.ts";

/** A reader, and sound files. */
export interface FuzzedReader {
  readonly name: string;
  readonly files: readonly Uint8Array[];
  /** What is damaged, made a file. */
  readonly wrap?: (bytes: Uint8Array) => Uint8Array;
  /** Opens a file and decodes every tensor. */
  readonly read: (bytes: Uint8Array) => void;
}

interface Opened {
  readonly tensors: ReadonlyMap<string, unknown>;
  read(name: string): { readonly data: ArrayLike<number>; readonly size: number };
}

function readAll(file: Opened): void {
  let first: unknown;
  for (const name of file.tensors.keys()) {
    try {
      const { data, size } = file.read(name);
      if (data.length !== size) throw new Error(`internal: ${data.length} numbers for ${size}`);
    } catch (error) {
      if (!isTyped(error)) throw error;
      first ??= error;
    }
  }
  if (first !== undefined) throw first as Error;
}

/** Whether an error is one that readers may raise. */
export function isTyped(error: unknown): boolean {
  return error instanceof Error && error.name === "FormatError" && !error.message.includes("internal:");
}

const fixture = (name: string, folder = "formats"): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/${folder}/${name}`, import.meta.url)));
const state = unzipSync(fixture("state.pt"));
const [root = ""] = Object.keys(state).filter((name) => name.endsWith("/data.pkl"));
const nano = unzipSync(fixture("nanogpt.pt"));
/** The pickles of modules that were saved whole, each with its storages. */
const wholes = [
  ...["hooked.pth", "module.pth"].map((name) => fixture(name, "whole")),
  fixture("l_2_2_model.pth", "two-layer/foreign"),
].map((file) => unzipSync(file));
const pickleOf = (entries: Readonly<Record<string, Uint8Array>>): Uint8Array =>
  entries[Object.keys(entries).find((name) => name.endsWith("/data.pkl")) ?? ""] ?? new Uint8Array();

/** A header of a length that begins as a pickle does, with numbers of every kind and another name in its metadata. */
function pickleLike(length: number): Uint8Array {
  const entries = [
    ["a", "F32", [2, 2], 16],
    ["b", "F8_E4M3", [3], 3],
    ["c", "C64", [1], 8],
    ["d", "I64", [1], 8],
  ] as const;
  let end = 0;
  const members = entries.map(([name, dtype, shape, bytes]) => {
    const offsets = [end, (end += bytes)];
    return `"${name}":${JSON.stringify({ dtype, shape, data_offsets: offsets })}`;
  });
  return fileOf(`{"__metadata__":{"tied":"a"},${members.join(",")}}`.padEnd(length), new Uint8Array(end));
}

/** A reader of damaged pickles of modules in an archive that is sound. */
function moduleReader(entries: Readonly<Record<string, Uint8Array>>, index: number): FuzzedReader {
  const isPickle = (name: string): boolean => name.endsWith("/data.pkl");
  return {
    name: `torch module ${index + 1}`,
    files: [pickleOf(entries)],
    wrap: (bytes) =>
      zipSync(
        Object.fromEntries(Object.entries(entries).map(([name, data]) => [name, isPickle(name) ? bytes : data])),
        { level: 0 },
      ),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  };
}

/** A file most of whose bytes are packed numbers, and how many say what they are. */
const packedGguf = fixture("packed.gguf", "gguf");
const GGUF_HEADER = 1600;

export const readers: readonly FuzzedReader[] = [
  {
    name: "safetensors",
    files: ["dtypes.safetensors", "expected.safetensors", "module.safetensors"].map((name) => fixture(name)),
    read: (bytes) => readAll(parseSafetensors(bytes)),
  },
  {
    name: "safetensors headers",
    files: [0x180, 0x280, 0x380, 0x10080].map(pickleLike),
    read: (bytes) => readAll(detectFormat(bytes) === "safetensors" ? parseSafetensors(bytes) : parseCheckpoint(bytes)),
  },
  {
    name: "torch",
    files: ["state.pt", "state-deflated.pt", "state-zip64.pt", "nanogpt.pt", "list.pt"].map((name) => fixture(name)),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
  {
    name: "torch pickle",
    files: [
      state[root] ?? new Uint8Array(),
      nano[Object.keys(nano).find((name) => name.endsWith("/data.pkl")) ?? ""] ?? new Uint8Array(),
    ],
    wrap: (bytes) => zipSync({ ...state, [root]: bytes }, { level: 0 }),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
  ...wholes.map(moduleReader),
  {
    name: "torch-legacy",
    files: [
      ...["state-legacy.pt", "module-legacy.pt"].map((name) => fixture(name)),
      fixture("module-legacy.pth", "whole"),
    ],
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
  {
    name: "npz",
    files: ["arrays.npz", "arrays-compressed.npz"].map((name) => fixture(name)),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
  {
    name: "gguf",
    files: ["packed.gguf", "llama-q8.gguf", "gpt2.gguf"].map((name) => fixture(name, "gguf")),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
  {
    name: "gguf headers",
    files: [packedGguf.subarray(0, GGUF_HEADER)],
    wrap: (bytes) => Uint8Array.from([...bytes, ...packedGguf.subarray(GGUF_HEADER)]),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
  {
    name: "npy",
    files: ["fortran.npy", "version1.npy", "version2.npy", "version3.npy"].map((name) => fixture(name)),
    read: (bytes) => readAll(parseCheckpoint(bytes)),
  },
];
