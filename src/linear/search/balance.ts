/**
 * A change of the inner basis of a product, $L R = (L G)(G^{-1} R)$, that makes bounds by leading coordinates tightest.
 * The columns of $L G$ and the rows of $G^{-1} R$ are orthogonal, have equal norms, and descend, as $U S^{1/2}$ and
 * $S^{1/2} V^\top$ of a singular value decomposition do. So the first coordinates hold as much of every entry as so few
 * can, in whatever basis a head stores $W_V$ and $W_O$.
 */
import { frobenius, matmulDense, svd, transposeDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import { multiply } from "../chain.ts";
import { toFloat64, transposeFactor } from "../factor.ts";
import type { MatrixFactor } from "../factor.ts";

/** A factor as rows: one matrix, or a long matrix times a small one that is not multiplied out yet. */
export interface Half {
  readonly long: MatrixFactor;
  readonly small: MatrixFactor | undefined;
  /** The factor that the long matrix is, or is the transpose of; its norms are kept as long as it is. */
  readonly factor: MatrixFactor;
}

/** A change of basis and how far the two matrices are from inverse to each other. */
export interface Balance {
  /** `G`, `[rank, rank]`. */
  readonly left: DenseMatrix;
  /** Its inverse. */
  readonly right: DenseMatrix;
  /**
   * An entry of the changed product differs from the entry of the product by at most this share of the norms of its row
   * and column.
   */
  readonly error: number;
}

/** Wider products are left in their own basis: finding another would take longer than it spares. */
const WIDEST = 256;
/** Rows and columns that the basis is found from. */
const SAMPLE = 2048;
/**
 * Directions weaker than this share of the strongest are taken for as strong, so that the change of basis stays well
 * conditioned.
 */
const FLOOR = 1e-4;

/** The balanced basis, or undefined where there is none that is worth it. */
export function balanceOf(ofRows: Half, ofColumns: Half): Balance | undefined {
  const rank = ofRows.small?.cols ?? ofRows.long.cols;
  if (rank < 2 || rank > WIDEST) return undefined;
  const reads = rootOfGram(sampled(ofRows));
  const writes = rootOfGram(sampled(ofColumns));
  if (reads === undefined || writes === undefined) return undefined;
  const middle = matmulDense(reads.root, writes.root);
  if (!middle.data.every(Number.isFinite)) return undefined;
  const { U, S } = svd(middle);
  const floor = FLOOR * (S[0] ?? 0);
  if (!(floor > 0)) return undefined;
  const strengths = Float64Array.from(S, (s) => Math.sqrt(Math.max(s, floor)));
  const G = matmulDense(
    reads.inverse,
    scaledColumns(U, (j) => strengths[j] as number),
  );
  const inverse = matmulDense(transposeDense(scaledColumns(U, (j) => 1 / (strengths[j] as number))), reads.root);
  const unit = matmulDense(G, inverse).data.slice();
  for (let i = 0; i < rank; i++) unit[i * (rank + 1)] = (unit[i * (rank + 1)] as number) - 1;
  const product = frobenius(G) * frobenius(inverse);
  // Rounding of the changed factors, of their product, and of `unit` itself: rank + 2 operations each.
  const error = frobenius({ rows: rank, cols: rank, data: unit }) + 4 * (rank + 2) * 2 ** -53 * product;
  return { left: G, right: inverse, error };
}

/** Some rows of a factor, evenly spread. */
function sampled({ long, small }: Half): MatrixFactor {
  const step = Math.max(1, Math.floor(long.rows / SAMPLE));
  const rows = Math.min(long.rows, SAMPLE);
  const some = { ...long, rows, rowStride: long.rowStride * step };
  return small === undefined ? some : multiply(some, small);
}

/** The symmetric root of a matrix's Gram matrix, raised where it is next to singular, and its inverse. */
function rootOfGram(matrix: MatrixFactor): { root: DenseMatrix; inverse: DenseMatrix } | undefined {
  const gram = multiply(transposeFactor(matrix) as MatrixFactor, matrix);
  const size = matrix.cols;
  if (!gram.data.every(Number.isFinite)) return undefined;
  const { U, S } = svd({ rows: size, cols: size, data: toFloat64(gram) });
  const largest = Math.sqrt(S[0] ?? 0);
  if (!(largest > 0)) return undefined;
  const roots = Float64Array.from(S, (s) => Math.max(Math.sqrt(s), FLOOR * largest));
  const ofPower = (power: number): DenseMatrix =>
    matmulDense(
      scaledColumns(U, (j) => (roots[j] as number) ** power),
      U,
      { transposeB: true },
    );
  return { root: ofPower(1), inverse: ofPower(-1) };
}

function scaledColumns({ rows, cols, data }: DenseMatrix, by: (j: number) => number): DenseMatrix {
  const factors = Float64Array.from({ length: cols }, (_, j) => by(j));
  return { rows, cols, data: data.map((x, t) => x * (factors[t % cols] as number)) };
}
