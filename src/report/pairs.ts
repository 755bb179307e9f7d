/** The strongest pairs of composing heads, and what their composition does to where the reader looks. */
import type { CompositionDiagram } from "../figures/index.ts";
import { allHeads, headLabel } from "../model/index.ts";
import type { HeadId, Transformer } from "../model/index.ts";
import { scoreExpansion } from "../paths/index.ts";
import type { ScoreExpansion } from "../paths/index.ts";
import { causalSoftmax, subtract, Tensor } from "../tensor/index.ts";
import { meanOf } from "../tensor/internal.ts";
import type { CompositionPair, HeadFacts } from "./types.ts";

const LISTED = 12;

/** Prompts on which it is measured where readers look. */
export interface PairPrompts {
  readonly text: readonly number[];
  /** Random tokens, given twice. */
  readonly repeats: readonly number[] | undefined;
}

interface Pair extends Omit<CompositionPair, "moved" | "follows"> {
  readonly from: HeadId;
  readonly to: HeadId;
}

/**
 * The pairs of the largest scores, and of the first `measured` of them and the first that joins a previous-token and an
 * induction head how much of the reader's attention moves without it.
 */
export function strongestPairs(
  model: Transformer,
  composition: CompositionDiagram,
  facts: readonly HeadFacts[],
  prompts: PairPrompts,
  measured: number,
): CompositionPair[] {
  const roles = new Map(facts.map(({ label, roles: names }) => [label, names]));
  const isStory = ({ kind, writer, reader }: Pair): boolean =>
    kind === "K" &&
    roles.get(writer)?.includes("previous token") === true &&
    roles.get(reader)?.includes("induction") === true;
  const pairs = pairsOf(composition);
  const story = pairs.find(isStory);
  const listed = pairs.slice(0, LISTED);
  const shown = story === undefined || listed.includes(story) ? listed : [...listed.slice(0, -1), story];
  const expansionsOf = expansions(model, prompts);
  return shown.map((pair, i) => {
    const said = plain(pair);
    if (pair.kind === "V" || (i >= measured && pair !== story)) return { ...said, moved: null, follows: null };
    const { text, repeats } = expansionsOf(pair.to);
    const part = partOf(text, pair);
    return {
      ...said,
      moved: {
        text: movedBy(text.total(), part),
        repeats: repeats === undefined ? null : movedBy(repeats.total(), partOf(repeats, pair)),
      },
      follows: i > 0 || pair.kind !== "K" ? null : followsFirst(model, prompts.text, pair.from, part),
    };
  });
}

/** The scores of a reader on both prompts by what wrote its queries and its keys. */
interface Expansions {
  readonly text: ScoreExpansion;
  readonly repeats: ScoreExpansion | undefined;
}

function expansions(model: Transformer, { text, repeats }: PairPrompts): (reader: HeadId) => Expansions {
  const known = new Map<string, Expansions>();
  return (reader) => {
    const made = known.get(headLabel(reader)) ?? {
      text: scoreExpansion(model, text, reader),
      repeats: repeats && scoreExpansion(model, repeats, reader),
    };
    known.set(headLabel(reader), made);
    return made;
  };
}

function plain({ kind, writer, reader, score, z }: Pair): Omit<CompositionPair, "moved" | "follows"> {
  return { kind, writer, reader, score, z };
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
function followsFirst(model: Transformer, ids: readonly number[], from: HeadId, part: Scores): number | null {
  const name = `blocks.${from.layer}.attn.hook_pattern` as const;
  const pattern = model.run([ids], { cache: [name], unembed: "none" }).cache.get(name);
  const rests = ids.map((_, key) => pattern.at(0, from.head, key, 0));
  const sizes: number[] = [];
  for (let query = FIRST_QUERY; query < ids.length; query++) {
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
