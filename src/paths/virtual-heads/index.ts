/**
 * *What do heads do one after the other?* A virtual head: pattern $A^{h_2} A^{h_1}$, map $W_{OV}^{h_1} W_{OV}^{h_2}$.
 *
 * Source: *A Mathematical Framework for Transformer Circuits*, "Virtual Attention Heads".
 *
 * In reading order: `virtual-heads.ts`, `search.ts` (the strongest of an order).
 */
export {
  VirtualHead,
  virtualComposition,
  virtualCopyingScore,
  virtualHead,
  virtualHeadContribution,
  virtualHeadPattern,
} from "./virtual-heads.ts";
export type { VirtualHeadContribution } from "./virtual-heads.ts";
export { searchVirtualHeads, strongestVirtualHeads } from "./search.ts";
export type { RankedVirtualHead, VirtualSearch, VirtualSearchOnTokensOptions, VirtualSearchOptions } from "./search.ts";
