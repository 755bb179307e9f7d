/** The configuration of a model that lies in the same file as its weights. */
import type { PlainObject, PlainValue } from "../json/plain.ts";

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
    if (!isPlainObject(fields)) continue;
    if (name.startsWith("model_") || LAYERS.some((layers) => fields[layers] !== undefined)) return [name, fields];
  }
  return undefined;
}

/** Whether a value is an object. */
export function isPlainObject(value: PlainValue | undefined): value is PlainObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
