/** What each head does: scores on repeated tokens and eigenvalues, for all heads. */
import { rawData } from "../../tensor/internal.ts";
import { findHeads, headScores } from "../../heads/index.ts";
import { ovSpectrum, qkSpectrum, scoreNull } from "../../circuits/index.ts";
import type { HeadScores } from "../../heads/index.ts";
import type { SampledScore, Spectrum } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import { short } from "../numbers.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { ReportFoundHeads, HeadFacts, HeadScoreValues, Spectra } from "../types.ts";

/** The score from which a head counts as one of a kind; ARENA's. */
export const THRESHOLD = 0.4;

/** Labels of the heads found, in the model's order; none without scores. */
export function foundHeads(scores: HeadScores | undefined): ReportFoundHeads {
  const none = { currentToken: [], previousToken: [], firstToken: [], duplicateToken: [], induction: [] };
  const found = scores === undefined ? none : findHeads(scores, THRESHOLD);
  const labels = (ids: readonly HeadId[]): string[] =>
    [...ids].sort((a, b) => a.layer - b.layer || a.head - b.head).map((id) => headLabel(id));
  return {
    threshold: THRESHOLD,
    previousToken: labels(found.previousToken),
    induction: labels(found.induction),
    currentToken: labels(found.currentToken),
    firstToken: labels(found.firstToken),
    duplicateToken: labels(found.duplicateToken),
  };
}

/** Scores of all heads on given prompts. */
export function scoresOf(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  period: number,
  bos: number | undefined,
): HeadScores {
  return headScores(model, { tokens: prompts, period, bos: bos ?? null });
}

/** Spectra of the OV and QK circuits with what chance would give. */
export interface HeadSpectra {
  readonly ov: Spectrum;
  readonly qk: Spectrum;
  /** Copying scores of random heads. */
  readonly chance: SampledScore | undefined;
}

/** Eigenvalues of all heads; there is no yardstick where the embedding or the unembedding is zero. */
export function spectraOf(
  model: Transformer,
  seed: number,
  samples: number,
  inner: ProgressOptions = {},
): HeadSpectra | undefined {
  if (model.config.n_layers === 0) return undefined;
  const { signal, onProgress } = inner;
  const parts = (
    from: number,
  ): { signal: AbortSignal | undefined; onProgress: (done: number, total: number) => void } => ({
    signal,
    onProgress: (done, total) => onProgress?.(from * total + done, 3 * total),
  });
  const ov = ovSpectrum(model, parts(0));
  const qk = qkSpectrum(model, parts(1));
  const isZero = ["embed.W_E", "unembed.W_U"].some((name) => rawData(model.weight(name)).every((x) => x === 0));
  const chance = isZero ? undefined : scoreNull(model, { samples, seed, ...parts(2) });
  return { ov, qk, chance };
}

/** Eigenvalues as data. */
export function spectraFacts(model: Transformer, spectra: HeadSpectra | undefined): Spectra {
  if (spectra === undefined) return { heads: [], null: null };
  const { re, im } = spectra.ov.eigenvalues;
  const valuesOf = (t: typeof re, { layer, head }: HeadId): number[] =>
    Array.from(t.select("layer", layer).select("head", head).data, (x) => short(x, 6));
  const chance = spectra.chance;
  return {
    heads: model.heads.map((head) => ({ label: head.label, re: valuesOf(re, head), im: valuesOf(im, head) })),
    null: chance === undefined ? null : { mean: chance.mean, std: chance.std, samples: chance.samples.size },
  };
}

/** What was measured of single heads beside scores and spectra, by label. */
export interface Measured {
  readonly attribution: ReadonlyMap<string, number>;
  readonly ablation: ReadonlyMap<string, number>;
}

/** The table of heads. */
export function headFacts(
  model: Transformer,
  scores: HeadScores | undefined,
  spectra: HeadSpectra | undefined,
  found: ReportFoundHeads,
  measured: Measured,
): HeadFacts[] {
  return model.heads.map(({ layer, head, label }) => {
    const copying = spectra?.ov.score.at(layer, head) ?? 0;
    const matching = spectra?.qk.score.at(layer, head) ?? 0;
    return {
      label,
      layer,
      head,
      scores: scores === undefined ? null : scoreValues(scores, { layer, head }),
      copying,
      copyingZ: zScore(copying, spectra?.chance),
      matching,
      attribution: measured.attribution.get(label) ?? null,
      ablation: measured.ablation.get(label) ?? null,
      roles: rolesOf(label, found),
    };
  });
}

function scoreValues(scores: HeadScores, { layer, head }: HeadId): HeadScoreValues {
  const at = (name: Exclude<keyof HeadScores, "tokens" | "period">): number => scores[name].at(layer, head);
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

function zScore(value: number, chance: SampledScore | undefined): number | null {
  return chance !== undefined && chance.std > 0 ? (value - chance.mean) / chance.std : null;
}

function rolesOf(label: string, found: ReportFoundHeads): string[] {
  const kinds: readonly (readonly [string, readonly string[]])[] = [
    ["previous token", found.previousToken],
    ["induction", found.induction],
    ["current token", found.currentToken],
    ["first token", found.firstToken],
    ["duplicate token", found.duplicateToken],
  ];
  const of = kinds.filter(([, labels]) => labels.includes(label)).map(([name]) => name);
  // such heads rest on the first token wherever they have nothing to do
  return of.includes("induction") ? of.filter((name) => name !== "first token") : of;
}
