/** Which format a file is of, told by its bytes and not by its name. */
import { toBytes } from "../bytes/bytes.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";
import { kindOf } from "../bytes/file-kind.ts";
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { openGguf } from "../gguf/gguf.ts";
import { openNpy, openNpzArchive } from "../npy/npy.ts";
import { readNow, take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { openSafetensorsStore } from "../safetensors/safetensors.ts";
import type { CheckpointFormat, TensorStore } from "./tensor-file.ts";
import { openTorchArchive, torchRoot } from "../torch/torch.ts";
import { openTorchLegacy } from "../torch/legacy.ts";
import { openZip } from "../zip/zip.ts";

/** Bytes that tell the format. */
const HEAD = 512;

/**
 * Tells the format of a checkpoint by its content: `safetensors`, `torch` (a ZIP archive with `data.pkl`),
 * `torch-legacy`, `npz`, `npy`, `gguf`, or `undefined` for everything else. Its soundness is not checked.
 *
 * @param bytes - the whole file, or its first bytes; the name of a ZIP archive's first entry is among them.
 * @throws {@link InputError} when it is given something else than bytes.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, detectFormat, writeSafetensors } from "transformer-circuits";
 *
 * console.log(detectFormat(writeSafetensors(new Map([["b_U", Tensor.zeros("d_vocab", [5])]]))));
 * // safetensors
 * console.log(detectFormat(new TextEncoder().encode("hello")));
 * // undefined
 * ```
 */
export function detectFormat(bytes: Bytes): CheckpointFormat | undefined {
  const view = toBytes(bytes, "detectFormat", "bytes");
  const kind = kindOf(view);
  if (kind !== "zip") return kind;
  const source = { operation: "detectFormat", name: "the file" };
  try {
    const zip = readNow(view, openZip(view.byteLength, source));
    if (torchRoot(zip) !== undefined) return "torch";
    return [...zip.entries.keys()].every((name) => name.endsWith(".npy")) ? "npz" : undefined;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return formatOfFirstEntry(view);
  }
}

/** An archive without its directory: cut short, or only its beginning. */
function formatOfFirstEntry(bytes: Uint8Array): CheckpointFormat | undefined {
  if (bytes.byteLength < 30) return undefined;
  const nameLength = new DataView(bytes.buffer, bytes.byteOffset).getUint16(26, true);
  const name = new TextDecoder().decode(bytes.slice(30, 30 + nameLength));
  if (/(^|\/)data\.pkl$/.test(name)) return "torch";
  return name.endsWith(".npy") ? "npz" : undefined;
}

/** Opens a file of any format. */
export function* openStore(fileSize: number, source: Source): Reading<TensorStore> {
  const head = yield* take(0, Math.min(fileSize, HEAD));
  // A damaged file is best described as what its name promises.
  const kind =
    kindOf(head) ?? (source.name.endsWith(".safetensors") && foreign(head) === undefined ? "safetensors" : undefined);
  switch (kind) {
    case "safetensors":
      return yield* openSafetensorsStore(fileSize, source);
    case "torch-legacy":
      return yield* openTorchLegacy(fileSize, source);
    case "npy":
      return yield* openNpy(fileSize, source);
    case "gguf":
      return yield* openGguf(fileSize, source);
    case "zip": {
      const zip = yield* openZip(fileSize, source);
      const root = torchRoot(zip);
      if (root !== undefined) return yield* openTorchArchive(zip, root, source);
      if ([...zip.entries.keys()].every((name) => name.endsWith(".npy"))) return yield* openNpzArchive(zip, source);
      throw fault(
        source,
        "the ZIP archive holds neither data.pkl, as PyTorch's do, nor .npy arrays alone, as NumPy's do.",
      );
    }
    case undefined:
      throw fault(
        source,
        `${foreign(head) ?? UNKNOWN} Read are safetensors, GGUF, PyTorch (.pt, .pth, .bin, .ckpt), .npz and .npy.`,
      );
  }
}

const UNKNOWN = "its format is not known.";

/** What a file is that is often met where a checkpoint is expected. */
function foreign(head: Uint8Array): string | undefined {
  // One character a byte: the decoder that calls itself latin1 is that of windows-1252 by its standard.
  const text = String.fromCharCode(...head);
  if (text === "") return "it is empty.";
  if (text.startsWith("version https://git-lfs")) {
    return "it is a Git LFS pointer, not the file itself: fetch it with git lfs pull.";
  }
  if (/^\s*<(!doctype|html)/i.test(text)) return "it is a web page, not the file itself.";
  if (text.startsWith("\x89HDF")) return "it is an HDF5 file, which is not read.";
  if (text.startsWith("\x1f\x8b")) return "it is compressed with gzip: unpack it first.";
  if (text.slice(257, 262) === "ustar") return "it is a tar archive: unpack it first.";
  return undefined;
}
