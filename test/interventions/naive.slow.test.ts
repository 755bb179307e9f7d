/**
 * Sweeps, edges and circuits of random models of every kind against the plain road: one run an entry or an edge, changed
 * by hook functions that loop over elements, sums in float64. Both runs are float32: 1e-4 of the largest number compared.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { circuitGraph, edit, exactEdges, sweep, sweepEdits } from "../../src/interventions/index.ts";
import type { Action } from "../../src/interventions/index.ts";
import { checkPrompts, CircuitRuns } from "../../src/interventions/discovery/edges/index.ts";
import { combineEdits, customMetric, editAt, logitDifference } from "../../src/model/index.ts";
import type { HookName, PartialSite, Transformer } from "../../src/model/index.ts";
import { Random, Tensor } from "../../src/tensor/index.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { randomModel } from "../support/random-model.ts";
import { outputsOf, runWithEdges } from "./discovery/hooked-edges.ts";

const TOLERANCE = 1e-4;
const PROMPTS = 3;

/** Norms of rounding errors are as large as they are small, so that models have biases. */
const models = fc
  .tuple(
    fc.oneof(modelOptions, mlpModelOptions).filter(({ n_layers, dtype }) => n_layers > 0 && dtype === "float32"),
    fc.constantFrom("causal", "bidirectional"),
  )
  .map(([one, attention_dir]) => randomModel({ ...one, bias: true, config: { attention_dir } }));
const cases = fc.record({
  model: models,
  pos: fc.integer({ min: 2, max: 5 }),
  seed: fc.integer({ min: 0, max: 9999 }),
});

const STREAM = ["resid_pre", "attn_out", "mlp_out", "resid_mid", "resid_post"];
const PAIRS = ["attn_scores", "pattern"];
const SITES = [...STREAM, ...PAIRS, "q", "k", "v", "z", "result"] as readonly PartialSite[];

function promptsOf(model: Transformer, pos: number, random: Random): number[][] {
  return Array.from({ length: PROMPTS }, () => Array.from({ length: pos }, () => random.int(model.config.d_vocab)));
}

const hookOf = (layer: number, site: PartialSite): HookName =>
  `blocks.${layer}.${STREAM.includes(site) ? "" : "attn."}hook_${site}` as HookName;

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(1, ...Array.from(expected, Math.abs));
  const far = Math.max(0, ...Array.from(found, (x, i) => Math.abs(x - (expected[i] as number))));
  expect(far / largest, what).toBeLessThan(TOLERANCE);
}

/** What is put in place of an activation, element by element. */
function sourceOf(value: Tensor, put: string): (i: number) => number {
  const { data, size } = value;
  const each = size / PROMPTS;
  if (put === "zero") return () => 0;
  if (put === "copy") return (i) => data[i] as number;
  const step = put === "mean" ? each : each / value.sizeOf("pos");
  return (i) => {
    let [sum, count] = [0, 0];
    for (let j = i % step; j < size; j += step) {
      sum += data[j] as number;
      count++;
    }
    return sum / count;
  };
}

/** The index of an element along an axis. */
function along(t: Tensor, axis: string, i: number): number {
  const a = t.names.indexOf(axis);
  const inner = t.shape.slice(a + 1).reduce((x, y) => x * y, 1);
  return Math.floor(i / inner) % (t.shape[a] ?? 1);
}

test("sweeps over any site and axes, whatever is put: one run an entry", () => {
  const asked = fc.record({
    site: fc.nat(),
    axes: fc.nat(),
    put: fc.constantFrom("copy", "zero", "mean", "meanOverAll"),
    direction: fc.constantFrom("denoising", "noising"),
  });
  fc.assert(
    fc.property(cases, asked, ({ model, pos, seed }, chosen) => {
      const { attn_only, parallel_attn_mlp, attention_dir } = model.config;
      const sites = SITES.filter(
        (site) => !(attn_only && /mlp|mid/.test(site)) && !(parallel_attn_mlp && site === "resid_mid"),
      );
      const site = sites[chosen.site % sites.length] as PartialSite;
      const isOfPairs = PAIRS.includes(site);
      const put =
        isOfPairs && chosen.put === "meanOverAll" ? "copy" : (chosen.put as "copy" | "zero" | "mean" | "meanOverAll");
      const { direction } = chosen as { direction: "denoising" | "noising" };
      const all = STREAM.includes(site)
        ? ["layer", "pos"]
        : isOfPairs
          ? ["layer", "head", "query_pos", "key_pos"]
          : ["layer", "head", "pos"];
      const axes = all.filter((_, a) => ((1 + (chosen.axes % (2 ** all.length - 1))) >> a) % 2 === 1);
      const random = new Random(seed);
      const prompts = { clean: promptsOf(model, pos, random), corrupted: promptsOf(model, pos, random) };
      const metric = logitDifference({ answer: 0, wrong: 1, pos: random.int(pos) });
      const found = sweep(model, prompts, { at: site, over: axes.join(" "), put, direction, metric });
      const [to, from] =
        direction === "denoising" ? [prompts.corrupted, prompts.clean] : [prompts.clean, prompts.corrupted];
      const theirs = model.run(from).cache;
      for (let entry = 0; entry < found.values.size; entry++) {
        const at = new Map(axes.map((axis) => [axis, along(found.values, axis, entry)]));
        const edits = model.layers
          .filter(({ layer }) => (at.get("layer") ?? layer) === layer)
          .map(({ layer }) => {
            const name = hookOf(layer, site);
            const take = sourceOf(theirs.get(name) as Tensor, put);
            return editAt(name, ((x: Tensor) => {
              const out = Float64Array.from(x.data);
              for (let i = 0; i < out.length; i++) {
                const isAt = axes.every((axis) => axis === "layer" || along(x, axis, i) === at.get(axis));
                const isHidden =
                  isOfPairs && attention_dir === "causal" && along(x, "key_pos", i) > along(x, "query_pos", i);
                if (isAt && !isHidden) out[i] = take(i);
              }
              return Tensor.from(x.axes, x.shape, out, "float32");
            }) as never);
          });
        const expected = metric.values(model.run(to, { edits: combineEdits(...edits) }).logits);
        const own = found.perPrompt.data.slice(entry * PROMPTS, (entry + 1) * PROMPTS);
        expectClose(own, expected, `${site} over ${axes.join(" ")}, ${put}, ${direction}`);
      }
    }),
    runs(31, 40),
  );
});

test("lists of random edits: each by hand, one after the other", () => {
  const actions: readonly (readonly [Action, (x: number) => number])[] = [
    ["zero", () => 0],
    [{ scale: -0.5 }, (x) => -0.5 * x],
    [{ set: 0.3 }, () => 0.3],
    [{ add: 0.7, times: 2 }, (x) => x + 1.4],
  ];
  fc.assert(
    fc.property(cases, ({ model, pos, seed }) => {
      const random = new Random(seed);
      const tokens = promptsOf(model, pos, random);
      const metric = logitDifference({ answer: 0, wrong: 1, pos: random.int(pos) });
      const heads = model.config.n_heads;
      const lists = Array.from({ length: 4 }, () =>
        Array.from({ length: 1 + random.int(2) }, () => {
          const site = ["z", "v", "resid_pre", "resid_post", "q"][random.int(5)] as "z";
          const layer = random.int(model.config.n_layers);
          const [action, by] = actions[random.int(actions.length)] as (typeof actions)[number];
          const place = random.int(pos);
          const head = STREAM.includes(site) ? undefined : random.int(heads);
          const value = edit({ hook: site, layer, pos: place, ...(head === undefined ? {} : { head }) }, action);
          const hand = editAt(hookOf(layer, site), ((x: Tensor) => {
            const isIn = (i: number): boolean =>
              along(x, "pos", i) === place && (head === undefined || along(x, "head", i) === head);
            return Tensor.from(
              x.axes,
              x.shape,
              x.data.map((y, i) => (isIn(i) ? by(y) : y)),
            );
          }) as never);
          return { value, hand };
        }),
      );
      const found = sweepEdits(
        model,
        tokens,
        lists.map((list) => list.map(({ value }) => value)),
        { metric },
      );
      for (const [i, list] of lists.entries()) {
        const byHand = combineEdits(...list.map(({ hand }) => hand));
        const expected = metric.values(model.run(tokens, { edits: byHand }).logits);
        expectClose(found.perPrompt.select("edit", i).data, expected, `list ${i}`);
      }
    }),
    runs(32, 25),
  );
});

test("edges cut one by one, and circuits kept or cut: one run by hooks each", () => {
  fc.assert(
    fc.property(cases, ({ model, pos, seed }) => {
      const random = new Random(seed);
      const prompts = { clean: promptsOf(model, pos, random), corrupted: promptsOf(model, pos, random) };
      const graph = circuitGraph(model);
      const metric = logitDifference({ answer: 0, wrong: 1, pos: random.int(pos) });
      const ablated = outputsOf(model, prompts.corrupted);
      const valuesOf = (isKept: (edge: string, pos: number, i: number) => boolean): Float64Array =>
        metric.values(runWithEdges(model, graph, prompts.clean, ablated, isKept));
      const found = exactEdges(model, prompts, metric);
      const clean = valuesOf(() => true);
      for (let trial = 0; trial < 6; trial++) {
        const edge = random.int(graph.size);
        const { name } = graph.edge(edge);
        const without = valuesOf((each) => each !== name);
        const effects = found.effects.select("edge", edge).data;
        expectClose(
          effects,
          clean.map((x, b) => x - (without[b] as number)),
          name,
        );
      }
      const runsOf = new CircuitRuns(model, graph, checkPrompts(model, prompts, "test"), metric, { operation: "test" });
      const draw = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.int(2));
      for (let trial = 0; trial < 3; trial++) {
        const edges = draw(graph.size);
        const neurons = new Map([[random.int(graph.nodes.length - 1), draw(model.config.d_model)]]);
        const positions = new Map([[random.int(graph.nodes.length - 1), draw(pos)]]);
        const cuts = trial === 1;
        const values = runsOf.value({ edges, neurons, positions, cuts });
        const expected = valuesOf((each, p, i) => {
          const index = graph.indexOf(each);
          const sender = graph.senderOf[index] ?? 0;
          const isThere = positions.get(sender)?.[p] !== 0 && neurons.get(sender)?.[i] !== 0;
          return (edges[index] === 1 && isThere) !== cuts;
        });
        expectClose(values, expected, `circuit ${trial}`);
      }
      const whole = customMetric((logits) => [...metric.values(logits)], {});
      expectClose(exactEdges(model, prompts, whole).effects.data, found.effects.data, "a function of all logits");
    }),
    runs(33, 12),
  );
});
