/** The pairs of heads that compose: what cutting them does, what comes through them, and where readers look without. */
import { restrictedComposition } from "../circuits/index.ts";
import type { RestrictedComposition } from "../circuits/index.ts";
import type { CompositionDiagram } from "../figures/index.ts";
import { pathPatching } from "../interventions/index.ts";
import { allHeads, crossEntropy, headLabel } from "../model/index.ts";
import type { HeadId, MetricLike, PartialRun, Transformer } from "../model/index.ts";
import { compositionOnText, scoreExpansion } from "../paths/index.ts";
import type { ScoreExpansion, TextComposition } from "../paths/index.ts";
import { causalSoftmax, subtract, Tensor } from "../tensor/index.ts";
import { meanOf } from "../tensor/internal.ts";
import { secondCopyFrom } from "./heads.ts";
import type { Prompts } from "./heads.ts";
import type { CompositionPair, HeadFacts, PairEvidence } from "./types.ts";

const LISTED = 12;
/** Of the pairs listed by what comes through them, those of values, whose sizes are in logits. */
const LISTED_VALUES = 3;

/** Prompts on which it is measured what readers take from writers, and where they look. */
export interface PairPrompts {
  readonly text: readonly number[];
  /** Random tokens, given twice. */
  readonly repeats: Prompts | undefined;
}

/** What may be measured. */
export interface PairLimits {
  /** Of how many pairs it is measured where the reader looks without. */
  readonly moved: number;
  /** Of how many what cutting them does. */
  readonly cut: number;
  /** Whether all pairs are weighed by what comes through them. */
  readonly restricted: boolean;
}

interface Pair extends Omit<CompositionPair, "moved" | "follows" | "effect" | "evidence"> {
  readonly from: HeadId;
  readonly to: HeadId;
}

interface WeighedPair extends Pair {
  readonly effect: number | null;
  readonly evidence: PairEvidence | null;
}

/**
 * The pairs through which most comes on repeated tokens, or in large models those of the largest scores; the pair of
 * the largest score; and the first that joins a previous-token and an induction head. The largest effect stands first.
 * Of the first `moved` and of the last two it is measured how much of the reader's attention moves without.
 */
export function strongestPairs(
  model: Transformer,
  composition: CompositionDiagram,
  facts: readonly HeadFacts[],
  prompts: PairPrompts,
  limits: PairLimits,
): CompositionPair[] {
  const roles = new Map(facts.map(({ label, roles: names }) => [label, names]));
  const isStory = ({ kind, writer, reader }: Pair): boolean =>
    kind === "K" &&
    roles.get(writer)?.includes("previous token") === true &&
    roles.get(reader)?.includes("induction") === true;
  const pairs = pairsOf(composition);
  const evidence = limits.restricted ? evidenceOn(model, prompts) : undefined;
  const [first, story] = [pairs[0], pairs.find(isStory)];
  const named = [first, story].filter((pair) => pair !== undefined);
  const listed = listedPairs(pairs, evidence);
  const missing = named.filter((pair) => !listed.includes(pair));
  const effectOf = effects(model, prompts.repeats);
  const shown = [...listed.slice(0, LISTED - missing.length), ...missing]
    .map((pair, i): WeighedPair => {
      const isCut = i < limits.cut || missing.includes(pair);
      return { ...pair, effect: isCut ? effectOf(pair) : null, evidence: evidence?.(pair) ?? null };
    })
    .sort((a, b) => (b.effect ?? 0) - (a.effect ?? 0));
  const runs = runsOf(model, prompts);
  const expansionsOf = expansions(runs);
  return shown.map((pair, i) => {
    const said = plain(pair);
    const isFirst = pair.writer === first?.writer && pair.reader === first.reader && pair.kind === first.kind;
    if (pair.kind === "V" || (i >= limits.moved && !isFirst && !isStory(pair)))
      return { ...said, moved: null, follows: null };
    const { text, repeats } = expansionsOf(pair.to);
    const part = partOf(text, pair);
    return {
      ...said,
      moved: {
        text: movedBy(text.total(), part),
        repeats: repeats === undefined ? null : movedBy(repeats.total(), partOf(repeats, pair)),
      },
      follows: !isFirst || pair.kind !== "K" ? null : followsFirst(runs().text, pair.from, part),
    };
  });
}

/** What is listed: the pairs of the largest scores, or those through which most comes. */
function listedPairs(pairs: readonly Pair[], evidence: ((pair: Pair) => PairEvidence) | undefined): Pair[] {
  if (evidence === undefined) return pairs.slice(0, LISTED);
  const sized = pairs.map((pair) => ({ pair, size: evidence(pair).size })).sort((a, b) => b.size - a.size);
  const of = (isValues: boolean, count: number): Pair[] =>
    sized
      .filter(({ pair }) => (pair.kind === "V") === isValues)
      .slice(0, count)
      .map(({ pair }) => pair);
  return [...of(false, LISTED - LISTED_VALUES), ...of(true, LISTED_VALUES)];
}

/** What comes through a pair, on repeated tokens or else on the text, and what the weights say of it. */
function evidenceOn(model: Transformer, { text, repeats }: PairPrompts): (pair: Pair) => PairEvidence {
  const onText: TextComposition = compositionOnText(model, repeats === undefined ? [text] : repeats.prompts);
  const weights: RestrictedComposition = restrictedComposition(model);
  return ({ kind, from, to }) => {
    const at = [from.layer, from.head, to.layer, to.head] as const;
    return {
      size: onText[kind].size.at(...at),
      share: onText[kind].share.at(...at),
      chance: onText[kind].chance.at(...at),
      matching: weights[kind].matching.at(...at),
      matchingZ: weights[kind].matchingZScores.at(...at),
    };
  };
}

/**
 * By how much the loss of the second copy rises when one input of the reader lacks what the writer writes; `null` where
 * there is no second copy, and where heads share keys and values.
 */
function effects(model: Transformer, repeats: Prompts | undefined): (pair: Pair) => number | null {
  if (repeats === undefined || model.config.n_key_value_heads !== undefined) return () => null;
  const { prompts } = repeats;
  const from = secondCopyFrom(repeats);
  const metric: MetricLike = crossEntropy(prompts, {
    mask: prompts.map((prompt) => prompt.slice(1).map((_, p) => (p >= from ? 1 : 0))),
  });
  return ({ kind, from: sender, to }) => {
    const receivers = [{ head: to, input: INPUTS[kind] }];
    const { values, base } = pathPatching(model, prompts, {
      metric,
      put: "zero",
      receivers,
      senders: [sender],
      mlps: "frozen",
    });
    return (values.data[0] as number) - base;
  };
}

const INPUTS = { Q: "q", K: "k", V: "v" } as const;

/** The scores of a reader on both prompts by what wrote its queries and its keys. */
interface Expansions {
  readonly text: ScoreExpansion;
  readonly repeats: ScoreExpansion | undefined;
}

/** The runs on both prompts, made when they are first asked for. */
interface Runs {
  readonly text: PartialRun;
  readonly repeats: PartialRun | undefined;
}

function runsOf(model: Transformer, { text, repeats }: PairPrompts): () => Runs {
  const first = repeats?.prompts[0];
  const run = (prompt: readonly number[]): PartialRun => model.run([prompt], { unembed: "none" });
  let made: Runs | undefined;
  return () => (made ??= { text: run(text), repeats: first && run(first) });
}

function expansions(runs: () => Runs): (reader: HeadId) => Expansions {
  const known = new Map<string, Expansions>();
  return (reader) => {
    const label = headLabel(reader);
    const made = known.get(label);
    if (made !== undefined) return made;
    const { text, repeats } = runs();
    const found = { text: scoreExpansion(text, reader), repeats: repeats && scoreExpansion(repeats, reader) };
    known.set(label, found);
    return found;
  };
}

function plain({
  kind,
  writer,
  reader,
  score,
  z,
  effect,
  evidence,
}: WeighedPair): Omit<CompositionPair, "moved" | "follows"> {
  return { kind, writer, reader, score, z, effect, evidence };
}

function pairsOf({ n_layers, n_heads, corrected }: CompositionDiagram): Pair[] {
  const { mean, std = 0 } = corrected.baseline;
  const heads = allHeads({ n_layers, n_heads });
  const pairs: Pair[] = [];
  for (const kind of ["Q", "K", "V"] as const) {
    for (const from of heads) {
      for (const to of heads.slice((from.layer + 1) * n_heads)) {
        const score = corrected[kind].at(from.layer, from.head, to.layer, to.head);
        // 0 marks heads whose weights are zero
        if (!(score > 0)) continue;
        const [writer, reader] = [headLabel(from), headLabel(to)];
        pairs.push({ kind, from, to, writer, reader, score, z: std > 0 ? (score - mean) / std : 0 });
      }
    }
  }
  return pairs.sort((a, b) => b.score - a.score);
}

type Scores = Tensor<"batch query_pos key_pos">;

/** What the writer adds to the reader's scores through queries or keys. */
function partOf(expansion: ScoreExpansion, { kind, writer }: Pair): Scores {
  const parts = expansion.labels.map((other) =>
    expansion.scores(kind === "K" ? { query: other, key: writer } : { query: writer, key: other }),
  );
  const sum = new Float64Array(parts[0]?.size ?? 0);
  for (const { data } of parts) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (data[i] as number);
  return Tensor.from("batch query_pos key_pos", parts[0]?.shape ?? [0, 0, 0], sum);
}

/** The mean share of attention that goes elsewhere without a part of the scores, the first query left out. */
function movedBy(total: Scores, part: Scores): number {
  const [before, after] = [causalSoftmax(total).data, causalSoftmax(subtract(total, part)).data];
  const n = total.sizeOf("key_pos");
  let moved = 0;
  for (let i = n; i < n * n; i++) moved += Math.abs((before[i] as number) - (after[i] as number)) / 2;
  return moved / Math.max(1, n - 1);
}

/** Queries too early see too few keys to tell. */
const FIRST_QUERY = 8;

/**
 * How closely what the writer adds to the scores of keys follows how much it rests on the first token there: the mean
 * size of the correlation over queries; `null` where there is too little to tell.
 */
function followsFirst({ tokens, cache }: PartialRun, from: HeadId, part: Scores): number | null {
  const pattern = cache.get(`blocks.${from.layer}.attn.hook_pattern`);
  const length = tokens.sizeOf("pos");
  const rests = Array.from({ length }, (_, key) => pattern.at(0, from.head, key, 0));
  const sizes: number[] = [];
  for (let query = FIRST_QUERY; query < length; query++) {
    const added = Array.from({ length: query + 1 }, (_, key) => part.at(0, query, key));
    const size = Math.abs(correlation(added, rests.slice(0, query + 1)));
    if (Number.isFinite(size)) sizes.push(size);
  }
  return sizes.length === 0 ? null : meanOf(sizes);
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const [ma, mb] = [meanOf(a), meanOf(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    const [da, db] = [x - ma, (b[i] as number) - mb];
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return ab / Math.sqrt(aa * bb);
}
