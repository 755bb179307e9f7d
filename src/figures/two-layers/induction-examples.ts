/** Figure: an induction head at work on a text, where it looks and what that does to the next token. */
import { logitAttribution } from "../../paths/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { smallMultiples, tokenStrip, visibleToken } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import type { FigureToken } from "../labels.ts";
import { largestHead, measuredHeads, oneHead, tokensOf } from "../prompts.ts";

/**
 * A place where the head looks at what came after an earlier copy of the present token.
 * @category Figures
 */
export interface InductionExample {
  /** The position that attends. */
  readonly query: number;
  /** The position attended to most. */
  readonly key: number;
  /** `[pos]`: attention from the query, 0 after it. */
  readonly attention: Float64Array;
}

/**
 * An induction head on a text.
 * @category Figures
 */
export interface InductionExamples {
  readonly head: HeadId;
  readonly tokens: readonly FigureToken[];
  /** `[pos]`: what the head, where the token before stands, adds to this token's logit; NaN for the first token. */
  readonly effect: Float64Array;
  /** The places where the head raises the right next token most, at most three, best first. */
  readonly examples: readonly InductionExample[];
}

const NEEDS: readonly FigureNeed[] = ["layer", "text", "causal", "next token"];
const LENGTH = 110;
const EXAMPLES = 3;

/**
 * Where an induction head looks on a text and by how much it raises the token that comes next (*A Mathematical
 * Framework for Transformer Circuits*, "Induction heads"). Examples are places where the present token has occurred
 * before, where there are some.
 *
 * @param options - `heads`: the first is shown, otherwise the head of the highest induction score; `signal`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens; {@link InputError} when there is no text.
 * @category Figures
 * @example
 * ```ts
 * import { inductionExamples } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * const { tokens, examples } = inductionExamples({ ...(await openBundledModel()), text });
 * const [{ query, key } = { query: 0, key: 0 }] = examples;
 * // The head attends from a token to what followed it before, and that is what follows now.
 * console.log(tokens[key]?.id === tokens[query + 1]?.id);
 * // true
 * ```
 */
export function inductionExamples(input: FigureInput, options: FigureOptions = {}): InductionExamples {
  const operation = "inductionExamples";
  requireNeeds(NEEDS, input, operation, options);
  const { model } = input;
  const id = inductionHead(input, options);
  const [ids = []] = windowsOf(input, { length: LENGTH }, operation);
  const effect = effectOf(input, id, ids, options);
  const { cache } = model.run(ids, { cache: [`blocks.${id.layer}.attn.hook_pattern`], unembed: "none" });
  const pattern = rawData(cache.get(`blocks.${id.layer}.attn.hook_pattern`).select("batch", 0).select("head", id.head));
  const n = ids.length;
  const queries = Array.from({ length: n - 1 }, (_, i) => i);
  const rows = queries.map((query) => Float64Array.from(pattern.subarray(query * n, (query + 1) * n)));
  const keyOf = (query: number): number => {
    const row = rows[query] as Float64Array;
    return row.indexOf(row.reduce((a, b) => Math.max(a, b), 0));
  };
  // Where the head looks at what followed an earlier copy of the token; otherwise where there is such a copy; otherwise
  // anywhere.
  const kinds = [
    queries.filter((query) => keyOf(query) > 0 && ids[keyOf(query) - 1] === ids[query] && keyOf(query) <= query),
    queries.filter((query) => ids.indexOf(ids[query] as number) < query),
    queries,
  ];
  const ranked = [...(kinds.find((kind) => kind.length > 0) ?? [])].sort(
    (a, b) => (effect[b + 1] as number) - (effect[a + 1] as number),
  );
  const examples = ranked
    .slice(0, EXAMPLES)
    .map((query) => ({ query, key: keyOf(query), attention: rows[query] as Float64Array }));
  return { head: id, tokens: tokensOf(input, ids), effect, examples };
}

/** The head asked for, or the one of the highest induction score. */
export function inductionHead(input: FigureInput, options: FigureOptions, fromLayer = 0): HeadId {
  return oneHead(input.model, options.heads, () =>
    largestHead(measuredHeads(input, options.seed ?? 0, { signal: options.signal }).induction, fromLayer),
  );
}

/** What a head adds to the logit of each token, from the position before it; NaN for the first. */
export function effectOf(
  input: FigureInput,
  head: HeadId,
  ids: readonly number[],
  options: FigureOptions,
): Float64Array {
  const { labels, attribution } = logitAttribution(input.model, ids, { signal: options.signal });
  const effect = new Float64Array(ids.length).fill(NaN);
  effect.set(rawData(attribution.select("component", labels.indexOf(headLabel(head))).select("batch", 0)), 1);
  return effect;
}

/**
 * Draws an induction head at work: the text by the head's effect on each token, then for each example the text by the
 * attention of the outlined token.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawInductionExamples, inductionExamples } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * const figure = drawInductionExamples(inductionExamples({ ...(await openBundledModel()), text }));
 * console.log(figure.kind, figure.label);
 * // smallMultiples L1H2 on a text: what it does to each token, and where it looks
 * ```
 */
export function drawInductionExamples(data: InductionExamples, captions: Captions = {}): Figure {
  requireData(data, "head tokens effect examples", "inductionExamples", "drawInductionExamples", captions);
  const tokens = data.tokens.map(({ text }) => text);
  const name = (at: number): string => `“${visibleToken(tokens[at] ?? "")}” (${at})`;
  const strips = [
    tokenStrip({
      title: "Effect on the logit of each token, from the position before it",
      legendLabel: "logits",
      tokens,
      values: data.effect,
      noValue: [0],
      scale: "diverging",
    }),
    ...data.examples.map(({ query, key, attention }) =>
      tokenStrip({
        title: `Attention from ${name(query)}, most to ${name(key)}; next comes ${name(query + 1)}`,
        legendLabel: "attention",
        tokens,
        values: attention,
        scale: "sequential",
        limit: 1,
        marked: [query],
      }),
    ),
  ];
  return smallMultiples({
    title: `${headLabel(data.head)} on a text: what it does to each token, and where it looks`,
    ...captions,
    figures: strips,
    columns: 1,
  });
}

/** The list's entry. */
export const inductionExamplesEntry: FigureEntry<InductionExamples> = {
  name: "induction-examples",
  number: 14,
  title: "An induction head on a text: what it does to each token, and where it looks",
  source: 'A Mathematical Framework for Transformer Circuits, "Induction heads"',
  needs: NEEDS,
  output: "svg",
  make: inductionExamples,
  draw: drawInductionExamples,
};
