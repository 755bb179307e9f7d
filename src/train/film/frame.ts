/**
 * One checkpoint of a film, measured.
 *
 * What depends on the probe alone is made once. A frame at every tenth step adds 9 % to the processor time of the
 * Markov chains of docs/training.md and 20 % to that of its repeated tokens; to the shorter steps of the recipes for
 * both it adds 24 % and 36 % (minima in turns with training alone over 200 steps, one thread of a quiet machine).
 */
import { compositionBaseline, compositionScores, copyingScores } from "../../circuits/index.ts";
import type { CompositionBaseline, PairScores } from "../../circuits/index.ts";
import { restrictedShares } from "../../circuits/internal.ts";
import { InputError, nameOf, requireKind, requireObject } from "../../errors.ts";
import { headEvidence, headScores } from "../../heads/index.ts";
import type { HeadKind, HeadScores } from "../../heads/index.ts";
import { headLabel } from "../../model/index.ts";
import type { Transformer } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { termImportance } from "../../paths/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { measuredLosses } from "./losses.ts";
import type { FilmEstimate, MeasuredLosses } from "./losses.ts";
import { filmProbe } from "./probe.ts";
import type { FilmProbe } from "./probe.ts";

/**
 * What all heads of one kind do at a checkpoint, each number `[layer, head]`.
 * @category Training
 */
export interface FilmHeads {
  /** Mean attention to the kind's targets, as {@link HeadScores} has it. */
  readonly score: Tensor<"layer head">;
  /**
   * Where the head does it, what that attention has above chance, as a share of what even attention leaves: 0 at
   * chance, at most 1 ({@link HeadEvidence}).
   */
  readonly excess: Tensor<"layer head">;
  /** Half the width of the excess's interval, which holds with 99 % for all heads and kinds together. */
  readonly margin: Tensor<"layer head">;
  /** 1 where {@link findHeads} calls the head one of the kind, 0 elsewhere. */
  readonly found: Tensor<"layer head">;
}

/**
 * One kind of composition between all pairs of heads at a checkpoint.
 * @category Training
 */
export interface FilmComposition {
  /** The paper's score. */
  readonly score: PairScores;
  /** The share of what reaches the reader that comes through the writer, in the directions that are used. */
  readonly share: PairScores;
  /** The share that a random orientation of the writer has. */
  readonly chance: PairScores;
  /** How far the share lies above chance, in standard deviations of random orientations. */
  readonly zScores: PairScores;
}

/**
 * What is measured at each checkpoint of a film.
 * @category Training
 */
export type FilmMeasure = "losses" | "heads" | "composition" | "copying" | "importance";

/**
 * A checkpoint of a training run, measured. What a model does not have, or was not asked for, is left out.
 * @category Training
 */
export interface FilmFrame extends Partial<MeasuredLosses> {
  readonly step: number;
  /** The training's own loss at this step, in nats; NaN where it is not known. */
  readonly loss: number;
  readonly n_layers: number;
  readonly n_heads: number;
  /** The loss of an even guess, $\ln d_{vocab}$. */
  readonly uniform: number;
  /** What the heads do, by kind. */
  readonly heads?: Readonly<Record<HeadKind, FilmHeads>>;
  /** {@link copyingScores}: how far the eigenvalues of the OV circuits are positive. */
  readonly copying?: Tensor<"layer head">;
  /** Composition of all pairs of heads. */
  readonly composition?: Readonly<Record<"Q" | "K" | "V", FilmComposition>> & {
    readonly baseline: CompositionBaseline;
  };
  /** What each order of paths lowers the loss by, in nats, with its error over prompts. */
  readonly importance?: { readonly gain: Tensor<"order">; readonly error: Tensor<"order"> };
}

/**
 * Options of {@link filmFrame}.
 * @category Training
 */
export interface FilmFrameOptions {
  readonly step: number;
  /** The training's loss at this step, in nats. */
  readonly loss?: number | undefined;
  /** The prompts that the checkpoints are measured on; {@link filmProbe} of the model's configuration unless given. */
  readonly probe?: FilmProbe | undefined;
  /** What to measure; all unless given. Pairs of heads are many in large models: leave `composition` out there. */
  readonly measures?: readonly FilmMeasure[] | undefined;
}

/** All that a frame measures. */
export const MEASURES: readonly FilmMeasure[] = ["losses", "heads", "composition", "copying", "importance"];

/** Prompts whose loss is taken apart by order of paths. */
const TAKEN_APART = 4;

/**
 * Measures one checkpoint of a training run: what its heads do, which of them compose, whether they copy, what orders
 * of paths are worth, and how the loss falls along the context.
 *
 * Each measure is the library's own of that name, on prompts so few that a hundred checkpoints cost little beside the
 * training.
 *
 * @param model - the model at that step.
 * @throws {@link InputError} when the step is no whole number, or a measure has no such name.
 * @category Training
 * @example
 * ```ts
 * import { filmFrame, filmProbe } from "transformer-circuits/train";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const probe = filmProbe(model.config, { prompts: 2 });
 * const { heads, copying } = filmFrame(model, { step: 2000, probe, measures: ["heads", "copying"] });
 * console.log(heads?.previous.found.at(0, 5), heads?.induction.excess.at(1, 2).toFixed(1));
 * // 1 0.7
 * console.log(copying?.at(1, 4).toFixed(2));
 * // 0.99
 * ```
 */
export function filmFrame(model: Transformer, options: FilmFrameOptions): FilmFrame {
  const operation = "filmFrame";
  requireKind("model", model, "model", operation, options, "step loss probe measures");
  requireObject(options, "options", operation);
  const { step, loss = NaN, probe = filmProbe(model.config), measures = MEASURES } = options;
  requireStep(step, operation);
  for (const measure of measures) requireChoice(measure, MEASURES, "measures", operation);
  const { n_layers, n_heads, d_vocab, d_vocab_out } = model.config;
  const asks = (measure: FilmMeasure): boolean => measures.includes(measure);
  const predictsNext = d_vocab === d_vocab_out && probe.targets === undefined && probe.attentionMask === undefined;
  const hasText = probe.tokens.sizeOf("pos") > 1;
  const frame: FilmFrame = {
    ...{ step, loss, n_layers, n_heads, uniform: Math.log(d_vocab_out) },
    ...(asks("losses") && measuredLosses(model, probe)),
    ...(asks("heads") && n_layers > 0 && probe.repeated && { heads: headsOf(model, probe.repeated) }),
    ...(asks("copying") && n_layers > 0 && d_vocab === d_vocab_out && { copying: copyingScores(model) }),
    ...(asks("composition") && n_layers > 1 && { composition: compositionOf(model) }),
    ...(asks("importance") && predictsNext && hasText && { importance: importanceOf(model, probe) }),
  };
  return shownAs(frame, frameShowing);
}

/** Refuses what is no step of a training. */
export function requireStep(step: number, operation: string): void {
  if (Number.isSafeInteger(step) && step >= 0) return;
  throw new InputError(`step is ${nameOf(step)}; a step is a whole number from 0 on.`, {
    operation,
    argument: "step",
    expected: "a whole number",
    actual: step,
  });
}

function headsOf(
  model: Transformer,
  { tokens, period, bos }: NonNullable<FilmProbe["repeated"]>,
): NonNullable<FilmFrame["heads"]> {
  const scores = headScores(model, { tokens, period, bos });
  const evidence = headEvidence(scores);
  const { n_layers, n_heads } = model.config;
  const kinds = Object.keys(scores.byQuery) as HeadKind[];
  return Object.fromEntries(
    kinds.map((kind): [HeadKind, FilmHeads] => {
      const [excess, margin, found] = [NaN, NaN, 0].map((x) => new Float64Array(n_layers * n_heads).fill(x)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      for (const one of evidence) {
        if (one.kind !== kind) continue;
        const at = one.layer * n_heads + one.head;
        excess[at] = one.excess;
        found[at] = one.found ? 1 : 0;
        if (one.interval !== null)
          margin[at] =
            Math.max(one.interval[1] - one.score, one.score - one.interval[0]) / Math.max(1e-9, 1 - one.chance);
      }
      const tensor = (data: Float64Array): Tensor<"layer head"> => Tensor.from("layer head", [n_layers, n_heads], data);
      return [
        kind,
        {
          score: scores[kind as keyof HeadScores] as Tensor<"layer head">,
          excess: tensor(excess),
          margin: tensor(margin),
          found: tensor(found),
        },
      ];
    }),
  ) as Record<HeadKind, FilmHeads>;
}

function compositionOf(model: Transformer): NonNullable<FilmFrame["composition"]> {
  const baseline = compositionBaseline(model.config);
  const scores = compositionScores(model, { baseline });
  const restricted = restrictedShares(model);
  const kind = (name: "Q" | "K" | "V"): FilmComposition => {
    const { share, chance, zScores } = restricted[name];
    return { score: scores[name], share, chance, zScores };
  };
  return { Q: kind("Q"), K: kind("K"), V: kind("V"), baseline };
}

function importanceOf(model: Transformer, { tokens }: FilmProbe): NonNullable<FilmFrame["importance"]> {
  const some = tokens.slice("batch", 0, Math.min(tokens.sizeOf("batch"), TAKEN_APART));
  const rows = termImportance(model, some, { layers: false, heads: false, resamples: 200 });
  const of = (value: (row: (typeof rows)[number]) => number): Tensor<"order"> =>
    Tensor.from("order", [rows.length], Float64Array.from(rows, value));
  return { gain: of(({ gain }) => gain), error: of(({ error }) => error) };
}

/** What was found, one line a fact. */
function frameShowing(frame: FilmFrame): Showing {
  const { step, loss, n_layers, n_heads, heads, meanLoss, contextScore } = frame;
  const estimate = ({ mean, error }: FilmEstimate): string =>
    `${mean.toFixed(3)}${Number.isNaN(error) ? "" : ` ± ${error.toFixed(3)}`} nats`;
  const foundOf = (kind: HeadKind): string => {
    const found = heads === undefined ? [] : rawData(heads[kind].found);
    const labels = Array.from(found, (is, i) =>
      is === 1 ? headLabel({ layer: Math.floor(i / n_heads), head: i % n_heads }) : "",
    );
    return labels.filter((label) => label !== "").join(" ") || "none";
  };
  const facts: [string, string][] = [
    ...(Number.isNaN(loss) ? [] : [["loss", `${loss.toFixed(3)} nats`] as [string, string]]),
    ...(meanLoss === undefined ? [] : [["loss on the probe", estimate(meanLoss)] as [string, string]]),
    ...(contextScore === undefined ? [] : [["in-context score", estimate(contextScore)] as [string, string]]),
    ...(heads === undefined
      ? []
      : ([
          ["previous-token heads", foundOf("previous")],
          ["induction heads", foundOf("prefixMatching")],
        ] as [string, string][])),
  ];
  return {
    title: `FilmFrame at step ${step} of ${n_layers} layers × ${n_heads} heads`,
    parts: () => [{ kind: "facts", facts }],
  };
}
