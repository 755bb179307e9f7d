/** What linear/ lends to the other folders of src/ and is no part of the package. */
export { describeMap } from "./linear.ts";
export { composeMaps } from "./compose.ts";
export { collapsed } from "./collapsed.ts";
export { rootsOf } from "./gram-roots.ts";
export {
  gramOverMany,
  gramStack,
  LARGE,
  multiplyStacks,
  oneOf,
  squaresOf,
  squaresOfPairs,
  stackOf,
  stackOfTensor,
  times,
  timesOverMany,
  transposedStack,
} from "./stack.ts";
export type { Stack } from "./stack.ts";
export type { OneSpace } from "./one-space.ts";
