/** Models that were saved whole are read as their state dicts: nothing is imported and nothing runs. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkpointLayout,
  inspect,
  openCheckpoint,
  parseCheckpoint,
  parseSafetensors,
  readTensors,
  safetensorsChunks,
  transformerFromCheckpoint,
  transformerFromTensors,
} from "../../../src/io/index.ts";
import { loadFolder } from "../../../src/io/node.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { errorOf } from "../bytes.ts";
import { archiveOf, expectSameTensors } from "../formats.ts";
import { call, dict, global, int, joined, pickle, str, tensor, tuple, whole } from "./pickles.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../fixtures/whole/${name}`, import.meta.url));
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(path(name)));
const expected = parseCheckpoint(fixture("expected.npz"));
const tokens = expected.read("tokens").toNested() as number[][];

/** Logits of float32 against float32: what rounding leaves of sums of a few dozen products. */
function expectLogits(actual: ArrayLike<number>, name: string): void {
  const logits = expected.read(name).data;
  const largest = Array.from(logits, Math.abs).reduce((a, b) => Math.max(a, b));
  expectClose(actual, logits, { atol: 1e-5 * largest, rtol: 1e-4 });
}

describe("a HookedTransformer", () => {
  test("has its logits after one call, with its own configuration", async () => {
    const { model, config } = await loadFolder(path("hooked.pth"));
    expect(config).toMatchObject({ n_layers: 2, normalization_type: "LNPre", positional_embedding_type: "standard" });
    expectLogits(model.forward(tokens).data, "hooked");
  });

  test("names its configuration in its values", async () => {
    const { values, unread, tensors } = await inspect(fixture("hooked.pth"));
    expect(values.cfg).toMatchObject({ n_layers: 2, d_model: 8, attn_only: true, dtype: "torch.float32" });
    expect([...unread.keys()]).toEqual([]);
    expect(tensors.map(({ name }) => name)).toContain("blocks.1.attn.W_Q");
  });

  test("yields to config.json and to what is passed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
    try {
      const { values } = parseCheckpoint(fixture("hooked.pth"));
      const other = { ...(values.cfg as object), positional_embedding_type: "shortformer" };
      await writeFile(join(folder, "hooked.pth"), fixture("hooked.pth"));
      await writeFile(join(folder, "config.json"), JSON.stringify(other));
      for (const place of [folder, join(folder, "hooked.pth")]) {
        expect((await loadFolder(place)).config.positional_embedding_type).toBe("shortformer");
      }
      const checkpoint = await openCheckpoint(fixture("hooked.pth"));
      const model = await transformerFromCheckpoint(checkpoint, { config: other });
      expect(model.config.positional_embedding_type).toBe("shortformer");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("keeps its configuration when it is converted", async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of safetensorsChunks(await openCheckpoint(fixture("hooked.pth")))) chunks.push(chunk);
    const model = await transformerFromCheckpoint(await openCheckpoint(joined(chunks)));
    expectLogits(model.forward(tokens).data, "hooked");
  });
});

test.each(["module.pth", "module-legacy.pth"])("%s has the tensors of its state dict, in order", (name) => {
  const state = parseSafetensors(fixture("module.safetensors"));
  expectSameTensors(parseCheckpoint(fixture(name)), state);
  expect([...parseCheckpoint(fixture(name)).tensors.keys()].slice(0, 5)).toEqual([
    "weight",
    "layers.0.shared",
    "layers.0.mask",
    "layers.0.lin.weight",
    "layers.0.lin.bias",
  ]);
});

describe("the layout of 2022", () => {
  test.each(["nanda", "nanda-mlp"])("%s has the logits of its formulas", async (name) => {
    const { model } = await loadFolder(path(`${name}.pth`));
    expectLogits(model.forward(tokens).data, name);
    expect(model.config).toMatchObject({ n_layers: 2, n_heads: 3, n_ctx: 9, normalization_type: null });
    expect(model.notes.join("\n")).toMatch(name === "nanda-mlp" ? /relu/ : /^$/);
  });

  test("is told by its shapes, behind any prefix, and refuses a configuration that contradicts them", async () => {
    const checkpoint = await openCheckpoint(fixture("nanda.pth"));
    const tensors = await readTensors(checkpoint, { filter: (name) => name.startsWith("model.") });
    expect(checkpointLayout({ tensors })).toBe("nanda-2022");
    const fields = [
      ["num_heads", 2],
      ["d_model", 7],
      ["n_ctx", 8],
      ["num_layers", 1],
      ["use_ln", true],
      ["pos_embed_type", "rotary"],
    ] as const;
    for (const [name, value] of fields) {
      const { name: kind, message } = errorOf(() => transformerFromTensors({ tensors, config: { [name]: value } }));
      expect(kind).toBe("ConfigError");
      expect(message).toContain(`"${name}" is ${JSON.stringify(value)}`);
    }
    const shortformer = transformerFromTensors({ tensors, config: { pos_embed_type: "shortformer" } });
    expect(shortformer.config.positional_embedding_type).toBe("shortformer");
    tensors.set("model.ln.w_ln", Tensor.zeros("a", [6]));
    expect(errorOf(() => transformerFromTensors({ tensors }))).toMatchObject({ name: "ConfigError" });
  });
});

/** An object of a class with attributes. */
const object = (name: string, ...attributes: (readonly number[])[]): number[] => [
  ...global(name),
  0x29,
  0x81,
  ...dict(...attributes),
  0x62,
];
const none = [0x4e];
/** A module with parameters and modules. */
const module = (parameters: number[], modules: number[], ...more: number[][]): number[] =>
  object(
    "__main__.Net",
    ...[str("_parameters"), parameters, str("_buffers"), dict(), str("_modules"), modules, ...more],
  );
const floats = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const of = (value: number[]): Uint8Array => archiveOf(whole(value), floats);

describe("put together by hand", () => {
  test("in a dict, in a list, within objects that are no modules", () => {
    const net = module(dict(str("w"), tensor(), str("absent"), none), dict(str("gone"), none));
    expect([...parseCheckpoint(of(net)).tensors.keys()]).toEqual(["w"]);
    expect([...parseCheckpoint(of(dict(str("model"), net, str("step"), int(3)))).tensors.keys()]).toEqual(["model.w"]);
    expect([...parseCheckpoint(of(tuple(net, net))).tensors.keys()]).toEqual(["0.w", "1.w"]);
    const trainer = object("__main__.Trainer", str("net"), net, str("lr"), int(1));
    const { tensors, values } = parseCheckpoint(of(dict(str("trainer"), trainer)));
    expect([...tensors.keys()]).toEqual(["trainer.net.w"]);
    expect(values).toEqual({ trainer: { lr: 1 } });
  });

  test("modules that lead back to themselves end", () => {
    const back = [...global("__main__.Net"), 0x29, 0x81, 0x71, 9];
    const state = dict(
      ...[str("_parameters"), dict(str("w"), tensor()), str("_buffers"), dict()],
      ...[str("_modules"), dict(str("again"), [0x68, 9])],
    );
    const { tensors, unread } = parseCheckpoint(of([...back, ...state, 0x62]));
    expect([...tensors.keys()]).toEqual(["w"]);
    expect([...unread]).toEqual([["again", "what it lies in"]]);
  });

  test("the configuration is that of the outermost module that has one, in a wrapper too", async () => {
    const configured = (layers: number, inner: number[]): number[] =>
      module(dict(), dict(str("inner"), inner), str("config"), object("a.Config", str("n_layer"), int(layers)));
    const net = configured(1, configured(2, module(dict(str("w"), tensor()), dict())));
    const wrapped = of(dict(str("model"), module(dict(), dict(str("module"), net))));
    const checkpoint = await openCheckpoint(wrapped);
    expect(checkpoint.settings).toEqual({ n_layer: 1 });
    expect(checkpoint.values).toEqual({ model: { module: { cfg: { n_layer: 1 } } } });
    expect([...checkpoint.tensors.keys()]).toEqual(["model.module.inner.inner.w"]);
  });

  test.each(["model_args", "model_config", "cfg", "config"])("a configuration beside the weights: %s", async (name) => {
    const fields = dict(str("n_layers"), int(3));
    const settings = async (value: number[]): Promise<unknown> =>
      (await openCheckpoint(of(dict(str("w"), tensor(), str(name), value)))).settings;
    expect(await settings(fields)).toEqual({ n_layers: 3 });
    expect(await settings(object("argparse.Namespace", str("n_layers"), int(3)))).toEqual({ n_layers: 3 });
    const other = await settings(dict(str("lr"), int(1)));
    expect(other).toEqual(name.startsWith("model_") ? { lr: 1 } : undefined);
  });

  test("a field of the configuration that is no plain value is refused by name, not missed", async () => {
    const { values } = parseCheckpoint(fixture("hooked.pth"));
    const fields = Object.entries(values.cfg as Record<string, unknown>).flatMap(([key, value]) => [
      str(key),
      typeof value === "number" && Number.isInteger(value)
        ? int(value)
        : typeof value === "string"
          ? str(value)
          : value === true
            ? [0x88]
            : value === false
              ? [0x89]
              : none,
    ]);
    const odd = [str("final_rms"), call("__main__.Odd")];
    const at = fields.findIndex((part) => String(part) === String(str("final_rms")));
    fields.splice(at, 2, ...odd);
    const net = module(dict(str("embed.W_E"), tensor()), dict(), str("cfg"), object("__main__.Config", ...fields));
    const checkpoint = await openCheckpoint(of(net));
    expect(checkpoint.settings).toMatchObject({ final_rms: "an object of __main__.Odd" });
    await expect(transformerFromCheckpoint(checkpoint)).rejects.toThrow(/final_rms/);
  });

  test("older ways of writing objects: INST, OBJ, _reconstructor, NEWOBJ_EX, parameters as objects", () => {
    const state = dict(str("_parameters"), dict(str("w"), tensor()), str("_buffers"), dict(), str("_modules"), dict());
    const type = global("__main__.Net");
    for (const made of [
      [0x28, 0x69, ...type.slice(1)],
      [0x28, ...type, 0x6f],
      [...call("copy_reg._reconstructor", type, global("__builtin__.object"), none)],
      [...type, 0x29, 0x7d, 0x92],
    ]) {
      expect([...parseCheckpoint(of([...made, ...state, 0x62])).tensors.keys()]).toEqual(["w"]);
    }
    const parameter = [...global("torch.nn.parameter.Parameter"), ...tuple(tensor(), [0x88]), 0x81];
    expect(
      parseCheckpoint(of(dict(str("w"), parameter)))
        .read("w")
        .toNested(),
    ).toEqual([1, 2, 3, 4]);
  });

  test("a module of 2,000 names that is named 20,000 times is gone through once", () => {
    const wide = dict(...Array.from({ length: 2000 }, (_, i) => [str(`p${i}`), none]).flat());
    const start = module(wide, dict());
    const many = Array.from({ length: 20_000 }, (_, i) => [...str(String(i)), 0x68, 7]).flat();
    const { tensors } = parseCheckpoint(of([...start, 0x71, 7, 0x30, 0x7d, 0x28, ...many, 0x75]));
    expect(tensors.size).toBe(0);
  });

  test("any nesting of modules has the names of its state dict: 200 trees of seed 3", () => {
    interface Tree {
      readonly parameters: readonly string[];
      readonly modules: Readonly<Record<string, Tree>>;
    }
    const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/);
    const tree: fc.Memo<Tree> = fc.memo((depth): fc.Arbitrary<Tree> =>
      fc.record({
        parameters: fc.uniqueArray(name, { maxLength: 3 }),
        modules: depth <= 1 ? fc.constant({}) : fc.dictionary(name, tree(), { maxKeys: 3, noNullPrototype: true }),
      }),
    );
    const written = ({ parameters, modules }: Tree): number[] =>
      module(
        dict(...parameters.flatMap((key) => [str(key), tensor()])),
        dict(...Object.entries(modules).flatMap(([key, inner]) => [str(key), written(inner)])),
      );
    const names = ({ parameters, modules }: Tree, prefix = ""): string[] => [
      ...parameters.map((key) => prefix + key),
      ...Object.entries(modules).flatMap(([key, inner]) => names(inner, `${prefix}${key}.`)),
    ];
    const clashes = (t: Tree): boolean => new Set(names(t)).size < names(t).length;
    fc.assert(
      fc.property(tree(4), (t) => {
        fc.pre(!clashes(t));
        expect([...parseCheckpoint(of(written(t))).tensors.keys()]).toEqual(names(t));
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});

test("a command in a module is refused and not run", () => {
  const hook = call("os.system", str("touch /tmp/never"));
  const net = module(dict(str("w"), tensor()), dict(), str("_forward_hooks"), dict(str("0"), hook));
  expect(errorOf(() => parseCheckpoint(of(net)))).toMatchObject({ name: "FormatError" });
  expect(errorOf(() => parseCheckpoint(pickle([...net])))).toMatchObject({ name: "FormatError" });
});
