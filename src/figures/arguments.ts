/** Refusals of what figures are made of and drawn from. */
import { InputError, isPromise, nameOf, requireOptions } from "../errors.ts";

/** Refuses data that lacks a member that a drawing is made from, and captions that are none. */
export function requireData(data: unknown, members: string, maker: string, operation: string, captions: unknown): void {
  requireOptions(captions, operation, "title subtitle");
  const fields = members.split(" ");
  const isObject = typeof data === "object" && data !== null;
  if (isObject && fields.every((field) => field in data)) return;
  const taken = { jointPCA: "model", neuronExamples: "model, prompts, { layer }" }[maker] ?? "{ model }";
  const mend = isPromise(data)
    ? "Write await before the call that gave it"
    : `Draw what ${maker.replace("await ", "")} returns: ${operation}(${maker}(${taken}))`;
  throw new InputError(`data is ${nameOf(data)}, not what this figure is drawn from. ${mend}.`, {
    operation,
    argument: "data",
    expected: fields,
    actual: data,
  });
}
