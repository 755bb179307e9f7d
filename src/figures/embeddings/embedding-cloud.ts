/** Figure: embeddings of tokens or positions in three dimensions, along principal components or any directions. */
import { covariance, principal } from "../../circuits/internal.ts";
import { ConfigError, InputError, ShapeError } from "../../errors.ts";
import { compose, toDense } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import { headLabel } from "../../model/index.ts";
import type { Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, pointCloud } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { shownTexts } from "../labels.ts";
import { numbersOf } from "../prompts.ts";

/**
 * Embeddings along three directions.
 * @category Figures
 */
export interface EmbeddingCloud {
  readonly of: "tokens" | "positions";
  /** `[point, direction]`: where each embedding stands, float64; along principal components less the mean. */
  readonly points: Tensor<"point direction">;
  /** The tokens' texts, or the positions. */
  readonly labels: readonly string[];
  /** Names of the directions. */
  readonly directions: readonly string[];
  /** The share of the variance that each principal component has; empty for directions that were given. */
  readonly shares: readonly number[];
  /** What the embeddings went through, in words; empty where nothing. */
  readonly reading: string;
}

/**
 * Options of {@link embeddingCloud}.
 * @category Figures
 */
export interface EmbeddingCloudOptions extends FigureOptions {
  /** Which embeddings: `W_E`'s rows, the default, or `W_pos`'s. */
  readonly of?: "tokens" | "positions" | undefined;
  /** A map that embeddings go through first, as `compose(head.W_OV, W_U)` or an MLP's `W_in`; none unless given. */
  readonly through?: Linear<"d_model", string> | undefined;
  /** What the first of `heads` reads of them: through its `W_K`, the default, `W_Q` or `W_V`. */
  readonly reads?: "query" | "key" | "value" | undefined;
  /** Three vectors, of `d_model` or of the map's outputs; the first principal components unless given. */
  readonly directions?: readonly (Tensor | ArrayLike<number>)[] | undefined;
  /** Names of those directions. */
  readonly names?: readonly string[] | undefined;
}

/**
 * Embeddings of tokens or positions along three directions: their first principal components, what a head reads of
 * them, or any three vectors (*A Mathematical Framework for Transformer Circuits*, "Residual stream bandwidth").
 * Positions of trained models lie on a curve, tokens in clusters.
 *
 * Weights alone: norms in front of a head are not applied, biases are left out.
 *
 * @param options - `of`; `through` a map, or `heads` and `reads` for what the first of them reads; `directions` with
 * `names`.
 * @throws {@link ConfigError} when the model has no table of positions; {@link ShapeError} when there are not three
 * directions of the space's size; {@link InputError} when there is no such head, or both a map and a head are given.
 * @category Figures
 * @example
 * ```ts
 * import { embeddingCloud } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { points, directions } = embeddingCloud(await openBundledModel(), { of: "positions" });
 * console.log(points.shape, directions.join(", "));
 * // [ 128, 3 ] PC 1 (38 %), PC 2 (17 %), PC 3 (13 %)
 * ```
 */
export function embeddingCloud(input: FigureInput, options: EmbeddingCloudOptions = {}): EmbeddingCloud {
  const operation = "embeddingCloud";
  requireNeeds([], input, operation, options, "of through reads directions names");
  const { model } = input;
  const { of = "tokens" } = options;
  requireOne(of, ["tokens", "positions"], "of");
  const table = of === "tokens" ? model.W_E : model.W_pos;
  if (table === undefined) {
    throw new ConfigError(
      `this model has no table of positions (positional_embedding_type=${model.config.positional_embedding_type}). Look at tokens.`,
      { operation, argument: "of", expected: "tokens", actual: of },
    );
  }
  const { map, reading } = mapOf(model, options);
  const rows =
    map === undefined
      ? rawData(model.weight(of === "tokens" ? "embed.W_E" : "pos_embed.W_pos"))
      : rawData(toDense(compose(table as Linear<"pos", "d_model">, map)));
  const count = of === "tokens" ? model.config.d_vocab : model.config.n_ctx;
  const size = rows.length / count;
  const textOf = of === "tokens" ? shownTexts(input.tokenizer) : String;
  const labels = Array.from({ length: count }, (_, i) => textOf(i));
  if (options.directions !== undefined) {
    const vectors = vectorsOf(options.directions, size);
    const directions = options.names ?? ["direction 1", "direction 2", "direction 3"];
    requireThree(directions, "names");
    return { of, points: along(rows, size, vectors), labels, directions, shares: [], reading };
  }
  const { values, vectors } = principal(covariance(size, count, rows, { token: size, feature: 1 }, false), size);
  const total = values.reduce((a, b) => a + b, 0);
  const first = [0, 1, 2].map((c) => vectors.subarray(Math.min(c, size) * size, Math.min(c + 1, size) * size));
  const shares = [0, 1, 2].map((c) => (total > 0 ? (values[c] ?? 0) / total : 0));
  return {
    ...{ of, labels, shares, reading },
    points: along(rows, size, first, meanOfRows(rows, size)),
    directions: shares.map((share, c) => `PC ${c + 1} (${formatNumber(100 * share, { significant: 2 })} %)`),
  };
}

const WEIGHTS = { query: "W_Q", key: "W_K", value: "W_V" } as const;

/** What embeddings go through. */
function mapOf(
  model: Transformer,
  { heads, through, reads = "key" }: EmbeddingCloudOptions,
): { readonly map: Linear<"d_model", string> | undefined; readonly reading: string } {
  requireOne(reads, ["query", "key", "value"], "reads");
  const [ref] = heads ?? [];
  if (ref === undefined) return { map: through, reading: through === undefined ? "" : "through a map" };
  if (through !== undefined) {
    throw new InputError("both a map and a head were given. Give one of them.", {
      operation: "embeddingCloud",
      argument: "through",
    });
  }
  const head = model.head(ref);
  return {
    map: head[WEIGHTS[reads]],
    reading: `as ${headLabel(head)} reads them for its ${reads === "query" ? "queries" : `${reads}s`}`,
  };
}

function requireOne(value: string, known: readonly string[], argument: string): void {
  if (known.includes(value)) return;
  throw new InputError(
    `${argument} is ${JSON.stringify(value)}. Give ${known.map((one) => `"${one}"`).join(" or ")}.`,
    {
      operation: "embeddingCloud",
      argument,
      expected: known,
      actual: value,
    },
  );
}

function requireThree(list: ArrayLike<unknown>, argument: string): void {
  if (list.length === 3) return;
  throw new ShapeError(`there are ${list.length} ${argument}; give three.`, {
    operation: "embeddingCloud",
    argument,
    expected: 3,
    actual: list.length,
  });
}

/** Three directions as numbers; refuses those of another space. */
function vectorsOf(directions: readonly (Tensor | ArrayLike<number>)[], size: number): ArrayLike<number>[] {
  requireThree(directions, "directions");
  return directions.map((given, i) => {
    const vector = given instanceof Tensor ? rawData(given) : given;
    if (vector.length !== size) {
      throw new ShapeError(
        `directions[${i}] has ${vector.length} numbers for embeddings of ${size}. Give vectors of that space.`,
        {
          operation: "embeddingCloud",
          argument: `directions[${i}]`,
          expected: size,
          actual: vector.length,
        },
      );
    }
    return vector;
  });
}

function meanOfRows(rows: ArrayLike<number>, size: number): Float64Array {
  const mean = new Float64Array(size);
  for (let i = 0; i < rows.length; i++) mean[i % size] = (mean[i % size] as number) + (rows[i] as number);
  return mean.map((sum) => sum / (rows.length / size));
}

/** $(x - m) \cdot v$ for each row and direction. */
function along(
  rows: ArrayLike<number>,
  size: number,
  vectors: readonly ArrayLike<number>[],
  mean?: Float64Array,
): Tensor<"point direction"> {
  const count = rows.length / size;
  const out = new Float64Array(3 * count);
  for (const [k, vector] of vectors.entries()) {
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let j = 0; j < vector.length; j++)
        sum += ((rows[i * size + j] as number) - (mean?.[j] ?? 0)) * (vector[j] as number);
      out[3 * i + k] = sum;
    }
  }
  return Tensor.from("point direction", [count, 3], out);
}

/**
 * Draws embeddings as points that turn; positions are joined in their order.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawEmbeddingCloud, embeddingCloud } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawEmbeddingCloud(embeddingCloud(await openBundledModel(), { heads: ["L1H4"] }));
 * console.log(figure.kind, figure.label);
 * // pointCloud Embeddings of 1,024 tokens, as L1H4 reads them for its keys
 * ```
 */
export function drawEmbeddingCloud(data: EmbeddingCloud, captions: Captions = {}): Figure {
  requireData(data, "of points labels directions shares reading", "embeddingCloud", "drawEmbeddingCloud", captions);
  const { of, labels, shares, reading, directions } = data;
  const along =
    shares.length > 0
      ? `Along the first three principal components, which have ${formatNumber(100 * shares.reduce((a, b) => a + b, 0), { significant: 2 })} % of the variance.`
      : "Along three given directions.";
  return pointCloud({
    title: `Embeddings of ${formatNumber(labels.length, { decimals: 0 })} ${of}${reading === "" ? "" : `, ${reading}`}`,
    subtitle: `${along}${of === "positions" ? " The line follows the positions." : ""}`,
    points: { rows: labels.length, cols: 3, data: numbersOf(data.points) },
    labels,
    axes: directions,
    path: of === "positions",
    ...captions,
  });
}

const SOURCE = 'A Mathematical Framework for Transformer Circuits, "Residual stream bandwidth"';
const NEEDS_TABLE: readonly FigureNeed[] = ["table of positions"];

/** The list's entry. */
export const tokenEmbeddingsEntry: FigureEntry<EmbeddingCloud> = {
  name: "token-embeddings",
  number: 27,
  title: "Embeddings of all tokens in three dimensions",
  source: SOURCE,
  needs: [],
  output: "html",
  make: embeddingCloud,
  draw: drawEmbeddingCloud,
};

/** The list's entry. */
export const positionEmbeddingsEntry: FigureEntry<EmbeddingCloud> = {
  name: "positional-embeddings",
  number: 27,
  title: "Embeddings of all positions in three dimensions",
  source: SOURCE,
  needs: NEEDS_TABLE,
  output: "html",
  make: (input, options) => embeddingCloud(input, { ...options, of: "positions" }),
  draw: drawEmbeddingCloud,
};
