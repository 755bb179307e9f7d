/** The error of readers: it names the file and, where there is one, the tensor. */
import { FormatError } from "../../errors.ts";

/** Which call reads which file, for error texts. */
export interface Source {
  readonly operation: string;
  /** The file, as the caller named it. */
  readonly name: string;
}

/** The error for a fault of a file, or of one tensor in it. */
export function fault(
  source: Source,
  message: string,
  tensor?: string,
  expected?: unknown,
  actual?: unknown,
): FormatError {
  const where = tensor === undefined ? source.name : `${source.name}, tensor ${quoted(tensor)}`;
  return new FormatError(`${where}: ${message}`, {
    operation: source.operation,
    argument: tensor ?? source.name,
    expected,
    actual,
  });
}

/** A name from a file as error texts show it, cut short. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 197)}...` : name);
}

/** A key that, assigned to a plain object, replaces the object's prototype. No honest file has one. */
export const FORBIDDEN_KEY = "__proto__";
