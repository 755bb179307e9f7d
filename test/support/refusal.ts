/** What a call is refused with. */
import { expect } from "vitest";
import { CircuitsError } from "../../src/errors.ts";

/** The text of the typed error that a call throws. */
export function refusal(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    expect(error).toBeInstanceOf(CircuitsError);
    return String(error);
  }
  return "nothing was thrown";
}
