/** Whether terms sum to the logits of the model's own run, as far as rounding lets them. */
import { ShapeError } from "../../errors.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { add, subtract, Tensor } from "../../tensor/index.ts";
import { describeTensor } from "../../tensor/internal.ts";
import { NormSum, operationsOf, pathErrorBound } from "../certificate.ts";
import type { Certificate } from "../certificate.ts";
import { unembed } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import type { PathTerm } from "./terms.ts";

/**
 * A certificate of a path expansion.
 * @category Path expansion
 */
export interface PathCertificate extends Certificate {
  /** The most heads on a path that is a term of its own. */
  readonly maxOrder: number;
  /** Whether every path is a term of its own; otherwise the longer ones are one term, the remainder. */
  readonly complete: boolean;
}

/** The certificate of terms: their sum in float64 against the logits, and the most that rounding explains. */
export function certificateOf(frozen: FrozenRun, terms: readonly PathTerm[], options: ProgressOptions): Certificate {
  const steps = new Steps(options, terms.length);
  const norms = new NormSum();
  const shape = frozen.run.cache.get("hook_embed").shape;
  let sum: Stream = Tensor.zeros("batch pos d_model", shape, "float64");
  let b_U = 0;
  for (const term of terms) {
    const { resid } = term;
    checkShape(resid, shape, term.label);
    norms.add(resid);
    sum = add(sum, resid);
    if (term.kind === "bias") b_U += 1;
    steps.advance();
  }
  const operations = operationsOf(frozen, terms.length);
  const bound = pathErrorBound(frozen, { operations, norms: norms.largest });
  const maxDeviation = deviation(frozen, sum, b_U);
  return { maxDeviation, bound, withinBound: maxDeviation <= bound, terms: terms.length };
}

/** The largest difference between a sum of residual contributions, unembedded, and the logits; one prompt at a time. */
function deviation({ model, run }: FrozenRun, sum: Stream, b_U: number): number {
  const biases = model.b_U.data;
  let worst = 0;
  for (let b = 0; b < run.tokens.sizeOf("batch"); b++) {
    const logits = subtract(unembed(model, sum.slice("batch", b, b + 1)), run.logits.slice("batch", b, b + 1)).data;
    for (let i = 0; i < logits.length; i++) {
      const difference = Math.abs((logits[i] as number) + b_U * (biases[i % biases.length] as number));
      worst = difference > worst || Number.isNaN(difference) ? difference : worst;
    }
  }
  return worst;
}

function checkShape(resid: Stream, shape: readonly number[], label: string): void {
  if (resid.rank === shape.length && resid.shape.every((n, a) => n === shape[a])) return;
  throw new ShapeError(
    `the term ${label} is ${describeTensor(resid)} but the run's residual stream has shape [${shape.join(", ")}].`,
    {
      operation: "certificate",
      argument: "terms",
      expected: shape,
      actual: resid.shape,
    },
  );
}
