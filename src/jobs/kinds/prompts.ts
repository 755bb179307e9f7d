/** Prompts and metrics as a plan writes them. */
import { InputError, nameOf, requireObject } from "../../errors.ts";
import { repeatedTokens } from "../../heads/index.ts";
import type { RepeatedTokensOptions } from "../../heads/index.ts";
import { crossEntropy, logitDifference, logProbability, probability } from "../../model/index.ts";
import type { Answers, Metric } from "../../model/index.ts";
import { isId, refusePlan, requireWhole } from "./kind.ts";
import type { JobTokenizer, OpenedModel } from "./kind.ts";

/** Prompts of a plan: random tokens that repeat, token ids, or texts. */
type Prompts =
  | { readonly repeated: Omit<RepeatedTokensOptions, "seed"> }
  | { readonly tokens: readonly (readonly number[])[] }
  | { readonly texts: readonly string[]; readonly bos?: boolean };

const REPEATED = "length batch bos repeats distinct chunk";

/** Refuses what are no prompts. */
export function checkPrompts(value: unknown, argument: string): asserts value is Prompts {
  requireObject(value, argument, "parseJobPlan", "repeated tokens texts bos");
  const { repeated, tokens, texts, bos } = value as Readonly<Record<string, unknown>>;
  const given = [repeated, tokens, texts].filter((one) => one !== undefined);
  if (given.length !== 1 || (bos !== undefined && (texts === undefined || typeof bos !== "boolean"))) {
    throw refusePlan(
      argument,
      `${argument} needs one of { repeated: { length, batch } }, { tokens: [[…]] } and { texts: ["…"], bos: true }.`,
      value,
    );
  }
  if (repeated !== undefined) checkRepeated(repeated, `${argument}.repeated`);
  if (tokens !== undefined) requireListsOf(tokens, isId, `${argument}.tokens`, "lists of token ids");
  if (texts !== undefined)
    requireListsOf([texts], (one) => typeof one === "string", `${argument}.texts`, "a list of texts");
}

/** Refuses settings of {@link repeatedTokens} that no model could take. */
export function checkRepeated(value: unknown, argument: string): void {
  requireObject(value, argument, "parseJobPlan", REPEATED);
  const { bos, distinct, ...counts } = value as Readonly<Record<string, unknown>>;
  for (const [name, count] of Object.entries(counts)) requireWhole(count, 1, `${argument}.${name}`);
  if (bos !== null) requireWhole(bos, 0, `${argument}.bos`);
  if (distinct !== undefined && typeof distinct !== "boolean")
    throw refusePlan(`${argument}.distinct`, `${argument}.distinct is ${nameOf(distinct)}; give true or false.`);
}

function requireListsOf(lists: unknown, is: (one: unknown) => boolean, argument: string, what: string): void {
  const isFilled = (list: unknown): list is readonly unknown[] => Array.isArray(list) && list.length > 0;
  if (isFilled(lists) && lists.every((list) => isFilled(list) && list.every(is))) return;
  throw refusePlan(argument, `${argument} is ${nameOf(lists)}; give ${what}, none of them empty.`, lists);
}

/** Whether prompts are drawn at random. */
export const isDrawn = (prompts: unknown): boolean =>
  typeof prompts === "object" && prompts !== null && "repeated" in prompts;

/** The token ids of prompts. */
export function tokensOf(prompts: Prompts, { model, tokenizer }: OpenedModel, seed: number): number[][] {
  if ("repeated" in prompts) return repeatedTokens(model.config, { ...prompts.repeated, seed });
  if ("tokens" in prompts) return prompts.tokens.map((ids) => [...ids]);
  const { texts, bos = false } = prompts;
  return texts.map((text) => requireTokenizer(tokenizer).encode(text, { bos }));
}

function requireTokenizer(tokenizer: JobTokenizer | undefined): JobTokenizer {
  if (tokenizer !== undefined) return tokenizer;
  throw new InputError("the plan gives text, and the model has no tokenizer. Give token ids.", {
    operation: "runJob",
    argument: "tokenizer",
  });
}

const METRICS = { logitDifference, logProbability, probability };

/** Refuses what is no metric of a plan. */
export function checkMetric(value: unknown): void {
  if (value === "loss") return;
  const [name = "", ...more] = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (more.length > 0 || !Object.hasOwn(METRICS, name)) {
    throw refusePlan(
      "metric",
      `metric is ${nameOf(value)}; give "loss", or one of ${Object.keys(METRICS).join(", ")} with its settings, as in { logitDifference: { answer, wrong } }.`,
      value,
    );
  }
  const settings = (value as Readonly<Record<string, unknown>>)[name];
  requireObject(settings, `metric.${name}`, "parseJobPlan", "answer wrong pos");
}

/** A metric of prompts; answers may be texts that are one token. */
export function metricOf(value: unknown, tokens: readonly (readonly number[])[], opened: OpenedModel): Metric {
  if (value === "loss") return crossEntropy(tokens);
  const [[name, settings] = ["", {}]] = Object.entries(value as Readonly<Record<string, object>>);
  const read = Object.fromEntries(
    Object.entries(settings).map(([key, given]: [string, unknown]) => [
      key,
      key === "pos" ? given : idsOf(given, opened.tokenizer),
    ]),
  );
  return METRICS[name as keyof typeof METRICS](read as { readonly answer: Answers; readonly wrong: Answers });
}

/** Token ids in place of the texts among answers. */
function idsOf(given: unknown, tokenizer: JobTokenizer | undefined): unknown {
  if (Array.isArray(given)) return given.map((one: unknown) => idsOf(one, tokenizer));
  return typeof given === "string" ? requireTokenizer(tokenizer).toSingleToken(given) : given;
}
