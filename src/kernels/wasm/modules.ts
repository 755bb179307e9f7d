/** WebAssembly modules as the library carries them: they are long and repeat themselves, so that deflated they are a sixth. */
import { inflateSync } from "fflate";

/** Modules one after another, deflated, in base64; scripts/build-wasm.mjs writes them. */
export interface PackedModules {
  /** Bytes of each module. */
  readonly sizes: readonly number[];
  readonly deflated: string;
}

/** The bytes of all modules, one after another. */
export function unpack({ sizes, deflated }: PackedModules, dictionary?: Uint8Array): Uint8Array {
  const out = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const bytes = Uint8Array.from(atob(deflated), (character) => character.charCodeAt(0));
  return inflateSync(bytes, dictionary === undefined ? { out } : { out, dictionary });
}

/** Each of the modules. */
export function divide({ sizes }: PackedModules, bytes: Uint8Array): Uint8Array[] {
  let end = 0;
  return sizes.map((size) => bytes.subarray(end, (end += size)));
}
