/** Functions of matmul.ts and doubles.ts, as the module for weights has them: imported from the module of kernels, not compiled once more. */

@external("kernels", "copyBlock")
export declare function copyBlock(
  to: usize,
  toRow: usize,
  from: usize,
  row: usize,
  column: usize,
  rows: usize,
  columns: usize,
): void;

@external("kernels", "packPanels")
export declare function packPanels(to: usize, from: usize, row: usize, column: usize, k: usize, n: usize): void;

@external("kernels", "packDeep")
export declare function packDeep(to: usize, from: usize, row: usize, column: usize, k: usize, n: usize): void;

@external("kernels", "packedProduct")
export declare function packedProduct(
  a: usize,
  aRow: usize,
  packed: usize,
  padded: usize,
  depth: usize,
  k: usize,
  m: usize,
  n: usize,
  c: usize,
  cRow: usize,
  edge: usize,
): void;

@external("kernels", "product")
export declare function product(
  m: usize,
  n: usize,
  k: usize,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  bColumn: usize,
  c: usize,
  cRow: usize,
  accumulate: i32,
  isPacked: bool,
  space: usize,
): void;

@external("kernels", "copyDoubles")
export declare function copyDoubles(
  size: usize,
  to: usize,
  toRow: usize,
  from: usize,
  row: usize,
  column: usize,
  rows: usize,
  columns: usize,
): void;

@external("kernels", "packDoubles")
export declare function packDoubles(
  size: usize,
  to: usize,
  from: usize,
  row: usize,
  column: usize,
  k: usize,
  n: usize,
): void;
