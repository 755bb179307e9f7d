/** The configuration of a model that lies in the same file as its weights. */
import { isFields } from "../json/plain.ts";
import type { PlainObject } from "../json/plain.ts";

/** Under which names training code keeps it, the surest first. */
export const SETTINGS = ["model_args", "model_config", "cfg", "config"] as const;

/** Those under which nothing else is kept. */
export const SURE_SETTINGS: readonly string[] = SETTINGS.slice(0, 3);

const LAYERS = ["n_layers", "n_layer", "num_layers", "num_hidden_layers"];

/**
 * Which of the values beside the weights is the model's configuration: one called `model_args` or `model_config`, or
 * one that says how many layers there are.
 */
export function settingsIn(values: PlainObject): readonly [name: string, fields: PlainObject] | undefined {
  for (const name of SETTINGS) {
    const fields = values[name];
    if (!isFields(fields)) continue;
    if (name.startsWith("model_") || LAYERS.some((layers) => fields[layers] !== undefined)) return [name, fields];
  }
  return undefined;
}
