/** Where the numbers of a tensor and of its views live. */
import { isKernelMemory, keepForKernels } from "../kernels/index.ts";
import { PackedViews } from "./packed-views.ts";
import type { TensorData } from "./storage.ts";

/**
 * Uses by kernels after which numbers move: the first copies them for the time of a call, as numbers that are used once
 * deserve.
 */
const USES_BEFORE_MOVING = 1;

/**
 * The storage that views share. It lies in an ordinary array or in the kernels' memory, where kernels read it without
 * copying it; numbers that kernels use again move there. An array over that memory is never shown: it could outlive its
 * block.
 */
export class Home {
  #raw: TensorData;
  #isHidden: boolean;
  #shown: TensorData | undefined;
  #uses = 0;
  #packed: PackedViews | undefined;

  constructor(raw: TensorData) {
    this.#raw = raw;
    this.#isHidden = isKernelMemory(raw);
  }

  /** The storage itself: for this library alone, within one task, and only to read. */
  get raw(): TensorData {
    return this.#raw;
  }

  /** Whether the storage lies in the kernels' memory. */
  get isHidden(): boolean {
    return this.#isHidden;
  }

  /** The storage as users may hold it: a copy, kept, where it lies in the kernels' memory. */
  shown(): TensorData {
    if (!this.#isHidden) return this.#raw;
    this.#shown ??= new (this.#raw.constructor as new (from: TensorData) => TensorData)(this.#raw);
    return this.#shown;
  }

  /** The storage for a kernel, moved into its memory where it is used again and there is room. */
  forKernels(): TensorData {
    if (!this.#isHidden && ++this.#uses > USES_BEFORE_MOVING) this.move("operand");
    return this.#raw;
  }

  /** Views of the storage that are right operands of products again and again. */
  get packedViews(): PackedViews {
    return (this.#packed ??= new PackedViews());
  }

  /** Moves the storage into the kernels' memory, where it is float32, not small, and there is room. */
  move(use: "operand" | "weight"): void {
    const kept = !this.#isHidden && this.#raw instanceof Float32Array ? keepForKernels(this.#raw, use) : undefined;
    if (kept === undefined) {
      // Too small, or no room: asked again only when much has been done.
      this.#uses = -1000;
      return;
    }
    this.#raw = kept;
    this.#isHidden = true;
  }
}
