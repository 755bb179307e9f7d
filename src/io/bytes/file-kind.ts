/** What the first bytes of a file say it is. */
import type { CheckpointFormat } from "../checkpoint/tensor-file.ts";

/** A format, or a ZIP archive of one. */
export type FileKind = Exclude<CheckpointFormat, "torch" | "npz"> | "zip";

/** Bytes of a safetensors header at most; that of a model of 100,000 tensors is half of it. */
export const MAX_HEADER_BYTES = 25_000_000;

/** The number that begins PyTorch's older layout, as a pickle writes it: ten bytes, and the end of the pickle. */
const TORCH_MAGIC = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/** A frame of protocols 4 and 5: an opcode and eight bytes of length. */
const FRAME = "\x95";
const FRAME_SIZE = 9;

const hasAt = (bytes: Uint8Array, at: number, text: string): boolean =>
  bytes.byteLength >= at + text.length && [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));

/**
 * What a file is by its first bytes. A length of eight bytes may begin as any other format does, so that those are
 * asked for all that they begin with, and a header's length is weighed before a pickle's two bytes.
 */
export function kindOf(head: Uint8Array): FileKind | undefined {
  if (hasAt(head, 0, "PK\x03\x04") || hasAt(head, 0, "PK\x05\x06")) return "zip";
  if (hasAt(head, 0, "\x93NUMPY")) return "npy";
  if (hasAt(head, 0, "GGUF")) return "gguf";
  const isPickle = head[0] === 0x80 && (head[1] ?? 255) <= 5;
  if (isPickle && hasAt(head, hasAt(head, 2, FRAME) ? 2 + FRAME_SIZE : 2, TORCH_MAGIC)) return "torch-legacy";
  if (beginsAsSafetensors(head)) return "safetensors";
  if (isPickle) return "torch-legacy";
  // A damaged safetensors file, whose length is wrong.
  return hasAt(head, 8, "{") ? "safetensors" : undefined;
}

/** Eight bytes of a length that is read, then a JSON object. */
function beginsAsSafetensors(head: Uint8Array): boolean {
  if (!hasAt(head, 8, "{")) return false;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  if (length < 2n || length > BigInt(MAX_HEADER_BYTES)) return false;
  const next = String.fromCharCode(...head.subarray(9, 10));
  return next === "" || /["}\s]/.test(next);
}
