/** The tables of the bench: ratios, reasons for empty cells, losses, and their place in docs/performance.md. */
import { describe, expect, test } from "vitest";
import { markdownTable, plainTable, ratioText, replaceBetweenMarkers, threeDigits } from "../../bench/lib/format.mjs";
import { commandText, parseOptions } from "../../bench/lib/options.mjs";
import { lossesOf, notesOf, ratioOf, tablesOf } from "../../bench/lib/tables.mjs";
import { readText } from "../support/files.ts";

const timed = (min: number, median: number) => ({ min, median, p90: 2 * median, n: 5 });
const MIB = 2 ** 20;

const group = {
  id: "matmul",
  title: "Products",
  form: "ratios",
  contenders: [
    { id: "ceiling", label: "ceiling" },
    { id: "ours", label: "ours" },
    { id: "fast", label: "fast peer" },
    { id: "slow", label: "slow peer" },
    { id: "gone", label: "gone peer", absence: "No module named 'gone'" },
  ],
  cases: [
    {
      name: "64³",
      outcomes: {
        ceiling: { ...timed(1, 1), gflops: 50 },
        ours: { ...timed(2, 4), gflops: 45, rss: { before: 100 * MIB, after: 112 * MIB, largest: 112 * MIB } },
        fast: timed(1, 3),
        slow: timed(400, 480),
      },
    },
    {
      name: "12 × 64",
      outcomes: { ours: timed(2, 2), fast: { skip: "has no stacks" }, slow: { wrong: "is off by 1" } },
    },
  ],
};

describe("tables of a group", () => {
  const [ratios, times] = tablesOf(group);

  test("a ratio is the peer's time over ours, of minima and of medians", () => {
    expect(ratioOf(timed(6, 9), timed(2, 4))).toEqual({ min: 3, median: 2.25 });
    expect(ratioOf({ skip: "not here" }, timed(2, 4))).toBeUndefined();
    expect(ratioOf(timed(6, 9), undefined)).toBeUndefined();
  });

  test("ratios, with the share of the ceiling, without what is not here", () => {
    expect(ratios?.head).toEqual(["work", "ours, ms", "GFLOPS", "of ceiling", "fast peer", "slow peer"]);
    expect(ratios?.rows).toEqual([
      ["64³", "2.00 / 4.00", "45.0", "90 %", "0.50 / 0.75", "200 / 120"],
      ["12 × 64", "2.00 / 2.00", "–", "–", "–", "wrong"],
    ]);
  });

  test("times of everybody, and how our memory grew", () => {
    expect(times?.head).toEqual(["work", "ours", "fast peer", "slow peer", "our memory"]);
    expect(times?.rows[0]).toEqual(["64³", "2.00 / 4.00", "1.00 / 3.00", "400 / 480", "+12 MiB"]);
  });

  test("one line says why cells are empty", () => {
    expect(notesOf(group)).toEqual([
      "gone peer is not here: No module named 'gone'",
      "fast peer: has no stacks (12 × 64)",
      "slow peer: gives a wrong result: is off by 1 (12 × 64)",
    ]);
  });

  test("losses are computed: minima below 1, the worst first, never the ceiling", () => {
    const worse = {
      ...group,
      title: "Others",
      cases: [{ name: "x", outcomes: { ours: timed(4, 4), fast: timed(1, 8) } }],
    };
    expect(lossesOf([group, worse])).toEqual([
      { work: "Others, x", peer: "fast peer", ratio: 0.25 },
      { work: "Products, 64³", peer: "fast peer", ratio: 0.5 },
    ]);
  });

  test("threads, single figures and starts have tables of their own", () => {
    const alone = { ...group, form: "alone", cases: [{ name: "run", outcomes: { ours: timed(1, 2) } }] };
    expect(tablesOf(alone)[0]?.rows).toEqual([["run", "1.00", "2.00", "4.00", "–"]]);
    const threads = {
      ...group,
      form: "threads",
      cases: [{ name: "512³", outcomes: { "one-thread": timed(9, 9), "two-threads": timed(5, 6) } }],
    };
    expect(tablesOf(threads)[0]?.rows).toEqual([["512³", "9.00 / 9.00", "5.00 / 6.00", "1.80 / 1.50"]]);
    const registers = { "one-thread-ceiling": timed(4, 4), "two-thread-ceiling": timed(2, 4) };
    const beside = {
      ...threads,
      cases: threads.cases.map((work) => ({ ...work, outcomes: { ...work.outcomes, ...registers } })),
    };
    expect(tablesOf(beside)[0]?.head.at(-1)).toBe("of registers alone");
    expect(tablesOf(beside)[0]?.rows).toEqual([["512³", "9.00 / 9.00", "5.00 / 6.00", "1.80 / 1.50", "2.00 / 1.00"]]);
    const recorded = {
      ...group,
      form: "recorded",
      cases: [
        { name: "scores", recorded: 1655, outcomes: { "one-thread": timed(80, 90), "two-threads": timed(40, 50) } },
        { name: "paths", outcomes: { "one-thread": timed(40, 41), "two-threads": { failed: "no workers" } } },
      ],
    };
    expect(tablesOf(recorded)[0]?.rows).toEqual([
      ["scores", "80.0 / 90.0", "40.0 / 50.0", "1660", "20.7", "41.4", "–"],
      ["paths", "40.0 / 41.0", "failed", "–", "–", "–", "–"],
    ]);
    const start = { ...group, form: "start", cases: [{ name: "node", outcomes: { process: timed(40.4, 50.6) } }] };
    expect(tablesOf(start)[0]?.rows).toEqual([["node", "40", "51", "101"]]);
  });
});

describe("text", () => {
  test("three significant digits", () => {
    expect([0.012345, 0.5, 1.2345, 12.345, 123.45, 12345, 9.996].map(threeDigits)).toEqual([
      "0.0123",
      "0.500",
      "1.23",
      "12.3",
      "123",
      "12300",
      "10.00",
    ]);
  });

  test("ratios lose decimals as they grow", () => {
    expect([0.456, 9.994, 12.34, 123.4].map(ratioText)).toEqual(["0.46", "9.99", "12.3", "123"]);
  });

  const table = {
    head: ["work", "ms"],
    rows: [
      ["a|b", "1"],
      ["c", "100"],
    ],
  };

  test("a plain table lines up", () => {
    expect(plainTable(table)).toBe("work   ms\n----  ---\na|b     1\nc     100");
  });

  test("a Markdown table escapes bars", () => {
    expect(markdownTable(table)).toBe("| work | ms |\n|---|--:|\n| a\\|b | 1 |\n| c | 100 |");
  });
});

describe("replaceBetweenMarkers", () => {
  const text = "before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter\n<!-- bench:b -->\n<!-- /bench:b -->\n";

  test("changes what is between its own markers and nothing else, and can be done again", () => {
    const once = replaceBetweenMarkers(text, "a", "new\n");
    expect(once).toBe(text.replace("old", "\nnew\n"));
    expect(replaceBetweenMarkers(once, "a", "new")).toBe(once);
  });

  test.each(["node-20", "node-24"])("docs/performance.md has its section %s", (name) => {
    expect(replaceBetweenMarkers(readText("docs/performance.md"), name, "new tables")).toContain("\n\nnew tables\n\n");
  });

  test.each([
    ["no such section", "c", text],
    ["two of them", "a", text + text],
    ["the wrong way round", "a", "<!-- /bench:a --> <!-- bench:a -->"],
  ])("is an error where there is %s", (_, name, from) => {
    expect(() => replaceBetweenMarkers(from, name, "new")).toThrow(
      `the text needs one "<!-- bench:${name} -->" and after it one "<!-- /bench:${name} -->".`,
    );
  });
});

describe("options", () => {
  test("words of --only are trimmed and split", () => {
    expect(parseOptions(["--only", "matmul, 12 × (,"]).only).toEqual(["matmul", "12 × ("]);
    expect(parseOptions([])).toMatchObject({ only: [], quick: false, markdown: false, python: "python3", core: "0" });
  });

  test("an unknown option is an error", () => {
    expect(() => parseOptions(["--fast"])).toThrow("Unknown option '--fast'");
  });

  test("the command that is printed leaves out options that name files", () => {
    expect(commandText([])).toBe("npm run bench");
    expect(commandText(["--quick", "--json", "/tmp/x.json", "--python=/opt/python", "--only", "a b"])).toBe(
      'npm run bench -- --quick --only "a b"',
    );
  });
});
