/**
 * The entries of a safetensors header as columns of numbers: a header of megabytes can name a hundred thousand tensors.
 */
import { ITEM_SIZES } from "../bytes/dtype.ts";
import type { SafetensorsDType } from "../bytes/dtype.ts";
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { Mapped } from "../bytes/mapped.ts";
import type { TensorEntry } from "../checkpoint/tensor-file.ts";

/**
 * What a safetensors file says about one tensor.
 * @category Files
 */
export interface SafetensorsEntry extends TensorEntry {
  /** Where the tensor's first byte lies in the file. */
  readonly byteOffset: number;
}

/** Values of a column in one piece: a list that grows as a whole leaves copies of itself, megabytes of them. */
const PIECE = 1024;

/** Values by row. */
class Column<T> {
  readonly #pieces: T[][] = [];
  length = 0;

  push(value: T): void {
    if (this.length % PIECE === 0) this.#pieces.push([]);
    this.#pieces[this.#pieces.length - 1]?.push(value);
    this.length++;
  }

  at(row: number): T | undefined {
    return this.#pieces[Math.floor(row / PIECE)]?.[row % PIECE];
  }
}

/** Entries by name, as they come. */
export class EntryTable {
  readonly #rows = new Map<string, number>();
  readonly #dtypes = new Column<SafetensorsDType>();
  /** Where each tensor begins. */
  readonly #begins = new Column<number>();
  /** The sizes of all tensors' dimensions, one tensor after the other, and where those of each end. */
  readonly #sizes = new Column<number>();
  readonly #sizesEnd = new Column<number>();
  #isInOrder = true;
  /** Tensors of element types that are not read, which only take their place. */
  readonly unread = new Map<string, string>();

  get size(): number {
    return this.#rows.size;
  }

  has(name: string): boolean {
    return this.#rows.has(name);
  }

  add(name: string, { dtype, shape, byteOffset }: SafetensorsEntry): void {
    const row = this.#rows.size;
    if (row > 0 && this.#compare(byteOffset, byteSize(dtype, shape), row - 1) < 0) this.#isInOrder = false;
    this.#rows.set(name, row);
    this.#dtypes.push(dtype);
    this.#begins.push(byteOffset);
    for (const size of shape) this.#sizes.push(size);
    this.#sizesEnd.push(this.#sizes.length);
  }

  /** The entries in the order of their data, empty ones first where several begin at one byte. */
  inOrder(): ReadonlyMap<string, SafetensorsEntry> {
    let rows = this.#rows;
    if (!this.#isInOrder) {
      const names = [...rows.keys()];
      const order = Uint32Array.from(names.keys());
      order.sort((a, b) => this.#compare(this.#begins.at(a) ?? 0, this.#length(a), b));
      rows = new Map();
      for (const row of order) rows.set(names[row] ?? "", row);
    }
    return new Mapped(rows, (row) => this.#entry(row));
  }

  /** Entries less those that are not read, with more names for some. */
  readable(entries: ReadonlyMap<string, SafetensorsEntry>, aliases: ReadonlyMap<string, string>): typeof entries {
    if (this.unread.size === 0 && aliases.size === 0) return entries;
    const rows = new Map<string, number>();
    for (const name of entries.keys()) if (!this.unread.has(name)) rows.set(name, this.#rows.get(name) ?? 0);
    for (const [alias, name] of aliases) if (!this.unread.has(alias)) rows.set(alias, this.#rows.get(name) ?? 0);
    return new Mapped(rows, (row) => this.#entry(row));
  }

  #shape(row: number): readonly number[] {
    const begin = row === 0 ? 0 : (this.#sizesEnd.at(row - 1) ?? 0);
    return Array.from({ length: (this.#sizesEnd.at(row) ?? 0) - begin }, (_, i) => this.#sizes.at(begin + i) ?? 0);
  }

  #length(row: number): number {
    return byteSize(this.#dtypes.at(row) ?? "U8", this.#shape(row));
  }

  #compare(begin: number, length: number, row: number): number {
    return begin - (this.#begins.at(row) ?? 0) || length - this.#length(row);
  }

  #entry(row: number): SafetensorsEntry {
    const dtype = this.#dtypes.at(row) ?? "U8";
    const shape = this.#shape(row);
    return { dtype, shape, byteOffset: this.#begins.at(row) ?? 0, byteLength: byteSize(dtype, shape) };
  }
}

function byteSize(dtype: SafetensorsDType, shape: readonly number[]): number {
  return shape.reduce((n, size) => n * size, ITEM_SIZES.get(dtype) ?? 0);
}

/** Every byte of the data must belong to one tensor: no gap in which something hides, no two tensors on one byte. */
export function checkCoverage(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  dataStart: number,
  fileEnd: number,
  source: Source,
): void {
  let covered = dataStart;
  let previous: string | undefined;
  for (const [name, { byteOffset, byteLength }] of entries) {
    if (byteOffset < covered) {
      throw fault(
        source,
        `its data begin at offset ${byteOffset}, inside tensor ${JSON.stringify(previous)}, which ends at ${covered}. Tensors may not overlap.`,
        name,
        covered,
        byteOffset,
      );
    }
    if (byteOffset > covered) {
      throw fault(
        source,
        `its data begin at offset ${byteOffset} but bytes ${covered} to ${byteOffset} before it belong to no tensor.`,
        name,
        covered,
        byteOffset,
      );
    }
    covered = byteOffset + byteLength;
    previous = name;
  }
  if (covered !== fileEnd) {
    throw fault(
      source,
      `bytes ${covered} to ${fileEnd}, at the end of the file, belong to no tensor.`,
      undefined,
      covered,
      fileEnd,
    );
  }
}
