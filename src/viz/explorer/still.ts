/** The explorer as a drawing: what it shows when it is opened. */
import { svgLine, svgRect, svgText, svgTitle } from "../figure.ts";
import { titleBlock, type Captions } from "../parts/frame.ts";
import { imageCells } from "../parts/image-cells.ts";
import { chipsMarkup, LINE } from "../parts/token-chips.ts";
import { TYPE } from "../parts/style.ts";
import { px, textWidth, truncate, visibleToken } from "../parts/text.ts";
import type { Triangles } from "./data.ts";

/** What is shown at first. */
export interface StillOptions extends Captions {
  readonly tokens: readonly string[];
  readonly triangles: Triangles;
  /** The measure's name. */
  readonly measure: string;
  /** The largest value of all heads, the full colour of thumbnails; each has its own where there is none. */
  readonly limit: number | undefined;
  /** Places of the picked heads, layer by layer. */
  readonly selected: readonly number[];
  readonly focus: number;
  readonly skipFirst: boolean;
}

const WIDTH = 880;
const THUMB = 54;
const MAP = 360;
/** Room for the text, beside the map. */
const SIDE = WIDTH - MAP - 36;
const MOST_LINKS = 7;

/** A figure's drawing with its size. */
export interface Still {
  readonly width: number;
  readonly height: number;
  /** Images are encoded when it is called. */
  content(): string;
}

/** Thumbnails of all heads, the text as the focus attends to it, its strongest links, the map of the picked heads. */
export function explorerStill(options: StillOptions): Still {
  const { tokens, triangles, focus, measure, selected } = options;
  const count = tokens.length;
  const head = titleBlock(options, WIDTH);
  const mean = meanOfHeads(triangles, selected, count);
  const limit = largestShown(mean, count, options.skipFirst);
  const row = Array.from({ length: focus + 1 }, (_, key) =>
    isShown(options, focus, key) ? (mean[place(focus, key)] as number) : 0,
  );
  const top = head.height + thumbnailLines(triangles) * DOWN + 14;
  const said = `from ${focus} ${visibleToken(tokens[focus] as string)}: ${measure} to`;
  const chips = chipsMarkup(
    tokens.map((token, i) => ({ token, ...(i <= focus && { value: row[i] as number }), marked: i === focus })),
    0,
    top + 22,
    SIDE,
    { limit, signed: false, format: { decimals: 3 } },
  );
  const under = top + 22 + chips.lines * LINE + 8;
  const links = strongest(row).map((key, i) =>
    linkMarkup(row[key] as number, limit, key, tokens[key] as string, under + i * LINE),
  );
  const left = SIDE + 36;
  return {
    width: WIDTH,
    height: Math.max(under + links.length * LINE, top + MAP + 38) + 2,
    content: () =>
      [
        head.markup,
        thumbnails(options, head.height),
        svgText(0, top + 12, "tc-lab tc-b tc-f-ink", truncate(said, SIDE, TYPE.lab)),
        chips.markup,
        ...links,
        mapMarkup(options, mean, limit, left, top),
      ]
        .filter((part) => part !== "")
        .join("\n"),
  };
}

function place(query: number, key: number): number {
  return (query * (query + 1)) / 2 + key;
}

function isShown({ skipFirst }: StillOptions, query: number, key: number): boolean {
  return key <= query && !(skipFirst && key === 0);
}

function meanOfHeads({ values }: Triangles, heads: readonly number[], count: number): Float64Array {
  const size = (count * (count + 1)) / 2;
  const mean = new Float64Array(size);
  for (const head of heads)
    for (let i = 0; i < size; i++) mean[i] = (mean[i] as number) + (values[head * size + i] as number) / heads.length;
  return mean;
}

function largestShown(values: Float64Array, count: number, skipFirst: boolean): number {
  let most = 0;
  for (let query = 0; query < count; query++)
    for (let key = skipFirst ? 1 : 0; key <= query; key++) most = Math.max(most, values[place(query, key)] as number);
  return most === 0 ? 1 : most;
}

/** The keys of the largest values, those left out that would read as nothing, but for the first. */
function strongest(row: readonly number[]): number[] {
  const order = row.map((_, key) => key).sort((a, b) => (row[b] as number) - (row[a] as number) || a - b);
  return order.slice(0, MOST_LINKS).filter((key, i) => i === 0 || (row[key] as number) >= 0.0005);
}

function numberText(value: number): string {
  return value >= 0.0995 ? value.toFixed(2) : value.toFixed(3);
}

function linkMarkup(value: number, limit: number, key: number, token: string, y: number): string {
  const bar = svgRect(40, y + 3, 60 * Math.min(1, value / limit), 9, 'class="tc-f-seq"');
  const chip = chipsMarkup([{ token }], 138, y, SIDE - 138, { limit: 1, signed: false, format: {} });
  return [
    svgText(34, y + 12, "tc-lab tc-f-ink", numberText(value), 'text-anchor="end"'),
    svgRect(40, y + 3, 60, 9, 'class="tc-f-panel"'),
    bar,
    svgText(130, y + 12, "tc-tick tc-f-muted", key.toString(), 'text-anchor="end"'),
    chip.markup,
  ].join("");
}

/** The pattern of one head, or of a mean, in a square. */
function patternImage(
  options: StillOptions,
  values: Float64Array,
  limit: number,
  square: { readonly left: number; readonly top: number; readonly side: number },
): string {
  const count = options.tokens.length;
  const data = new Float64Array(count * count);
  const masked = new Uint8Array(count * count).fill(1);
  for (let query = 0; query < count; query++) {
    for (let key = 0; key <= query; key++) {
      if (!isShown(options, query, key)) continue;
      data[query * count + key] = values[place(query, key)] as number;
      masked[query * count + key] = 0;
    }
  }
  const { left, top, side } = square;
  const block = Math.ceil(count / side);
  return imageCells({
    ...{ rows: count, cols: count, data, masked, bad: 0, limit, scale: "sequential", block },
    frame: { left, top, width: side, height: side },
    cell: Math.max(1, Math.floor((side * block) / count)),
  });
}

const ACROSS = THUMB + 8;
const DOWN = THUMB + 22;
const IN_LINE = Math.floor((WIDTH + 8) / ACROSS);

/** Lines of thumbnails of all layers. */
function thumbnailLines({ layers, heads }: Triangles): number {
  return layers * Math.ceil(heads / IN_LINE);
}

function thumbnails(options: StillOptions, top: number): string {
  const { triangles, tokens, selected, limit } = options;
  const { layers, heads, values } = triangles;
  const size = (tokens.length * (tokens.length + 1)) / 2;
  const lines = Math.ceil(heads / IN_LINE);
  const parts = Array.from({ length: layers * heads }, (_, one) => {
    const [layer, at] = [Math.floor(one / heads), one % heads];
    const x = (at % IN_LINE) * ACROSS;
    const y = top + (layer * lines + Math.floor(at / IN_LINE)) * DOWN;
    const own = values.subarray(one * size, (one + 1) * size);
    const full = limit ?? largestShown(own, tokens.length, options.skipFirst);
    const label = `L${layer}H${at}`;
    const isPicked = selected.includes(one);
    const outline = svgRect(
      x - 2,
      y,
      THUMB + 4,
      THUMB + 16,
      `class="tc-line tc-s-${isPicked ? "ink" : "grid"}" rx="3"${isPicked ? ' stroke-width="2"' : ""}`,
      svgTitle(label),
    );
    const image = patternImage(options, own, full, { left: x, top: y + 2, side: THUMB });
    const text = svgText(
      x + THUMB / 2,
      y + THUMB + 12,
      `tc-tick tc-f-${isPicked ? "ink" : "muted"}`,
      label,
      'text-anchor="middle"',
    );
    return outline + image + text;
  });
  return `<g transform="translate(2 0)">\n${parts.join("\n")}\n</g>`;
}

function mapMarkup(options: StillOptions, mean: Float64Array, limit: number, left: number, top: number): string {
  const { triangles, selected, focus, tokens } = options;
  const labels = selected.map((one) => `L${Math.floor(one / triangles.heads)}H${one % triangles.heads}`);
  const [only = ""] = labels;
  const several = labels.length > 6 ? `${labels.length} heads` : labels.join(", ");
  const scale = `${labels.length === 1 ? only : `mean of ${several}`}, colour 0 to ${numberText(limit)}`;
  const cell = MAP / tokens.length;
  const y = top + 20;
  const room = MAP - textWidth("↓ query (destination)", TYPE.lab) - 8;
  const markup = [
    svgText(left, top + 12, "tc-lab tc-f-muted", "↓ query (destination)"),
    svgText(left + MAP, top + 12, "tc-lab tc-f-muted", truncate(scale, room, TYPE.lab), 'text-anchor="end"'),
    patternImage(options, mean, limit, { left, top: y, side: MAP }),
    svgRect(left, y, MAP, MAP, 'class="tc-line tc-s-grid"'),
    svgRect(left, y + focus * cell, MAP, cell, `class="tc-line tc-s-pos" stroke-width="${px(Math.min(1, cell / 2))}"`),
    svgLine(left, y + MAP, left + MAP, y + MAP, 'class="tc-s-axis tc-crisp"'),
    svgText(left + MAP, y + MAP + 15, "tc-lab tc-f-muted", "key (source) →", 'text-anchor="end"'),
  ];
  return markup.join("\n");
}
