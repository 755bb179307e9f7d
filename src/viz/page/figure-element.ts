/** Figures as an element of their own. */
import { InputError } from "../../errors.ts";
import { checkFigure } from "../figure.ts";
import type { Figure } from "../figure.ts";
import { enliven, mount } from "./mount.ts";
import type { MountTarget } from "./mount.ts";

/** As much of the page as is used here. */
interface ElementRegistry {
  readonly customElements?: { get(name: string): unknown; define(name: string, element: unknown): void };
  readonly HTMLElement?: new () => MountTarget;
}

/**
 * Registers a custom element that shows a figure, `<transformer-figure>`: its property `figure` is what it shows. Where
 * it holds the text of a figure instead (`<transformer-figure>${figure.html}</transformer-figure>`, from a server or by
 * `innerHTML`), it brings that to life. Nothing is registered until this is called; a second call changes nothing.
 *
 * @param name - the element's name, with a hyphen.
 * @throws {@link InputError} when there is no page, or the name is none that an element may have.
 * @category Figures
 * @example
 * ```ts
 * import { defineFigureElement, headGrid, type Figure } from "transformer-circuits/viz";
 *
 * const figure = headGrid({ values: [[0.1, 0.9]] });
 * export const show = (element: { figure?: Figure }) => void (element.figure = figure);
 * try {
 *   defineFigureElement(); // then show(document.createElement("transformer-figure"))
 * } catch (error) {
 *   console.log((error as Error).message);
 * }
 * // defineFigureElement: there are no custom elements here. Call it in a browser.
 * ```
 */
export function defineFigureElement(name = "transformer-figure"): void {
  const { customElements, HTMLElement } = globalThis as ElementRegistry;
  if (typeof name !== "string" || !/^[a-z][a-z0-9._]*-[a-z0-9._-]*$/.test(name)) {
    throw new InputError(
      `name is ${JSON.stringify(name)}. Names of custom elements are in lower case and have a hyphen, as transformer-figure.`,
      { operation: "defineFigureElement", argument: "name", expected: "a-name", actual: name },
    );
  }
  if (customElements === undefined || HTMLElement === undefined) {
    throw new InputError("there are no custom elements here. Call it in a browser.", {
      operation: "defineFigureElement",
      argument: "name",
      expected: "a browser",
    });
  }
  if (customElements.get(name) === undefined) customElements.define(name, elementOf(HTMLElement));
}

function elementOf(base: new () => MountTarget): new () => MountTarget {
  return class extends base {
    #figure: Figure | undefined;
    #leave: (() => void) | undefined;
    #isThere = false;

    get figure(): Figure | undefined {
      return this.#figure;
    }

    set figure(figure: Figure | undefined) {
      if (figure !== undefined) checkFigure(figure, "transformer-figure");
      this.#figure = figure;
      if (this.#isThere) this.#show();
    }

    connectedCallback(): void {
      this.#isThere = true;
      // set before the element was defined, it hides the accessor
      const early = Object.getOwnPropertyDescriptor(this, "figure")?.value as Figure | undefined;
      if (early !== undefined) {
        delete (this as { figure?: Figure | undefined }).figure;
        this.figure = early;
      } else this.#show();
    }

    disconnectedCallback(): void {
      this.#isThere = false;
      this.#leave?.();
      this.#leave = undefined;
    }

    #show(): void {
      this.#leave?.();
      this.#leave = this.#figure === undefined ? enliven(this) : mount(this, this.#figure);
    }
  };
}
