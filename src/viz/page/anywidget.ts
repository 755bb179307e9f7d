/**
 * Figures in Python notebooks: a module for anywidget, built as one file, `dist/anywidget.js`, that Python reads as a
 * widget's `_esm`. It shows a chart of this entry from its options, or the HTML that a figure was saved as.
 */
import { InputError } from "../../errors.ts";
import * as entry from "../index.ts";
import type { Figure, MountTarget } from "../index.ts";
import { adoptMarkup } from "./mount.ts";

/** What anywidget lends of the model in Python. */
export interface WidgetModel {
  get(name: string): unknown;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
}

/** What of the entry draws nothing; all else is a chart. */
const NOT_CHARTS = [
  ...["Figure", "defineFigureElement", "enliven", "escapeHtml", "figureScript", "figureStyles", "formatNumber"],
  ...["mount", "visibleToken"],
];

type Chart = (options: unknown) => Figure;
const charts = Object.fromEntries(
  Object.entries(entry).filter(([name]) => !NOT_CHARTS.includes(name)),
) as unknown as Readonly<Record<string, Chart>>;

/** The traits of a widget: a chart by its name with options as Python has them, or a figure's HTML. */
function show(model: WidgetModel, el: MountTarget): () => void {
  const chart = model.get("chart") as { readonly kind?: unknown; readonly options?: unknown } | null | undefined;
  const html = model.get("html");
  if (typeof chart === "object" && chart !== null && "kind" in chart) return entry.mount(el, chartOf(chart));
  if (typeof html === "string" && html !== "") return adoptMarkup(el, html);
  throw new InputError(
    'there is nothing to show. Set html, or chart as {"kind": "heatmap", "options": {"values": …}}.',
    {
      operation: "anywidget",
      argument: "chart",
    },
  );
}

function chartOf({ kind, options }: { readonly kind?: unknown; readonly options?: unknown }): Figure {
  const draw = typeof kind === "string" && Object.hasOwn(charts, kind) ? charts[kind] : undefined;
  if (draw !== undefined) return draw(options);
  throw new InputError(`there is no chart ${JSON.stringify(kind)}. There are ${Object.keys(charts).join(", ")}.`, {
    operation: "anywidget",
    argument: "kind",
    expected: Object.keys(charts),
    actual: kind,
  });
}

/** Shows the figure, again whenever Python changes it; what is wrong stands in the figure's place. */
function render({ model, el }: { readonly model: WidgetModel; readonly el: MountTarget }): () => void {
  let leave = (): void => undefined;
  const update = (): void => {
    leave();
    try {
      leave = show(model, el);
    } catch (error) {
      leave = () => undefined;
      el.replaceChildren(...([String(error)] as never[]));
    }
  };
  for (const name of ["html", "chart"]) model.on(`change:${name}`, update);
  update();
  return () => {
    for (const name of ["html", "chart"]) model.off(`change:${name}`, update);
    leave();
  };
}

const widget = { render };
export { widget as default };
