/** Which heads of a model are of which kind, and where. */
import { InputError, requireObject, requireOptions } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { requireAxes } from "../../tensor/internal.ts";
import type { HeadKind } from "./by-query.ts";
import { checkEvidenceOptions, headEvidence } from "./head-evidence.ts";
import type { HeadEvidence, HeadEvidenceOptions } from "./head-evidence.ts";
import type { HeadScores } from "./head-scores.ts";

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

/** What a plain threshold is put on. @inline */
type PlainScores = Pick<HeadScores, "current" | "previous" | "first" | "duplicate" | "induction">;

type Findings = Omit<FoundHeads, "evidence" | "toText">;

const KIND_OF: Readonly<Record<keyof Findings, HeadKind>> = {
  currentToken: "current",
  previousToken: "previous",
  firstToken: "first",
  duplicateToken: "duplicate",
  induction: "induction",
  prefixMatching: "prefixMatching",
};

/**
 * The heads of each kind, by evidence: a head is found where the interval of its attention to the kind's targets lies
 * far enough above what even attention gives them, over a range of positions that luck with positions does not explain.
 * A head may be of several kinds.
 *
 * The attention of each query is compared with {@link HeadEvidence.chance}, so that a head which looks back at
 * positions 8 to 27 alone is found, and said to do so there. The interval is Student's over prompts, widened for the
 * number of heads and kinds; with fewer than eight prompts each is cut into parts.
 *
 * @param scores - from {@link headScores}; of scores that were put together otherwise, those above a threshold of 0.4.
 * @param threshold - a plain threshold on mean scores instead (ARENA 1.2 takes 0.4), or options: `excess` and
 * `confidence` say how much and how sure, `threshold` is the plain one.
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
  checkEvidenceOptions(asked, operation);
  checkThreshold(asked.threshold);
  const { byQuery } = scores;
  if (asked.threshold !== undefined || byQuery === undefined) return aboveThreshold(scores, asked.threshold ?? 0.4);
  const evidence = headEvidence({ byQuery }, undefined, asked).filter(({ found }) => found);
  const of = (kind: HeadKind): HeadId[] =>
    evidence.filter((one) => one.kind === kind).map(({ layer, head }) => ({ layer, head }));
  return shown({ ...findingsOf(of), evidence }, "by their attention above chance");
}

function findingsOf(of: (kind: HeadKind) => HeadId[]): Findings {
  return Object.fromEntries(Object.entries(KIND_OF).map(([name, kind]) => [name, of(kind)])) as Record<
    keyof Findings,
    HeadId[]
  >;
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
    const proof = evidence.find(
      (one) => one.kind === KIND_OF[kind as keyof Findings] && headLabel(one) === headLabel(id),
    );
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

function checkThreshold(threshold: number | undefined): void {
  if (threshold === undefined || Number.isFinite(threshold)) return;
  throw new InputError(`${threshold} is not a threshold; scores lie between 0 and 1.`, {
    operation: "findHeads",
    argument: "threshold",
    actual: threshold,
  });
}
