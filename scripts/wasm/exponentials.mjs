/**
 * The text of the inner loop of softmax, beside the tiles: `Σ e^(x - most)` of blocks of 16 numbers, stored or not. It computes what
 * `exponential` of src/kernels/wasm/assembly/rows.ts does, whose table it reads; there are its formula and its reasons.
 *
 * What shapes it is order. One exponential is a chain of dependent operations, some 50 cycles long, of which a core must have many under way. So four are
 * written step by step beside each other, and V8 keeps that order; AssemblyScript's optimizer would put each chain back together.
 */

const LANES = ["a", "b", "c", "d"];
/** Bytes of four vectors. */
const BLOCK = 64;

const get = (name) => `(local.get $${name})`;
const set = (name, value) => `(local.set $${name} ${value})`;
const each = (write) => LANES.map(write);
/** Sets a local of every lane to what is made of its locals. */
const step = (local, write) =>
  each((lane, i) =>
    set(
      `${lane}${local}`,
      write((name) => get(`${lane}${name}`), i),
    ),
  );
const take = (name, field) => set(name, `(v128.load offset=${16 * field} ${get("table")})`);
const binary = (operation) => (x, y) => `(${operation} ${x} ${y})`;
const [plus, minus, times] = [binary("f32x4.add"), binary("f32x4.sub"), binary("f32x4.mul")];

/** The fields of the table that are coefficients, the highest first. */
const COEFFICIENTS = [4, 5, 6, 7, 8, 9];

function exponentials(name, isFused, keeps) {
  const multiplyAdd = (x, y, z) => (isFused ? `(f32x4.relaxed_madd ${x} ${y} ${z})` : plus(times(x, y), z));
  const fractions = isFused
    ? step("f", (own) => multiplyAdd(own("x"), get("perUnit"), minus(get("magic"), own("s"))))
    : [
        step("f", (own) => minus(get("magic"), own("s"))),
        take("k", 10),
        step("x", (own) => plus(own("x"), times(own("f"), get("k")))),
        take("k", 11),
        step("x", (own) => plus(own("x"), times(own("f"), get("k")))),
        step("f", (own) => times(own("x"), get("perUnit"))),
      ].flat();
  return [
    `(func (export "${name}")`,
    `(param $from i32) (param $end i32) ${keeps ? "(param $to i32) " : ""}(param $most v128) (param $table i32) (param $ahead i32) (result v128)`,
    "(local $least v128) (local $perUnit v128) (local $magic v128) (local $first v128) (local $k v128)",
    "(local $sum0 v128) (local $sum1 v128)",
    ...each((lane) => `(local $${lane}x v128) (local $${lane}s v128) (local $${lane}f v128) (local $${lane}q v128)`),
    "(loop $blocks",
    `(drop (i32.load (i32.add ${get("from")} ${get("ahead")})))`,
    ...(keeps ? [`(drop (i32.load (i32.add ${get("to")} ${get("ahead")})))`] : []),
    take("least", 0),
    take("perUnit", 1),
    take("magic", 2),
    ...step("x", (_, i) =>
      binary("f32x4.pmax")(minus(`(v128.load offset=${16 * i} ${get("from")})`, get("most")), get("least")),
    ),
    ...step("s", (own) => multiplyAdd(own("x"), get("perUnit"), get("magic"))),
    ...fractions,
    take("first", COEFFICIENTS[0]),
    take("k", COEFFICIENTS[1]),
    ...step("q", (own) => multiplyAdd(get("first"), own("f"), get("k"))),
    ...COEFFICIENTS.slice(2).flatMap((field) => [
      take("k", field),
      ...step("q", (own) => multiplyAdd(own("q"), own("f"), get("k"))),
    ]),
    take("k", 3),
    ...step("s", (own) => `(i32x4.add (i32x4.shl ${own("s")} (i32.const 23)) ${get("k")})`),
    ...step("q", (own) => multiplyAdd(own("q"), times(own("f"), own("s")), own("s"))),
    ...(keeps ? each((lane, i) => `(v128.store offset=${16 * i} ${get("to")} ${get(`${lane}q`)})`) : []),
    set("sum0", plus(get("sum0"), plus(get("aq"), get("cq")))),
    set("sum1", plus(get("sum1"), plus(get("bq"), get("dq")))),
    ...(keeps ? [set("to", `(i32.add ${get("to")} (i32.const ${BLOCK}))`)] : []),
    set("from", `(i32.add ${get("from")} (i32.const ${BLOCK}))`),
    `(br_if $blocks (i32.lt_u ${get("from")} ${get("end")})))`,
    plus(get("sum0"), get("sum1")),
    ")",
  ].join("\n");
}

/** Functions for the module of tiles: of the exponentials from `from` to `end`, at least one block, their sum in four lanes. */
export const exponentialsWat = (isFused) => [
  exponentials("exponentials", isFused, true),
  exponentials("sumOfExponentials", isFused, false),
];
