/** One panel of a composition graph: layers of heads from the bottom up, curves between them. */
import { vec2 } from "gl-matrix";
import { headIdOf, type HeadId } from "../../head-id.ts";
import type { Captions } from "../parts/frame.ts";
import type { HeadRef } from "../check.ts";
import { svgText, svgTitle } from "../figure.ts";
import { SERIES_COLORS } from "../parts/style.ts";
import { formatNumber, px } from "../parts/text.ts";

/**
 * Which input of the reading head is composed with: its query, its key or its value.
 * @category Figures
 */
export type CompositionKind = "Q" | "K" | "V";

/**
 * One composition score: how much head `to` reads of what head `from` wrote.
 * @category Figures
 */
export interface CompositionEdge {
  readonly from: HeadRef;
  readonly to: HeadRef;
  readonly kind: CompositionKind;
  readonly value: number;
}

/**
 * What scores between random matrices of the same sizes come to.
 * @category Figures
 */
export interface GraphBaseline {
  readonly mean: number;
  readonly std?: number;
}

/**
 * Heads that a figure points out, under one name.
 * @category Figures
 */
export interface HeadRole {
  readonly name: string;
  readonly heads: readonly HeadRef[];
}

/**
 * What {@link compositionGraph} draws.
 * @category Figures
 */
export interface CompositionGraphOptions extends Captions {
  readonly layers: number;
  /** Heads in each layer. */
  readonly heads: number;
  readonly edges: readonly CompositionEdge[];
  /** Subtracted from every score; 0 if left out. */
  readonly baseline?: GraphBaseline;
  /** The numbers that layers bear, from below, where not all of a model are shown; 0, 1, 2 … if left out. */
  readonly layerNames?: readonly number[];
  /** Heads to colour, such as previous-token and induction heads. */
  readonly roles?: readonly HeadRole[];
}

/** A score that is drawn. */
export interface PanelEdge extends Omit<CompositionEdge, "from" | "to"> {
  readonly from: HeadId;
  readonly to: HeadId;
  readonly name: string;
  /** The score minus the baseline. */
  readonly excess: number;
  /** `excess` as a share of the strongest. */
  readonly share: number;
}

/** Heads that are pointed out, by their places. */
export interface PanelRole {
  readonly name: string;
  readonly heads: readonly HeadId[];
}

/** Sizes of a panel. */
export interface PanelLayout {
  readonly layers: number;
  readonly heads: number;
  readonly roles: readonly PanelRole[];
  /** What a head is called. */
  readonly nameOf: (head: HeadId) => string;
  /** Pixels from one head to the next. */
  readonly spacing: number;
  readonly left: number;
  /** Pixels from one layer to the next. */
  readonly rise: number;
  readonly width: number;
  readonly height: number;
}

/** The colours before this one are those of Q, K and V. */
export const FIRST_ROLE_COLOR = 3;

const NODE = { width: 32, height: 18 } as const;

/** The sizes of a panel for heads `spacing` pixels apart. */
export function panelLayout(options: CompositionGraphOptions, spacing: number): PanelLayout {
  const { layers, heads, layerNames = [] } = options;
  const roles = (options.roles ?? []).map((role) => ({
    name: role.name,
    heads: role.heads.map((head) => headIdOf(head, "compositionGraph", "roles")),
  }));
  const left = 4;
  const rise = Math.max(118, Math.round(1.8 * spacing));
  return {
    layers,
    heads,
    roles,
    nameOf: ({ layer, head }) => `L${layerNames[layer] ?? layer}H${head}`,
    spacing,
    left,
    rise,
    width: left + heads * spacing,
    height: (layers - 1) * rise + NODE.height + 8,
  };
}

/** Middle of a head's box, in pixels. */
function middle({ layer, head }: HeadId, layout: PanelLayout): Float64Array {
  const x = layout.left + (head + 0.5) * layout.spacing;
  return Float64Array.of(x, layout.height - NODE.height / 2 - 4 - layer * layout.rise);
}

/** Width of a curve in pixels, for its share of the strongest. */
export function strokeWidth(share: number): number {
  return 0.4 + 4.6 * share;
}

/** Opacity of a curve, for its share of the strongest. */
export function strokeOpacity(share: number): number {
  return 0.12 + 0.78 * share;
}

/** Curves with hover texts. */
export function drawEdges(edges: readonly PanelEdge[], layout: PanelLayout, paint: string): string {
  return edges.map((edge) => drawEdge(edge, layout, paint)).join("\n");
}

function drawEdge(edge: PanelEdge, layout: PanelLayout, paint: string): string {
  const up = Float64Array.of(0, -NODE.height / 2);
  const start = vec2.add(new Float64Array(2), middle(edge.from, layout), up);
  const end = vec2.subtract(new Float64Array(2), middle(edge.to, layout), up);
  // Control points straight above and below the ends: a curve leaves and enters its boxes upright.
  const bend = Float64Array.of(0, (end[1] - start[1]) * 0.45);
  const first = vec2.add(new Float64Array(2), start, bend);
  const second = vec2.subtract(new Float64Array(2), end, bend);
  const d = `M${pair(start)}C${pair(first)} ${pair(second)} ${pair(end)}`;
  const stroke = `stroke-width="${px(strokeWidth(edge.share))}" stroke-opacity="${px(strokeOpacity(edge.share))}"`;
  const { from, to } = edge;
  const name = `${layout.nameOf(from)}→${layout.nameOf(to)} ${edge.name}: ${formatNumber(edge.value)}, ${formatNumber(edge.excess)} above the baseline`;
  return `<path class="tc-line tc-s-${paint}" ${stroke} d="${d}">${svgTitle(name)}</path>`;
}

function pair(point: ArrayLike<number>): string {
  return `${px(point[0] as number)} ${px(point[1] as number)}`;
}

/** Boxes of heads, over the edges. */
export function drawNodes(layout: PanelLayout, edges: string): string {
  const parts: string[] = [];
  for (let layer = 0; layer < layout.layers; layer++) {
    for (let head = 0; head < layout.heads; head++) {
      const [x = 0, y = 0] = middle({ layer, head }, layout);
      const place = `x="${px(x - NODE.width / 2)}" y="${px(y - NODE.height / 2)}" width="${NODE.width}" height="${NODE.height}" rx="3"`;
      const names = layout.roles.flatMap((role, i) =>
        role.heads.some((ref) => ref.layer === layer && ref.head === head) ? [i] : [],
      );
      const role = names[0];
      const hover =
        role === undefined
          ? ""
          : svgTitle(`${layout.nameOf({ layer, head })}: ${names.map((i) => layout.roles[i]?.name ?? "").join(", ")}`);
      const paint = role === undefined ? "tc-f-bg tc-s-axis" : `tc-f-c${(FIRST_ROLE_COLOR + role) % SERIES_COLORS}`;
      parts.push(
        hover === "" ? `<rect class="${paint}" ${place}/>` : `<rect class="${paint}" ${place}>${hover}</rect>`,
      );
      parts.push(
        svgText(
          x,
          y + 3.2,
          `tc-small ${role === undefined ? "tc-f-ink" : "tc-f-on tc-b"}`,
          layout.nameOf({ layer, head }),
          'text-anchor="middle" pointer-events="none"',
        ),
      );
    }
  }
  return `${edges}\n${parts.join("\n")}`;
}
