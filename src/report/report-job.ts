/** Jobs that analyse a model as the report does: its numbers as rows, and its page where it is saved. */
import { CircuitsError, nameOf, requireObject } from "../errors.ts";
import type { JobKind, JobTokenizer, JobValue } from "../jobs/index.ts";
import {
  checkFolder,
  checkText,
  FOUND,
  refusePlan,
  requireFiles,
  requireWhole,
  savedPath,
  SCORES,
  textOf,
} from "../jobs/internal.ts";
import type { Settings } from "../jobs/internal.ts";
import { analyse } from "./analysis.ts";
import type { AnalyseOptions } from "./analysis.ts";
import type { ReportTokenizer } from "./corpus.ts";
import { renderReport } from "./page.ts";
import type { CompositionPair, HeadFacts, ReportData, ReportFoundHeads } from "./types.ts";

type Row = Readonly<Record<string, JobValue>>;

/**
 * Jobs of the kind `report`: the whole of {@link analyse}, of a model with a seed. The settings are `text`, as
 * `{ file }`, `{ content }` or `{ tokens }`; `maxTokens`, `sampleLength`, `bos` and `title` of {@link analyse}; `save`,
 * a folder beside the plan for the page of {@link renderReport} and its data as JSON.
 *
 * A row is `about` the `model` (loss, repeats, certificate), a `head` (scores, kinds, copying, what it is worth), a
 * `pair` that composes, or a `term` of the importance table.
 *
 * @category Jobs
 * @example
 * ```ts
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import { openBundledModel } from "transformer-circuits/bundled";
 * import { reportJob } from "transformer-circuits/report";
 *
 * const content = "interface Array<T> {\n    push(...items: T[]): number;\n    pop(): T | undefined;\n}\n";
 * const tasks = [{ kind: "report", text: { content }, maxTokens: 100 }];
 * const plan = parseJobPlan({ models: ["bundled"], tasks }, { kinds: { report: reportJob } });
 * const { rows } = await runJobs(plan, { on: inProcess(openBundledModel) });
 * const heads = rows.filter(({ about, is_previous_token }) => about === "head" && is_previous_token === true);
 * console.log(heads.map(({ layer, head }) => `L${layer}H${head}`).join(" "));
 * // L0H5 L0H7
 * ```
 */
export const reportJob: JobKind = {
  columns: {
    ...{ about: "text", parameters: "whole", tokens: "whole", loss: "number", loss_error: "number" },
    ...{ uniform: "number", unigram: "number", repeated_first: "number", repeated_second: "number" },
    ...{ path_deviation: "number", path_bound: "number", saved: "text" },
    ...{ layer: "whole", head: "whole", current: "number", previous: "number", first: "number", duplicate: "number" },
    ...{ induction: "number", induction_strict: "number", prefix_matching: "number", is_current_token: "boolean" },
    ...{ is_previous_token: "boolean", is_first_token: "boolean", is_duplicate_token: "boolean" },
    ...{ is_induction: "boolean", is_prefix_matching: "boolean" },
    ...{ copying: "number", copying_z: "number", matching: "number", attribution: "number", ablation: "number" },
    ...{ through: "text", writer_layer: "whole", writer_head: "whole", reader_layer: "whole", reader_head: "whole" },
    ...{ score: "number", z_score: "number", effect: "number", share: "number", chance: "number" },
    ...{ moved_on_text: "number", moved_on_repeats: "number" },
    ...{ terms: "text", relative_to: "text", gain: "number", gain_error: "number" },
  },
  check: checkSettings,
  run: async (task) => {
    const { settings, seed, modelName = "the model", signal, onProgress } = task;
    const { text: given, save, ...options } = settings;
    checkText(given, "text");
    checkFolder(save, "save");
    const files = save === undefined ? undefined : requireFiles(task);
    const { text, source } = await textOf(given, task);
    const { model, tokenizer } = await task.model();
    const data = await analyse(model, readerOf(tokenizer, typeof text === "string"), text, {
      ...{ title: `${modelName}, taken apart`, ...(options as AnalyseOptions), source, seed, signal },
      onProgress: ({ fraction }) => onProgress?.(fraction, 1),
    });
    if (save === undefined) return rowsOf(data, undefined);
    const path = savedPath(save, task);
    await files?.write(`${path}.json`, JSON.stringify(data));
    await files?.write(`${path}.html`, renderReport(data));
    return rowsOf(data, `${path}.html`);
  },
};

function checkSettings(settings: Settings): void {
  requireObject(settings, "report", "parseJobPlan", "text maxTokens sampleLength bos title save");
  const { text, maxTokens, sampleLength, bos, title, save } = settings;
  checkText(text, "text");
  requireWhole(maxTokens, 1, "maxTokens");
  requireWhole(sampleLength, 2, "sampleLength");
  if (bos !== null) requireWhole(bos, 0, "bos");
  if (title !== undefined && typeof title !== "string")
    throw refusePlan("title", `title is ${nameOf(title)}; give a text.`, title);
  checkFolder(save, "save");
}

/** A tokenizer as reports read it. Where token ids are given, one that cannot be used is left out. */
function readerOf(tokenizer: JobTokenizer | undefined, readsText: boolean): ReportTokenizer | undefined {
  if (tokenizer === undefined) return undefined;
  try {
    if (!readsText) tokenizer.tokenString?.(0);
  } catch (error) {
    if (error instanceof CircuitsError) return undefined;
    throw error;
  }
  return {
    bos: tokenizer.bos,
    encode: (text) => tokenizer.encode(text),
    tokenString: (id) => tokenizer.tokenString?.(id) ?? `#${id}`,
  };
}

function rowsOf(data: ReportData, saved: string | undefined): Row[] {
  const heads = new Map(data.heads.map((head) => [head.label, head]));
  return [
    modelRow(data, saved),
    ...data.heads.map((head) => headRow(head, data.found)),
    ...data.pairs.map((pair) => pairRow(pair, heads)),
    ...data.importance.rows.map(({ terms, relativeTo, gain, error }) => ({
      ...{ about: "term", terms, relative_to: relativeTo, gain, gain_error: error },
    })),
  ];
}

function modelRow({ parameterCount, text, loss, repeated, expansion }: ReportData, saved: string | undefined): Row {
  return {
    ...{ about: "model", parameters: parameterCount, tokens: text.tokens },
    ...{ loss: loss.mean, loss_error: loss.standardError, uniform: loss.uniform, unigram: loss.unigram },
    ...{ repeated_first: repeated?.first ?? null, repeated_second: repeated?.second ?? null },
    ...{ path_deviation: expansion.maxDeviation, path_bound: expansion.bound, saved: saved ?? null },
  };
}

function headRow(facts: HeadFacts, found: ReportFoundHeads): Row {
  const { label, layer, head, scores, copying, copyingZ, matching, attribution, ablation } = facts;
  const by = <T extends string, V>(columns: Readonly<Record<string, T>>, value: (name: T) => V): Record<string, V> =>
    Object.fromEntries(Object.entries(columns).map(([column, name]) => [column, value(name)]));
  return {
    ...{ about: "head", layer, head },
    ...(scores && { ...by(SCORES, (name) => scores[name]), ...by(FOUND, (kind) => found[kind].includes(label)) }),
    ...{ copying, copying_z: copyingZ, matching, attribution, ablation },
  };
}

function pairRow(pair: CompositionPair, heads: ReadonlyMap<string, HeadFacts>): Row {
  const [writer, reader] = [heads.get(pair.writer), heads.get(pair.reader)];
  const { kind, score, z, effect, evidence, moved } = pair;
  return {
    ...{ about: "pair", through: kind, score, z_score: z, effect },
    ...{ writer_layer: writer?.layer ?? null, writer_head: writer?.head ?? null },
    ...{ reader_layer: reader?.layer ?? null, reader_head: reader?.head ?? null },
    ...{ share: evidence?.share ?? null, chance: evidence?.chance ?? null },
    ...{ moved_on_text: moved?.text ?? null, moved_on_repeats: moved?.repeats ?? null },
  };
}
