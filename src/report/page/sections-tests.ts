/** Sections that put circuits to the test: positivity of induction heads, and skip-trigrams in readable tokens. */
import { drawHeadDump, drawPositivityScatter } from "../../figures/index.ts";
import type { HeadDump, PositivityScatter } from "../../figures/index.ts";
import { liveData } from "../../figures/internal.ts";
import { headLabel } from "../../model/index.ts";
import type { PageContext, Section } from "./context.ts";
import { markup } from "./html.ts";
import { circuit, display, subSup, v } from "./math.ts";
import { count, list, range } from "./words.ts";

/** The scatter of OV and QK positivity. */
export function positivity(page: PageContext): Section {
  const { positivity: plain, found } = page.data;
  const title = { id: "positivity", title: "Do induction heads copy and match?", short: "OV and QK positivity" };
  if (plain === null)
    return {
      ...title,
      body: markup`<p class="text">
        The test needs a previous-token head and heads in layers after it; there are none here.
      </p>`,
    };
  const facts = liveData<PositivityScatter>(plain);
  const isInduction = (point: PositivityScatter["points"][number]): boolean =>
    found.induction.includes(headLabel(point));
  const induction = facts.points.filter(isInduction);
  const others = facts.points.filter((point) => !isInduction(point));
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          An induction head must copy what it attends to, and it must attend where the token <em>before</em> the key is
          the present one. Both can be read from weights alone: the first from the eigenvalues of its OV circuit, the
          second from those of its QK circuit with the keys read through the previous-token heads
          ${list(facts.previous.map(headLabel))},
        </p>
        ${display(subSup("W", "E", "⊤"), v("W_QK"), circuit("OV", "prev"), v("W_E"))}
        <p>
          ${
            induction.length === 0
              ? "No head was found to be an induction head on data; the scatter shows where one would have to lie, at the top right."
              : markup`The heads that behave as induction heads on data have OV positivity
                ${range(induction.map((point) => point.OV))} and QK positivity
                ${range(induction.map((point) => point.QK))}.${others.length === 0 ? "" : markup` The other ${count(others.length, "head")} of later layers ${others.length === 1 ? "has" : "have"} QK positivity ${range(others.map((point) => point.QK))}.`}`
          }
        </p>
      </div>
      ${page.figure(drawPositivityScatter(facts), {
        text: markup`Every head after the first previous-token head, coloured by what it does on data, which the axes know
        nothing of.`,
        source: "induction",
      })}`,
  };
}

/** Skip-trigrams in readable tokens. */
export function skipTrigrams(page: PageContext): Section {
  const { skipTrigrams: plain, config, text: corpus } = page.data;
  const title = { id: "skip-trigrams", title: "Skip-trigrams" };
  if (plain === null) return { ...title, body: markup`<p class="text">Without heads there are no skip-trigrams.</p>` };
  const dump = liveData<HeadDump>(plain);
  const rest = corpus.bos === null ? "their mean over all sources" : "those of the first token, on which heads rest";
  const layers = [...new Set(dump.heads.map(({ layer }) => layer))];
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
      ${layers.map((layer, i) => {
        const heads = dump.heads.filter((head) => head.layer === layer);
        return page.figure(drawHeadDump({ ...dump, heads }, { title: "", subtitle: "" }), {
          text: markup`Skip-trigrams of layer ${layer}: a source, who attends to it most, and what it then raises most.
            Spaces are drawn as <span class="mono">·</span>, line breaks as <span class="mono">↵</span>.`,
          source: "skipTrigrams",
          ...(i > 0 && { folded: markup`Layer ${layer}, ${count(heads.length, "head")}` }),
        });
      })}`,
  };
}
