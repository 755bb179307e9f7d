/** What speaks for each head being of each kind, in numbers and in a sentence. */
import { InputError, requireObject, requireOptions } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { rawData } from "../../tensor/internal.ts";
import { HEAD_KINDS } from "./by-query.ts";
import type { HeadKind } from "./by-query.ts";
import type { HeadScores } from "./head-scores.ts";
import { tellingQueries, weigh } from "./weigh.ts";
import type { Weighed } from "./weigh.ts";

/**
 * What speaks for a head being of a kind, or against it.
 *
 * With $x$ the mean attention to the kind's targets and $c$ what even attention gives them, the excess is
 * $(x - c) / (1 - c)$.
 * @category Head scores
 */
export interface HeadEvidence extends HeadId {
  readonly kind: HeadKind;
  /** Whether {@link findHeads} calls the head one of this kind. */
  readonly found: boolean;
  /** The excess over all queries that can tell, by which heads are ranked. */
  readonly overall: number;
  /** The first and the last query position where it holds; of all that can tell where it holds everywhere. */
  readonly positions: readonly [first: number, last: number];
  /** Whether these are all positions that can tell. */
  readonly isEverywhere: boolean;
  /** Mean attention to the targets there. */
  readonly score: number;
  /** What attention even over all keys gives them there; more where the head looks there though nothing repeats. */
  readonly chance: number;
  /** What the score has above chance there, as a share of what even attention leaves: 0 at chance, at most 1. */
  readonly excess: number;
  /**
   * The interval of the score over prompts, which holds with {@link HeadEvidenceOptions.confidence} for all heads and
   * kinds together; `null` for a single observation.
   */
  readonly interval: readonly [low: number, high: number] | null;
  /**
   * A bound on the probability that any head of such a model scores as much over so many positions when the attention
   * of every query is dealt to its keys at random; at most 1.
   */
  readonly luck: number;
  /** All of it in a sentence: `L0H2 attends to the previous token at positions 8–27 (0.87, chance 0.06)`. */
  readonly text: string;
}

/**
 * What evidence a head has to have to be called one of a kind.
 * @category Head scores
 */
export interface HeadEvidenceOptions {
  /** The excess that the interval's lower end has to reach; a quarter unless given, and a half for the first token. */
  readonly excess?: number | undefined;
  /** How sure all findings together have to be; 0.99 unless given. */
  readonly confidence?: number | undefined;
}

/** What a head of each kind does, and the excess it takes. */
const KINDS: Readonly<Record<HeadKind, { does: string; excess: number }>> = {
  current: { does: "attends to the current token", excess: 0.25 },
  previous: { does: "attends to the previous token", excess: 0.25 },
  // A head that prefers one key whatever it sees has it in first place once in a few models.
  first: { does: "attends to the first token", excess: 0.5 },
  duplicate: { does: "attends to the earlier copy of the current token", excess: 0.25 },
  induction: {
    does: "attends to the token after the earlier copy of the current one",
    excess: 0.25,
  },
  prefixMatching: {
    does: "attends to what followed earlier occurrences of the current token",
    excess: 0.25,
  },
};

/** Kinds whose targets lie at the same places whatever the tokens are. */
const OF_POSITION: readonly HeadKind[] = ["current", "previous", "first"];

/**
 * The evidence for every head being of every kind, or of one, the largest excess over all positions first: a ranking
 * without a threshold, and what {@link findHeads} decides by.
 *
 * @param scores - from {@link headScores}.
 * @param kind - one kind; all of them unless given, one after the other.
 * @param options - `excess` and `confidence`, as for {@link findHeads}.
 * @throws {@link InputError} for scores of other origin, an unknown kind or unusable options.
 * @category Head scores
 * @example
 * ```ts
 * import { headEvidence, headScores } from "transformer-circuits/heads";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [best, second] = headEvidence(headScores(model), "induction");
 * console.log(best?.text);
 * // L1H2 attends to the token after the earlier copy of the current one (0.93, chance 0.01)
 * ```
 */
export function headEvidence(
  scores: Pick<HeadScores, "byQuery">,
  kind?: HeadKind,
  options: HeadEvidenceOptions = {},
): HeadEvidence[] {
  const operation = "headEvidence";
  requireOptions(options, operation, "excess confidence");
  requireObject(scores, "scores", operation);
  checkEvidenceOptions(options, operation);
  if (kind !== undefined) requireChoice(kind, HEAD_KINDS, "kind", operation);
  return (kind === undefined ? HEAD_KINDS : [kind]).flatMap((one) => evidenceOf(scores, one, options));
}

/** The evidence for every head being of one kind, the largest excess over all positions first. */
function evidenceOf(
  { byQuery }: Pick<HeadScores, "byQuery">,
  kind: HeadKind,
  { excess: least = KINDS[kind].excess, confidence = 0.99 }: HeadEvidenceOptions,
): HeadEvidence[] {
  const { scores, chance, blind } = byQuery[kind];
  const [prompts = 0, n_layers = 0, n_heads = 0, queries = 0] = scores.shape;
  const tests = n_layers * n_heads * HEAD_KINDS.length;
  const tail = (1 - confidence) / tests;
  const ofLayer = Array.from({ length: n_layers }, (_, layer) => rawData(chance.select("layer", layer)));
  const at = ofLayer.map((layer) => tellingQueries({ prompts, queries, chance: layer }));
  const all: HeadEvidence[] = [];
  for (let i = 0; i < n_layers * n_heads; i++) {
    const [layer, head] = [Math.floor(i / n_heads), i % n_heads];
    const telling = at[layer] as number[];
    if (telling.length === 0) continue;
    const observed = {
      prompts,
      queries,
      scores: rawData(scores.select("layer", layer).select("head", head)),
      chance: ofLayer[layer] as Float64Array,
      blind: blind && rawData(blind.select("layer", layer).select("head", head)),
    };
    const { margin, luck, rest, ...weighed } = weigh(observed, telling, tail);
    const anyLuck = Math.min(1, luck * tests);
    const isLucky = OF_POSITION.includes(kind) && anyLuck > 1 - confidence;
    const found = weighed.excess - margin / rest >= least && !isLucky;
    const [low, high] = [Math.max(0, weighed.score - margin), Math.min(1, weighed.score + margin)];
    const interval = margin === Infinity ? null : ([low, high] as const);
    const text = sentence({ layer, head }, kind, weighed);
    all.push({ kind, layer, head, found, ...weighed, interval, luck: anyLuck, text });
  }
  return all.sort((a, b) => b.overall - a.overall);
}

function sentence(
  id: HeadId,
  kind: HeadKind,
  { positions: [first, last], isEverywhere, ...there }: Omit<Weighed, "margin" | "luck" | "rest">,
): string {
  const where = isEverywhere ? "" : ` at positions ${first}–${last}`;
  const numbers = `${there.score.toFixed(2)}, chance ${there.chance.toFixed(2)}`;
  return `${headLabel(id)} ${KINDS[kind].does}${where} (${numbers})`;
}

/** Refuses an excess or a confidence that is none. */
export function checkEvidenceOptions({ excess, confidence }: HeadEvidenceOptions, operation: string): void {
  const refuse = (argument: string, actual: number, why: string): InputError =>
    new InputError(`${actual} is not ${why}`, { operation, argument, actual });
  if (excess !== undefined && !(Number.isFinite(excess) && excess >= 0 && excess < 1))
    throw refuse("excess", excess, "an excess over chance that a head can be asked for; give one from 0 to below 1.");
  if (confidence !== undefined && !(Number.isFinite(confidence) && confidence > 0 && confidence < 1))
    throw refuse("confidence", confidence, "a confidence; it lies between 0 and 1, as 0.99.");
}
