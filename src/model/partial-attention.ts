/** The outputs of heads in runs that differ from a base run in some queries, keys, values or patterns. */
import { kernels, matrix } from "../kernels/index.ts";
import { rawData } from "../tensor/internal.ts";
import type { FloatArray } from "../tensor/internal.ts";
import type { AttentionLayer } from "./attention.ts";
import { textRange } from "./attention-mask.ts";
import type { PaddingMask } from "./attention-mask.ts";
import type { ModelConfig } from "./model-config.ts";
import type { Placed } from "./base-run.ts";
import { isWindowed } from "./key-value-heads.ts";
import { Rows } from "./partial-rows.ts";
import type { Frame } from "./partial-rows.ts";

interface Attended {
  readonly layer: AttentionLayer;
  readonly config: ModelConfig;
  readonly frame: Frame;
  readonly mask: PaddingMask | undefined;
  /** Where they differ. */
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
  /** Of each run, the heads that differ, `[run, head]`. */
  readonly heads: Uint8Array;
  /** An activation of the base run. */
  readonly base: (hook: string) => FloatArray;
  readonly keepsPatterns: boolean;
  /** Changes of scores and of patterns. */
  readonly patterns: readonly Placed[];
  /** Where outputs are asked for, ascending. */
  readonly places: Int32Array;
}

/** Keys or values of one run, where they lie. */
interface Vectors {
  readonly data: FloatArray;
  readonly offset: number;
}

/** One run: its rows of `z` and of its queries, and its keys and values. */
interface OneRun {
  readonly run: number;
  readonly from: number;
  readonly to: number;
  readonly queries: Rows;
  readonly keys: Vectors;
  readonly values: Vectors;
  readonly z: Rows;
}

/** The heads' outputs at the places; where a head does not differ, those of the base run. */
export function attendRows(args: Attended): Rows {
  const { frame, config, places, q, k, v, base } = args;
  const width = config.n_heads * config.d_head;
  const z = new Rows(frame, new Int32Array(0), width).spread(places, base("attn.hook_z"));
  if (places.length === 0) return z;
  const turned = config.positional_embedding_type === "rotary" ? "rot_" : "";
  const queries = q.spread(places, base(`attn.hook_${turned}q`));
  const [baseK, baseV] = [base(`attn.hook_${turned}k`), base("attn.hook_v")];
  const scratch = [0, 1].map(() => frame.take("float32", frame.pos * width)) as [FloatArray, FloatArray];
  const changed = new Map<number, Placed[]>();
  for (const one of args.patterns) changed.set(one.run, [...(changed.get(one.run) ?? []), one]);
  for (let run = 0; run < frame.runs; run++) {
    const [from, to] = z.ofRun(run);
    const patterns = changed.get(run);
    const differs = [q, k, v].some((rows) => rows.isIn(run));
    if (from === to || (!differs && patterns === undefined)) continue;
    const keys = whole(k, run, baseK, scratch[0]);
    const values = whole(v, run, baseV, scratch[1]);
    const one = { run, from, to, queries, keys, values, z };
    if (differs) attend(args, one);
    if (patterns !== undefined) attendChanged(args, one, patterns);
  }
  return z;
}

/** All keys or values of a run: the base run's where none differ. */
function whole(rows: Rows, run: number, base: FloatArray, scratch: FloatArray): Vectors {
  const { pos, prompts } = rows.frame;
  const size = pos * rows.width;
  const offset = (run % prompts) * size;
  if (!rows.isIn(run)) return { data: base, offset };
  const [from, to] = rows.ofRun(run);
  // All of them, in order.
  if (to - from === pos) return { data: rows.data, offset: from * rows.width };
  scratch.set(base.subarray(offset, offset + size));
  for (let row = from; row < to; row++) scratch.set(rows.row(row), ((rows.places[row] as number) % pos) * rows.width);
  return { data: scratch, offset: 0 };
}

/** Stretches of heads that differ in a run, as the first and how many. */
function stretches(flags: Uint8Array, run: number, count: number): (readonly [number, number])[] {
  const out: (readonly [number, number])[] = [];
  for (let h = 0; h < count; h++) {
    let end = h;
    while (end < count && flags[run * count + end] === 1) end++;
    if (end > h) out.push([h, end - h]);
    h = end;
  }
  return out;
}

/** Attention of one run, a stretch of neighbouring queries and of neighbouring heads at a time. */
function attend(args: Attended, one: OneRun): void {
  const { frame, config, heads } = args;
  const { pos } = frame;
  const { z } = one;
  for (let start = one.from, end = start; start < one.to; start = end) {
    const first = (z.places[start] as number) % pos;
    // Beyond a window each query has keys of its own.
    const most = isWindowed(args.layer, pos) ? start + 1 : one.to;
    end++;
    while (end < most && (z.places[end] as number) % pos === first + end - start) end++;
    for (const [head, count] of stretches(heads, one.run, config.n_heads)) {
      const stretch = { row: start, count: end - start, first, head, heads: count };
      if (args.keepsPatterns) weightKept(args, one, stretch);
      else attendStretch(args, one, stretch);
    }
  }
}

/** Neighbouring queries, of which the kernel computes those that see nothing but their own prompt's text. */
function attendStretch(args: Attended, one: OneRun, stretch: Stretch): void {
  const { config, frame, mask } = args;
  const { pos, prompts } = frame;
  const range = textRange(mask, one.run % prompts, pos);
  const isCausal = config.attention_dir === "causal";
  const [from, to] = range === undefined ? [pos, pos] : isCausal ? range : [0, pos];
  const first = Math.max(stretch.first, from);
  const count = Math.min(stretch.first + stretch.count, to) - first;
  const row = stretch.row + first - stretch.first;
  if (range !== undefined && count > 0) attendInText(args, one, { ...stretch, row, first, count }, range);
  for (let i = 0; i < stretch.count; i++) {
    const query = stretch.first + i;
    if (count > 0 && query >= first && query < first + count) continue;
    for (let head = stretch.head; head < stretch.head + stretch.heads; head++) {
      const weights = scoresOf(args, one, stretch.row + i, query, head);
      softmaxInPlace(weights);
      writeWeighted(config, one, stretch.row + i, head, weights);
    }
  }
}

/** Neighbouring rows of `z`, whose first is of a position, and neighbouring heads. */
interface Stretch {
  readonly row: number;
  readonly count: number;
  readonly first: number;
  readonly head: number;
  readonly heads: number;
}

/** Queries that see the keys of their prompt's text, `from` to `to`. */
function attendInText(
  { layer, config }: Attended,
  one: OneRun,
  { row, count, first, head, heads }: Stretch,
  [from, to]: readonly [number, number],
): void {
  const { d_head: width, attention_dir } = config;
  const isCausal = attention_dir === "causal";
  const rowStride = one.z.width;
  const strides = { batchStride: 0, headStride: width, rowStride };
  const { window = Infinity } = layer;
  const key = Math.max(from, first + count - Math.max(window, count));
  const [start, column] = [row * rowStride + head * width, key * rowStride + head * width];
  const keys = isCausal ? first + count - key : to - from;
  kernels().attention({
    ...{ batch: 1, heads, queries: count, keys, width, valueWidth: width },
    q: { data: one.queries.data, offset: start, ...strides },
    k: { data: one.keys.data, offset: one.keys.offset + column, ...strides },
    v: { data: one.values.data, offset: one.values.offset + column, ...strides },
    out: { data: one.z.data, offset: start, ...strides },
    scale: Math.fround(layer.attnScale),
    isCausal,
    queryOffset: first - key,
  });
}

/** Values weighted by the base run's pattern. */
function weightKept(args: Attended, one: OneRun, { row, count, first, head, heads }: Stretch): void {
  const { config, frame } = args;
  const { pos, prompts } = frame;
  const { d_head: width, n_heads, attention_dir } = config;
  const pattern = ((one.run % prompts) * n_heads + head) * pos * pos + first * pos;
  kernels().matmul({
    ...{ batch: heads, m: count, n: width, k: attention_dir === "causal" ? first + count : pos },
    a: matrix(args.base("attn.hook_pattern"), pos, pos * pos, pattern),
    b: matrix(one.values.data, one.z.width, width, one.values.offset + head * width),
    out: matrix(one.z.data, one.z.width, width, row * one.z.width + head * width),
  });
}

/** The outputs of heads whose scores or patterns were changed, a query at a time. */
function attendChanged(args: Attended, one: OneRun, changes: readonly Placed[]): void {
  const { frame, config } = args;
  const { pos, prompts } = frame;
  const { n_heads } = config;
  for (let head = 0; head < n_heads; head++) {
    const ofHead = changes.filter(({ change: { heads } }) => heads?.includes(head) ?? true);
    if (ofHead.length === 0) continue;
    for (let row = one.from; row < one.to; row++) {
      const query = (one.z.places[row] as number) % pos;
      const ofQuery = ofHead.filter(({ change: { positions } }) => positions?.includes(query) ?? true);
      if (ofQuery.length === 0) continue;
      const put = (site: "attn_scores" | "pattern", into: Float64Array): void => {
        for (const { change } of ofQuery) {
          if (change.site !== site) continue;
          const source = rawData(change.source);
          const start = (((one.run % prompts) * n_heads + head) * pos + query) * pos;
          for (const key of change.keys ?? into.keys()) into[key] = source[start + key] as number;
        }
      };
      const isWhole = ofQuery.some(({ change: { site, keys } }) => site === "pattern" && keys === undefined);
      const weights = isWhole ? new Float64Array(pos) : scoresOf(args, one, row, query, head);
      if (!isWhole) put("attn_scores", weights);
      if (!isWhole) softmaxInPlace(weights);
      put("pattern", weights);
      writeWeighted(config, one, row, head, weights);
    }
  }
}

/** Writes what a head gives where it weighs values so. */
function writeWeighted({ d_head }: ModelConfig, one: OneRun, row: number, head: number, weights: Float64Array): void {
  const at = row * one.z.width + head * d_head;
  for (let e = 0; e < d_head; e++) {
    let sum = 0;
    for (const [key, weight] of weights.entries()) {
      if (weight === 0) continue;
      sum += weight * (one.values.data[one.values.offset + key * one.z.width + head * d_head + e] as number);
    }
    one.z.data[at + e] = sum;
  }
}

/** The scores of one query; -Infinity for keys that it does not see. */
function scoresOf(
  { layer, config, frame, mask }: Attended,
  one: OneRun,
  row: number,
  query: number,
  head: number,
): Float64Array {
  const { d_head, attention_dir } = config;
  const out = new Float64Array(frame.pos).fill(-Infinity);
  const seen = attention_dir === "causal" ? query + 1 : frame.pos;
  const from = row * one.z.width + head * d_head;
  const ownMask = (one.run % frame.prompts) * frame.pos;
  for (let key = Math.max(0, seen - (layer.window ?? seen)); key < seen; key++) {
    if (mask?.visible[ownMask + key] === 0) continue;
    const at = one.keys.offset + key * one.z.width + head * d_head;
    let sum = 0;
    for (let e = 0; e < d_head; e++) sum += (one.queries.data[from + e] as number) * (one.keys.data[at + e] as number);
    out[key] = sum / layer.attnScale;
  }
  return out;
}

function softmaxInPlace(scores: Float64Array): void {
  let max = -Infinity;
  for (const score of scores) if (score > max) max = score;
  // A query that sees nothing gives nothing.
  if (max === -Infinity) {
    scores.fill(0);
    return;
  }
  let sum = 0;
  for (const [i, score] of scores.entries()) sum += scores[i] = Math.exp(score - max);
  for (const [i, score] of scores.entries()) scores[i] = score / sum;
}
