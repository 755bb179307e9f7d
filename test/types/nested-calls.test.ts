/**
 * Types where one call stands in another: every function that takes a tensor or a map, given the result of every
 * function that gives one. A call has the type written in the table, and a mistake in it is refused.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { check, type Checked } from "../support/compile.ts";
import { functionsTaking } from "../support/functions-taking.ts";
import type { Giver, Taker } from "./nested/calls.ts";
import { mapGivers, productGivers, sumGivers } from "./nested/map-givers.ts";
import { mapTakers, productTakers, sumTakers } from "./nested/map-takers.ts";
import { tensorGivers } from "./nested/tensor-givers.ts";
import { tensorTakers } from "./nested/tensor-takers.ts";

const preamble = [
  'import { Tensor } from "transformer-circuits/tensor";',
  'import type { Linear, TensorProduct, TensorSum } from "transformer-circuits/linear";',
  'import type { Circuit } from "transformer-circuits/interventions";',
  'import { type Metric, type MLP, type Norm, Transformer } from "transformer-circuits/model";',
  'import { toNdarray } from "transformer-circuits/ndarray";',
  'import { elementwise } from "transformer-circuits/ndarray-ops";',
  "declare function given<A extends string>(): Tensor<A>;",
  "declare function mapping<In extends string, Out extends string>(): Linear<In, Out>;",
  "declare function product<In extends string, Out extends string>(): TensorProduct<In, Out>;",
  "declare function productSum<In extends string, Out extends string>(): TensorSum<In, Out>;",
  "declare const model: Transformer;",
  "declare const mlp: MLP;",
  "declare const norm: Norm;",
  "declare const metric: Metric;",
  "declare const found: Circuit;",
  'declare const pattern: Tensor<"batch head query_pos key_pos">;',
  'declare function takeField(options: { readonly loss: Tensor<"pos"> }): void;',
  "declare function takeAny<A extends string>(t: Tensor<A>): Tensor<A>;",
  "declare function takeAnyMap<In extends string, Out extends string>(f: Linear<In, Out>): Linear<In, Out>;",
].join("\n");

interface Case {
  readonly code: string;
  readonly type: string | undefined;
  readonly isRight: boolean;
}

function casesOf(taker: Taker, givers: readonly Giver[]): Case[] {
  return givers.flatMap(({ giving }) => {
    const argument = giving(taker.of);
    if (argument === undefined) return [];
    const right = { code: taker.call(argument), type: taker.type, isRight: true };
    const { mistake } = taker;
    const other = typeof mistake === "function" ? argument : giving(mistake.of);
    if (other === undefined) return [right];
    const code = typeof mistake === "function" ? mistake(other) : taker.call(other);
    return [right, { code, type: undefined, isRight: false }];
  });
}

/** The names of functions that the code calls, but for methods and what the preamble declares. */
function imported(code: string): string[] {
  const called = code.match(/(?<![.\w]|new )[a-zA-Z]\w+(?=[.(])/g) ?? [];
  const declared = new Set(preamble.replace(/"[^"]*"/g, "").match(/\w+/g));
  return [...new Set(called)].filter((name) => !declared.has(name));
}

/** One case a line from line 1, `export const c0 = …;`, then what they need. */
function moduleOf(cases: readonly Case[]): string {
  const lines = cases.map(({ code }, index) => `export const c${index} = ${code};`);
  const names = imported(cases.map(({ code }) => code).join("\n"));
  return [...lines, `import { ${names.join(", ")} } from "../../support/everything.ts";`, preamble].join("\n");
}

/** What is wrong with the types of a table's cases, in words. */
function faultsOf(cases: readonly Case[], { complaints, types }: Checked): string[] {
  const faults = cases.flatMap(({ code, type, isRight }, index) => {
    const said = complaints.filter(({ line }) => line === index + 1).map(({ text }) => text);
    if (!isRight)
      return said.length === 1 ? [] : [`${code}: refused with ${said.length} complaints. ${said.join("\n")}`];
    const found = types.get(`c${index}`);
    if (said.length > 0) return [`${code}: ${said.join("\n")}`];
    return type === undefined || found === type ? [] : [`${code}: ${found}, not ${type}`];
  });
  const others = complaints.filter(({ line }) => line > cases.length);
  return [...faults, ...others.map(({ at, text }) => `${at}: ${text}`)];
}

const tablesOf = (takers: readonly Taker[], givers: readonly Giver[]): [string, Case[]][] =>
  takers.map((taker) => [taker.name, casesOf(taker, givers)]);
const tables = [
  ...tablesOf(tensorTakers, tensorGivers),
  ...tablesOf(mapTakers, mapGivers),
  ...tablesOf(productTakers, productGivers),
  ...tablesOf(sumTakers, sumGivers),
];
const pathOf = (index: number): string => `test/types/snippets/nested-${index}.ts`;

let checked: Checked[];
beforeAll(() => {
  checked = [...check(new Map(tables.map(([, cases], index) => [pathOf(index), moduleOf(cases)]))).values()];
});

describe("calls in calls", () => {
  test.each(tables.map(([name, cases], index): [string, Case[], number] => [name, cases, index]))(
    "%s",
    (_name, cases, index) => {
      expect(faultsOf(cases, checked[index] as Checked)).toEqual([]);
    },
  );
});

test("every exported function that takes a tensor or a map stands in a table", () => {
  const others = ["src/viz/index.ts", "src/figures/index.ts", "src/report/index.ts", "src/tensor/ndarray.ts"];
  const taking = functionsTaking(
    ["test/support/everything.ts", ...others],
    ["Tensor", "Linear", "TensorProduct", "TensorSum"],
  );
  const inTables = new Set(tables.map(([name]) => name.replace(/(,| of) .*/, "")));
  expect(taking.length).toBeGreaterThan(100);
  expect(taking.filter((name) => !inTables.has(name))).toEqual([]);
});
