import { open } from "../contenders/tfjs.mjs";

const { prepare } = await open();
const matrix = { shape: [64, 64], data: new Float32Array(64 * 64).fill(1) };
const { result } = prepare({ kind: "matmul" }, [matrix, matrix]);
console.log((await result())[0]);
