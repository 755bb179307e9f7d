/** Figures: a circuit found on repeated tokens, and what its certificate says. */
import { discoverCircuit, evaluateCircuit } from "../../interventions/index.ts";
import type { CircuitCertificate } from "../../interventions/index.ts";
import { crossEntropy } from "../../model/index.ts";
import { stepOptions } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { circuitDiagram, formatNumber, histogram, lineChart, scatter, smallMultiples } from "../../viz/index.ts";
import type { Captions, CircuitDiagramEdge, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { numbersOf, repeatsOf } from "../prompts.ts";

/**
 * A circuit and its certificate as the figures draw them.
 * @category Figures
 */
export interface CircuitFigure {
  readonly layers: number;
  readonly heads: number;
  readonly mlps: boolean;
  /** The edges of the circuit with their scores. */
  readonly edges: readonly CircuitDiagramEdge[];
  /** How many edges the graph has. */
  readonly of: number;
  readonly metric: string;
  readonly ablation: string;
  /** The mean metric of the model, of the circuit alone, of all but the circuit's share, and with every edge cut. */
  readonly full: number;
  readonly empty: number;
  readonly sufficiency: number;
  readonly necessity: number;
  readonly cpr: number;
  readonly cmd: number;
  /** `[share]`: shares of the edges, and the faithfulness of the circuits of that size. */
  readonly shares: Tensor<"share">;
  readonly signed: Tensor<"share">;
  readonly absolute: Tensor<"share">;
  /** `[circuit]`: the faithfulness of random circuits of the same size. */
  readonly random: Tensor<"circuit">;
  readonly randomKind: string;
  /** `[share, circuit]`: the same at the size of each share; NaN where there are fewer. */
  readonly randomBySize?: Tensor<"share circuit">;
  /** `[batch]`: the metric of each prompt, of the model and of the circuit. */
  readonly fullByPrompt: Tensor<"batch">;
  readonly circuitByPrompt: Tensor<"batch">;
}

const NEEDS: readonly FigureNeed[] = ["layer", "causal", "next token"];
const MOST_EXACT = 4000;

/** The data of the figures of a circuit, of its certificate. */
function dataOf(certificate: CircuitCertificate): CircuitFigure {
  const { circuit, curve, random, perPrompt } = certificate;
  const { n_layers, n_heads, attn_only } = circuit.graph.config;
  const list = <A extends string>(axis: A, values: readonly number[]): Tensor<A> =>
    Tensor.from(axis, [values.length], Float64Array.from(values));
  return {
    layers: n_layers,
    heads: n_heads,
    mlps: !attn_only,
    edges: circuit.ranking().map(({ from, to, input, score }) => ({ from, to, input: input ?? null, value: score })),
    of: circuit.graph.size,
    metric: certificate.metric,
    ablation: certificate.ablation,
    full: certificate.full,
    empty: certificate.empty,
    sufficiency: certificate.sufficiency,
    necessity: certificate.necessity,
    cpr: curve.cpr,
    cmd: curve.cmd,
    shares: list("share", curve.signed.shares),
    signed: list("share", curve.signed.faithfulness),
    absolute: list("share", curve.absolute.faithfulness),
    random: list("circuit", random.faithfulness),
    randomKind: random.kind,
    ...(random.bySize.length > 0 && { randomBySize: bySize(random.bySize) }),
    fullByPrompt: list("batch", perPrompt.full),
    circuitByPrompt: list("batch", perPrompt.circuit),
  };
}

/** Samples of different numbers as a table, filled up with NaN. */
function bySize(samples: CircuitCertificate["random"]["bySize"]): Tensor<"share circuit"> {
  const most = Math.max(...samples.map(({ faithfulness }) => faithfulness.length));
  const rows = samples.flatMap(({ faithfulness }) => Array.from({ length: most }, (_, i) => faithfulness[i] ?? NaN));
  return Tensor.from("share circuit", [samples.length, most], Float64Array.from(rows));
}

/**
 * Finds the circuit of repeated tokens and judges it: cut edges carry what they carry where the first copy is of other
 * tokens, and the metric is the loss on the second copy.
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens.
 * @category Figures
 * @example
 * ```ts
 * import { circuitFigure } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { edges, of, sufficiency } = circuitFigure(await openBundledModel());
 * console.log(edges.length < of / 3, sufficiency > 0.9);
 * // true true
 * ```
 */
export function circuitFigure(input: FigureInput, options: FigureOptions = {}): CircuitFigure {
  requireNeeds(NEEDS, input, "circuitFigure", options);
  const { model } = input;
  const { seed = 0 } = options;
  const repeats = (own: number): ReturnType<typeof repeatsOf> =>
    repeatsOf(input, { period: 12, batch: 4, seed: own }, "circuitFigure");
  const { prompts: clean, period, first } = repeats(seed);
  const half = period + first;
  const other = repeats((seed + 1) % 2 ** 32).prompts;
  const corrupted = clean.map((row, b) => [...(other[b] ?? []).slice(0, half), ...row.slice(half)]);
  const length = clean[0]?.length ?? 0;
  // The first token of the second copy is announced by nothing.
  const mask = clean.map(() => Array.from({ length: length - 1 }, (_, p) => (p >= Math.min(half, length - 2) ? 1 : 0)));
  const metric = crossEntropy(clean, { mask });
  const { n_layers, n_heads } = model.config;
  const isSmall = n_layers <= 4 && 2 * n_layers ** 2 * n_heads ** 2 <= MOST_EXACT;
  const prompts = { clean, corrupted };
  const found = discoverCircuit(model, prompts, metric, {
    method: isSmall ? "exact" : "eap",
    ...stepOptions(options, 0, 2),
  });
  const certificate = evaluateCircuit(model, found.circuit, prompts, metric, {
    effects: found.effects,
    randomCount: isSmall ? 100 : 20,
    seed,
    ...stepOptions(options, 1, 2),
  });
  return dataOf(certificate);
}

/** What a drawing is made of: the figure's data, or a certificate. */
function requireCircuitData(
  given: CircuitFigure | CircuitCertificate,
  operation: string,
  captions: Captions,
): CircuitFigure {
  const isCertificate = typeof given === "object" && (given as object | null) !== null && "perPrompt" in given;
  const data = isCertificate ? dataOf(given) : (given as CircuitFigure);
  requireData(data, MEMBERS, "circuitFigure", operation, captions);
  return data;
}

const MEMBERS = "layers heads edges sufficiency shares random fullByPrompt";

/**
 * Draws a circuit: layers from bottom to top, edges by queries, keys and values, wider the larger their scores are.
 *
 * @param given - what {@link circuitFigure} returns, or a certificate of any circuit.
 * @category Figures
 * @example
 * ```ts
 * import { circuitFigure, drawCircuit } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCircuit(circuitFigure(await openBundledModel()));
 * console.log(figure.svg.includes("a0.h5→a1.h2 into keys"));
 * // true
 * ```
 */
export function drawCircuit(given: CircuitFigure | CircuitCertificate, captions: Captions = {}): Figure {
  const data = requireCircuitData(given, "drawCircuit", captions);
  const { layers, heads, mlps } = data;
  // An edge that lowers a loss is as helpful as one that raises a logit.
  const sign = data.full < data.empty ? -1 : 1;
  const edges = data.edges.map((edge) => ({ ...edge, value: sign * edge.value }));
  // Where cutting every edge leaves the metric as it is, there are no shares of it.
  const worth = [data.sufficiency, data.necessity].every(Number.isFinite)
    ? `alone it keeps ${percent(data.sufficiency)} of what the model does, without it ${percent(1 - data.necessity)} is left`
    : "what they are worth cannot be said in shares";
  return circuitDiagram({
    title: "The circuit",
    subtitle: `${edges.length} of ${data.of} edges; ${worth} (${data.metric}, ${data.ablation} ablation). Dashed edges work against it.`,
    ...captions,
    layers,
    heads,
    mlps,
    edges,
  });
}

/**
 * Draws what a certificate says: faithfulness by size, random circuits of the same size, and each prompt.
 *
 * @param given - what {@link circuitFigure} returns, or a certificate of any circuit.
 * @category Figures
 * @example
 * ```ts
 * import { circuitFigure, drawCircuitCertificate } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCircuitCertificate(circuitFigure(await openBundledModel()));
 * console.log(figure.svg.match(/>(Faithfulness by size|Random circuits|Prompt by prompt)/g)?.length);
 * // 3
 * ```
 */
export function drawCircuitCertificate(given: CircuitFigure | CircuitCertificate, captions: Captions = {}): Figure {
  const data = requireCircuitData(given, "drawCircuitCertificate", captions);
  const percents = Array.from(numbersOf(data.shares), (share) => Math.log10(100 * share));
  const random = numbersOf(data.random).sort();
  const samples = percents.map((_, i) => samplesOf(data, i));
  const at = (share: number): number[] => samples.map((list) => list[Math.round(share * (list.length - 1))] ?? NaN);
  const whose = data.randomBySize === undefined ? "the circuit’s size" : "each size";
  const [full, own] = [numbersOf(data.fullByPrompt), numbersOf(data.circuitByPrompt)];
  const all = [...full, ...own].filter(Number.isFinite);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const margin = 0.05 * (most - least) || 1;
  const domain = [least - margin, most + margin] as const;
  const isFinite = (values: Iterable<number>): boolean => [...values].some(Number.isFinite);
  const hasCurve = isFinite(numbersOf(data.absolute)) && isFinite(random);
  // A metric that cutting every edge leaves as it is gives no faithfulness.
  const curves = (): Figure[] => [
    lineChart({
      title: "Faithfulness by size",
      subtitle: `CPR ${formatNumber(data.cpr)}, CMD ${formatNumber(data.cmd)}; 1 is the whole model, 0 every edge cut. The band: 5 to 95 % of random circuits of ${whose}.`,
      series: [
        { name: "by size of score", x: percents, y: numbersOf(data.absolute) },
        { name: "by signed score", x: percents, y: numbersOf(data.signed) },
        { name: "random", x: percents, y: at(0.5), band: { lower: at(0.05), upper: at(0.95) } },
      ],
      references: [{ value: 1, label: "the model" }],
      xLabel: "edges selected, log₁₀ of per cent",
      yLabel: "faithfulness",
      width: 560,
    }),
    histogram({
      title: "Random circuits of the same size",
      subtitle: `${random.length} drawn (${data.randomKind}); the line is the circuit, ${formatNumber(data.sufficiency)}.`,
      values: random,
      references: [{ value: Number.isFinite(data.sufficiency) ? data.sufficiency : 0, label: "the circuit" }],
      xLabel: "faithfulness",
      yLabel: "circuits",
      width: 560,
      height: 320,
    }),
  ];
  const figures = [
    ...(hasCurve ? curves() : []),
    scatter({
      title: "Prompt by prompt",
      subtitle: "On the dashed line the circuit does what the model does.",
      points: Array.from(full, (x, b) => ({ x, y: own[b] ?? NaN, label: `prompt ${b}` })),
      xLabel: `${data.metric} of the model`,
      yLabel: `${data.metric} of the circuit`,
      xDomain: domain,
      yDomain: domain,
      diagonal: true,
      width: 420,
      height: 320,
    }),
  ];
  const share = `${data.edges.length} of ${data.of} edges`;
  return smallMultiples({
    title: "The circuit, judged",
    subtitle: `${share}, ${data.ablation} ablation; ${data.metric} of the model ${formatNumber(data.full)}, with every edge cut ${formatNumber(data.empty)}.`,
    ...captions,
    figures,
    columns: 1,
  });
}

/** The faithfulness of random circuits at a share, ascending; where there are none, of the circuit's own size. */
function samplesOf({ random, randomBySize }: CircuitFigure, share: number): Float64Array {
  return numbersOf(randomBySize?.select("share", share) ?? random)
    .filter((x) => !Number.isNaN(x))
    .sort();
}

const percent = (x: number): string => `${formatNumber(100 * x)} %`;

const SOURCE = "MIB (arXiv 2504.13151); Miller et al. (arXiv 2407.08734)";

/** The list's entries. */
export function circuitEntries(): readonly FigureEntry[] {
  const common = { source: SOURCE, needs: NEEDS, output: "svg", make: circuitFigure } as const;
  const entries: readonly FigureEntry<CircuitFigure>[] = [
    {
      ...common,
      name: "circuit",
      number: 26,
      title: "The circuit of repeated tokens, found by cutting every edge",
      draw: drawCircuit,
    },
    {
      ...common,
      name: "circuit-certificate",
      number: 26,
      title: "The circuit of repeated tokens, judged by size, against chance and prompt by prompt",
      draw: drawCircuitCertificate,
    },
  ];
  return entries;
}
