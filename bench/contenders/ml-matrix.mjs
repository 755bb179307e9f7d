/** ml-matrix: dense float64 matrices in plain JavaScript. Its eigenvalues come with eigenvectors; there are none without. */
import { readFileSync } from "node:fs";
import { EVD, Matrix, SVD } from "ml-matrix";

/** Above this a call takes more than a second. */
const MOST_FLOPS = 3e8;

export function open() {
  const manifest = new URL("../node_modules/ml-matrix/package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, "utf8"));
  return {
    versions: { "ml-matrix": version },
    prepare: (work, inputs) => prepare[work.kind]?.(work, ...inputs) ?? { skip: "has no such function" },
  };
}

const prepare = {
  matmul({ batch, flops }, a, b) {
    if (batch !== undefined) return { skip: "has no stacks of matrices" };
    if (flops > MOST_FLOPS) return { skip: "over a second a call" };
    const left = Matrix.from1DArray(...a.shape, a.data);
    const right = Matrix.from1DArray(...b.shape, b.data);
    return { run: () => left.mmul(right), result: () => Float32Array.from(left.mmul(right).to1DArray()) };
  },
  eigenvalues({ count, size }, { data }) {
    const matrices = split(count, size, data);
    const run = () => matrices.map((matrix) => new EVD(matrix));
    return {
      run,
      result: () => Float64Array.from(run().flatMap((evd) => [...evd.realEigenvalues, ...evd.imaginaryEigenvalues])),
    };
  },
  svd({ count, size }, { data }) {
    const matrices = split(count, size, data);
    const run = () => matrices.map((matrix) => new SVD(matrix));
    const parts = ({ leftSingularVectors: U, diagonal, rightSingularVectors: V }) => [
      ...U.to1DArray(),
      ...diagonal,
      ...V.to1DArray(),
    ];
    return { run, result: () => Float64Array.from(run().flatMap(parts)) };
  },
};

const split = (count, size, data) =>
  Array.from({ length: count }, (_, c) =>
    Matrix.from1DArray(size, size, data.subarray(c * size * size, (c + 1) * size * size)),
  );
