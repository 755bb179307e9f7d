/** A number of the run. */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { State } from "../../state.ts";
import type { Change } from "../store.ts";

type NumberKey = "layers" | "heads" | "width" | "steps" | "rate" | "seed";

/** A field for a number, which shows the usual one where none is chosen. */
export function NumberField(props: {
  readonly state: State;
  readonly change: Change;
  readonly id: NumberKey;
  readonly label: string;
  readonly usual: number | undefined;
  readonly least: number;
  readonly most: number;
}): JSX.Element {
  const { id, label, usual, least, most, state, change } = props;
  const field = useRef<HTMLInputElement>(null);
  const isTyped = useRef(false);
  const [, redraw] = useState({});
  // Where the reader is at it the field stands, whatever is drawn anew: a new usual number would drop the selection.
  const typed = document.activeElement === field.current ? field.current?.value : undefined;
  const take = ({ currentTarget }: { readonly currentTarget: HTMLInputElement }): void => {
    if (!currentTarget.reportValidity()) return;
    isTyped.current = false;
    const { value, valueAsNumber } = currentTarget;
    change({ [id]: value === "" ? undefined : valueAsNumber });
  };
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        min={least}
        max={most}
        step={id === "rate" ? "any" : 1}
        ref={field}
        value={typed ?? state[id] ?? usual ?? ""}
        onInput={() => (isTyped.current = true)}
        onChange={take}
        onBlur={(event) => {
          // No change is told of a number that is typed over itself, though it may no longer be the usual one.
          if (isTyped.current && event.currentTarget.checkValidity()) take(event);
          isTyped.current = false;
          redraw({});
        }}
      />
    </p>
  );
}
