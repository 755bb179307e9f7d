/** The circuits of one head, from the weights alone. */
import { CircuitsError, fullOVCircuit, fullQKCircuit } from "transformer-circuits";
import type { Linear } from "transformer-circuits";
import { makeFigure } from "transformer-circuits/figures";
import { rowsOf, topKOverall } from "transformer-circuits/linear";
import { tokenTable } from "transformer-circuits/viz";
import type { Figure, TokenTableCell } from "transformer-circuits/viz";
import type { CircuitAsk, FiguresReply } from "../protocol.ts";
import type { HeadLabel, Session } from "./session.ts";
import { labelOut, largest } from "./text.ts";
import { shown } from "./work.ts";
import type { Work } from "./work.ts";

export async function circuit(session: Session, ask: CircuitAsk, work: Work): Promise<FiguresReply> {
  const head = ask.head as HeadLabel;
  const { normalization_type } = session.model.config;
  const bare = normalization_type === null ? [] : ["Norms are left out: these are the bare weights."];
  switch (ask.part) {
    case "ov":
      return shown([ovTable(session, head, work)], ...bare);
    case "qk":
      return shown([qkTable(session, head, work)], ...bare);
    case "eigenvalues":
      return orReason(() => figure(session, "ov-eigenvalues", head, work), ...bare);
    case "trigrams":
      return orReason(() => figure(session, "head-dump", head, work, `Skip-trigrams of ${head}`));
    case "positions":
      return orReason(() => figure(session, "positional-heads", head, work));
  }
}

async function figure(
  { model, tokenizer, bos }: Session,
  name: string,
  head: HeadLabel,
  work: Work,
  title?: string,
): Promise<Figure> {
  const input = { model, bos: bos ?? null, ...(tokenizer && { tokenizer }) };
  const options = { heads: [head], ...(title !== undefined && { title }), ...work };
  return (await makeFigure(name, input, options)).figure;
}

/** Figures, or why a model has none of the kind. */
async function orReason(make: () => Promise<Figure>, ...notes: readonly string[]): Promise<FiguresReply> {
  try {
    return shown([await make()], ...notes);
  } catch (error) {
    if (error instanceof CircuitsError && error.name === "ConfigError") return shown([], error.message);
    throw error;
  }
}

function ovTable(session: Session, head: HeadLabel, work: Work): Figure {
  const outputs = (id: number, value: number): { token: string; value: number } => ({
    token: labelOut(session, id),
    value,
  });
  return tokenTable({
    title: `OV circuit of ${head}: what comes out where it attends`,
    subtitle:
      "W_E W_OV W_U: source tokens with the largest entries, and the output tokens whose logits they raise most, less the mean of all.",
    columns: [{ label: "source" }, { label: "raised", legend: "logits" }],
    groups: [{ rows: strongestRows(session, fullOVCircuit(session.model, head), 1, outputs, work) }],
  });
}

function qkTable(session: Session, head: HeadLabel, work: Work): Figure {
  const { attn_scale, positional_embedding_type } = session.model.config;
  const keys = (id: number, value: number): { token: string; value: number } => ({ token: session.label(id), value });
  const rotary = positional_embedding_type === "rotary" ? " At offset 0, as rotary positions turn keys." : "";
  return tokenTable({
    title: `QK circuit of ${head}: which tokens it looks for`,
    subtitle: `W_E W_QK W_Eᵀ: query tokens with the largest entries, and the keys that they score most, less the mean of all.${rotary}`,
    columns: [{ label: "query" }, { label: "keys", legend: "score" }],
    groups: [{ rows: strongestRows(session, fullQKCircuit(session.model, head), attn_scale, keys, work) }],
  });
}

/** Rows that a table has, and entries of each. */
const ROWS = 8;
const LISTED = 6;

/** The rows of the largest entries of a map, each with its largest entries less its mean. */
function strongestRows(
  session: Session,
  map: Linear,
  scale: number,
  chip: (id: number, value: number) => { token: string; value: number },
  work: Work,
): (readonly TokenTableCell[])[] {
  const rows = [...new Set(topKOverall(map, 8 * ROWS, work).map(({ row }) => row))].slice(0, ROWS);
  return rows.map((row) => {
    const entries = Float64Array.from(rowsOf(map, [row]).data, (x) => x / scale);
    const mean = entries.reduce((sum, x) => sum + x, 0) / entries.length;
    const chips = largest(entries, LISTED).map((id) => chip(id, (entries[id] ?? 0) - mean));
    return [[{ token: session.label(row) }], chips];
  });
}
