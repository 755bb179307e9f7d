import { InputError } from "../../errors.ts";
import { checkNumber, checkObjects, checkOptions, checkSize, checkTexts } from "../check.ts";
import { Figure, NARROW, narrowFrom, svgText, svgTitle } from "../figure.ts";
import { accessibleName, BOLD, nonFiniteNote, titleBlock, type Captions } from "../parts/frame.ts";
import { drawLegend } from "../parts/legend.ts";
import { largestOf } from "../parts/scale.ts";
import { formatNumber, px, textWidth } from "../parts/text.ts";
import { TYPE } from "../parts/style.ts";
import { strokeOpacity, strokeWidth } from "./composition-panel.ts";

/**
 * One edge of a {@link circuitDiagram}: nodes are named as in the JSON of circuits, `input`, `a0.h3`, `m0`, `logits`.
 * @category Figures
 */
export interface CircuitDiagramEdge {
  readonly from: string;
  readonly to: string;
  /** Which input of a head it leads into; none for MLPs and logits. */
  readonly input?: "q" | "k" | "v" | null | undefined;
  readonly value: number;
}

/**
 * What {@link circuitDiagram} draws.
 * @category Figures
 */
export interface CircuitDiagramOptions extends Captions {
  readonly layers: number;
  readonly heads: number;
  /** Whether there are MLPs. */
  readonly mlps?: boolean;
  readonly edges: readonly CircuitDiagramEdge[];
  /** Nodes of the circuit beside the ends of its edges. */
  readonly nodes?: readonly string[];
}

/** Edges by where they lead, with their colours in the legend's order. */
const KINDS = [
  { input: "q", name: "into queries", paint: "c0" },
  { input: "k", name: "into keys", paint: "c1" },
  { input: "v", name: "into values", paint: "c2" },
  { input: undefined, name: "into MLPs and logits", paint: "c3" },
] as const;

/** More boxes than this are no drawing. */
const MOST_NODES = 10_000;
/** Layers of more heads than this show those of the circuit alone. */
const MOST_FAINT = 24;
const BOX = { width: 34, height: 18 } as const;
const RISE = 92;
/** From one line of a layer to the next. */
const LINE = 34;

interface Place {
  readonly x: number;
  readonly y: number;
}

/**
 * A circuit: layers from bottom to top, the input below and the logits above, an edge as a curve in the colour of the
 * input that it leads into, wider the larger its value is (by its root); dashed where that is negative. Nodes outside
 * of the circuit
 * are faint. In a narrow place they are left out, and a layer's heads stand in as many lines as they need.
 *
 * @param options - sizes, edges, and nodes.
 * @returns the figure. Edges whose values are NaN or infinite are drawn as thin as can be and counted under the title.
 * @throws InputError if a node does not exist, or an edge does not lead upwards.
 * @category Figures
 * @example
 * ```ts
 * import { circuitDiagram } from "transformer-circuits/viz";
 *
 * const figure = circuitDiagram({
 *   layers: 2,
 *   heads: 2,
 *   edges: [
 *     { from: "input", to: "a0.h1", input: "v", value: 2 },
 *     { from: "a0.h1", to: "a1.h0", input: "k", value: 1 },
 *     { from: "a1.h0", to: "logits", value: -3 },
 *   ],
 * });
 * console.log(figure.svg.match(/<title>a0[^<]*<\/title>/)?.[0]);
 * // <title>a0.h1→a1.h0 into keys: 1</title>
 * ```
 */
export function circuitDiagram(options: CircuitDiagramOptions): Figure {
  const operation = "circuitDiagram";
  checkOptions(options, operation, "layers heads mlps edges nodes");
  const { layers, heads, mlps = false, edges } = options;
  if (layers !== 0) checkSize(layers, operation, "layers");
  checkSize(heads, operation, "heads");
  checkObjects(edges, operation, "edges");
  if (options.nodes) checkTexts(options.nodes, operation, "nodes");
  if (layers * (heads + 1) > MOST_NODES) {
    throw new InputError(`${layers} layers of ${heads} heads are more than can be drawn. Show some of the layers.`, {
      operation,
      argument: "layers",
      expected: `<= ${MOST_NODES} nodes`,
      actual: layers * heads,
    });
  }
  return drawn({ ...options, mlps }, false);
}

/** The diagram; in a narrow place of the circuit's nodes alone, those of a layer in as many lines as they need. */
function drawn(options: CircuitDiagramOptions & { readonly mlps: boolean }, isNarrow: boolean): Figure {
  const operation = "circuitDiagram";
  const { layers, heads, mlps, edges } = options;
  const names = new Set([...(options.nodes ?? []), ...edges.flatMap(({ from, to }) => [from, to]), "input", "logits"]);
  const all = rowsOf(layers, heads, mlps, names, isNarrow ? 0 : MOST_FAINT);
  const boxWidth = Math.max(
    BOX.width,
    Math.ceil(BOLD * largestOf(all.flat().map((n) => textWidth(n, TYPE.small)))) + 4,
  );
  const most = isNarrow ? Math.max(1, Math.floor(NARROW / (boxWidth + 6))) : Infinity;
  const lines = all.map((row) => linesOf(row, most));
  const columns = Math.max(...lines.flat().map((row) => row.length));
  const spacing = Math.max(boxWidth + 6, Math.min(72, Math.floor(380 / columns)));
  const width = Math.max(columns * spacing, isNarrow ? NARROW : 360);
  const places = new Map<string, Place>();
  const rises = lines.map((row, r) => (r === 0 ? 0 : RISE) + (row.length - 1) * LINE);
  const height = rises.reduce((sum, rise) => sum + rise, 0) + BOX.height + 8;
  let bottom = height - BOX.height / 2 - 4;
  for (const [r, row] of lines.entries()) {
    if (r > 0) bottom -= RISE;
    for (const [l, line] of row.entries()) {
      if (l > 0) bottom -= LINE;
      const left = (width - line.length * spacing) / 2;
      for (const [i, name] of line.entries()) places.set(name, { x: left + (i + 0.5) * spacing, y: bottom });
    }
  }
  for (const name of names) requireNode(places, name);
  const finite = edges.filter(({ value }) => Number.isFinite(value));
  const strongest = largestOf(
    finite.map(({ value }) => Math.abs(value)),
    0,
  );
  const head = titleBlock(options, width, nonFiniteNote(edges.length - finite.length, "value", "drawn thin"));
  const legend = drawLegend(
    KINDS.map(({ name }) => name),
    head.height + 10,
    width,
  );
  const top = head.height + legend.height + 6;
  const ordered = [...edges].sort((a, b) => sizeOf(a) - sizeOf(b));
  const curves = ordered.map((edge, i) => curve(edge, places, strongest, `edges[${i}]`));
  const boxes = [...places].map(([name, place]) => box(name, place, boxWidth, names.has(name)));
  const content = [
    head.markup,
    legend.markup,
    `<g transform="translate(0 ${px(top)})">\n${[...curves, ...boxes].join("\n")}\n</g>`,
  ].filter((part) => part !== "");
  const label = accessibleName(options, `circuit of ${edges.length} edges in ${layers} layers of ${heads} heads`);
  const narrow = isNarrow ? undefined : narrowFrom(width, () => drawn(options, true));
  return new Figure({ kind: operation, label, width, height: top + height, narrow, content: content.join("\n") });
}

/** A row in lines of equal length, of at most so many. */
function linesOf(row: readonly string[], most: number): string[][] {
  const count = Math.max(1, Math.ceil(row.length / most));
  const each = Math.ceil(row.length / count);
  return Array.from({ length: count }, (_, l) => row.slice(l * each, (l + 1) * each));
}

const sizeOf = ({ value }: CircuitDiagramEdge): number => (Number.isFinite(value) ? Math.abs(value) : 0);

/** The nodes of each row, from the bottom. */
function rowsOf(
  layers: number,
  heads: number,
  mlps: boolean,
  names: ReadonlySet<string>,
  mostFaint: number,
): string[][] {
  const rows: string[][] = [["input"]];
  for (let layer = 0; layer < layers; layer++) {
    const all = Array.from({ length: heads }, (_, head) => `a${layer}.h${head}`);
    const shown = heads > mostFaint ? all.filter((name) => names.has(name)) : all;
    if (shown.length > 0) rows.push(shown);
    if (mlps && (mostFaint > 0 || names.has(`m${layer}`))) rows.push([`m${layer}`]);
  }
  rows.push(["logits"]);
  return rows;
}

function requireNode(places: ReadonlyMap<string, Place>, name: string): Place {
  const place = places.get(name);
  if (place !== undefined) return place;
  throw new InputError(`there is no node ${JSON.stringify(name)}. Nodes are input, a0.h0, m0, logits.`, {
    operation: "circuitDiagram",
    argument: "edges",
    expected: "a node",
    actual: name,
  });
}

/** A curve that leaves and enters upright; the three inputs of a head stand side by side. */
function curve(edge: CircuitDiagramEdge, places: ReadonlyMap<string, Place>, strongest: number, what: string): string {
  checkNumber(edge.value, "circuitDiagram", `${what}.value`);
  const [from, to] = [requireNode(places, edge.from), requireNode(places, edge.to)];
  if (!(from.y > to.y)) {
    throw new InputError(
      `an edge leads from ${edge.from} to ${edge.to}, which does not come after it. Swap from and to.`,
      {
        operation: "circuitDiagram",
        argument: what,
        actual: edge,
      },
    );
  }
  const kind = KINDS.find(({ input }) => input === (edge.input ?? undefined)) ?? KINDS[3];
  const port = edge.input === "q" ? -10 : edge.input === "v" ? 10 : 0;
  const [x1, y1] = [from.x, from.y - BOX.height / 2];
  const [x2, y2] = [to.x + port, to.y + BOX.height / 2];
  const bend = Math.max(20, (y1 - y2) * 0.45);
  const d = `M${px(x1)} ${px(y1)}C${px(x1)} ${px(y1 - bend)} ${px(x2)} ${px(y2 + bend)} ${px(x2)} ${px(y2)}`;
  // The root, so that edges of a hundredth of the largest are seen.
  const share = strongest > 0 ? Math.sqrt(sizeOf(edge) / strongest) : 0;
  const dash = edge.value < 0 ? ' stroke-dasharray="5 3"' : "";
  const stroke = `stroke-width="${px(strokeWidth(share))}" stroke-opacity="${px(strokeOpacity(share))}"${dash}`;
  const title = svgTitle(`${edge.from}→${edge.to} ${kind.name}: ${formatNumber(edge.value)}`);
  return `<path class="tc-line tc-s-${kind.paint}" ${stroke} d="${d}">${title}</path>`;
}

function box(name: string, { x, y }: Place, boxWidth: number, isIn: boolean): string {
  const width = name === "input" || name === "logits" ? 52 : boxWidth;
  const place = `x="${px(x - width / 2)}" y="${px(y - BOX.height / 2)}" width="${width}" height="${BOX.height}" rx="3"`;
  const rect = `<rect class="tc-f-bg ${isIn ? "tc-s-ink" : "tc-s-grid"}" ${place}/>`;
  const text = svgText(
    x,
    y + 3.2,
    `tc-small ${isIn ? "tc-f-ink tc-b" : "tc-f-muted"}`,
    name,
    'text-anchor="middle" pointer-events="none"',
  );
  return `${rect}\n${text}`;
}
