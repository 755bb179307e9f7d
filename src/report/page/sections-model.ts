/** Sections on the model itself and on its loss. */
import type { ModelConfig } from "../../model/index.ts";
import { drawLossOnRepeats } from "../../figures/index.ts";
import type { LossOnRepeats } from "../../figures/index.ts";
import { liveData } from "../../figures/internal.ts";
import { architectureDiagram, lineChart } from "../../viz/index.ts";
import type { Figure } from "../../viz/index.ts";
import type { RepeatedFacts, ReportData } from "../types.ts";
import type { PageContext, Section } from "./context.ts";
import { markup } from "./html.ts";
import type { Html } from "./html.ts";
import { circuit, display, inline, op, sumOver, sup, text, v } from "./math.ts";
import { count, estimate, fixed, whole } from "./words.ts";

const POSITIONS = {
  standard: "added to the residual stream at the beginning",
  shortformer:
    "added to what queries and keys are read from, and to nothing else, so that values and the direct path know no positions",
  rotary: "by rotating queries and keys against one another",
  none: "nowhere: order is known only through the causal mask",
} as const;

/** What kind of model it is. */
export function architecture(page: PageContext): Section {
  const { config, parameterCount } = page.data;
  const { n_layers, n_heads, d_model, d_head, d_vocab, n_ctx } = config;
  const figure =
    n_layers === 0
      ? null
      : page.figure(
          architectureDiagram({
            layers: n_layers,
            heads: n_heads,
            d_model,
            d_head,
            d_vocab,
            n_ctx,
            positions: config.positional_embedding_type,
            norm: config.normalization_type,
            parameters: parameterCount,
            ...(config.d_mlp === undefined ? {} : { d_mlp: config.d_mlp }),
          }),
          {
            text: "The model: every layer reads the residual stream and adds to it.",
            source: "architecture",
          },
        );
  const layers =
    n_layers === 0
      ? markup`<p>
          There are no layers: the logits are ${inline(v("W_E"), v("W_U"))} of the present token alone, a table of
          bigrams of rank ${d_model} at most.
        </p>`
      : markup`<p>
            There are ${count(n_layers, "layer")} of ${count(n_heads, "attention head")}${
              config.attn_only
                ? markup` and nothing else: no
            MLP${config.normalization_type === null ? ", no normalisation" : ""}. With attention patterns held as they
            are, the logits are a linear function of the tokens, a sum over paths:`
                : mlps(config)
            }
          </p>
          ${display(v("T"), op("="), text("Id"), op("⊗"), v("W_U"), v("W_E"), op("+"), sumOver(v("h")), sup(v("A"), v("h")), op("⊗"), v("W_U"), circuit("OV", "h"), v("W_E"), op("+"), text("longer paths"))}
          <p>
            This is the paper’s notation, in which vectors are columns; in the code they are rows, and products read
            from left to right. Positions enter ${POSITIONS[config.positional_embedding_type]}.
          </p>`;
  return {
    id: "architecture",
    title: "Architecture",
    body: markup`<div class="text">${layers}</div>
      ${figure}${facts(page.data)}`,
  };
}

function mlps({ d_mlp = 0, act_fn, parallel_attn_mlp }: ModelConfig): Html {
  return markup`, each with an MLP of ${whole(d_mlp)} neurons (${act_fn ?? ""}), which reads
    ${parallel_attn_mlp === true ? "what the heads of its layer read" : "the residual stream after the heads of its layer"}. With
    attention patterns held as they are, and what the MLPs write too, the logits are a sum over paths of heads that begin in the
    tokens, as written here, or in an MLP:`;
}

function facts({ config, parameterCount, text: corpus }: ReportData): Html {
  const rows: readonly (readonly [string, string])[] = [
    ["parameters", whole(parameterCount)],
    ["n_layers × n_heads", `${config.n_layers} × ${config.n_heads}`],
    ["d_model, d_head", `${config.d_model}, ${config.d_head}`],
    ...(config.d_mlp === undefined ? [] : ([["d_mlp, act_fn", `${config.d_mlp}, ${config.act_fn ?? ""}`]] as const)),
    ["d_vocab", whole(config.d_vocab)],
    ["n_ctx", whole(config.n_ctx)],
    ["positions", config.positional_embedding_type],
    ["normalisation", config.normalization_type ?? "none"],
    ["attention scale", `scores divided by ${fixed(config.attn_scale, Number.isInteger(config.attn_scale) ? 0 : 2)}`],
    ["text analysed", corpus.source],
  ];
  return markup`<dl class="spec">
    ${rows.map(
      ([name, value]) =>
        markup`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

/** The loss on text and on repeats. */
export function lossByPosition(page: PageContext): Section {
  const { loss, repeated, text: corpus, config } = page.data;
  const unigram =
    loss.unigram === null
      ? null
      : markup` Guessing by how often each token occurs in this very text (each occurrence left out of its own count)
        costs ${fixed(loss.unigram)}.`;
  return {
    id: "loss",
    title: "Loss by position",
    body: markup`<div class="text">
        <p>
          On ${whole(loss.predictions)} predictions in ${count(corpus.windows, "window")} of ${corpus.windowLength}
          tokens the loss is <b>${estimate(loss)}</b> nats per
          token${loss.standardError === null ? "" : " (standard error over windows)"}. A uniform guess among
          ${whole(config.d_vocab)} tokens costs ln ${whole(config.d_vocab)} = ${fixed(loss.uniform)}.${unigram}
        </p>
      </div>
      ${page.figure(textChart(page.data), {
        text: markup`Loss of predicting the token at each position of a window, mean and one standard error over
        ${count(corpus.windows, "window")}. Where the curve still falls, the model makes use of distant context.`,
      })}
      ${repeated === null ? null : repeats(page, repeated)}`,
  };
}

function repeats(page: PageContext, repeated: RepeatedFacts): Html {
  return markup`<div class="text">
      <h3>Random tokens, given twice</h3>
      <p>
        Random tokens cannot be predicted, unless they have been seen before: in the second copy each token has followed
        the present one once already. The mean loss is ${fixed(repeated.first)} nats in the first copy and
        <b>${fixed(repeated.second)}</b> in the second.
      </p>
    </div>
    ${page.figure(drawLossOnRepeats(liveData<LossOnRepeats>(repeated.curve)), {
      text: markup`The first token of the second copy is not counted in its mean: nothing announces it.`,
      source: "induction",
    })}`;
}

function textChart({ loss }: ReportData): Figure {
  const { position, mean, standardError } = loss.byPosition;
  const at = (sign: number): number[] => mean.map((m, i) => m + sign * (standardError[i] ?? 0));
  return lineChart({
    series: [{ name: "loss", x: position, y: mean, band: { lower: at(-1), upper: at(1) } }],
    references: [
      { value: loss.uniform, label: "uniform guess" },
      ...(loss.unigram === null ? [] : [{ value: loss.unigram, label: "token frequencies" }]),
      { value: loss.mean, label: "mean" },
    ],
    xLabel: "position of the predicted token",
    yLabel: "loss (nats)",
    width: 760,
    height: 300,
  });
}
