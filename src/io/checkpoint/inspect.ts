/** What is in a checkpoint, as plain data. */
import { requireOptions } from "../../errors.ts";
import { openFor } from "./checkpoint.ts";
import type { Checkpoint, CheckpointEntry, OpenCheckpointOptions } from "./checkpoint.ts";
import { shownAs } from "../../show/index.ts";
import type { Part, Showing } from "../../show/index.ts";
import type { PlainObject } from "../json/plain.ts";
import type { FileInput } from "../bytes/reading.ts";
import type { CheckpointFormat } from "./tensor-file.ts";

/**
 * What {@link inspect} finds.
 * @category Files
 */
export interface Inspection {
  readonly name: string;
  readonly format: CheckpointFormat;
  /** The files that hold the tensors. */
  readonly files: readonly string[];
  /** Bytes of these files together. */
  readonly size: number;
  /** Every tensor with its element type, shape, size and file, in the order of the files. */
  readonly tensors: readonly (CheckpointEntry & { readonly name: string })[];
  /** Elements of all tensors together. */
  readonly elements: number;
  /** Free-form strings of safetensors headers. */
  readonly metadata: ReadonlyMap<string, string>;
  /** What PyTorch files hold beside tensors. */
  readonly values: PlainObject;
  /** What is passed over, by name, and what it is in words. */
  readonly unread: ReadonlyMap<string, string>;
  /** The parsed `config.json`, where there is one. */
  readonly config: PlainObject | undefined;
}

/**
 * Lists the tensors of a checkpoint of any format, with shapes and element types, reading no tensor, and names what it
 * passes over.
 *
 * @param files - as for {@link openCheckpoint}.
 * @throws {@link FormatError} and {@link InputError} for whatever {@link openCheckpoint} refuses.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, writeSafetensors } from "transformer-circuits";
 * import { inspect } from "transformer-circuits/io";
 *
 * const bytes = writeSafetensors(new Map([["embed.W_E", Tensor.zeros("d_vocab d_model", [5, 2])]]), { dtype: "F16" });
 * const { format, tensors, elements } = await inspect(bytes);
 * console.log(format, elements);
 * // safetensors 10
 * for (const { name, dtype, shape, byteLength } of tensors) console.log(name, dtype, shape, byteLength);
 * // embed.W_E F16 [ 5, 2 ] 20
 * ```
 */
export async function inspect(
  files: FileInput | ReadonlyMap<string, FileInput>,
  options: OpenCheckpointOptions = {},
): Promise<Inspection> {
  requireOptions(options, "inspect", "name config signal");
  const checkpoint = await openFor("inspect", files, options);
  await checkpoint.close();
  return inspectionOf(checkpoint);
}

/** {@link inspect} of a checkpoint that is open. */
export function inspectionOf(checkpoint: Checkpoint): Inspection {
  const { name, format, files, size, tensors, metadata, values, unread, config } = checkpoint;
  const listed: (CheckpointEntry & { readonly name: string })[] = [];
  let elements = 0;
  for (const tensor of tensors.keys()) {
    const entry = tensors.get(tensor);
    if (entry === undefined) continue;
    const { dtype, shape, byteLength, file, quantization } = entry;
    const plain = { name: tensor, dtype, shape, byteLength, file };
    listed.push(quantization === undefined ? plain : { ...plain, quantization });
    elements += shape.reduce((n, m) => n * m, 1);
  }
  const found = { name, format, files, size, tensors: listed, elements, metadata, values, unread, config };
  return shownAs(found, inspectionShowing, inspectionJSON);
}

/** Tensors that a display lists. */
const SHOWN = 20;

function inspectionShowing({ name, format, files, size, tensors, elements, unread }: Inspection): Showing {
  const where = files.length === 1 ? "" : ` in ${files.length} files`;
  const title = `Inspection of ${name}: ${format}${where}, ${size.toLocaleString("en")} bytes, ${elements.toLocaleString("en")} numbers`;
  const rows = tensors
    .slice(0, SHOWN)
    .map((tensor) => [tensor.name, tensor.quantization ?? tensor.dtype, `[${tensor.shape.join(", ")}]`]);
  const facts = [...unread].map(([what, why]) => [what, `passed over: ${why}`] as const);
  const parts: Part[] = [{ kind: "rows", columns: ["tensor", "dtype", "shape"], rows, total: tensors.length }];
  return { title, parts: () => (facts.length === 0 ? parts : [...parts, { kind: "facts", facts }]) };
}

/** Maps as objects, which JSON has. */
function inspectionJSON(found: Inspection): object {
  return { ...found, metadata: Object.fromEntries(found.metadata), unread: Object.fromEntries(found.unread) };
}
