/** Means, spreads and samples of prompts that edits take. */
import { InputError, ShapeError } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { drawnPrompts, textsOf } from "../drawn-prompts.ts";
import { isOfPairs } from "./activation.ts";
import { lengthOf, textOf } from "./text.ts";
import type { Sample } from "./text.ts";

/**
 * The mean over the batches of some activations, in float64: as long as one prompt's activation, or where it is over
 * positions too, as one position's. Padding does not count; of scores and patterns all does.
 *
 * @returns the means, and of how many each is.
 */
export function meanOf(
  samples: readonly Sample[],
  overPos: boolean,
): { readonly means: Float64Array; readonly counts: Float64Array } {
  const widthOf = (t: Tensor): number => t.size / t.sizeOf("batch") / (overPos ? t.sizeOf("pos") : 1);
  const [first] = samples;
  const sums = new Float64Array(first === undefined ? 0 : widthOf(first.value));
  const counts = new Float64Array(sums.length);
  for (const sample of samples) {
    const data = rawData(sample.value);
    const isText = isOfPairs(sample.value) ? () => true : textOf(sample);
    for (let i = 0; i < data.length; i++) {
      if (!isText(i)) continue;
      (sums[i % sums.length] as number) += data[i] as number;
      (counts[i % sums.length] as number)++;
    }
  }
  return { means: sums.map((sum, i) => (counts[i] === 0 ? 0 : sum / (counts[i] as number))), counts };
}

/**
 * The standard deviation around each element's mean: over batch, positions and coordinates of text, of each head by
 * itself.
 */
export function spreads(sample: Sample): (i: number) => number {
  const { value } = sample;
  const data = rawData(value);
  const isText = textOf(sample);
  const a = value.names.indexOf("head");
  const heads = a < 0 ? 1 : (value.shape[a] ?? 1);
  const inner = a < 0 ? 1 : value.shape.slice(a + 1).reduce((product, n) => product * n, 1);
  const headOf = (i: number): number => Math.floor(i / inner) % heads;
  const count = new Float64Array(heads);
  const mean = new Float64Array(heads);
  const squares = new Float64Array(heads);
  // Welford's way: one pass, and no loss where the mean is large. Masked scores, -Infinity, are left out.
  for (let i = 0; i < data.length; i++) {
    const x = data[i] as number;
    const h = headOf(i);
    if (x === -Infinity || !isText(i)) continue;
    const before = x - (mean[h] as number);
    (count[h] as number)++;
    (mean[h] as number) += before / (count[h] as number);
    (squares[h] as number) += before * (x - (mean[h] as number));
  }
  const deviation = squares.map((sum, h) => Math.sqrt(sum / (count[h] as number)));
  return (i) => deviation[headOf(i)] as number;
}

/** Of which prompt each prompt takes the activation. */
export function promptsTaken(
  resample: number | readonly number[],
  own: Sample,
  from: Sample,
  isOwn: boolean,
): readonly number[] {
  const [batch, theirs] = [own, from].map(({ value }) => value.sizeOf("batch")) as [number, number];
  const fail = (text: string): InputError =>
    new InputError(text, { operation: "edit", argument: "resample", actual: resample });
  if (typeof resample !== "number") {
    if (resample.length !== batch) {
      throw new ShapeError(`resample names ${resample.length} prompts for the ${batch} of this run.`, {
        operation: "edit",
        argument: "resample",
        expected: batch,
        actual: resample.length,
      });
    }
    const out = resample.find((prompt) => prompt < 0 || prompt >= theirs);
    if (out !== undefined) throw fail(`resample names prompt ${out}, but prompts are 0 to ${theirs - 1}.`);
    return resample;
  }
  if (isOwn && batch === 1) throw fail("there is no other prompt in the batch. Give several, or another run: from.");
  const texts = ({ value, mask }: Sample): string[] => textsOf(mask, value.sizeOf("batch"), lengthOf(value));
  const drawn = drawnPrompts(resample, texts(own), isOwn ? undefined : texts(from));
  const lonely = drawn.indexOf(-1);
  if (lonely < 0) return drawn;
  throw fail(`no other prompt has its text at the positions of prompt ${lonely}. Give several of each length.`);
}
