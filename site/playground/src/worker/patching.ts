/** Activations of one text put into the run of another: where does the answer lie? */
import { headLabel } from "transformer-circuits";
import { sweep } from "transformer-circuits/interventions";
import { logitDifference } from "transformer-circuits/model";
import { formatNumber, heatmap } from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import type { FiguresReply, PatchAsk } from "../protocol.ts";
import { InputError } from "./errors.ts";
import type { Session } from "./session.ts";
import { idsOf, labelOut, largest, probabilitiesAt } from "./text.ts";
import { shown } from "./work.ts";
import type { Work } from "./work.ts";

export function patch(session: Session, ask: PatchAsk, work: Work): FiguresReply {
  const { model } = session;
  const clean = idsOf(session, ask.text);
  const corrupted = idsOf(session, ask.other);
  if (clean.length !== corrupted.length)
    throw new InputError(
      `The first text has ${clean.length} tokens and the second ${corrupted.length}. Activations go to the same positions: write texts of equal length in tokens.`,
    );
  if (clean.every((id, i) => id === corrupted[i]))
    throw new InputError("Both texts are the same, so nothing would change. Change a token of the second.");
  const [answer, wrong] = answersOf(session, ask, clean, corrupted);
  const metric = logitDifference({ answer, wrong });
  const prompts = { clean: [[...clean]], corrupted: [[...corrupted]] };
  const found =
    ask.by === "pos"
      ? sweep(model, prompts, { at: "resid_pre", over: "layer pos", metric, ...work })
      : sweep(model, prompts, { at: "z", over: "layer head", metric, ...work });
  const { base, other = NaN } = found;
  const tokens = corrupted.map((id, i) =>
    id === clean[i] ? session.label(id) : `${session.label(clean[i] ?? 0)}|${session.label(id)}`,
  );
  const named = `logit of ${labelOut(session, answer)} less logit of ${labelOut(session, wrong)}`;
  const figure: Figure = heatmap({
    values: found.effect(),
    rowLabels: model.layers.map(({ layer }) => `L${layer}`),
    columnLabels: ask.by === "pos" ? tokens : Array.from({ length: model.config.n_heads }, (_, head) => `H${head}`),
    title:
      ask.by === "pos"
        ? "The first text’s residual stream, put into the second’s run"
        : "The first text’s head outputs, put into the second’s run",
    subtitle: `Share of the way from the second text’s answer (0) to the first’s (1): ${named}.`,
    xLabel: ask.by === "pos" ? "token: first|second text" : "head",
    yLabel: ask.by === "pos" ? "before layer" : "layer",
    scale: "diverging",
    limit: 1,
    cell: Math.max(14, Math.min(26, Math.floor(900 / (ask.by === "pos" ? tokens.length : model.config.n_heads)))),
    legendLabel: "share of the effect",
    format: { decimals: 2 },
  });
  const [most] = found.largest(1);
  const where = most === undefined ? "" : placeOf(most.at, tokens);
  return shown(
    [figure],
    `${capital(named)}: ${formatNumber(other, { decimals: 2, sign: true })} on the first text, ${formatNumber(base, { decimals: 2, sign: true })} on the second.`,
    ...(most === undefined
      ? []
      : [`Most is moved by ${where}: to ${formatNumber(most.value, { decimals: 2, sign: true })}.`]),
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function placeOf(at: Readonly<Record<string, string | number>>, tokens: readonly string[]): string {
  const layer = Number(at["layer"]);
  const head = at["head"];
  if (head !== undefined) return headLabel({ layer, head: Number(head) });
  return `the stream before layer ${layer} at position ${at["pos"]}, ${tokens[Number(at["pos"])] ?? ""}`;
}

/** The tokens asked for, or those that each text makes likelier than the other does. */
function answersOf(
  session: Session,
  ask: PatchAsk,
  clean: readonly number[],
  corrupted: readonly number[],
): readonly [number, number] {
  const last = clean.length - 1;
  const none = { off: [], put: "zero" } as const;
  const [p, q] = [session.run(clean, none), session.run(corrupted, none)].map((run) => probabilitiesAt(run, last));
  const gain = (a: ArrayLike<number> = [], b: ArrayLike<number> = []): number =>
    largest(
      Float64Array.from(a, (x, i) => x - (b[i] ?? 0)),
      1,
    )[0] ?? 0;
  const answer = ask.answer.trim() === "" ? gain(p, q) : session.oneToken(ask.answer);
  const wrong = ask.wrong.trim() === "" ? gain(q, p) : session.oneToken(ask.wrong);
  if (answer === wrong) throw new InputError(`Both answers are ${labelOut(session, answer)}. Name two tokens.`);
  return [answer, wrong];
}
