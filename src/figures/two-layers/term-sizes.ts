/** How the figures of both expansions show sizes of terms: counts, orders, and maps by head. */
import { formatNumber, heatmap } from "../../viz/index.ts";
import type { Figure } from "../../viz/index.ts";
import type { Tensor } from "../../tensor/index.ts";

/** `1 term`, `380,160 terms`, `2.33e13 terms`. */
export function countOf(terms: number): string {
  return terms === 1 ? "1 term" : `${formatNumber(terms, terms < 1e6 ? { decimals: 0 } : { significant: 3 })} terms`;
}

/** `no head`, `1 head`, `2 heads`; the last one of several orders where fewer are told apart than there are layers. */
export function orderLabels(count: number, n_layers: number): string[] {
  return Array.from({ length: count }, (_, order) => {
    if (order === count - 1 && order < n_layers) return `${order} to ${n_layers} heads`;
    return order === 0 ? "no head" : order === 1 ? "1 head" : `${order} heads`;
  });
}

/** Sizes by layer and head. */
export function headMap(sizes: Tensor<"layer head">, title: string, legendLabel: string): Figure {
  const [n_layers = 0, n_heads = 0] = sizes.shape;
  return heatmap({
    values: sizes,
    rowLabels: Array.from({ length: n_layers }, (_, layer) => `layer ${layer}`),
    columnLabels: Array.from({ length: n_heads }, (_, head) => `H${head}`),
    title,
    scale: "sequential",
    legendLabel,
    showValues: n_heads <= 16,
    ...(n_heads > 8 && { cell: 32 }),
    format: { significant: 2 },
  });
}
