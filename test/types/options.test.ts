/** Options that a function does not know are refused by name, by every public function and method that takes options. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { entries } from "../../scripts/entries.mjs";
import type { CircuitsError } from "../../src/errors.ts";
import { Circuit, circuitGraph } from "../../src/interventions/index.ts";
import { attributeScore, pathExpansion, scoreExpansion } from "../../src/paths/index.ts";
import { heatmap } from "../../src/viz/index.ts";
import { programOf } from "../support/compile.ts";
import { root } from "../support/files.ts";
import { randomModel } from "../support/random-model.ts";

type Anything = (...given: unknown[]) => unknown;

/** A parameter of options, as its type says. */
interface Taking {
  readonly entry: string;
  /** The class of a method. */
  readonly owner: string | undefined;
  readonly name: string;
  /** Which parameter it is. */
  readonly index: number;
  readonly known: readonly string[];
}

/** What takes options, read from the types of all entries. */
function takingOptions(): Taking[] {
  const program = programOf(Object.values(entries).map((file) => resolve(root, file)));
  const checker = program.getTypeChecker();
  const found: Taking[] = [];
  const seen = new Set<ts.Declaration>();
  const take = (
    entry: string,
    owner: string | undefined,
    declared: ts.FunctionDeclaration | ts.MethodDeclaration,
  ): void => {
    if (seen.has(declared) || declared.body === undefined) return;
    seen.add(declared);
    for (const [index, parameter] of declared.parameters.entries()) {
      if (parameter.name.getText() !== "options") continue;
      const type = checker.getNonNullableType(checker.getTypeAtLocation(parameter));
      const known = type.getProperties().map(({ name }) => name);
      found.push({ entry, owner, name: declared.name?.getText() ?? "", index, known });
    }
  };
  for (const [entry, file] of Object.entries(entries)) {
    const source = program.getSourceFile(resolve(root, file));
    const symbol = source && checker.getSymbolAtLocation(source);
    for (const exported of symbol === undefined ? [] : checker.getExportsOfModule(symbol)) {
      const one = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      for (const declared of one.declarations ?? []) {
        if (ts.isFunctionDeclaration(declared)) take(entry, undefined, declared);
        if (ts.isClassDeclaration(declared))
          for (const member of declared.members) if (ts.isMethodDeclaration(member)) take(entry, one.name, member);
      }
    }
  }
  return found;
}

const model = randomModel();
/** An instance of each class whose methods take options; static methods are called on the class. */
const instances: Record<string, () => unknown> = {
  Transformer: () => model,
  PathExpansion: () => pathExpansion(model, [1, 2]),
  ScoreExpansion: () => scoreExpansion(model, [1, 2], "L1H0"),
  ScoreAttribution: () => attributeScore(model, [1, 2], "L1H0", { query: 1, key: 0 }),
  Circuit: () => Circuit.from(circuitGraph(model)),
  Figure: () => heatmap({ values: [[1]] }),
};

async function functionOf({ entry, owner, name }: Taking): Promise<Anything> {
  const file = entries[entry as keyof typeof entries];
  const offered = (await import(resolve(root, file))) as Record<string, unknown>;
  const where = owner === undefined ? offered : (offered[owner] as Record<string, unknown>);
  if (owner === undefined || typeof where[name] === "function") return (where[name] as Anything).bind(where);
  const instance = instances[owner]?.() as Record<string, Anything> | undefined;
  if (instance === undefined) throw new Error(`the test has no instance of ${owner}, whose ${name} takes options`);
  return (instance[name] as Anything).bind(instance);
}

const taking = takingOptions();

test("the list is read from the types", () => {
  expect(existsSync(resolve(root, entries.index))).toBe(true);
  const names = taking.map(({ name }) => name);
  for (const name of [
    "run",
    "headScores",
    "heatmap",
    "ovEigenvalues",
    "analyse",
    "loadFolder",
    "rank",
    "parseCheckpoint",
  ])
    expect(names).toContain(name);
  expect(taking.length).toBeGreaterThan(120);
});

describe.each(taking.map((one) => [[one.entry, one.owner, one.name].filter(Boolean).join(" "), one] as const))(
  "%s",
  (_, one) => {
    test("refuses an option that it does not know, and knows all that its type has", async () => {
      const call = await functionOf(one);
      const given: unknown[] = Array.from({ length: one.index }, () => undefined);
      const wrong = "anOptionThatThereIsNot";
      let error: unknown;
      try {
        const result: unknown = await Promise.resolve(call(...given, { [wrong]: 1 }));
        if (typeof (result as AsyncIterator<unknown> | undefined)?.next === "function")
          await (result as AsyncIterator<unknown>).next();
      } catch (thrown) {
        error = thrown;
      }
      const { name, argument, expected, message } = error as CircuitsError;
      expect({ name, argument }).toEqual({ name: "InputError", argument: wrong });
      expect(message).toContain(`there is no option "${wrong}".`);
      expect([...(expected as string[])].sort()).toEqual([...one.known].sort());
    });
  },
);

test("an option that is undefined is as if it were left out; a near name is told", async () => {
  expect(() => model.run([1, 2], { fwd_hooks: undefined } as never)).not.toThrow();
  expect(() => model.run([1, 2], { fwd_hooks: [] } as never)).toThrow(
    'run: there is no option "fwd_hooks". The options are cache, edits, from, stopAt, unembed, directions, attentionMask, signal.',
  );
  const { headScores } = await import("../../src/heads/index.ts");
  expect(() => headScores(model, { lenght: 20 } as never)).toThrow(
    'headScores: there is no option "lenght". Did you mean length?',
  );
});
