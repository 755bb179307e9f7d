/** What a run keeps, what edits do to it, and what is refused. */
import { describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../src/errors.ts";
import { combineEdits, editAt, hookNames } from "../../src/model/index.ts";
import type { Edits, HookName, Transformer } from "../../src/model/index.ts";
import { add, concat, map, maxAbsDifference, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const shortformer = randomModel({ bias: true });
const rotary = randomModel({ position: "rotary", norm: "LN", bias: true });
const standard = randomModel({ position: "standard", norm: "RMS", bias: true });
const withMlps = randomModel({ position: "standard", norm: "LN", bias: true, mlp: "solu_ln" });
const parallel = randomModel({ position: "rotary", norm: "LN", bias: true, mlp: "gelu", parallel: true });

/** The slice of one head set to zero. */
function zeroHead<A extends string>(t: Tensor<A>, head: number): Tensor<A> {
  const heads = t.shape[t.names.indexOf("head")] ?? 0;
  const untyped: Tensor = t;
  const parts = Array.from({ length: heads }, (_, h) => {
    const one = untyped.slice("head", h, h + 1);
    return h === head ? map(one, () => 0) : one;
  });
  return concat("head", parts) as Tensor<A>;
}

describe("edits that change nothing", () => {
  const models: [string, Transformer][] = [
    ["shortformer", shortformer],
    ["rotary, LN", rotary],
    ["standard, RMS", standard],
    ["MLPs after the attention", withMlps],
    ["MLPs beside the attention", parallel],
  ];
  for (const [name, model] of models) {
    const plain = model.forward(tokens);
    const splits = /hook_(attn_in|[qkv]_input|result)$/;
    test.each(hookNames(model.config).filter((hook) => !splits.test(hook)))(
      `${name}: an identity edit of %s leaves the logits bit-equal`,
      (hook) => {
        const edits = { [hook]: (value: Tensor) => value } as Edits;
        expect(model.run(tokens, { edits, cache: [] }).logits.toNested()).toEqual(plain.toNested());
      },
    );

    // These edits make the run sum the same numbers in another order: some float32 roundings of numbers up to about 10.
    test.each(hookNames(model.config).filter((hook) => splits.test(hook)))(
      `${name}: an identity edit of %s leaves the logits equal within 1e-5`,
      (hook) => {
        const edits = { [hook]: (value: Tensor) => value } as Edits;
        expectClose(model.run(tokens, { edits, cache: [] }).logits, plain, { atol: 1e-5 });
      },
    );
  }
});

describe("hooks of MLPs", () => {
  const inLayer0 = (model: Transformer): string[] =>
    hookNames(model.config).flatMap((name) => /^blocks\.0\.(.*(?:mlp|ln2|resid_mid).*)$/.exec(name)?.[1] ?? []);

  test("fire in TransformerLens's order and under its names", () => {
    expect(inLayer0(withMlps)).toEqual([
      "hook_resid_mid",
      "hook_mlp_in",
      "ln2.hook_scale",
      "ln2.hook_normalized",
      "mlp.hook_pre",
      "mlp.hook_mid",
      "mlp.ln.hook_scale",
      "mlp.ln.hook_normalized",
      "mlp.hook_post",
      "hook_mlp_out",
    ]);
    expect(inLayer0(parallel)).toEqual([
      "hook_mlp_in",
      "ln2.hook_scale",
      "ln2.hook_normalized",
      "mlp.hook_pre",
      "mlp.hook_post",
      "hook_mlp_out",
    ]);
    expect(inLayer0(standard)).toEqual([]);
  });

  test("silent neurons write b_out alone, and a silent MLP leaves the middle of the stream", () => {
    const zero = <A extends string>(t: Tensor<A>): Tensor<A> => map(t, () => 0);
    const { cache } = withMlps.run(tokens, {
      edits: combineEdits(editAt("blocks.0.mlp.hook_post", zero), editAt("blocks.1.hook_mlp_out", zero)),
    });
    const b_out = withMlps.weight("blocks.0.mlp.b_out");
    expect(cache.get("blocks.0.hook_mlp_out").select("batch", 1).select("pos", 3).toNested()).toEqual(b_out.toNested());
    expect(cache.get("blocks.1.hook_resid_post").toNested()).toEqual(cache.get("blocks.1.hook_resid_mid").toNested());
  });

  test("an edit of hook_mlp_in reaches the MLP and not the stream", () => {
    for (const model of [withMlps, parallel]) {
      const clean = model.run(tokens).cache;
      const { cache } = model.run(tokens, { edits: { "blocks.0.hook_mlp_in": (x) => map(x, (v) => v * v) } });
      const moved = (name: HookName): number => maxAbsDifference(cache.get(name) as Tensor, clean.get(name) as Tensor);
      expect(moved("blocks.0.mlp.hook_pre")).toBeGreaterThan(0.1);
      const before = map(cache.get("blocks.0.hook_mlp_out"), (v) => -v);
      const stream = add(cache.get("blocks.0.hook_resid_post"), before);
      expectClose(stream, add(clean.get("blocks.0.hook_resid_pre"), clean.get("blocks.0.hook_attn_out")), {
        atol: 1e-5,
      });
    }
  });

  test("a parallel model has no middle of the stream", () => {
    expect(() => parallel.run(tokens, { cache: ["blocks.0.hook_resid_mid"] })).toThrow(
      'run: there is no hook "blocks.0.hook_resid_mid" in this model.',
    );
  });
});

describe("edits reach what comes after them", () => {
  test("zeroing v, zeroing z and dropping the result of a head are one thing without b_V (P37, within 1e-5)", () => {
    const model = randomModel({ n_layers: 2, bias: false });
    const [v, z, result] = (["hook_v", "hook_z", "hook_result"] as const).map((hook) => {
      const edits = { [`blocks.0.attn.${hook}`]: (value: Tensor) => zeroHead(value, 1) } as Edits;
      return model.run(tokens, { edits, cache: [] }).logits;
    }) as [Tensor, Tensor, Tensor];
    expectClose(v, z, { atol: 1e-5 });
    expectClose(result, z, { atol: 1e-5 });
    expect(maxAbsDifference(z, model.forward(tokens) as Tensor)).toBeGreaterThan(1e-2);
  });

  test("zeroing z drops the result with what b_V sends through the head; zeroing v too, as v has b_V in it", () => {
    const run = (hook: string): Tensor =>
      shortformer.run(tokens, {
        edits: { [`blocks.1.attn.${hook}`]: (value: Tensor) => zeroHead(value, 2) } as Edits,
        cache: [],
      }).logits;
    expectClose(run("hook_v"), run("hook_z"), { atol: 1e-5 });
    expectClose(run("hook_result"), run("hook_z"), { atol: 1e-5 });
  });

  test("an edited activation is what the cache holds", () => {
    const { cache } = shortformer.run(tokens, {
      edits: { "blocks.0.hook_resid_pre": (value) => map(value, (x) => 2 * x) },
    });
    const before = shortformer.run(tokens).cache.get("blocks.0.hook_resid_pre");
    expectClose(
      cache.get("blocks.0.hook_resid_pre"),
      map(before, (x) => 2 * x),
      {},
    );
  });

  test("a pattern edit moves what is attended to: all attention on the first token makes every z the first value", () => {
    const { cache } = shortformer.run(tokens, {
      edits: {
        "blocks.0.attn.hook_pattern": (pattern) => {
          const keys = pattern.sizeOf("key_pos");
          return Tensor.from(
            pattern.axes,
            pattern.shape,
            Float32Array.from({ length: pattern.size }, (_, i) => (i % keys === 0 ? 1 : 0)),
          );
        },
      },
    });
    const v = cache.get("blocks.0.attn.hook_v").slice("pos", 0, 1).select("pos", 0).toNested();
    for (let p = 0; p < 6; p++) expect(cache.get("blocks.0.attn.hook_z").select("pos", p).toNested()).toEqual(v);
  });

  test("edited scores are softmaxed whole: the edit answers for the mask", () => {
    const { cache } = shortformer.run(tokens, {
      edits: { "blocks.0.attn.hook_attn_scores": (scores) => map(scores, () => 0) },
    });
    // Six equal scores: each exactly the float32 nearest to one sixth.
    expect([...cache.get("blocks.0.attn.hook_pattern").data].every((x) => x === Math.fround(1 / 6))).toBe(true);
  });

  test.each(["q", "k", "v"] as const)(
    "an edit of one head's %s input reaches that head's %s and nothing beside it",
    (side) => {
      for (const model of [shortformer, rotary]) {
        const hook = `blocks.1.hook_${side}_input` as const;
        const edits = { [hook]: (value: Tensor) => zeroHead(value, 0) } as Edits;
        const [plain, edited] = [model.run(tokens).cache, model.run(tokens, { edits }).cache];
        for (const other of ["q", "k", "v"] as const) {
          const name = `blocks.1.attn.hook_${other}` as const;
          const difference = (head: number): number =>
            maxAbsDifference(plain.get(name).select("head", head), edited.get(name).select("head", head));
          if (other === side) expect(difference(0)).toBeGreaterThan(1e-2);
          else expect(difference(0)).toBeLessThan(1e-5);
          expect(difference(1)).toBeLessThan(1e-5);
        }
      }
    },
  );

  test("attn_in reaches queries, keys and values of its head", () => {
    const edits: Edits = { "blocks.1.hook_attn_in": (value) => zeroHead(value, 2) };
    const [plain, edited] = [standard.run(tokens).cache, standard.run(tokens, { edits }).cache];
    for (const side of ["q", "k", "v"] as const) {
      const name = `blocks.1.attn.hook_${side}` as const;
      expect(maxAbsDifference(plain.get(name).select("head", 2), edited.get(name).select("head", 2))).toBeGreaterThan(
        1e-2,
      );
      expect(maxAbsDifference(plain.get(name).select("head", 1), edited.get(name).select("head", 1))).toBeLessThan(
        1e-5,
      );
    }
  });

  test("a token edit changes what is embedded", () => {
    const other = shortformer.run(tokens, { edits: { hook_tokens: (value) => map(value, () => 7) as typeof value } });
    expect(other.logits.toNested()).toEqual(
      shortformer.forward([new Array<number>(6).fill(7), new Array<number>(6).fill(7)]).toNested(),
    );
  });

  test("a token edit out of range is refused, not embedded as zeros", () => {
    expect(() =>
      shortformer.run(tokens, { edits: { hook_tokens: (value) => map(value, () => -1) as typeof value } }),
    ).toThrow(/^run: token -1 at position 0 of prompt 0 is not a token id; this model has d_vocab=/);
  });

  test("combined edits of one hook are made in their order, each on what the one before returned", () => {
    const double = editAt("blocks.0.hook_attn_out", (value) => map(value, (x) => 2 * x));
    const seen: number[] = [];
    const look = editAt("blocks.0.hook_attn_out", (value) => {
      seen.push(value.at(0, 1, 2));
      return value;
    });
    const { cache } = standard.run(tokens, { edits: combineEdits(look, double, look, {}, double, look) });
    const [first = NaN, ...rest] = seen;
    expect(rest).toEqual([2 * first, 4 * first]);
    expect(cache.get("blocks.0.hook_attn_out").at(0, 1, 2)).toBe(4 * first);
  });

  test("freezing patterns to those of the run reproduces the run to the last bit", () => {
    const { cache, logits } = standard.run(tokens);
    const edits = combineEdits(
      ...standard.layers.map(({ layer }) => {
        const name = `blocks.${layer}.attn.hook_pattern` as const;
        return editAt(name, () => cache.get(name));
      }),
    );
    expect(standard.run(tokens, { edits, cache: [] }).logits.toNested()).toEqual(logits.toNested());
  });

  test("nothing of an edit stays with the model", () => {
    const before = shortformer.forward(tokens).toNested();
    shortformer.run(tokens, { edits: { hook_embed: (value) => map(value, () => 1) } });
    expect(shortformer.forward(tokens).toNested()).toEqual(before);
  });
});

describe("what a run keeps", () => {
  test("everything, names, a predicate, or nothing", () => {
    const names = (cache: "all" | HookName[] | ((name: HookName) => boolean)): HookName[] =>
      shortformer.run(tokens, { cache }).cache.names();
    expect(names("all")).toEqual(hookNames(shortformer.config));
    expect(names(["blocks.1.attn.hook_z"])).toEqual(["blocks.1.attn.hook_z"]);
    expect(names((name) => name.endsWith("pattern"))).toEqual([
      "blocks.0.attn.hook_pattern",
      "blocks.1.attn.hook_pattern",
    ]);
    expect(names([])).toEqual([]);
  });

  test("head results sum with b_O to the layer's output (P11, within 1e-5 for numbers up to about 5)", () => {
    const { cache } = shortformer.run(tokens);
    for (const { layer, b_O } of shortformer.layers) {
      const results = cache.get(`blocks.${layer}.attn.hook_result`);
      const heads = Array.from({ length: results.sizeOf("head") }, (_, h) => results.select("head", h));
      const summed = heads.reduce((s, each) => add(s, each));
      expectClose(add(summed, b_O), cache.get(`blocks.${layer}.hook_attn_out`), { atol: 1e-5 });
    }
  });

  test("each activation has the axes of its name", () => {
    const { cache } = rotary.run(tokens);
    expect(String(cache.get("blocks.0.attn.hook_rot_q"))).toBe("Tensor[batch=2 pos=6 head=3 d_head=4] float32");
    expect(String(cache.get("blocks.0.attn.hook_pattern"))).toBe(
      "Tensor[batch=2 head=3 query_pos=6 key_pos=6] float32",
    );
    expect(String(cache.get("ln_final.hook_scale"))).toBe("Tensor[batch=2 pos=6 scale=1] float32");
    expect(String(cache.get("unembed.hook_out"))).toBe("Tensor[batch=2 pos=6 d_vocab=17] float32");
  });

  test("a cancelled run throws the signal's reason", () => {
    const reason = new Error("enough");
    expect(() => shortformer.run(tokens, { signal: AbortSignal.abort(reason) })).toThrow(reason);
  });
});

describe("what is refused", () => {
  const run =
    (edits: unknown): (() => unknown) =>
    () =>
      shortformer.run(tokens, { edits: edits as Edits });

  test("a hook that the model does not have, with the nearest that it has", () => {
    const misspelt = run({ "blocks.0.attn.hook_patern": (x: Tensor) => x });
    expect(misspelt).toThrow(InputError);
    expect(misspelt).toThrow(
      'run: there is no hook "blocks.0.attn.hook_patern" in this model. The nearest are "blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern", "blocks.0.attn.hook_q"; hookNames(model.config) lists all 33.',
    );
    expect(() => shortformer.run(tokens, { cache: ["blocks.2.attn.hook_z"] })).toThrow(
      'run: there is no hook "blocks.2.attn.hook_z" in this model.',
    );
    expect(() => shortformer.run(tokens, { cache: ["ln_final.hook_scale"] })).toThrow(
      'there is no hook "ln_final.hook_scale"',
    );
  });

  test("a cache request that is neither list nor function: a name alone would be read letter by letter", () => {
    const cached =
      (cache: unknown): (() => unknown) =>
      () =>
        shortformer.run(tokens, { cache: cache as [] });
    expect(cached("hook_embed")).toThrow(InputError);
    expect(cached("hook_embed")).toThrow(
      'run: cache is "hook_embed". Give "all", a list of hook names (["hook_embed"]) or a function that picks them.',
    );
    expect(cached(false)).toThrow(
      'run: cache is false. Give "all", a list of hook names ([] for none) or a function that picks them.',
    );
  });

  test("an edit that is no function, or returns no tensor", () => {
    expect(run({ hook_embed: 3 })).toThrow(
      'run: the edit of "hook_embed" is not a function from the activation to its new value.',
    );
    expect(run({ hook_embed: () => undefined })).toThrow(
      'run: the edit of "hook_embed" returned no tensor. Return the value to go on with, changed or not.',
    );
  });

  test("other axes, even of the same sizes", () => {
    const edit = run({
      "blocks.0.attn.hook_pattern": (x: Tensor<"batch head query_pos key_pos">) =>
        x.permute("batch head key_pos query_pos"),
    });
    expect(edit).toThrow(AxisError);
    expect(edit).toThrow(
      'run: the edit of "blocks.0.attn.hook_pattern" returned [batch=2 head=3 key_pos=6 query_pos=6] for [batch=2 head=3 query_pos=6 key_pos=6].',
    );
  });

  test("other sizes, even ones that would broadcast", () => {
    const edit = run({
      "blocks.0.attn.hook_pattern": (x: Tensor<"batch head query_pos key_pos">) => x.slice("key_pos", 0, 1),
    });
    expect(edit).toThrow(ShapeError);
    expect(edit).toThrow(
      'run: the edit of "blocks.0.attn.hook_pattern" returned [batch=2 head=3 query_pos=6 key_pos=1] for [batch=2 head=3 query_pos=6 key_pos=6]. Sizes must be equal; nothing is broadcast.',
    );
  });

  test("an activation that was not kept", () => {
    const { cache } = shortformer.run(tokens, { cache: ["hook_embed"] });
    expect(cache.has("hook_pos_embed")).toBe(false);
    expect(() => cache.get("hook_pos_embed")).toThrow(
      'cache.get: "hook_pos_embed" was not kept by this run. Ask for it: run(tokens, { cache: ["hook_pos_embed"] }).',
    );
    expect(() => cache.get("blocks.9.hook_resid_pre")).toThrow(
      'cache.get: there is no hook "blocks.9.hook_resid_pre" in this model.',
    );
  });

  test("an error inside an edit comes out as it is", () => {
    expect(
      run({
        hook_embed: () => {
          throw new RangeError("mine");
        },
      }),
    ).toThrow(new RangeError("mine"));
  });
});
