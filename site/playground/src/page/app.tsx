/** The page. */
import type { JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { ModelFacts, SentError, TextAsk } from "../protocol.ts";
import { MODES, VIEWS } from "../state.ts";
import type { Mode, State, View } from "../state.ts";
import type { Client } from "./client.ts";
import { useDrop } from "./dropped.ts";
import { AblationPanel, HeadsPanel } from "./heads-panel.tsx";
import { ModelPanel } from "./model-panel.tsx";
import { ErrorView } from "./parts.tsx";
import { useAddress } from "./store.ts";
import type { Change } from "./store.ts";
import { TextPanel } from "./text-panel.tsx";
import { TrainMode } from "./train/train-mode.tsx";
import { sentOf, useJob } from "./use-job.ts";
import type { JobState } from "./use-job.ts";
import { VIEW_NAMES, ViewOf } from "./views.tsx";
import type { ViewProps } from "./views.tsx";

export function App({ client }: { readonly client: Client }): JSX.Element {
  const [state, change] = useAddress();
  const model = useModel(client, state, change);
  const { facts } = model;
  const choice = facts && chosen(facts, state);
  const isTraining = state.mode === "train";
  const run = useJob(client, "text", isTraining ? undefined : choice && askOf(choice), facts);
  const now = useRef(change);
  now.current = change;
  const hasTrained = useRef(false);
  hasTrained.current ||= isTraining;
  const takeApart = useCallback(
    (files: readonly File[]): void => {
      now.current({ mode: "apart" });
      model.open(files);
    },
    [model.open],
  );
  const isOver = useDrop(takeApart);
  return (
    <>
      <header>
        <p class="home">
          <a href="../">transformer-circuits</a>
        </p>
        <h1>Playground</h1>
        <p>
          {isTraining
            ? "A transformer trained in this page: watch its circuits form, and ablate a head to see what depends on it. Nothing is uploaded. The address holds what you chose."
            : "A transformer taken apart in this page: its heads, what they look at and move, and what is lost without them. Nothing is uploaded. The address holds what you see."}
        </p>
        <Modes mode={state.mode} onMode={(mode) => change({ mode })} />
      </header>
      {!isTraining && (
        <main class={isOver ? "over" : undefined}>
          <div class="side">
            <ModelPanel
              client={client}
              facts={facts}
              opening={model}
              missing={facts?.isBundled === true ? state.model : ""}
              onFiles={model.open}
              onBundled={() => model.open([])}
            />
            {facts && choice && <Side client={client} facts={facts} state={choice} change={change} run={run} />}
          </div>
          {facts && choice && <Views client={client} facts={facts} state={choice} change={change} reply={run.reply} />}
        </main>
      )}
      {/* a run goes on while its model is taken apart */}
      {hasTrained.current && <TrainMode isShown={isTraining} state={state} change={change} onOpen={takeApart} />}
      <footer>
        <p>
          {facts &&
            (facts.isFast
              ? "Computed by WebAssembly."
              : "Computed by plain JavaScript: WebAssembly is refused here.")}{" "}
          Files and texts stay in this page; it makes no request but for its own program.
        </p>
      </footer>
    </>
  );
}

const MODE_NAMES: Readonly<Record<Mode, string>> = { apart: "Take apart", train: "Train" };

/** What the page is for. */
function Modes({ mode, onMode }: { readonly mode: Mode; readonly onMode: (mode: Mode) => void }): JSX.Element {
  return (
    <div class="modes" role="group" aria-label="mode">
      {MODES.map((one) => (
        <button key={one} type="button" aria-pressed={one === mode} onClick={() => onMode(one)}>
          {MODE_NAMES[one]}
        </button>
      ))}
    </div>
  );
}

const askOf = ({ text, off, put, at }: State): TextAsk => ({ text, off, put, at });

interface Model {
  readonly facts: ModelFacts | undefined;
  readonly isBusy: boolean;
  readonly progress: readonly [number, number] | undefined;
  readonly error: SentError | undefined;
  /** Opens files, or the bundled model where there are none. */
  readonly open: (files: readonly File[]) => void;
}

/** The model that is open; the one before stays where another cannot be opened. */
function useModel(client: Client, state: State, change: Change): Model {
  const [facts, setFacts] = useState<ModelFacts>();
  const [opening, setOpening] = useState<Pick<Model, "isBusy" | "progress" | "error">>(OPENING);
  const now = useRef({ state, change });
  now.current = { state, change };
  const open = useCallback(
    (files: readonly File[], isFirst = false) => {
      setOpening(OPENING);
      const onProgress = (done: number, total: number): void => setOpening({ ...OPENING, progress: [done, total] });
      client.run("open", files.length === 0 ? {} : { files }, { onProgress }).then(
        (opened) => {
          setFacts(opened);
          setOpening({ ...OPENING, isBusy: false });
          const { state: said, change: say } = now.current;
          // the files that an address was made with are opened to see what it says
          if (!isFirst && said.model !== (opened.isBundled ? "" : opened.name)) say(choicesFor(opened));
        },
        (error: unknown) => setOpening({ ...OPENING, isBusy: false, error: sentOf(error) }),
      );
    },
    [client],
  );
  useEffect(() => open([], true), [open]);
  return { facts, ...opening, open: useCallback((files: readonly File[]) => open(files), [open]) };
}

const OPENING = { isBusy: true, progress: undefined, error: undefined };

/** What another model leaves of what was chosen for the one before. */
function choicesFor({ name, isBundled }: ModelFacts): Partial<State> {
  const model = isBundled ? "" : name;
  return { model, text: "", other: "", head: "", off: [], at: undefined, target: undefined, answer: "", wrong: "" };
}

/** What is chosen, as far as the model has it; its own text and head where none is. */
function chosen(facts: ModelFacts, state: State): State {
  const isThere = (label: string): boolean => {
    const [layer = 0, head = 0] = label.slice(1).split("H").map(Number);
    return layer < facts.n_layers && head < facts.n_heads;
  };
  return {
    ...state,
    text: state.text || facts.text,
    // a text of one's own is a beginning for the second
    other: state.other || state.text || facts.other,
    head: state.head !== "" && isThere(state.head) ? state.head : facts.head,
    off: state.off.filter(isThere),
  };
}

interface PartProps {
  readonly client: Client;
  readonly facts: ModelFacts;
  readonly state: State;
  readonly change: Change;
}

function Side(props: PartProps & { readonly run: JobState<"text"> }): JSX.Element {
  const { client, facts, run } = props;
  const heads = useJob(client, "heads", {}, facts);
  return (
    <>
      <TextPanel {...props} reply={run.reply} />
      {run.error && <ErrorView error={run.error} />}
      {facts.n_layers > 0 && <HeadsPanel {...props} heads={heads.reply} />}
      {heads.error && <ErrorView error={heads.error} />}
      <AblationPanel {...props} run={run} />
    </>
  );
}

function Views(props: ViewProps): JSX.Element {
  const { state, change } = props;
  return (
    <section class="views" aria-label="views">
      <Tabs view={state.view} onView={(view) => change({ view })} />
      <div class="view" role="tabpanel" id="view" aria-labelledby={`tab-${state.view}`}>
        <ViewOf key={state.view} {...props} />
      </div>
    </section>
  );
}

/** Tabs by arrow keys, as the pattern of the ARIA guide has them. */
function Tabs({ view, onView }: { readonly view: View; readonly onView: (view: View) => void }): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length] ?? view;
    onView(next);
    list.current?.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="views" ref={list} onKeyDown={move}>
      {VIEWS.map((one) => (
        <button
          key={one}
          type="button"
          role="tab"
          id={`tab-${one}`}
          aria-selected={one === view}
          aria-controls="view"
          tabIndex={one === view ? 0 : -1}
          onClick={() => onView(one)}
        >
          {VIEW_NAMES[one]}
        </button>
      ))}
    </div>
  );
}
