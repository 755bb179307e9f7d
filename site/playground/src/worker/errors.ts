/** Errors of the reader's own input that the library does not see. */
import { CircuitsError } from "transformer-circuits";
import type { SentError } from "../protocol.ts";

/** What the reader wrote cannot be used. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** An error as the page shows it, whole. */
export function sent(error: unknown): SentError {
  if (error instanceof CircuitsError || error instanceof InputError)
    return { name: error.name, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { name: undefined, message };
}
