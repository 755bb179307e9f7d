/** The report in a dozen lines, for a terminal. */
import { whereOf } from "./induction.ts";
import { atPositions, count, estimate, fixed, list, shortList, signed, small, whole } from "./page/words.ts";
import type { HeadFacts, InductionHead, ReportData } from "./types.ts";

/**
 * Sums a report up in about a dozen lines of plain text: model, loss, previous-token and induction heads with their
 * evidence, and the certificate of the path expansion.
 *
 * @param data - from {@link analyse}.
 * @returns lines of at most about 100 characters, without colours, joined by line breaks.
 * @category Report
 * @example
 * ```ts
 * import { analyse, summarise } from "transformer-circuits/report";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const data = await analyse(model, tokenizer, "interface Array<T> { length: number; }", { maxTokens: 100 });
 * console.log(summarise(data).split("\n")[0]);
 * // model        2 layers of 8 heads, d_model 128, d_vocab 1,024, shortformer positions, 411,648 parameters
 * ```
 */
export function summarise(data: ReportData): string {
  const rows: (readonly [string, string])[] = [
    ["model", modelLine(data)],
    [
      "text",
      `${whole(data.text.tokens)} tokens in ${count(data.text.windows, "window")}: ${estimate(data.loss)} nats per token (uniform ${fixed(data.loss.uniform)})`,
    ],
    ...repeatLines(data),
    ...previousLines(data),
    ...inductionLines(data),
    ...ablationLines(data),
    ["path sum", certificateLine(data)],
  ];
  return rows.map(([name, text]) => `${name.padEnd(12)} ${text}`).join("\n");
}

function modelLine({ config, parameterCount }: ReportData): string {
  const layers =
    config.n_layers === 0
      ? "no layers"
      : `${config.n_layers} ${config.n_layers === 1 ? "layer" : "layers"} of ${config.n_heads} ${config.n_heads === 1 ? "head" : "heads"}`;
  return `${layers}, d_model ${config.d_model}, d_vocab ${whole(config.d_vocab)}, ${config.positional_embedding_type} positions, ${whole(parameterCount)} parameters`;
}

function repeatLines({ repeated }: ReportData): (readonly [string, string])[] {
  if (repeated === null) return [];
  return [
    [
      "repeats",
      `random tokens cost ${fixed(repeated.first)} nats the first time, ${fixed(repeated.second)} the second`,
    ],
  ];
}

function previousLines({ found, heads, config, repeated }: ReportData): (readonly [string, string])[] {
  if (config.n_layers === 0 || repeated === null) return [];
  if (found.previousToken.length === 0) return [["previous", "no previous-token head"]];
  const of = (label: string): HeadFacts | undefined => heads.find((head) => head.label === label);
  const shown = found.previousToken.map((label) => {
    const facts = of(label);
    const ablation = facts?.ablation ?? null;
    const { attention, positions } = whereOf(facts, "previous");
    return `${label} (attention to the token before ${fixed(attention)}${atPositions([positions])}${ablation === null ? "" : `, Δ loss ${signed(ablation)}`})`;
  });
  return [["previous", shortList(shown, 4)]];
}

const MOST_LINES = 6;

function inductionLines({ induction, config, repeated }: ReportData): (readonly [string, string])[] {
  if (config.n_layers === 0 || repeated === null) return [];
  if (induction === null) return [["induction", "no induction head"]];
  const shown = induction.heads
    .slice(0, MOST_LINES)
    .map((head, i) => [i === 0 ? "induction" : "", evidence(head, induction.baseline.mean)] as const);
  const more = induction.heads.length - shown.length;
  return more > 0 ? [...shown, ["", `and ${more} more`]] : shown;
}

function evidence(head: InductionHead, chance: number): string {
  const [partner] = head.partners;
  const parts = [
    `attention ${fixed(head.attention)}${atPositions([head.positions])}`,
    `copying ${fixed(head.copying)}`,
  ];
  if (partner !== undefined)
    parts.push(
      `K-composition with ${partner.label} ${fixed(partner.k, 3)} (chance ${fixed(chance, 3)}, z ${signed(partner.z, 0)})`,
    );
  if (head.ablation !== null) parts.push(`Δ loss ${signed(head.ablation)}`);
  return `${head.label}  ${parts.join(", ")}`;
}

function ablationLines({ induction }: ReportData): (readonly [string, string])[] {
  const groups = induction?.ablated.filter(({ heads }) => heads.length > 0) ?? [];
  if (groups.length === 0) return [];
  return [
    ["ablated", list(groups.map(({ what, delta }) => `without ${what} ${signed(delta)} nats on the second copy`))],
  ];
}

function certificateLine({ expansion }: ReportData): string {
  const { terms, maxDeviation, bound, withinBound } = expansion;
  return `${whole(terms)} terms sum to the logits within ${small(maxDeviation)} (rounding explains ${small(bound)})${withinBound ? "" : ": NOT within the bound"}`;
}
