/** How well a prompt is answered, by the answer's logit or probability: $x_a - x_w$, $\ln p_a$, $p_a$. */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { RowMetric } from "../metric.ts";
import type { LogitRows, Metric } from "../metric.ts";
import { addTo, logSumExp, readsAt, scaleRow, writeSoftmax } from "./rows.ts";
import type { Pos } from "./rows.ts";

/**
 * Tokens that answer a prompt: one, or several of equal standing; for several prompts a list with an entry for each.
 * One token alone is that of every prompt.
 * @category Model
 */
export type Answers = number | readonly (number | readonly number[])[];

/** Answers as a list for each prompt; a single list serves all prompts. */
function answerLists(answers: Answers, argument: string, operation: string): readonly (readonly number[])[] {
  const lists = typeof answers === "number" ? [[answers]] : answers;
  requireKind("list", lists, argument, operation);
  const found = Array.from(lists, (entry) => (typeof entry === "number" ? [entry] : [...entry]));
  for (const [prompt, list] of found.entries()) {
    const bad = list.find((id) => !Number.isSafeInteger(id) || id < 0);
    if (list.length > 0 && bad === undefined) continue;
    throw new InputError(
      bad === undefined
        ? `${argument} of prompt ${prompt} is empty. Name at least one token.`
        : `${String(bad)} in ${argument} of prompt ${prompt} is not a token id.`,
      { operation, argument, expected: "token ids", actual: bad ?? list },
    );
  }
  if (found.length > 0) return found;
  throw new InputError(`${argument} is an empty list. Name a token, or one for each prompt.`, {
    operation,
    argument,
    expected: "token ids",
    actual: answers,
  });
}

/** How many prompts lists are of, where one list is not of all; lists of different lengths are refused. */
function promptCount(operation: string, ...lists: readonly (readonly unknown[] | undefined)[]): { prompts?: number } {
  const counts = new Set(lists.flatMap((list) => (list === undefined || list.length === 1 ? [] : [list.length])));
  const [prompts] = counts;
  if (counts.size < 2) return prompts === undefined ? {} : { prompts };
  throw new InputError(`its lists are of ${[...counts].join(" and ")} prompts. Give one entry for each prompt.`, {
    operation,
    argument: "answer",
    expected: "lists of one length",
    actual: [...counts],
  });
}

const entryOf = <T>(list: readonly T[], prompt: number): T => (list.length === 1 ? list[0] : list[prompt]) as T;
const posList = (pos: Pos | undefined): readonly number[] | undefined => (typeof pos === "object" ? pos : undefined);

/**
 * The logit of the answer less that of a wrong one, at one position of each prompt; of several answers the mean.
 *
 * @param options - `answer` and `wrong`, a token for all prompts or an entry for each, itself a token or a list of
 * them; `pos`, the position, the last unless given.
 * @throws {@link InputError} when an answer is empty or no token id, or lists are of different numbers of prompts.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { logitDifference } from "transformer-circuits/model";
 *
 * const logits = Tensor.fromNested("batch pos d_vocab", [[[0, 0, 0, 0], [5, 1, 3, 2]]]);
 * console.log(logitDifference({ answer: 0, wrong: 3 }).values(logits));
 * // Float64Array(1) [ 3 ]
 * console.log(logitDifference({ answer: [[0, 2]], wrong: [[1, 3]] }).values(logits));
 * // Float64Array(1) [ 2.5 ]
 * ```
 */
export function logitDifference(options: {
  readonly answer: Answers;
  readonly wrong: Answers;
  readonly pos?: number | readonly number[];
}): Metric {
  const operation = "logitDifference";
  requireObject(options, "options", operation, "answer wrong pos");
  const answer = answerLists(options.answer, "answer", operation);
  const wrong = answerLists(options.wrong, "wrong", operation);
  return new RowMetric("logit difference", readsAt(options.pos, [...answer, ...wrong]), {
    ...promptCount(operation, answer, wrong, posList(options.pos)),
    value(rows, prompt) {
      return meanLogit(rows, entryOf(answer, prompt)) - meanLogit(rows, entryOf(wrong, prompt));
    },
    writeGradient(rows, prompt, out, factor) {
      const start = rows.starts[0] as number;
      out.fill(0, start, start + rows.width);
      for (const [list, sign] of [
        [entryOf(answer, prompt), factor] as const,
        [entryOf(wrong, prompt), -factor] as const,
      ])
        for (const id of list) addTo(out, start + rows.column(id), sign / list.length);
    },
  });
}

function meanLogit({ data, starts, column }: LogitRows, ids: readonly number[]): number {
  let sum = 0;
  for (const id of ids) sum += data[(starts[0] as number) + column(id)] as number;
  return sum / ids.length;
}

/**
 * $\ln p$ of the answer at one position of each prompt, in nats; of several answers that of any of them.
 *
 * @param options - `answer`, a token for all prompts or an entry for each, itself a token or a list of them; `pos`, the
 * position, the last unless given.
 * @throws {@link InputError} as {@link logitDifference}.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { logProbability } from "transformer-circuits/model";
 *
 * const logits = Tensor.zeros("batch pos d_vocab", [1, 3, 8]);
 * console.log(logProbability({ answer: 5 }).values(logits)[0]?.toFixed(4), Math.log(1 / 8).toFixed(4));
 * // -2.0794 -2.0794
 * ```
 */
export function logProbability(options: {
  readonly answer: Answers;
  readonly pos?: number | readonly number[];
}): Metric {
  const operation = "logProbability";
  requireObject(options, "options", operation, "answer pos");
  const answer = answerLists(options.answer, "answer", operation);
  return new RowMetric("log probability", readsAt(options.pos, "all"), {
    ...promptCount(operation, answer, posList(options.pos)),
    value: (rows, prompt) => logShare(rows, entryOf(answer, prompt)),
    writeGradient(rows, prompt, out, factor) {
      const start = rows.starts[0] as number;
      const ids = entryOf(answer, prompt);
      // Each answer's share of their sum: e^x by the largest of them, which is exact where all their p vanish.
      const logits = ids.map((id) => rows.data[start + rows.column(id)] as number);
      const top = Math.max(...logits);
      const shares = logits.map((x) => Math.exp(x - top));
      const total = shares.reduce((a, b) => a + b, 0);
      writeSoftmax(rows, out);
      scaleRow(out, start, rows.width, -factor);
      for (const [i, id] of ids.entries())
        addTo(out, start + rows.column(id), (factor * (shares[i] as number)) / total);
    },
  });
}

/** $\ln \sum_{a} p_a$. */
function logShare(rows: LogitRows, ids: readonly number[]): number {
  const start = rows.starts[0] as number;
  const all = logSumExp(rows, start);
  const logs = ids.map((id) => (rows.data[start + rows.column(id)] as number) - all);
  if (logs.length === 1) return logs[0] as number;
  const top = Math.max(...logs);
  return top === -Infinity ? top : top + Math.log(logs.reduce((sum, x) => sum + Math.exp(x - top), 0));
}

/**
 * The probability of the answer at one position of each prompt; of several answers the sum. With `wrong`, less that of
 * the wrong ones.
 *
 * @param options - `answer` and `wrong`, a token for all prompts or an entry for each, itself a token or a list of
 * them; `pos`, the position, the last unless given.
 * @throws {@link InputError} as {@link logitDifference}.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { probability } from "transformer-circuits/model";
 *
 * const logits = Tensor.zeros("batch pos d_vocab", [1, 3, 8]);
 * console.log(probability({ answer: [[1, 2, 3]], wrong: 0 }).values(logits)[0]?.toFixed(4));
 * // 0.2500
 * ```
 */
export function probability(options: {
  readonly answer: Answers;
  readonly wrong?: Answers;
  readonly pos?: number | readonly number[];
}): Metric {
  const operation = "probability";
  requireObject(options, "options", operation, "answer wrong pos");
  const answer = answerLists(options.answer, "answer", operation);
  const wrong = options.wrong === undefined ? undefined : answerLists(options.wrong, "wrong", operation);
  return new RowMetric(wrong === undefined ? "probability" : "probability difference", readsAt(options.pos, "all"), {
    ...promptCount(operation, answer, wrong, posList(options.pos)),
    value(rows, prompt) {
      const less = wrong === undefined ? 0 : Math.exp(logShare(rows, entryOf(wrong, prompt)));
      return Math.exp(logShare(rows, entryOf(answer, prompt))) - less;
    },
    writeGradient(rows, prompt, out, factor) {
      const start = rows.starts[0] as number;
      writeSoftmax(rows, out);
      const sides = [
        [entryOf(answer, prompt), 1] as const,
        [wrong === undefined ? [] : entryOf(wrong, prompt), -1] as const,
      ];
      const signed = sides.flatMap(([ids, sign]) => ids.map((id) => [start + rows.column(id), sign] as const));
      const own = signed.map(([at, sign]) => [at, sign * (out[at] as number)] as const);
      scaleRow(out, start, rows.width, -factor * own.reduce((sum, [, p]) => sum + p, 0));
      for (const [at, p] of own) addTo(out, at, factor * p);
    },
  });
}
