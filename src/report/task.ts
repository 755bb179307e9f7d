/** What every step of an analysis is given. */
import type { FigureInput } from "../figures/index.ts";
import type { Transformer } from "../model/index.ts";
import type { Corpus, ReportTokenizer } from "./corpus.ts";
import { idsOf } from "./passages.ts";
import type { Plan } from "./plan.ts";
import type { Work } from "./progress.ts";

/** The inputs of every part of the analysis. */
export interface Task {
  readonly model: Transformer;
  readonly tokenizer: ReportTokenizer | undefined;
  readonly corpus: Corpus;
  readonly plan: Plan;
  readonly bos: number | undefined;
  readonly seed: number;
  readonly work: Work;
}

/** The model as figures take it, with some windows of the text. */
export function inputOf(
  { model, tokenizer, bos, corpus }: Task,
  windows: readonly (readonly number[])[] = corpus.windows,
): FigureInput {
  return { model, tokenizer, bos: bos ?? null, text: idsOf(windows, corpus) };
}
