import { InputError, requireKind } from "../../errors.ts";
import { headIdOf } from "../../head-id.ts";
import { checkCount, checkFinite, checkHead, checkNumber, checkObjects, checkOptions, checkSize } from "../check.ts";
import {
  FIRST_ROLE_COLOR,
  drawEdges,
  drawNodes,
  panelLayout,
  strokeOpacity,
  strokeWidth,
  type CompositionEdge,
  type CompositionGraphOptions,
  type PanelEdge,
} from "./composition-panel.ts";
import { Figure, svgText, NARROW, narrowFrom } from "../figure.ts";
import { accessibleName, nonFiniteNote, titleBlock } from "../parts/frame.ts";
import { drawLegend } from "../parts/legend.ts";
import { bounded, largestOf } from "../parts/scale.ts";
import { escapeHtml, formatNumber, px } from "../parts/text.ts";

/** Q, K and V with the colours of their edges. */
const KINDS = [
  { kind: "K", name: "K-composition", paint: "c1" },
  { kind: "Q", name: "Q-composition", paint: "c0" },
  { kind: "V", name: "V-composition", paint: "c2" },
] as const;

/** More boxes than this are no drawing. */
const MOST_HEADS = 10_000;

/** Edges below this share of the strongest are not drawn, nor more of the strongest than this. */
const FAINTEST = 0.02;
const MOST_EDGES = 600;

/**
 * Composition between heads: layers of heads, a curve for each score above the baseline, one panel each for K, Q and V.
 *
 * Width and opacity of a curve are proportional to the score minus the baseline's mean, on one scale for all panels;
 * what is not above the baseline is not drawn, nor more than the 600 strongest. On a page the panels have check boxes.
 * After the Framework paper's composition diagram, with the baseline subtracted as there.
 *
 * @param options - sizes, edges, baseline and roles.
 * @returns the figure. Scores that are NaN or infinite are left out and counted under the title.
 * @throws ShapeError if the layers' names are not one for each.
 * @throws InputError if a head does not exist, an edge does not lead to a later layer, or the baseline is not finite.
 * @category Figures
 * @example
 * ```ts
 * import { compositionGraph } from "transformer-circuits/viz";
 *
 * const figure = compositionGraph({
 *   layers: 2,
 *   heads: 2,
 *   edges: [
 *     { from: { layer: 0, head: 1 }, to: { layer: 1, head: 0 }, kind: "K", value: 0.19 },
 *     { from: { layer: 0, head: 0 }, to: { layer: 1, head: 0 }, kind: "K", value: 0.05 },
 *   ],
 *   baseline: { mean: 0.09 },
 * });
 * console.log(figure.svg.match(/<title>L0[^<]*<\/title>/g)?.join(" "));
 * // <title>L0H1→L1H0 K-composition: 0.19, 0.1 above the baseline</title>
 * ```
 */
export function compositionGraph(options: CompositionGraphOptions): Figure {
  checkGraph(options);
  const baseline = options.baseline?.mean ?? 0;
  const finite = options.edges
    .filter(({ value }) => Number.isFinite(value))
    .map((edge) => ({
      ...edge,
      from: headIdOf(edge.from, "compositionGraph", "edges"),
      to: headIdOf(edge.to, "compositionGraph", "edges"),
    }));
  const excessOf = ({ value }: Pick<CompositionEdge, "value">): number => bounded(value - baseline);
  const strongest = largestOf(finite.map(excessOf), 0);
  const seen = finite
    .filter((edge) => strongest > 0 && excessOf(edge) > FAINTEST * strongest)
    .sort((a, b) => b.value - a.value)
    .slice(0, MOST_EDGES);
  const drawn = KINDS.map(({ kind, name }) => {
    const above = seen.filter((edge) => edge.kind === kind);
    const edges = above.map((edge): PanelEdge => ({
      ...edge,
      name,
      excess: excessOf(edge),
      share: excessOf(edge) / strongest,
    }));
    return edges.sort((a, b) => a.share - b.share);
  });
  const label = accessibleName(options, `composition of ${options.layers} layers of ${options.heads} heads`);
  const said = notes(
    options,
    finite.length,
    drawn.reduce((sum, edges) => sum + edges.length, 0),
  );
  const svg = threePanels(options, drawn, said, strongest);
  const boxes = Math.max(40, Math.min(84, Math.floor(680 / options.heads)));
  const wide = onePanel(options, drawn, said, strongest, { label, spacing: boxes, least: 420, part: "tc-wide" });
  const few = Math.max(34, Math.floor((NARROW - 4) / options.heads));
  const narrow = onePanel(options, drawn, said, strongest, { label, spacing: few, least: NARROW, part: "tc-narrow" });
  const markup = `<div class="tc-fig tc-composition tc-fit">\n${few < boxes ? `${wide}\n${narrow.replace(/<title>[^<]*<\/title>/g, "")}` : wide.replace(' class="tc-wide"', "")}\n${checkBoxes()}\n</div>`;
  const stacked = (): Figure =>
    new Figure({ kind: "compositionGraph", label, ...threePanels(options, drawn, said, strongest, NARROW) });
  return new Figure({ kind: "compositionGraph", label, ...svg, markup, narrow: narrowFrom(svg.width, stacked) });
}

function checkGraph(options: CompositionGraphOptions): void {
  const operation = "compositionGraph";
  checkOptions(options, operation, "layers heads edges baseline layerNames roles");
  checkSize(options.layers, operation, "layers");
  checkSize(options.heads, operation, "heads");
  if (options.layerNames) checkCount(options.layerNames.length, options.layers, operation, "layerNames", "layers");
  if (options.baseline) checkFinite(options.baseline.mean, operation, "baseline.mean");
  if (options.layers * options.heads > MOST_HEADS) {
    throw new InputError(
      `${options.layers} layers of ${options.heads} heads are more than the ${MOST_HEADS} that can be drawn. Show some of the layers, with their layerNames.`,
      { operation, argument: "layers", expected: `<= ${MOST_HEADS}`, actual: options.layers * options.heads },
    );
  }
  checkObjects(options.edges, operation, "edges");
  for (const [i, edge] of options.edges.entries()) {
    checkNumber(edge.value, operation, `edges[${i}].value`);
    if (!KINDS.some(({ kind }) => kind === edge.kind)) {
      throw new InputError(`edges[${i}].kind is ${JSON.stringify(edge.kind)}. Give "Q", "K" or "V".`, {
        operation,
        argument: `edges[${i}].kind`,
        expected: KINDS.map(({ kind }) => kind),
        actual: edge.kind,
      });
    }
    const from = checkHead(edge.from, options.layers, options.heads, operation, `edges[${i}].from`);
    const to = checkHead(edge.to, options.layers, options.heads, operation, `edges[${i}].to`);
    if (from.layer >= to.layer) {
      throw new InputError(
        `edges[${i}] leads from L${from.layer}H${from.head} to L${to.layer}H${to.head}; a head composes only with heads of earlier layers. Swap from and to, or leave it out.`,
        { operation, argument: "edges", actual: { from, to } },
      );
    }
  }
  if (options.roles) checkObjects(options.roles, operation, "roles");
  for (const [i, role] of (options.roles ?? []).entries()) {
    requireKind("list", role.heads, `roles[${i}].heads`, operation);
    for (const head of role.heads)
      checkHead(head, options.layers, options.heads, operation, `roles[${i}] (${role.name})`);
  }
}

/** What the subtitle says of the numbers. */
function notes(options: CompositionGraphOptions, finite: number, drawn: number): string[] {
  const { baseline, edges } = options;
  const spread = baseline?.std === undefined ? "" : ` ± ${formatNumber(baseline.std)}`;
  return [
    ...(baseline === undefined
      ? []
      : [`Excess over the random-matrix baseline of ${formatNumber(baseline.mean)}${spread}.`]),
    `${drawn} of ${edges.length} scores drawn.`,
    ...nonFiniteNote(edges.length - finite, "score", "left out"),
  ];
}

type Drawn = { readonly width: number; readonly height: number; readonly content: string };

function threePanels(
  options: CompositionGraphOptions,
  drawn: readonly (readonly PanelEdge[])[],
  said: readonly string[],
  strongest: number,
  most = 1000,
): Drawn {
  const narrow = panelLayout(options, 34);
  const across = 3 * (narrow.width + 24) - 24 <= most;
  const room = Math.min(720, most - 4);
  const layout = across ? narrow : panelLayout(options, Math.max(34, Math.min(64, Math.floor(room / options.heads))));
  const width = Math.max(across ? 3 * (layout.width + 24) - 24 : layout.width, Math.min(420, most));
  const head = titleBlock(options, width, said);
  const legend = drawLegend(
    (options.roles ?? []).map(({ name }) => name),
    head.height + 10,
    width,
    FIRST_ROLE_COLOR,
  );
  const top = head.height + legend.height;
  const placed = KINDS.map(({ name, paint }, i) => {
    const [x, y] = across ? [i * (layout.width + 24), top] : [0, top + i * (layout.height + 34)];
    const drawing = drawNodes(layout, drawEdges(drawn[i] ?? [], layout, paint));
    return `<g transform="translate(${px(x)} ${px(y)})">\n${svgText(0, 14, `tc-lab tc-b tc-f-${paint}`, name)}\n<g transform="translate(0 24)">\n${drawing}\n</g>\n</g>`;
  });
  const bottom = top + (across ? 1 : 3) * (layout.height + 34);
  const content = [
    head.markup,
    legend.markup,
    ...placed,
    `<g transform="translate(0 ${px(bottom)})">${widthKey(strongest)}</g>`,
  ];
  return { width, height: bottom + 22, content: content.filter((part) => part !== "").join("\n") };
}

/** The page form: one larger panel with all three kinds, which check boxes show and hide without any script. */
function onePanel(
  options: CompositionGraphOptions,
  drawn: readonly (readonly PanelEdge[])[],
  said: readonly string[],
  strongest: number,
  { label, spacing, least, part }: { label: string; spacing: number; least: number; part: string },
): string {
  const layout = panelLayout(options, spacing);
  const width = Math.max(layout.width, least);
  const head = titleBlock(options, width, said);
  const legend = drawLegend(
    (options.roles ?? []).map(({ name }) => name),
    head.height + 10,
    width,
    FIRST_ROLE_COLOR,
  );
  const top = head.height + legend.height + 6;
  const edges = KINDS.map(
    ({ kind, paint }, i) => `<g class="tc-edges-${kind}">\n${drawEdges(drawn[i] ?? [], layout, paint)}\n</g>`,
  ).join("\n");
  const height = top + layout.height + 34;
  const inner = [
    head.markup,
    legend.markup,
    `<g transform="translate(0 ${px(top)})">\n${drawNodes(layout, edges)}\n</g>`,
    `<g transform="translate(0 ${px(height - 22)})">${widthKey(strongest)}</g>`,
  ].filter((part) => part !== "");
  const box = `class="${part}" viewBox="0 0 ${width} ${Math.ceil(height)}" width="${width}" height="${Math.ceil(height)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${box} role="img" aria-label="${escapeHtml(label)}">\n${inner.join("\n")}\n</svg>`;
}

/** What shows and hides the edges of a kind. */
function checkBoxes(): string {
  const boxes = KINDS.map(({ kind, name, paint }) => {
    const swatch = `<svg width="18" height="8" aria-hidden="true"><path class="tc-s-${paint}" stroke-width="4" d="M0 4h18"/></svg>`;
    return `<label><input type="checkbox" class="tc-show-${kind}" checked> ${swatch} ${escapeHtml(name)}</label>`;
  });
  return `<div class="tc-controls">${boxes.join("\n")}</div>`;
}

/** Sample curves with what they mean, on the scale of the drawing. */
function widthKey(strongest: number): string {
  if (strongest <= 0) return svgText(0, 6, "tc-tick tc-f-muted", "No score is above the baseline.");
  const samples = [0.25, 0.5, 1].map((share, i) => {
    const x = i * 78;
    const stroke = `stroke-width="${px(strokeWidth(share))}" stroke-opacity="${px(strokeOpacity(share))}"`;
    return `<path class="tc-s-ink" ${stroke} d="M${x} 3h26"/>${svgText(x + 32, 6.5, "tc-tick tc-f-muted", formatNumber(share * strongest, { significant: 2 }))}`;
  });
  return samples.join("") + svgText(3 * 78, 6.5, "tc-tick tc-f-muted", "score above baseline");
}
