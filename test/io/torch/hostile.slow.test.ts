/** PyTorch files that lie, and pickles that would run something: each a FormatError that says where. */
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { parseCheckpoint } from "../../../src/io/index.ts";
import { errorOf } from "../bytes.ts";
import { archiveOf, fixture, rezipped } from "../formats.ts";
import { call, dict, global, int, pickle, storage, str, tensor, tuple, whole } from "./pickles.ts";

/** The text of the FormatError of a file called m. */
function refusal(bytes: Uint8Array, read?: string): string {
  const { name, message } = errorOf(() => {
    const file = parseCheckpoint(bytes, { name: "m" });
    if (read !== undefined) file.read(read);
  });
  expect(name).toBe("FormatError");
  expect(message).toMatch(/^parseCheckpoint: m[:,] /);
  return message.slice("parseCheckpoint: ".length);
}

const sixteen = new Uint8Array(16);
const of = (value: readonly number[]): Uint8Array => archiveOf(whole(value), sixteen);
const at = (byte: number): string => `m: byte ${byte} of archive/data.pkl: `;
const help =
  "which would run something if Python read it, and nothing runs here; tensors are read as torch.save writes them.";

describe("what only a file names that would run something is refused", () => {
  test.each([
    "os.system",
    "posix.system",
    "nt.system",
    "builtins.eval",
    "__builtin__.exec",
    "builtins.__import__",
    "subprocess.Popen",
    "importlib.import_module",
    "runpy.run_path",
    "torch.load",
    "torch.storage._load_from_bytes",
    "collections.OrderedDict.__class__",
    "os.path.join",
  ])("%s", (name) => {
    expect(refusal(of(global(name)))).toBe(`${at(2)}it names "${name}", ${help}`);
    const cut = name.lastIndexOf(".");
    const onStack = [...str(name.slice(0, cut)), ...str(name.slice(cut + 1)), 0x93];
    expect(refusal(of(onStack))).toBe(`${at(onStack.length + 1)}it names "${name}", ${help}`);
    const beside = dict(str("w"), tensor(), str("x"), call(name, str("true")));
    expect(refusal(of(beside))).toContain(`it names "${name}", ${help}`);
  });

  test("a pickle in a pickle", () => {
    const inner = [...whole(call("os.system", str("true")))];
    const bytes = [0x43, inner.length, ...inner];
    expect(refusal(of(call("torch.storage._load_from_bytes", bytes)))).toContain('"torch.storage._load_from_bytes"');
    expect(parseCheckpoint(of(dict(str("bytes"), bytes))).unread).toEqual(
      new Map([["bytes", `${inner.length} bytes`]]),
    );
  });
});

describe("everything else is written down by its name, and nothing is made of it", () => {
  test.each([
    "torch._utils._rebuild_tensor_v4",
    "torch.nn.modules.linear.Linear",
    "torch.FloatTensor",
    "numpy.ndarray",
    "__main__.Model",
    "builtins.getattr",
    "functools.partial",
  ])("%s", (name) => {
    const entries = [
      ["name", global(name), `the function or class ${name}`],
      ["call", call(name, int(1), str("a")), `an object of ${name}`],
      ["object", [...global(name), ...tuple(int(1)), 0x81], `an object of ${name}`],
    ] as const;
    for (const [key, value, what] of entries) {
      const { tensors, values, unread } = parseCheckpoint(of(dict(str("w"), tensor(), str(key), [...value])));
      expect([...tensors.keys()]).toEqual(["w"]);
      expect(values).toEqual({});
      expect([...unread]).toEqual([[key, what]]);
    }
  });

  test("calls of calls, and objects of them", () => {
    const method = call("builtins.getattr", global("__main__.A"), str("b"));
    const called = [...method, ...tuple(int(1)), 0x52];
    expect([...parseCheckpoint(of(dict(str("x"), called))).unread]).toEqual([
      ["x", "an object of what a call returns"],
    ]);
    const made = [...method, ...tuple(), 0x81, ...dict(str("lr"), int(1)), 0x62];
    expect(parseCheckpoint(of(dict(str("x"), made))).values).toEqual({ x: { lr: 1 } });
  });

  test("what is not a function is not called, and the known ones take only their own arguments", () => {
    expect(refusal(of([...str("os"), ...tuple(), 0x52]))).toMatch(/: a string is called\.$/);
    expect(refusal(of([...str("os"), ...tuple(), 0x81]))).toMatch(/: a string is made an object of\.$/);
    expect(refusal(of([...global("torch.Size"), ...int(1), 0x52]))).toMatch(
      /: the arguments of torch\.Size are a number, not a tuple\.$/,
    );
    for (const [name, ...args] of [
      ["torch.Size", int(1)],
      ["torch.device", int(1)],
      ["collections.OrderedDict", tuple()],
      ["collections.Counter", int(1)],
      ["builtins.set", int(1)],
      ["builtins.bytearray", int(1)],
      ["_codecs.encode", int(1)],
      ["torch._utils._rebuild_parameter", int(1)],
      ["torch._utils._rebuild_tensor_v2", storage("0", 4)],
      [
        "torch._utils._rebuild_tensor_v3",
        storage("0", 4),
        int(0),
        tuple(int(4)),
        tuple(int(1)),
        [0x89],
        [0x4e],
        int(1),
      ],
    ] as const) {
      expect(refusal(of(call(name, ...args)))).toContain(`: ${name} is called with arguments that it does not take.`);
    }
  });

  test.each([
    [[0x82, 1], "names an extension, which is not read"],
    [[0x97], "stands for bytes outside the pickle, which are not read"],
    [[0x56], "is of protocol 0, which torch does not write"],
    [[0xff], "is unknown"],
  ])("opcode %j", ([code = 0, ...rest], what) => {
    const shown = code.toString(16).padStart(2, "0");
    expect(refusal(of([code, ...rest]))).toBe(`${at(2)}the opcode 0x${shown} ${what}.`);
  });
});

describe("pickles that make no sense", () => {
  test.each([
    ["the end first", [], "there is no value for this opcode"],
    ["a tuple without a mark", [0x74], "there is no mark for this opcode"],
    ["a protocol of the future", [0x80, 6], "protocol 6 is not known; at most 5 is"],
    ["a note that is not there", [0x68, 3], "nothing was noted as 3"],
    ["a key without a value", [0x7d, 0x28, ...str("a"), 0x75], "a key has no value"],
    ["keys for a list", [0x5d, ...str("a"), ...int(1), 0x73], "a list is given keys; that is for dicts"],
    ["an item for a dict", [0x7d, ...int(1), 0x61], "a dict is appended to; that is for lists"],
    ["a state for a list", [0x5d, 0x7d, 0x62], "a list is given a state; that is for dicts and objects"],
    ["an object without a mark", [0x6f], "there is no mark for this opcode"],
    ["an object of nothing", [0x28, 0x6f], "None is made an object of"],
    ["a key twice", dict(str("a"), int(1), str("a"), int(2)), 'the key "a" appears a second time in a dict'],
    ["a prototype", dict(str("__proto__"), int(1)), 'a dict has the key "__proto__", which would change a prototype'],
    ["text that is none", [0x8c, 1, 0xff], "a string is not UTF-8 text"],
    [
      "a long integer",
      [0x8a, 65, ...new Array<number>(65).fill(1)],
      "an integer of 65 bytes is longer than the 64 that are read",
    ],
    ["an integer that is none", [...new TextEncoder().encode("Ix\n")], '"x" is not an integer'],
    ["a name that is a number", [...int(1), ...int(1), 0x93], "a global's name is not a string"],
    ["an endless line", [0x63, ...new Array<number>(300).fill(0x61)], "a line is longer than 256 bytes"],
    [
      "another persistent id",
      [...str("0"), 0x51],
      "a persistent id is not that of a storage with its class, key, device and number of elements",
    ],
  ])("%s", (_, value, what) => {
    const text = refusal(of(value));
    expect(text).toMatch(/^m: byte \d+ of archive\/data\.pkl: /);
    expect(text.replace(/^m: byte \d+ of archive\/data\.pkl: /, "")).toBe(`${what}.`);
  });

  test("a pickle cut short at every byte, and one with something behind it", () => {
    const sound = whole(dict(str("t"), tensor()));
    for (let length = 0; length < sound.length; length++) {
      expect(refusal(archiveOf(sound.subarray(0, length), sixteen))).toContain("the pickle is cut short.");
    }
    expect(refusal(archiveOf(Uint8Array.from([...sound, 0]), sixteen))).toBe(
      `${at(sound.length)}something follows the pickle.`,
    );
  });

  test("two keys that are written alike are told apart unless a third has that text; two paths are not", () => {
    const alike = [str("1"), int(7), int(1), int(8)];
    expect(parseCheckpoint(of(dict(...alike))).values).toEqual({ "1": 7, "[1]": 8 });
    expect(refusal(of(dict(...alike, str("[1]"), int(9))))).toBe(
      'm, tensor "": two keys of a dict are both written "[1]".',
    );
    expect(refusal(of(dict(str("a.b"), tensor(), str("a"), dict(str("b"), tensor()))))).toBe(
      'm, tensor "a.b": two tensors have this name.',
    );
  });

  test("a dict in itself, directly and on the way round", () => {
    const inItself = [0x7d, 0x71, 0, ...str("x"), 0x68, 0, 0x73];
    expect(refusal(of(inItself))).toBe('m, tensor "x": the pickle holds a container that contains itself.');
    const round = [0x7d, 0x71, 0, ...str("a"), 0x5d, 0x68, 0, 0x61, 0x73];
    expect(refusal(of(round))).toBe('m, tensor "a.0": the pickle holds a container that contains itself.');
  });

  test("nested deeper than anything honest", () => {
    expect(refusal(of([...new Array<number>(5000).fill(0x5d), ...new Array<number>(4999).fill(0x61)]))).toMatch(
      /^m, tensor "0(\.0)+": the pickle is nested deeper than 64 levels\.$/,
    );
  });

  test("dicts that share their contents ten times over at each of 40 levels", () => {
    let value: number[] = [...int(1)];
    for (let level = 0; level < 40; level++) {
      const items = Array.from({ length: 10 }, (_, i) => [...str(String(i)), 0x68, level]).flat();
      value = [...value, 0x71, level, 0x30, 0x7d, 0x28, ...items, 0x75];
    }
    expect(refusal(of(value))).toMatch(/: its containers share their contents so often that they name more values/);
  });

  test("many objects for few bytes", () => {
    const many = (code: number, n: number): string => refusal(of(new Array<number>(n).fill(code)));
    expect(many(0x7d, 400_000)).toContain("it holds more values than a checkpoint of its size has.");
    expect(many(0x4e, 1_100_000)).toContain("more than 500000 values are waiting.");
    expect(many(0x28, 1_100_000)).toContain("more than 500000 values are waiting.");
    const noted = Array.from({ length: 300_000 }, (_, i) => [0x6a, ...new Uint8Array(new Uint32Array([i]).buffer)]);
    expect(refusal(of([0x4e, 0x94, ...noted.flat()]))).toContain("it reads more than 250000 of its notes.");
  });

  test("objects, names and bytes count as well", () => {
    const objects = Array.from({ length: 160_000 }, () => [0x68, 0, 0x29, 0x81]).flat();
    const start = [...global("__main__.A"), 0x71, 0, 0x30, 0x5d, 0x28];
    expect(refusal(of([...start, ...objects, 0x65]))).toContain("it holds more values than a checkpoint of its size");
    const names = Array.from({ length: 30_000 }, (_, i) => [...global(`a.${i}`), 0x30]).flat();
    expect(refusal(of([...names, 0x4e]))).toContain("it holds more values than a checkpoint of its size has.");
    const text = "x".repeat(100_000);
    const encoded = Array.from({ length: 2000 }, () => [0x68, 0, 0x68, 1, 0x68, 2, 0x86, 0x52]).flat();
    const noted = [
      ...global("_codecs.encode"),
      0x71,
      0,
      0x30,
      ...str(text),
      0x71,
      1,
      0x30,
      ...str("latin1"),
      0x71,
      2,
      0x30,
    ];
    // Each of them is that one text: 2,000 copies would be 200 MB.
    expect(parseCheckpoint(of([...noted, 0x5d, 0x28, ...encoded, 0x65])).unread.size).toBe(2000);
  });

  test("keys that are tuples of tuples of the same end soon", () => {
    let key = int(1);
    for (let level = 0; level < 30; level++)
      key = [...key, 0x71, level, 0x30, 0x28, ...[0x68, level, 0x68, level].flat(), 0x74];
    const { unread } = parseCheckpoint(of(dict(str("w"), tensor(), str("d"), [0x7d, ...key, ...int(1), 0x73])));
    expect([...unread]).toEqual([["d.*", "1 items whose keys are no texts"]]);
  });

  test("notes that are never read again cost nothing; numbers out of order are refused where they are then counted", () => {
    expect(() => parseCheckpoint(of([0x4e, ...new Array<number>(400_000).fill(0x94)]))).not.toThrow();
    expect(refusal(of([0x4e, 0x71, 7, 0x94]))).toContain("it counts its notes after it numbered some out of order.");
    expect(() => parseCheckpoint(of([0x4e, 0x71, 7, 0x30, 0x68, 7]))).not.toThrow();
  });
});

describe("tensors that do not fit their storage", () => {
  const wrong = (value: readonly number[]): string =>
    refusal(of(dict(str("w"), value))).replace(/ at byte \d+ of the pickle\.$/, "");

  test.each([
    [
      "beyond the end",
      tensor({ offset: int(1) }),
      "shape [4] with strides [1] from element 1 reaches beyond the 4 elements of its storage,",
    ],
    [
      "by a stride",
      tensor({ stride: tuple(int(2)) }),
      "shape [4] with strides [2] from element 0 reaches beyond the 4 elements of its storage,",
    ],
    [
      "a negative stride",
      tensor({ stride: tuple(int(-1)) }),
      "its offset, sizes and strides are not non-negative integers, a stride for each size,",
    ],
    [
      "a stride too few",
      tensor({ stride: tuple() }),
      "its offset, sizes and strides are not non-negative integers, a stride for each size,",
    ],
    [
      "a size that is a string",
      tensor({ size: tuple(str("4")) }),
      "its offset, sizes and strides are not non-negative integers, a stride for each size,",
    ],
    ["no storage", tensor({ storage: int(1) }), "it is made of a number, not of a storage,"],
    [
      "2^62 elements",
      tensor({ size: tuple(int(2 ** 30), int(2 ** 30), int(4)), stride: tuple(int(0), int(0), int(0)) }),
      "shape [1073741824, 1073741824, 4] with strides [0, 0, 0] takes more than 2^53 bytes,",
    ],
    [
      "33 dimensions",
      tensor({
        size: tuple(...new Array<number[]>(33).fill(int(1))),
        stride: tuple(...new Array<number[]>(33).fill(int(1))),
      }),
      "it has 33 dimensions; at most 32 can be read,",
    ],
  ])("%s", (_, value, what) => {
    expect(wrong(value)).toBe(`m, tensor "w": ${what}`);
  });

  test("gigabytes by strides of zero are listed and not read", () => {
    const value = dict(str("w"), tensor({ size: tuple(int(2 ** 28), int(4)), stride: tuple(int(0), int(1)) }));
    const bytes = of(value);
    expect(parseCheckpoint(bytes).tensors.get("w")?.byteLength).toBe(2 ** 32);
    expect(refusal(bytes, "w")).toBe(
      `m, tensor "w": reading it takes ${2 ** 32} bytes, far more than a file of ${bytes.length} bytes can mean: it repeats or inflates what is stored.`,
    );
  });

  test("a storage that is not there or too small", () => {
    const missing = archiveOf(whole(dict(str("w"), tensor())));
    expect(refusal(missing)).toBe('m, tensor "w": its storage "archive/data/0" is not in the archive.');
    const small = archiveOf(whole(dict(str("w"), tensor())), [0, 0, 0]);
    expect(refusal(small)).toBe(
      'm, tensor "w": its storage "archive/data/0" has 3 bytes, but 4 elements of F32 take 16.',
    );
  });

  test("a byte of a bool that is neither 0 nor 1", () => {
    const value = dict(str("w"), tensor({ storage: storage("0", 4, "Bool") }));
    expect(refusal(archiveOf(whole(value), [1, 0, 2, 0]), "w")).toBe(
      'm, tensor "w": element 2 is 2, which does not fit int32. A BOOL is a byte 0 or 1.',
    );
  });
});

describe("archives", () => {
  test("of TorchScript", () => {
    const script = zipSync({ "m/data.pkl": whole(dict()), "m/constants.pkl": whole(tuple()), "m/code/m.py": sixteen });
    expect(refusal(script)).toMatch(/^m: it is TorchScript, a program, which is not read\./);
  });

  test("without data.pkl, with an unknown byte order", () => {
    expect(refusal(zipSync({ "a/b": sixteen }))).toBe(
      "m: the ZIP archive holds neither data.pkl, as PyTorch's do, nor .npy arrays alone, as NumPy's do.",
    );
    const order = rezipped(fixture("state.pt"), (name, data) => (name.endsWith("byteorder") ? sixteen : data));
    expect(refusal(order)).toMatch(/^m: entry ".*\/byteorder" says neither "little" nor "big"\.$/);
  });
});

describe("the older layout", () => {
  const legacy = fixture("state-legacy.pt");
  const magic = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
  const head = [...whole(magic), ...whole(int(1001)), ...whole(dict(str("little_endian"), [0x88]))];
  const old = (id: readonly number[]): number[] => [...id, 0x51];
  const file = (value: readonly number[], keys: readonly number[], data: readonly number[]): Uint8Array =>
    pickle(head, [...whole(value)], [...whole(keys)], data);
  const list = (...keys: string[]): number[] => [0x5d, ...keys.flatMap((key) => [...str(key), 0x61])];
  const four = [4, 0, 0, 0, 0, 0, 0, 0];
  const id = (view: readonly number[]): number[] =>
    tuple(str("storage"), global("torch.FloatStorage"), str("0"), str("cpu"), int(4), view);
  const floats = [...new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer)];

  test("put together by hand, with a view of a storage", () => {
    const view = old(id(tuple(str("v"), int(1), int(2))));
    const value = dict(
      str("all"),
      tensor({ storage: old(id([0x4e])) }),
      str("part"),
      tensor({ storage: view, size: tuple(int(2)) }),
    );
    const { read } = parseCheckpoint(file(value, list("0"), [...four, ...floats]));
    expect(read("all").toNested()).toEqual([1, 2, 3, 4]);
    expect(read("part").toNested()).toEqual([2, 3]);
    const beyond = old(id(tuple(str("v"), int(3), int(2))));
    expect(refusal(file(dict(str("w"), tensor({ storage: beyond })), list("0"), [...four, ...floats]))).toMatch(
      /: a view of a storage is not a part of its 4 elements\.$/,
    );
  });

  test("cut short at every byte", () => {
    for (let length = 0; length < legacy.length; length += length < 300 ? 1 : 29) refusal(legacy.subarray(0, length));
    expect(refusal(legacy.subarray(0, legacy.length - 1))).toMatch(
      /^m: storage "\d+" should take \d+ bytes from offset \d+ but the file ends at \d+\. It is cut short\.$/,
    );
    expect(refusal(pickle([...legacy], [0]))).toBe(
      `m: bytes ${legacy.length} to ${legacy.length + 1}, at the end of the file, belong to no storage.`,
    );
  });

  test("another pickle, another protocol, no byte order", () => {
    expect(refusal(whole(dict()))).toBe("m: this is a pickle but not a PyTorch file. Save it with torch.save.");
    expect(refusal(pickle([...whole(magic)], [...whole(int(1002))]))).toBe(
      "m: this layout of PyTorch files is not known; 1001 is read.",
    );
    expect(refusal(pickle([...whole(magic)], [...whole(int(1001))], [...whole(dict())]))).toBe(
      "m: the file does not say in which order its bytes are.",
    );
  });

  test("storages that are not listed, listed twice, or of another size", () => {
    const value = dict(str("w"), tensor({ storage: old(id([0x4e])) }));
    expect(refusal(file(value, int(1), []))).toBe("m: the file has no list of its storages.");
    expect(refusal(file(value, list(), []))).toBe('m, tensor "w": its storage "0" is not in the file.');
    expect(refusal(file(value, list("1"), []))).toBe(
      'm: the list of storages names "1", which is unknown or named before.',
    );
    expect(refusal(file(value, list("0", "0"), [...four, ...floats]))).toContain(
      'names "0", which is unknown or named',
    );
    expect(refusal(file(value, list("0"), [5, ...four.slice(1), ...floats]))).toMatch(
      /^m: storage "0", at offset \d+, has 5 elements, not the 4 of the pickle\.$/,
    );
    const other = tuple(old(id([0x4e])), storage("0", 3));
    expect(refusal(file(other, list("0"), []))).toContain('storage "0" is named with two classes or sizes.');
  });
});

test("something that is not bytes", () => {
  expect(errorOf(() => parseCheckpoint("model.pth" as never))).toMatchObject({ name: "InputError" });
});
