/** Sweeps against runs with edits written out, their results, and what they refuse. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pathPatching, sweep, sweepEdits } from "../../../src/interventions/index.ts";
import type { Replacement } from "../../../src/interventions/index.ts";
import { combineEdits, crossEntropy, editAt, klDivergence, logitDifference } from "../../../src/model/index.ts";
import type { EditsLike, PartialSite, Transformer } from "../../../src/model/index.ts";
import { map, multiply, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { mlpModelOptions, runs } from "../../support/model-arbitrary.ts";

const clean = [
  [1, 5, 3, 5, 2],
  [2, 2, 7, 1, 9],
  [0, 4, 4, 8, 3],
];
const corrupted = clean.map((prompt) => prompt.map((id, p) => (p % 2 === 0 ? id : id + 1)));
const within = (model: Transformer, prompts: readonly number[][]): number[][] =>
  prompts.map((prompt) => prompt.map((id) => id % model.config.d_vocab));

/** The values of a run with edits. */
function valueOf(model: Transformer, tokens: number[][], edits: EditsLike, metric = crossEntropy(tokens)): number {
  const values = metric.values(model.run(tokens, { edits, cache: [] }).logits);
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** What is put in the place of `[batch, pos, head, d_head]`, entry by entry. */
function putZ(own: Tensor, other: Tensor, put: Replacement, head: number, pos: number): Tensor {
  const [batch = 0, positions = 0, heads = 0, d = 0] = own.shape;
  const data = Float32Array.from(own.data);
  for (let b = 0; b < batch; b++) {
    for (let e = 0; e < d; e++) {
      const at = (prompt: number, p: number): number => other.at(prompt, p, head, e);
      const all = Array.from({ length: batch }, (_, i) => i);
      const mean = (values: number[]): number => values.reduce((x, y) => x + y, 0) / values.length;
      const value = {
        zero: () => 0,
        copy: () => at(b, pos),
        mean: () => mean(all.map((i) => at(i, pos))),
        meanOverAll: () => mean(all.flatMap((i) => Array.from({ length: positions }, (_, p) => at(i, p)))),
        resample: () => NaN,
      }[put]();
      data[((b * positions + pos) * heads + head) * d + e] = value;
    }
  }
  return Tensor.from(own.axes, own.shape, data);
}

describe("sweep is a run with an edit for each entry (float32, 5e-6 of a loss)", () => {
  it("of z, whatever the model, what is put, and from where", () => {
    fc.assert(
      fc.property(
        mlpModelOptions.filter(({ n_layers, dtype }) => n_layers > 0 && dtype === "float32"),
        fc.constantFrom("copy", "zero", "mean", "meanOverAll"),
        fc.constantFrom("denoising", "noising"),
        (options, put, direction) => {
          const model = randomModel(options);
          const [a, b] = [within(model, clean), within(model, corrupted)];
          const [from, to] = direction === "denoising" ? [a, b] : [b, a];
          const metric = crossEntropy(to);
          const found = sweep(
            model,
            { clean: a, corrupted: b },
            { at: "z", over: "layer pos head", put, direction, metric },
          );
          const source = model.run(from).cache;
          const { n_layers, n_heads } = model.config;
          expect(found.values.shape).toEqual([n_layers, 5, n_heads]);
          for (const [layer, pos, head] of [
            [0, 3, n_heads - 1],
            [n_layers - 1, 1, 0],
          ] as const) {
            const name = `blocks.${layer}.attn.hook_z` as const;
            const edits = editAt(name, (z) => putZ(z, source.get(name), put, head, pos) as typeof z);
            const expected = valueOf(model, to, edits, metric);
            expect(Math.abs(found.values.at(layer, pos, head) - expected)).toBeLessThan(5e-6 * Math.max(1, expected));
          }
        },
      ),
      runs(7, 40),
    );
  });

  it("puts what the axes do not name at once, and only what was chosen", () => {
    const model = randomModel({ n_layers: 3, norm: "LN", bias: true });
    const metric = logitDifference({ answer: 3, wrong: 8 });
    const all = sweep(model, { clean, corrupted }, { at: "resid_pre", over: "pos", layers: [0, 2], metric });
    const source = model.run(clean).cache;
    for (const p of [0, 4]) {
      const edits = combineEdits(
        ...[0, 2].map((layer) => {
          const name = `blocks.${layer}.hook_resid_pre` as const;
          const put = (x: Tensor): Tensor => {
            const data = Float32Array.from(x.data);
            const other = source.get(name).data;
            for (let i = 0; i < data.length; i++) if (Math.floor(i / 12) % 5 === p) data[i] = other[i] as number;
            return Tensor.from(x.axes, x.shape, data);
          };
          return editAt(name, put as never);
        }),
      );
      expect(Math.abs(all.values.at(p) - valueOf(model, corrupted, edits, metric))).toBeLessThan(1e-5);
    }
    const some = sweep(
      model,
      { clean, corrupted },
      { at: "z", over: "layer pos", heads: [2], positions: [-1, 0], metric },
    );
    expect(some.labels).toEqual({ layer: [0, 1, 2], pos: [4, 0] });
    const heads = sweep(model, { clean, corrupted }, { at: "z", over: "layer pos head", metric });
    expectClose(
      some.values.data,
      [0, 1, 2].flatMap((layer) => [4, 0].map((p) => heads.values.at(layer, p, 2))),
      { atol: 1e-6 },
    );
  });

  it("takes samples of other prompts, each prompt another's, by seed", () => {
    const model = randomModel();
    const metric = crossEntropy(clean);
    const one = (seed: number): number[] => [
      ...sweep(model, clean, { at: "z", over: "layer head", put: "resample", seed, metric }).perPrompt.data,
    ];
    expect(one(1)).toEqual(one(1));
    expect([2, 3, 4, 5].some((seed) => one(seed).join() !== one(1).join())).toBe(true);
    // The others of the first prompt are two: each value is that of one of them.
    const z = model.run(clean).cache.get("blocks.0.attn.hook_z");
    const first = (other: number): number => {
      const edits = editAt("blocks.0.attn.hook_z", (x) => {
        const data = Float32Array.from(x.data);
        for (let p = 0; p < 5; p++) for (let e = 0; e < 4; e++) data[p * 12 + e] = z.at(other, p, 0, e);
        return Tensor.from(x.axes, x.shape, data);
      });
      return metric.values(model.run(clean, { edits }).logits)[0] ?? NaN;
    };
    const value = one(1)[0] ?? NaN;
    expect(Math.min(Math.abs(value - first(1)), Math.abs(value - first(2)))).toBeLessThan(1e-5);
  });

  it("with any metric: KL from the clean run, and a function of the logits", () => {
    const model = randomModel({ norm: "RMS" });
    const reference = model.forward(clean);
    const to = klDivergence(reference, { pos: [4, 3, 2] });
    const kl = sweep(model, { clean, corrupted }, { at: "resid_post", over: "layer pos", metric: to });
    // The whole last stream is the clean one where the metric reads.
    expect(Math.abs(kl.other ?? NaN)).toBeLessThan(1e-6);
    const read = (logits: Tensor<"batch pos d_vocab">): number => logits.at(1, 2, 5) - logits.at(0, 4, 1);
    const custom = sweep(model, { clean, corrupted }, { at: "k", over: "head pos", metric: read });
    expect(custom.values.shape).toEqual([3, 5]);
    expect(Math.abs(custom.base - read(model.forward(corrupted)))).toBeLessThan(1e-5);
  });
});

describe("sweepEdits is a run for each entry (1e-5)", () => {
  it("of one hook, of several, of what no partial pass can follow, and of none", () => {
    const model = randomModel({ n_layers: 2, norm: "LN", bias: true, mlp: "gelu" });
    const metric = crossEntropy(clean);
    const pattern = "blocks.0.attn.hook_pattern";
    const list: EditsLike[] = [
      editAt("blocks.0.attn.hook_z", (z) => map(z, (x) => -x)),
      editAt("blocks.1.hook_mlp_out", (x) => multiply(x, 2)),
      editAt("hook_embed", (x) => multiply(x, 0.5)),
      editAt("blocks.1.mlp.hook_post", (x) => map(x, () => 0)),
      [editAt("blocks.0.hook_attn_out", (x) => multiply(x, 3)), editAt("blocks.1.attn.hook_q", (x) => multiply(x, -1))],
      // Uniform, later keys included.
      editAt(pattern, (p) => map(p, () => 0.2)),
      editAt(pattern, (p) => map(p, (x) => x * x)),
      editAt("blocks.1.hook_resid_pre", (x) => x),
      {},
    ];
    const found = sweepEdits(model, clean, list, { metric });
    expectClose(
      found.values.data,
      list.map((edits) => valueOf(model, clean, edits, metric)),
      { atol: 1e-5 },
    );
    expect(found.values.at(7)).toBe(found.base);
    expect(found.labels).toEqual({ edit: [0, 1, 2, 3, 4, 5, 6, 7, 8] });
  });
});

describe("what a sweep gives", () => {
  const model = randomModel();
  const metric = logitDifference({ answer: 3, wrong: 8 });
  const found = sweep(model, { clean, corrupted }, { at: ["z", "v"], over: "layer head", metric });

  it("means of prompts, changes, effects, the largest, by label", () => {
    expect(found.values.axes).toBe("hook layer head");
    expect(found.perPrompt.axes).toBe("hook layer head batch");
    const mean = [0, 1, 2].reduce((sum, b) => sum + found.perPrompt.at(1, 0, 2, b), 0) / 3;
    expect(Math.abs(found.values.at(1, 0, 2) - mean)).toBeLessThan(1e-12);
    const { base, other = NaN } = found;
    expectClose(
      found.change().data,
      [...found.values.data].map((x) => x - base),
      { atol: 0 },
    );
    expectClose(
      found.effect().data,
      [...found.values.data].map((x) => (x - base) / (other - base)),
      { atol: 0 },
    );
    const [first, second] = found.largest(2);
    expect(Math.abs(first?.change ?? 0)).toBeGreaterThanOrEqual(Math.abs(second?.change ?? Infinity));
    const { hook, layer, head } = first?.at ?? {};
    expect(found.values.at(["z", "v"].indexOf(hook as string), layer as number, head as number)).toBe(first?.value);
  });

  it("a line, and plain JSON", () => {
    expect(String(found)).toMatch(
      /^Sweep\[hook=2 layer=2 head=3\] of logit difference, z, v copied from the other run/,
    );
    const json = JSON.parse(JSON.stringify(found), Tensor.revive) as Record<string, unknown>;
    expect(Object.keys(json)).toEqual(["type", "what", "metric", "labels", "base", "other", "values"]);
    expect((json["values"] as Tensor).toNested()).toEqual(found.values.toNested());
  });

  it("progress in changes, and an end where it is aborted", () => {
    const seen: number[] = [];
    const abort = new AbortController();
    const options = { at: "z", over: "layer head", metric } as const;
    sweep(model, { clean, corrupted }, { ...options, onProgress: (done, total) => void seen.push(done, total) });
    expect(seen.slice(-2)).toEqual([6, 6]);
    abort.abort(new Error("enough"));
    expect(() => sweep(model, { clean, corrupted }, { ...options, signal: abort.signal })).toThrow("enough");
  });
});

describe("what is refused", () => {
  const model = randomModel();
  const metric = logitDifference({ answer: 3, wrong: 8 });
  const one = { at: "z", over: "layer head", metric } as const;
  const pair = { clean, corrupted };
  it.each([
    [() => sweep(model, clean, one), "sweep: there is nothing to copy from. Give corrupted prompts too"],
    [() => sweep(model, { clean, corrupted: [[1, 2]] }, one), "clean prompts have 5 tokens and corrupted ones 2"],
    [
      () => sweep(model, { clean, corrupted: [corrupted[0] ?? []] }, one),
      "activations of 3 prompts cannot be copied into 1",
    ],
    [() => sweep(model, pair, { ...one, over: "layer layer" }), 'over is "layer layer". Give distinct names'],
    [() => sweep(model, pair, { ...one, over: "" }), 'over is ""'],
    [() => sweep(model, pair, { ...one, at: "resid_pre" }), "resid_pre has no heads"],
    [() => sweep(model, pair, { ...one, over: "key_pos" }), "z has no query_pos and key_pos"],
    [() => sweep(model, pair, { ...one, at: "mlp_out", over: "pos" }), "this model has no mlp_out: it has no MLPs"],
    [() => sweep(model, pair, { ...one, at: "zz" as PartialSite }), 'at is "zz"; the choices are resid_pre'],
    [() => sweep(model, pair, { ...one, layers: [2] }), "2 in layers is none of 2"],
    [() => sweep(model, pair, { ...one, heads: [0, 0] }), "0 in heads is none of 3, or named twice"],
    [() => sweep(model, pair, { ...one, positions: [] }), "positions is an empty list"],
    [() => sweep(model, [1, 2, 3], { ...one, put: "mean" }), "one prompt has no others to take a mean over"],
    [
      () => sweep(model, clean, { ...one, at: "pattern", put: "meanOverAll" }),
      "patterns and scores of different positions see different keys",
    ],
    [
      () => sweep(model, pair, { ...one, metric: crossEntropy([[1, 2, 3, 4, 5]]) }),
      "the metric (loss) is of 1 prompts, but 3 are run",
    ],
    [() => pathPatching(model, pair, { metric, receivers: [] }), "receivers is an empty list"],
    [() => pathPatching(model, pair, { metric, senders: [{ mlp: 0 }] }), "this model has no MLPs"],
    [
      () => pathPatching(randomModel({ mlp: "relu" }), pair, { metric, senders: [{ mlp: 2 }] }),
      "the MLP of layer 2 is none of 2",
    ],
    [
      () => pathPatching(randomModel({ position: "rotary" }), pair, { metric, senders: ["pos_embed"] }),
      'begins without positions, which are rotary. Leave "pos_embed" out',
    ],
    [() => pathPatching(model, pair, { metric, senders: ["tokens" as "embed"] }), "tokens"],
    [
      () => pathPatching(model, pair, { metric, receivers: ["logits", { head: "L1H0", input: "q" }] }),
      "the logits read beside other receivers",
    ],
    [() => pathPatching(model, pair, { metric, receivers: { stream: 2 } }), "the stream before layer 2 is none of 2"],
    [
      () => pathPatching(model, pair, { metric, receivers: { head: "L1H0", input: "z" as "q" } }),
      'the input of a head is "z", not q, k or v',
    ],
    [() => pathPatching(model, pair, { metric, positions: [5] }), "5 in positions is none of 5"],
    [() => sweepEdits(model, clean, [{}], { metric, labels: [] }), "there are 0 labels for 1 edits"],
  ])("%#", (call, message) => {
    expect(call).toThrow(message);
  });
});

describe("pathPatching", () => {
  const model = randomModel({ n_layers: 3, norm: "LN", bias: true, mlp: "gelu" });
  const metric = logitDifference({ answer: 3, wrong: 8 });

  it("of groups of senders, and to a stream with every head before it live, is a sweep", () => {
    const senders = [["L0H0", "L0H1"], "L1H2", "L2H0"] as const;
    const found = pathPatching(model, { clean, corrupted }, { senders, metric, through: model.heads });
    expect(found.labels).toEqual({ sender: ["L0H0+L0H1", "L1H2", "L2H0"] });
    // Nothing is held: the sender's whole effect, later heads of its own layer aside, which it does not reach.
    const whole = sweep(model, { clean, corrupted }, { at: "z", over: "layer head", direction: "noising", metric });
    expect(Math.abs(found.values.at(1) - whole.values.at(1, 2))).toBeLessThan(1e-5);
    expect(Math.abs(found.values.at(2) - whole.values.at(2, 0))).toBeLessThan(1e-5);
  });

  it("leaves what a sender does not reach as it was", () => {
    const found = pathPatching(model, { clean, corrupted }, { receivers: { head: "L1H0", input: "q" }, metric });
    for (const layer of [1, 2]) for (const head of [0, 1, 2]) expect(found.values.at(layer, head)).toBe(found.base);
    const early = pathPatching(model, { clean, corrupted }, { receivers: { stream: 1 }, positions: [-1], metric });
    expect(early.values.at(2, 1)).toBe(early.base);
    expect(early.values.at(0, 1)).not.toBe(early.base);
  });
});
