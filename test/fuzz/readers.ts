/** Every reader with sound files of its format, and what reading one whole means. */
import { readFileSync } from "node:fs";
import { unzipSync, zipSync } from "fflate";
import { parseNpy, parseNpz, parseSafetensors, parseTorch } from "../../src/io/index.ts";

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

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/formats/${name}`, import.meta.url)));
const state = unzipSync(fixture("state.pt"));
const [root = ""] = Object.keys(state).filter((name) => name.endsWith("/data.pkl"));
const nano = unzipSync(fixture("nanogpt.pt"));

export const readers: readonly FuzzedReader[] = [
  {
    name: "safetensors",
    files: ["dtypes.safetensors", "expected.safetensors", "module.safetensors"].map(fixture),
    read: (bytes) => readAll(parseSafetensors(bytes)),
  },
  {
    name: "torch",
    files: ["state.pt", "state-deflated.pt", "state-zip64.pt", "nanogpt.pt", "list.pt"].map(fixture),
    read: (bytes) => readAll(parseTorch(bytes)),
  },
  {
    name: "torch pickle",
    files: [
      state[root] ?? new Uint8Array(),
      nano[Object.keys(nano).find((name) => name.endsWith("/data.pkl")) ?? ""] ?? new Uint8Array(),
    ],
    wrap: (bytes) => zipSync({ ...state, [root]: bytes }, { level: 0 }),
    read: (bytes) => readAll(parseTorch(bytes)),
  },
  {
    name: "torch-legacy",
    files: ["state-legacy.pt", "module-legacy.pt"].map(fixture),
    read: (bytes) => readAll(parseTorch(bytes)),
  },
  {
    name: "npz",
    files: ["arrays.npz", "arrays-compressed.npz"].map(fixture),
    read: (bytes) => readAll(parseNpz(bytes)),
  },
  {
    name: "npy",
    files: ["fortran.npy", "version1.npy", "version2.npy", "version3.npy"].map(fixture),
    read: (bytes) => void parseNpy(bytes),
  },
];
