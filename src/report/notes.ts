/** What an analysis left out. */
import type { Transformer } from "../model/index.ts";
import type { Plan } from "./plan.ts";

/** What was left out, in words. */
export function notesOn(
  model: Transformer,
  plan: Plan,
  done: { chosen: number; ablated: number; maxOrder: number },
): string[] {
  const { n_layers } = model.config;
  const heads = model.heads.length;
  const notes: string[] = [];
  if (plan.period === 0)
    notes.push(
      "There is no room for a repeated sequence, or there are too few tokens: heads have no attention scores.",
    );
  if (n_layers === 0) return notes;
  if (done.ablated < heads && plan.period > 0)
    notes.push(
      `Of the ${heads} heads ${done.ablated} were ablated one by one: those found, and those of the largest direct effect.`,
    );
  if (done.chosen < heads)
    notes.push(
      `Skip-trigrams are listed for the ${done.chosen} heads of the largest copying scores, positive or negative.`,
    );
  if (done.maxOrder < n_layers)
    notes.push(
      `Paths through ${done.maxOrder === 0 ? "heads" : done.maxOrder === 1 ? "more than one head" : `more than ${done.maxOrder} heads`} are too many to write out; they are one term of the sum.`,
    );
  if (!plan.pairs.restricted && n_layers > 1)
    notes.push("Pairs of heads are listed by the paper’s score; what comes through each was not measured.");
  if (!plan.importanceByHead) notes.push("Term importance was not measured head by head.");
  return notes;
}
