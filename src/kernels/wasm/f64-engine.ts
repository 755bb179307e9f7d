/**
 * Tiles of float64 sums in WebAssembly SIMD; see f64-tiles.wat. Where the engine or a page's content-security policy refuses
 * WebAssembly there is no engine, and the TypeScript tiles serve.
 */
import { plainEngine } from "../tile-engine.ts";
import type { TileEngine } from "../tile-engine.ts";
import { BLOCK_NUMBERS } from "../tiles.ts";
import { F64_TILES } from "./binaries.ts";
import { fromBase64 } from "./engine.ts";

/** What is used of WebAssembly; its types are in no library that all supported runtimes share. */
interface WebAssemblyLike {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

type AddTiles = (a: number, b: number, sums: number, panelsA: number, panelsB: number, kc: number) => void;

let engine: TileEngine | undefined;
let isRefused = false;

/** The WebAssembly engine, started on first use, or undefined where WebAssembly or its SIMD is refused. */
export function f64Engine(): TileEngine | undefined {
  if (engine !== undefined || isRefused) return engine;
  try {
    engine = startEngine();
  } catch {
    isRefused = true;
  }
  return engine;
}

/** For the product itself: the WebAssembly engine where there is one, the plain one otherwise. */
export function simdOrPlainEngine(): TileEngine {
  return f64Engine() ?? plainEngine();
}

function startEngine(): TileEngine {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyLike };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(fromBase64(F64_TILES)));
  const { buffer } = exports["memory"] as { readonly buffer: ArrayBuffer };
  const addTiles = exports["addTiles"] as AddTiles;
  const part = (index: number): Float64Array => new Float64Array(buffer, index * BLOCK_NUMBERS * 8, BLOCK_NUMBERS);
  const bytesOf = BLOCK_NUMBERS * 8;
  return {
    a: part(0),
    b: part(1),
    sums: part(2),
    addTiles(panelsA, panelsB, kc) {
      addTiles(0, bytesOf, 2 * bytesOf, panelsA, panelsB, kc);
    },
  };
}
