/** The workspace in plain TypeScript, for where WebAssembly is refused. */
import type { BidiagonalPlaces, Workspace } from "../workspace.ts";
import { chase } from "./chase.ts";
import { bidiagonalize, formVectors, reduceToHessenberg, reflectBack, triangularize } from "./reductions.ts";
import { rotateRows } from "./rotations.ts";

/** 32 MiB; a larger problem gets an array of its own. */
const KEPT_NUMBERS = 1 << 22;

let kept: Workspace | undefined;

/** A workspace of at least `count` numbers. */
export function plainWorkspace(count: number): Workspace {
  if (kept !== undefined && kept.numbers.length >= count) return kept;
  const made = workspaceIn(new Float64Array(Math.max(count, 1 << 13)));
  if (count <= KEPT_NUMBERS) kept = made;
  return made;
}

function workspaceIn(numbers: Float64Array): Workspace {
  return {
    name: "typescript",
    numbers,
    reduceToHessenberg(a, n, stride, work) {
      reduceToHessenberg(numbers, a, n, stride, work);
    },
    chase(h, stride, first, start, last, x, y, z, list) {
      chase(numbers, h, stride, first, start, last, x, y, z, list);
    },
    bidiagonalize(a: number, rows: number, cols: number, stride: number, keep: boolean, to: BidiagonalPlaces) {
      bidiagonalize(numbers, a, rows, cols, stride, keep, to);
    },
    triangularize(a, count, length, stride, keep, v, tau, diagonal) {
      triangularize(numbers, a, count, length, stride, v, keep ? stride : 0, tau, diagonal);
    },
    formVectors(x, rows, length, stride, v, vStride, tau, count, offset) {
      formVectors(numbers, x, rows, length, stride, v, vStride, tau, count, offset);
    },
    reflectBack(x, rows, length, stride, v, vStride, tau, count) {
      reflectBack(numbers, x, rows, length, stride, v, vStride, tau, count);
    },
    rotateRows(x, stride, length, list, end) {
      rotateRows(numbers, x, stride, length, list, end);
    },
  };
}
