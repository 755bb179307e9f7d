/** GGUF files, those of llama.cpp: packed or plain tensors behind a header that says what model they are. */
import type { Source } from "../bytes/fault.ts";
import { take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { plainObject } from "../json/plain.ts";
import { noSuchTensor } from "../checkpoint/tensor-file.ts";
import type { TensorStore } from "../checkpoint/tensor-file.ts";
import { readGgufHeader } from "./header.ts";
import { unpacked } from "./quantization.ts";

/** Opens a GGUF file. */
export function* openGguf(fileSize: number, source: Source): Reading<TensorStore> {
  const { values, tensors, unread } = yield* readGgufHeader(fileSize, source);
  return {
    format: "gguf",
    fileSize,
    metadata: new Map(),
    values,
    // Lists are tokens and merges, no part of a configuration.
    settings: plainObject(Object.entries(values).filter(([, value]) => !Array.isArray(value))),
    unread,
    tensors,
    // No tensor lies over another, so that all together unpack to a few times the file.
    scratch: () => 0,
    *load(name) {
      const entry = tensors.get(name);
      if (entry === undefined) throw noSuchTensor(source, name, tensors);
      const bytes = yield* take(entry.offset, entry.storedLength);
      return entry.quantization === undefined ? bytes : unpacked(bytes, entry.quantization);
    },
  };
}
