/** What edits select and do, worked out by hand on small activations. */
import { describe, expect, test } from "vitest";
import { edit } from "../../../src/interventions/index.ts";
import type { Action, ActivationEdit, EditFunction, EditTarget } from "../../../src/interventions/index.ts";
import { headLabel } from "../../../src/model/index.ts";
import type { HookName } from "../../../src/model/index.ts";
import { add, mean, multiply, subtract, sum, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";

const model = randomModel({ n_layers: 2, n_heads: 3, norm: "LN", bias: true });
const tokens = [
  [1, 5, 3, 5, 2],
  [2, 2, 7, 1, 9],
  [4, 0, 11, 3, 8],
];
const clean = model.run(tokens);

/** An activation, and what edits make of it: the hook must be one that nothing edited comes before. */
function edited(hook: HookName, edits: ActivationEdit | ActivationEdit[], prompts = tokens): Tensor {
  return model.run(prompts, { edits, cache: [hook] }).cache.get(hook);
}

/** The places, as indices joined by commas, at which two activations differ. */
function changedPlaces(before: Tensor, after: Tensor): string[] {
  expect(after.axes).toBe(before.axes);
  expect(after.shape).toEqual(before.shape);
  const places: string[] = [];
  for (let i = 0; i < before.size; i++) {
    if (Object.is(before.data[i], after.data[i])) continue;
    let rest = i;
    const place = [...before.shape].reverse().map((n) => {
      const index = rest % n;
      rest = (rest - index) / n;
      return index;
    });
    places.push(place.reverse().join(","));
  }
  return places;
}

const z = clean.cache.get("blocks.0.attn.hook_z");
const pattern = clean.cache.get("blocks.0.attn.hook_pattern");
const stream = clean.cache.get("blocks.0.hook_resid_pre");

describe("selections", () => {
  /** The heads of a layer whose z is all zero after an edit that silences the target. */
  const silenced = (at: EditTarget): string[] => {
    const { cache } = model.run(tokens, { edits: edit(at, "zero") });
    return model.heads
      .filter(({ layer, head }) =>
        cache
          .get(`blocks.${layer}.attn.hook_z`)
          .select("head", head)
          .data.every((x) => x === 0),
      )
      .map(headLabel);
  };

  test.each<[EditTarget, string]>([
    ["L0H2", "L0H2"],
    [{ layer: 1, head: 0 }, "L1H0"],
    [["L0H2", "L1H1"], "L0H2 L1H1"],
    [model.heads[4] as EditTarget, "L1H1"],
    [{ head: ["L0H2", "L1H1"] }, "L0H2 L1H1"],
    [{ head: 1 }, "L0H1 L1H1"],
    [{ head: -1 }, "L0H2 L1H2"],
    [{ layer: -1 }, "L1H0 L1H1 L1H2"],
    [{ head: { not: "L0H2" } }, "L0H0 L0H1 L1H0 L1H1 L1H2"],
    [{ layer: 0, head: { not: [0, "L0H2"] } }, "L0H1"],
    [{ layer: 0, head: { start: 1 } }, "L0H1 L0H2"],
    [{ head: [{ start: 0, end: 1 }, { not: { start: 0, end: 2 } }] }, "L0H0 L0H2 L1H0 L1H2"],
    ["z", "L0H0 L0H1 L0H2 L1H0 L1H1 L1H2"],
    ["blocks.1.attn.hook_z", "L1H0 L1H1 L1H2"],
    [{ hook: "blocks.1.attn.hook_z", head: 2 }, "L1H2"],
    [(name) => name.endsWith("1.attn.hook_z"), "L1H0 L1H1 L1H2"],
    [{ hook: (name) => name.endsWith("hook_z"), head: 1 }, "L0H1 L1H1"],
  ])("%j silences %s", (at, heads) => {
    expect(silenced(at).join(" ")).toBe(heads);
  });

  test("batch, positions, heads and coordinates are selected together; negative ones count from the end", () => {
    const after = edited(
      "blocks.0.attn.hook_z",
      edit({ layer: 0, batch: [2, 0], pos: -1, head: "L0H1", feature: { start: -2 } }, { set: 9 }),
    );
    expect(changedPlaces(z, after)).toEqual(["0,4,1,2", "0,4,1,3", "2,4,1,2", "2,4,1,3"]);
  });

  test("an offset is how far back a query looks; a key after its query is never selected", () => {
    const at = (selection: EditTarget): string[] =>
      changedPlaces(pattern, edited("blocks.0.attn.hook_pattern", edit(selection, { add: 1 }))).filter((place) =>
        place.startsWith("1,2,"),
      );
    const base = { hook: "pattern", layer: 0, batch: 1, head: 2 } as const;
    expect(at({ ...base, offset: 1 })).toEqual(["1,2,1,0", "1,2,2,1", "1,2,3,2", "1,2,4,3"]);
    expect(at({ ...base, offset: { start: 3 } })).toEqual(["1,2,3,0", "1,2,4,0", "1,2,4,1"]);
    expect(at({ ...base, offset: { not: [0, 1] }, query_pos: [2, 3] })).toEqual(["1,2,2,0", "1,2,3,0", "1,2,3,1"]);
    expect(at({ ...base, key_pos: 3 })).toEqual(["1,2,3,3", "1,2,4,3"]);
    expect(at(base)).toHaveLength(15);
  });

  test("in a bidirectional model later keys are selected, and offsets may be negative", () => {
    const both = randomModel({ n_heads: 1, position: "none", config: { attention_dir: "bidirectional" } });
    const { cache } = both.run([1, 2, 3], { edits: edit({ hook: "pattern", layer: 0, offset: -1 }, "zero") });
    const changed = changedPlaces(
      both.run([1, 2, 3]).cache.get("blocks.0.attn.hook_pattern"),
      cache.get("blocks.0.attn.hook_pattern"),
    );
    expect(changed).toEqual(["0,0,0,1", "0,0,1,2"]);
  });

  test("an element that two members of a list select is changed once", () => {
    const twice = [
      { hook: "resid_pre", layer: 0, pos: [1, 2] },
      { hook: "resid_pre", layer: 0, pos: { start: 2, end: 4 } },
    ] as const;
    const after = edited("blocks.0.hook_resid_pre", edit(twice, { scale: 3 }));
    const expected = stream.data.map((x, i) => ([1, 2, 3].includes(Math.floor(i / 12) % 5) ? 3 * x : x));
    expectClose(after.data, expected, { atol: 1e-6 });
  });
});

describe("actions", () => {
  const whole = (action: Action): Tensor => edited("blocks.0.hook_resid_pre", edit("blocks.0.hook_resid_pre", action));

  test("a list of edits acts in order", () => {
    const three = edit("blocks.0.hook_resid_pre", { set: 3 });
    const twice = edit("blocks.0.hook_resid_pre", { scale: 2 });
    expect(edited("blocks.0.hook_resid_pre", [three, twice]).data[7]).toBe(6);
    expect(edited("blocks.0.hook_resid_pre", [twice, three]).data[7]).toBe(3);
  });

  test("means are over the whole batch, whatever is selected; over positions too where asked", () => {
    const overBatch = edited("blocks.0.attn.hook_z", edit({ layer: 0, head: 1, batch: 2, pos: 3 }, "mean"));
    expectClose(
      overBatch.select("batch", 2).select("pos", 3).select("head", 1),
      mean(z, "batch").select("pos", 3).select("head", 1),
      { atol: 1e-6 },
    );
    const overBoth = edited("blocks.0.attn.hook_z", edit({ layer: 0, head: 1, pos: 3 }, { mean: "batch pos" }));
    expectClose(
      overBoth.select("batch", 1).select("pos", 3).select("head", 1),
      mean(mean(z, "pos"), "batch").select("head", 1),
      { atol: 1e-6 },
    );
    expect(changedPlaces(z, overBoth)).toHaveLength(3 * 4);
  });

  test("a mean of reference runs weighs their prompts alike; over positions they may be of other lengths", () => {
    const [a, b] = [
      model.run([[1, 2, 3]]),
      model.run([
        [4, 5],
        [6, 7],
      ]),
    ];
    const streams = [a, b].map((run) => run.cache.get("blocks.0.hook_resid_pre"));
    const total = streams.map((t) => sum(sum(t, "pos"), "batch")).reduce((s, t) => add(s, t));
    const after = edited("blocks.0.hook_resid_pre", edit("blocks.0.hook_resid_pre", { mean: "batch pos", of: [a, b] }));
    expectClose(after.select("batch", 2).select("pos", 4), multiply(total, 1 / 7), { atol: 1e-6 });
  });

  test("resample gives each prompt another's activation, one permutation a seed, the same at every hook", () => {
    const prompts = Array.from({ length: 8 }, (_, i) => [i, 5, 3]);
    const embed = model.run(prompts).cache.get("hook_embed");
    const whose = (seed: number, hook: "embed" | "resid_pre"): number[] => {
      const after = edited(
        hook === "embed" ? "hook_embed" : "blocks.0.hook_resid_pre",
        edit(hook, { resample: seed }),
        prompts,
      );
      const before = hook === "embed" ? embed : model.run(prompts).cache.get("blocks.0.hook_resid_pre");
      return prompts.map((_, i) => prompts.findIndex((_, j) => Object.is(before.at(j, 0, 0), after.at(i, 0, 0))));
    };
    const seen = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const order = whose(seed, "embed");
      expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(order.filter((j, i) => i === j)).toEqual([]);
      expect(whose(seed, "resid_pre")).toEqual(order);
      seen.add(order.join());
    }
    expect(seen.size).toBeGreaterThan(18);
  });

  test("noise has the standard deviation asked for, absolute or relative, and is the seed's and the hook's own", () => {
    const long = Array.from({ length: 40 }, (_, i) => Array.from({ length: 10 }, (_, j) => (7 * i + 3 * j) % 17));
    const before = model.run(long).cache.get("hook_embed");
    const of = (action: Action, at: EditTarget = "embed"): Tensor =>
      subtract(edited("hook_embed", edit(at, action), long), before);
    const std = (t: Tensor): number => Math.sqrt([...t.data].reduce((s, x) => s + x * x, 0) / t.size);
    // The standard deviation of an estimate from 4,800 draws is 1 per cent; four of them.
    expectClose([std(of({ noise: 0.5 }))], [0.5], { rtol: 0.04 });
    const own = std(subtract(before, [...before.data].reduce((s, x) => s + x, 0) / before.size));
    expectClose([std(of({ noise: 0.5, relative: true }))], [0.5 * own], { rtol: 0.04 });
    expect(of({ noise: 0.5, seed: 3 }).data).toEqual(of({ noise: 0.5, seed: 3 }).data);
    expect(of({ noise: 0.5, seed: 3 }).data).not.toEqual(of({ noise: 0.5, seed: 4 }).data);
    const part = of({ noise: 0.5, seed: 3 }, { hook: "embed", pos: 4 });
    expect(part.select("pos", 4).data).toEqual(of({ noise: 0.5, seed: 3 }).select("pos", 4).data);
    const other = subtract(
      model.run(long, { edits: edit("pos_embed", { noise: 0.5, seed: 3 }) }).cache.get("hook_pos_embed"),
      model.run(long).cache.get("hook_pos_embed"),
    );
    expect(Math.abs(other.at(0, 0, 0) - of({ noise: 0.5, seed: 3 }).at(0, 0, 0))).toBeGreaterThan(1e-3);
  });

  test("relative noise is measured in each head's own deviation", () => {
    const scaled = edit({ layer: 0, head: 2 }, { scale: 100 });
    const noise = edit({ layer: 0 }, { noise: 1, relative: true });
    const before = edited("blocks.0.attn.hook_z", scaled);
    const difference = subtract(edited("blocks.0.attn.hook_z", [scaled, noise]), before);
    const norm = (head: number): number => Math.hypot(...difference.select("head", head).data);
    expect(norm(2) / norm(1)).toBeGreaterThan(20);
  });

  test("numbers lie along the axes that their tensor names, as many as there are or as are selected", () => {
    const byPos = Tensor.from("pos", [2], [10, 20]);
    const after = edited(
      "blocks.0.hook_resid_pre",
      edit({ hook: "resid_pre", layer: 0, pos: [4, 1], feature: 3 }, { set: byPos }),
    );
    expect([after.at(0, 1, 3), after.at(2, 4, 3)]).toEqual([10, 20]);
    const byAll = Tensor.from("pos", [5], [0, 10, 20, 30, 40]);
    const other = edited("blocks.0.hook_resid_pre", edit({ hook: "resid_pre", layer: 0, pos: [4, 1] }, { set: byAll }));
    expect([other.at(0, 1, 3), other.at(2, 4, 0), other.at(0, 0, 0)]).toEqual([10, 40, stream.at(0, 0, 0)]);
    const listed = edited(
      "blocks.0.hook_resid_pre",
      edit({ hook: "resid_pre", layer: 0, feature: [2, 5] }, { set: [1, 2] }),
    );
    expect([listed.at(1, 1, 2), listed.at(1, 1, 5)]).toEqual([1, 2]);
  });

  test("what is projected out is gone, in the span of directions that are neither orthogonal nor independent", () => {
    const directions = [
      [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      [1, 2, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 1],
      [2, 4, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 2],
    ];
    const after = whole({ projectOut: directions });
    for (const direction of directions) {
      const left = sum(
        multiply(after as Tensor<"batch pos d_model">, Tensor.from("d_model", [12], direction)),
        "d_model",
      );
      expectClose(left.data, new Float32Array(left.size), { atol: 1e-5 });
    }
    expectClose(after.select("d_model", 5), stream.select("d_model", 5), { atol: 1e-6 });
    expect(() => whole({ projectOut: new Array<number>(12).fill(0) })).toThrow("a direction has length 0");
  });

  test("a run of one prompt is copied to all", () => {
    const one = model.run([tokens[1] ?? []]);
    const after = edited("blocks.0.hook_resid_pre", edit("blocks.0.hook_resid_pre", { copyFrom: one }));
    expectClose(after.select("batch", 2), stream.select("batch", 1), { atol: 1e-6 });
  });

  test("a function gets what is selected, and what it returns takes its place", () => {
    const doubled: EditFunction<"batch pos head d_head"> = (part) => {
      expect(String(part)).toBe("Tensor[batch=3 pos=2 head=1 d_head=4] float32");
      return multiply(part, 2);
    };
    const after = edited("blocks.0.attn.hook_z", edit({ layer: 0, pos: [0, -1], head: 1 }, doubled));
    expect(after.at(1, 4, 1, 2)).toBe(Math.fround(2 * z.at(1, 4, 1, 2)));
    expect(changedPlaces(z, after)).toHaveLength(3 * 2 * 4);
    expect(() =>
      edited(
        "hook_embed",
        edit("embed", (x) => x.select("pos", 0) as never),
      ),
    ).toThrow("returned [batch=3 d_model=12]");
    expect(() =>
      edited(
        "hook_embed",
        edit("embed", () => 3 as never),
      ),
    ).toThrow("returned no tensor");
  });

  test("tokens are set, and stay tokens", () => {
    const after = model.run(tokens, { edits: edit({ hook: "tokens", pos: 2 }, { set: 6 }) });
    expectClose(after.logits, model.forward(tokens.map((row) => row.map((t, i) => (i === 2 ? 6 : t)))), { atol: 0 });
    expect(() => model.run(tokens, { edits: edit("tokens", { scale: 2 }) })).toThrow("makes no tokens");
  });
});

test("an edit can't be changed, nor what it was made of change it", () => {
  const heads = [0, 1];
  const numbers = [1, 2, 3, 4];
  const one = edit({ layer: 0, head: heads }, { set: numbers });
  heads.push(2);
  numbers[0] = 9;
  expect(one).toEqual({ at: { layer: 0, head: [0, 1] }, do: { set: [1, 2, 3, 4] } });
  expect(Object.isFrozen(one) && Object.isFrozen(one.at) && Object.isFrozen((one.at as { head: object }).head)).toBe(
    true,
  );
});
