import { describe, expect, test } from "vitest";
import { parseSafetensors, parseCheckpoint } from "../../../src/io/index.ts";
import { archiveOf, expectSameTensors, expectedState, fixture, golden, rezipped } from "../formats.ts";
import { errorOf } from "../bytes.ts";
import { call, dict, int, str, tensor, tuple, whole } from "./pickles.ts";

describe("files of PyTorch hold what safetensors says", () => {
  test.each(["state.pt", "state-legacy.pt", "state-protocol4.pt", "state-deflated.pt", "state-zip64.pt"])(
    "%s",
    (name) => {
      const file = parseCheckpoint(fixture(name), { name });
      expect(file.name).toBe(name);
      expect(file.format).toBe(name === "state-legacy.pt" ? "torch-legacy" : "torch");
      expect(file.values).toEqual({});
      expectSameTensors(file, expectedState());
    },
  );

  test("the older layout in protocol 4, with a module's metadata", () => {
    expectSameTensors(parseCheckpoint(fixture("module-legacy.pt")), parseSafetensors(fixture("module.safetensors")));
  });

  test.each([
    ["tl-pth-ln", "attn-2l-ln"],
    ["tl-pth-shortformer", "attn-2l-shortformer"],
  ])("TransformerLens's %s has the weights of %s", (folder, namesake) => {
    const file = parseCheckpoint(golden(`${folder}/${folder}_final.pth`));
    const same = parseSafetensors(golden(`${namesake}/model.safetensors`));
    for (const [name, { shape }] of same.tensors) {
      expect(file.tensors.get(name), name).toMatchObject({ dtype: "F32", shape });
      expect([...file.read(name).data], name).toEqual([...same.read(name).data]);
    }
    const more = [...file.tensors.keys()].filter((name) => !same.tensors.has(name));
    expect(more.filter((name) => !/^blocks\.\d\.attn\.(mask|IGNORE)$/.test(name))).toEqual([]);
  });

  test("and in half precision they are rounded, ties to even", () => {
    const half = parseCheckpoint(golden("tl-pth-shortformer-f16/tl-pth-shortformer-f16_final.pth"));
    const same = parseSafetensors(golden("attn-2l-shortformer/model.safetensors"));
    expect(half.tensors.get("embed.W_E")?.dtype).toBe("F16");
    for (const name of same.tensors.keys()) {
      const exact = same.read(name).data;
      const rounded = half.read(name).data;
      for (let i = 0; i < exact.length; i++) {
        const x = exact[i] as number;
        // Half a unit of the last place of a number with 11 bits, or of the smallest subnormal.
        expect(Math.abs((rounded[i] as number) - x)).toBeLessThanOrEqual(Math.max(Math.abs(x) * 2 ** -11, 2 ** -25));
      }
    }
  });

  test("a big-endian archive", () => {
    const sizes: Record<string, number> = {};
    const state = parseCheckpoint(fixture("state.pt"));
    const order = ["f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool", "scalar", "empty", "base"];
    for (const [key, name] of order.entries()) {
      const { dtype = "U8" } = state.tensors.get(name) ?? {};
      sizes[`data/${key}`] = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2 }[dtype as string] ?? 1;
    }
    const big = rezipped(fixture("state.pt"), (name, data) => {
      if (name.endsWith("/byteorder")) return new TextEncoder().encode("big");
      const size = sizes[name.slice(name.indexOf("/") + 1)];
      if (size === undefined) return data;
      const out = new Uint8Array(data.length);
      for (let i = 0; i < data.length; i++) out[i] = data[i - (i % size) + size - 1 - (i % size)] ?? 0;
      return out;
    });
    const file = parseCheckpoint(big);
    const expected = expectedState();
    for (const name of [...order, "transposed", "steps"]) {
      expect([...file.read(name).data], name).toEqual([...expected.read(name).data]);
    }
  });
});

describe("what is beside the tensors", () => {
  test("nanoGPT's checkpoint: weights by path, settings as plain values", () => {
    const { tensors, values, read } = parseCheckpoint(fixture("nanogpt.pt"));
    expect([...tensors.keys()]).toEqual([
      "model._orig_mod.transformer.wte.weight",
      "model._orig_mod.transformer.lm_head.weight",
      "optimizer.state.0.step",
      "optimizer.state.0.exp_avg",
      "optimizer.state.0.exp_avg_sq",
      "best_val_loss",
    ]);
    expect(read("best_val_loss").at()).toBe(1.5);
    expect(read("model._orig_mod.transformer.wte.weight")).toEqual(read("model._orig_mod.transformer.lm_head.weight"));
    expect(values).toMatchObject({
      model_args: { n_layer: 2, n_head: 4, n_embd: 4, block_size: 16, bias: false, vocab_size: null, dropout: 0 },
      iter_num: 2000,
      config: { out_dir: "out", learning_rate: 6e-4, seed: 2n ** 63n + 5n, betas: [0.9, 0.95], tags: ["a", null] },
      device: "cuda:0",
      size: [2, 3],
    });
    expect(Object.keys(values)).not.toContain("model");
    expect(Object.getPrototypeOf(values.model_args)).toBeNull();
  });

  test("a tensor alone, and tensors in lists and tuples", () => {
    const alone = parseCheckpoint(fixture("alone.pt"));
    expect([...alone.tensors.keys()]).toEqual(["tensor"]);
    expect(alone.read("tensor").toNested()).toEqual([0, 1, 2]);
    const list = parseCheckpoint(fixture("list.pt"));
    expect([...list.tensors.keys()]).toEqual(["0", "1.0"]);
    expect(list.read("1.0", { axes: "pos" }).toString()).toBe("Tensor[pos=2] float32");
  });

  test("a list keeps its places where a tensor was", () => {
    const pickle = whole(dict(str("a"), tuple(tensor(), int(7)), str("empty"), [0x7d], str("t"), [0x29]));
    expect(parseCheckpoint(archiveOf(pickle, new Uint8Array(16))).values).toEqual({ a: [null, 7], empty: {}, t: [] });
  });

  test("numbers of every length and spelling", () => {
    const pickle = whole(
      dict(
        str("negative"),
        [0x8a, 1, 0xff],
        str("zero"),
        [0x8a, 0],
        str("big"),
        [0x8b, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        str("text"),
        [...new TextEncoder().encode("L-12L\n")],
        str("true"),
        [...new TextEncoder().encode("I01\n")],
        str("float"),
        [0x47, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0],
        str("device"),
        call("torch.device", str("cpu")),
      ),
    );
    expect(parseCheckpoint(archiveOf(pickle)).values).toEqual({
      negative: -1,
      zero: 0,
      big: 2n ** 64n,
      text: -12,
      true: true,
      float: -1.5,
      device: "cpu",
    });
  });

  test("a name that is not there", () => {
    expect(errorOf(() => parseCheckpoint(fixture("alone.pt"), { name: "alone.pt" }).read("W_E"))).toEqual({
      name: "InputError",
      message: 'parseCheckpoint: there is no tensor "W_E" in alone.pt; it holds tensor.',
    });
  });
});
