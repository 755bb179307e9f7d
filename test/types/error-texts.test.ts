/**
 * The words with which the compiler refuses the mistakes that users make. Each snippet has one mistake; the compiler says
 * one thing about it, at the operand that is wrong, in the words written here.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { compile, type Complaint } from "../support/compile.ts";
import { mistakes, type Mistake } from "./mistakes.ts";

const preamble = `
import { compose, matmul, softmax, subtract, sum, transpose } from "transformer-circuits";
import { edit } from "transformer-circuits/interventions";
import { composeAll, composeProducts, onFeatures, sumMaps } from "transformer-circuits/linear";
import { stack } from "transformer-circuits/tensor";
import type { Linear, Tensor, Transformer } from "transformer-circuits";
import type { ActivationCache } from "transformer-circuits/model";
declare const resid: Tensor<"pos d_model">;
declare const scores: Tensor<"head query_pos key_pos">;
declare const W_Q: Tensor<"d_model d_head">;
declare const W_O: Tensor<"d_head d_model">;
declare const W_E: Linear<"d_vocab", "d_model">;
declare const W_V: Linear<"d_model", "d_head">;
declare const W_U: Linear<"d_model", "d_vocab">;
declare const W_QK: Linear<"d_model", "d_model*">;
declare const W_OV: Linear<"d_model", "d_model">;
declare const cache: ActivationCache;
declare const model: Transformer;
declare function tensor<A extends string>(axes: A): Tensor<A>;
declare function linearMap<In extends string, Out extends string>(from: In, to: Out): Linear<In, Out>;
export { compose, composeAll, composeProducts, edit, matmul, onFeatures, softmax, stack, subtract, sum };
export { sumMaps, transpose };
export { cache, model, resid, scores, tensor, linearMap, W_E, W_O, W_OV, W_Q, W_QK, W_U, W_V };
`;

/** The members of a union stand in the order in which the program met them, which is no one's business: sorted. */
const sorted = (union: string, separator: string | RegExp): string => union.split(separator).sort().join(" | ");
const withSortedUnions = (text: string): string =>
  text
    .replace(/"[^"]+"(?: \| "[^"]+")+/g, (union) => sorted(union, " | "))
    .replace(
      /\(((?:Linear|Tensor)<[^()|]+>(?: \| (?:Linear|Tensor)<[^()|]+>)+)\)/g,
      (_, union: string) => `(${sorted(union, / \| (?=Linear|Tensor)/)})`,
    );

const pathOf = (index: number): string => `test/types/snippets/${index}.ts`;

let complaints: Map<string, Complaint[]>;
beforeAll(() => {
  complaints = compile(new Map(mistakes.map(({ code }, index) => [pathOf(index), `${preamble}${code}\n`])));
});

const indexed = mistakes.map((mistake, index): [string, Mistake, number] => [mistake.title, mistake, index]);

describe("what the compiler says", () => {
  test.each(indexed)("%s", (_title, { at, text }, index) => {
    const said = complaints.get(pathOf(index))?.map((complaint) => ({
      at: complaint.at,
      text: withSortedUnions(complaint.text),
    }));
    expect(said).toEqual(at === undefined ? [] : [{ at, text }]);
  });
});
