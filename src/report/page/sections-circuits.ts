/** Sections on circuits read from the weights: eigenvalues and composition. */
import {
  drawCompositionDiagram,
  drawCompositionMaps,
  drawCopyingHistogram,
  drawOVEigenvalues,
} from "../../figures/index.ts";
import type { CompositionDiagram, CopyingHistogram, OVEigenvalues } from "../../figures/index.ts";
import { liveData } from "../../figures/internal.ts";
import { headLabel } from "../../model/index.ts";
import { table } from "../../viz/index.ts";
import type { Figure } from "../../viz/index.ts";
import type { CompositionPair, HeadFacts, Moved, ReportData } from "../types.ts";
import type { PageContext, Section } from "./context.ts";
import { markup } from "./html.ts";
import type { Content } from "./html.ts";
import { bars, circuit, display, fraction, norm, op, row, text, v } from "./math.ts";
import { count, fixed, percent, shortList, whole } from "./words.ts";

/** How many heads have their eigenvalues drawn. */
const MOST_PLANES = 32;

/** Eigenvalues of the OV circuits. */
export function eigenvalues(page: PageContext): Section {
  const { heads, spectra } = page.data;
  const title = { id: "eigenvalues", title: "Eigenvalues of the OV circuits", short: "OV eigenvalues" };
  if (spectra === null) return { ...title, body: markup`<p class="text">Without heads there are no OV circuits.</p>` };
  const copying = heads.filter((head) => (head.copyingZ ?? 0) > 3);
  const chance = page.data.copying?.chance;
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          A head’s full OV circuit says what attending to a token does to the logits of all tokens. Its eigenvectors are
          combinations of tokens; a positive real eigenvalue is one that raises its own logits: copying. The copying
          score sums that up,
        </p>
        ${display(fraction(row(op("∑"), v("λ")), row(op("∑"), bars(v("λ")))), op("∈"), text("[−1, 1]"), text(",  "), v("λ"), text(" the eigenvalues of "), v("W_U"), v("W_OV"), v("W_E"))}
        <p>
          Of ${count(heads.length, "head")}
          ${copying.length === 0 ? "none stands" : copying.length === 1 ? "one stands" : `${copying.length} stand`} more
          than three standard deviations above heads of random
          weights${chance === undefined ? "" : ` (${fixed(chance.mean)} ± ${fixed(chance.std)}, ${whole(chance.samples)} draws)`}${
            copying.length === 0
              ? ""
              : `: ${shortList(
                  copying.map((head) => head.label),
                  16,
                )}`
          }.
        </p>
      </div>
      ${page.figure(planes(heads, spectra), {
        text: markup`A head that neither copies nor suppresses has its eigenvalues all
        round.${heads.length > MOST_PLANES ? ` The ${MOST_PLANES} heads of the largest copying scores, either way.` : ""}`,
        source: "copying",
      })}
      ${
        page.data.copying === null
          ? null
          : page.figure(drawCopyingHistogram(liveData<CopyingHistogram>(page.data.copying)), {
              text: "Copying scores of all heads, beside those of heads of random weights.",
              source: "copying",
            })
      }`,
  };
}

function planes(heads: readonly HeadFacts[], plain: NonNullable<ReportData["spectra"]>): Figure {
  const spectra = liveData<OVEigenvalues>(plain);
  const largest = [...heads].sort((a, b) => Math.abs(b.copying) - Math.abs(a.copying)).slice(0, MOST_PLANES);
  const shown = spectra.heads.filter((head) => largest.some(({ label }) => label === headLabel(head)));
  return drawOVEigenvalues({ ...spectra, heads: shown });
}

/** Composition between heads. */
export function composition(page: PageContext): Section {
  const { composition: plain, pairs, config } = page.data;
  const title = { id: "composition", title: "Composition of heads", short: "Composition" };
  if (plain === null) {
    return {
      ...title,
      body: markup`<p class="text">
        Heads compose with heads of later layers; this model has ${count(config.n_layers, "layer")}, so there is nothing
        to compose with.
      </p>`,
    };
  }
  const facts = liveData<CompositionDiagram>(plain);
  const { mean, std = 0 } = facts.corrected.baseline;
  return {
    ...title,
    body: markup`<div class="text">
        <p>
          A later head reads what an earlier one wrote through its queries, its keys or its values. How much of it, the
          norm of the product says, relative to the norms of both:
        </p>
        ${display(text("K-composition"), op("="), fraction(norm(row(circuit("QK", "r"), circuit("OV", "w"))), row(norm(circuit("QK", "r")), norm(circuit("OV", "w")))))}
        <p>
          Heads of random weights of these sizes score ${fixed(mean, 4)} ± ${fixed(std, 4)}. What stands out from that
          is a reader in whose directions the writer writes; whether what it writes differs between tokens is another question.
        </p>
        ${explanation(page, pairs)}
      </div>
      ${page.figure(drawCompositionDiagram(facts), {
        text: markup`A line for each pair whose score exceeds that of random heads, the stronger the wider; norms as corrected
        in 2023.`,
        source: "composition",
      })}
      ${page.figure(
        drawCompositionMaps({
          n_layers: facts.n_layers,
          n_heads: facts.n_heads,
          Q: facts.corrected.Q,
          K: facts.corrected.K,
          V: facts.corrected.V,
          baseline: mean,
        }),
        {
          text: markup`The page’s own colour is, below, what random heads have; blue is less: heads that keep out of each
          other’s way.`,
          source: "composition",
        },
      )}
      ${page.figure(pairTable(page, pairs), {
        text: markup`Pairs that compose. ${columnsSaid(pairs)}`,
        source: "composition",
      })}`,
  };
}

/** What the columns of the table of pairs are: those that it has. */
function columnsSaid(pairs: readonly CompositionPair[]): string {
  const isCut = pairs.some(({ effect }) => effect !== null);
  const hasEvidence = pairs.some(({ evidence }) => evidence !== null);
  const isMeasured = pairs.some(({ moved }) => moved !== null);
  const hasRepeats = pairs.some(({ moved }) => (moved?.repeats ?? null) !== null);
  const said = [
    isCut &&
      "“Loss without”: by how much the loss on the second copy rises, in nats, when this input of the reader lacks what the writer writes.",
    hasEvidence &&
      "“Size”: by how much that makes the reader’s scores differ along a row (of values, its logits). “Share”: of the variance of all that reaches the reader. “Matching”: from the weights, how much better a token’s query likes a key into which the writer moved the same token.",
    "“z”: the paper’s score in standard deviations of random heads’.",
    isMeasured &&
      `“Moves”: the share of the reader’s attention that goes elsewhere without what the writer adds to its scores, on a passage of the text${hasRepeats ? " and on random tokens given twice" : ""}.`,
  ];
  return said.filter((sentence) => sentence !== false).join(" ");
}

/** A composition that moves less of the reader's attention than this does little. */
const LITTLE = 0.1;
/** A writer that rests on the first token, and keys whose scores follow that. */
const RESTS = 0.3;
const FOLLOWS = 0.7;

/** The pair of the largest effect, and what that of the largest score is. */
function explanation(page: PageContext, pairs: readonly CompositionPair[]): Content {
  const [first] = pairs;
  const largest = pairs.reduce<CompositionPair | undefined>(
    (best, pair) => (best === undefined || pair.score > best.score ? pair : best),
    undefined,
  );
  if (first === undefined || largest === undefined) return null;
  return markup`${effectOf(first)}${largest === first && first.effect !== null ? null : scoreOf(page, largest)}`;
}

/** What is lost without the first pair, and what comes through it. */
function effectOf(pair: CompositionPair): Content {
  const { kind, writer, reader, effect, evidence } = pair;
  if (effect === null) return null;
  const place = { Q: "queries", K: "keys", V: "values" }[kind];
  const through =
    evidence === null
      ? null
      : markup` On these tokens it makes ${kind === "V" ? "logits" : "the scores of a row"} differ by
        ${fixed(evidence.size)} (root mean square), ${percent(evidence.share ** 2)} of the variance of all that reaches
        ${reader} there, where a random orientation of the writer would have ${percent(evidence.chance ** 2)}.`;
  return markup`<p>
    What a pair is worth, a run says in which one input of the reader lacks what the writer writes. Without what
    <b>${writer}</b> writes, in the ${place} of <b>${reader}</b> alone, the loss on the second copy of random tokens
    rises by ${fixed(effect)} nats, the most of the pairs listed.${through} The paper’s score of this pair is
    ${fixed(pair.score, 3)}, ${fixed(pair.z, 0)} standard deviations from random heads.
  </p>`;
}

/** The pair of the largest score, and what it does. */
function scoreOf(page: PageContext, pair: CompositionPair): Content {
  const { kind, writer, reader, moved, follows, effect } = pair;
  const said = markup`The paper’s score is largest for ${kind}-composition of <b>${reader}</b> with <b>${writer}</b>,
    ${fixed(pair.score, 3)}, ${fixed(pair.z, 0)} standard deviations above chance`;
  const cut = effect === null ? null : markup` Without it the loss rises by ${fixed(effect, 3)} nats.`;
  if (moved === null) return markup`<p>${said}.${cut}</p>`;
  const isLittle = Math.max(moved.text, moved.repeats ?? 0) < LITTLE;
  const rests = page.head(writer)?.scores?.first ?? 0;
  const where =
    follows !== null && follows > FOLLOWS && rests > RESTS
      ? markup` ${writer} rests on the first token, by ${fixed(rests)} of its attention on random tokens, the less the
        farther it is from there; and the scores that it gives to keys follow how much it rests (correlation
        ${fixed(follows)}). So it tells ${reader} where a key stands, and not what stands there.`
      : null;
  return markup`<p>
    ${said}.${isLittle ? " It is large in the weights and does little." : ""}${cut} Taking what ${writer} writes out of
    the ${kind === "K" ? "keys" : "queries"} of ${reader} moves ${sharesOf(moved)}.${where}
  </p>`;
}

function sharesOf({ text: onText, repeats }: Moved): string {
  return `${percent(onText)} of its attention on a passage of the text${repeats === null ? "" : ` and ${percent(repeats)} on random tokens given twice`}`;
}

function pairTable(page: PageContext, pairs: readonly CompositionPair[]): Figure {
  const role = (label: string): string => page.head(label)?.roles.join(", ") ?? "";
  const share = { decimals: 2 };
  const isMeasured = pairs.some(({ moved }) => moved !== null);
  const hasRepeats = pairs.some(({ moved }) => (moved?.repeats ?? null) !== null);
  const isCut = pairs.some(({ effect }) => effect !== null);
  const hasEvidence = pairs.some(({ evidence }) => evidence !== null);
  const evidenceColumns = hasEvidence
    ? [
        { label: "size", kind: "number" as const, format: share },
        { label: "share", kind: "number" as const, format: share },
        { label: "matching", kind: "number" as const, format: share },
      ]
    : [];
  return table({
    columns: [
      { label: "kind" },
      { label: "writer" },
      { label: "role of writer" },
      { label: "reader" },
      { label: "role of reader" },
      ...(isCut ? [{ label: "loss without", kind: "bar" as const, format: { decimals: 3, sign: true } }] : []),
      ...evidenceColumns,
      { label: "paper’s score", kind: isCut ? ("number" as const) : ("bar" as const), format: { decimals: 3 } },
      { label: "z", format: { decimals: 1, sign: true } },
      ...(isMeasured ? [{ label: "moves, text", kind: "number" as const, format: share }] : []),
      ...(hasRepeats ? [{ label: "moves, repeats", kind: "number" as const, format: share }] : []),
    ],
    rows: pairs.map(({ kind, writer, reader, score, z, moved, effect, evidence }) => [
      kind,
      writer,
      role(writer),
      reader,
      role(reader),
      ...(isCut ? [effect] : []),
      ...(hasEvidence
        ? [evidence?.size ?? null, evidence === null ? null : evidence.share ** 2, evidence?.matching ?? null]
        : []),
      score,
      z,
      ...(isMeasured ? [moved?.text ?? null] : []),
      ...(hasRepeats ? [moved?.repeats ?? null] : []),
    ]),
  });
}
