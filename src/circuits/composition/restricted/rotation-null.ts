/**
 * What a random orientation of a writer in the stream would score.
 *
 * A reader is a form $A = P^\top P$ on the stream, a writer the covariance $B = F^\top F$ of what it puts there, one of
 * several parts whose covariances add up to $\Sigma$. The variance that the reader sees of the writer is
 * $\mathrm{tr}\,AB$, of all parts together $\mathrm{tr}\,A\Sigma$. Seen in units of $\Sigma$ these are
 * $A' = \Sigma^{1/2} A \Sigma^{1/2}$ and $B' = \Sigma^{-1/2} B \Sigma^{-1/2}$, on the $m$ directions that are used at
 * all; $B'$ says which share of each direction the writer has. With $R$ a random rotation of these directions
 * $\mathrm{tr}\,A' R B' R^\top$ has, by Schur's lemma, exactly
 *
 * $$\mathrm{mean} = \frac{\mathrm{tr} A' \,\mathrm{tr} B'}{m}, \qquad
 *   \mathrm{variance} = \frac{2\,\lVert A'_0 \rVert^2 \lVert B'_0 \rVert^2}{(m - 1)(m + 2)},$$
 *
 * where $A'_0$ and $B'_0$ are less their traces. All of it is read from $P \Sigma P^\top$ and $F \Sigma^{+} F^\top$,
 * d_head x d_head.
 */
import { dense, frobenius, matmulDense } from "../../../linalg/index.ts";
import type { DenseMatrix } from "../../../linalg/index.ts";
import { principal } from "../../joint-pca.ts";

/** The directions of a stream that anything is written to. */
export interface UsedSpace {
  /** How many directions there are. */
  readonly rank: number;
  /** $\Sigma$, `[d_model, d_model]`. */
  readonly covariance: DenseMatrix;
  /** Its pseudo-inverse $\Sigma^{+}$. */
  readonly inverse: DenseMatrix;
}

/** Below this share of the largest variance a direction is not used; the rounding of float32 is of that size. */
const UNUSED = 1e-6;

/** The directions in which a covariance is not zero. */
export function usedSpace(covariance: DenseMatrix): UsedSpace {
  const d = covariance.rows;
  const { values, vectors } = principal(covariance.data, d);
  const least = UNUSED * (values[0] ?? 0);
  const rank = values.filter((value) => value > least).length;
  const scaled = vectors.slice(0, rank * d);
  for (let t = 0; t < scaled.length; t++) {
    scaled[t] = (scaled[t] as number) / Math.sqrt(values[Math.floor(t / d)] as number);
  }
  const rows = dense(rank, d, scaled);
  return { rank, covariance, inverse: matmulDense(rows, rows, { transposeA: true }) };
}

/** A map of few rows with what its form has in the used space: $\mathrm{tr}$ and $\lVert\cdot\rVert^2$. */
export interface FormInSpace {
  /** $P$ or $F$, `[d_head, d_model]`. */
  readonly rows: DenseMatrix;
  readonly trace: number;
  readonly square: number;
}

/** A reader $P^\top P$. */
export const readerForm = (P: DenseMatrix, { covariance }: UsedSpace): FormInSpace => formIn(P, covariance);

/** A writer $F^\top F$. */
export const writerForm = (F: DenseMatrix, { inverse }: UsedSpace): FormInSpace => formIn(F, inverse);

function formIn(rows: DenseMatrix, metric: DenseMatrix): FormInSpace {
  const form = matmulDense(matmulDense(rows, metric), rows, { transposeB: true });
  let trace = 0;
  for (let i = 0; i < form.rows; i++) trace += form.data[i * (form.cols + 1)] as number;
  return { rows, trace: Math.max(0, trace), square: frobenius(form) ** 2 };
}

/** What {@link scoreAgainstRotations} says of one pair. */
export interface RestrictedScore {
  /** Root of the writer's share of the variance that the reader sees, 0 to 1. */
  readonly share: number;
  /** Root of that variance itself. */
  readonly size: number;
  /** The share of a random orientation: root of its mean. */
  readonly chance: number;
  /** The variance in standard deviations above its mean over random orientations. */
  readonly zScores: number;
}

/** The score of a writer and a reader in one used space. */
export function scoreAgainstRotations(reader: FormInSpace, writer: FormInSpace, { rank }: UsedSpace): RestrictedScore {
  const variance = frobenius(matmulDense(reader.rows, writer.rows, { transposeB: true })) ** 2;
  if (rank === 0 || reader.trace === 0 || writer.trace === 0) return { share: 0, size: 0, chance: 0, zScores: 0 };
  const mean = (reader.trace * writer.trace) / rank;
  const uneven = (form: FormInSpace): number => Math.max(0, form.square - form.trace ** 2 / rank);
  const std = Math.sqrt((2 * uneven(reader) * uneven(writer)) / ((rank - 1) * (rank + 2)));
  const isSpread = std > 1e-9 * mean;
  return {
    share: Math.min(1, Math.sqrt(variance / reader.trace)),
    size: Math.sqrt(variance),
    chance: Math.min(1, Math.sqrt(writer.trace / rank)),
    zScores: isSpread ? (variance - mean) / std : 0,
  };
}
