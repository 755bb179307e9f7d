/** The search for virtual heads in a deep model. */
import { expect, test } from "vitest";
import { strongestVirtualHeads } from "../../../src/paths/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";

test("the search by weights finds the one that stands out among those of 12 layers", () => {
  const plain = randomModel({ n_layers: 12, n_heads: 4, d_model: 24, d_head: 4, seed: 8 });
  // L5H1 reads just what L2H3 writes: rank 1 and aligned.
  const aligned = (W: Tensor, head: number, isOut: boolean): Tensor => {
    const [heads = 0, rows = 0, cols = 0] = W.shape;
    const data = Float64Array.from(W.data);
    for (let t = 0; t < rows * cols; t++) {
      const [r, c] = [Math.floor(t / cols), t % cols];
      data[head * rows * cols + t] = isOut ? (r === 0 && c === 7 ? 1 : 0) : r === 7 && c === 0 ? 1 : 0;
    }
    return Tensor.from(W.axes, [heads, rows, cols], data);
  };
  const model = withWeights(plain, (name, W) => {
    if (name === "blocks.2.attn.W_O") return aligned(W, 3, true);
    if (name === "blocks.5.attn.W_V") return aligned(W, 1, false);
    if (name === "blocks.5.attn.W_O") return aligned(W, 1, true);
    return name === "blocks.9.attn.W_V" ? aligned(W, 0, false) : W;
  });
  const { found, total } = strongestVirtualHeads(model, { order: 3, k: 1 });
  expect(found[0]?.virtual.label).toBe("L2H3→L5H1→L9H0");
  expectClose([found[0]?.value ?? 0], [1], { atol: 1e-9 });
  expect(total).toBe(14_080);
});
