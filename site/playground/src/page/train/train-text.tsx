/** The reader's own text to train on. */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { MOST_TEXT } from "../../protocol.ts";
import { TextField } from "../text-panel.tsx";

export interface TrainTextProps {
  readonly text: string;
  readonly onText: (text: string) => void;
}

/** The text that is trained on: written, pasted, or a file's. */
export function TrainText({ text, onText }: TrainTextProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [isCut, setCut] = useState(false);
  const take = (all: string): void => {
    setCut(all.length > MOST_TEXT);
    onText(all.slice(0, MOST_TEXT));
  };
  const count = (characters: number): string => `${characters.toLocaleString("en")} characters`;
  return (
    <>
      <TextField id="train-text" label="Text to train on" value={text} rows={8} onText={take} />
      <p class="buttons">
        <button type="button" onClick={() => input.current?.click()}>
          Open a text…
        </button>
      </p>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="file of a text"
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          void file?.text().then(take);
          currentTarget.value = "";
        }}
      />
      <p class="note">
        {text === ""
          ? `Write or paste one, or open a file: some ${count(20_000)} are a beginning, ${count(MOST_TEXT)} the most. It stays in this page, and is not in its address.`
          : `${isCut ? "Its first " : ""}${count(text.length)}.`}
      </p>
    </>
  );
}
