/** Flipbooks: what the page's script is told is what the pictures differ in. The script is tried in a browser. */
import { attentionExplorer, flipbook, headGrid, heatmap, lineChart } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { changesOf } from "../../src/viz/parts/markup-changes.ts";

const grids = [-1, 0.25, 1].map((value) => headGrid({ values: [[value]], scale: "diverging", limit: 1 }));

/** What a flipbook's page is told. */
const toldBy = (fragment: string): { labels: string[]; changes: unknown[] | null } =>
  JSON.parse(/<script type="application\/json">([^<]*)</.exec(fragment)?.[1] ?? "") as never;

describe("changes of markup", () => {
  test("are attributes and texts by the place of their element, without what stays", () => {
    const texts = [1, 2].map((i) => `<g a="${i}" b="0"><t>n ${i}</t><u c="x"/>\n<v>&lt;${i}&quot;</v></g>`);
    expect(changesOf(texts)).toEqual([
      [0, "a", "", [1, 2], []],
      [1, "", "n ", [1, 2], []],
      [3, "", "<", ['1"', '2"'], []],
    ]);
    expect(changesOf(["<a/>", "<a/>"])).toEqual([]);
  });

  test("keep what is no plain number as text", () => {
    expect(changesOf(['<a x="1.50" y="1e3"/>', '<a x="-0" y=""/>'])).toEqual([
      [0, "x", "", ["1.50", "-0"], []],
      [0, "y", "", ["1e3", ""], []],
    ]);
    const three = ["a -1.5", "a -1.25", "a -1.5"].map((x) => `<a x="${x}"/>`);
    expect(changesOf(three)).toEqual([[0, "x", "a -", [1.5, 1.25], [0, 1, 0]]]);
  });

  test("are none where elements, their attributes or the places of texts differ", () => {
    expect(changesOf(["<a><b/></a>", "<a></a>"])).toBeUndefined();
    expect(changesOf(["<a/>", "<b/>"])).toBeUndefined();
    expect(changesOf(['<a x="1"/>', '<a y="1"/>'])).toBeUndefined();
    expect(changesOf(["<a>1<b/></a>", "<a>2<b/></a>"])).toBeUndefined();
    expect(changesOf(["<a>1</a>", "<a><b/></a>"])).toBeUndefined();
  });
});

describe("a flipbook", () => {
  test("of one chart has its last picture, and what changes of the others", () => {
    const { fragment, body, svg, frames } = flipbook({ frames: grids });
    expect(body.match(/tc-flip-page/g)?.length).toBe(1);
    expect(toldBy(fragment).labels).toEqual(["1", "2", "3"]);
    expect(toldBy(fragment).changes?.length).toBeGreaterThan(3);
    expect(svg).toContain("<title>L0H0: 1</title>");
    expect(frames.map((frame) => /L0H0: [^<]*/.exec(frame.svg)?.[0])).toEqual(["L0H0: −1", "L0H0: 0.25", "L0H0: 1"]);
  });

  test("of pictures of several kinds has them all, and shows the last", () => {
    const { fragment } = flipbook({
      frames: [heatmap({ values: [[1]] }), lineChart({ series: [{ name: "a", y: [1, 2] }] })],
    });
    expect(fragment.match(/class="tc-flip-page"( hidden)?/g)).toEqual([
      'class="tc-flip-page" hidden',
      'class="tc-flip-page"',
    ]);
    expect(toldBy(fragment).changes).toBeNull();
  });

  test("of pictures that a page would bring to life has them standing still", () => {
    const explorer = attentionExplorer({ tokens: ["a", " b"], pattern: [[[1, 0.25, 0.75]]] });
    const { body } = flipbook({ frames: [explorer, explorer] });
    expect(body.match(/<script/g)?.length).toBe(1);
    expect(body).not.toContain("data-tc-explorer");
  });

  test("takes little room: a hundred pictures less than four", () => {
    const frames = Array.from({ length: 100 }, (_, i) => headGrid({ values: [[i / 100, 0], [0, 1]], limit: 1 })); // prettier-ignore
    const size = (count: number): number => flipbook({ frames: frames.slice(0, count) }).body.length;
    expect(size(100)).toBeLessThan(4 * size(1));
  });

  test("escapes labels in markup and data", () => {
    const { fragment } = flipbook({ frames: grids.slice(0, 1), labels: ["</script><b>"] });
    expect(fragment).not.toContain("</script><b>");
    expect(toldBy(fragment).labels).toEqual(["</script><b>"]);
  });

  test("is refused without pictures, with other numbers of labels, and of what is no picture", () => {
    expect(() => flipbook({ frames: [] })).toThrow("flipbook: frames is empty");
    expect(() => flipbook({ frames: grids, labels: ["a"] })).toThrow("flipbook: labels has 1 entries for 3 frames");
    expect(() => flipbook({ frames: ["<svg/>" as never] })).toThrow("flipbook: frames[0] is");
  });
});
