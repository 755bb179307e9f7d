/** The memo of a pickle: values that it refers to again. */
import type { PickleValue } from "./values.ts";

const MAX_NOTES = 250_000;

/** The notes of a pickle, of which those are kept that it reads again. */
export class PickleNotes {
  readonly #kept = new Map<number, PickleValue>();
  readonly #inUse: ReadonlySet<number>;
  readonly #fail: (message: string) => never;
  /** Notes so far, and whether each was one above the last, so that the next one's number is known. */
  #count = 0;
  #isCounted = true;

  constructor(bytes: Uint8Array, start: number, fail: (message: string) => never) {
    this.#fail = fail;
    this.#inUse = passOver(bytes, start).notes;
    if (this.#inUse.size > MAX_NOTES) fail(`it reads more than ${MAX_NOTES} of its notes`);
  }

  /**
   * Notes a value.
   *
   * @param index - its number, `undefined` for the next one.
   * @returns whether it is kept.
   */
  put(value: PickleValue, index: number | undefined): boolean {
    if (index === undefined && !this.#isCounted) this.#fail("it counts its notes after it numbered some out of order");
    const at = index ?? this.#count;
    if (at !== this.#count) this.#isCounted = false;
    this.#count++;
    if (!this.#inUse.has(at)) return false;
    this.#kept.set(at, value);
    return true;
  }

  get(index: number): PickleValue {
    const value = this.#kept.get(index);
    return value === undefined ? this.#fail(`nothing was noted as ${index}`) : value;
  }
}

/** Bytes behind opcodes whose argument has a fixed length, and whose argument begins with its length. */
const FIXED: ReadonlyMap<number, number> = new Map([
  ...[0x4e, 0x88, 0x89, 0x28, 0x7d, 0x5d, 0x29, 0x85, 0x86, 0x87, 0x74, 0x61, 0x65, 0x73, 0x75, 0x94, 0x30, 0x31, 0x32]
    .concat([0x93, 0x52, 0x62, 0x51, 0x81, 0x92, 0x8f, 0x90, 0x91, 0x6f])
    .map((code) => [code, 0] as const),
  ...[0x80, 0x4b, 0x71].map((code) => [code, 1] as const),
  [0x4d, 2],
  ...[0x4a, 0x72].map((code) => [code, 4] as const),
  ...[0x95, 0x47].map((code) => [code, 8] as const),
]);
const COUNTED: ReadonlyMap<number, 1 | 4 | 8> = new Map<number, 1 | 4 | 8>([
  [0x8a, 1],
  [0x55, 1],
  [0x8c, 1],
  [0x8b, 4],
  [0x58, 4],
  [0x54, 4],
  [0x8d, 8],
  [0x43, 1],
  [0x42, 4],
  [0x8e, 8],
  [0x96, 8],
]);
const LINES: ReadonlyMap<number, number> = new Map([
  [0x49, 1],
  [0x4c, 1],
  [0x63, 2],
  [0x69, 2],
]);
const STOP = 0x2e;

/** Where a pickle ends, or what makes its reading end before; `undefined` where it goes on beyond the bytes. */
export function endOfPickle(bytes: Uint8Array, start: number): number | undefined {
  return passOver(bytes, start).end;
}

/**
 * Which of its notes a pickle reads again, and where it ends: `torch.save` notes nine values a tensor, nearly all for
 * nothing. Where an opcode is not known or there are more notes than are kept, the search ends, as the reading will.
 */
function passOver(bytes: Uint8Array, start: number): { notes: ReadonlySet<number>; end: number | undefined } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const notes = new Set<number>();
  let at = start;
  const isLeft = (length: number): boolean => at + length <= bytes.byteLength;
  while (at < bytes.byteLength) {
    const code = view.getUint8(at++);
    const counted = COUNTED.get(code);
    const length = FIXED.get(code);
    if (code === STOP || notes.size > MAX_NOTES) return { notes, end: at };
    if (length !== undefined) at += length;
    else if (code === 0x68 || code === 0x6a) {
      const size = code === 0x68 ? 1 : 4;
      if (isLeft(size)) notes.add(size === 1 ? view.getUint8(at) : view.getUint32(at, true));
      at += size;
    } else if (counted !== undefined) {
      if (!isLeft(counted)) break;
      const [first, second] = [counted === 1 ? view.getUint8(at) : view.getUint32(at, true), counted === 8 ? 4 : 0];
      at += counted + first + (second === 0 ? 0 : 2 ** 32 * view.getUint32(at + second, true));
    } else if (LINES.has(code)) {
      for (let lines = LINES.get(code) ?? 0; lines > 0; lines--) {
        const end = bytes.indexOf(0x0a, at);
        at = end < 0 ? bytes.byteLength : end + 1;
      }
    } else return { notes, end: at };
  }
  return { notes, end: undefined };
}
