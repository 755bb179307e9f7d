/** What the reader chose, and the address that says it. */
import { TRAIN_DATA } from "./protocol.ts";
import type { PatchBy, Put, TrainData } from "./protocol.ts";

/** What the page is for: a model taken apart, or one trained. */
export const MODES = ["apart", "train"] as const;
export type Mode = (typeof MODES)[number];

export const VIEWS = ["circuits", "patterns", "composition", "expansion", "patching", "comparison"] as const;
export type View = (typeof VIEWS)[number];

export interface State {
  /** The name of the reader's own checkpoint; empty for the bundled model. */
  readonly model: string;
  /** Empty for the model's own example. */
  readonly text: string;
  readonly view: View;
  /** Empty for the model's own choice. */
  readonly head: string;
  readonly off: readonly string[];
  readonly put: Put;
  /** The position looked at; undefined for the last. */
  readonly at: number | undefined;
  /** The token whose logit is taken apart; undefined for the likeliest. */
  readonly target: number | undefined;
  /** The second text; empty for the model's own example. */
  readonly other: string;
  readonly by: PatchBy;
  readonly answer: string;
  readonly wrong: string;
  readonly mode: Mode;
  /** What is trained on. */
  readonly data: TrainData;
  /** Undefined for what is usual on the data, as all that follow. */
  readonly layers: number | undefined;
  readonly heads: number | undefined;
  readonly width: number | undefined;
  readonly steps: number | undefined;
  readonly rate: number | undefined;
  readonly seed: number | undefined;
  /** Heads that are ablated while the model is trained: they give nothing. */
  readonly ablated: readonly string[];
}

export const INITIAL: State = {
  model: "",
  text: "",
  view: "circuits",
  head: "",
  off: [],
  put: "zero",
  at: undefined,
  target: undefined,
  other: "",
  by: "pos",
  answer: "",
  wrong: "",
  mode: "apart",
  data: "repeated-tokens",
  layers: undefined,
  heads: undefined,
  width: undefined,
  steps: undefined,
  rate: undefined,
  seed: undefined,
  ablated: [],
};

const HEAD = /^L\d{1,4}H\d{1,4}$/;

/** The state that an address says; what cannot be read is as at the beginning. */
export function stateOf(hash: string): State {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const text = (key: keyof State): string => said.get(key) ?? "";
  const count = (key: keyof State): number | undefined => (/^\d{1,9}$/.test(text(key)) ? Number(text(key)) : undefined);
  const rate = Number(text("rate"));
  const labels = (key: keyof State): string[] =>
    text(key)
      .split(",")
      .filter((label) => HEAD.test(label));
  const oneOf = <T extends string>(key: keyof State, choices: readonly T[], otherwise: T): T =>
    choices.find((choice) => choice === said.get(key)) ?? otherwise;
  return {
    model: text("model"),
    text: text("text"),
    view: oneOf("view", VIEWS, INITIAL.view),
    head: HEAD.test(text("head")) ? text("head") : "",
    off: labels("off"),
    put: oneOf("put", ["zero", "mean"], INITIAL.put),
    at: count("at"),
    target: count("target"),
    other: text("other"),
    by: oneOf("by", ["pos", "head"], INITIAL.by),
    answer: text("answer"),
    wrong: text("wrong"),
    mode: oneOf("mode", MODES, INITIAL.mode),
    data: oneOf("data", TRAIN_DATA, INITIAL.data),
    layers: count("layers"),
    heads: count("heads"),
    width: count("width"),
    steps: count("steps"),
    rate: text("rate") !== "" && rate > 0 && rate < 1e9 ? rate : undefined,
    seed: count("seed"),
    ablated: labels("ablated"),
  };
}

/** Undefined is nothing, a list its entries with commas between. */
const written = (value: State[keyof State]): string => (value ?? "").toString();

/** The address of a state, which leaves out what is as at the beginning. */
export function hashOf(state: State): string {
  const said = new URLSearchParams();
  for (const key of Object.keys(INITIAL) as (keyof State)[]) {
    const value = written(state[key]);
    if (value !== written(INITIAL[key])) said.set(key, value);
  }
  const text = said.toString();
  return text === "" ? "" : `#${text}`;
}
