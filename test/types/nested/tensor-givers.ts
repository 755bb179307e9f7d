/** Every function that gives a tensor of axes that its arguments decide, written so that it gives the axes wanted. */
import type { Giver } from "./calls.ts";

/** A tensor of which nothing is left to infer. */
const given = (axes: string): string => `given<"${axes.trim()}">()`;

interface Parts {
  readonly axes: string;
  readonly first: string;
  readonly last: string;
  /** All but the first, and all but the last. */
  readonly tail: string;
  readonly init: string;
}

function partsOf(axes: string): Parts {
  const names = axes.split(" ");
  const [first = "", last = ""] = [names[0], names.at(-1)];
  return { axes, first, last, tail: names.slice(1).join(" "), init: names.slice(0, -1).join(" ") };
}

const givers: Record<string, (parts: Parts) => string | undefined> = {
  "select, first axis": ({ axes }) => `${given(`extra ${axes}`)}.select("extra", 0)`,
  "select, middle axis": ({ first, tail }) => `${given(`${first} extra ${tail}`)}.select("extra", 0)`,
  "select, last axis": ({ axes }) => `${given(`${axes} extra`)}.select("extra", 0)`,
  "select of select": ({ axes }) => `${given(`extra ${axes} more`)}.select("more", 0).select("extra", 0)`,
  slice: ({ axes, last }) => `${given(axes)}.slice("${last}", 0, 1)`,
  "rename, first axis": ({ first, tail }) => `${given(`old ${tail}`)}.rename("old", "${first}")`,
  "rename, last axis": ({ last, init }) => `${given(`${init} old`)}.rename("old", "${last}")`,
  permute: ({ axes }) => `${given(axes.split(" ").reverse().join(" "))}.permute("${axes}")`,
  sum: ({ axes }) => `sum(${given(`extra ${axes}`)}, "extra")`,
  mean: ({ first, tail }) => `mean(${given(`${first} extra ${tail}`)}, "extra")`,
  max: ({ axes }) => `max(${given(`${axes} extra`)}, "extra")`,
  argmax: ({ first, tail }) => `argmax(${given(`${first} extra ${tail}`)}, "extra")`,
  "sum of a mean of a selection": ({ first, tail }) =>
    `sum(mean(${given(`extra ${first} more ${tail} most`)}.select("most", 0), "more"), "extra")`,
  "stack of sums": ({ first, tail }) =>
    `stack("${first}", [sum(${given(`extra ${tail}`)}, "extra"), ${given(`${tail} extra`)}.select("extra", 0)])`,
  "concat of renamed ones": ({ axes, first, tail }) =>
    `concat("${first}", [${given(`old ${tail}`)}.rename("old", "${first}"), ${given(axes)}])`,
  "gather of a maximum": ({ axes, last }) => `gather(max(${given(`extra ${axes}`)}, "extra"), "${last}", [0])`,
  "softmax of a selection": ({ axes, last }) => `softmax(${given(`extra ${axes}`)}.select("extra", 0), "${last}")`,
  "difference from a mean": ({ axes, last, init }) =>
    init === "" ? undefined : `subtract(${given(axes)}, mean(${given(axes)}, "${last}"))`,
  "multiple of a sum": ({ axes }) => `multiply(sum(${given(`${axes} extra`)}, "extra"), 2)`,
  map: ({ axes }) => `map(${given(`${axes} extra`)}.select("extra", 0), (x) => x + 1)`,
  astype: ({ axes }) => `astype(sum(${given(`${axes} extra`)}, "extra"), "float64")`,
  elementwise: ({ axes }) => `elementwise("abs", sum(${given(`${axes} extra`)}, "extra"))`,
  causalSoftmax: ({ axes }) => `causalSoftmax(${given(axes)})`,
  activate: ({ axes }) => `activate("relu", ${given(axes)})`,
  matmul: ({ init, last }) => `matmul(${given(`${init} inner`)}, ${given(`inner ${last}`)})`,
  applyMap: ({ init, last }) => `applyMap(${given(`${init} inner`)}, mapping<"inner", "${last}">())`,
  batchMatmul({ axes }) {
    const [stack, rows, columns, ...more] = axes.split(" ");
    if (columns === undefined || more.length > 0) return undefined;
    return `batchMatmul(${given(`${stack} ${rows} inner`)}, ${given(`${stack} inner ${columns}`)})`;
  },
  applyProduct({ axes, last }) {
    if (!/^batch pos \w+$/.test(axes)) return undefined;
    return `applyProduct(${given("batch pos inner")}, product<"inner", "${last}">())`;
  },
  assertAxes: ({ axes }) => `assertAxes(given<string>(), "${axes}")`,
  "Tensor.from": ({ axes }) => `Tensor.from("${axes}", [1], [1])`,
  "Tensor.zeros": ({ axes }) => `Tensor.zeros("${axes}", [1])`,
  "Tensor.fromNested": ({ axes }) => `Tensor.fromNested("${axes}", [1])`,
  randomNormal: ({ axes }) => `randomNormal("${axes}", [1], { seed: 1 })`,
  "a file's tensor": ({ axes }) => `parseSafetensors(new Uint8Array()).read("W", { axes: "${axes}" })`,
};

export const tensorGivers: readonly Giver[] = Object.entries(givers).map(([name, giving]) => ({
  name,
  giving: (axes) => giving(partsOf(axes)),
}));
