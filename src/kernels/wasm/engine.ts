/**
 * The WebAssembly modules, started on first use: the tiles (scripts/wasm/tiles.mjs) and everything around them
 * (assembly/), with fused multiply-adds where the engine has relaxed SIMD. Where the engine or a page's
 * content-security policy refuses WebAssembly there is none, and the TypeScript kernels serve.
 */
import { fromBase64 } from "../../base64.ts";
import { FUSED_KERNELS, FUSED_TILES, PLAIN_KERNELS, PLAIN_TILES } from "./binaries.ts";
import { startHeap, takeBlock } from "./memory.ts";
import type { Heap, MemoryLike } from "./memory.ts";

/** What is used of WebAssembly; its types are in no library that all supported runtimes share. */
export interface WebAssemblyLike {
  readonly Memory: new (limits: { initial: number; maximum: number; shared?: boolean }) => MemoryLike;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, (...args: number[]) => number>> };
  validate(bytes: Uint8Array): boolean;
}

/** The functions of assembly/index.ts that are called from here. */
export interface KernelExports {
  multiply(job: number, space: number): void;
  multiplyDoubles(job: number, space: number): void;
  packPanels(to: number, from: number, row: number, column: number, k: number, n: number): void;
  softmax(from: number, to: number, rows: number, columns: number): void;
  causalSoftmax(
    from: number,
    to: number,
    first: number,
    rows: number,
    queries: number,
    keys: number,
    queryOffset: number,
  ): void;
  maxAndSum(from: number, rows: number, columns: number, pairs: number): void;
  subtractPairs(from: number, to: number, rows: number, columns: number, pairs: number): void;
  normalize(from: number, to: number, rows: number, columns: number, eps: number, center: number, scales: number): void;
  attention(job: number, space: number): void;
  productLosses(job: number, space: number): void;
  add(job: number, space: number): void;
  activate(job: number, space: number): void;
  attentionBytes(keys: number, d_head: number, d_value: number): number;
}

/** The running modules and their memory. */
export interface Engine {
  readonly heap: Heap;
  readonly kernels: KernelExports;
  /** Whether products are fused multiply-adds. */
  readonly isFused: boolean;
  readonly wasm: WebAssemblyLike;
  /** What modules import: the memory, the tiles, the kernels. */
  readonly imports: object;
  /** What another thread needs to start the same modules. */
  readonly start: EngineStart;
}

/** The modules and the family of tiles that this engine's registers hold. */
export interface EngineStart {
  readonly tiles: object;
  readonly kernels: object;
  readonly family: string;
}

let engine: Engine | undefined;
let isRefused = false;

/** The WebAssembly engine, or undefined where WebAssembly, its SIMD or its memory is refused. */
export function wasmEngine(): Engine | undefined {
  if (engine !== undefined || isRefused) return engine;
  try {
    engine = startEngine((globalThis as unknown as { readonly WebAssembly: WebAssemblyLike }).WebAssembly);
  } catch {
    isRefused = true;
  }
  return engine;
}

/**
 * `(module (memory i64 1))`: V8 has memories of 64-bit addresses since 13.3, and since then six rows of tiles stay in
 * registers.
 */
const wideMemory = (): Uint8Array => Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 4, 1);

/**
 * The modules import shared memory; where that is refused, the flag in the import (3: shared, with a maximum) is taken
 * back.
 */
function withoutShared(bytes: Uint8Array): Uint8Array {
  const name = [6, ...Array.from("memory", (c) => c.charCodeAt(0)), 2];
  const at = bytes.findIndex((_, i) => name.every((byte, j) => bytes[i + j] === byte)) + name.length;
  const changed = bytes.slice();
  changed[at] = 1;
  return changed;
}

/** The bytes of a module in base64, such that it imports the memory of a heap. */
export function moduleBytes(text: string, heap: Heap): Uint8Array {
  return heap.isShared ? fromBase64(text) : withoutShared(fromBase64(text));
}

/**
 * Starts the modules over a memory of their own; without fused multiply-adds where `mayFuse` is false, as where there
 * is no relaxed SIMD.
 */
export function startEngine(wasm: WebAssemblyLike, mayFuse = true): Engine {
  const heap = startHeap(wasm.Memory);
  const modules = (tiles: string, kernels: string): [Uint8Array, Uint8Array] => [
    moduleBytes(tiles, heap),
    moduleBytes(kernels, heap),
  ];
  const fused = modules(FUSED_TILES, FUSED_KERNELS);
  const isFused = mayFuse && wasm.validate(fused[0]) && wasm.validate(fused[1]);
  const [tiles, kernels] = isFused ? fused : modules(PLAIN_TILES, PLAIN_KERNELS);
  const start: EngineStart = {
    tiles: new wasm.Module(tiles),
    kernels: new wasm.Module(kernels),
    family: isFused && wasm.validate(wideMemory()) ? "tiles6" : "tiles4",
  };
  const env = { memory: heap.memory };
  const blocks = new wasm.Instance(start.tiles, { env }).exports;
  const families = { block: blocks[start.family], blockOfDoubles: blocks[`${start.family}OfDoubles`] };
  const tilesAndMemory = { env, tiles: { ...blocks, ...families } };
  const { exports } = new wasm.Instance(start.kernels, tilesAndMemory);
  const copied: unknown = { ...exports };
  const imports = { ...tilesAndMemory, kernels: exports };
  return { heap, kernels: copied as KernelExports, isFused, wasm, imports, start };
}

/**
 * The exports of another module in base64, started in an engine, which other threads find by a word of memory and the
 * one after it; undefined where memory runs out.
 */
export function startModule({ heap, wasm, imports }: Engine, text: string, word: number): object | undefined {
  const bytes = moduleBytes(text, heap);
  const address = takeBlock(heap, bytes.length);
  if (address === undefined) return undefined;
  const { exports } = new wasm.Instance(new wasm.Module(bytes), imports);
  // Helpers compile it from here: they are deaf to messages while they wait for jobs.
  new Uint8Array(heap.floats.buffer, address, bytes.length).set(bytes);
  heap.ints[word + 1] = bytes.length;
  heap.ints[word] = address;
  return exports;
}
