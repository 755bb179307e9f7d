/** Models, prompts and results of EAP-IG's own code; test/fixtures/circuits/make.py made them. */
import { readFileSync } from "node:fs";
import { circuitGraph } from "../../../src/interventions/index.ts";
import { parseSafetensors } from "../../../src/io/index.ts";
import { logitDifference, parseConfig, Transformer } from "../../../src/model/index.ts";
import type { Metric } from "../../../src/model/index.ts";
import type { CircuitGraph } from "../../../src/interventions/index.ts";
import { root, readText } from "../../support/files.ts";

export interface EapIgModel {
  readonly name: string;
  readonly model: Transformer;
  /** As EAP-IG makes it: with MLPs, whatever the model has. */
  readonly graph: CircuitGraph;
  readonly clean: number[][];
  readonly corrupted: number[][];
  readonly difference: Metric;
  readonly edges: string[];
  readonly scores: Record<string, number[]>;
  readonly areas: Record<string, { counts: number[]; cpr: number; cmd: number; faithfulness: number[] }>;
  readonly kept: Record<string, { edges: string[]; nodes: string[]; values: number[] | null }>;
  readonly metric: number[];
  readonly neurons: readonly NeuronCase[];
}

/** A circuit that keeps some neurons of nodes alone, and what it gives. */
export interface NeuronCase {
  readonly kind: string;
  readonly edges: string[];
  readonly neurons: Record<string, boolean[]>;
  readonly values: Record<string, number[]>;
}

interface Stored extends Omit<EapIgModel, "name" | "model" | "graph" | "difference" | "neurons"> {
  readonly config: Record<string, unknown>;
  readonly answer: number[];
  readonly wrong: number[];
}

const folder = "test/fixtures/circuits";
const file = JSON.parse(readText(`${folder}/eap-ig.json`)) as { steps: number; models: Record<string, Stored> };

/** By neurons.py beside it. */
const neuronCases = JSON.parse(readText(`${folder}/neurons.json`)) as Record<string, NeuronCase[]>;

export const STEPS = file.steps;

export const eapIgModels: readonly EapIgModel[] = Object.entries(file.models).map(([name, stored]) => {
  const { config: raw, answer, wrong, ...rest } = stored;
  const config = parseConfig(
    Object.fromEntries(Object.entries(raw).filter(([key, value]) => key !== "act_fn" || value !== null)),
  );
  const bytes = parseSafetensors(readFileSync(`${root}/${folder}/${name}.safetensors`));
  const tensors = new Map([...bytes.tensors.keys()].map((key) => [key, bytes.read(key)]));
  const graph = circuitGraph({ ...config, parallel_attn_mlp: config.parallel_attn_mlp ?? false, attn_only: false });
  const model = Transformer.fromWeights(config, tensors);
  const neurons = neuronCases[name] ?? [];
  return { ...rest, name, model, graph, difference: logitDifference({ answer, wrong }), neurons };
});

export const circuitText = (name: string): string => readText(`${folder}/${name}.json`);
