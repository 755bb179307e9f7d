/** What each head does: its scores on repeated tokens, its class, its effect, and what is lost without it. */
import { headAblation } from "../heads/index.ts";
import type { FoundHeads, HeadKind, HeadScores } from "../heads/index.ts";
import { logitAttribution } from "../paths/index.ts";
import { headLabel } from "../model/index.ts";
import type { AttentionHead, HeadId, Transformer } from "../model/index.ts";
import type { ProgressOptions } from "../progress.ts";
import type { HeadFacts, HeadScoreValues, ReportFoundHeads, RoleEvidence } from "./types.ts";
import { meanOf } from "../tensor/internal.ts";

/** Repeated tokens that a model is run on. */
export interface Prompts {
  readonly prompts: readonly (readonly number[])[];
  readonly period: number;
  readonly bos: number | undefined;
}

/** Labels of the heads found, in the model's order; none without scores. */
export function labelsOf(found: FoundHeads | undefined): ReportFoundHeads {
  const labels = (ids: readonly HeadId[] = []): string[] =>
    [...ids].sort((a, b) => a.layer - b.layer || a.head - b.head).map((id) => headLabel(id));
  return {
    previousToken: labels(found?.previousToken),
    induction: labels(found?.induction),
    currentToken: labels(found?.currentToken),
    firstToken: labels(found?.firstToken),
    duplicateToken: labels(found?.duplicateToken),
    prefixMatching: labels(found?.prefixMatching),
  };
}

/** The first prediction of the second copy that counts, as an entry of losses: its first token is left out. */
export function secondCopyFrom({ prompts, period }: Prompts): number {
  return (prompts[0]?.length ?? 0) - period;
}

/** The mean direct effect of every head on the right token's logit in the second copy, by label. */
export function attributions(model: Transformer, prompts: Prompts): Map<string, number> {
  const { labels, attribution } = logitAttribution(model, prompts.prompts);
  const second = attribution.slice("pos", secondCopyFrom(prompts));
  return new Map(
    model.heads.map(({ label }) => [label, meanOf(second.select("component", labels.indexOf(label)).data)]),
  );
}

/** What {@link ablations} finds. */
export interface Ablations {
  /** By how much the loss of the second copy rises without each head, by label. */
  readonly rises: ReadonlyMap<string, number>;
  /** That loss as it is. */
  readonly clean: number;
}

/**
 * What is lost without single heads: all, or with fewer runs than heads those found, then those of the largest effect.
 */
export function ablations(
  model: Transformer,
  prompts: Prompts,
  { induction, previousToken }: ReportFoundHeads,
  attribution: ReadonlyMap<string, number>,
  runs: number,
  inner: ProgressOptions,
): Ablations {
  const first = new Set([...induction, ...previousToken]);
  const effect = ({ label }: AttentionHead): number =>
    (first.has(label) ? 1e9 : 0) + Math.abs(attribution.get(label) ?? 0);
  const heads =
    model.heads.length <= runs ? model.heads : [...model.heads].sort((a, b) => effect(b) - effect(a)).slice(0, runs);
  const { rise, clean } = headAblation(model, prompts.prompts, { heads, from: secondCopyFrom(prompts), ...inner });
  return { rises: new Map(heads.map((head) => [head.label, rise.at(head.layer, head.head)])), clean };
}

/** What was measured of heads, beside their classes. */
export interface Measured {
  readonly scores: HeadScores | undefined;
  /** The heads found on them. */
  readonly found: FoundHeads | undefined;
  /** By label: copying and matching scores. */
  readonly copying: ReadonlyMap<string, number>;
  readonly matching: ReadonlyMap<string, number>;
  /** Copying scores of random heads. */
  readonly chance: { readonly mean: number; readonly std: number } | undefined;
  readonly attribution: ReadonlyMap<string, number>;
  readonly ablation: ReadonlyMap<string, number>;
}

/** The table of heads. */
export function headFacts(model: Transformer, measured: Measured): HeadFacts[] {
  const { scores, chance } = measured;
  return model.heads.map(({ layer, head, label }) => {
    const copying = measured.copying.get(label) ?? 0;
    const evidence = evidenceOf({ layer, head }, measured.found);
    return {
      label,
      layer,
      head,
      scores: scores === undefined ? null : scoreValues(scores, { layer, head }),
      copying,
      copyingZ: chance !== undefined && chance.std > 0 ? (copying - chance.mean) / chance.std : null,
      matching: measured.matching.get(label) ?? 0,
      attribution: measured.attribution.get(label) ?? null,
      ablation: measured.ablation.get(label) ?? null,
      roles: rolesOf(evidence),
      evidence,
    };
  });
}

function scoreValues(scores: HeadScores, { layer, head }: HeadId): HeadScoreValues {
  const at = (name: keyof HeadScoreValues): number => scores[name].at(layer, head);
  return {
    previous: at("previous"),
    current: at("current"),
    first: at("first"),
    duplicate: at("duplicate"),
    induction: at("induction"),
    inductionStrict: at("inductionStrict"),
    prefixMatching: at("prefixMatching"),
  };
}

function evidenceOf({ layer, head }: HeadId, found: FoundHeads | undefined): RoleEvidence[] {
  return (found?.evidence ?? [])
    .filter((one) => one.layer === layer && one.head === head)
    .map(({ kind, score, chance, excess, interval, positions, isEverywhere, text }) => {
      return { kind, score, chance, excess, interval, positions, isEverywhere, text };
    });
}

/** What heads of each kind are called in the column of roles, in its order. */
export const ROLES: Readonly<Record<HeadKind, string>> = {
  previous: "previous token",
  induction: "induction",
  current: "current token",
  first: "first token",
  duplicate: "duplicate token",
  prefixMatching: "prefix matching",
};

function rolesOf(evidence: readonly RoleEvidence[]): string[] {
  const kinds = Object.keys(ROLES) as HeadKind[];
  const of = kinds.filter((kind) => evidence.some((one) => one.kind === kind)).map((kind) => ROLES[kind]);
  // Such heads match prefixes, and rest on the first token wherever they have nothing to do.
  const implied = ["first token", "prefix matching"];
  return of.includes("induction") ? of.filter((name) => !implied.includes(name)) : of;
}
