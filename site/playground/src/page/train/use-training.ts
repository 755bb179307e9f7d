/** A run of training in a worker of its own, a moment at a time, so that what the reader changes holds at once. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { FiguresReply, RecipeReply, SentError, SentFigure, TrainChoice, TrainReply } from "../../protocol.ts";
import type { State } from "../../state.ts";
import { Client } from "../client.ts";
import { sentOf, useJob } from "../use-job.ts";

/** Where a run is, and what can be done with it. */
export interface Training {
  /** What the choice of the moment comes to. */
  readonly recipe: RecipeReply | undefined;
  readonly isRunning: boolean;
  /** Whether a run was begun. */
  readonly isBegun: boolean;
  /** Whether the run that stands is the one that is chosen, and has steps left. */
  readonly canGoOn: boolean;
  /** Where it is. */
  readonly reply: TrainReply | undefined;
  /** What it was while it ran: the film's last checkpoint. */
  readonly figure: SentFigure | undefined;
  /** The film of a run that stands. */
  readonly film: FiguresReply | undefined;
  readonly error: SentError | undefined;
  readonly start: () => void;
  readonly stop: () => void;
  readonly goOn: () => void;
  /** Whether a tokenizer comes with the model. */
  readonly hasTokenizer: boolean;
  /** The model as files. */
  readonly files: () => Promise<readonly File[]>;
}

/** What is to be trained: what the address says, and a text, which no address can hold. */
function choiceOf({ data, layers, heads, width, steps, rate, seed }: State, text: string): TrainChoice {
  return { data, text: data === "text" ? text : undefined, layers, heads, width, steps, rate, seed };
}

/** Whether two choices are of the same run, however long. */
function isOfOneRun(one: TrainChoice, other: TrainChoice): boolean {
  const keys = Object.keys(one) as (keyof TrainChoice)[];
  return keys.every((key) => key === "steps" || one[key] === other[key]);
}

interface Shown extends Pick<Training, "isRunning" | "reply" | "figure" | "film" | "error"> {
  /** The choice of the run that was begun; undefined before the first. */
  readonly begun: TrainChoice | undefined;
}

const NOTHING: Shown = {
  isRunning: false,
  begun: undefined,
  reply: undefined,
  figure: undefined,
  film: undefined,
  error: undefined,
};

export function useTraining(state: State, text: string): Training {
  const client = useMemo(() => new Client(), []);
  const choice = choiceOf(state, text);
  const recipe = useJob(client, "recipe", choice.text === "" ? undefined : { choice }, client);
  const [shown, setShown] = useState(NOTHING);
  const now = useRef({ choice, off: state.ablated, isWanted: false });
  now.current = { ...now.current, choice, off: state.ablated };
  useEffect(() => () => client.end(), [client]);

  const run = async (isFirst: boolean, begun: TrainChoice): Promise<void> => {
    now.current.isWanted = true;
    setShown((before) => ({ ...(isFirst ? NOTHING : before), begun, isRunning: true, error: undefined }));
    try {
      for (let isNew = isFirst; now.current.isWanted; isNew = false) {
        const reply = await client.run("train", { choice: begun, isNew, off: now.current.off });
        const { figure } = reply;
        setShown((before) => ({ ...before, reply, ...(figure && { figure, film: undefined }) }));
        if (reply.isDone) break;
      }
      const film = await client.run("film", {});
      setShown((before) => ({ ...before, isRunning: false, film }));
    } catch (error) {
      setShown((before) => ({ ...before, isRunning: false, error: sentOf(error) }));
    }
    now.current.isWanted = false;
  };
  const { begun, reply } = shown;
  return {
    ...shown,
    isBegun: begun !== undefined,
    hasTokenizer: begun?.text !== undefined,
    canGoOn:
      begun !== undefined &&
      isOfOneRun(begun, choice) &&
      reply !== undefined &&
      recipe.reply !== undefined &&
      reply.step < recipe.reply.steps,
    recipe: recipe.reply,
    error: shown.error ?? recipe.error,
    start: () => void run(true, now.current.choice),
    stop: () => (now.current.isWanted = false),
    goOn: () => void run(false, now.current.choice),
    files: async () => {
      const { name, weights, config, tokenizer } = await client.run("trained", {});
      return [
        new File([weights as BlobPart], name),
        new File([config], "config.json"),
        ...(tokenizer === undefined ? [] : [new File([tokenizer], "tokenizer.json")]),
      ];
    },
  };
}
