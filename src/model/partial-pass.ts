/**
 * A run again, as far as changes reach: many variants of one base run, each with activations changed somewhere, side by
 * side as rows of the same products.
 *
 * Nothing before the first change is computed. In causal models no position before the earliest changed one is: its
 * keys and values are the base run's. Of a head whose queries, keys, values, pattern or output alone were changed, that
 * head attends anew. The last layer gives the positions that are read and no others. At 64 positions that makes a sweep
 * over positions of the stream some 100 times as fast as a run each.
 *
 * The numbers are those of an edited run, to the bit; where patterns, scores or results are put, which float64 sums
 * follow here, to the rounding of float32.
 */
import { rawData, withWorkspace } from "../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AttentionLayer } from "./attention.ts";
import type { HookName } from "./hooks.ts";
import { siteHook } from "./base-run.ts";
import type { BaseRun, Change, PartialSite, Placed, Variant } from "./base-run.ts";
import { project, writeHeads } from "./head-products.ts";
import { ofEachHead } from "./key-value-heads.ts";
import { mlpAdds } from "./mlp.ts";
import type { ModelConfig } from "./model-config.ts";
import { attendRows } from "./partial-attention.ts";
import { addTo, asHeads, asStream, headInputs, like, ofHeads, placeOf, sum } from "./partial-inputs.ts";
import { Places, Rows } from "./partial-rows.ts";
import type { Frame } from "./partial-rows.ts";
import { rotateRows } from "./rotary.ts";

/** What a pass computes anew and what it keeps. */
export interface PassOptions {
  /** Which positions of the last stream are read, `[prompt, pos]`. */
  readonly reads: Uint8Array;
  /** Whether heads look where they then would, or where they did in the base run, which has kept its patterns. */
  readonly patterns?: "recomputed" | "kept" | undefined;
  /** Heads that read a changed stream; the others give what they gave. All unless given. */
  readonly liveHeads?: ((layer: number) => readonly number[]) | undefined;
  /** Whether a layer's MLP reads a changed stream; all do unless given. */
  readonly liveMlps?: ((layer: number) => boolean) | undefined;
  /** The layer before which the pass ends, its rows then those of the stream there. */
  readonly until?: number | undefined;
  /** Looks at the stream before each layer, where it differs, in a batch that begins with a variant. */
  readonly onStream?: ((layer: number, rows: Rows, first: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Numbers in the working arrays of one batch, at most. */
const MOST_NUMBERS = 2 ** 24;

/**
 * Runs variants in batches and hands on the last stream of each, at the places that are read and differ; rows may not
 * be kept.
 *
 * @param onBatch - gets the rows, the index of the batch's first variant, and how many there are.
 */
export function partialPass(
  base: BaseRun,
  variants: readonly Variant[],
  options: PassOptions,
  onBatch: (rows: Rows, first: number, count: number) => void,
): void {
  const { config } = base.model;
  const [prompts = 0, pos = 0] = base.tokens.shape;
  const perRow = 12 * config.d_model + 6 * config.n_heads * config.d_head + 3 * (config.d_mlp ?? 0);
  const most = Math.max(1, Math.floor(MOST_NUMBERS / perRow));
  for (let first = 0, count = 0; first < variants.length; first += count) {
    let rows = 0;
    for (count = 0; first + count < variants.length; count++) {
      rows += prompts * (pos - firstPosition(config.attention_dir, variants[first + count] as Variant));
      if (count > 0 && (rows > most || (count + 1) * prompts * pos > MOST_NUMBERS / 16)) break;
    }
    const batch = variants.slice(first, first + count);
    withWorkspace((take) => {
      const pass = new Pass(base, batch, options, first, take);
      onBatch(pass.run(), first, count);
    });
  }
}

function firstPosition(direction: string, variant: Variant): number {
  return direction === "causal" ? Math.min(...variant.map(({ positions }) => Math.min(...(positions ?? [0])))) : 0;
}

/** One batch of variants. */
class Pass {
  readonly #base: BaseRun;
  readonly #options: PassOptions;
  readonly #first: number;
  readonly #frame: Frame;
  readonly #changes = new Map<string, Placed[]>();
  /** Of each prompt, the last position that what is read depends on. */
  readonly #limits: readonly number[];
  readonly #isCausal: boolean;

  constructor(base: BaseRun, variants: readonly Variant[], options: PassOptions, first: number, take: TakeArray) {
    const [prompts = 0, pos = 0] = base.tokens.shape;
    this.#base = base;
    this.#options = options;
    this.#first = first;
    this.#frame = { runs: variants.length * prompts, prompts, pos, take };
    this.#isCausal = base.model.config.attention_dir === "causal";
    this.#limits = Array.from({ length: prompts }, (_, b) =>
      this.#isCausal ? options.reads.subarray(b * pos, (b + 1) * pos).lastIndexOf(1) : pos - 1,
    );
    for (const [v, variant] of variants.entries()) {
      for (const given of variant) {
        const change = ofAllHeads(given, base.model.config);
        const key = `${change.layer}.${change.site}`;
        const placed = this.#changes.get(key) ?? [];
        for (let b = 0; b < prompts; b++) placed.push({ run: v * prompts + b, change });
        this.#changes.set(key, placed);
      }
    }
  }

  run(): Rows {
    const { model } = this.#base;
    const { signal, onStream, until } = this.#options;
    let rows = this.#none(model.config.d_model);
    for (const layer of model.layers) {
      signal?.throwIfAborted();
      const resid = this.#put(layer.layer, "resid_pre", rows);
      onStream?.(layer.layer, resid, this.#first);
      if (layer.layer === until) return resid;
      rows = resid.count > 0 || this.#isChangedIn(layer.layer) ? this.#throughLayer(layer, resid) : resid;
    }
    return rows;
  }

  #isChangedIn(layer: number): boolean {
    return [...this.#changes.keys()].some((key) => key.startsWith(`${layer}.`));
  }

  #none(width: number): Rows {
    return new Rows(this.#frame, new Int32Array(0), width);
  }

  #baseOf(layer: number, hook: string): FloatArray {
    return rawData(this.#base.cache.get(`blocks.${layer}.${hook}` as HookName)) as FloatArray;
  }

  /** An activation of the base run, keys and values for each head. */
  #ofHeads(layer: number, hook: string): FloatArray {
    const { config } = this.#base.model;
    if (config.n_key_value_heads === undefined || !/hook_(rot_)?[kv]$/.test(hook)) return this.#baseOf(layer, hook);
    const shared: Tensor = this.#base.cache.get(`blocks.${layer}.${hook}` as HookName);
    return rawData(ofEachHead(shared, config.n_heads)) as FloatArray;
  }

  #placed(layer: number, ...sites: readonly PartialSite[]): Placed[] {
    return sites.flatMap((site) => this.#changes.get(`${layer}.${site}`) ?? []);
  }

  /** The places of a change that anything read depends on. */
  #eachPlace({ run, change }: Placed, visit: (place: number, position: number) => void): void {
    const { pos, prompts } = this.#frame;
    const limit = this.#limits[run % prompts] as number;
    if (change.positions === undefined) for (let p = 0; p <= limit; p++) visit(run * pos + p, p);
    else for (const p of change.positions) if (p <= limit) visit(run * pos + p, p);
  }

  /** Rows with what changes put at a site. */
  #put(layer: number, site: PartialSite, rows: Rows): Rows {
    const placed = this.#placed(layer, site);
    if (placed.length === 0) return rows;
    const places = new Places(this.#frame).addAll(rows.places);
    for (const one of placed) this.#eachPlace(one, (place) => places.add(place));
    const { n_heads } = this.#base.model.config;
    const before: Tensor = this.#base.cache.get(siteHook(layer, site));
    const each = site === "k" || site === "v" ? ofEachHead(before, n_heads) : before;
    const out = rows.spread(places.sorted(), rawData(each) as FloatArray);
    this.#write(placed, out);
    return out;
  }

  #write(placed: readonly Placed[], out: Rows): void {
    const { n_heads } = this.#base.model.config;
    const { pos, prompts } = this.#frame;
    for (const one of placed) {
      const source = rawData(one.change.source) as FloatArray;
      const { heads } = one.change;
      const width = heads === undefined ? out.width : out.width / n_heads;
      this.#eachPlace(one, (place) => {
        const row = out.at(place);
        if (row < 0) return;
        const from = (place % (prompts * pos)) * out.width;
        // A loop: views for so few numbers would take longer.
        for (const h of heads ?? [0]) {
          const [start, to] = [from + h * width, row * out.width + h * width];
          for (let i = 0; i < width; i++) out.data[to + i] = source[start + i] as number;
        }
      });
    }
  }

  /** Whether an activation of the last layer is read. */
  readonly #isRead = (place: number): boolean =>
    this.#options.reads[place % (this.#frame.prompts * this.#frame.pos)] === 1;

  #throughLayer(layer: AttentionLayer, resid: Rows): Rows {
    const { config, layers } = this.#base.model;
    const at = layer.layer;
    const isLast = at === layers.length - 1;
    const attn = this.#put(at, "attn_out", this.#attention(layer, resid, isLast));
    const after = this.#placed(at, "resid_mid", "mlp_out", "resid_post");
    const marked = new Places(this.#frame).addAll(resid.places).addAll(attn.places);
    for (const one of after) this.#eachPlace(one, (place) => marked.add(place));
    const places = isLast ? marked.sorted().filter(this.#isRead) : marked.sorted();
    const before = resid.spread(places, this.#baseOf(at, "hook_resid_pre"));
    const mid = sum(before, attn.spread(places, this.#baseOf(at, "hook_attn_out")));
    this.#write(this.#placed(at, "resid_mid"), mid);
    if (layer.mlp === undefined) return this.#written(at, mid);
    const input = config.parallel_attn_mlp === true ? resid.where((place) => !isLast || this.#isRead(place)) : mid;
    const isFrozen = this.#options.liveMlps?.(at) === false || input.count === 0;
    const out = isFrozen ? this.#none(config.d_model) : like(input, mlpAdds(layer.mlp, asStream(input)));
    const written = out.spread(places, this.#baseOf(at, "hook_mlp_out"));
    this.#write(this.#placed(at, "mlp_out"), written);
    return this.#written(at, sum(mid, written));
  }

  #written(layer: number, post: Rows): Rows {
    this.#write(this.#placed(layer, "resid_post"), post);
    return post;
  }

  /** What attention adds to the stream, where that differs. */
  #attention(layer: AttentionLayer, resid: Rows, isLast: boolean): Rows {
    const at = layer.layer;
    const { config } = this.#base.model;
    const live = this.#options.liveHeads?.(at);
    const heads = this.#headsThatDiffer(layer, resid, live);
    const vectors = this.#vectors(layer, resid, isLast, live?.length === 0);
    const z = attendRows({
      layer,
      config,
      frame: this.#frame,
      mask: this.#base.mask,
      ...vectors,
      heads,
      base: (hook) => this.#ofHeads(at, hook),
      keepsPatterns: this.#options.patterns === "kept",
      patterns: this.#placed(at, "pattern", "attn_scores"),
      places: this.#attendedPlaces(at, vectors, isLast),
    });
    this.#write(this.#placed(at, "z"), z);
    const results = this.#placed(at, "result");
    const width = config.d_head;
    for (const one of results) {
      this.#eachPlace(one, (place) => {
        const row = z.at(place);
        const chosen = one.change.heads ?? layer.heads.map(({ head }) => head);
        if (row >= 0) for (const h of chosen) z.row(row).fill(0, h * width, (h + 1) * width);
      });
    }
    if (z.count === 0) return this.#none(config.d_model);
    const attn = like(z, writeHeads(layer, asHeads(z, config.n_heads)), config.d_model);
    this.#addResults(layer, results, attn);
    return attn;
  }

  /** Adds what is put in the place of heads' results, of several for one the last. */
  #addResults(layer: AttentionLayer, results: readonly Placed[], attn: Rows): void {
    const { n_heads, d_model } = this.#base.model.config;
    const isDone = new Set<number>();
    for (const one of [...results].reverse()) {
      const source = rawData(one.change.source) as FloatArray;
      this.#eachPlace(one, (place) => {
        const row = attn.at(place);
        if (row < 0) return;
        const from = (place % (this.#frame.prompts * this.#frame.pos)) * n_heads;
        for (const h of one.change.heads ?? layer.heads.map(({ head }) => head)) {
          if (isDone.has(place * n_heads + h)) continue;
          isDone.add(place * n_heads + h);
          addTo(attn.row(row), source.subarray((from + h) * d_model, (from + h + 1) * d_model));
        }
      });
    }
  }

  /** Of each run, the heads whose output may differ, `[run, head]`. */
  #headsThatDiffer(layer: AttentionLayer, resid: Rows, live: readonly number[] | undefined): Uint8Array {
    const { runs, pos } = this.#frame;
    const count = layer.heads.length;
    const all = layer.heads.map(({ head }) => head);
    const out = new Uint8Array(runs * count);
    let last = -1;
    for (const place of resid.places) {
      const run = Math.floor(place / pos);
      if (run === last) continue;
      last = run;
      for (const h of live ?? all) out[run * count + h] = 1;
    }
    for (const { run, change } of this.#placed(layer.layer, "q", "k", "v", "attn_scores", "pattern", "z", "result")) {
      for (const h of change.heads ?? all) out[run * count + h] = 1;
    }
    return out;
  }

  /** Queries, keys and values where they differ, rotated to their positions. */
  #vectors(layer: AttentionLayer, resid: Rows, isLast: boolean, isFrozen: boolean): HeadRows {
    const { config } = this.#base.model;
    const at = layer.layer;
    const width = config.n_heads * config.d_head;
    const none = this.#none(width);
    let [q, k, v] = [none, none, none];
    if (resid.count > 0 && !isFrozen) {
      const read = headInputs(this.#base, layer, resid);
      v = ofHeads(resid, project(asStream(read.values), layer.W_V, layer.b_V));
      if (this.#options.patterns !== "kept") {
        k = ofHeads(resid, project(asStream(read.scores), layer.W_K, layer.b_K));
        const asking = isLast ? read.scores.where(this.#isRead) : read.scores;
        if (asking.count > 0) q = ofHeads(asking, project(asStream(asking), layer.W_Q, layer.b_Q));
      }
    }
    [q, k, v] = [this.#put(at, "q", q), this.#put(at, "k", k), this.#put(at, "v", v)];
    if (config.positional_embedding_type === "rotary") {
      for (const { data, places } of [q, k]) {
        rotateRows(
          data,
          places.map((place) => placeOf(this.#base, place)),
          config,
          config.n_heads,
        );
      }
    }
    return { q, k, v };
  }

  /** Where outputs of heads may differ: from the first changed key or value on, and where something else changed. */
  #attendedPlaces(layer: number, { q, k, v }: HeadRows, isLast: boolean): Int32Array {
    const { pos, prompts } = this.#frame;
    const places = new Places(this.#frame).addAll(q.places);
    for (const { places: changed } of [k, v]) {
      let last = -1;
      for (const place of changed) {
        const run = Math.floor(place / pos);
        if (run === last) continue;
        last = run;
        const end = run * pos + (this.#limits[run % prompts] as number);
        for (let later = this.#isCausal ? place : run * pos; later <= end; later++) places.add(later);
      }
    }
    for (const one of this.#placed(layer, "attn_scores", "pattern", "z", "result")) {
      this.#eachPlace(one, (place) => places.add(place));
    }
    return isLast ? places.sorted().filter(this.#isRead) : places.sorted();
  }
}

/** A change of shared keys or values as one of each head's. */
function ofAllHeads(change: Change, { n_heads, n_key_value_heads = n_heads }: ModelConfig): Change {
  if (n_key_value_heads === n_heads || (change.site !== "k" && change.site !== "v")) return change;
  const sharing = n_heads / n_key_value_heads;
  const heads = change.heads?.flatMap((group) => Array.from({ length: sharing }, (_, i) => group * sharing + i));
  return { ...change, source: ofEachHead(change.source, n_heads), heads };
}

/** Queries, keys and values where they differ. */
interface HeadRows {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
}
