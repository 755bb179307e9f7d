/** Sections on circuits read from the weights: eigenvalues and composition. */
import { complexPlane, compositionGraph, heatmap, histogram, smallMultiples, table } from "../../viz/index.ts";
import type { CompositionEdge, CompositionKind, Figure } from "../../viz/index.ts";
import type { CompositionFacts, HeadFacts, ReportData } from "../types.ts";
import { FRAMEWORK, type PageContext, type Section } from "./context.ts";
import { markup } from "./html.ts";
import { bars, circuit, display, fraction, norm, op, row, text, v } from "./math.ts";
import { count, fixed, shortList, signed, whole } from "./words.ts";

/** How many heads have their eigenvalues drawn. */
const MOST_PLANES = 32;

/** Eigenvalues of the OV circuits. */
export function eigenvalues(page: PageContext): Section {
  const { heads, spectra } = page.data;
  const title = { id: "eigenvalues", title: "Eigenvalues of the OV circuits", short: "OV eigenvalues" };
  if (spectra.heads.length === 0)
    return { ...title, body: markup`<p class="text">Without heads there are no OV circuits.</p>` };
  const copying = heads.filter((head) => (head.copyingZ ?? 0) > 3);
  const chance = spectra.null;
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          A head’s full OV circuit says what attending to a token does to the logits of all tokens. Its eigenvectors are
          combinations of tokens; a positive real eigenvalue is one that raises its own logits: copying. The copying
          score sums that up,
        </p>
        ${display(fraction(row(op("∑"), v("λ")), row(op("∑"), bars(v("λ")))), op("∈"), text("[−1, 1]"), text(",  "), v("λ"), text(" the eigenvalues of "), v("W_U"), v("W_OV"), v("W_E"))}
        <p>
          Of ${count(heads.length, "head")}
          ${copying.length === 0 ? "none stands" : copying.length === 1 ? "one stands" : `${copying.length} stand`} more
          than three standard deviations above heads of random
          weights${chance === null ? "" : ` (${fixed(chance.mean)} ± ${fixed(chance.std)}, ${whole(chance.samples)} draws)`}${
            copying.length === 0
              ? ""
              : `: ${shortList(
                  copying.map((head) => head.label),
                  16,
                )}`
          }.
        </p>
      </div>
      ${page.figure(planes(page.data), {
        text: markup`Eigenvalues in the complex plane: the angle is that of λ, the radius its modulus on a logarithmic
        scale, with the same rim for all heads. Points to the right copy, points to the left suppress what they read; a
        head that does neither has them all
        round.${heads.length > MOST_PLANES ? ` The ${MOST_PLANES} heads of the largest copying scores, either way.` : ""}`,
        source: `${FRAMEWORK}, “Detecting copying behavior”`,
      })}
      ${page.figure(
        histogram({
          values: heads.map((head) => head.copying),
          xLabel: "copying score",
          yLabel: "heads",
          references:
            chance === null
              ? []
              : [
                  { value: chance.mean - 2 * chance.std, label: "−2σ" },
                  { value: chance.mean + 2 * chance.std, label: "random +2σ" },
                ],
          width: 620,
          height: 230,
        }),
        { text: markup`Copying scores of all heads. Between the lines lie about 95 % of heads of random weights.` },
      )}`,
  };
}

function planes({ heads, spectra, config }: ReportData): Figure {
  const shown =
    heads.length <= MOST_PLANES
      ? heads
      : [...heads].sort((a, b) => Math.abs(b.copying) - Math.abs(a.copying)).slice(0, MOST_PLANES);
  const chosen = heads.filter((head) => shown.includes(head));
  const moduli = spectra.heads.flatMap(({ re, im }) => re.map((x, i) => Math.hypot(x, im[i] ?? 0)));
  const rim = moduli.reduce((a, b) => Math.max(a, b), 0);
  const columns = config.n_heads <= 8 && heads.length <= MOST_PLANES ? Math.min(4, config.n_heads) : 4;
  const figures = chosen.map((head) => {
    const { re, im } = spectra.heads.find(({ label }) => label === head.label) ?? { re: [], im: [] };
    return complexPlane({
      points: { re, im },
      ...(rim > 0 && { rim }),
      size: 176,
      title: head.label,
      caption: `copying ${signed(head.copying)}`,
    });
  });
  return smallMultiples({ figures, columns });
}

/** Composition between heads. */
export function composition(page: PageContext): Section {
  const { composition: facts } = page.data;
  const title = { id: "composition", title: "Composition of heads", short: "Composition" };
  if (facts === null) {
    return {
      ...title,
      body: markup`<p class="text">
        Heads compose with heads of later layers; this model has ${count(page.data.config.n_layers, "layer")}, so there
        is nothing to compose with.
      </p>`,
    };
  }
  const { mean, std } = facts.baseline;
  const strongest = pairsOf(facts)[0];
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          A later head reads what an earlier one wrote through its queries, its keys or its values. How much of it, the
          norm of the product says, relative to the norms of both:
        </p>
        ${display(text("K-composition"), op("="), fraction(norm(row(circuit("QK", "r"), circuit("OV", "w"))), row(norm(circuit("QK", "r")), norm(circuit("OV", "w")))))}
        <p>
          Heads of random weights of these sizes score ${fixed(mean, 4)} ± ${fixed(std, 4)}; only what stands out from
          that means anything.
          ${strongest === undefined ? "" : markup`The strongest is ${strongest.kind}-composition of ${strongest.to} with ${strongest.from}, ${fixed(strongest.value, 3)}, ${fixed(strongest.z, 0)} standard deviations above chance.`}
        </p>
      </div>
      ${page.figure(graph(page.data, facts), {
        text: markup`Composition above the baseline: earlier layers below or to the left, a line for each pair whose score
        exceeds that of random heads, the stronger the wider.`,
        source: `${FRAMEWORK}, “Two-layer attention-only transformers”, as corrected in 2023: norms are not cycled`,
      })}
      ${page.figure(maps(page.data, facts), {
        text: markup`The same scores less the baseline, writers down, readers across. The page’s own colour is what random heads have,
        blue is less: heads that keep out of each other’s way.`,
      })}
      ${page.figure(pairTable(page, facts), { text: markup`The strongest pairs, in standard deviations (z) of random heads’ scores.` })}`,
  };
}

interface Pair {
  readonly kind: CompositionKind;
  readonly from: string;
  readonly to: string;
  readonly value: number;
  readonly z: number;
}

function pairsOf(facts: CompositionFacts): Pair[] {
  const { labels, baseline } = facts;
  const pairs: Pair[] = [];
  for (const kind of ["Q", "K", "V"] as const) {
    for (const [w, scores] of facts[kind].entries()) {
      for (const [r, value] of scores.entries()) {
        // 0 marks pairs that cannot compose, and heads whose weights are zero
        if (value === 0) continue;
        pairs.push({
          kind,
          from: labels[w] ?? "",
          to: labels[r] ?? "",
          value,
          z: baseline.std > 0 ? (value - baseline.mean) / baseline.std : 0,
        });
      }
    }
  }
  return pairs.sort((a, b) => b.value - a.value);
}

const headOf = (data: ReportData, label: string): HeadFacts | undefined =>
  data.heads.find((head) => head.label === label);

/** Lines that a drawing can hold. */
const MOST_EDGES = 600;

function graph(data: ReportData, facts: CompositionFacts): Figure {
  const ref = (label: string): { layer: number; head: number } => {
    const head = headOf(data, label);
    return { layer: head?.layer ?? 0, head: head?.head ?? 0 };
  };
  const above = pairsOf(facts).filter(({ value }) => value > facts.baseline.mean);
  const edges: CompositionEdge[] = above
    .slice(0, MOST_EDGES)
    .map(({ kind, from, to, value }) => ({ kind, from: ref(from), to: ref(to), value }));
  const roles = [
    { name: "previous token", heads: data.found.previousToken.map(ref) },
    {
      name: "induction",
      heads: data.found.induction.filter((label) => !data.found.previousToken.includes(label)).map(ref),
    },
  ].filter((role) => role.heads.length > 0);
  return compositionGraph({
    layers: data.config.n_layers,
    heads: data.config.n_heads,
    edges,
    baseline: facts.baseline,
    roles,
  });
}

function maps(data: ReportData, facts: CompositionFacts): Figure {
  const { n_layers, n_heads } = data.config;
  const writers = facts.labels.slice(0, (n_layers - 1) * n_heads);
  const readers = facts.labels.slice(n_heads);
  const excess = (kind: CompositionKind): number[][] =>
    writers.map((_, w) =>
      readers.map((__, r) =>
        (facts[kind][w]?.[r + n_heads] ?? 0) === 0 ? 0 : (facts[kind][w]?.[r + n_heads] ?? 0) - facts.baseline.mean,
      ),
    );
  const layerOf = (index: number): number => Math.floor(index / n_heads);
  const limit = (["Q", "K", "V"] as const)
    .flatMap((kind) => excess(kind).flat())
    .reduce((largest, x) => Math.max(largest, Math.abs(x)), 1e-9);
  const figures = (["Q", "K", "V"] as const).map((kind, i) =>
    heatmap({
      values: excess(kind),
      rowLabels: writers,
      columnLabels: readers,
      mask: (w, r) => layerOf(w) > layerOf(r),
      scale: "diverging",
      limit,
      title: `${kind}-composition − baseline`,
      xLabel: "reader",
      yLabel: "writer",
      legend: i === 2,
      ...(writers.length <= 16 && readers.length <= 16 && { cell: 22 }),
    }),
  );
  return smallMultiples({ figures, columns: n_heads * (n_layers - 1) <= 16 ? 3 : 1 });
}

function pairTable(page: PageContext, facts: CompositionFacts): Figure {
  const role = (label: string): string =>
    headOf(page.data, label)
      ?.roles.filter((name) => name === "induction" || name === "previous token")
      .join(", ") ?? "";
  return table({
    columns: [
      { label: "kind" },
      { label: "writer" },
      { label: "role of writer" },
      { label: "reader" },
      { label: "role of reader" },
      { label: "score", kind: "bar", format: { decimals: 3 } },
      { label: "z", format: { decimals: 1, sign: true } },
    ],
    rows: pairsOf(facts)
      .slice(0, 12)
      .map(({ kind, from, to, value, z }) => [kind, from, role(from), to, role(to), value, z]),
    nonce: page.nonce,
  });
}
