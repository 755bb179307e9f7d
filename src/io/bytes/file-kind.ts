/** What the first bytes of a file say it is. */
import type { CheckpointFormat } from "../checkpoint/tensor-file.ts";

/** A format, or a ZIP archive of one. */
export type FileKind = Exclude<CheckpointFormat, "torch" | "npz"> | "zip";

const begins = (bytes: Uint8Array, text: string): boolean =>
  bytes.byteLength >= text.length && [...text].every((c, i) => bytes[i] === c.charCodeAt(0));

/** What a file is by its first bytes. */
export function kindOf(head: Uint8Array): FileKind | undefined {
  if (begins(head, "PK\x03\x04") || begins(head, "PK\x05\x06")) return "zip";
  if (begins(head, "\x93NUMPY")) return "npy";
  if (head[0] === 0x80 && (head[1] ?? 255) <= 5) return "torch-legacy";
  // Eight bytes of length, then a JSON object.
  return head[8] === 0x7b ? "safetensors" : undefined;
}
