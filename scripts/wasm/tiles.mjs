/**
 * The text of the WebAssembly module of matrix tiles: `c[i, j] (+)= Σ_p a[i, p] b[p, j]` in float32 or in float64, held in registers over `p`.
 *
 * A tile has `rows` rows and 8 columns of float32 or 4 of float64: two registers of sums a row, two of `b`, one splat of `a`. Every sum starts at
 * zero, takes its terms in the order of `p`, and is then stored or added to `c`; so a result does not depend on the
 * tile that it falls into, and any division of a product among tiles, calls or threads gives the same bits.
 *
 * What shapes the loop is the compilers' registers. V8 gives 15. With a fused multiply-add, six rows need 12 + 2 + 1;
 * without, the product needs one more, and four rows are best. V8 before 13 lifts the loads of an unrolled body above its arithmetic
 * and spills the sums, unless a branch that is never taken ends each step's block: `guard` is always 0, which the compiler cannot know.
 */
import { exponentialsWat } from "./exponentials.mjs";

const range = (n) => [...Array(n).keys()];
const get = (name) => `(local.get $${name})`;
const set = (name, value) => `(local.set $${name} ${value})`;
const add = (x, y) => `(i32.add ${x} ${y})`;
const constant = (n) => `(i32.const ${n})`;

/** The two kinds of numbers. */
const SINGLE = { vector: "f32x4", scalar: "f32", splat: "v128.load32_splat", shift: 2 };
const DOUBLE = { vector: "f64x2", scalar: "f64", splat: "v128.load64_splat", shift: 3 };

/** Bytes of a row of a tile: two registers. */
const WIDTH = 32;

/** `sum + x · y`, fused or not. */
function multiplyAdd(isFused, { vector }, x, y, sum) {
  return isFused ? `(${vector}.relaxed_madd ${x} ${y} ${sum})` : `(${vector}.add (${vector}.mul ${x} ${y}) ${sum})`;
}

/** One step of `p`: entry `p` of each row of `a`, `byte` bytes after the pointers, times row `p` of `b`. */
function step(rows, isFused, kind, byte) {
  return [
    set("b0", `(v128.load ${get("b")})`),
    set("b1", `(v128.load offset=16 ${get("b")})`),
    ...range(rows).flatMap((r) => [
      set("x", `(${kind.splat} offset=${byte} ${get(`a${r}`)})`),
      set(`c${r}0`, multiplyAdd(isFused, kind, get("x"), get("b0"), get(`c${r}0`))),
      set(`c${r}1`, multiplyAdd(isFused, kind, get("x"), get("b1"), get(`c${r}1`))),
    ]),
    set("b", add(get("b"), get("bStep"))),
  ];
}

const advance = (rows, bytes) => range(rows).map((r) => set(`a${r}`, add(get(`a${r}`), constant(bytes))));

/** A loop of `count` turns; none where it is 0. */
function loop(label, count, body) {
  return [
    `(if ${get(count)} (then (loop $${label}`,
    ...body,
    `(br_if $${label} (local.tee $${count} (i32.sub ${get(count)} ${constant(1)}))))))`,
  ];
}

/**
 * A tile of `rows` x 8 (or 4), `k` deep. `a` has its rows `aRow` bytes apart and its entries side by side; rows of `b` are `bStep` bytes
 * apart; with `accumulate` the sums are added to `c`.
 */
function tile(name, { rows, isFused, unroll, kind }) {
  const bytes = 1 << kind.shift;
  const sums = range(rows).flatMap((r) => [`c${r}0`, `c${r}1`]);
  const steps = range(unroll).flatMap((u) => [
    ...(u > 0 ? [`(br_if $done ${get("guard")})`] : []),
    ...step(rows, isFused, kind, bytes * u),
  ]);
  const stored = (r, half) => {
    const old = `(v128.load offset=${16 * half} ${get("c")})`;
    return [
      `(if ${get("accumulate")} (then ${set(`c${r}${half}`, `(${kind.vector}.add ${old} ${get(`c${r}${half}`)})`)}))`,
      `(v128.store offset=${16 * half} ${get("c")} ${get(`c${r}${half}`)})`,
    ];
  };
  return [
    `(func $${name}`,
    "(param $a0 i32) (param $aRow i32) (param $b i32) (param $bStep i32) (param $k i32)",
    "(param $c i32) (param $cRow i32) (param $accumulate i32) (param $guard i32)",
    `(local $x v128) (local $b0 v128) (local $b1 v128) (local $turns i32) (local $rest i32)`,
    ...sums.map((s) => `(local $${s} v128)`),
    ...range(rows - 1).map((r) => `(local $a${r + 1} i32)`),
    ...range(rows - 1).map((r) => set(`a${r + 1}`, add(get(`a${r}`), get("aRow")))),
    set("turns", `(i32.shr_u ${get("k")} ${constant(Math.log2(unroll))})`),
    set("rest", `(i32.and ${get("k")} ${constant(unroll - 1)})`),
    "(block $done",
    ...loop("deep", "turns", [...steps, ...advance(rows, bytes * unroll)]),
    ...loop("left", "rest", [...step(rows, isFused, kind, 0), ...advance(rows, bytes)]),
    ")",
    ...range(rows).flatMap((r) => [
      ...stored(r, 0),
      ...stored(r, 1),
      ...(r + 1 < rows ? [set("c", add(get("c"), get("cRow")))] : []),
    ]),
    ")",
  ].join("\n");
}

/** Calls the tile for `count` rows, 1 to `rows`. */
function callTile(family, rows, c, cRow, accumulate) {
  const args = `${get("a")} ${get("aRow")} ${get("b")} ${get("bStep")} ${get("k")} ${c} ${cRow} ${accumulate} ${constant(0)}`;
  const cases = range(rows).map((r) => `(block $rows${r + 1}`);
  const labels = range(rows).map((r) => `$rows${r + 1}`);
  return [
    "(block $called",
    ...cases.reverse(),
    `(br_table ${labels.join(" ")} (i32.sub ${get("count")} ${constant(1)})))`,
    ...range(rows).flatMap((r) => [`(call $${family}${r + 1} ${args})`, r + 1 < rows ? "(br $called))" : ")"]),
  ];
}

/**
 * All tiles of a block: `m` rows of `a` against `n` columns of `b`, which lies in panels of 8 columns (or 4), `bPanel` bytes apart.
 * A panel stays in the first-level cache while the rows of `a` pass by. Rows are divided so that no tile is thin: at most `rows`
 * each, and the last two share what is left. Columns beyond `n` in the last panel are computed, in `edge`, and not written.
 */
function block(name, family, { rows, kind: { scalar, shift } }) {
  const columns = WIDTH >> shift;
  const edgeCount = `(i32.lt_u ${get("n")} ${constant(columns)})`;
  return [
    `(func (export "${name}")`,
    "(param $a i32) (param $aRow i32) (param $b i32) (param $bStep i32) (param $bPanel i32) (param $k i32)",
    "(param $m i32) (param $n i32) (param $c i32) (param $cRow i32) (param $accumulate i32) (param $edge i32)",
    "(local $firstA i32) (local $firstC i32) (local $left i32) (local $count i32) (local $i i32) (local $j i32)",
    "(local $to i32) (local $from i32)",
    `(if (i32.eqz ${get("n")}) (then (return)))`,
    `(if (i32.eqz ${get("m")}) (then (return)))`,
    set("firstA", get("a")),
    set("firstC", get("c")),
    "(loop $panels",
    set("left", get("m")),
    set("a", get("firstA")),
    set("c", get("firstC")),
    "(loop $tiles",
    set("count", get("left")),
    `(if (i32.gt_u ${get("left")} ${constant(rows)}) (then`,
    set("count", constant(rows)),
    `(if (i32.lt_u ${get("left")} ${constant(2 * rows)}) (then`,
    set("count", `(i32.shr_u (i32.add ${get("left")} ${constant(1)}) ${constant(1)})`),
    "))))",
    `(if ${edgeCount} (then`,
    ...callTile(family, rows, get("edge"), constant(WIDTH), constant(0)),
    set("i", get("count")),
    set("from", get("edge")),
    set("to", get("c")),
    "(loop $edgeRows",
    set("j", constant(0)),
    "(loop $edgeColumns",
    `(${scalar}.store ${add(get("to"), get("j"))} (select`,
    `(${scalar}.add (${scalar}.load ${add(get("to"), get("j"))}) (${scalar}.load ${add(get("from"), get("j"))}))`,
    `(${scalar}.load ${add(get("from"), get("j"))}) ${get("accumulate")}))`,
    set("j", add(get("j"), constant(1 << shift))),
    `(br_if $edgeColumns (i32.lt_u ${get("j")} (i32.shl ${get("n")} ${constant(shift)}))))`,
    set("from", add(get("from"), constant(WIDTH))),
    set("to", add(get("to"), get("cRow"))),
    `(br_if $edgeRows (local.tee $i (i32.sub ${get("i")} ${constant(1)}))))`,
    ") (else",
    ...callTile(family, rows, get("c"), get("cRow"), get("accumulate")),
    "))",
    set("a", add(get("a"), `(i32.mul ${get("count")} ${get("aRow")})`)),
    set("c", add(get("c"), `(i32.mul ${get("count")} ${get("cRow")})`)),
    `(br_if $tiles (local.tee $left (i32.sub ${get("left")} ${get("count")}))))`,
    set("b", add(get("b"), get("bPanel"))),
    set("firstC", add(get("firstC"), constant(WIDTH))),
    `(if (i32.gt_u ${get("n")} ${constant(columns)}) (then`,
    set("n", `(i32.sub ${get("n")} ${constant(columns)})`),
    "(br $panels)))",
    "))",
  ].join("\n");
}

/** The families of tiles: as many rows as the registers of an engine hold, and steps between two turns of the loop. */
const FAMILIES = {
  fused: [
    { name: "tiles6", kind: SINGLE, rows: 6, unroll: 4 },
    { name: "tiles4", kind: SINGLE, rows: 4, unroll: 2 },
    { name: "tiles6OfDoubles", kind: DOUBLE, rows: 6, unroll: 4 },
    { name: "tiles4OfDoubles", kind: DOUBLE, rows: 4, unroll: 2 },
  ],
  plain: [
    { name: "tiles4", kind: SINGLE, rows: 4, unroll: 2 },
    { name: "tiles4OfDoubles", kind: DOUBLE, rows: 4, unroll: 2 },
  ],
};

/** The module's text: `fused` where the engine has relaxed SIMD, else `plain`. The memory is imported. */
export function tilesWat(which) {
  const isFused = which === "fused";
  return [
    `(module (import "env" "memory" (memory 1 65536 shared))`,
    ...FAMILIES[which].flatMap(({ name, kind, rows, unroll }) => [
      ...range(rows).map((r) => tile(`${name}of${r + 1}`, { rows: r + 1, isFused, unroll, kind })),
      block(name, `${name}of`, { rows, kind }),
    ]),
    ...exponentialsWat(isFused),
    ")",
  ].join("\n");
}
