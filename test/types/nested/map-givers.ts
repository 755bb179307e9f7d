/** Every function that gives a linear map or a tensor product between spaces that its arguments decide, giving those wanted. */
import type { Giver } from "./calls.ts";

/** A map of which nothing is left to infer. */
const given = (from: string, to: string): string => `mapping<"${from}", "${to}">()`;
const dual = (space: string): string => (space.endsWith("*") ? space.slice(0, -1) : `${space}*`);

function giversOf(entries: Record<string, (from: string, to: string) => string | undefined>): Giver[] {
  return Object.entries(entries).map(([name, giving]) => ({
    name,
    giving(wanted) {
      const [from = "", to = ""] = wanted.split(" ");
      return giving(from, to);
    },
  }));
}

export const mapGivers: readonly Giver[] = giversOf({
  compose: (from, to) => `compose(${given(from, "a")}, ${given("a", to)})`,
  "compose of compositions": (from, to) =>
    `compose(compose(${given(from, "a")}, ${given("a", "b")}), compose(${given("b", "c")}, ${given("c", to)}))`,
  "compose of six": (from, to) => `compose(${given(from, "a")}, ${"mapping<'a', 'a'>(), ".repeat(4)}${given("a", to)})`,
  transpose: (from, to) => `transpose(${given(dual(to), dual(from))})`,
  "transpose of a composition of transposes": (from, to) =>
    `transpose(compose(transpose(${given("a", to)}), transpose(${given(from, "a")})))`,
  addMaps: (from, to) => `addMaps(${given(from, to)}, transpose(${given(dual(to), dual(from))}))`,
  sumMaps: (from, to) => `sumMaps([${given(from, to)}, transpose(${given(dual(to), dual(from))})])`,
  subtractMaps: (from, to) => `subtractMaps(transpose(${given(dual(to), dual(from))}), ${given(from, to)})`,
  scaleMap: (from, to) => `scaleMap(transpose(${given(dual(to), dual(from))}), 2)`,
  restrict: (from, to) => `restrict(transpose(${given(dual(to), dual(from))}), { rows: [0] })`,
  "restrict of a composition": (from, to) =>
    `restrict(compose(${given(from, "a")}, ${given("a", to)}), { columns: [0] })`,
  linear: (from, to) => `linear("${from}", "${to}", given<"row column">())`,
  composeAll: (from, to) => (from === to ? `composeAll([${given(from, from)}, identityMap("${from}", 2)])` : undefined),
  identityMap: (from, to) => (from === to ? `identityMap("${from}", 2)` : undefined),
  innerProductMap: (from, to) => (dual(from) === to ? `innerProductMap("${from}", 2)` : undefined),
});

const product = (from: string, to: string): string => `product<"${from}", "${to}">()`;

export const productGivers: readonly Giver[] = giversOf({
  composeProducts: (from, to) => `composeProducts(${product(from, "a")}, ${product("a", to)})`,
  scaleProduct: (from, to) => `scaleProduct(composeProducts(${product(from, "a")}, ${product("a", to)}), 2)`,
  onFeatures: (from, to) => `onFeatures(transpose(${given(dual(to), dual(from))}))`,
  tensorProduct: (from, to) =>
    `tensorProduct(given<"query_pos key_pos">(), compose(${given(from, "a")}, ${given("a", to)}))`,
  scalePositions: (from, to) => (from === to ? `scalePositions(given<"batch pos">(), "${from}", 2)` : undefined),
});

export const sumGivers: readonly Giver[] = giversOf({
  sumProducts: (from, to) =>
    `sumProducts([{ label: "Id", product: composeProducts(${product(from, "a")}, ${product("a", to)}) }])`,
});
