/** All heads of the model: pick one, switch some off. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { HeadScore, HeadsReply, ModelFacts } from "../protocol.ts";
import type { State } from "../state.ts";
import type { Change } from "./store.ts";
import { NextTokens } from "./text-panel.tsx";
import type { JobState } from "./use-job.ts";

export interface HeadsPanelProps {
  readonly facts: ModelFacts;
  readonly heads: HeadsReply | undefined;
  readonly state: State;
  readonly change: Change;
}

export function HeadsPanel(props: HeadsPanelProps): JSX.Element {
  const { facts, heads } = props;
  const { head } = props.state;
  const [key, setKey] = useState("induction");
  const score = heads?.scores.find((one) => one.key === key) ?? heads?.scores[0];
  const does = heads?.evidence[head] ?? [];
  return (
    <section class="panel" aria-labelledby="heads-title">
      <h2 id="heads-title">Heads</h2>
      {heads && (
        <p class="field inline">
          <label for="score">Shaded by</label>
          <select id="score" value={score?.key} onChange={({ currentTarget }) => setKey(currentTarget.value)}>
            {heads.scores.map((one) => (
              <option key={one.key} value={one.key}>
                {one.label}
              </option>
            ))}
          </select>
        </p>
      )}
      {score && <p class="note">{score.help} Click a head to look at it; uncheck it to switch it off.</p>}
      <div class="scroll">
        <table class="heads">
          <caption>
            {head}
            {does.length > 0 && `: ${does.join("; ")}`}
          </caption>
          <tbody>
            {Array.from({ length: facts.n_layers }, (_, layer) => (
              <tr key={layer}>
                <th scope="row">L{layer}</th>
                {Array.from({ length: facts.n_heads }, (_, h) => (
                  <HeadCell key={h} {...props} label={`L${layer}H${h}`} value={valueAt(score, layer, h)} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {heads && <Roles roles={heads.roles} />}
    </section>
  );
}

/** The heads that were found of each kind. */
function Roles({ roles }: Pick<HeadsReply, "roles">): JSX.Element | null {
  const kinds = [...new Set(Object.values(roles).flat())];
  if (kinds.length === 0) return null;
  return (
    <>
      <p class="note">Attention clearly above chance:</p>
      <dl class="roles">
        {kinds.map((kind) => (
          <div key={kind}>
            <dt>{kind}s</dt>
            <dd>
              {Object.keys(roles)
                .filter((label) => roles[label]?.includes(kind))
                .sort()
                .join(" ")}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function valueAt(score: HeadScore | undefined, layer: number, head: number): number | null {
  return score?.values[layer]?.[head] ?? null;
}

/** One head: a button that picks it, and a box that switches it off. */
function HeadCell(props: HeadsPanelProps & { readonly label: string; readonly value: number | null }): JSX.Element {
  const { label, value, heads, state, change } = props;
  const isOff = state.off.includes(label);
  const roles = heads?.roles[label] ?? [];
  const shown = value === null ? "–" : value.toFixed(2);
  const toggled = isOff ? state.off.filter((one) => one !== label) : [...state.off, label].sort();
  return (
    <td class={isOff ? "off" : undefined}>
      <button
        type="button"
        class="head"
        aria-pressed={label === state.head}
        aria-label={[`${label.replace("H", " H")} ${shown}`, ...roles].join(", ")}
        title={[label, ...roles].join(", ")}
        style={{ "--score": `${Math.round(100 * Math.min(1, Math.abs(value ?? 0)))}%` }}
        onClick={() => change({ head: label })}
      >
        {label.replace(/^L\d+/, "")} <small>{shown}</small>
      </button>
      <input
        type="checkbox"
        checked={!isOff}
        aria-label={`${label} on`}
        title={isOff ? `switch ${label} on` : `switch ${label} off`}
        onChange={() => change({ off: toggled })}
      />
    </td>
  );
}

/** What switching heads off does to the loss and to the next token. */
export function AblationPanel(props: {
  readonly state: State;
  readonly change: Change;
  readonly run: Pick<JobState<"text">, "reply" | "isBusy">;
}): JSX.Element {
  const { state, change, run } = props;
  const { off, put } = state;
  const { reply } = run;
  return (
    <section class="panel" aria-labelledby="prediction-title" aria-live="polite">
      <h2 id="prediction-title">Prediction</h2>
      <p class="field inline">
        <label for="put">A head that is off gives</label>
        <select
          id="put"
          value={put}
          onChange={({ currentTarget }) => change({ put: currentTarget.value === "mean" ? "mean" : "zero" })}
        >
          <option value="zero">nothing</option>
          <option value="mean">its mean over the text</option>
        </select>
      </p>
      <p>
        {off.length === 0 ? "All heads are on." : `Off: ${off.join(", ")}. `}
        {off.length > 0 && (
          <button type="button" onClick={() => change({ off: [] })}>
            all on
          </button>
        )}
      </p>
      {reply && (
        <div class={run.isBusy ? "stale" : undefined}>
          {reply.loss && <Loss before={reply.loss.before} after={reply.loss.after} />}
          <NextTokens reply={reply} />
        </div>
      )}
    </section>
  );
}

function Loss({ before, after }: { readonly before: number; readonly after: number | null }): JSX.Element {
  const rise = after === null ? 0 : after - before;
  return (
    <p class="loss">
      Loss <output data-loss="before">{before.toFixed(3)}</output>
      {after !== null && (
        <>
          {" → "}
          <output data-loss="after">{after.toFixed(3)}</output> ({rise < 0 ? "−" : "+"}
          {Math.abs(rise).toFixed(3)})
        </>
      )}{" "}
      nats a token
    </p>
  );
}
