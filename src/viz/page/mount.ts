/** Figures as part of a page that a program builds. */
import { InputError } from "../../errors.ts";
import { checkFigure, figureStyles } from "../figure.ts";
import type { Figure } from "../figure.ts";
import { enlivenIn } from "./script.ts";

/**
 * An element of a page, or a shadow root in one: what {@link mount} puts a figure into.
 * @category Figures
 */
export interface MountTarget {
  readonly ownerDocument: unknown;
  /** Puts nodes in place of those inside. */
  replaceChildren(...nodes: never[]): void;
  /** The document or shadow root that it is in. */
  getRootNode(): unknown;
}

/** As much of the page's own types as is used here: the library is compiled without them. */
interface PageDocument {
  readonly defaultView: PageView | null;
  readonly head: { append(node: unknown): void } | null;
  createElement(name: "template"): { innerHTML: unknown; readonly content: never };
  createElement(name: "style"): { textContent: string };
}

interface PageView {
  readonly CSSStyleSheet?: new () => { replaceSync(text: string): void };
  readonly trustedTypes?: {
    createPolicy(name: string, rules: { createHTML(text: string): string }): { createHTML(text: string): unknown };
  };
}

interface StyledRoot {
  adoptedStyleSheets?: unknown[];
  append?(node: unknown): void;
}

/**
 * Puts a figure into an element of a page, in place of what is in it, and brings it to life. What
 * `element.innerHTML = figure.html` cannot do: scripts set so do not run.
 *
 * Works in any framework, in shadow roots, and on pages with a strict content-security policy: styles go into a style
 * sheet of the document without a `<style>` element, no script is added, and under Trusted Types the markup passes a
 * policy named `transformer-circuits`. Colours follow the page around the element, now and when its theme changes.
 *
 * @param element - an element of the page, or a shadow root.
 * @param figure - what a function of this entry or of `transformer-circuits/figures` returned.
 * @returns a function that takes the figure out again, as effects of React return it:
 * `useEffect(() => mount(ref.current, figure), [figure])`.
 * @throws {@link InputError} when `element` is no element, `figure` is no figure, or the page's policy refuses the
 * markup.
 * @category Figures
 * @example
 * ```ts
 * import { heatmap, mount, type MountTarget } from "transformer-circuits/viz";
 *
 * const figure = heatmap({ values: [[1, 0], [0.25, 0.75]] });
 * const show = (element: MountTarget | null) => mount(element as MountTarget, figure);
 * try {
 *   show(null); // document.querySelector("#figure") of a page that has no such element
 * } catch (error) {
 *   console.log((error as Error).message);
 * }
 * // mount: element is null: the page has no such element, or not yet. Give an element that is in the page, such as a <div>.
 * ```
 */
export function mount(element: MountTarget, figure: Figure): () => void {
  const target = requireElement(element, "mount");
  checkFigure(figure, "mount");
  return adoptMarkup(target, figure.body);
}

/** Puts a figure's markup into an element, whose scripts do not run, and brings it to life; returns what undoes it. */
export function adoptMarkup(target: MountTarget, markup: string): () => void {
  adoptStyles(target);
  const template = documentOf(target).createElement("template");
  setMarkup(target, template, markup);
  target.replaceChildren(template.content);
  const leave = enlivenIn(target);
  return () => {
    leave();
    target.replaceChildren();
  };
}

/**
 * Brings the figures inside an element to life: for markup that came into the page as text, such as
 * `element.innerHTML = figure.html`, whose scripts do not run. Figures that live already are left alone.
 *
 * @param element - an element of the page, or a shadow root.
 * @returns a function that lets go of the page, to be called when the element leaves it.
 * @throws {@link InputError} when `element` is no element.
 * @category Figures
 * @example
 * ```ts
 * import { attentionExplorer, enliven, type MountTarget } from "transformer-circuits/viz";
 *
 * const figure = attentionExplorer({ tokens: ["a", " b"], pattern: [[[1, 0.25, 0.75]]] });
 * const show = (element: (MountTarget & { innerHTML: string }) | null) => {
 *   if (element !== null) element.innerHTML = figure.html;
 *   return enliven(element as MountTarget);
 * };
 * try {
 *   show(null); // document.querySelector("#figure") of a page that has no such element
 * } catch (error) {
 *   console.log((error as Error).message.split(".")[0]);
 * }
 * // enliven: element is null: the page has no such element, or not yet
 * ```
 */
export function enliven(element: MountTarget): () => void {
  const target = requireElement(element, "enliven");
  adoptStyles(target);
  return enlivenIn(target);
}

function requireElement(element: unknown, operation: string): MountTarget {
  const { ownerDocument, replaceChildren } = Object(element) as Partial<MountTarget>;
  if (typeof replaceChildren === "function" && ownerDocument !== null && ownerDocument !== undefined)
    return element as MountTarget;
  const what =
    element === null
      ? "null: the page has no such element, or not yet"
      : typeof element === "string"
        ? `the text ${JSON.stringify(element)}, not an element. Give document.querySelector(${JSON.stringify(element)})`
        : "no element of a page";
  throw new InputError(`element is ${what}. Give an element that is in the page, such as a <div>.`, {
    operation,
    argument: "element",
    expected: "an element",
    actual: element,
  });
}

function documentOf(target: MountTarget): PageDocument {
  return target.ownerDocument as PageDocument;
}

/** Documents and shadow roots that have the figures' style sheet. */
const styled = new WeakSet<object>();

/** The style sheet, once in the document or shadow root; a sheet made here needs no nonce. */
function adoptStyles(target: MountTarget): void {
  const document = documentOf(target);
  const root = target.getRootNode() as StyledRoot;
  if (styled.has(root)) return;
  styled.add(root);
  const view = document.defaultView;
  if (view?.CSSStyleSheet !== undefined && root.adoptedStyleSheets !== undefined) {
    const sheet = new view.CSSStyleSheet();
    sheet.replaceSync(figureStyles());
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    return;
  }
  const style = document.createElement("style");
  style.textContent = figureStyles();
  if (document.head !== null && root === (document as unknown)) document.head.append(style);
  else root.append?.(style);
}

const POLICY = "transformer-circuits";
const policies = new WeakMap<object, ((text: string) => unknown) | undefined>();

/** How a page with Trusted Types takes markup; the markup of figures has all text of others escaped. */
function trustOf(view: PageView | null): ((text: string) => unknown) | undefined {
  if (view?.trustedTypes === undefined) return undefined;
  if (!policies.has(view)) {
    let policy: ReturnType<NonNullable<PageView["trustedTypes"]>["createPolicy"]> | undefined;
    try {
      policy = view.trustedTypes.createPolicy(POLICY, { createHTML: (text) => text });
    } catch {
      // the page allows no such policy; whether it asks for one shows when markup is set
    }
    policies.set(view, policy && ((text) => policy.createHTML(text)));
  }
  return policies.get(view);
}

function setMarkup(target: MountTarget, template: { innerHTML: unknown }, markup: string): void {
  const trust = trustOf(documentOf(target).defaultView);
  try {
    template.innerHTML = trust === undefined ? markup : trust(markup);
  } catch (cause) {
    throw new InputError(
      `the page's content-security policy takes no markup but from policies it names. Add this one to it: trusted-types ${POLICY}.`,
      { operation: "mount", argument: "figure", expected: `trusted-types ${POLICY}` },
      { cause },
    );
  }
}
