/**
 * The calls of a pickle: those that build tensors and plain values become these, every other is written down and not
 * made.
 */
import { storedElements } from "../../bytes/dtype.ts";
import { swapped } from "../../bytes/elements.ts";
import { tensorType } from "./storage-types.ts";
import {
  PickleBinary,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleObject,
  PickleTuple,
  StorageRef,
  TensorRef,
  describePickle,
} from "./values.ts";
import type { PickleValue } from "./values.ts";

/** Modules under the names that Python 2 had for them, as protocol 2 writes. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ["__builtin__", "builtins"],
  ["copy_reg", "copyreg"],
]);

/** Modules that no checkpoint calls on, and pickles that would run a command do. */
const RUNNING: ReadonlySet<string> = new Set([
  ...["os", "posix", "nt", "sys", "subprocess", "pty", "socket", "shutil", "ctypes", "importlib", "imp", "runpy"],
  ...["codeop", "marshal", "webbrowser", "pdb", "bdb", "timeit", "cProfile", "pickle", "_pickle"],
]);

/** Functions elsewhere that would run or read something. */
const RUNNING_NAMES: ReadonlySet<string> = new Set([
  ...["eval", "exec", "execfile", "compile", "__import__", "open", "file", "input", "raw_input", "breakpoint"].map(
    (name) => `builtins.${name}`,
  ),
  ...["globals", "locals", "vars", "setattr", "delattr", "apply", "exit", "quit"].map((name) => `builtins.${name}`),
  ...["torch.load", "torch.serialization.load", "torch.storage._load_from_bytes", "numpy.load"],
]);

/**
 * The name of a function or class; `undefined` for one that only files name that would run something. Nothing depends
 * on that list but that such a file is refused: a name is never looked up.
 */
export function globalName(module: string, name: string): string | undefined {
  const full = `${RENAMED.get(module) ?? module}.${name}`;
  const isRunning =
    RUNNING.has(full.split(".", 1)[0] ?? "") ||
    RUNNING_NAMES.has(full) ||
    (/\.__\w+__(\.|$)/.test(full) && !full.startsWith("copyreg.__newobj"));
  return isRunning ? undefined : full;
}

/**
 * What a call makes.
 *
 * @param at - where in the pickle the call stands.
 * @param last - the tensor made before.
 */
export function reduce(
  callee: PickleValue,
  args: PickleValue,
  at: number,
  fail: (message: string) => never,
  last?: TensorRef,
): PickleValue {
  if (callee instanceof PickleObject) return new PickleObject(callee, args);
  if (!(callee instanceof PickleGlobal)) return fail(`${describePickle(callee)} is called`);
  if (!(args instanceof PickleTuple))
    return fail(`the arguments of ${callee.name} are ${describePickle(args)}, not a tuple`);
  if (callee.name === "copyreg._reconstructor" || callee.name === "copyreg.__newobj__")
    return objectOf(args.items[0] ?? null, new PickleTuple(args.items.slice(1)), fail);
  const made = tensorOf(callee.name, args.items, at, fail, last) ?? plainOf(callee.name, args.items, fail);
  return made ?? new PickleObject(callee, args);
}

/** An object of a class; one of PyTorch's parameters is the tensor in it. */
export function objectOf(type: PickleValue, args: PickleValue, fail: (message: string) => never): PickleValue {
  if (!(type instanceof PickleGlobal) && !(type instanceof PickleObject))
    return fail(`${describePickle(type)} is made an object of`);
  const data = args instanceof PickleTuple ? args.items[0] : undefined;
  if (type.name === "torch.nn.parameter.Parameter" && data instanceof TensorRef) return data;
  if (type.name === "collections.OrderedDict") return new PickleDict();
  return new PickleObject(type, args);
}

/** Classes whose tensors are plain ones. */
const PLAIN_TENSORS: ReadonlySet<string> = new Set([
  ...["torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch._tensor.Tensor"],
]);

function tensorOf(
  name: string,
  items: readonly PickleValue[],
  at: number,
  fail: (message: string) => never,
  last: TensorRef | undefined,
): PickleValue | undefined {
  const wrong = (): never => fail(`${name} is called with arguments that it does not take`);
  const [first, second, third] = items;
  switch (name) {
    case "torch._utils._rebuild_tensor":
    case "torch._utils._rebuild_tensor_v2":
      return items.length >= 4 ? new TensorRef(items, at, last) : wrong();
    case "torch._utils._rebuild_tensor_v3": {
      const type = items[6];
      if (!(first instanceof StorageRef) || !(type instanceof PickleGlobal)) return wrong();
      return new TensorRef([first.as(tensorType(type.name)), ...items.slice(1)], at, last);
    }
    case "torch._utils._rebuild_parameter":
    case "torch._utils._rebuild_parameter_with_state":
      if (first instanceof TensorRef) return first;
      return first instanceof PickleObject ? first : wrong();
    case "torch._tensor._rebuild_from_type_v2": {
      const isPlain = second instanceof PickleGlobal && PLAIN_TENSORS.has(second.name);
      return isPlain && third instanceof PickleTuple && first instanceof PickleGlobal
        ? tensorOf(first.name, third.items, at, fail, last)
        : undefined;
    }
    default:
      return undefined;
  }
}

/** Values of Python that have their like here. */
function plainOf(
  name: string,
  items: readonly PickleValue[],
  fail: (message: string) => never,
): PickleValue | undefined {
  const wrong = (): never => fail(`${name} is called with arguments that it does not take`);
  const [first, second] = items;
  switch (name) {
    case "collections.OrderedDict":
      return items.length === 0 ? new PickleDict() : wrong();
    case "collections.defaultdict":
      return items.length <= 1 ? new PickleDict() : wrong();
    case "collections.Counter":
      if (items.length === 0) return new PickleDict();
      return first instanceof PickleDict ? first : wrong();
    case "builtins.set":
    case "builtins.frozenset":
      if (items.length === 0) return new PickleList();
      return first instanceof PickleList || first instanceof PickleTuple ? first : wrong();
    case "torch.Size":
      return first instanceof PickleTuple ? first : wrong();
    case "torch.device":
      if (typeof first !== "string") return wrong();
      return typeof second === "number" ? `${first}:${second}` : first;
    case "_codecs.encode":
      return typeof first === "string" ? new PickleBinary(first) : wrong();
    case "builtins.bytes":
    case "builtins.bytearray":
      if (items.length === 0) return new PickleBinary("");
      if (typeof first === "string") return new PickleBinary(first);
      return first instanceof PickleBinary ? first : wrong();
    case "numpy.core.multiarray.scalar":
    case "numpy._core.multiarray.scalar":
      return numpyScalar(first, second);
    default:
      return undefined;
  }
}

const NUMPY_TYPES = {
  f8: "F64",
  f4: "F32",
  f2: "F16",
  i8: "I64",
  i4: "I32",
  i2: "I16",
  i1: "I8",
  u8: "U64",
  u4: "U32",
  u2: "U16",
  u1: "U8",
  b1: "BOOL",
} as const;

/** A number of NumPy, from its dtype and its bytes; `undefined` for other scalars. */
function numpyScalar(dtype: PickleValue | undefined, data: PickleValue | undefined): PickleValue | undefined {
  if (!(dtype instanceof PickleObject) || dtype.name !== "numpy.dtype") return undefined;
  const [kind] = dtype.args instanceof PickleTuple ? dtype.args.items : [];
  const order = dtype.state instanceof PickleTuple ? dtype.state.items[1] : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(NUMPY_TYPES, kind)) return undefined;
  const size = Number(kind.slice(1));
  const binary = typeof data === "string" ? new PickleBinary(data) : data;
  const bytes = binary instanceof PickleBinary ? binary.bytes(size) : undefined;
  if (bytes === undefined) return undefined;
  const little = order === ">" ? swapped(bytes, size) : bytes.slice();
  const value = storedElements(little, NUMPY_TYPES[kind as keyof typeof NUMPY_TYPES])[0];
  if (kind === "b1") return value !== 0;
  if (typeof value !== "bigint") return value;
  return value > -(2n ** 53n) && value < 2n ** 53n ? Number(value) : value;
}
