/** Every kind of figure as it was looked at, in light and dark, and committed. */
import { figureStyles } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { gallery } from "./gallery.ts";
import { elementsOf, isPage, withoutScripts } from "./svg.ts";

const figures = gallery();

describe.each([...figures])("%s", (name, figure) => {
  test("is the committed text", async () => {
    await expect(`${figure.svg}\n`).toMatchFileSnapshot(`snapshots/${name}.svg`);
    if (!isPage(figure)) return;
    await expect(`${withoutScripts(figure.fragment)}\n`).toMatchFileSnapshot(`snapshots/${name}.html`);
  });

  test("has no attribute that is not a number where one belongs", () => {
    for (const form of [figure.svg, figure.fragment])
      expect(form).not.toMatch(/="[^"]*(NaN|undefined|Infinity)[^"]*"(?![^<]*<\/script>)/);
  });

  test("uses only classes that the style sheets know", () => {
    const styles = figureStyles();
    const classes = new Set(
      [...figure.svg.replace(/<style>[^<]*<\/style>/, "").matchAll(/class="([^"]*)"/g)].flatMap(([, list = ""]) =>
        list.split(" "),
      ),
    );
    for (const one of classes) if (one !== `tc-${figure.kind}`) expect(styles).toContain(`.${one}`);
  });
});

test.each([...figures])(
  "%s is well-formed XML with a name for screen readers, no identifiers and nothing to fetch",
  (_, figure) => {
    const svg = figure.svg;
    // The style sheet's own text is no markup, and has quotation marks only.
    const [root, ...rest] = elementsOf(svg.replace(/<style>[^<]*<\/style>/, ""));
    expect(root?.attributes.xmlns).toBe("http://www.w3.org/2000/svg");
    expect(root?.attributes["aria-label"]).toBe(figure.label);
    for (const { attributes } of rest) {
      expect(attributes.id).toBeUndefined();
      expect(attributes.href ?? "data:image/png;base64,").toMatch(/^data:image\/png;base64,/);
    }
    expect(svg).not.toMatch(/url\(|@import|https?:(?!\/\/www\.w3\.org\/2000\/svg")/);
  },
);

test("the same data give the same text", () => {
  for (const [name, figure] of gallery()) expect(figure.html).toBe(figures.get(name)?.html);
});
