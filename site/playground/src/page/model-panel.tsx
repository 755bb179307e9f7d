/** Which model: the bundled one, or files of the reader's own. */
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { ModelFacts } from "../protocol.ts";
import type { JobState } from "./use-job.ts";
import type { Client } from "./client.ts";
import { Busy, ErrorView } from "./parts.tsx";

export interface ModelPanelProps {
  readonly client: Client;
  readonly facts: ModelFacts | undefined;
  readonly opening: Omit<JobState<"open">, "reply">;
  /** The checkpoint that the address was made with, where it is not open. */
  readonly missing: string;
  readonly onFiles: (files: readonly File[]) => void;
  readonly onBundled: () => void;
}

export function ModelPanel(props: ModelPanelProps): JSX.Element {
  const { client, facts, opening, missing, onFiles, onBundled } = props;
  const input = useRef<HTMLInputElement>(null);
  return (
    <section class="panel" aria-labelledby="model-title">
      <h2 id="model-title">Model</h2>
      {facts && (
        <p>
          <strong class="name">{facts.name}</strong>: {facts.sizes}.
        </p>
      )}
      {facts?.notes.map((note) => (
        <p class="note" key={note}>
          {note}
        </p>
      ))}
      {missing !== "" && (
        <p class="note">
          This address was made with <strong>{missing}</strong>. Open its files to see the same.
        </p>
      )}
      <Busy client={client} job={opening} />
      {opening.error && <ErrorView error={opening.error} />}
      <p class="buttons">
        <button type="button" onClick={() => input.current?.click()}>
          Open a checkpoint…
        </button>
        {(facts?.isBundled === false || missing !== "") && (
          <button type="button" onClick={onBundled}>
            {missing === "" ? "Back to the bundled model" : "Begin with the bundled model"}
          </button>
        )}
      </p>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="files of a checkpoint"
        onChange={({ currentTarget }) => {
          const files = [...(currentTarget.files ?? [])];
          currentTarget.value = "";
          if (files.length > 0) onFiles(files);
        }}
      />
      <details>
        <summary>What can be opened</summary>
        <p>
          Drop files or a folder anywhere on this page, all of them at once: <code>model.safetensors</code> with{" "}
          <code>config.json</code>, PyTorch’s <code>.pth</code>, <code>.pt</code> or <code>.bin</code>, of
          TransformerLens, nanoGPT or Hugging Face, and <code>tokenizer.json</code> for texts. They are read in this
          page and sent nowhere.
        </p>
      </details>
    </section>
  );
}
