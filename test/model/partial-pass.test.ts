/**
 * A partial pass against whole runs with edits: the last stream of random variants of random models, whatever the
 * position type, norm, biases, MLP and direction of attention. Streams are near 1 to 10; two float32 runs that add in
 * another order agree to 2e-5 of the largest entry.
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

const allSites: readonly PartialSite[] = [
  ...(["resid_pre", "q", "k", "v", "attn_scores", "pattern", "z", "result"] as const),
  ...(["attn_out", "resid_mid", "mlp_out", "resid_post"] as const),
];

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

const drawn: fc.Arbitrary<Drawn> = fc.record({
  layer: fc.nat(2),
  site: fc.constantFrom(...allSites),
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

/** The largest difference at positions that are read, relative to the largest entry. */
function furthest(actual: number[][][], expected: Tensor, reads: readonly boolean[]): number {
  const [prompts = 0, pos = 0, d = 0] = expected.shape;
  let [worst, largest] = [0, 1];
  for (let b = 0; b < prompts; b++) {
    for (let p = 0; p < pos; p++) {
      if (reads[p] !== true) continue;
      for (let e = 0; e < d; e++) {
        const want = expected.at(b, p, e);
        largest = Math.max(largest, Math.abs(want));
        worst = Math.max(worst, Math.abs((actual[b]?.[p]?.[e] ?? NaN) - want));
        expect(Number.isFinite(actual[b]?.[p]?.[e])).toBe(true);
      }
    }
  }
  return worst / largest;
}

describe("partialPass is a whole run with edits (2e-5 of the largest entry)", () => {
  it.each([
    ["attention-only", modelOptions, 1],
    ["with MLPs", mlpModelOptions, 2],
  ] as const)("of random %s models", (_, options, seed) => {
    fc.assert(
      fc.property(
        options.filter(({ n_layers }) => n_layers > 0),
        fc.array(fc.array(drawn, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
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
            const whole = model.run(tokens, { edits: editsOf(variant) });
            expect(furthest(actual[v] ?? [], whole.cache.get(last), reads)).toBeLessThan(2e-5);
          }
        },
      ),
      runs(seed, 150),
    );
  });
});
