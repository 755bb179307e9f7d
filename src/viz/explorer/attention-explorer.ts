import {
  checkCount,
  checkHead,
  checkNonEmpty,
  checkNumbers,
  checkOptions,
  checkTexts,
  type HeadRef,
} from "../check.ts";
import { InputError, requireKind, ShapeError } from "../../errors.ts";
import { keyWeights, largestValue, packValues, readTriangles, type AttentionStack, type Triangles } from "./data.ts";
import { Figure } from "../figure.ts";
import { explorerStill } from "./still.ts";
import { PAGE_SCRIPT } from "../page/script.ts";
import { accessibleName, type Captions } from "../parts/frame.ts";
import { escapeHtml, visibleToken } from "../parts/text.ts";

/**
 * What {@link attentionExplorer} shows.
 * @category Figures
 */
export interface AttentionExplorerOptions extends Captions {
  /** Texts of tokens, as the tokenizer decodes them; whitespace is made visible. */
  readonly tokens: readonly string[];
  /** Attention probabilities. */
  readonly pattern: AttentionStack;
  /** Attention times the norm of each source token's value vector. */
  readonly valueWeighted?: AttentionStack;
  /** Attention times the norm of what the head would write to the residual stream for each source token. */
  readonly resultWeighted?: AttentionStack;
  /** Log-probability of each token given those before it, in nats; NaN where there is none, as for the first. */
  readonly logProbs?: ArrayLike<number>;
  /** The heads picked at first; the first head if left out. */
  readonly selected?: readonly HeadRef[];
  /** What is shown first; attention if left out. */
  readonly measure?: "attention" | "value-weighted" | "result-weighted";
  /** The position looked at first; the last if left out. */
  readonly focus?: number;
  /**
   * Whether attention to the first token is left out at first, so that the others' has all of the colours; it is not
   * unless this is `true`. A check box on the page does the same.
   */
  readonly skipFirst?: boolean;
  /** For pages whose content-security policy asks for a nonce. */
  readonly nonce?: string;
}

/**
 * Attention one can explore on the text: pick heads from thumbnails, hover a token, read the numbers. The drawing is a
 * still of what is shown first.
 *
 * Hovering, focusing or clicking a token shades the tokens it attends to, or, switched over, those that attend to it; a
 * large map shows the whole pattern of the picked head, or the average over several picked with Shift or the check box.
 * Where they are given, value-weighted and result-weighted attention are a switch away; the first token, on which heads
 * rest, can be left out, and the map made larger. Everything works with the keyboard. Values travel as one byte each,
 * so a page shows them to about two digits. Self-contained: one inline script without globals or `eval`.
 *
 * @param options - tokens, patterns and where to begin.
 * @returns the figure.
 * @throws ShapeError if there are no tokens, or an array's size does not fit their number.
 * @throws InputError if a value is negative, not finite or at a key after its query, or a picked head, position or
 * measure does not exist.
 * @category Figures
 * @example
 * ```ts
 * import { attentionExplorer } from "transformer-circuits/viz";
 *
 * const figure = attentionExplorer({
 *   tokens: ["a", " b"],
 *   pattern: [[[1, 0, 0.25, 0.75], [1, 0, 0.5, 0.5]]],
 *   title: "One layer of two heads",
 * });
 * console.log(figure.svg.length > 0, figure.html.match(/data-head="\d"/g)?.length);
 * // true 2
 * ```
 */
export function attentionExplorer(options: AttentionExplorerOptions): Figure {
  const operation = "attentionExplorer";
  checkOptions(
    options,
    operation,
    "tokens pattern valueWeighted resultWeighted logProbs selected measure focus skipFirst nonce",
  );
  checkTexts(options.tokens, operation, "tokens");
  const count = options.tokens.length;
  checkNonEmpty(count, operation, "tokens");
  const measures = readMeasures(options, count);
  const { layers, heads } = (measures[0] as Measure).triangles;
  const chosen = options.selected ?? [{ layer: 0, head: 0 }];
  requireKind("list", chosen, "selected", operation);
  checkNonEmpty(chosen.length, operation, "selected");
  const selected = chosen.map((head, i) => checkHead(head, layers, heads, operation, `selected[${i}]`));
  const focus = options.focus ?? count - 1;
  if (!Number.isInteger(focus) || focus < 0 || focus >= count) {
    throw new InputError(`focus is ${focus}, but positions go from 0 to ${count - 1}.`, {
      operation,
      argument: "focus",
      actual: focus,
    });
  }
  const shown = measures.findIndex(({ name }) => name === (options.measure ?? "attention"));
  if (shown < 0) {
    throw new InputError(`measure is ${JSON.stringify(options.measure)}, which was not given.`, {
      operation,
      argument: "measure",
      expected: measures.map(({ name }) => name),
      actual: options.measure,
    });
  }
  if (options.logProbs) checkNumbers(options.logProbs, operation, "logProbs");
  if (options.logProbs) checkCount(options.logProbs.length, count, operation, "logProbs", "tokens");
  const data = {
    heads,
    focus,
    ...(shown > 0 && { measure: shown }),
    ...(options.skipFirst === true && { skipFirst: true }),
    tokens: options.tokens.map(visibleToken),
    selected: selected.map(({ layer, head }) => layer * heads + head),
    measures: measures.map(({ name, triangles }, i) => {
      const largest = largestValue(triangles.values);
      const weights = i === 0 ? undefined : keyWeights((measures[0] as Measure).triangles, triangles, count);
      return weights === undefined
        ? { name, largest, bytes: packValues(triangles.values, largest) }
        : { name, largest, weights };
    }),
    logProbs:
      options.logProbs === undefined
        ? null
        : Array.from(options.logProbs, (value) => (Number.isFinite(value) ? Number(value.toFixed(3)) : null)),
  };
  const label = accessibleName(options, `attention of ${layers} layers of ${heads} heads on ${count} tokens`);
  const { name: measure, triangles } = measures[shown] as Measure;
  const skipFirst = options.skipFirst === true && count > 1;
  const still = explorerStill({
    ...(options.title !== undefined && { title: options.title }),
    ...(options.subtitle !== undefined && { subtitle: options.subtitle }),
    ...{ tokens: options.tokens, triangles, measure, focus, skipFirst, selected: data.selected },
    limit: skipFirst || shown > 0 ? undefined : largestValue(triangles.values),
  });
  return new Figure({
    kind: "attentionExplorer",
    ...still,
    label,
    markup: explorerMarkup(options, {
      layers,
      heads,
      data: JSON.stringify(data),
      label,
      names: measures.map(({ name }) => name),
      shown,
    }),
    script: PAGE_SCRIPT,
    nonce: options.nonce,
  });
}

interface Measure {
  readonly name: string;
  readonly triangles: Triangles;
}

function readMeasures(options: AttentionExplorerOptions, count: number): Measure[] {
  const given = [
    { name: "attention", argument: "pattern", stack: options.pattern },
    { name: "value-weighted", argument: "valueWeighted", stack: options.valueWeighted },
    { name: "result-weighted", argument: "resultWeighted", stack: options.resultWeighted },
  ];
  const measures = given.flatMap(({ name, argument, stack }) =>
    stack === undefined ? [] : [{ name, argument, triangles: readTriangles(stack, count, argument) }],
  );
  const first = (measures[0] as Measure).triangles;
  for (const { argument, triangles } of measures) {
    if (triangles.layers === first.layers && triangles.heads === first.heads) continue;
    throw new ShapeError(
      `${argument} has ${triangles.layers} layers of ${triangles.heads} heads where pattern has ${first.layers} layers of ${first.heads} heads. Give the same heads for both.`,
      {
        operation: "attentionExplorer",
        argument,
        expected: [first.layers, first.heads],
        actual: [triangles.layers, triangles.heads],
      },
    );
  }
  return measures;
}

/** What stands in the figure as long as its script has not run. */
const ASLEEP =
  "This figure comes to life by its script, which did not run: markup set by innerHTML runs none, and a page may allow none. " +
  "Call mount(element, figure), or enliven(element) once the markup is there; both are in transformer-circuits/viz.";

interface MarkupParts {
  readonly layers: number;
  readonly heads: number;
  readonly data: string;
  readonly label: string;
  readonly names: readonly string[];
  /** The measure shown first. */
  readonly shown: number;
}

function explorerMarkup(options: AttentionExplorerOptions, parts: MarkupParts): string {
  const tokens = options.tokens.map((token, i) => {
    const broken = token.includes("\n") ? "<br>" : "";
    return `<span role="button" tabindex="-1" data-position="${i}">${escapeHtml(visibleToken(token))}</span>${broken}`;
  });
  const title = options.title === undefined ? "" : `<strong>${escapeHtml(options.title)}</strong>`;
  const subtitle = options.subtitle === undefined ? "" : `<span>${escapeHtml(options.subtitle)}</span>`;
  return [
    `<div class="tc-fig tc-ax" data-tc-explorer role="group" aria-label="${escapeHtml(parts.label)}">`,
    `<div class="tc-ax-title">${title}${subtitle}</div>`,
    `<div class="tc-ax-heads" role="group" aria-label="heads">${headButtons(parts)}</div>`,
    `<div class="tc-controls">${switches(parts.names, parts.shown)}</div>`,
    '<div class="tc-ax-body"><div class="tc-ax-side">',
    `<div class="tc-ax-text" role="group" aria-label="tokens; arrow keys move">${tokens.join("")}</div>`,
    '<div class="tc-ax-read" aria-live="polite"></div>',
    '</div><div class="tc-ax-side">',
    '<div class="tc-ax-axis">↓ query (destination)<span class="tc-ax-scale"></span></div>',
    '<div class="tc-ax-window"><div class="tc-ax-map"><canvas></canvas><div class="tc-ax-line"></div><div class="tc-ax-cell"></div></div></div>',
    '<div class="tc-ax-axis tc-ax-end"><span><button type="button" data-zoom="0.5" aria-label="smaller map">−</button> <button type="button" data-zoom="2" aria-label="larger map">+</button></span>key (source) →</div>',
    "</div></div>",
    `<p class="tc-ax-asleep">${ASLEEP}</p>`,
    // "<" would let a token close the element; JSON reads it back from its code.
    `<script type="application/json">${parts.data.replaceAll("<", "\\u003c")}</script>`,
    "</div>",
  ].join("\n");
}

function headButtons(parts: MarkupParts): string {
  const rows = Array.from({ length: parts.layers }, (_, layer) => {
    const buttons = Array.from({ length: parts.heads }, (_, head) => {
      const label = `L${layer}H${head}`;
      return `<button type="button" data-head="${layer * parts.heads + head}" aria-label="${label}"><canvas></canvas><span>${label}</span></button>`;
    });
    return `<div class="tc-ax-row">${buttons.join("")}</div>`;
  });
  return rows.join("\n");
}

function switches(names: readonly string[], shown: number): string {
  const choices = (key: string, list: readonly (readonly [string, string])[], checked = 0): string =>
    list
      .map(
        ([value, text], i) =>
          `<label><input type="radio" data-${key}="${value}"${i === checked ? " checked" : ""}> ${escapeHtml(text)}</label>`,
      )
      .join("");
  const measure =
    names.length < 2
      ? ""
      : `<span role="radiogroup" aria-label="measure">${choices(
          "measure",
          names.map((name, i) => [i.toString(), name]),
          shown,
        )}</span>`;
  const direction = choices("direction", [
    ["source", "what the token attends to"],
    ["destination", "what attends to it"],
  ]);
  const several =
    '<label><input type="checkbox" data-several> average several heads (or Shift-click)</label>' +
    '<label><input type="checkbox" data-skip-first> without the first token</label>';
  return `${measure}<span role="radiogroup" aria-label="direction">${direction}</span>${several}`;
}
