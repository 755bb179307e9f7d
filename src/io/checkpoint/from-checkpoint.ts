/** An open checkpoint to a model, tensor by tensor. */
import { requireKind } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";
import { toJson } from "../bytes/bytes.ts";
import { CHECKPOINT } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { fault } from "../bytes/fault.ts";
import { building, detect, namesOfParts } from "../layouts/index.ts";
import type { Known, LayoutOptions, ListedTensors } from "../layouts/index.ts";
import { plainObject } from "../json/plain.ts";
import type { PlainValue } from "../json/plain.ts";
import { checkTotal } from "./read-tensors.ts";
import { SETTINGS, SURE_SETTINGS, settingsIn } from "./settings.ts";

/**
 * How {@link transformerFromCheckpoint} reads.
 * @category Files
 */
export interface TransformerFromCheckpointOptions extends LayoutOptions {
  /**
   * The configuration: parsed, as JSON text or as bytes. Unless given it is the checkpoint's `config.json`, or else the
   * one in the file itself: nanoGPT's `model_args`, `model_config`, or that of a model that was saved whole.
   */
  readonly config?: unknown;
  /** Stops the reading; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with the number of bytes read and of bytes of the whole model. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Makes a model of an open checkpoint of any format and any layout that {@link transformerFromTensors} knows. Tensors
 * are read one after the other, each as the model needs it: masks, optimizers and other models in the file are not
 * read.
 *
 * @throws {@link FormatError} when a tensor cannot be read or the names belong to no layout; {@link ConfigError} when
 * the configuration is missing, cannot be used or contradicts the tensors, naming the tensor; {@link InputError} when a
 * weight is not finite or a file cannot be read.
 * @category Files
 * @example
 * ```ts
 * import { openCheckpoint, transformerFromCheckpoint, writeSafetensors } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const config = new TextEncoder().encode(JSON.stringify(model.config));
 * const files = new Map([["model.safetensors", writeSafetensors(model.weights)], ["config.json", config]]);
 * const checkpoint = await openCheckpoint(files);
 * const again = await transformerFromCheckpoint(checkpoint);
 * await checkpoint.close();
 * console.log(again.config.n_layers, again.parameterCount === model.parameterCount);
 * // 2 true
 * ```
 */
export async function transformerFromCheckpoint(
  checkpoint: Checkpoint,
  options: TransformerFromCheckpointOptions = {},
): Promise<Transformer> {
  requireKind(
    CHECKPOINT,
    checkpoint,
    "checkpoint",
    "transformerFromCheckpoint",
    options,
    "config signal onProgress prefix ignore act_fn",
  );
  return transformerOf("transformerFromCheckpoint", checkpoint, options);
}

/** {@link transformerFromCheckpoint} on behalf of another operation. */
export async function transformerOf(
  operation: string,
  checkpoint: Checkpoint,
  options: TransformerFromCheckpointOptions & Pick<Known, "bos">,
): Promise<Transformer> {
  const { config, signal, onProgress } = options;
  const source = { operation, name: checkpoint.name };
  const json = toJson(config ?? configOf(checkpoint, operation), operation, "config.json");
  const listed: ListedTensors = {
    keys: () => namesOfParts(checkpoint.tensors.keys(), checkpoint),
    shapeOf: (name) => checkpoint.tensors.get(name)?.shape,
  };
  const bytesOf = (name: string): number => checkpoint.tensors.get(name)?.byteLength ?? 0;
  const detected = detect(listed, json, source, options);
  const total = [...detected.names.values()].flat().reduce((sum, name) => sum + bytesOf(name), 0);
  const making = building(detected, json, source, { ...options, optimizer: checkpoint.values.optimizer });
  const seen = new Set<string>();
  let done = 0;
  let step = making.next();
  while (step.done !== true) {
    const name = step.value;
    signal?.throwIfAborted();
    if (!seen.has(name)) done += bytesOf(name);
    seen.add(name);
    checkTotal(checkpoint, done, operation);
    const tensor = await checkpoint.read(name, { signal });
    onProgress?.(done, total);
    step = making.next(tensor);
  }
  // What is not read, such as masks, is done with as well.
  if (done < total) onProgress?.(total, total);
  return step.value;
}

/** The configuration that comes with a checkpoint; a converted one keeps that of its file as JSON in its header. */
function configOf(checkpoint: Checkpoint, operation: string): unknown {
  const { config, settings, metadata, unread } = checkpoint;
  if (config !== undefined) return config;
  if (settings !== undefined) return settings;
  const foreign = SURE_SETTINGS.find((name) => unread.has(name));
  if (foreign !== undefined) {
    const source = { operation, name: checkpoint.name };
    const what = unread.get(foreign) ?? "";
    throw fault(source, `its ${foreign} is ${what}, which is not read. Pass the configuration.`);
  }
  const parsed = SETTINGS.flatMap((name) => {
    const text = metadata.get(name);
    if (text?.startsWith("{") !== true) return [];
    return [[name, toJson(text, operation, `${name} in the metadata`) as PlainValue] as const];
  });
  return settingsIn(plainObject(parsed))?.[1];
}
