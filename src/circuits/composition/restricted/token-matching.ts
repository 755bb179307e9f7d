/**
 * How much a composition matches: on average over tokens $t$, how much better the reader's query of $t$ fits the key
 * that the writer makes of the same $t$ than those of two tokens drawn at random fit. That is the diagonal of the token
 * circuit through both less its mean.
 */
import { matmulDense } from "../../../linalg/index.ts";
import type { DenseMatrix } from "../../../linalg/index.ts";
import type { ModelConfig } from "../../../model/index.ts";
import { congruent } from "../../term-sizes/source-grams.ts";
import { headMatrix } from "./stream-moments.ts";
import type { LayerInput } from "./stream-moments.ts";

/** What is found of a pair. */
export interface Matching {
  readonly matching: number;
  readonly matchingZScores: number;
}

/** An earlier head's tokens as one layer reads them. */
interface WrittenTokens {
  /** $W_O$ through the reading layer's norm, `[d_head, d_model]`. */
  readonly W_O: DenseMatrix;
  /** The covariance of the values that it makes of tokens, `[d_head, d_head]`. */
  readonly values: DenseMatrix;
  /** The covariance of these with tokens as the reading layer reads them, `[d_head, d_model]`. */
  readonly withTokens: DenseMatrix;
  /** And with the columns of $W_U$. */
  readonly withUnembedding: DenseMatrix | undefined;
}

/** The matching of all pairs whose readers are of one layer. */
export class TokenMatching {
  readonly #input: LayerInput;
  readonly #shuffles: number;
  readonly #writers: readonly WrittenTokens[];

  /** @param writers - the layers and heads before. */
  constructor(
    { d_vocab }: ModelConfig,
    input: LayerInput,
    writers: readonly { readonly from: LayerInput; readonly head: number }[],
  ) {
    this.#input = input;
    this.#shuffles = Math.max(1, d_vocab - 1);
    const { through } = input;
    this.#writers = writers.map(({ from, head }) => {
      const W_V = headMatrix(from.layer.W_V, head);
      const along = (C: DenseMatrix): DenseMatrix => matmulDense(W_V, C, { transposeA: true });
      const { withEmbedding, withUnembedding, covariance } = from.tokens;
      return {
        W_O: through(headMatrix(from.layer.W_O, head)),
        values: congruent(covariance, W_V),
        withTokens: through(along(withEmbedding)),
        withUnembedding: withUnembedding && along(withUnembedding),
      };
    });
  }

  /**
   * By queries or keys, of each writer.
   *
   * @param moved - the weight that reads the writer.
   * @param other - the weight that reads the other side.
   * @param turn - the mean rotation between them, applied to what is moved.
   */
  ofScores(moved: DenseMatrix, other: DenseMatrix, turn: DenseMatrix | undefined): Matching[] {
    const tokens = congruent(this.#input.tokens.covariance, other);
    return this.#writers.map((writer) => {
      const map = matmulDense(writer.W_O, moved);
      const together = matmulDense(writer.withTokens, other);
      const through = turn === undefined ? map : matmulDense(map, turn);
      return this.#matching(writer, through, together, tokens, 1 / this.#input.layer.attnScale);
    });
  }

  /**
   * By values, of each writer; none where the logits are of other tokens.
   *
   * @param logits - the covariance of logits that the reader's values make, `[d_head, d_head]`.
   */
  ofValues(W_V: DenseMatrix, W_O: DenseMatrix, logits: DenseMatrix): (Matching | undefined)[] {
    return this.#writers.map((writer) => {
      const { withUnembedding } = writer;
      if (withUnembedding === undefined) return undefined;
      const together = matmulDense(withUnembedding, W_O, { transposeB: true });
      return this.#matching(writer, matmulDense(writer.W_O, W_V), together, logits, 1);
    });
  }

  /**
   * The mean diagonal of a token circuit less its mean, and that over its spread when tokens are shuffled: with the
   * covariances $C$ and $C'$ of both sides, $\mathrm{tr}(C C') / (d_{vocab} - 1)$ is the variance of the mean diagonal
   * over all orders of one side.
   */
  #matching(
    { values }: WrittenTokens,
    map: DenseMatrix,
    together: DenseMatrix,
    tokens: DenseMatrix,
    scale: number,
  ): Matching {
    const diagonal = innerProduct(map, together) * scale;
    const square = innerProduct(congruent(values, map), tokens) * scale ** 2;
    const std = Math.sqrt(Math.max(0, square) / this.#shuffles);
    return { matching: diagonal, matchingZScores: std > 0 ? diagonal / std : 0 };
  }
}

function innerProduct(a: DenseMatrix, b: DenseMatrix): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] as number) * (b.data[i] as number);
  return sum;
}
