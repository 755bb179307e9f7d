/** Which source tokens a table of skip-trigrams shows, where none are given. */
import { diagonalOf, compose, restrict, toDense } from "../../linear/index.ts";
import { gramStack, multiplyStacks, oneOf, stackOf, stackOfTensor } from "../../linear/internal.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import { requireToken } from "../../model/internal.ts";
import type { SkipTrigrams } from "../../circuits/index.ts";
import { normedReaders, tokenScores } from "../../circuits/internal.ts";
import { kindOf, rawData, withWorkspace } from "../../tensor/internal.ts";
import { bosOf } from "../input.ts";
import type { FigureInput } from "../input.ts";
import { tokenTexts } from "../labels.ts";
import type { FigureToken } from "../labels.ts";

/**
 * A token of a skip-trigram with its entry of a circuit.
 * @category Figures
 */
export interface TokenEntry extends FigureToken {
  /** A score (QK) or a logit (OV). */
  readonly value: number;
}

/**
 * The skip-trigrams of one source token.
 * @category Figures
 */
export interface TrigramRow {
  readonly source: FigureToken;
  /**
   * Who looks at it most: scores less those of the start token, or without one less the destination's mean over all
   * tokens.
   */
  readonly destination: readonly TokenEntry[];
  /** What it raises most, in logits. */
  readonly out: readonly TokenEntry[];
}

/** What source tokens are chosen of and shown with. */
export interface TrigramContext {
  /** The model as heads of a layer read single tokens, its norm applied to the embedding. */
  readonly modelOf: (head: HeadId) => Transformer;
  readonly text: (id: number) => string;
  readonly bos: number | undefined;
}

/** The model as heads of a layer read single tokens, by head. */
export function readersOf(model: Transformer): TrigramContext["modelOf"] {
  const readers = normedReaders(model);
  return ({ layer }) => readers(layer);
}

/** What the tables of an input's model choose of and show with. */
export function contextOf(input: FigureInput, operation: string): TrigramContext {
  return { modelOf: readersOf(input.model), text: tokenTexts(input.tokenizer), bos: bosOf(input, operation) };
}

/** What a subtitle says of the norms of a model. */
export function normsNote(normed: boolean): string {
  return normed
    ? " The norm of each head’s layer is applied to the embedding, the scale of the final one left out."
    : "";
}

/** At most so many of the lowest token ids are looked at; in byte-pair vocabularies those are the frequent ones. */
const MOST_SOURCES = 8192;
/** Multiply-adds that reading the skip-trigrams of a head's candidates may take. */
const BUDGET = 4e8;

/** Whether a reader can make something of a token: pieces of characters and control characters say nothing. */
export function isReadable(text: string): boolean {
  return !/[\ufffd\p{Cc}\p{Cn}\p{Co}]/u.test(text.replace(/[\n\t\r]/g, ""));
}

/** The readable tokens of the lowest ids, without BOS. */
export function sourcePool(model: Transformer, { text, bos }: TrigramContext): number[] {
  const pool: number[] = [];
  for (let id = 0; id < model.config.d_vocab && pool.length < MOST_SOURCES; id++)
    if (id !== bos && isReadable(text(id))) pool.push(id);
  return pool;
}

/**
 * Of the pool the tokens that a head does most with: those that it raises most themselves (`copying`), or whose outputs
 * it moves most (`norm`, of their rows of the OV circuit); as many as can be read within a budget, at least 64.
 */
export function strongSources(
  { modelOf }: TrigramContext,
  head: HeadId,
  pool: readonly number[],
  by: "copying" | "norm",
): number[] {
  const model = modelOf(head);
  const { d_vocab, d_vocab_out, d_head } = model.config;
  const count = Math.max(64, Math.floor(BUDGET / ((d_vocab + d_vocab_out) * d_head)));
  if (pool.length <= count) return [...pool];
  const strength = by === "copying" ? ownLogits(model, head, pool) : outputNorms(model, head, pool);
  return pool
    .map((id, i) => ({ id, strength: strength[i] ?? 0 }))
    .sort((a, b) => b.strength - a.strength || a.id - b.id)
    .slice(0, count)
    .map(({ id }) => id);
}

function ownLogits(model: Transformer, head: HeadId, pool: readonly number[]): Float64Array {
  const { W_OV } = model.head(head);
  const diagonal = rawData(diagonalOf(compose(model.W_E, W_OV, model.W_U)));
  return Float64Array.from(pool, (id) => diagonal[id] ?? 0);
}

/** ‖W_E[a] W_V W_O W_U‖, from the Gram matrix of W_O W_U. */
function outputNorms(model: Transformer, head: HeadId, pool: readonly number[]): Float64Array {
  const { d_head: k } = model.config;
  const values = rawData(toDense(compose(restrict(model.W_E, { rows: pool }), model.head(head).W_V)));
  const gram = writtenGram(model, head);
  return Float64Array.from(pool, (_, row) => {
    let sum = 0;
    for (let i = 0; i < k; i++) {
      let inner = 0;
      for (let j = 0; j < k; j++) inner += (gram[i * k + j] as number) * (values[row * k + j] as number);
      sum += inner * (values[row * k + i] as number);
    }
    return Math.sqrt(Math.max(0, sum));
  });
}

/**
 * $W_O W_U (W_O W_U)^\top$ of a head, the product in the precision of $W_U$, the sums over the vocabulary in float64.
 */
function writtenGram(model: Transformer, { layer, head }: HeadId): Float64Array {
  const { d_head, d_vocab_out } = model.config;
  const W_U = stackOfTensor(model.weight("unembed.W_U"));
  const W_O = oneOf(stackOfTensor(model.layer(layer).W_O), head);
  const kind = [W_U, W_O].some(({ view }) => kindOf(view.data) === "float64") ? "float64" : "float32";
  return withWorkspace((take) => {
    const written = stackOf(take(kind, d_head * d_vocab_out), [1, d_head, d_vocab_out]);
    return gramStack(multiplyStacks(W_O, W_U, written)).data as Float64Array;
  });
}

/** How rows are read. */
export interface RowOptions {
  /** How many destinations and outputs. */
  readonly listed: number;
  /** How many rows; all candidates unless given. */
  readonly rows?: number;
}

/** Rows whose destinations are looked for at first, times the rows wanted. */
const LOOKED_FOR = 4;

/**
 * The skip-trigrams of candidate source tokens, those first whose best destination and best output have the largest
 * effect together, $\sigma(S)\,\mathrm{OV}$; of sources that differ in case and spaces alone only the first.
 *
 * No effect exceeds the source's largest logit, so destinations are looked for in the order of logits, until no further
 * source can be shown.
 */
export function trigramRows(
  { modelOf, text, bos }: TrigramContext,
  head: HeadId,
  candidates: readonly number[],
  { listed, rows = candidates.length }: RowOptions,
): TrigramRow[] {
  const model = modelOf(head);
  for (const source of candidates) requireToken(model, source, "source", "skipTrigrams");
  const isLeftOut = (token: number): boolean => token === bos || !isReadable(text(token));
  const scores = tokenScores(model, head, bos === undefined ? "mean" : "start", { start: bos });
  const outs = scores.topOutputs(candidates, listed, isLeftOut);
  const open = candidates
    .map((source, i) => ({ source, out: outs[i] ?? [], most: Math.max(0, outs[i]?.[0]?.value ?? 0) }))
    .sort((a, b) => b.most - a.most);
  const found: SkipTrigrams[] = [];
  let chosen: SkipTrigrams[] = [];
  while (found.length < open.length) {
    const some = open.slice(found.length, Math.max(1, LOOKED_FOR * rows, 2 * found.length));
    const sources = some.map(({ source }) => source);
    const destinations = scores.topDestinations(sources, listed, isLeftOut);
    found.push(...some.map(({ source, out }, i) => ({ source, destination: destinations[i] ?? [], out })));
    chosen = firstOfWords(found, rows, text);
    const [last, next] = [chosen[rows - 1], open[found.length]];
    if (last !== undefined && next !== undefined && bestEffect(last) > next.most) break;
  }
  const named = (list: SkipTrigrams["out"]): TokenEntry[] =>
    list.map(({ token, value }) => ({ id: token, text: text(token), value }));
  return chosen.map(({ source, destination, out }) => ({
    source: { id: source, text: text(source) },
    destination: named(destination),
    out: named(out),
  }));
}

/** The sources of the largest effects, the first of each word. */
function firstOfWords(found: readonly SkipTrigrams[], rows: number, text: TrigramContext["text"]): SkipTrigrams[] {
  const seen = new Set<string>();
  const chosen: SkipTrigrams[] = [];
  for (const one of [...found].sort((a, b) => bestEffect(b) - bestEffect(a) || a.source - b.source)) {
    if (chosen.length === rows) break;
    const word = wordOf(text(one.source));
    if (seen.has(word)) continue;
    seen.add(word);
    chosen.push(one);
  }
  return chosen;
}

function bestEffect({ destination, out }: SkipTrigrams): number {
  return attentionShare(destination[0]?.value ?? 0) * (out[0]?.value ?? 0);
}

/** The share of attention that a score gets against a rival of score 0. */
export function attentionShare(score: number): number {
  return score >= 0 ? 1 / (1 + Math.exp(-score)) : Math.exp(score) / (1 + Math.exp(score));
}

/** A token without case and outer spaces; as it is where nothing else is in it. */
export function wordOf(text: string): string {
  const word = text.trim().toLowerCase();
  return word === "" ? text : word;
}
