/**
 * Rotations of the columns of a matrix, gathered sweep by sweep and applied together: columns are rows of its
 * transpose, and a strip of those stays in first-level cache for all sweeps that wait.
 */
import type { Workspace } from "./workspace.ts";

/** Numbers that a queue of rotations of `n` rows takes up in the workspace: room for the longest sweep at least. */
export function queueSpace(n: number): number {
  return Math.max(1 << 14, 2 * n + 8);
}

/** Sweeps of rotations waiting to be applied to the rows of one matrix of a workspace. */
export class RotationQueue {
  readonly #workspace: Workspace;
  readonly #x: number;
  readonly #stride: number;
  readonly #length: number;
  readonly #list: number;
  readonly #limit: number;
  #end: number;

  /** For the rows at `x`, of `length` entries each; the queue has `space` numbers at `list`. */
  constructor(workspace: Workspace, x: number, stride: number, length: number, list: number, space: number) {
    this.#workspace = workspace;
    this.#x = x;
    this.#stride = stride;
    this.#length = length;
    this.#list = list;
    this.#limit = list + space;
    this.#end = list;
  }

  /**
   * Begins a sweep of `count` rotations of the rows `first`, `first + step`, `first + 2 step` …; returns where the
   * pairs `c, s` are to be written.
   */
  begin(first: number, step: 1 | -1, count: number): number {
    if (this.#end + 2 + 2 * count > this.#limit) this.flush();
    const { numbers } = this.#workspace;
    const at = this.#end;
    numbers[at] = first;
    numbers[at + 1] = step * count;
    this.#end = at + 2 + 2 * count;
    return at + 2;
  }

  /** Applies all that waits. */
  flush(): void {
    if (this.#end > this.#list) {
      this.#workspace.rotateRows(this.#x, this.#stride, this.#length, this.#list, this.#end);
    }
    this.#end = this.#list;
  }
}
