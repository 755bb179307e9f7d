/**
 * How much of everything is computed: enough on a small model for narrow error bars in seconds, and on a large one what
 * still ends in minutes. What is cut is said in words, and the page repeats it.
 */
import type { ModelConfig } from "../model/index.ts";
import type { PairLimits } from "./pairs.ts";

/** How much work each part may do, and what that leaves out. */
export interface Plan {
  /** Tokens of text that may be run, BOS not counted. */
  readonly textTokens: number;
  readonly windowLength: number;
  /** Windows in one run. */
  readonly batch: number;
  /** The period of the repeated random tokens; 0 where the model has no room or too few tokens for them. */
  readonly period: number;
  readonly sequences: number;
  /** Runs with something ablated that may be made, each on `ablatedSequences` sequences. */
  readonly ablatedRuns: number;
  readonly ablatedSequences: number;
  /** Windows whose loss is taken apart. */
  readonly importanceWindows: number;
  /** Tokens of those windows. */
  readonly importanceLength: number;
  /** Whether the terms of single heads are weighed too. */
  readonly importanceByHead: boolean;
  readonly sampleLength: number;
  /** What is measured of pairs of heads. */
  readonly pairs: PairLimits;
}

/** Multiply-adds that a part may spend. */
const TEXT_WORK = 0.8e9;
const ABLATED_WORK = 0.9e9;
const IMPORTANCE_WORK = 0.42e9;
const PAIRS_WORK = 0.3e9;
const CUT_WORK = 2e9;
const ALL_PAIRS_WORK = 4e9;

/** Multiply-adds of a run for each token. */
export function workPerToken({ n_layers, n_heads, d_model, d_head, d_vocab }: ModelConfig): number {
  return n_layers * n_heads * 4 * d_model * d_head + d_model * d_vocab;
}

/** Multiply-adds of what comes through all pairs of heads, on so many tokens. */
function workOfPairs({ n_layers, n_heads, d_model, d_head }: ModelConfig, tokens: number): number {
  const heads = n_layers * n_heads;
  const pairs = (heads * heads) / 2;
  return pairs * d_model * d_head * (9 * d_head + 3 * tokens) + n_layers * heads * d_model * d_model * d_head * 2;
}

/** A number between two bounds. */
function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, Math.floor(value)));
}

/** The plan for a model. */
export function planFor(
  config: ModelConfig,
  hasBos: boolean,
  options: { readonly maxTokens?: number | undefined; readonly sampleLength?: number | undefined },
): Plan {
  const { n_ctx, n_layers, n_heads, d_vocab } = config;
  const work = workPerToken(config);
  const windowLength = Math.min(n_ctx, 512);
  const heads = n_layers * n_heads;
  const period = periodOf(config, hasBos);
  const ablatedLength = 2 * period + (hasBos ? 1 : 0);
  const ablatedSequences = clamp(6e7 / (work * Math.max(1, ablatedLength)), 1, 4);
  const runs = ABLATED_WORK / (work * Math.max(1, ablatedLength * ablatedSequences));
  // each token goes through the unembedding once for every order and layer
  const importancePerToken = work * (n_layers + 1);
  const importanceLength = Math.min(windowLength, clamp(IMPORTANCE_WORK / importancePerToken, 32, 64));
  const importanceWork = importancePerToken * importanceLength;
  const logits = importanceLength * d_vocab;
  return {
    textTokens: options.maxTokens ?? clamp(TEXT_WORK / work, 1024, 16384),
    windowLength,
    batch: clamp(4e6 / (windowLength * d_vocab), 1, 8),
    period,
    // two at least: heads are found by how one differs from another
    sequences: clamp(1.1e8 / (work * Math.max(1, ablatedLength)), 2, 8),
    ablatedRuns: clamp(runs, 8, heads + 3),
    ablatedSequences,
    importanceWindows: clamp(IMPORTANCE_WORK / importanceWork, 1, 16),
    importanceLength,
    // the logits of every single-head term are held at once
    importanceByHead: heads * logits <= 1.6e7,
    pairs: {
      moved: clamp(PAIRS_WORK / (work * 64), 1, 6),
      cut: clamp(CUT_WORK / (work * Math.max(1, ablatedLength * ablatedSequences)), 1, 12),
      restricted: workOfPairs(config, ablatedLength * ablatedSequences) <= ALL_PAIRS_WORK,
    },
    sampleLength: Math.min(options.sampleLength ?? (heads <= 32 ? 64 : heads <= 64 ? 48 : 32), n_ctx),
  };
}

/** Twice a period has to fit behind the BOS token, and there have to be tokens to draw from. */
function periodOf({ n_ctx, d_vocab }: ModelConfig, hasBos: boolean): number {
  const room = Math.floor((n_ctx - (hasBos ? 1 : 0)) / 2);
  const choices = d_vocab - (hasBos ? 1 : 0);
  return room < 2 || choices < 2 ? 0 : Math.min(50, room);
}
