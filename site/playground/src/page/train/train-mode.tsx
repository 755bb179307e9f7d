/** The page while it trains: what is to be trained, its heads, and the film of what forms. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { TRAIN_DATA } from "../../protocol.ts";
import type { TrainData } from "../../protocol.ts";
import type { State } from "../../state.ts";
import { ErrorView, FigureView } from "../parts.tsx";
import type { Change } from "../store.ts";
import { NumberField } from "./number-field.tsx";
import { TrainText } from "./train-text.tsx";
import type { TrainTextProps } from "./train-text.tsx";
import { TrainedHeadsPanel } from "./trained-heads-panel.tsx";
import { useTraining } from "./use-training.ts";
import type { Training } from "./use-training.ts";

const DATA_NAMES: Readonly<Record<TrainData, string>> = {
  "repeated-tokens": "Random tokens that repeat",
  "markov-chains": "Markov chains, a new one in each prompt",
  "skip-trigrams": "Skip-trigrams",
  "associative-recall": "Associative recall",
  "max-of-k": "The largest of four numbers",
  text: "A text of your own",
};

const DATA_HELP: Readonly<Record<TrainData, string>> = {
  "repeated-tokens": "Only what came before helps: a previous-token head forms, and then induction heads that read it.",
  "markov-chains":
    "The model guesses evenly, then by how often symbols came, then by what followed the present one, which is the best there is.",
  "skip-trigrams": "What stands first in the prompt decides what follows some tokens: one layer is enough.",
  "associative-recall": "Pairs of a key and a value, and keys again: find the key, give its value.",
  "max-of-k": "One head looks at the largest number and says it at the last position.",
  text: "Its tokens are learned of it, 512 at most: bytes, and pieces of words. The tenth at its end is for the film’s losses; no step trains on it.",
};

export interface TrainModeProps {
  /** Whether it is what the page shows; a run goes on where it is not. */
  readonly isShown: boolean;
  readonly state: State;
  readonly change: Change;
  /** Opens the files of the model that was trained in the other views. */
  readonly onOpen: (files: readonly File[]) => void;
}

export function TrainMode({ isShown, state, change, onOpen }: TrainModeProps): JSX.Element {
  const [text, setText] = useState("");
  const training = useTraining(state, text);
  const { film, figure, reply, error } = training;
  return (
    <main hidden={!isShown}>
      <div class="side">
        <RunPanel state={state} change={change} training={training} text={text} onText={setText} />
        {training.recipe && training.recipe.n_layers > 0 && (
          <TrainedHeadsPanel state={state} change={change} recipe={training.recipe} reply={reply} />
        )}
        <ModelPanel training={training} onOpen={onOpen} />
      </div>
      <section class="views" aria-label="film">
        {error && <ErrorView error={error} />}
        {film && film.notes.length > 0 && (
          <ul class="found">
            {film.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        )}
        {film ? (
          film.figures.map((one) => <FigureView figure={one} key={one.kind} />)
        ) : figure ? (
          <FigureView figure={figure} />
        ) : (
          <p class="note">
            {training.isRunning
              ? "The film begins with the first checkpoint."
              : "Start a run, and watch here what forms: the loss, what heads do, which of them compose. When it stands, a slider goes through its checkpoints."}
          </p>
        )}
      </section>
    </main>
  );
}

interface RunPanelProps extends Pick<TrainModeProps, "state" | "change">, TrainTextProps {
  readonly training: Training;
}

function RunPanel({ state, change, training, text, onText }: RunPanelProps): JSX.Element {
  const { recipe, isRunning, isBegun, canGoOn } = training;
  return (
    <section class="panel" aria-labelledby="run-title">
      <h2 id="run-title">Run</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          training.start();
        }}
      >
        <fieldset class="plain" disabled={isRunning}>
          <legend class="hidden">what is trained</legend>
          <p class="field">
            <label for="data">Train on</label>
            <select
              id="data"
              value={state.data}
              onChange={({ currentTarget: { value } }) => change(usualOf(value as TrainData))}
            >
              {TRAIN_DATA.map((kind) => (
                <option key={kind} value={kind}>
                  {DATA_NAMES[kind]}
                </option>
              ))}
            </select>
          </p>
          <p class="note">{DATA_HELP[state.data]}</p>
          {state.data === "text" && <TrainText text={text} onText={onText} />}
          <div class="numbers">
            <NumberField
              id="layers"
              label="Layers"
              usual={recipe?.n_layers}
              {...{ state, change }}
              least={0}
              most={4}
            />
            <NumberField id="heads" label="Heads" usual={recipe?.n_heads} {...{ state, change }} least={1} most={8} />
            <NumberField
              id="width"
              label="d_model"
              usual={recipe?.d_model}
              {...{ state, change }}
              least={1}
              most={256}
            />
            <NumberField
              id="steps"
              label="Steps"
              usual={recipe?.steps}
              {...{ state, change }}
              least={1}
              most={100_000}
            />
            <NumberField id="rate" label="Rate" usual={recipe?.rate} {...{ state, change }} least={0} most={1} />
            <NumberField
              id="seed"
              label="Seed"
              usual={recipe?.seed}
              {...{ state, change }}
              least={0}
              most={999_999_999}
            />
          </div>
          <p class="note">{recipe ? `${recipe.sizes}, attention only.` : " "}</p>
        </fieldset>
        <p class="buttons">
          {isRunning ? (
            <button type="button" onClick={training.stop}>
              Stop
            </button>
          ) : (
            <>
              <button type="submit" class={canGoOn ? undefined : "main"} disabled={!recipe}>
                {isBegun ? "Start anew" : "Start"}
              </button>
              {canGoOn && (
                <button type="button" class="main" onClick={training.goOn}>
                  Go on
                </button>
              )}
            </>
          )}
        </p>
      </form>
      <Progress training={training} />
    </section>
  );
}

/** Another kind of data has sizes of its own. */
function usualOf(data: TrainData): Partial<State> {
  const usual = { layers: undefined, heads: undefined, width: undefined, steps: undefined, rate: undefined };
  return { data, ...usual, ablated: [] };
}

/** How far the run is. */
function Progress({ training: { reply, isRunning, recipe } }: { readonly training: Training }): JSX.Element {
  return (
    <div aria-live="off">
      {reply && (
        <p class="busy" role="status">
          <progress aria-label="steps" value={reply.step} max={Math.max(reply.steps, reply.step)} />
          <span data-step={reply.step}>
            step {reply.step.toLocaleString("en")} of {reply.steps.toLocaleString("en")}
            {!isRunning && (reply.isDone ? ", done" : ", stopped")}
          </span>
        </p>
      )}
      {reply && Number.isFinite(reply.loss) && (
        <p class="loss">
          Loss <output data-loss="training">{reply.loss.toFixed(3)}</output> nats
        </p>
      )}
      {recipe && recipe.floors.length > 0 && (
        <p class="note">
          Known of these data: {recipe.floors.map(({ name, loss }) => `${name} ${loss.toFixed(3)}`).join(", ")}.
        </p>
      )}
    </div>
  );
}

/** What becomes of the model. */
function ModelPanel({
  training,
  onOpen,
}: Pick<TrainModeProps, "onOpen"> & { readonly training: Training }): JSX.Element | null {
  const { reply, files, isRunning, hasTokenizer } = training;
  if (reply === undefined) return null;
  const save = (index: number) => (): void => {
    void files().then((all) => all[index] && download(all[index]));
  };
  return (
    <section class="panel" aria-labelledby="trained-title">
      <h2 id="trained-title">The model at step {reply.step.toLocaleString("en")}</h2>
      <p class="buttons">
        <button type="button" disabled={isRunning} onClick={() => void files().then(onOpen)}>
          Take it apart
        </button>
        <button type="button" disabled={isRunning} onClick={save(0)}>
          Save the weights
        </button>
        <button type="button" disabled={isRunning} onClick={save(1)}>
          Save config.json
        </button>
        {hasTokenizer && (
          <button type="button" disabled={isRunning} onClick={save(2)}>
            Save tokenizer.json
          </button>
        )}
      </p>
    </section>
  );
}

function download(file: File): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
