/**
 * The workspace in WebAssembly SIMD. The module is compiled on first use; its memory grows to the largest problem met,
 * but problems beyond {@link KEPT_NUMBERS} get an instance of their own that goes with them.
 */
import type { Workspace } from "../workspace.ts";
import { LINALG_WASM } from "./binary.ts";

/** What is used of WebAssembly; its types are in no library that all supported runtimes share. */
interface WebAssemblyLike {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** The exports of assembly/index.ts; positions and distances in bytes. */
interface Exports {
  readonly memory: Memory;
  dataStart(): number;
  reduceToHessenberg(a: number, n: number, row: number, work: number): void;
  chase: (...numbers: number[]) => void;
  bidiagonalize: (...numbers: number[]) => void;
  triangularize: (...numbers: number[]) => void;
  formVectors: (...numbers: number[]) => void;
  reflectBack: (...numbers: number[]) => void;
  rotateRows(x: number, row: number, length: number, list: number, end: number): void;
}

/** 32 MiB: three matrices of about 1000 x 1000. */
const KEPT_NUMBERS = 1 << 22;
const PAGE = 1 << 16;

let module: object | undefined;
let kept: { readonly exports: Exports; workspace: Workspace } | undefined;
let isRefused = false;

/** A workspace of at least `count` numbers, or undefined where WebAssembly or its SIMD is refused. */
export function wasmWorkspace(count: number): Workspace | undefined {
  if (isRefused) return undefined;
  try {
    if (count > KEPT_NUMBERS) return workspaceOf(instantiate(), count);
    if (kept === undefined) {
      const exports = instantiate();
      kept = { exports, workspace: workspaceOf(exports, count) };
    } else if (kept.workspace.numbers.length < count) {
      kept.workspace = workspaceOf(kept.exports, count);
    }
    return kept.workspace;
  } catch {
    isRefused = kept === undefined;
    return undefined;
  }
}

function instantiate(): Exports {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyLike };
  module ??= new WebAssembly.Module(Uint8Array.from(atob(LINALG_WASM), (character) => character.charCodeAt(0)));
  return new WebAssembly.Instance(module).exports as Exports;
}

function workspaceOf(exports: Exports, count: number): Workspace {
  const { memory } = exports;
  const base = exports.dataStart();
  const missing = base + 8 * count - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  const numbers = new Float64Array(memory.buffer, base);
  const at = (index: number): number => base + 8 * index;
  return {
    name: "wasm",
    numbers,
    reduceToHessenberg(a, n, stride, work) {
      exports.reduceToHessenberg(at(a), n, 8 * stride, at(work));
    },
    chase(h, stride, first, start, last, x, y, z, list) {
      exports.chase(at(h), 8 * stride, first, start, last, x, y, z, at(list));
    },
    bidiagonalize(a, rows, cols, stride, keep, to) {
      exports.bidiagonalize(
        at(a),
        rows,
        cols,
        8 * stride,
        at(to.d),
        at(to.e),
        at(to.left),
        keep ? 8 * to.leftStride : 0,
        at(to.leftTau),
        at(to.right),
        keep ? 8 * to.rightStride : 0,
        at(to.rightTau),
        at(to.work),
      );
    },
    triangularize(a, count, length, stride, keep, v, tau, diagonal) {
      exports.triangularize(at(a), count, length, 8 * stride, at(v), keep ? 8 * stride : 0, at(tau), at(diagonal));
    },
    formVectors(x, rows, length, stride, v, vStride, tau, count, offset) {
      exports.formVectors(at(x), rows, length, 8 * stride, at(v), 8 * vStride, at(tau), count, offset);
    },
    reflectBack(x, rows, length, stride, v, vStride, tau, count) {
      exports.reflectBack(at(x), rows, length, 8 * stride, at(v), 8 * vStride, at(tau), count);
    },
    rotateRows(x, stride, length, list, end) {
      exports.rotateRows(at(x), 8 * stride, length, at(list), at(end));
    },
  };
}
