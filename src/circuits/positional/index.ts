/**
 * *Where does a head look by position alone?*
 *
 * The positional QK circuit is $W_{pos} W_{QK} W_{pos}^\top$; of rotary heads, the mean pattern over offsets. Source:
 * *A Mathematical Framework for Transformer Circuits*, "Primarily Positional Attention Heads"; ARENA 1.2.
 *
 * In reading order: `positional.ts`, `attention-by-offset.ts`, `rotary-pattern.ts`.
 */
export { attentionByOffset } from "./attention-by-offset.ts";
export { positionalPattern, positionalQKCircuit } from "./positional.ts";
export { meanRotaryPattern } from "./rotary-pattern.ts";
