/** Drawings of figures 1 to 11 from small data written down, so that their text does not hang on rounding. */
import {
  drawCompositionDiagram,
  drawCopyingHistogram,
  drawCopyingTable,
  drawHeadDump,
  drawLogitExpansion,
  drawOVEigenvalues,
  drawPositionalHeads,
  drawQKExpansion,
  drawSkipTrigramBugTable,
  drawSkipTrigramList,
  drawSplitTokenTable,
  type CompositionDiagram,
  type FigureToken,
  type TokenEntry,
} from "transformer-circuits/figures";
import type { Figure } from "transformer-circuits/viz";
import { Tensor } from "../../src/tensor/index.ts";
import { hostileTokens } from "../viz/gallery.ts";

const token = (id: number, text: string): FigureToken => ({ id, text });
const entries = (texts: readonly string[], highest: number): TokenEntry[] =>
  texts.map((text, i) => ({ id: 100 + i, text, value: highest - i / 2 }));

const keep = {
  source: token(0, " keep"),
  destination: entries([" in", " at", " under"], 3),
  out: entries([" mind", " bay", " keep"], 2),
};
const hostile = {
  source: token(9, hostileTokens[0] ?? ""),
  destination: entries(hostileTokens.slice(1, 7), 2.5),
  out: entries(hostileTokens.slice(7), 0.5),
};
const trigram = (destination: string, out: string, effect: number) => ({
  destination: token(1, destination),
  out: token(2, out),
  effect,
});

const pairScores = (scale: number): Tensor<"writer_layer writer_head reader_layer reader_head"> =>
  Tensor.from(
    "writer_layer writer_head reader_layer reader_head",
    [2, 2, 2, 2],
    Array.from({ length: 16 }, (_, i) => ([2, 3, 6, 7].includes(i) ? (scale * (i + 1)) / 16 : 0)),
  );
const maps = (scale: number, mean: number): CompositionDiagram["corrected"] => ({
  Q: pairScores(scale / 2),
  K: pairScores(scale),
  V: pairScores(scale / 4),
  baseline: { mean },
});

const perHead = (values: readonly number[]): Tensor<"layer head"> => Tensor.from("layer head", [2, 2], values);
const previous = Tensor.from(
  "query_pos key_pos",
  [4, 4],
  [1, 0, 0, 0, 0.75, 0.25, 0, 0, 0, 0.75, 0.25, 0, 0.125, 0, 0.625, 0.25],
);

/** Every figure of the list's first part, by its name. */
export function weightGallery(): ReadonlyMap<string, Figure> {
  return new Map<string, Figure>([
    [
      "copying-table",
      drawCopyingTable({
        normed: false,
        reference: "start",
        heads: [
          {
            layer: 0,
            head: 3,
            copying: 0.875,
            rows: [keep, hostile].map((row, i) => ({
              ...row,
              example: {
                destination: row.destination[0] ?? row.source,
                out: row.out[i === 0 ? 2 : 0] ?? row.source,
                effect: 1,
              },
            })),
          },
        ],
      }),
    ],
    [
      "split-token-table",
      drawSplitTokenTable({
        normed: false,
        splits: 1234,
        heads: [
          {
            layer: 1,
            head: 0,
            copying: -0.5,
            positive: 0.625,
            rows: [
              {
                source: token(0, " Ralph"),
                destination: token(1, "R"),
                out: token(2, "alph"),
                attention: 0.5,
                effect: 1.25,
              },
            ],
          },
          { layer: 1, head: 1, copying: 0, positive: 0, rows: [] },
        ],
      }),
    ],
    [
      "skip-trigrams",
      drawSkipTrigramList({
        normed: false,
        heads: [
          { layer: 0, head: 0 },
          { layer: 0, head: 1 },
        ],
        trigrams: [
          { layer: 0, head: 1, ...keep, effect: 1.5 },
          { layer: 0, head: 0, ...hostile, effect: 0.25 },
        ],
      }),
    ],
    [
      "head-dump",
      drawHeadDump({
        normed: true,
        reference: "mean",
        of: 144,
        heads: [
          { layer: 0, head: 0, copying: 0.25, rows: [keep, hostile] },
          { layer: 11, head: 11, copying: null, rows: [] },
        ],
      }),
    ],
    [
      "positional-heads",
      drawPositionalHeads({
        positions: "embedding",
        profiles: Tensor.from("layer head offset", [1, 2, 3], [0.25, 0.75, 0, 0.5, 0.25, 0.125]),
        shown: [{ layer: 0, head: 0, pattern: previous }],
      }),
    ],
    [
      "skip-trigram-bugs",
      drawSkipTrigramBugTable({
        normed: false,
        tokens: 2048,
        attested: 31250,
        rows: [
          {
            layer: 0,
            head: 3,
            source: token(0, " keep"),
            wanted: [trigram(" in", " mind", 2), trigram(" at", " bay", 1)],
            bugs: [trigram(" in", " bay", 1.5), trigram(" at", " mind", 1.25)],
          },
        ],
      }),
    ],
    [
      "ov-eigenvalues",
      drawOVEigenvalues({
        n_layers: 1,
        n_heads: 2,
        heads: [
          { layer: 0, head: 0, re: Float64Array.of(4, 1, 1), im: Float64Array.of(0, 0.5, -0.5), copying: 0.875 },
          { layer: 0, head: 1, re: Float64Array.of(-2, 0, 0), im: Float64Array.of(0, 0, 0), copying: -1 },
        ],
      }),
    ],
    [
      "copying-histogram",
      drawCopyingHistogram({
        scores: perHead([-0.25, 0.125, 0.875, 1]),
        chance: { mean: 0, std: 0.125, samples: 200 },
      }),
    ],
    [
      "logit-expansion",
      drawLogitExpansion({
        n_layers: 2,
        n_heads: 2,
        counts: [1, 4, 4],
        leftOut: ["norms"],
        sources: [
          {
            source: "embed",
            direct: 0.5,
            heads: perHead([0.25, 0.5, 1, 2]),
            pairs: pairScores(1),
            totals: [0.5, 2.5, 1.25],
            ...byHead,
          },
          {
            source: "pos_embed",
            direct: 0.25,
            heads: perHead([0, 0.5, 0, 1]),
            pairs: undefined,
            totals: [0.25, 1.125, 1],
            ...byHead,
          },
        ],
      }),
    ],
    [
      "qk-expansion",
      drawQKExpansion({
        leftOut: [],
        heads: [
          {
            head: { layer: 1, head: 0 },
            sides: [
              { source: "embed", head: undefined },
              { source: "pos_embed", head: undefined },
              { source: "embed", head: { layer: 0, head: 1 } },
            ],
            sizes: Tensor.from("q_comp k_comp", [3, 3], [0.5, 0.25, 2, 0, 1, 0.5, 0.125, 0, 0.25]),
            orders: Tensor.from("q_order k_order", [2, 2], [1.125, 2.0625, 0.125, 0.25]),
            counts: [1, 1],
            queryFirst: firstOfOne(0.28),
            keyFirst: firstOfOne(2.08),
          },
        ],
      }),
    ],
    [
      "composition",
      drawCompositionDiagram({
        n_layers: 2,
        n_heads: 2,
        layers: [0, 1],
        corrected: maps(1, 0.0625),
        original: maps(4, 0.25),
        previousToken: [{ layer: 0, head: 1 }],
        induction: [{ layer: 1, head: 0 }],
      }),
    ],
  ]);
}

/** Sizes by head that are drawn of deeper models alone. */
const byHead = { first: perHead([1, 1, 1, 1]), through: perHead([1, 1, 1, 1]), last: perHead([1, 1, 1, 1]) };

function firstOfOne(size: number): Tensor<"layer head"> {
  return Tensor.from("layer head", [1, 1], [size]);
}
