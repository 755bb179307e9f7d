/** The prediction at one position as a sum of paths. */
import { pathExpansion } from "transformer-circuits";
import type { Run } from "transformer-circuits";
import type { PathExpansion } from "transformer-circuits/paths";
import { barChart, formatNumber } from "transformer-circuits/viz";
import type { ExpansionAsk, FiguresReply } from "../protocol.ts";
import { InputError } from "./errors.ts";
import type { Session } from "./session.ts";
import { idsOf, labelOut, largest, positionOf, probabilitiesAt } from "./text.ts";
import { shown } from "./work.ts";
import type { Work } from "./work.ts";

const LISTED = 16;
/** Terms that are written out at most; of deeper models the longest paths are one remainder. */
const MOST_TERMS = 1024;

export function expansion(session: Session, ask: ExpansionAsk, work: Work): FiguresReply {
  const all = idsOf(session, ask.text);
  const at = positionOf(all, ask.at);
  // with causal attention, what comes later changes nothing here
  const ids = session.model.config.attention_dir === "causal" ? all.slice(0, at + 1) : all;
  const run = session.run(ids, ask);
  const p = probabilitiesAt(run, at);
  const target = ask.target !== undefined && ask.target < p.length ? ask.target : (largest(p, 1)[0] ?? 0);
  const found = expanded(run);
  const values = found.attribution({ targets: target, ...work });
  const terms = found.all
    .map((term, t) => ({ label: term.label, value: values.at(t, 0, at) }))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const rest = terms.slice(LISTED).reduce((sum, { value }) => sum + value, 0);
  const sum = terms.reduce((total, { value }) => total + value, 0);
  const token = labelOut(session, target);
  const chart = barChart({
    bars: [
      ...terms.slice(0, LISTED),
      ...(terms.length > LISTED ? [{ label: `${terms.length - LISTED} more`, value: rest, group: "rest" }] : []),
    ].map(({ label, value }) => ({ label, value })),
    title: `What each path adds to the logit of ${token}`,
    subtitle: `After ${session.label(ids[at] ?? 0)} at position ${at}, attention patterns${session.model.config.normalization_type === null ? "" : " and norm scales"} held as they are. Its probability is ${percent(p[target] ?? 0)}.`,
    xLabel: "logit",
    width: 720,
  });
  return shown(
    [chart],
    `The ${terms.length} terms sum to ${formatNumber(sum, { decimals: 3 })}; the model’s logit is ${formatNumber(run.logits.at(0, at, target), { decimals: 3 })}.`,
    certified(found, work),
  );
}

const percent = (p: number): string => `${formatNumber(100 * p, { significant: 3 })} %`;

/** The longest paths that are few enough. */
function expanded(run: Run): PathExpansion {
  const { n_layers } = run.model.config;
  for (let maxOrder = n_layers; maxOrder >= 0; maxOrder--) {
    try {
      return pathExpansion(run, { maxOrder, maxTerms: MOST_TERMS });
    } catch (error) {
      if (maxOrder === 0) throw error;
    }
  }
  throw new InputError("There are too many paths.");
}

function certified(found: PathExpansion, work: Work): string {
  const { maxDeviation, bound, withinBound, terms, complete, maxOrder } = found.certificate(found.all, work);
  const paths = complete
    ? "Every path is a term of its own."
    : `Paths of more than ${maxOrder} heads are one term, the remainder.`;
  const held = withinBound ? "Certificate: holds." : "Certificate: does not hold; please report this model.";
  return `${held} Over all positions and tokens, the ${terms} terms differ from the model’s logits by at most ${maxDeviation.toExponential(1)}, and float32 rounding explains up to ${bound.toExponential(1)}. ${paths}`;
}
