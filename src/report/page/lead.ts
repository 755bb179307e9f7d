/** The beginning of the page: the findings in words, and the numbers that matter most. */
import type { ReportData } from "../types.ts";
import { markup } from "./html.ts";
import type { Content, Html } from "./html.ts";
import { attentionOf, bestPartners } from "./induction-words.ts";
import { capital, count, estimate, fixed, range, shortList, signed, small, whole } from "./words.ts";

/** One paragraph that says what was found. */
export function leadParagraph(data: ReportData): Html {
  return markup`<p class="lead">
    ${[modelSentence(data), repeatSentence(data), headSentence(data), causeSentence(data), certificateSentence(data)]}
  </p>`;
}

function modelSentence({ config, parameterCount, loss, text }: ReportData): Content {
  const kind =
    config.n_layers === 0
      ? "model without layers"
      : `${count(config.n_layers, "layer")},${config.attn_only ? " attention-only transformer" : " transformer with MLPs"}`
          .replace(" layers,", "-layer,")
          .replace(" layer,", "-layer,")
          .replace(config.attn_only ? "" : ",", "");
  return markup`This ${kind} of ${whole(parameterCount)} parameters predicts ${text.source} at
    <b>${estimate(loss)} nats</b> per token, where a uniform guess costs
    ${fixed(loss.uniform)}${loss.unigram === null ? "" : ` and token frequencies alone ${fixed(loss.unigram)}`}. `;
}

/** What the loss of a second copy must fall by to be called a gain, in nats and as a share of the first copy's. */
const LEAST_GAIN = 0.1;
const LEAST_SHARE = 0.05;

function repeatSentence({ repeated }: ReportData): Content {
  if (repeated === null) return null;
  const { first, second } = repeated;
  const gain = first - second;
  if (gain < Math.max(LEAST_GAIN, LEAST_SHARE * first))
    return markup`It does not repeat what it has seen: random tokens given twice cost ${fixed(first)} nats the
    first time and ${fixed(second)} the second. `;
  const what = gain < first / 2 ? "makes some use of the first copy" : "repeats them";
  return markup`Given random tokens twice, it ${what}: their loss falls from ${fixed(first)} nats in the
    first copy to <b>${fixed(second)}</b> in the second. `;
}

function headSentence({ induction, found, config, repeated }: ReportData): Content {
  if (config.n_layers === 0 || repeated === null) return null;
  if (induction === null) {
    const previous = found.previousToken;
    return previous.length === 0
      ? "None of its heads is a previous-token or an induction head. "
      : markup`${capital(count(previous.length, "head"))} (${shortList(previous)})
        ${previous.length === 1 ? "attends" : "attend"} to the token before; none is an induction head. `;
  }
  const { heads, baseline } = induction;
  const best = bestPartners(induction);
  const read =
    best === null
      ? null
      : markup`, and whose keys read above all what the previous-token ${best.labels.length === 1 ? "head" : "heads"}
        ${shortList(best.labels)} wrote: K-composition ${range(best.k)} where random heads have
        ${fixed(baseline.mean, 3)}`;
  return markup`The work is done by ${count(heads.length, "induction head")},
    <b
      >${shortList(
        heads.map(({ label }) => label),
        10,
      )}</b
    >, which ${heads.length === 1 ? "puts" : "put"} ${attentionOf(induction)} of their attention on the
    token after the earlier copy of the present one${read}. `;
}

function causeSentence({ induction }: ReportData): Content {
  const delta = (what: string): number | undefined => induction?.ablated.find((group) => group.what === what)?.delta;
  const [ofInduction, ofPrevious] = [delta("the induction heads"), delta("the previous-token heads")];
  if (ofInduction === undefined) return null;
  return markup`Without the induction heads the loss of the second copy changes by ${signed(ofInduction)}
  nats${ofPrevious === undefined ? "" : markup`, without the previous-token heads by ${signed(ofPrevious)}`}. `;
}

function certificateSentence({ expansion }: ReportData): Content {
  const { terms, maxDeviation, withinBound } = expansion;
  return withinBound
    ? markup`The ${whole(terms)} terms of the path expansion sum to the logits within ${small(maxDeviation)}.`
    : markup`The terms of the path expansion miss the logits by ${small(maxDeviation)}, more than rounding explains.`;
}

/** The numbers of the lead, large. */
export function keyFacts(data: ReportData): Html {
  const { loss, repeated, found, induction, expansion } = data;
  const facts: (readonly [string, string])[] = [["nats per token of text", fixed(loss.mean)]];
  if (repeated !== null) facts.push(["nats on the second copy", fixed(repeated.second)]);
  if (data.config.n_layers > 0 && repeated !== null) {
    facts.push([
      found.previousToken.length === 1 ? "previous-token head" : "previous-token heads",
      whole(found.previousToken.length),
    ]);
    facts.push([found.induction.length === 1 ? "induction head" : "induction heads", whole(found.induction.length)]);
  }
  const best = Math.max(...(induction?.heads.flatMap((head) => head.partners.map(({ z }) => z)) ?? []));
  if (Number.isFinite(best)) facts.push(["σ of K-composition above chance, at most", fixed(best, 0)]);
  facts.push(["largest error of the path sum", small(expansion.maxDeviation)]);
  return markup`<dl class="facts">
    ${facts.map(
      ([name, value]) =>
        markup`<div>
          <dd>${value}</dd>
          <dt>${name}</dt>
        </div>`,
    )}
  </dl>`;
}
