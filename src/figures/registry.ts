/** The list of figures, by name. */
import { InputError, requireOptions } from "../errors.ts";
import { nearestNames } from "../nearest.ts";
import type { Captions, Figure } from "../viz/index.ts";
import type { FigureEntry } from "./entry.ts";
import { FIGURE_OPTIONS, requireNeeds } from "./input.ts";
import { liveData } from "./json.ts";
import type { FigureInput, FigureOptions } from "./input.ts";
import { runFigures } from "./run-figures.ts";
import { weightFigures } from "./weight-figures.ts";

/**
 * The figures that can be made of any model, in the papers' order.
 *
 * @category Figures
 * @example
 * ```ts
 * import { figureEntries } from "transformer-circuits/figures";
 *
 * const { title, source } = figureEntries().find(({ name }) => name === "ov-eigenvalues") ?? {};
 * console.log(title);
 * // Eigenvalues of the OV circuit of every head
 * console.log(source);
 * // A Mathematical Framework for Transformer Circuits, "Detecting copying behavior"
 * ```
 */
export function figureEntries(): readonly FigureEntry[] {
  return [...weightFigures(), ...runFigures()];
}

/**
 * The figure of a name.
 *
 * @param name - as the list has it.
 * @throws {@link InputError} when there is none of that name; the text has the nearest ones.
 * @category Figures
 * @example
 * ```ts
 * import { figureEntry } from "transformer-circuits/figures";
 *
 * console.log(figureEntry("copying-histogram").title);
 * // Copying scores of all heads, against heads of random weights
 * try {
 *   figureEntry("ov-eigenvalue");
 * } catch (error) {
 *   console.log((error as Error).message);
 * }
 * // figureEntry: there is no figure "ov-eigenvalue". Nearest: ov-eigenvalues.
 * ```
 */
export function figureEntry(name: string): FigureEntry {
  const entries = figureEntries();
  const found = entries.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const near = nearestNames(
    name,
    entries.map((entry) => entry.name),
    4,
  );
  throw new InputError(
    `there is no figure ${JSON.stringify(name)}. ${near.length === 0 ? `There are ${entries.map((entry) => entry.name).join(", ")}` : `Nearest: ${near.join(", ")}`}.`,
    { operation: "figureEntry", argument: "name", expected: entries.map((entry) => entry.name), actual: name },
  );
}

/**
 * A figure with its data.
 * @category Figures
 */
export interface MadeFigure {
  readonly entry: FigureEntry;
  readonly data: unknown;
  readonly figure: Figure;
}

/**
 * Makes the figure of a name: checks that it can be made, computes its data, draws them.
 *
 * @param name - as the list has it.
 * @param input - the model, and its tokenizer and a text where there are some.
 * @param options - `heads`, `seed`, `signal`, `onProgress`; `title` and `subtitle` instead of the figure's own.
 * @returns the figure, with its data.
 * @throws {@link InputError} when there is no such figure or head, or a text is missing; {@link ConfigError} when the
 * model lacks what the figure shows, such as a second layer.
 * @category Figures
 * @example
 * ```ts
 * import { makeFigure } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { figure } = await makeFigure("ov-eigenvalues", await openBundledModel(), { heads: ["L1H4"] });
 * console.log(figure.label);
 * // Eigenvalues of the OV circuit of L1H4
 * ```
 */
export async function makeFigure(
  name: string,
  input: FigureInput,
  options: FigureOptions & Captions = {},
): Promise<MadeFigure> {
  requireOptions(options, "makeFigure", `${FIGURE_OPTIONS} title subtitle`);
  const entry = figureEntry(name);
  requireNeeds(entry.needs, input, name);
  const { title, subtitle, ...rest } = options;
  const data = await entry.make(input, rest);
  const captions = { ...(title !== undefined && { title }), ...(subtitle !== undefined && { subtitle }) };
  return { entry, data, figure: entry.draw(data, captions) };
}

/**
 * Draws a figure of the list anew from the JSON that {@link figureJson} wrote, such as a file that
 * `transformer-circuits figure --json` left.
 *
 * @param json - `{"figure": name, "data": …}`.
 * @param captions - `title` and `subtitle` instead of the figure's own.
 * @throws {@link InputError} when the text is no such JSON, or there is no figure of that name.
 * @category Figures
 * @example
 * ```ts
 * import { figureFromJson, figureJson, ovEigenvalues } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const json = figureJson("ov-eigenvalues", ovEigenvalues(await openBundledModel(), { heads: ["L1H4"] }));
 * console.log(figureFromJson(json).figure.label);
 * // Eigenvalues of the OV circuit of L1H4
 * ```
 */
export function figureFromJson(json: string, captions: Captions = {}): MadeFigure {
  requireOptions(captions, "figureFromJson", "title subtitle");
  const { figure: name, data: plain } = parsed(json);
  const entry = figureEntry(name);
  const data = liveData(plain);
  return { entry, data, figure: entry.draw(data, captions) };
}

function parsed(json: string): { readonly figure: string; readonly data: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  const { figure, data } = Object(value) as { readonly figure?: unknown; readonly data?: unknown };
  if (typeof figure === "string" && typeof data === "object" && data !== null) return { figure, data };
  throw new InputError('json is not the text that figureJson gives, {"figure": "ov-eigenvalues", "data": { … }}.', {
    operation: "figureFromJson",
    argument: "json",
    expected: '{"figure":',
    actual: typeof json === "string" ? json.slice(0, 80) : json,
  });
}
