/** Which heads of a model are of which kind, where, and what speaks for it. */
import { InputError, requireObject, requireOptions } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rawData, requireAxes } from "../../tensor/internal.ts";
import { requireChoice } from "../../model/internal.ts";
import { HEAD_KINDS } from "./by-query.ts";
import type { HeadKind } from "./by-query.ts";
import { tellingQueries, weigh } from "./evidence.ts";
import type { Weighed } from "./evidence.ts";
import type { HeadScores } from "./head-scores.ts";

/**
 * What speaks for a head being of a kind, or against it.
 *
 * With $x$ the mean attention to the kind's targets and $c$ chance, the excess is $(x - c) / (1 - c)$, the share of what
 * chance leaves.
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
  /** The excess there: 0 at chance, 1 where all attention goes to the targets. */
  readonly excess: number;
  /**
   * The interval of the score over prompts, in which it lies with {@link HeadEvidenceOptions.confidence} for all heads and
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

/**
 * What {@link findHeads} asks of a head.
 * @category Head scores
 */
export interface FindHeadsOptions extends HeadEvidenceOptions {
  /** A threshold on mean scores instead of all else, as in ARENA 1.2 (0.4); a head at it is not found. */
  readonly threshold?: number | undefined;
}

/**
 * The heads that {@link findHeads} found of each kind, those of the largest excess over all positions first, and the
 * evidence for each.
 * @category Head scores
 */
export interface FoundHeads {
  readonly currentToken: HeadId[];
  readonly previousToken: HeadId[];
  readonly firstToken: HeadId[];
  readonly duplicateToken: HeadId[];
  readonly induction: HeadId[];
  readonly prefixMatching: HeadId[];
  /** What speaks for each head found, kind by kind; none where heads were found by a threshold. */
  readonly evidence: HeadEvidence[];
  /** What was found where, a sentence a line. */
  toText(): string;
}

/** What a plain threshold is put on. */
type PlainScores = Pick<HeadScores, "current" | "previous" | "first" | "duplicate" | "induction">;

type Findings = Omit<FoundHeads, "evidence" | "toText">;

/** What a head of each kind does, and the excess it takes. */
const KINDS: Readonly<Record<HeadKind, { found: keyof Findings; does: string; excess: number }>> = {
  current: { found: "currentToken", does: "attends to the current token", excess: 0.25 },
  previous: { found: "previousToken", does: "attends to the previous token", excess: 0.25 },
  // A head that prefers one key whatever it sees has it in first place once in a few models.
  first: { found: "firstToken", does: "attends to the first token", excess: 0.5 },
  duplicate: { found: "duplicateToken", does: "attends to the earlier copy of the current token", excess: 0.25 },
  induction: {
    found: "induction",
    does: "attends to the token after the earlier copy of the current one",
    excess: 0.25,
  },
  prefixMatching: {
    found: "prefixMatching",
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
  checkOptions(options, operation);
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

/**
 * The heads of each kind, by evidence: a head is found where the interval of its attention to the kind's targets lies
 * far enough above what even attention gives them, over a range of positions that luck with positions does not explain.
 * A head may be of several kinds.
 *
 * The attention of each query is compared with {@link HeadEvidence.chance}, so that a head which looks back at positions
 * 8 to 27 alone is found, and said to do so there. The interval is Student's over prompts, widened for the number of
 * heads and kinds; with fewer than eight prompts each is cut into parts.
 *
 * @param scores - from {@link headScores}; of scores that were put together otherwise, those above a threshold of 0.4.
 * @param threshold - a plain threshold on mean scores instead (ARENA 1.2 takes 0.4), or options: `excess` and `confidence`
 * say how much and how sure, `threshold` is the plain one.
 * @throws {@link InputError} when a number is not usable.
 * @category Head scores
 * @example
 * ```ts
 * import { findHeads, headLabel, headScores } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const found = findHeads(headScores(model));
 * console.log(found.previousToken.map(headLabel), found.induction.map(headLabel));
 * // [ 'L0H5', 'L0H7' ] [ 'L1H2', 'L1H7', 'L1H1', 'L1H4', 'L1H3' ]
 * const resting = found.evidence.find(({ kind, layer, head }) => kind === "first" && layer === 1 && head === 2);
 * console.log(resting?.text);
 * // L1H2 attends to the first token at positions 1–50 (0.94, chance 0.07)
 * console.log(findHeads(headScores(model), 0.9).induction.map(headLabel));
 * // [ 'L1H2' ]
 * ```
 */
export function findHeads(
  scores: PlainScores & Partial<Pick<HeadScores, "byQuery">>,
  threshold: number | FindHeadsOptions = {},
): FoundHeads {
  const operation = "findHeads";
  const asked = typeof threshold === "object" ? threshold : { threshold };
  requireOptions(asked, operation, "threshold excess confidence");
  requireObject(scores, "scores", operation);
  checkOptions(asked, operation);
  const { byQuery } = scores;
  if (asked.threshold !== undefined || byQuery === undefined) return aboveThreshold(scores, asked.threshold ?? 0.4);
  const evidence = headEvidence({ byQuery }, undefined, asked).filter(({ found }) => found);
  const of = (kind: HeadKind): HeadId[] =>
    evidence.filter((one) => one.kind === kind).map(({ layer, head }) => ({ layer, head }));
  return shown({ ...findingsOf(of), evidence }, "by their attention above chance");
}

function findingsOf(of: (kind: HeadKind) => HeadId[]): Findings {
  return {
    currentToken: of("current"),
    previousToken: of("previous"),
    firstToken: of("first"),
    duplicateToken: of("duplicate"),
    induction: of("induction"),
    prefixMatching: of("prefixMatching"),
  };
}

/** The heads whose mean scores lie above a threshold; NaN is above nothing. */
function aboveThreshold(
  scores: PlainScores & Partial<Pick<HeadScores, "prefixMatching">>,
  threshold: number,
): FoundHeads {
  const above = (kind: HeadKind): HeadId[] => {
    const score = scores[kind];
    if (kind === "prefixMatching" && score === undefined) return [];
    requireAxes(score as Tensor, "layer head", `scores.${kind}`, "findHeads");
    const { data } = score as Tensor<"layer head">;
    const n_heads = (score as Tensor<"layer head">).sizeOf("head");
    return [...data]
      .map((value, i) => ({ value, id: { layer: Math.floor(i / n_heads), head: i % n_heads } }))
      .filter(({ value }) => value > threshold)
      .sort((a, b) => b.value - a.value)
      .map(({ id }) => id);
  };
  return shown({ ...findingsOf(above), evidence: [] }, `with scores above ${threshold}`);
}

function shown(found: Omit<FoundHeads, "toText">, how: string): FoundHeads {
  const { evidence, ...kinds } = found;
  const placed = (kind: string, id: HeadId): string => {
    const proof = evidence.find((one) => KINDS[one.kind].found === kind && headLabel(one) === headLabel(id));
    return `${headLabel(id)}${proof === undefined || proof.isEverywhere ? "" : ` (${proof.positions.join("–")})`}`;
  };
  const facts = Object.entries(kinds).map(
    ([kind, ids]) => [kind, ids.map((id) => placed(kind, id)).join(" ") || "none"] as const,
  );
  const title = `FoundHeads ${how}`;
  const lines = evidence.length > 0 ? evidence.map(({ text }) => text) : facts.map(([kind, ids]) => `${kind}: ${ids}`);
  Object.defineProperty(found, "toText", { value: () => lines.join("\n"), enumerable: false });
  return shownAs(found as FoundHeads, (): Showing => ({ title, parts: () => [{ kind: "facts", facts }] }));
}

function checkOptions({ threshold, excess, confidence }: FindHeadsOptions, operation: string): void {
  const refuse = (argument: string, actual: number, why: string): InputError =>
    new InputError(`${actual} is not ${why}`, { operation, argument, actual });
  if (threshold !== undefined && !Number.isFinite(threshold))
    throw refuse("threshold", threshold, "a threshold; scores lie between 0 and 1.");
  if (excess !== undefined && !(Number.isFinite(excess) && excess >= 0 && excess < 1))
    throw refuse("excess", excess, "an excess over chance that a head can be asked for; give one from 0 to below 1.");
  if (confidence !== undefined && !(Number.isFinite(confidence) && confidence > 0 && confidence < 1))
    throw refuse("confidence", confidence, "a confidence; it lies between 0 and 1, as 0.99.");
}
