/** Sections that put circuits to the test: positivity of induction heads, and skip-trigrams in readable tokens. */
import { scatter, visibleToken } from "../../viz/index.ts";
import type { HeadSkipTrigrams, ReportTokenValue } from "../types.ts";
import { FRAMEWORK, type PageContext, type Section } from "./context.ts";
import { markup } from "./html.ts";
import type { Content, Html } from "./html.ts";
import { circuit, display, subSup, v } from "./math.ts";
import { count, fixed, list, range, shortList, signed } from "./words.ts";

/** The scatter of OV and QK positivity. */
export function positivity(page: PageContext): Section {
  const { positivity: facts } = page.data;
  const title = { id: "positivity", title: "Do induction heads copy and match?", short: "OV and QK positivity" };
  if (facts === null)
    return {
      ...title,
      body: markup`<p class="text">
        The test needs a previous-token head and heads in layers after it; there are none here.
      </p>`,
    };
  const induction = facts.points.filter((point) => point.isInduction);
  const others = facts.points.filter((point) => !point.isInduction);
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          An induction head must copy what it attends to, and it must attend where the token <em>before</em> the key is
          the present one. Both can be read from weights alone: the first from the eigenvalues of its OV circuit, the
          second from those of its QK circuit with the keys read through the previous-token heads
          ${list(facts.previous)},
        </p>
        ${display(subSup("W", "E", "⊤"), v("W_QK"), circuit("OV", "prev"), v("W_E"))}
        <p>
          ${
            induction.length === 0
              ? "No head was found to be an induction head on data; the scatter shows where one would have to lie, at the top right."
              : markup`The heads that behave as induction heads on data have OV positivity
                ${range(induction.map((point) => point.ov))} and QK positivity
                ${range(induction.map((point) => point.qk))}.${others.length === 0 ? "" : markup` The other ${count(others.length, "head")} of later layers ${others.length === 1 ? "has" : "have"} QK positivity ${range(others.map((point) => point.qk))}.`}`
          }
        </p>
      </div>
      ${page.figure(
        scatter({
          points: facts.points.map(({ label, ov, qk, isInduction }) => ({
            x: ov,
            y: qk,
            label,
            group: isInduction ? "induction on data" : "other",
          })),
          xDomain: [-1.05, 1.05],
          yDomain: [-1.05, 1.05],
          xLabel: "OV positivity",
          yLabel: "QK positivity, keys through previous-token heads",
          width: 560,
          height: 440,
        }),
        {
          text: markup`Σλ / Σ|λ| of the two circuits for every head after the first previous-token head. Heads are
          coloured by what they do on data, which the axes know nothing
          of.${
            induction.length > 1
              ? ` Induction heads: ${shortList(
                  induction.map((point) => point.label),
                  12,
                )}.`
              : ""
          }`,
          source: `${FRAMEWORK}, “Induction heads”`,
        },
      )}`,
  };
}

/** Skip-trigrams in readable tokens. */
export function skipTrigrams(page: PageContext): Section {
  const { skipTrigrams: lists, config, text: corpus } = page.data;
  const title = { id: "skip-trigrams", title: "Skip-trigrams" };
  if (lists.length === 0)
    return { ...title, body: markup`<p class="text">Without heads there are no skip-trigrams.</p>` };
  const rest = corpus.bos === null ? "their mean over all sources" : "those of the first token, on which heads rest";
  const byLayer = Array.from({ length: config.n_layers }, (_, layer) =>
    lists.filter(({ label }) => page.head(label)?.layer === layer),
  ).filter((heads) => heads.length > 0);
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          On its own, a head is a table of skip-trigrams, <em>source … destination → out</em>: its QK circuit says from
          which destinations a source is attended to, its OV circuit what is predicted then. The two lists of a source
          are independent of each other, so every destination goes with every output, wanted or not.
        </p>
        <p>
          Destinations carry attention scores less ${rest}; outputs carry logits. Of the text’s most frequent tokens
          each head’s most telling are
          listed.${config.n_layers > 1 ? " For heads after the first layer this is their direct part alone: what they make of the tokens themselves, not of what earlier heads wrote. An induction head’s destinations are therefore not to be taken at their word." : ""}${config.positional_embedding_type === "rotary" ? " Positions are rotary, and the tables are those at distance zero." : ""}
        </p>
      </div>
      ${byLayer.map((heads) =>
        page.framed(trigramTable(heads), {
          text: markup`Skip-trigrams of layer ${page.head(heads[0]?.label ?? "")?.layer ?? 0}. Spaces are drawn as
            <span class="mono">·</span>, line breaks as <span class="mono">↵</span>.`,
          source: `${FRAMEWORK}, “Interpretation as skip-trigrams”`,
        }),
      )}`,
  };
}

function trigramTable(lists: readonly HeadSkipTrigrams[]): Html {
  const rows = lists.flatMap(({ label, sources }) =>
    sources.map(
      ({ source, destination, out }, i) =>
        markup`<tr>
          ${i === 0 ? markup`<th scope="row" rowspan="${sources.length}">${label}</th>` : null}
          <td>${token(source)}</td>
          <td>${tokens(destination, (value) => fixed(value, 1))}</td>
          <td>${tokens(out, (value) => signed(value, 1))}</td>
        </tr> `,
    ),
  );
  return markup`<table class="trigrams">
    <thead>
      <tr>
        <th>head</th>
        <th>source</th>
        <th>… destination</th>
        <th>→ out</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function tokens(values: readonly ReportTokenValue[], format: (value: number) => string): Content {
  return values.map(({ token: name, value }) => token(name, format(value)));
}

function token(name: string, note?: string): Html {
  return markup`<span class="tok"
    >${visibleToken(name)}${note === undefined ? null : markup`<small>${note}</small>`}</span
  > `;
}
