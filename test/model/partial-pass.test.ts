/**
 * A partial pass against whole runs with edits: the last stream of random variants of random models, whatever the
 * position type, norm, biases, MLP and direction of attention; equal to the bit, but where patterns, scores or results
 * are put: two float32 runs that add in another order agree to 2e-5 of the largest entry.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { combineEdits, editAt } from "../../src/model/index.ts";
import type { Edits, HookName, Transformer } from "../../src/model/index.ts";
import { isNeeded, siteHook } from "../../src/model/base-run.ts";
import type { Change, PartialSite, Variant } from "../../src/model/base-run.ts";
import { partialPass } from "../../src/model/partial-pass.ts";
import type { PassOptions } from "../../src/model/partial-pass.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";

const exactSites: readonly PartialSite[] = [
  ...(["resid_pre", "q", "k", "v", "z", "attn_out", "resid_mid", "mlp_out", "resid_post"] as const),
];
const allSites: readonly PartialSite[] = [...exactSites, "attn_scores", "pattern", "result"];

/** The part of an activation that a change replaces, written out index by index. */
function replaced(value: Tensor, change: Change): Tensor {
  const data = Float32Array.from(value.data);
  const strides = value.shape.map((_, a) => value.shape.slice(a + 1).reduce((x, y) => x * y, 1));
  const axis = (name: string, index: number): number =>
    Math.floor(index / (strides[value.names.indexOf(name)] ?? 1)) % value.sizeOf(name);
  for (let i = 0; i < data.length; i++) {
    const position = value.names.includes("query_pos") ? axis("query_pos", i) : axis("pos", i);
    if (change.positions?.includes(position) === false) continue;
    if (change.heads?.includes(axis("head", i)) === false) continue;
    if (change.keys?.includes(axis("key_pos", i)) === false) continue;
    data[i] = change.source.data[i] as number;
  }
  return Tensor.from(value.axes, value.shape, data);
}

function editsOf(variant: Variant): Edits {
  return combineEdits(
    ...variant.map((change) =>
      editAt(siteHook(change.layer, change.site), ((value: Tensor) => replaced(value, change)) as never),
    ),
  );
}

interface Drawn {
  readonly layer: number;
  readonly site: PartialSite;
  readonly heads: readonly number[] | undefined;
  readonly positions: readonly number[] | undefined;
  readonly keys: readonly number[] | undefined;
}

const part = (max: number): fc.Arbitrary<number[] | undefined> =>
  fc.option(fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 2 }), { nil: undefined });

const drawn = (sites: readonly PartialSite[]): fc.Arbitrary<Drawn> =>
  fc.record({
    layer: fc.nat(2),
    site: fc.constantFrom(...sites),
    heads: part(2),
    positions: part(4),
    keys: part(4),
  });

const tokensOf = (model: Transformer, seed: number): number[][] =>
  [0, 1].map((b) => Array.from({ length: 5 }, (_, p) => (seed + 7 * b + 3 * p * p) % model.config.d_vocab));

/** A change that the model has the hook and the heads for. */
function changeOf(model: Transformer, source: ReturnType<Transformer["run"]>, one: Drawn): Change | undefined {
  const { n_layers, n_heads } = model.config;
  const layer = one.layer % n_layers;
  const name = siteHook(layer, one.site);
  if (!source.cache.has(name)) return undefined;
  const tensor: Tensor = source.cache.get(name);
  const perHead = tensor.names.includes("head");
  const isPattern = tensor.names.includes("key_pos");
  return {
    layer,
    site: one.site,
    source: Tensor.from(tensor.axes, tensor.shape, Float32Array.from(tensor.data)),
    heads: perHead ? one.heads?.map((h) => h % n_heads) : undefined,
    positions: one.positions,
    keys: isPattern ? one.keys : undefined,
  };
}

/** The last streams of variants at the positions that are read, `[variant][prompt][position]`. */
function streams(
  model: Transformer,
  tokens: number[][],
  variants: readonly Variant[],
  reads: readonly boolean[],
  options: Partial<PassOptions> = {},
): number[][][][] {
  const base = model.run(tokens, { cache: (name) => isNeeded(name) || /pattern|scores|result|mid/.test(name) });
  const [prompts = 0, pos = 0] = base.tokens.shape;
  const { d_model, n_layers } = model.config;
  const own: Tensor = base.cache.get(`blocks.${n_layers - 1}.hook_resid_post`);
  const out: number[][][][] = [];
  const all = { reads: Uint8Array.from({ length: prompts * pos }, (_, i) => Number(reads[i % pos])), ...options };
  partialPass(
    { model: model.inFloat32, tokens: base.tokens, cache: base.cache },
    variants,
    all,
    (rows, first, count) => {
      for (let v = 0; v < count; v++) {
        out[first + v] = Array.from({ length: prompts }, (_, b) =>
          Array.from({ length: pos }, (__, p) => {
            const row = rows.at((v * prompts + b) * pos + p);
            if (row >= 0) return [...rows.row(row)];
            return [...own.data.subarray((b * pos + p) * d_model, (b * pos + p + 1) * d_model)];
          }),
        );
      }
    },
  );
  return out;
}

/** The largest difference at positions that are read, relative to the largest entry; NaN where an entry is not finite. */
function furthest(actual: number[][][], expected: Tensor, reads: readonly boolean[]): number {
  const [prompts = 0, pos = 0, d = 0] = expected.shape;
  let [worst, largest] = [0, 1];
  for (let b = 0; b < prompts; b++) {
    for (let p = 0; p < pos; p++) {
      if (reads[p] !== true) continue;
      const row = actual[b]?.[p] ?? [];
      for (let e = 0; e < d; e++) {
        const want = expected.data[(b * pos + p) * d + e] as number;
        largest = Math.max(largest, Math.abs(want));
        worst = Math.max(worst, Math.abs((row[e] ?? NaN) - want));
      }
    }
  }
  return worst / largest;
}

describe("partialPass is a whole run with edits", () => {
  it.each([
    ["attention-only, to the bit", modelOptions, exactSites, 0, 1],
    ["with MLPs, to the bit", mlpModelOptions, exactSites, 0, 2],
    ["attention-only (2e-5 of the largest entry)", modelOptions, allSites, 2e-5, 3],
    ["with MLPs (2e-5 of the largest entry)", mlpModelOptions, allSites, 2e-5, 4],
  ] as const)("of random models %s", (_, options, sites, bound, seed) => {
    fc.assert(
      fc.property(
        options.filter(({ n_layers }) => n_layers > 0),
        fc.array(fc.array(drawn(sites), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }).filter((reads) => reads.includes(true)),
        fc.boolean(),
        (given, variantsDrawn, reads, isBidirectional) => {
          const direction = isBidirectional ? { attention_dir: "bidirectional" } : {};
          const model = randomModel({ ...given, config: direction });
          const tokens = tokensOf(model, 1);
          const source = model.run(tokensOf(model, 2));
          const variants = variantsDrawn.map((changes) =>
            changes.map((one) => changeOf(model, source, one)).filter((change) => change !== undefined),
          );
          const actual = streams(model, tokens, variants, reads);
          const last: HookName = `blocks.${model.config.n_layers - 1}.hook_resid_post`;
          for (const [v, variant] of variants.entries()) {
            const whole = model.run(tokens, { edits: editsOf(variant), cache: [last] });
            expect(furthest(actual[v] ?? [], whole.cache.get(last), reads)).toBeLessThanOrEqual(bound);
          }
        },
      ),
      runs(seed, 100),
    );
  });

  it("of a model of many rows and wide products, over places of every layer, to the bit", () => {
    const model = randomModel({ n_heads: 4, d_model: 264, d_head: 20, n_ctx: 40, d_vocab: 50, norm: "LN", bias: true });
    const prompt = (seed: number): number[][] => [Array.from({ length: 40 }, (_, p) => (seed * 11 + p * p) % 50)];
    const source = model.run(prompt(2));
    const places = [0, 1, 17, 38, 39];
    const variants = [0, 1].flatMap((layer) =>
      (["resid_pre", "k", "z"] as const).flatMap((site) =>
        places.map((p): Variant => {
          const tensor: Tensor = source.cache.get(siteHook(layer, site));
          return [{ layer, site, source: tensor, positions: [p], heads: site === "resid_pre" ? undefined : [1] }];
        }),
      ),
    );
    const reads = Array.from({ length: 40 }, (_, p) => p % 3 === 0);
    const actual = streams(model, prompt(1), variants, reads);
    for (const [v, variant] of variants.entries()) {
      const whole = model.run(prompt(1), { edits: editsOf(variant) });
      expect(furthest(actual[v] ?? [], whole.cache.get("blocks.1.hook_resid_post"), reads)).toBe(0);
    }
  });

  it("with patterns kept is a run in which they are put", () => {
    const model = randomModel({ n_layers: 3, norm: "RMS", bias: true, position: "rotary" });
    const tokens = tokensOf(model, 1);
    const clean = model.run(tokens);
    const source = model.run(tokensOf(model, 2));
    const variants = [0, 1, 2].map((layer): Variant => [
      { layer, site: "z", source: source.cache.get(`blocks.${layer}.attn.hook_z`), heads: [1] },
    ]);
    const reads = [false, true, false, true, true];
    const actual = streams(model, tokens, variants, reads, { patterns: "kept" });
    const kept = [0, 1, 2].map((layer) => {
      const name = `blocks.${layer}.attn.hook_pattern` as const;
      return editAt(name, () => clean.cache.get(name));
    });
    for (const [v, variant] of variants.entries()) {
      const whole = model.run(tokens, { edits: combineEdits(...kept, editsOf(variant)) });
      expect(furthest(actual[v] ?? [], whole.cache.get("blocks.2.hook_resid_post"), reads)).toBeLessThan(2e-5);
    }
  });
});
