/** The views of the model, of which one is shown. */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { ModelFacts, TextReply } from "../protocol.ts";
import type { State, View } from "../state.ts";
import { markFirstCircuit } from "./first-circuit.ts";
import type { Client } from "./client.ts";
import { Answer } from "./parts.tsx";
import type { Change } from "./store.ts";
import { TextField } from "./text-panel.tsx";
import { useJob } from "./use-job.ts";

export interface ViewProps {
  readonly client: Client;
  readonly facts: ModelFacts;
  /** With the model's own text and head where none is chosen. */
  readonly state: State;
  readonly change: Change;
  readonly reply: TextReply | undefined;
}

export const VIEW_NAMES: Readonly<Record<View, string>> = {
  circuits: "Circuits",
  patterns: "Patterns",
  composition: "Composition",
  expansion: "Expansion",
  patching: "Patching",
  comparison: "Two texts",
};

/** The view that is chosen. */
export function ViewOf(props: ViewProps): JSX.Element {
  if (props.facts.n_layers === 0 && ["circuits", "patterns", "composition", "patching"].includes(props.state.view))
    return <p>This model has no layers, and no heads: its logits are the direct path alone. See the expansion.</p>;
  switch (props.state.view) {
    case "circuits":
      return <Circuits {...props} />;
    case "patterns":
      return <Patterns {...props} />;
    case "composition":
      return <Composition {...props} />;
    case "expansion":
      return <Expansion {...props} />;
    case "patching":
      return <Patching {...props} />;
    case "comparison":
      return <Comparison {...props} />;
  }
}

function Circuits({ client, facts, state: { head } }: ViewProps): JSX.Element {
  const ov = useJob(client, "circuit", { head, part: "ov" }, facts);
  const qk = useJob(client, "circuit", { head, part: "qk" }, facts);
  const eigenvalues = useJob(client, "circuit", { head, part: "eigenvalues" }, facts);
  const trigrams = useJob(client, "circuit", { head, part: "trigrams" }, facts);
  const positions = useJob(client, "circuit", { head, part: "positions" }, facts);
  if (ov.reply !== undefined) markFirstCircuit();
  return (
    <>
      <p>
        What {head} does, read from its weights alone: what it moves (OV), where it looks (QK), and by which tokens and
        positions.
      </p>
      <Answer client={client} job={ov} />
      <Answer client={client} job={qk} />
      <Answer client={client} job={eigenvalues} />
      <Answer client={client} job={trigrams} />
      <Answer client={client} job={positions} />
    </>
  );
}

function Patterns({ client, facts, state, change }: ViewProps): JSX.Element {
  const { text, off, put, at, head } = state;
  const box = useRef<HTMLDivElement>(null);
  // the explorer begins with the head of the moment, and then goes from head to head by itself
  const first = useMemo(() => head, [facts, text, off.join(), put, at]);
  const job = useJob(client, "patterns", { text, off, put, at, head: facts.isCausal ? first : head }, facts);
  useEffect(() => {
    const button = box.current?.querySelector<HTMLElement>(`[data-head][aria-label="${head}"]`);
    if (button?.getAttribute("aria-pressed") === "false") button.click();
  }, [head, job.reply]);
  // the explorer picks heads by itself; the page follows
  const follow = ({ target }: { target: EventTarget | null }): void => {
    const button = (target as Element | null)?.closest("[data-head]");
    const label = button?.getAttribute("aria-label");
    if (label) change({ head: label });
  };
  return (
    <div ref={box} onClick={follow}>
      <Answer client={client} job={job} />
    </div>
  );
}

function Composition({ client, facts, state: { head } }: ViewProps): JSX.Element {
  return <Answer client={client} job={useJob(client, "composition", { head }, facts)} />;
}

function Expansion({ client, facts, state, change, reply }: ViewProps): JSX.Element {
  const { text, off, put, at, target } = state;
  const job = useJob(client, "expansion", { text, off, put, at, target }, facts);
  return (
    <>
      <p class="field inline">
        <label for="target">Take apart the logit of</label>
        <select
          id="target"
          value={target ?? ""}
          onChange={({ currentTarget: { value } }) => change({ target: value === "" ? undefined : Number(value) })}
        >
          <option value="">the likeliest token</option>
          {reply?.next.map(({ id, text: token }) => (
            <option key={id} value={id}>
              {token}
            </option>
          ))}
          {target !== undefined && !reply?.next.some(({ id }) => id === target) && (
            <option value={target}>#{target}</option>
          )}
        </select>
      </p>
      <Answer client={client} job={job} />
    </>
  );
}

/** The second text, which patching and comparison share. */
function OtherText({ facts, state, change }: ViewProps): JSX.Element {
  return (
    <TextField
      id="other"
      label={facts.hasTokenizer ? "Second text" : "Second token ids"}
      rows={3}
      value={state.other}
      onText={(other) => change({ other: other === (state.text || facts.other) ? "" : other })}
    />
  );
}

function Patching(props: ViewProps): JSX.Element {
  const { client, facts, state, change } = props;
  const { text, other, by, answer, wrong } = state;
  const job = useJob(client, "patch", { text, other, by, answer, wrong }, facts);
  return (
    <>
      <p>
        Activations of the first text are put, one after the other, into the run on a second text of the same length.
        Where the answer comes back, there it was carried.{state.off.length > 0 && " All heads are on here."}
      </p>
      <OtherText {...props} />
      <div class="fields">
        <p class="field inline">
          <label for="by">Put in</label>
          <select
            id="by"
            value={by}
            onChange={({ currentTarget }) => change({ by: currentTarget.value === "head" ? "head" : "pos" })}
          >
            <option value="pos">the stream, by layer and position</option>
            <option value="head">head outputs, by layer and head</option>
          </select>
        </p>
        <TokenField id="answer" label="Answer" value={answer} onText={(token) => change({ answer: token })} />
        <TokenField id="wrong" label="Wrong answer" value={wrong} onText={(token) => change({ wrong: token })} />
      </div>
      <Answer client={client} job={job} />
    </>
  );
}

/** A field for one token. */
function TokenField(props: {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly onText: (text: string) => void;
}): JSX.Element {
  return (
    <p class="field inline">
      <label for={props.id}>{props.label}</label>
      <input
        id={props.id}
        type="text"
        size={12}
        placeholder="by the texts"
        value={props.value}
        onChange={({ currentTarget }) => props.onText(currentTarget.value)}
      />
    </p>
  );
}

function Comparison(props: ViewProps): JSX.Element {
  const { client, facts, state } = props;
  const { text, other, head, off, put } = state;
  const job = useJob(client, "compare", { text, other, head, off, put }, facts);
  return (
    <>
      <OtherText {...props} />
      <Answer client={client} job={job} />
    </>
  );
}
