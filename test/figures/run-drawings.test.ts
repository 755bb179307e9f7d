/** Every figure that runs the model as it was looked at, and committed. */
import { describe, expect, test } from "vitest";
import { figureEntries } from "../../src/figures/index.ts";
import { figureStyles } from "../../src/viz/index.ts";
import { isPage, withoutScripts } from "../viz/svg.ts";
import { runGallery } from "./run-gallery.ts";

const figures = runGallery();

test("the gallery has every entry of the list, but those that share a drawing", () => {
  const shared = ["repeated-tokens", "attention-on-repeats"];
  const listed = figureEntries().filter(({ number, name }) => number >= 12 && !shared.includes(name));
  expect([...figures.keys()]).toEqual(listed.map(({ name }) => name));
});

describe.each([...figures])("%s", (name, figure) => {
  test("is the committed text", async () => {
    await expect(`${figure.svg}\n`).toMatchFileSnapshot(`run-snapshots/${name}.svg`);
    if (!isPage(figure)) return;
    await expect(`${withoutScripts(figure.fragment)}\n`).toMatchFileSnapshot(`run-snapshots/${name}.html`);
  });

  test("has no attribute that is not a number where one belongs, and only classes that the style sheets know", () => {
    const drawn = figure.svg.replace(/base64,[^"]*/g, "");
    expect(/="[^"]*(NaN|undefined|Infinity)[^"]*"/.exec(drawn)?.[0]).toBeUndefined();
    const styles = figureStyles();
    const classes = [...figure.svg.replace(/<style>[^<]*<\/style>/, "").matchAll(/class="([^"]*)"/g)];
    for (const one of new Set(classes.flatMap(([, list = ""]) => list.split(" "))))
      if (one !== `tc-${figure.kind}`) expect(styles).toContain(`.${one}`);
  });

  test("is a drawing of the kind that the list says, with a name for screen readers", () => {
    const entry = figureEntries().find((one) => one.name === name);
    expect(entry?.output).toBe(isPage(figure) ? "html" : "svg");
    expect(figure.label).not.toBe("");
  });
});
