/** The heads of a model that is trained: what they do by now, and which are ablated. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RecipeReply, TrainReply } from "../../protocol.ts";
import type { State } from "../../state.ts";
import type { Change } from "../store.ts";

export interface TrainedHeadsPanelProps {
  readonly state: State;
  readonly change: Change;
  readonly recipe: RecipeReply;
  readonly reply: TrainReply | undefined;
}

export function TrainedHeadsPanel({ state, change, recipe, reply }: TrainedHeadsPanelProps): JSX.Element {
  const [key, setKey] = useState("induction");
  const scores = reply?.scores ?? [];
  const score = scores.find((one) => one.key === key) ?? scores[0];
  return (
    <section class="panel" aria-labelledby="trained-heads-title">
      <h2 id="trained-heads-title">Heads</h2>
      <p class="note">
        Uncheck a head to ablate it: from the present step on it gives nothing, also while the run goes on. Does what is
        read from it still form?
      </p>
      {score && (
        <p class="field inline">
          <label for="train-score">Shaded by</label>
          <select id="train-score" value={score.key} onChange={({ currentTarget }) => setKey(currentTarget.value)}>
            {scores.map((one) => (
              <option key={one.key} value={one.key}>
                {one.label}, above chance
              </option>
            ))}
          </select>
        </p>
      )}
      <div class="scroll">
        <table class="heads">
          <tbody>
            {Array.from({ length: recipe.n_layers }, (_, layer) => (
              <tr key={layer}>
                <th scope="row">L{layer}</th>
                {Array.from({ length: recipe.n_heads }, (_, head) => (
                  <TrainedHeadCell
                    key={head}
                    label={`L${layer}H${head}`}
                    value={score?.values[layer]?.[head]}
                    ablated={state.ablated}
                    change={change}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function TrainedHeadCell(props: {
  readonly label: string;
  readonly value: number | undefined;
  readonly ablated: readonly string[];
  readonly change: Change;
}): JSX.Element {
  const { label, value, ablated, change } = props;
  const isOff = ablated.includes(label);
  const shown = value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(2);
  const share = Math.round(100 * Math.min(1, Math.max(0, value ?? 0)));
  return (
    <td class={isOff ? "off" : undefined}>
      <span class="head" style={{ "--score": `${share}%` }}>
        {label.replace(/^L\d+/, "")} <small>{shown}</small>
      </span>
      <input
        type="checkbox"
        checked={!isOff}
        aria-label={`${label} trained`}
        title={isOff ? `stop ablating ${label}` : `ablate ${label}`}
        onChange={() =>
          change({ ablated: isOff ? ablated.filter((one) => one !== label) : [...ablated, label].sort() })
        }
      />
    </td>
  );
}
