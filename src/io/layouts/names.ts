/**
 * The names of a model's tensors, found behind what training code puts before and between them: of a compiled,
 * checkpointed or distributed module, of the model's part of a larger one.
 */
import { InputError } from "../../errors.ts";
import type { ActivationFunction } from "../../model/index.ts";
import { some } from "../checkpoint/files.ts";
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { inPattern } from "../in-pattern.ts";

/**
 * Which tensors of a checkpoint are the model, and what it does not say itself.
 *
 * What `torch.compile`, `DistributedDataParallel`, FSDP, activation checkpointing, Lightning and trl put into names is
 * taken out without being asked for, and the model is found below any one prefix.
 * @category Files
 */
export interface LayoutOptions {
  /**
   * What stands before the names of the model, `"policy.net."`, where a checkpoint holds several or they are not found.
   */
  readonly prefix?: string | undefined;
  /**
   * Names of tensors that are no part of the model and are passed over; `*` stands for any characters: `["probe.*"]`.
   */
  readonly ignore?: readonly string[] | undefined;
  /**
   * What the neurons of nanoGPT and minGPT compute, which their checkpoints do not say: `"gelu"` or, older ones,
   * `"gelu_new"`.
   */
  readonly act_fn?: ActivationFunction | undefined;
}

/** What a loading function knows beside the configuration. */
export interface Known extends LayoutOptions {
  /** The token that begins sequences, by the tokenizer. */
  readonly bos?: ((d_vocab: number) => number | undefined) | undefined;
  /** The optimizer's state in the same file, which tells a checkpoint's age. */
  readonly optimizer?: unknown;
}

/** Parts of names that modules around modules add, wherever they stand. */
const WRAPPERS: ReadonlySet<string> = new Set([
  ...["_orig_mod", "module", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_fpw_module", "_forward_module"],
]);

/** What training code calls the model, or its part of a checkpoint. */
const HOLDERS = /^((model|state_dict|model_state_dict|pretrained_model|net|network|lm)\.)*$/;

/** Names without wrappers, each with the full one; of two that are then the same, both. */
export type BareNames = ReadonlyMap<string, readonly string[]>;

/** The tensors' names without wrappers, below the prefix where one is given, less what is to be passed over. */
export function bareNames(names: Iterable<string>, options: LayoutOptions, source: Source): BareNames {
  const { prefix = "", ignore = [] } = options;
  if (typeof prefix !== "string") throw wrongOption("prefix", "a text", prefix, source);
  if (!Array.isArray(ignore) || ignore.some((pattern) => typeof pattern !== "string")) {
    throw wrongOption("ignore", "a list of names", ignore, source);
  }
  const patterns = (ignore as readonly string[]).map(patternOf);
  const all = [...names];
  const found = new Map<string, string[]>();
  for (const name of all) {
    if (!name.startsWith(prefix) || patterns.some((pattern) => pattern.test(name))) continue;
    const parts = name.slice(prefix.length).split(".");
    const bare = parts.filter((part, i) => i === parts.length - 1 || !WRAPPERS.has(part)).join(".");
    found.set(bare, [...(found.get(bare) ?? []), name]);
  }
  if (found.size === 0 && prefix !== "") {
    throw fault(source, `no tensor's name begins with the prefix ${JSON.stringify(prefix)}; they are ${some(all, 4)}.`);
  }
  return found;
}

function wrongOption(argument: string, expected: string, actual: unknown, { operation }: Source): InputError {
  return new InputError(`${argument} is ${JSON.stringify(actual)}; it is ${expected}.`, {
    operation,
    argument,
    expected,
    actual,
  });
}

function patternOf(pattern: string): RegExp {
  return new RegExp(`^${pattern.split("*").map(inPattern).join(".*")}$`);
}

/** A name by which a layout is known, and the layout. */
export type Sign<L extends string> = readonly [name: string, layout: L];

/**
 * The first sign that is there behind nothing but the words for a model; then the first behind one prefix of any kind
 * below which another sign of the same layout stands as well.
 */
export function findSign<L extends string>(
  names: BareNames,
  signs: readonly Sign<L>[],
  source: Source,
): { layout: L; prefix: string } | undefined {
  const behind = (name: string): string[] => {
    const all = [...names.keys()].filter((other) => other === name || other.endsWith(`.${name}`));
    return all.map((other) => other.slice(0, other.length - name.length));
  };
  for (const [name, layout] of signs) {
    const [prefix] = behind(name)
      .filter((before) => HOLDERS.test(before))
      .sort((a, b) => a.length - b.length);
    if (prefix !== undefined) return { layout, prefix };
  }
  for (const [name, layout] of signs) {
    const others = signs.filter(([other, its]) => its === layout && other !== name);
    const found = behind(name).filter((before) => others.some(([other]) => names.has(before + other)));
    const [prefix, second] = found;
    if (second !== undefined) {
      throw fault(
        source,
        `there are several models, below ${found.map((before) => JSON.stringify(before)).join(", ")}. Say which with the option prefix.`,
      );
    }
    if (prefix !== undefined) return { layout, prefix };
  }
  return undefined;
}

/** The matrices that make logits, which may stand beside the module that holds the rest. */
const HEADS = ["lm_head.weight", "lm_head.bias", "embed_out.weight", "head.weight"];

/** The names below a prefix without it; a head beside what the prefix names is part of the model. */
export function below(names: BareNames, prefix: string): BareNames {
  const found = new Map<string, readonly string[]>();
  for (const [name, full] of names) if (name.startsWith(prefix)) found.set(name.slice(prefix.length), full);
  const parts = prefix.split(".").slice(0, -1);
  for (let depth = parts.length - 1; depth >= 0; depth--) {
    const outer = parts
      .slice(0, depth)
      .map((part) => `${part}.`)
      .join("");
    for (const head of HEADS) {
      const full = names.get(outer + head);
      if (full !== undefined && !found.has(head)) found.set(head, full);
    }
  }
  return found;
}
