/** Refusals of what figures are made of and drawn from. */
import { InputError, isPromise, nameOf, requireOptions } from "../errors.ts";

/** Refuses data that a drawing is not made from, and captions that are none. */
export function requireData(
  data: unknown,
  members: readonly string[],
  maker: string,
  operation: string,
  captions: unknown,
): void {
  requireOptions(captions, operation, "title subtitle");
  const isObject = typeof data === "object" && data !== null;
  if (isObject && members.every((member) => member in data)) return;
  const taken = { jointPCA: "model", neuronExamples: "model, prompts, { layer }" }[maker] ?? "{ model }";
  const mend = isPromise(data)
    ? "Write await before the call that gave it"
    : `Draw what ${maker.replace("await ", "")} returns: ${operation}(${maker}(${taken}))`;
  throw new InputError(`data is ${nameOf(data)}, not what this figure is drawn from. ${mend}.`, {
    operation,
    argument: "data",
    expected: members,
    actual: data,
  });
}
