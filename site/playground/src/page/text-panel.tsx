/** A text of the reader's own, and what the model expects after it. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ModelFacts, TextReply } from "../protocol.ts";
import type { State } from "../state.ts";
import type { Change } from "./store.ts";

/** Milliseconds after the last key until the model runs. */
const PAUSE = 350;

/** A field for a text, which is handed on when the reader pauses. */
export function TextField(props: {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly rows?: number;
  readonly onText: (text: string) => void;
}): JSX.Element {
  const { id, label, value, rows = 4, onText } = props;
  const [draft, setDraft] = useState(value);
  useEffect(() => setDraft(value), [value]);
  useEffect(() => {
    if (draft === value) return undefined;
    const timer = setTimeout(() => onText(draft), PAUSE);
    return () => clearTimeout(timer);
  }, [draft]);
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={rows}
        spellcheck={false}
        value={draft}
        onInput={({ currentTarget }) => setDraft(currentTarget.value)}
      />
    </p>
  );
}

/** The tokens of the text, of which one is looked at. */
export function TokenPicker(props: {
  readonly reply: TextReply;
  readonly onPick: (at: number | undefined) => void;
}): JSX.Element {
  const { tokens, at } = props.reply;
  return (
    <fieldset class="tokens">
      <legend>Position looked at: {at}</legend>
      {tokens.map((token, i) => (
        <label key={i} class={i === at ? "token at" : "token"}>
          <input
            type="radio"
            name="position"
            checked={i === at}
            onChange={() => props.onPick(i === tokens.length - 1 ? undefined : i)}
          />
          {token}
        </label>
      ))}
    </fieldset>
  );
}

/** What the model expects, as it is and with heads switched off. */
export function NextTokens({ reply }: { readonly reply: TextReply }): JSX.Element {
  const { next, at, tokens } = reply;
  const isAblated = next.some(({ after }) => after !== null);
  return (
    <table class="next">
      <caption>
        Next token after <span class="token">{tokens[at]}</span>
      </caption>
      <thead>
        <tr>
          <th scope="col">token</th>
          <th scope="col">{isAblated ? "before" : "probability"}</th>
          {isAblated && <th scope="col">after</th>}
        </tr>
      </thead>
      <tbody>
        {next.map(({ id, text, before, after }) => (
          <tr key={id}>
            <th scope="row">
              <span class="token">{text}</span>
            </th>
            <Probability value={before} />
            {after !== null && <Probability value={after} />}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Probability({ value }: { readonly value: number }): JSX.Element {
  return (
    <td class="probability" style={{ "--share": `${100 * value}%` }}>
      {(100 * value).toFixed(value < 0.01 ? 2 : 1)} %
    </td>
  );
}

export function TextPanel(props: {
  readonly facts: ModelFacts;
  readonly state: State;
  readonly change: Change;
  readonly reply: TextReply | undefined;
}): JSX.Element {
  const { facts, state, change, reply } = props;
  return (
    <section class="panel" aria-labelledby="text-title">
      <h2 id="text-title">Text</h2>
      <TextField
        id="text"
        label={facts.hasTokenizer ? "Text to run the model on" : "Token ids to run the model on, as 12 7 9"}
        value={state.text}
        onText={(text) => change({ text: text === facts.text ? "" : text, at: undefined, target: undefined })}
      />
      {reply !== undefined && reply.cut > 0 && <p class="note">The last {reply.cut} tokens are left out: too many.</p>}
      {reply && <TokenPicker reply={reply} onPick={(at) => change({ at, target: undefined })} />}
    </section>
  );
}
