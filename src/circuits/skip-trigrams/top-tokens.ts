/**
 * The tokens to which some vectors give most, over a whole vocabulary: products in float32 leave few tokens open, whose
 * products are then taken in float64.
 *
 * A float32 product of $d$ numbers, of which one factor was rounded to float32, errs by at most
 * $\gamma \lVert x \rVert \lVert w \rVert$, $\gamma$ being that of a sum of $d$ products (certificate.ts) and one more
 * rounding. What is smaller than the `k`-th largest by twice that cannot belong.
 */
import { multiplyStacks, stackOf, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import { kindOf, sumRounding, U32, withWorkspace } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";

/**
 * A token with what a circuit gives it.
 * @category Circuits
 */
export interface TokenValue {
  readonly token: number;
  readonly value: number;
}

/** `count` vectors of tokens, at least one, each of `width` numbers, from which values are read. */
export interface TokenVectors {
  readonly count: number;
  readonly width: number;
  /** A whole weight, which never changes. */
  readonly data: FloatArray;
  /** From a token to the next, and from a number of its vector to the next. */
  readonly step: number;
  readonly stride: number;
}

/** The question to each row of vectors. */
export interface TopTokensQuestion {
  /** `[rows, width]`, float64. */
  readonly rows: Float64Array;
  readonly tokens: TokenVectors;
  /** `[count]`: taken off every row's products; nothing if left out. */
  readonly less?: Float64Array | undefined;
  /** The divisor of the values. */
  readonly scale: number;
  readonly k: number;
  readonly isLeftOut: (token: number) => boolean;
}

/** Products held at once: 16 MiB of float32. */
const BAND_NUMBERS = 2 ** 22;
/** Rows asked together: the tokens' vectors are read once for all of them, some thousand tokens at a time. */
const ROWS_TOGETHER = 1024;
/** Sizes of products that float32 holds with room to spare. */
const LARGEST_PRODUCT = 2 ** 100;

/**
 * For each row the `k` tokens of the largest values that are not left out, largest first; ties go to the lower token.
 */
export function topTokens(question: TopTokensQuestion): TokenValue[][] {
  const { rows, tokens } = question;
  const { count, width, data } = tokens;
  const asked = rows.length / width;
  const kind = kindOf(data);
  const largest = kind === "float64" ? 0 : largestNormOf(tokens);
  const height = Math.min(asked, ROWS_TOGETHER);
  const band = Math.max(1, Math.min(count, Math.floor(BAND_NUMBERS / Math.max(1, height))));
  return withWorkspace((take) => {
    const products = take(kind, height * band);
    const left = take(kind, height * width);
    const found: TokenValue[][] = [];
    for (let first = 0; first < asked; first += height) {
      const m = Math.min(height, asked - first);
      left.set(rows.subarray(first * width, (first + m) * width));
      const searches = Array.from({ length: m }, (_, i) => {
        const row = rows.subarray((first + i) * width, (first + i + 1) * width);
        const size = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
        const isSafe = kind === "float64" || size * largest < LARGEST_PRODUCT;
        return new TopSearch(question, row, isSafe, kind === "float64" ? 0 : roundingOf(width, size, largest));
      });
      for (let from = 0; from < count; from += band) {
        const n = Math.min(band, count - from);
        multiplyStacks(stackOf(left, [1, m, width]), columnsOf(tokens, from, n), stackOf(products, [1, m, n]));
        for (const [i, search] of searches.entries()) search.take(from, products.subarray(i * n, (i + 1) * n));
      }
      found.push(...searches.map((search) => search.found()));
    }
    return found;
  });
}

/** The vectors of some tokens as columns. */
function columnsOf({ width, data, step, stride }: TokenVectors, from: number, count: number): Stack {
  const offset = from * step;
  if (stride !== 1) return stackOf(data, [1, width, count], { row: stride, offset });
  return transposedStack(stackOf(data, [1, count, width], { row: step, offset }));
}

/** How far a float32 product of vectors of these norms can be off; what is below the smallest float32 is lost whole. */
function roundingOf(width: number, size: number, largest: number): number {
  return (sumRounding(width) + 2 * U32) * size * largest + width * 2 ** -120 * (1 + size + largest);
}

const largestNorms = new WeakMap<FloatArray, number>();

/** The largest norm of a token's vector, kept as long as the vectors are. */
function largestNormOf(tokens: TokenVectors): number {
  const known = largestNorms.get(tokens.data) ?? largestNorm(tokens);
  largestNorms.set(tokens.data, known);
  return known;
}

function largestNorm({ count, width, data, step, stride }: TokenVectors): number {
  const squares = new Float64Array(count);
  if (stride < step) {
    for (let token = 0; token < count; token++) {
      let sum = 0;
      for (let i = 0, at = token * step; i < width; i++, at += stride) sum += (data[at] as number) ** 2;
      squares[token] = sum;
    }
  } else {
    for (let i = 0; i < width; i++) {
      for (let token = 0, at = i * stride; token < count; token++, at += step) {
        squares[token] = (squares[token] as number) + (data[at] as number) ** 2;
      }
    }
  }
  return Math.sqrt(squares.reduce((most, square) => Math.max(most, square), 0));
}

/** The search for the tokens of one row, to which products are shown a band at a time. */
class TopSearch {
  readonly #question: TopTokensQuestion;
  readonly #row: Float64Array;
  readonly #isSafe: boolean;
  readonly #margin: number;
  readonly #top: Float64Array;
  readonly #open: { readonly token: number; readonly estimate: number }[] = [];
  #bar = -Infinity;

  /** @param isSafe - whether the products are those of the row; if not, they are computed here in float64. */
  constructor(question: TopTokensQuestion, row: Float64Array, isSafe: boolean, margin: number) {
    this.#question = question;
    this.#row = row;
    this.#isSafe = isSafe;
    this.#margin = isSafe ? margin : 0;
    this.#top = new Float64Array(Math.min(question.k, question.tokens.count)).fill(-Infinity);
  }

  /** Takes the products with the tokens from one on. */
  take(from: number, products: FloatArray): void {
    const { tokens, less, scale, isLeftOut } = this.#question;
    const [open, top, margin] = [this.#open, this.#top, 2 * this.#margin];
    const sign = scale < 0 ? -1 : 1;
    const last = top.length - 1;
    let bar = this.#bar;
    for (let i = 0; i < products.length; i++) {
      const token = from + i;
      const product = this.#isSafe ? (products[i] as number) : productOf(this.#row, tokens, token);
      const estimate = sign * (product - (less === undefined ? 0 : (less[token] as number)));
      if (estimate < bar || isLeftOut(token)) continue;
      open.push({ token, estimate });
      if (!(estimate > (top[last] as number))) continue;
      let place = last;
      for (; place > 0 && (top[place - 1] as number) < estimate; place--) top[place] = top[place - 1] as number;
      top[place] = estimate;
      bar = (top[last] as number) - margin;
    }
    this.#bar = bar;
  }

  /** The tokens with their exact values. */
  found(): TokenValue[] {
    const { tokens, less, scale, k } = this.#question;
    return this.#open
      .filter(({ estimate }) => estimate >= this.#bar)
      .map(({ token }) => ({ token, value: (productOf(this.#row, tokens, token) - (less?.[token] ?? 0)) / scale }))
      .sort((x, y) => y.value - x.value || x.token - y.token)
      .slice(0, k);
  }
}

/** The product of a row with the vector of a token, summed in float64. */
function productOf(row: Float64Array, { width, data, step, stride }: TokenVectors, token: number): number {
  let sum = 0;
  for (let i = 0, at = token * step; i < width; i++, at += stride) {
    sum += (row[i] as number) * (data[at] as number);
  }
  return sum;
}
