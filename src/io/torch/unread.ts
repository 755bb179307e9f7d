/** Values of a pickle that are not read, in words. */
import { quoted } from "../bytes/fault.ts";
import { PickleBinary, PickleGlobal, PickleObject, PickleTuple, StorageRef, TensorRef } from "./pickle/values.ts";
import type { PickleValue } from "./pickle/values.ts";
import { unreadType } from "./tensors.ts";

/** Calls that make tensors of kinds which are not read, and other values known by their calls. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ["torch._utils._rebuild_sparse_tensor", "a sparse tensor"],
  ["torch._utils._rebuild_sparse_csr_tensor", "a sparse tensor"],
  ["torch._utils._rebuild_meta_tensor_no_storage", "a tensor of the meta device, which has no numbers"],
  ["torch._utils._rebuild_qtensor", "a quantized tensor"],
  ["torch._utils._rebuild_nested_tensor", "a nested tensor"],
  ["torch._utils._rebuild_wrapper_subclass", "a tensor of a class of its own"],
  ["torch._tensor._rebuild_from_type_v2", "a tensor of a class of its own"],
  ["torch._tensor._rebuild_from_type", "a tensor of a class of its own"],
  ["numpy.core.multiarray._reconstruct", "an array of NumPy"],
  ["numpy._core.multiarray._reconstruct", "an array of NumPy"],
  ["numpy.core.numeric._frombuffer", "an array of NumPy"],
  ["numpy._core.numeric._frombuffer", "an array of NumPy"],
  ["numpy.core.multiarray.scalar", "a scalar of NumPy"],
  ["numpy._core.multiarray.scalar", "a scalar of NumPy"],
  ["builtins.complex", "a complex number"],
]);

/** A value in words. */
export function whatIs(value: PickleValue): string {
  if (value instanceof PickleBinary) return `${value.content.length} bytes`;
  if (value instanceof PickleGlobal) return `the function or class ${shown(value.name)}`;
  if (value instanceof StorageRef) return `a storage of ${value.numel} elements`;
  if (value instanceof TensorRef) return `a tensor${sizesOf(value.size)} of ${unreadType(value) ?? "no known type"}`;
  if (!(value instanceof PickleObject)) return "a value of no known kind";
  const kind = KINDS.get(value.name);
  if (kind !== undefined) return `${kind}${value.name.includes("meta_tensor") ? "" : sizesIn(value)}`;
  return `an object of ${shown(value.name)}`;
}

function shown(name: string): string {
  return quoted(name).slice(1, -1);
}

/** The sizes of an array of NumPy, which stand in its state. */
function sizesIn({ state }: PickleObject): string {
  const sizes = state instanceof PickleTuple ? state.items[1] : undefined;
  return sizes instanceof PickleTuple ? sizesOf(sizes.items) : "";
}

function sizesOf(sizes: readonly PickleValue[] | undefined): string {
  const isShort = sizes !== undefined && sizes.length <= 8 && sizes.every((n) => typeof n === "number");
  return isShort ? ` [${sizes.join(", ")}]` : "";
}
