/** Products over very many terms, in spans. */
import { checkMatmul } from "../checks.ts";
import type { Multiplies } from "./parts.ts";
import { matrix } from "../view.ts";
import type { DeepProductArgs } from "../weights-interface.ts";

/** Terms of a sum that are added in float32 at most, before they join float64 sums. */
const SPAN = 4096;

/** {@link WeightKernels.deepProduct} by products of spans, into `part` `[m, n]`. */
export function deepProductBySpans(parts: Multiplies, args: DeepProductArgs, part: Float32Array): void {
  const { m, n, k, a, b, out } = args;
  checkMatmul({ batch: 1, m, n, k, a, b, out: matrix(out, n) });
  out.fill(0, 0, m * n);
  for (let from = 0; from < k; from += SPAN) {
    parts.matmul({
      batch: 1,
      m,
      n,
      k: Math.min(SPAN, k - from),
      a: { ...a, offset: a.offset + from * a.colStride },
      b: { ...b, offset: b.offset + from * b.rowStride },
      out: matrix(part, n),
    });
    for (let t = 0; t < m * n; t++) out[t] = out[t]! + part[t]!;
  }
}

/** {@link WeightKernels.deepProduct} in float64 throughout. */
export function deepProductInDoubles(parts: Multiplies, { m, n, k, a, b, out }: DeepProductArgs): void {
  parts.matmul({ batch: 1, m, n, k, a, b, out: matrix(out, n) });
}
