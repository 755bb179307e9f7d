/**
 * The memory that the WebAssembly kernels compute in, and the blocks of it that tensors live in.
 *
 * It is shared, although mostly one thread uses it: shared memory grows without moving, so no array over it is ever
 * detached. A block is lent as a Float32Array and comes back when that array is collected, never before: finalizers run
 * between tasks, so inside one no block changes hands. What a task keeps beyond {@link LENT_LIMIT} lives in ordinary
 * arrays. Only this library sees arrays over the memory; what a tensor shows its user is a copy.
 */

/** What is used of WebAssembly; its types are in no library that all supported runtimes share. */
export interface MemoryLike {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

type MemoryConstructor = new (limits: { initial: number; maximum: number; shared?: boolean }) => MemoryLike;

const PAGE = 65_536;
/** Address of the fields of jobs; below lie the constants of the modules. */
export const JOB = 40_960;
/** Bytes of the fields of a job. */
export const JOB_BYTES = 192;
/** Jobs that one call is divided into at most. */
export const MOST_JOBS = 64;
/** Address of the words by which threads agree. */
export const AGREEMENT = JOB + MOST_JOBS * JOB_BYTES;
/** The main thread's working space, in bytes. */
export const SPACE = PAGE;
export const SPACE_BYTES = 44 * PAGE;
/**
 * Bytes of results that are lent out at once at most: five of twelve patterns of 1,024 x 1,024, as many as wait for the
 * collector.
 */
const LENT_LIMIT = 256 * 2 ** 20;
/**
 * The same where the next result is a large one: the last and the next gradient by an unembedding of 50,278 tokens lie
 * in two blocks by turns, where new pages for each and a copy into them would take a tenth of its time.
 */
const LENT_LIMIT_OF_LARGE = 512 * 2 ** 20;
const LARGE = 64 * 2 ** 20;
/** The same for numbers that came from outside and are used again; weights are kept beside. */
const MOVED_LIMIT = 256 * 2 ** 20;
/**
 * The same for right operands that are kept packed beside themselves: the attention of twelve layers of twelve heads,
 * 113 MB, and the unembedding of 50,278 tokens, 154 MB, which each forward pass of 64 would else pack anew.
 */
const PACKED_LIMIT = 320 * 2 ** 20;
/**
 * The collector does not see what tensors take of this memory, and would let them lie. For every so many bytes lent it
 * is told, or for every second result that is larger: few enough to pass through one cache, and a collection costs as
 * much as computing them.
 */
const UNTOLD_LIMIT = 32 * 2 ** 20;
/**
 * It is told by an array of this size: large enough to make it collect at once, and too large for an allocator to take
 * from memory that was used before and must be cleared, so that no page of it is ever touched or really taken.
 */
const TOLD_BYTES = 128 * 2 ** 20;
/** Smaller arrays are not worth a block. */
const LEAST_LENT = 2048;
/** A growth of memory, at least. */
const GROWTH = 16 * 2 ** 20;
/** Without shared memory there is one size for good. */
const FIXED_BYTES = 64 * 2 ** 20;

/** Blocks of results that go back together. */
export interface Recycled {
  blocks: (readonly [address: number, bytes: number])[];
  /** Bytes that may be added. */
  room: number;
}

/** A memory and who holds which part of it. */
export interface Heap {
  readonly memory: MemoryLike;
  readonly isShared: boolean;
  /** All of it, newly made when the memory has grown. */
  floats: Float32Array;
  ints: Int32Array;
  /** The first byte that no block has ever used. */
  end: number;
  /** Bytes of results lent out. */
  lent: number;
  /** Bytes lent out for numbers from outside. */
  moved: number;
  /** Bytes lent out for packed operands. */
  packed: number;
  /** Results that go back when a computation says so; undefined where they wait for the collector. */
  recycled: Recycled | undefined;
  /** Bytes lent since the collector was last told of some. */
  untold: number;
  /** What it was told by. */
  told: ArrayBuffer | undefined;
  /** Blocks that came back, by size in bytes. */
  readonly free: Map<number, number[]>;
  readonly buffers: WeakSet<object>;
  readonly registry: FinalizationRegistry<number>;
}

/**
 * A heap in shared memory of up to 4 GiB, or less where a device refuses that; a fixed one where shared memory is
 * refused.
 */
export function startHeap(memoryOf: MemoryConstructor): Heap {
  const first = (SPACE + SPACE_BYTES) / PAGE + 16;
  for (const maximum of [65_536, 16_384]) {
    try {
      return heapOver(new memoryOf({ initial: first, maximum, shared: true }), true);
    } catch {
      continue;
    }
  }
  const pages = FIXED_BYTES / PAGE;
  return heapOver(new memoryOf({ initial: pages, maximum: pages }), false);
}

function heapOver(memory: MemoryLike, isShared: boolean): Heap {
  const heap: Heap = {
    memory,
    isShared,
    floats: new Float32Array(memory.buffer),
    ints: new Int32Array(memory.buffer),
    end: SPACE + SPACE_BYTES,
    lent: 0,
    moved: 0,
    packed: 0,
    recycled: undefined,
    untold: 0,
    told: undefined,
    free: new Map(),
    buffers: new WeakSet([memory.buffer]),
    registry: new FinalizationRegistry((block) => {
      const low = block % 2 ** 32;
      const bytes = ((block - low) / 2 ** 32) * LEAST_STEP;
      const use = low % LEAST_STEP;
      if (use === USES.result) heap.lent -= bytes;
      else if (use === USES.operand) heap.moved -= bytes;
      else if (use === USES.packed) heap.packed -= bytes;
      giveBack(heap, low - use, bytes);
    }),
  };
  return heap;
}

/** Sizes of blocks are multiples of this. */
const LEAST_STEP = 4096;

/** A size that blocks have: an eighth of a power of two finer than bytes need, so that few sizes serve all. */
function blockBytes(bytes: number): number {
  let step = LEAST_STEP;
  while (16 * step <= bytes) step *= 2;
  return Math.ceil(bytes / step) * step;
}

/**
 * The address of a block of {@link blockBytes} bytes, or undefined where memory is at its end. Its content is
 * undefined.
 */
export function takeBlock(heap: Heap, bytes: number): number | undefined {
  const size = blockBytes(bytes);
  const reused = heap.free.get(size)?.pop();
  if (reused !== undefined) return reused;
  // Vector loads at the end of the last block may reach beyond it.
  const end = heap.end + size;
  if (end + 64 > heap.memory.buffer.byteLength && !grow(heap, end + 64)) return undefined;
  const address = heap.end;
  heap.end = end;
  return address;
}

function grow(heap: Heap, end: number): boolean {
  if (!heap.isShared) return false;
  const missing = end - heap.memory.buffer.byteLength;
  for (const bytes of [Math.max(missing, GROWTH), missing]) {
    try {
      heap.memory.grow(Math.ceil(bytes / PAGE));
      heap.buffers.add(heap.memory.buffer);
      heap.floats = new Float32Array(heap.memory.buffer);
      heap.ints = new Int32Array(heap.memory.buffer);
      return true;
    } catch {
      continue;
    }
  }
  return false;
}

/** Takes a block back for its next use. */
export function giveBack(heap: Heap, address: number, bytes: number): void {
  const size = blockBytes(bytes);
  const list = heap.free.get(size);
  if (list === undefined) heap.free.set(size, [address]);
  else list.push(address);
}

/**
 * What an array is lent for: the result of an operation, an operand from outside that is used again, a weight, or an
 * operand packed.
 */
export type Use = "result" | "operand" | "weight" | "packed";

const USES: Readonly<Record<Use, number>> = { result: 0, operand: 1, weight: 2, packed: 3 };

/**
 * An array over a block, which comes back when the array is collected; undefined where it is small, or too much is
 * lent. Its content is undefined.
 */
export function lend(heap: Heap, length: number, use: Use): Float32Array | undefined {
  // So that no length is taken for one, NaN neither.
  if (!(length >= LEAST_LENT)) return undefined;
  const size = blockBytes(4 * length);
  if (use === "result" && heap.recycled !== undefined) {
    const block = size > heap.recycled.room ? undefined : takeBlock(heap, size);
    if (block === undefined) return undefined;
    heap.recycled.blocks.push([block, size]);
    heap.recycled.room -= size;
    return new Float32Array(heap.memory.buffer, block, length);
  }
  const limit = size >= LARGE ? LENT_LIMIT_OF_LARGE : LENT_LIMIT;
  if (use === "result" && heap.lent + size > limit) return undefined;
  if (use === "operand" && heap.moved + size > MOVED_LIMIT) return undefined;
  if (use === "packed" && heap.packed + size > PACKED_LIMIT) return undefined;
  const address = takeBlock(heap, size);
  if (address === undefined) return undefined;
  const array = new Float32Array(heap.memory.buffer, address, length);
  if (use === "operand") heap.moved += size;
  if (use === "packed") heap.packed += size;
  if (use === "result") {
    heap.lent += size;
    heap.untold += size;
    if (heap.untold >= Math.max(UNTOLD_LIMIT, 2 * size)) tellCollector(heap);
  }
  // Size, address and use in one number, so that nothing else need remember them: addresses are multiples of
  // LEAST_STEP.
  heap.registry.register(array, (size / LEAST_STEP) * 2 ** 32 + address + USES[use]);
  return array;
}

function tellCollector(heap: Heap): void {
  heap.untold = 0;
  heap.told = undefined;
  try {
    heap.told = new ArrayBuffer(TOLD_BYTES);
  } catch {
    // Where there is no room for it there is none for a collection to be put off either.
  }
}

/** Whether an array lies in the heap. */
export function isInHeap(heap: Heap, array: { readonly buffer: ArrayBufferLike }): boolean {
  const { buffer } = array;
  return buffer === heap.floats.buffer || heap.buffers.has(buffer);
}
