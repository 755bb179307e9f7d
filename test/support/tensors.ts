/** Whole files of tensors, for tests that compare all of them. */
import { parseSafetensors } from "../../src/io/index.ts";
import type { Bytes } from "../../src/io/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

/** Every tensor of a safetensors file, decoded. */
export function readSafetensors(bytes: Bytes, options: { readonly name?: string } = {}): Map<string, Tensor> {
  const file = parseSafetensors(bytes, options);
  return new Map([...file.tensors.keys()].map((name) => [name, file.read(name)]));
}
