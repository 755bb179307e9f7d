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
  /** The choice of the run that was begun; undefined before the first. */
  readonly begun: TrainChoice | undefined;
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
  /** The model as files. */
  readonly files: () => Promise<readonly File[]>;
}

/** What the address says is to be trained. */
export function choiceOf({ data, layers, heads, width, steps, rate, seed }: State): TrainChoice {
  return { data, layers, heads, width, steps, rate, seed };
}

interface Shown extends Pick<Training, "begun" | "reply" | "figure" | "film" | "error"> {
  readonly isRunning: boolean;
}

const NOTHING: Shown = {
  isRunning: false,
  begun: undefined,
  reply: undefined,
  figure: undefined,
  film: undefined,
  error: undefined,
};

export function useTraining(state: State): Training {
  const client = useMemo(() => new Client(), []);
  const choice = choiceOf(state);
  const recipe = useJob(client, "recipe", { choice }, client);
  const [shown, setShown] = useState(NOTHING);
  const now = useRef({ choice, off: state.held, isWanted: false });
  now.current = { ...now.current, choice, off: state.held };
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
  return {
    ...shown,
    recipe: recipe.reply,
    error: shown.error ?? recipe.error,
    start: () => void run(true, now.current.choice),
    stop: () => (now.current.isWanted = false),
    goOn: () => void run(false, { ...(shown.begun ?? choice), steps: now.current.choice.steps }),
    files: async () => {
      const { name, weights, config } = await client.run("trained", {});
      return [new File([weights as BlobPart], name), new File([config], "config.json")];
    },
  };
}
