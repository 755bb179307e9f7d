import { checkFinite, checkOptions, checkSize } from "../check.ts";
import { Figure, NARROW, svgLine, svgRect, svgText } from "../figure.ts";
import { accessibleName, titleBlock, type Captions } from "../parts/frame.ts";
import { TYPE } from "../parts/style.ts";
import { formatNumber, px, TYPE_LINE, wrapText } from "../parts/text.ts";

/**
 * What {@link architectureDiagram} draws: the sizes of a model, under the names of its config.
 * @category Figures
 */
export interface ArchitectureDiagramOptions extends Captions {
  readonly layers: number;
  /** Heads in each layer. */
  readonly heads: number;
  readonly d_model: number;
  readonly d_head: number;
  /** Neurons of each layer's MLP; none if left out. */
  readonly d_mlp?: number;
  readonly d_vocab: number;
  readonly n_ctx: number;
  /** How positions enter: `standard`, `shortformer`, `rotary`, `none`. */
  readonly positions?: string;
  /** The normalisation before each layer, such as `LNPre`; none if left out or `null`. */
  readonly norm?: string | null;
  /** How many parameters there are in all. */
  readonly parameters?: number;
}

/** How many layers are drawn one by one. */
const MOST_LAYERS = 4;
const STREAM = 134;
const FACTS = 202;
const LAYER_WIDTH = 124;

/**
 * A model as a drawing: tokens are embedded, every layer's heads, and its MLP where there is one, read from the
 * residual stream and add to it, and the stream is unembedded into logits. Deeper models show their first and last
 * layers.
 *
 * @param options - sizes and kinds.
 * @returns the figure.
 * @throws InputError if a size is not a whole number of at least 1, or `parameters` not a finite number.
 * @category Figures
 * @example
 * ```ts
 * import { architectureDiagram } from "transformer-circuits/viz";
 *
 * const sizes = { layers: 2, heads: 8, d_model: 128, d_head: 16, d_vocab: 1024, n_ctx: 128 };
 * const figure = architectureDiagram({ ...sizes, positions: "shortformer", norm: null, parameters: 410112 });
 * console.log(figure.label, figure.svg.includes("410,112 parameters"));
 * // attention-only transformer, 2 layers of 8 heads true
 * ```
 */
export function architectureDiagram(options: ArchitectureDiagramOptions): Figure {
  checkOptions(
    options,
    "architectureDiagram",
    "layers heads d_model d_head d_mlp d_vocab n_ctx positions norm parameters",
  );
  for (const name of ["layers", "heads", "d_model", "d_head", "d_vocab", "n_ctx"] as const)
    checkSize(options[name], "architectureDiagram", name);
  if (options.parameters !== undefined) checkFinite(options.parameters, "architectureDiagram", "parameters");
  if (options.d_mlp !== undefined) checkSize(options.d_mlp, "architectureDiagram", "d_mlp");
  const shown = shownLayers(options.layers);
  const widths = shown.map((layer) => (layer === undefined ? 60 : LAYER_WIDTH));
  const flow = 168 + widths.reduce((sum, width) => sum + width + 22, 0);
  const width = Math.max(flow + 176, 720);
  const head = titleBlock(options, width);
  const parts: string[] = [drawStream(flow), drawEnds(options, flow)];
  let x = 168;
  for (const [i, layer] of shown.entries()) {
    const room = widths[i] as number;
    parts.push(layer === undefined ? drawGap(x, room, options.layers) : drawLayer(x, layer, options));
    x += room + 22;
  }
  const lines = wrapText(facts(options), width, TYPE.sub);
  parts.push(...lines.map((line, i) => svgText(0, FACTS + i * TYPE_LINE, "tc-sub tc-f-muted", line)));
  const height = head.height + FACTS + (lines.length - 1) * TYPE_LINE + 8;
  const label = accessibleName(
    options,
    `${options.d_mlp === undefined ? "attention-only transformer" : "transformer with MLPs"}, ${options.layers} layers of ${options.heads} heads`,
  );
  return new Figure({
    kind: "architectureDiagram",
    width,
    height,
    label,
    narrow: downward(options, shown, label),
    content: `${head.markup}\n<g transform="translate(0 ${px(head.height)})">\n${parts.join("\n")}\n</g>`,
  });
}

/** Where the stream runs in the drawing for narrow places, from top to bottom. */
const DOWN = 190;
const LAYER_RISE = 104;

/** The same from top to bottom, the layers at the left of the stream. */
function downward(options: ArchitectureDiagramOptions, shown: readonly (number | undefined)[], label: string): Figure {
  const head = titleBlock(options, NARROW);
  const vocabulary = formatNumber(options.d_vocab, { decimals: 0 });
  const width = formatNumber(options.d_model, { decimals: 0 });
  const first = head.height + 104;
  const last = first + shown.length * LAYER_RISE;
  const end = (y: number, name: string, below: string): string =>
    drawBox(DOWN - 39, y, 78, 30, name, "") + svgText(DOWN + 46, y + 19, "tc-tick tc-f-muted", below);
  const parts = [
    head.markup,
    svgText(DOWN, head.height + 12, "tc-lab tc-f-ink", "tokens", 'text-anchor="middle"'),
    svgLine(DOWN, head.height + 18, DOWN, last + 44, 'class="tc-s-ink" stroke-width="2"'),
    arrow(DOWN, last + 50, 0, 1),
    end(head.height + 28, "embed", `W_E  ${vocabulary} × ${width}`),
    ...shown.map((layer, i) => {
      const y = first + i * LAYER_RISE;
      if (layer === undefined) return svgText(20, y + 30, "tc-tick tc-f-muted", `⋯ ${options.layers - 3} more`);
      const box =
        options.d_mlp === undefined
          ? ""
          : svgText(LAYER_WIDTH / 2, y + 61, "tc-small tc-f-ink", "MLP", 'text-anchor="middle"');
      return [
        svgText(0, y - 8, "tc-lab tc-b tc-f-ink", `layer ${layer}`),
        svgRect(0, y, LAYER_WIDTH, 66, 'class="tc-f-panel tc-s-axis" rx="4"'),
        drawHeads(8, y + 8, LAYER_WIDTH - 16, options.d_mlp === undefined ? 50 : 40, options.heads) + box,
        svgLine(DOWN, y + 16, LAYER_WIDTH + 6, y + 16, 'class="tc-s-ink"') + arrow(LAYER_WIDTH + 1, y + 16, -1, 0),
        svgLine(LAYER_WIDTH, y + 50, DOWN - 12, y + 50, 'class="tc-s-ink"') + arrow(DOWN - 7, y + 50, 1, 0),
        `<circle class="tc-f-bg tc-s-ink" cx="${DOWN}" cy="${px(y + 50)}" r="7"/>`,
        `<path class="tc-s-ink" d="M${DOWN - 4} ${px(y + 50)}h8M${DOWN} ${px(y + 46)}v8"/>`,
      ].join("");
    }),
    end(last - 8, "unembed", `W_U  ${width} × ${vocabulary}`),
    svgText(DOWN, last + 66, "tc-lab tc-f-ink", "logits", 'text-anchor="middle"'),
  ];
  const lines = wrapText(facts(options), NARROW, TYPE.sub);
  parts.push(...lines.map((line, i) => svgText(0, last + 90 + i * TYPE_LINE, "tc-sub tc-f-muted", line)));
  return new Figure({
    kind: "architectureDiagram",
    width: NARROW,
    height: last + 90 + lines.length * TYPE_LINE,
    label,
    content: parts.filter((part) => part !== "").join("\n"),
  });
}

function shownLayers(layers: number): (number | undefined)[] {
  if (layers <= MOST_LAYERS) return Array.from({ length: layers }, (_, layer) => layer);
  return [0, 1, undefined, layers - 1];
}

function facts(options: ArchitectureDiagramOptions): string {
  return [
    `d_model ${formatNumber(options.d_model, { decimals: 0 })}`,
    `d_head ${formatNumber(options.d_head, { decimals: 0 })}`,
    ...(options.d_mlp === undefined ? [] : [`d_mlp ${formatNumber(options.d_mlp, { decimals: 0 })}`]),
    `n_ctx ${formatNumber(options.n_ctx, { decimals: 0 })}`,
    ...(options.positions === undefined ? [] : [`positions: ${options.positions}`]),
    `norm: ${options.norm ?? "none"}`,
    ...(options.parameters === undefined ? [] : [`${formatNumber(options.parameters, { decimals: 0 })} parameters`]),
  ].join(" · ");
}

function arrow(x: number, y: number, dx: number, dy: number): string {
  // A triangle whose tip is at (x, y) and which points along (dx, dy), a unit vector.
  const [bx, by] = [x - 7 * dx, y - 7 * dy];
  return `<path class="tc-f-ink" d="M${px(x)} ${px(y)}L${px(bx - 3.5 * dy)} ${px(by + 3.5 * dx)}L${px(bx + 3.5 * dy)} ${px(by - 3.5 * dx)}Z"/>`;
}

function drawStream(flow: number): string {
  const line = svgLine(40, STREAM, flow + 134, STREAM, 'class="tc-s-ink" stroke-width="2"');
  return `${line}${arrow(flow + 140, STREAM, 1, 0)}`;
}

function drawBox(x: number, y: number, width: number, height: number, name: string, below: string): string {
  return (
    svgRect(x, y, width, height, 'class="tc-f-panel tc-s-axis" rx="4"') +
    svgText(x + width / 2, y + height / 2 + 4, "tc-lab tc-b tc-f-ink", name, 'text-anchor="middle"') +
    svgText(x + width / 2, y + height + 14, "tc-tick tc-f-muted", below, 'text-anchor="middle"')
  );
}

function drawEnds(options: ArchitectureDiagramOptions, flow: number): string {
  const vocabulary = formatNumber(options.d_vocab, { decimals: 0 });
  const width = formatNumber(options.d_model, { decimals: 0 });
  return [
    svgText(0, STREAM + 4, "tc-lab tc-f-ink", "tokens"),
    drawBox(58, STREAM - 17, 72, 34, "embed", `W_E  ${vocabulary} × ${width}`),
    drawBox(flow + 16, STREAM - 17, 78, 34, "unembed", `W_U  ${width} × ${vocabulary}`),
    svgText(flow + 144, STREAM + 4, "tc-lab tc-f-ink", "logits"),
  ].join("\n");
}

function drawGap(x: number, width: number, layers: number): string {
  return (
    svgText(x + width / 2, 62, "tc-title tc-f-muted", "⋯", 'text-anchor="middle"') +
    svgText(x + width / 2, 80, "tc-tick tc-f-muted", `${layers - 3} more`, 'text-anchor="middle"')
  );
}

function drawLayer(x: number, layer: number, options: ArchitectureDiagramOptions): string {
  const [top, height] = [26, 66];
  const [inX, outX] = [x + 22, x + LAYER_WIDTH - 22];
  const parts = [
    svgText(x + LAYER_WIDTH / 2, top - 8, "tc-lab tc-b tc-f-ink", `layer ${layer}`, 'text-anchor="middle"'),
    svgRect(x, top, LAYER_WIDTH, height, 'class="tc-f-panel tc-s-axis" rx="4"'),
    drawHeads(x + 8, top + 8, LAYER_WIDTH - 16, height - 16 - (options.d_mlp === undefined ? 0 : 20), options.heads),
    svgLine(inX, STREAM, inX, top + height + 6, 'class="tc-s-ink"'),
    arrow(inX, top + height + 1, 0, -1),
    svgLine(outX, top + height, outX, STREAM - 12, 'class="tc-s-ink"'),
    arrow(outX, STREAM - 7, 0, 1),
    `<circle class="tc-f-bg tc-s-ink" cx="${px(outX)}" cy="${STREAM}" r="7"/>`,
    `<path class="tc-s-ink" d="M${px(outX - 4)} ${STREAM}h8M${px(outX)} ${STREAM - 4}v8"/>`,
  ];
  if (options.d_mlp !== undefined) {
    const y = top + height - 23;
    parts.push(
      svgRect(x + 8, y, LAYER_WIDTH - 16, 16, 'class="tc-f-bg tc-s-axis" rx="2"'),
      svgText(x + LAYER_WIDTH / 2, y + 11.5, "tc-small tc-f-ink", "MLP", 'text-anchor="middle"'),
    );
  }
  if (options.norm !== undefined && options.norm !== null) {
    parts.push(
      svgRect(inX - 20, 104, 40, 14, 'class="tc-f-bg tc-s-axis" rx="3"'),
      svgText(inX, 114, "tc-small tc-f-muted", options.norm, 'text-anchor="middle"'),
    );
  }
  return parts.join("\n");
}

/** Up to 16 heads as squares; more as a number. */
function drawHeads(x: number, y: number, width: number, height: number, heads: number): string {
  if (heads > 16)
    return svgText(x + width / 2, y + height / 2 + 4, "tc-lab tc-f-ink", `${heads} heads`, 'text-anchor="middle"');
  const columns = heads <= 4 ? heads : heads <= 8 ? Math.ceil(heads / 2) : 4;
  const rows = Math.ceil(heads / columns);
  const [w, h] = [(width + 4) / columns - 4, (height + 4) / rows - 4];
  return Array.from({ length: heads }, (_, head) => {
    const [cx, cy] = [x + (head % columns) * (w + 4), y + Math.floor(head / columns) * (h + 4)];
    const text =
      h >= 9 ? svgText(cx + w / 2, cy + h / 2 + 3.2, "tc-small tc-f-ink", `H${head}`, 'text-anchor="middle"') : "";
    return svgRect(cx, cy, w, h, 'class="tc-f-seq" fill-opacity="0.18" rx="2"') + text;
  }).join("");
}
