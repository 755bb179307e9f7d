/** Errors as data and as text, and again as what they were: so they pass between threads, and on a queue. */
import {
  AxisError,
  CircuitsError,
  ConfigError,
  FormatError,
  InputError,
  ResourceError,
  ShapeError,
} from "../../../errors.ts";
import { errorOf } from "../../../jobs/internal.ts";

/** An error as threads pass it on. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  /** `undefined` for an error of another library. */
  readonly operation?: string | undefined;
  readonly argument?: string | undefined;
}

const CLASSES = { AxisError, CircuitsError, ConfigError, FormatError, InputError, ResourceError, ShapeError };
const isOwn = (name: string): name is keyof typeof CLASSES => Object.hasOwn(CLASSES, name);

/** An error as data. */
export function plainError(thrown: unknown): PlainError {
  const error = errorOf(thrown);
  if (!(error instanceof CircuitsError)) return { name: error.name, message: error.message };
  const { name, message, operation, argument } = error;
  return { name, message: message.slice(operation.length + 2), operation, argument };
}

/** An error again, of the class that it was of. */
export function errorFrom({ name, message, operation, argument }: PlainError): Error {
  if (operation === undefined) return Object.assign(new Error(message), { name });
  const known = isOwn(name) ? CLASSES[name] : CircuitsError;
  return new known(message, { operation, ...(argument !== undefined && { argument }) });
}

/** An error from its text: its name, of one of this library the operation, and what it says. */
export function errorFromText(text: string): Error {
  const [, name = "Error", rest = text] = /^(\w*Error): ([^]*)$/.exec(text) ?? [];
  const [, operation, message = rest] = (isOwn(name) ? /^([\w.]+): ([^]*)$/.exec(rest) : undefined) ?? [];
  return errorFrom({ name, message, operation });
}
