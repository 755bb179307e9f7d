/** Causal attention in one pass: scores, softmax and weighted values of a block of queries before the next. */
import { min } from "./lanes.ts";
import { packDeep, packedProduct } from "./matmul.ts";
import { clear, divide, exponentials, largest, scaleRow } from "./rows.ts";

/** Queries whose scores are computed at once: whole tiles of six rows and of four, and few, as keys that only the last of them sees are computed for all. */
const QUERIES: usize = 12;

/** Bytes of working space for {@link attend}: edges, packed keys and values, and scores. */
export function attentionBytes(keys: usize, d_head: usize, d_value: usize): usize {
  const padded = (keys + 7) & ~7;
  return 256 + padded * d_head * 4 + keys * ((d_value + 7) & ~7) * 4 + QUERIES * padded * 4;
}

/**
 * `out = softmax(q kᵀ / scale) v` of one head. Rows of `q`, `k`, `v` and `out` have their entries side by side; steps are in bytes.
 * Query `i` sees keys up to `i + queryOffset`; all of them where `isCausal` is 0.
 */
export function attend(
  queries: usize,
  keys: usize,
  d_head: usize,
  d_value: usize,
  q: usize,
  qRow: usize,
  k: usize,
  kRow: usize,
  v: usize,
  vRow: usize,
  out: usize,
  outRow: usize,
  scale: f32,
  isCausal: i32,
  queryOffset: usize,
  space: usize,
): void {
  const padded = (keys + 7) & ~7;
  const keyPanels = space + 256;
  const valuePanels = keyPanels + padded * d_head * 4;
  const valueColumns = (d_value + 7) & ~7;
  const scores = valuePanels + keys * valueColumns * 4;
  const scoreRow = padded << 2;
  packDeep(keyPanels, k, 4, kRow, d_head, keys);
  packDeep(valuePanels, v, vRow, 4, keys, d_value);
  for (let first: usize = 0; first < queries; first += QUERIES) {
    const count = min(QUERIES, queries - first);
    const visible = isCausal ? min(keys, first + count + queryOffset) : keys;
    packedProduct(
      q + first * qRow,
      qRow,
      keyPanels,
      padded,
      d_head,
      d_head,
      count,
      visible,
      scores,
      scoreRow,
      space,
    );
    for (let i: usize = 0; i < count; i++) {
      const row = scores + i * scoreRow;
      const seen = isCausal ? min(visible, first + i + queryOffset + 1) : visible;
      divide(row, seen, scale);
      const max = largest(row, seen);
      if (max == -Infinity) {
        clear(row, visible, 0);
        continue;
      }
      // As softmax and the product with values do it: the result is theirs to the bit.
      scaleRow(row, seen, <f32>(1 / exponentials(row, row, seen, max, 0)));
      clear(row + (seen << 2), visible - seen, 0);
    }
    packedProduct(
      scores,
      scoreRow,
      valuePanels,
      valueColumns,
      keys,
      visible,
      count,
      d_value,
      out + first * outRow,
      outRow,
      space,
    );
  }
}

/**
 * A job in memory, 4 bytes a field: outer and inner batch (prompts and heads), queries, keys, d_head, d_value; of q, k, v and out the
 * address and the steps of outer batch, inner batch and row; scale (float32), isCausal, queryOffset.
 */
export function attention(job: usize, space: usize): void {
  const outer = load<usize>(job);
  const inner = load<usize>(job, 4);
  for (let b: usize = 0; b < outer; b++) {
    for (let h: usize = 0; h < inner; h++) {
      attend(
        load<usize>(job, 8),
        load<usize>(job, 12),
        load<usize>(job, 16),
        load<usize>(job, 20),
        load<usize>(job, 24) + b * load<usize>(job, 28) + h * load<usize>(job, 32),
        load<usize>(job, 36),
        load<usize>(job, 40) + b * load<usize>(job, 44) + h * load<usize>(job, 48),
        load<usize>(job, 52),
        load<usize>(job, 56) + b * load<usize>(job, 60) + h * load<usize>(job, 64),
        load<usize>(job, 68),
        load<usize>(job, 72) + b * load<usize>(job, 76) + h * load<usize>(job, 80),
        load<usize>(job, 84),
        load<f32>(job, 88),
        load<i32>(job, 92),
        load<usize>(job, 96),
        space,
      );
    }
  }
}
