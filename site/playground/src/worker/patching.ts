/** Activations of one text put into the run of another: where does the answer lie? */
import { headLabel } from "transformer-circuits";
import { sweep } from "transformer-circuits/interventions";
import { logitDifference } from "transformer-circuits/model";
import type { Metric } from "transformer-circuits/model";
import { formatNumber, heatmap } from "transformer-circuits/viz";
import type { Figure, HeatmapOptions } from "transformer-circuits/viz";
import type { FiguresReply, PatchAsk } from "../protocol.ts";
import { InputError } from "./errors.ts";
import type { Session } from "./session.ts";
import { idsOf, labelOut, largest, probabilitiesAt } from "./text.ts";
import { shown } from "./work.ts";
import type { Work } from "./work.ts";

export function patch(session: Session, ask: PatchAsk, work: Work): FiguresReply {
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
  const named = `logit of ${labelOut(session, answer)} less logit of ${labelOut(session, wrong)}`;
  const look = { scale: "diverging", limit: 1, legendLabel: "share of the way back", format: { decimals: 2 } } as const;
  const found =
    ask.by === "pos"
      ? byPosition(session, prompts, metric, labelsOf(session, clean, corrupted), look, work)
      : byHead(session, prompts, metric, look, work);
  const { base, other = NaN, figure, most } = found;
  if (base === other)
    throw new InputError(`Both texts have the same ${named}, so there is nothing to bring back. Name other answers.`);
  const signed = (x: number): string => formatNumber(x, { decimals: 2, sign: true });
  return shown(
    [figure],
    `${named.charAt(0).toUpperCase()}${named.slice(1)}: ${signed(other)} on the first text (1 in the picture), ${signed(base)} on the second (0).`,
    ...(most === undefined ? [] : [`Most is moved by ${most.where}: to ${signed(most.value)}.`]),
  );
}

interface Prompts {
  readonly clean: number[][];
  readonly corrupted: number[][];
}

interface Found {
  readonly figure: Figure;
  /** The metric on the second text. */
  readonly base: number;
  /** The metric on the first. */
  readonly other: number | undefined;
  readonly most: { readonly where: string; readonly value: number } | undefined;
}

type Look = Omit<HeatmapOptions, "values">;

/** The residual stream before each layer and at the end, a row a position: tokens are read along lines. */
function byPosition(
  { model }: Session,
  prompts: Prompts,
  metric: Metric,
  tokens: readonly string[],
  look: Look,
  work: Work,
): Found {
  const last = model.config.n_layers - 1;
  const before = sweep(model, prompts, { at: "resid_pre", over: "layer pos", metric, ...work });
  const end = sweep(model, prompts, { at: "resid_post", over: "layer pos", layers: [last], metric });
  const [effects, ends] = [before.effect(), end.effect()];
  const [most] = before.largest(1);
  const position = Number(most?.at["pos"]);
  return {
    base: before.base,
    other: before.other,
    most: most && {
      where: `the stream before layer ${most.at["layer"]} at position ${position}, ${tokens[position]}`,
      value: most.value,
    },
    figure: heatmap({
      ...look,
      values: tokens.map((_, pos) => [...model.layers.map(({ layer }) => effects.at(layer, pos)), ends.at(0, pos)]),
      rowLabels: tokens,
      columnLabels: [...model.layers.map(({ layer }) => `L${layer}`), "end"],
      title: "The first text’s residual stream, put into the second’s run",
      xLabel: "before layer",
      yLabel: "position: first|second text",
      cell: 18,
    }),
  };
}

/** The output of each head, at all positions. */
function byHead({ model }: Session, prompts: Prompts, metric: Metric, look: Look, work: Work): Found {
  const found = sweep(model, prompts, { at: "z", over: "layer head", metric, ...work });
  const [most] = found.largest(1);
  return {
    base: found.base,
    other: found.other,
    most: most && {
      where: headLabel({ layer: Number(most.at["layer"]), head: Number(most.at["head"]) }),
      value: most.value,
    },
    figure: heatmap({
      ...look,
      values: found.effect(),
      rowLabels: model.layers.map(({ layer }) => `L${layer}`),
      columnLabels: Array.from({ length: model.config.n_heads }, (_, head) => `H${head}`),
      title: "The first text’s head outputs, put into the second’s run",
      yLabel: "layer",
      showValues: model.config.n_heads <= 12,
      cell: model.config.n_heads <= 12 ? 38 : 18,
    }),
  };
}

/** The tokens of both texts at each position; one where they agree. */
function labelsOf(session: Session, clean: readonly number[], corrupted: readonly number[]): string[] {
  return corrupted.map((id, i) => {
    const [first, second] = [session.label(clean[i] ?? id), session.label(id)];
    return id === clean[i] ? first : `${first}|${second}`;
  });
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
