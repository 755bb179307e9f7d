/** The tensors of a checkpoint in one file or several, as one list. */
import { invariant } from "../../errors.ts";
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { Mapped } from "../bytes/mapped.ts";
import type { ByteSource } from "../bytes/reading.ts";
import type { TensorEntry, TensorStore } from "./tensor-file.ts";

/**
 * What a checkpoint says about one tensor.
 * @category Files
 */
export interface CheckpointEntry extends TensorEntry {
  /** The file that it lies in. */
  readonly file: string;
}

/** One file of a checkpoint, open. */
export interface Part {
  readonly input: ByteSource;
  readonly source: Source;
  readonly store: TensorStore;
}

/** The tensors of all files; a name is that of one. */
export function entriesOf(parts: ReadonlyMap<string, Part>): ReadonlyMap<string, CheckpointEntry> {
  const entryIn = (file: string, { dtype, shape, byteLength, quantization }: TensorEntry): CheckpointEntry => {
    const plain = { dtype, shape, byteLength, file };
    return quantization === undefined ? plain : { ...plain, quantization };
  };
  const [only, ...others] = parts;
  if (only !== undefined && others.length === 0) {
    const [file, { store }] = only;
    return new Mapped(store.tensors, (entry) => entryIn(file, entry));
  }
  const files = new Map<string, string>();
  for (const [file, { store, source }] of parts) {
    for (const name of store.tensors.keys()) {
      const other = files.get(name);
      if (other !== undefined) throw fault(source, `${other} has a tensor of this name too.`, name);
      files.set(name, file);
    }
  }
  return new Mapped(files, (file, name) => {
    const entry = parts.get(file)?.store.tensors.get(name);
    invariant(entry !== undefined, "openCheckpoint", `tensor ${name} is in no file`);
    return entryIn(file, entry);
  });
}
