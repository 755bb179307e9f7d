/** Where packed panels lie and who multiplies them. */
import { addTile, BLOCK_NUMBERS, TILE } from "./tiles.ts";

/** Working space for one block of each operand and of the sums, and the product of packed panels. */
export interface TileEngine {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly sums: Float64Array;
  /** Adds the product of every panel of `a` with every panel of `b`, `kc` deep, to their tiles of `sums`. */
  addTiles(panelsA: number, panelsB: number, kc: number): void;
}

let plain: TileEngine | undefined;

/** Panels in ordinary arrays, multiplied in TypeScript: 1.5 MiB, made on first use and kept. */
export function plainEngine(): TileEngine {
  plain ??= startPlain();
  return plain;
}

function startPlain(): TileEngine {
  const a = new Float64Array(BLOCK_NUMBERS);
  const b = new Float64Array(BLOCK_NUMBERS);
  const sums = new Float64Array(BLOCK_NUMBERS);
  return {
    a,
    b,
    sums,
    addTiles(panelsA, panelsB, kc) {
      for (let i = 0; i < panelsA; i++) {
        for (let j = 0; j < panelsB; j++) {
          addTile(a, i * kc * TILE, b, j * kc * TILE, kc, sums, (i * panelsB + j) * TILE * TILE);
        }
      }
    },
  };
}
