import { requireKind } from "../../errors.ts";
import { checkCount, checkNonEmpty, checkOptions, checkTexts } from "../check.ts";
import { checkFigures, Figure } from "../figure.ts";
import { FLIP_SCRIPT } from "../page/script.ts";
import { accessibleName, type Captions } from "../parts/frame.ts";
import { changesOf } from "../parts/markup-changes.ts";
import { escapeHtml, plural } from "../parts/text.ts";
import { arrange } from "./arrange.ts";

/**
 * What {@link flipbook} shows.
 * @category Figures
 */
export interface FlipbookOptions extends Captions {
  /** The pictures in their order: drawings without controls of their own, best all of one kind and size. */
  readonly frames: readonly Figure[];
  /** What each picture is called, as `step 400`; numbers from 1 on if left out. */
  readonly labels?: readonly string[];
  /** For pages whose content-security policy asks for a nonce. */
  readonly nonce?: string;
}

const OPERATION = "flipbook";

/**
 * Pictures one after the other, with a slider: a model's checkpoints, or anything else that changes.
 *
 * On a page the slider and the arrow keys show any picture, a button plays them. Of pictures that differ in numbers and
 * colours alone, such as one chart of changing data, the page has one with what changes, so that a hundred take little
 * room. The drawing is the last picture, as is what a page shows without scripts; `figure.frames` has each by itself.
 *
 * @param options - pictures, what they are called, captions.
 * @returns the figure.
 * @throws ShapeError if there is no picture, or not one label for each.
 * @throws InputError if a picture is none.
 * @category Figures
 * @example
 * ```ts
 * import { flipbook, headGrid } from "transformer-circuits/viz";
 *
 * const frames = [0.1, 0.5, 0.9].map((score) => headGrid({ values: [[score]], limit: 1 }));
 * const figure = flipbook({ frames, labels: ["step 0", "step 1", "step 2"], title: "Induction score" });
 * console.log(figure.frames.length, figure.frames[1]?.svg.includes(">0.50<"), figure.svg.includes(">0.90<"));
 * // 3 true true
 * ```
 */
export function flipbook(options: FlipbookOptions): Figure {
  checkOptions(options, OPERATION, "frames labels nonce");
  requireKind("list", options.frames, "frames", OPERATION);
  checkFigures(options.frames, OPERATION, "frames");
  const { frames, nonce } = options;
  checkNonEmpty(frames.length, OPERATION, "frames");
  if (options.labels) checkTexts(options.labels, OPERATION, "labels");
  const labels = options.labels ?? frames.map((_, i) => `${i + 1}`);
  checkCount(labels.length, frames.length, OPERATION, "labels", "frames");
  const label = accessibleName(options, plural(frames.length, "picture"));
  const captions = {
    ...(options.title !== undefined && { title: options.title }),
    ...(options.subtitle !== undefined && { subtitle: options.subtitle }),
  };
  const subtitle = [options.subtitle, labels[frames.length - 1]].filter((text) => text !== undefined && text !== "");
  const last = arrange({ ...captions, subtitle: subtitle.join(" "), rows: [[frames[frames.length - 1] as Figure]] });
  return new Figure({
    kind: OPERATION,
    width: last.width,
    height: last.height,
    label,
    content: () => last.content,
    frames,
    markup: () => markupOf(frames, labels, label, captions),
    script: FLIP_SCRIPT,
    nonce,
  });
}

function markupOf(frames: readonly Figure[], labels: readonly string[], label: string, captions: Captions): string {
  // what a page would bring to life stands still in here
  const bodies = frames.map(({ body, pieces }) => (body.includes("<script") ? pieces : body));
  const last = frames.length - 1;
  const changes = changesOf(bodies);
  const { title = "", subtitle = "" } = captions;
  const head = `${title && `<strong>${escapeHtml(title)}</strong>`}${subtitle && `<span>${escapeHtml(subtitle)}</span>`}`;
  const slider = `<input type="range" min="0" max="${last}" value="${last}" step="1" aria-label="picture" aria-valuetext="${escapeHtml(labels[last] ?? "")}">`;
  const pages =
    changes === undefined
      ? bodies.map((body, i) => `<div class="tc-flip-page"${i === last ? "" : " hidden"}>\n${body}\n</div>`).join("\n")
      : `<div class="tc-flip-page">\n${bodies[last] ?? ""}\n</div>`;
  return [
    `<div class="tc-fig tc-flip" data-tc-flip role="group" aria-label="${escapeHtml(label)}">`,
    ...(head === "" ? [] : [`<div class="tc-head">${head}</div>`]),
    `<div class="tc-controls tc-flip-live"><button type="button" aria-label="play">▶</button>${slider}<output></output></div>`,
    `<p class="tc-flip-still">${escapeHtml(labels[last] ?? "")}</p>`,
    pages,
    `<script type="application/json">${JSON.stringify({ labels, changes: changes ?? null }).replaceAll("<", "\\u003c")}</script>`,
    "</div>",
  ].join("\n");
}
