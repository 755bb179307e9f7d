/**
 * Gram matrices `c = a aᵀ`: the lower triangle by blocks of rows, each against the columns up to its own last, and its mirror image. Sums are
 * those of the product, to the bit: a product of two numbers does not depend on their order.
 */
import * as doubles from "./doubles.ts";
import { copyBlock, copyDoubles, packDoubles, packPanels } from "./imported.ts";
import { min } from "./lanes.ts";
import * as singles from "./matmul.ts";

/** Rows of a block: fewer waste less above the diagonal, more use a packed panel longer. */
const FEW: usize = 12;
const MANY: usize = 96;

/** Rows `first` to `end` of one matrix and what mirrors them; numbers of `a` are `A`, sums `S`. Steps are in bytes. */
function gramRows<A, S>(
  first: usize,
  end: usize,
  k: usize,
  a: usize,
  aRow: usize,
  aColumn: usize,
  c: usize,
  cRow: usize,
  space: usize,
): void {
  const size = sizeof<S>();
  const spaceA = space + singles.EDGE_BYTES;
  const spaceB = spaceA + (size == 4 ? singles.A_BYTES : doubles.A_BYTES);
  const most = size == 4 ? singles.COLUMNS : doubles.COLUMNS;
  const step = end - first > 256 ? MANY : FEW;
  for (let jc: usize = 0; jc < end; jc += most) {
    const columns = min(most, end - jc);
    for (let pc: usize = 0; pc < k; pc += singles.DEPTH) {
      const kc = min(singles.DEPTH, k - pc);
      const lines = a + pc * aColumn + jc * aRow;
      if (size == 4) packPanels(spaceB, lines, aColumn, aRow, kc, columns);
      else packDoubles(sizeof<A>(), spaceB, lines, aColumn, aRow, kc, columns);
      for (let ic = first; ic < end; ic += step) {
        const mc = min(step, end - ic);
        if (ic + mc <= jc) continue;
        let rows = a + ic * aRow + pc * aColumn;
        let rowStep = aRow;
        if (sizeof<A>() != size || aColumn != size) {
          rowStep = kc * size;
          if (size == 4) copyBlock(spaceA, rowStep, rows, aRow, aColumn, mc, kc);
          else copyDoubles(sizeof<A>(), spaceA, rowStep, rows, aRow, aColumn, mc, kc);
          rows = spaceA;
        }
        const nc = min(columns, ic + mc - jc);
        const to = c + ic * cRow + jc * size;
        const adds = i32(pc > 0);
        if (size == 4) singles.tiles(rows, rowStep, spaceB, 32, kc << 5, kc, mc, nc, to, cRow, adds, space);
        else doubles.tilesOfDoubles(rows, rowStep, spaceB, 32, kc << 5, kc, mc, nc, to, cRow, adds, space);
      }
    }
  }
  if (k == 0) for (let i = first; i < end; i++) memory.fill(c + i * cRow, 0, (i + 1) * size);
  for (let i = first; i < end; i++) {
    let from = c + i * cRow;
    let to = c + i * size;
    for (let j: usize = 0; j < i; j++) {
      store<S>(to, load<S>(from));
      from += size;
      to += cRow;
    }
  }
}

@inline
function grams<A, S>(job: usize, space: usize): void {
  const batch = <usize>load<usize>(job);
  let a = <usize>load<usize>(job, 16);
  let c = <usize>load<usize>(job, 32);
  for (let t: usize = 0; t < batch; t++) {
    gramRows<A, S>(
      load<usize>(job, 4),
      load<usize>(job, 8),
      load<usize>(job, 12),
      a,
      load<usize>(job, 24),
      load<usize>(job, 28),
      c,
      load<usize>(job, 40),
      space,
    );
    a += load<usize>(job, 20);
    c += load<usize>(job, 36);
  }
}

/**
 * A job in memory, 4 bytes a field: batch; the first and the end of the rows that are asked for; k; of `a` the address and the steps of batch, row
 * and column; of `c` without the last; the bytes of a number of `a`, and of `c`.
 */
export function gram(job: usize, space: usize): void {
  const isSingle = load<i32>(job, 44) == 4;
  if (load<i32>(job, 48) == 4) grams<f32, f32>(job, space);
  else if (isSingle) grams<f32, f64>(job, space);
  else grams<f64, f64>(job, space);
}
