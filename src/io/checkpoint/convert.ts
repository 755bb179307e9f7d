/** Any checkpoint as a safetensors file, piece by piece, so that a large one need not fit in memory. */
import { InputError, requireKind } from "../../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { ITEM_SIZES, isFloating } from "../bytes/dtype.ts";
import type { SafetensorsDType } from "../bytes/dtype.ts";
import { settingsIn } from "./settings.ts";
import { totalBytes } from "./read-tensors.ts";
import { encodeFloats, headerOf } from "../safetensors/writer.ts";
import type { HeaderEntry } from "../safetensors/writer.ts";
import type { PlainValue } from "../json/plain.ts";
import { CHECKPOINT } from "./checkpoint.ts";

/**
 * How {@link safetensorsChunks} writes.
 * @category Files
 */
export interface ConvertOptions {
  /**
   * The element type of floating-point tensors, rounded to the nearest, ties to even; unless given, each keeps its own,
   * and no bit of a number changes. Integers and booleans keep theirs always.
   */
  readonly dtype?: "F32" | "F16" | "BF16" | undefined;
  /** More strings for the header's `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Stops the work; what iterates sees the signal's reason thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with the number of bytes read and of bytes to read. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Writes a checkpoint of any format as a safetensors file: yields its bytes piece by piece, the header first, then the
 * tensors one by one. Tensors that share a storage are written each by itself. The header's metadata keep the
 * checkpoint's own and, as JSON, the settings that a PyTorch file holds beside its tensors, such as `model_args`.
 *
 * @throws {@link InputError} when a number is too large for the element type or a tensor is called `__metadata__`;
 * {@link FormatError} when a tensor cannot be read, or all together take far more memory than the files.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, openCheckpoint, writeSafetensors } from "transformer-circuits";
 * import { safetensorsChunks } from "transformer-circuits/io";
 *
 * const checkpoint = await openCheckpoint(writeSafetensors(new Map([["b_U", Tensor.from("d_vocab", [2], [1, 2])]])));
 * const lengths: number[] = [];
 * for await (const chunk of safetensorsChunks(checkpoint, { dtype: "BF16" })) lengths.push(chunk.length);
 * console.log(lengths);
 * // [ 88, 4 ]
 * ```
 */
export async function* safetensorsChunks(
  checkpoint: Checkpoint,
  options: ConvertOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  requireKind(CHECKPOINT, checkpoint, "checkpoint", "safetensorsChunks", options, "dtype metadata signal onProgress");
  const { dtype: floats, signal, onProgress } = options;
  const names = [...checkpoint.tensors.keys()];
  const total = totalBytes(checkpoint, names, OPERATION);
  if (checkpoint.tensors.has("__metadata__")) {
    throw new InputError(`a tensor cannot be called "__metadata__", the header's own key. Rename it.`, {
      operation: OPERATION,
      argument: "checkpoint",
      actual: "__metadata__",
    });
  }
  const placed = place(checkpoint, floats);
  yield headerOf(placed, {
    ...plainMetadata(checkpoint),
    ...Object.fromEntries(checkpoint.metadata),
    ...options.metadata,
  });
  let done = 0;
  for (const { name, dtype } of placed) {
    const stored = checkpoint.tensors.get(name);
    yield stored?.dtype === dtype
      ? await checkpoint.readBytes(name, { signal })
      : encodeFloats(await checkpoint.read(name, { dtype: "float64", signal }), name, dtype, OPERATION);
    done += stored?.byteLength ?? 0;
    onProgress?.(done, total);
  }
}

const OPERATION = "safetensorsChunks";

/** Wider elements first, so that every tensor's data are aligned. */
function place(checkpoint: Checkpoint, floats: SafetensorsDType | undefined): HeaderEntry[] {
  const entries = [...checkpoint.tensors].map(([name, { dtype, shape }]) => {
    const written = floats !== undefined && isFloating(dtype) ? floats : dtype;
    return { name, dtype: written, shape, itemSize: ITEM_SIZES.get(written) ?? 0 };
  });
  entries.sort((a, b) => b.itemSize - a.itemSize);
  let begin = 0;
  return entries.map(({ name, dtype, shape, itemSize }) => {
    const end = begin + shape.reduce((n, size) => n * size, itemSize);
    const entry = { name, dtype, shape, begin, end };
    begin = end;
    return entry;
  });
}

/** The values beside the tensors as JSON texts; bigints as decimal strings. */
function plainMetadata({ values, settings }: Checkpoint): Record<string, string> {
  const asJson = (_: string, value: PlainValue): unknown => (typeof value === "bigint" ? String(value) : value);
  // That of a model in a part of the file is found again where that of a whole one is.
  const more = settings === undefined || settingsIn(values) !== undefined ? [] : [["cfg", settings] as const];
  const entries = [...Object.entries(values), ...more].map(
    ([key, value]) => [key, JSON.stringify(value, asJson)] as const,
  );
  return Object.fromEntries(entries);
}
