/** Two texts side by side: what the model expects on each, and where a head looks on each. */
import { klDivergence, lossPerToken } from "transformer-circuits/model";
import { formatNumber, heatmap, table, tokenStrip } from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import type { CompareAsk, FiguresReply } from "../protocol.ts";
import type { HeadLabel, Session } from "./session.ts";
import { idsOf, labelOut, largest, probabilitiesAt } from "./text.ts";
import { shown } from "./work.ts";

const LISTED = 8;

export function compare(session: Session, ask: CompareAsk): FiguresReply {
  const { d_vocab, d_vocab_out } = session.model.config;
  const sides = [ask.text, ask.other].map((text) => {
    const ids = idsOf(session, text);
    return { ids, run: session.run(ids, ask) };
  });
  const [a, b] = sides as [(typeof sides)[0], (typeof sides)[0]];
  const strips = sides.flatMap(({ ids, run }, i) => {
    if (d_vocab !== d_vocab_out || ids.length < 2) return [];
    const losses = Array.from(lossPerToken(run.logits, run.tokens).data);
    return [{ ids, losses, title: `Loss of each token, ${i === 0 ? "first" : "second"} text` }];
  });
  const limit = Math.max(0.1, ...strips.flatMap(({ losses }) => losses));
  const figures: Figure[] = strips.map(({ ids, losses, title }) =>
    tokenStrip({
      tokens: session.texts(ids),
      values: [0, ...losses],
      noValue: [0],
      scale: "sequential",
      limit,
      legendLabel: "loss in nats",
      title,
      subtitle: `Mean ${formatNumber(losses.reduce((x, y) => x + y, 0) / losses.length, { decimals: 3 })} nats.`,
    }),
  );
  const off = ask.off.length === 0 ? [] : [`Both runs with ${ask.off.join(", ")} switched off.`];
  const maps = session.model.config.n_layers === 0 ? [] : patternMaps(session, ask.head, a, b);
  return shown([...figures, nextTable(session, a, b), ...maps], ...divergence(a, b), ...off);
}

type Side = { readonly ids: readonly number[]; readonly run: ReturnType<Session["run"]> };

function nextTable(session: Session, a: Side, b: Side): Figure {
  const [p, q] = [a, b].map(({ ids, run }) => probabilitiesAt(run, ids.length - 1)) as [Float32Array, Float32Array];
  const ids = [...new Set([...largest(p, LISTED), ...largest(q, LISTED)])];
  return table({
    title: "The next token after each text",
    columns: [
      { label: "token", kind: "token" },
      { label: "first", kind: "bar", format: { decimals: 3 } },
      { label: "second", kind: "bar", format: { decimals: 3 } },
      { label: "ln ratio", kind: "number", format: { decimals: 2, sign: true } },
    ],
    rows: ids.map((id) => [labelOut(session, id), p[id] ?? 0, q[id] ?? 0, Math.log((q[id] ?? 0) / (p[id] ?? 0))]),
  });
}

function divergence(a: Side, b: Side): string[] {
  const last = a.run.logits.slice("pos", a.ids.length - 1, a.ids.length);
  const other = b.run.logits.slice("pos", b.ids.length - 1, b.ids.length);
  const nats = klDivergence(last).values(other)[0] ?? NaN;
  return [
    `After the second text the model’s next token is ${formatNumber(nats, { decimals: 3 })} nats (Kullback–Leibler) from that after the first.`,
  ];
}

/** The pattern of one head on each, and their difference where they have the same length. */
function patternMaps(session: Session, label: string, a: Side, b: Side): Figure[] {
  const { layer, head } = session.model.head(label as HeadLabel);
  const [p, q] = [a, b].map(({ run }) =>
    Float64Array.from(run.cache.get(`blocks.${layer}.attn.hook_pattern`).select("head", head).data),
  ) as [Float64Array, Float64Array];
  const isCausal = session.model.config.attention_dir === "causal";
  const map = (values: Float64Array, side: Side, title: string, isDifference: boolean): Figure =>
    heatmap({
      values: { rows: side.ids.length, cols: side.ids.length, data: values },
      ...(side.ids.length <= 40 && {
        rowLabels: side.ids.map((id) => session.label(id)),
        columnLabels: side.ids.map((id) => session.label(id)),
      }),
      title,
      xLabel: "key",
      yLabel: "query",
      mask: (query, key) => isCausal && key > query,
      scale: isDifference ? "diverging" : "sequential",
      limit: 1,
    });
  if (a.ids.length !== b.ids.length)
    return [map(p, a, `${label} on the first text`, false), map(q, b, `${label} on the second text`, false)];
  return [
    map(
      q.map((x, i) => x - (p[i] ?? 0)),
      b,
      `Attention of ${label}: second text less first`,
      true,
    ),
  ];
}
