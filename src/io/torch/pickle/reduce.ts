/** The calls that a pickle may make, each a plain value here. */
import { PickleDict, PickleGlobal, PickleTuple, TensorRef, describePickle } from "./values.ts";
import type { PickleValue } from "./values.ts";

/**
 * What a call of one of the allowed globals makes.
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
  if (!(callee instanceof PickleGlobal)) return fail(`${describePickle(callee)} is called`);
  if (!(args instanceof PickleTuple))
    return fail(`the arguments of ${callee.name} are ${describePickle(args)}, not a tuple`);
  const wrong = (): never => fail(`${callee.name} is called with arguments that it does not take`);
  const [first, second] = args.items;
  switch (callee.name) {
    case "collections.OrderedDict":
      return args.items.length === 0 ? new PickleDict() : wrong();
    case "torch.Size":
      return first instanceof PickleTuple ? first : wrong();
    case "torch.device":
      if (typeof first !== "string") return wrong();
      return typeof second === "number" ? `${first}:${second}` : first;
    case "torch._utils._rebuild_tensor":
    case "torch._utils._rebuild_tensor_v2":
      return args.items.length >= 4 ? new TensorRef(args.items, at, last) : wrong();
    case "torch._utils._rebuild_parameter":
      return first instanceof TensorRef ? first : wrong();
  }
}
