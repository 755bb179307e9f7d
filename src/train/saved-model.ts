/** How the models of a run lie in its folder, of the command `train` and of jobs alike. */
import { writeSafetensors } from "../io/index.ts";
import type { Transformer } from "../model/index.ts";

/** The folder of a checkpoint in that of its run. */
export const checkpointFolder = (step: number): string => `checkpoints/step-${String(step).padStart(8, "0")}`;

/** The files of a model, by name. */
export function modelFiles({ config, weights }: Transformer): readonly (readonly [string, string | Uint8Array])[] {
  return [
    ["config.json", `${JSON.stringify(config, null, 2)}\n`],
    ["model.safetensors", writeSafetensors(weights, { metadata: { format: "pt" } })],
  ];
}
