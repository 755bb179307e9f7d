/** The page: well formed, whole, closed to the network, and safe with hostile tokens. */
import { beforeAll, describe, expect, test } from "vitest";
import { analyse, renderReport } from "../../src/report/index.ts";
import type { ReportData } from "../../src/report/index.ts";
import { filmFrame, filmProbe, trainingFilm } from "../../src/train/index.ts";
import { randomModel } from "../support/random-model.ts";

const HOSTILE = [
  "</script><script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  '"><b>',
  "&amp;",
  "\u202e\u0000",
  "]]>",
  "${x}",
  "`",
  "<!--",
  "\ud800",
];
const tokenizer = {
  bos: 0,
  encode: (text: string): number[] => Array.from(text, (_, i) => 1 + (i % 16)),
  tokenString: (id: number): string => HOSTILE[id % HOSTILE.length] ?? "",
};

let data: ReportData;
let page: string;
beforeAll(async () => {
  data = await analyse(randomModel({ n_ctx: 20 }), tokenizer, "a".repeat(300), {
    title: "</title><script>alert(2)</script>",
    source: "<b>a text</b>",
  });
  page = renderReport(data);
});

const VOID = new Set(["meta", "br", "wbr", "input", "img"]);

/** Names of elements that are not closed in order; the content of scripts and styles is not read. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const bare = html.replace(/<(script|style)\b([^>]*)>[^]*?<\/\1>/g, "<$1$2></$1>");
  for (const [, close, name = "", , selfClosing] of bare.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)((?:"[^"]*"|[^">])*?)(\/?)>/g,
  )) {
    if (close === "/") {
      if (open.pop() !== name) wrong.push(name);
    } else if (selfClosing !== "/" && !VOID.has(name)) open.push(name);
  }
  return [...wrong, ...open];
}

describe("renderReport", () => {
  test("closes every element that it opens", () => {
    expect(unbalanced(page)).toEqual([]);
    expect(unbalanced("<p><b></p>")).not.toEqual([]);
  });

  test.each([
    [
      13.08,
      12.95,
      "It does not repeat what it has seen: random tokens given twice cost 13.08 nats the first time and 12.95 the second.",
    ],
    [
      1,
      0.93,
      "It does not repeat what it has seen: random tokens given twice cost 1.00 nats the first time and 0.93 the second.",
    ],
    [
      8,
      7,
      "it makes some use of the first copy: their loss falls from 8.00 nats in the first copy to <b>7.00</b> in the second.",
    ],
    [8, 3.9, "it repeats them: their loss falls from 8.00 nats in the first copy to <b>3.90</b> in the second."],
  ])("says what a loss of %d nats and then %d is", (first, second, sentence) => {
    if (data.repeated === null) throw new Error("the model has room for repeated tokens");
    const said = renderReport({ ...data, repeated: { ...data.repeated, first, second } });
    expect(said.replace(/\s+/g, " ")).toContain(sentence);
  });

  test("has every section, each with a heading and a line in the contents", () => {
    const ids = [...page.matchAll(/<section id="([\w-]+)"/g)].map(([, id]) => id);
    expect(ids).toEqual([
      "architecture",
      "loss",
      "heads",
      "attention",
      "eigenvalues",
      "composition",
      "positivity",
      "skip-trigrams",
      "paths",
      "importance",
      "induction",
      "method",
    ]);
    for (const id of ids) {
      expect(page).toContain(`<a href="#${id}">`);
      expect(page).toContain(`<h2 id="${id}-title">`);
    }
  });

  test("numbers its figures from 1 without a gap", () => {
    const numbers = [...page.matchAll(/<b>Figure (\d+)\.<\/b>/g)].map(([, n]) => Number(n));
    expect(numbers.length).toBeGreaterThan(10);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  });

  test("loads nothing from outside: no source, no import, no font; links lead to the papers' sections", () => {
    const papers = /<a href="https:\/\/transformer-circuits\.pub\/20\d\d\/[\w/-]+\/index\.html(#[\w-]+)?">/g;
    expect(page.match(papers)?.length).toBeGreaterThan(10);
    const rest = page.replace(papers, "");
    const addresses = [...rest.matchAll(/\b(?:src|href|action|data)\s*=\s*"([^"]*)"/g)].map(
      ([, address]) => address ?? "",
    );
    expect(addresses.filter((address) => !address.startsWith("#") && !address.startsWith("data:"))).toEqual([]);
    expect(rest.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:\/\/|@import|url\((?!["']?data:)/);
  });

  test("allows its own scripts and styles only, by a nonce that every one of them bears, and no style attributes", () => {
    const policy =
      /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll("&#39;", "'") ?? "";
    const nonce = /script-src 'nonce-(\w+)'/.exec(policy)?.[1];
    expect(policy).toBe(
      `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src data:; base-uri 'none'; form-action 'none'`,
    );
    for (const [tag] of page.matchAll(/<(?:script|style)\b[^>]*>/g)) {
      if (!tag.includes("application/json")) expect(tag).toContain(`nonce="${nonce}"`);
    }
    expect(page).not.toMatch(/<[a-z][^<>]*\sstyle="/);
    expect(page).not.toMatch(/<[a-z][^<>]*\son[a-z]+="/);
  });

  test("hostile tokens, titles and sources stay text", () => {
    expect(page).not.toContain("<script>alert");
    expect(page).not.toContain("<img");
    expect(page).not.toContain("<b>a text</b>");
    expect(page).toContain("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(page).toContain("<title>&lt;/title&gt;&lt;script&gt;alert(2)&lt;/script&gt;</title>");
    expect(page).not.toMatch(/\p{Cs}|\u202e|(?!\n)\p{Cc}/u);
  });

  test("the same data give the same page, and data that went through JSON too", () => {
    expect(renderReport(data)).toBe(page);
    expect(renderReport(JSON.parse(JSON.stringify(data)) as ReportData)).toBe(page);
  });
});

describe("a report with the film of the training", () => {
  const model = randomModel({ n_ctx: 20 });
  const probe = filmProbe(model.config, { prompts: 3 });
  // a loss that falls from one level to another between steps 40 and 60
  const frames = Array.from({ length: 12 }, (_, i) => {
    const mean = i < 4 ? 3 : i > 6 ? 1 : 3 - 0.66 * (i - 3);
    return { ...filmFrame(model, { step: 10 * i, loss: mean, probe }), meanLoss: { mean, error: 0.01 } };
  });
  const film = trainingFilm(frames, { floors: { "</script><b>uniform": 3, best: 1 } });
  const withFilm = (): Promise<ReportData> => analyse(model, undefined, [1, 2, 3, 4, 5, 6, 7, 8, 9], { film });

  test("has it as a section before the last, with its phases in words and a slider", async () => {
    const made = await withFilm();
    const said = renderReport(made);
    const ids = [...said.matchAll(/<section id="([\w-]+)"/g)].map(([, id]) => id);
    expect(ids.slice(-2)).toEqual(["training", "method"]);
    const section = /<section id="training"[^]*?<\/section>/.exec(said)?.[0] ?? "";
    expect(section).toContain("at 12 checkpoints, from step 0 to 110");
    // 2.34 at step 40, 1.68 at step 50
    expect(section).toContain(
      "<b>best</b>, steps 50 to 110: the loss is nearest to that of best (1.000): 1.680 at step 50",
    );
    expect(section).toContain('<input type="range" min="0" max="11"');
    expect(unbalanced(said)).toEqual([]);
    expect(section).not.toContain("<b>uniform");
    expect(said).not.toMatch(/<[a-z][^<>]*\sstyle="/);
    expect(renderReport(JSON.parse(JSON.stringify(made)) as ReportData)).toBe(said);
  });

  test("refuses the film of another model, and what is no film", async () => {
    const other = trainingFilm([filmFrame(randomModel({ n_layers: 1, n_ctx: 20 }), { step: 0, measures: [] })]);
    const ids = [1, 2, 3];
    await expect(analyse(model, undefined, ids, { film: other })).rejects.toThrow("the film is of n_layers=1");
    await expect(analyse(model, undefined, ids, { film: {} as never })).rejects.toThrow(
      "not what JSON.stringify writes of a film",
    );
  });
});
