/** Plans: which jobs they are made of, and what is refused before anything is opened. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JobKind } from "../../src/jobs/index.ts";
import { parseJobPlan } from "../../src/jobs/index.ts";
import { refusal } from "../support/refusal.ts";

const prompts = { repeated: { length: 4 } };
const patching = { kind: "patching", at: "z", over: "layer head", clean: prompts, put: "zero", metric: "loss" };
const paths = { kind: "path-patching", clean: prompts, put: "zero", metric: "loss" };

describe("the jobs of a plan", () => {
  test("go by model, by task, by seed, and each is known by its place", () => {
    const plan = parseJobPlan({
      models: ["bundled", { name: "other", path: "folder/other" }],
      seeds: [7, 3],
      tasks: [
        { kind: "head-scores", name: "scores", batch: 2 },
        { kind: "ablation", prompts, models: ["other"], seeds: { from: 5, count: 3 } },
        { kind: "composition" },
      ],
    });
    const jobs = Array.from({ length: plan.size }, (_, i) => plan.job(i));
    expect(jobs.map(({ index, model, task, seed }) => `${index} ${model?.name} ${task} ${seed}`)).toEqual([
      "0 bundled scores 7",
      "1 bundled scores 3",
      "2 bundled composition 0",
      "3 other scores 7",
      "4 other scores 3",
      "5 other ablation 5",
      "6 other ablation 6",
      "7 other ablation 7",
      "8 other composition 0",
    ]);
    expect(jobs[0]).toEqual({
      ...{ plan: plan.digest, index: 0, task: "scores", kind: "head-scores", seed: 7 },
      ...{ model: { name: "bundled", path: "bundled" }, settings: { batch: 2 } },
    });
  });

  test("that draw nothing at random are done once a model: given tokens, composition, patching without resampling", () => {
    const tokens = { tokens: [[1, 2, 3]] };
    const sizes = [
      { kind: "composition" },
      { kind: "ablation", prompts: tokens },
      { ...patching, clean: tokens },
      { kind: "ablation", prompts },
      { ...patching, clean: { tokens: [[1, 2]] }, put: "resample" },
      patching,
    ].map((task) => parseJobPlan({ models: ["a", "b"], seeds: { count: 10 }, tasks: [task] }).size);
    expect(sizes).toEqual([2, 2, 2, 20, 20, 20]);
  });

  test("without a model come first, once and not per model", () => {
    const kind: JobKind = { columns: {}, hasModel: false, run: () => [] };
    const tasks = [{ kind: "composition" }, { kind: "own", seeds: [1, 2] }];
    const plan = parseJobPlan({ models: ["a", "b"], tasks }, { kinds: { own: kind } });
    expect(Array.from({ length: plan.size }, (_, i) => plan.job(i).kind)).toEqual([
      ...["own", "own", "composition", "composition"],
    ]);
  });

  test("are millions without being listed", () => {
    const plan = parseJobPlan({
      models: ["a", "b", "c"],
      seeds: { from: 1, count: 5e6 },
      tasks: [{ kind: "head-scores" }],
    });
    expect(plan.size).toBe(15e6);
    expect(plan.job(9_999_999)).toMatchObject({ model: { name: "b" }, seed: 5e6 });
    expect(plan.job(10_000_000)).toMatchObject({ model: { name: "c" }, seed: 1 });
  });
});

describe("the digest of a plan", () => {
  const settings = fc.dictionary(fc.string(), fc.jsonValue());
  const kinds = { own: { columns: {}, hasModel: false, run: () => [] } satisfies JobKind };
  const digest = (task: object): string => parseJobPlan({ tasks: [{ kind: "own", settings: task }] }, { kinds }).digest;

  test("is FNV-1a of 64 bits: values computed by Python from its definition", () => {
    // h = 0xcbf29ce484222325; for b in b'{"models":["a"],"tasks":[{"kind":"composition"}]}':
    //     h = (h ^ b) * 0x100000001b3 % 2**64
    expect(parseJobPlan({ tasks: [{ kind: "composition" }], models: ["a"] }).digest).toBe("965a97d659558d8a");
  });

  test("does not change with the order of names, and does with any value", () => {
    fc.assert(
      fc.property(settings, settings, (a, b) => {
        const turned = Object.fromEntries(Object.entries(a).reverse());
        expect(digest(turned)).toBe(digest(a));
        const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(digest(a) === digest(b)).toBe(isSame);
      }),
      { seed: 1, numRuns: 60 },
    );
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .map(([key, one]) => [key, sorted(one)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

describe("what is no plan is refused, with the place", () => {
  const task = { kind: "head-scores" };
  const models = ["bundled"];
  const own: JobKind = { columns: { layer: "text" }, run: () => [] };
  const common: JobKind = { columns: { seed: "whole" }, run: () => [] };
  test.each([
    ["{", "FormatError: parseJobPlan: the plan is no JSON"],
    [{ models, tasks: [task], seed: 1 }, 'there is no option "seed". Did you mean seeds?'],
    [{ models }, "tasks is no list of tasks"],
    [{ models, tasks: [] }, "tasks is no list of tasks"],
    [{ models, tasks: [3] }, "tasks[0] is 3, not an object"],
    [
      { models, tasks: [{ kind: "head-score" }] },
      'tasks[0].kind is "head-score", which is no kind of job. Did you mean',
    ],
    [{ models, tasks: [{ kind: "toString" }] }, 'tasks[0].kind is "toString", which is no kind of job. The kinds are'],
    [{ models, tasks: [task, task] }, 'two tasks are called "head-scores"'],
    [
      { models, tasks: [{ ...task, lenght: 3 }] },
      'tasks[0], "head-scores": there is no option "lenght". Did you mean length?',
    ],
    [{ models, tasks: [{ ...task, length: 0 }] }, "length is 0; give a whole number of at least 1"],
    [{ models, tasks: [{ ...task, length: "20" }] }, 'length is "20"; give a whole number'],
    [{ models, tasks: [{ ...task, models: ["other"] }] }, 'tasks[0].models names "other", and the models are bundled'],
    [{ models, tasks: [{ ...task, seeds: [] }] }, "tasks[0].seeds is an empty list"],
    [{ tasks: [task] }, "runs on models, and the plan names none"],
    [{ models: "bundled", tasks: [task] }, 'models is "bundled"; give a list'],
    [{ models: [{ path: "a" }], tasks: [task] }, "models[0] needs a name and a path"],
    [
      { models: [{ glob: "a/*" }], tasks: [task] },
      "models[0] is a pattern, and no files are known here. Read the plan",
    ],
    [{ models: ["a", "a"], tasks: [task] }, 'two models are called "a"'],
    [{ models, seeds: [1, 1], tasks: [task] }, "seeds names a seed twice"],
    [{ models, seeds: [-1], tasks: [task] }, "seeds holds -1"],
    [{ models, seeds: [0.5], tasks: [task] }, "seeds holds 0.5"],
    [{ models, seeds: { count: 0 }, tasks: [task] }, "seeds has count 0"],
    [{ models, seeds: { from: 2 ** 32 - 1, count: 2 }, tasks: [task] }, "seeds leaves the seeds there are"],
    [{ models, seeds: 5, tasks: [task] }, "seeds is 5, not an object"],
    [{ models, tasks: [{ kind: "ablation" }] }, "prompts is null, not an object"],
    [{ models, tasks: [{ kind: "ablation", prompts: {} }] }, "prompts needs one of"],
    [
      { models, tasks: [{ kind: "ablation", prompts: { tokens: [[1, 2.5]] } }] },
      "prompts.tokens is an array; give lists of token ids",
    ],
    [
      { models, tasks: [{ kind: "ablation", prompts, value: "none" }] },
      'value is "none"; the choices are zero, mean, meanOverAll',
    ],
    [{ models, tasks: [{ ...patching, metric: "accuracy" }] }, 'metric is "accuracy"; give "loss"'],
    [{ models, tasks: [{ ...patching, metric: { loss: {} } }] }, "metric is an object; give"],
    [{ models, tasks: [{ ...patching, over: undefined }] }, "over is missing"],
    [{ models, tasks: [{ ...paths, senders: [] }] }, "senders is an array; give a list, as senders"],
    [{ models, tasks: [{ ...paths, through: "L0H1" }] }, 'through is "L0H1"; give a list'],
    [{ models, tasks: [{ ...paths, mlps: "held" }] }, "mlps"],
    [{ models, tasks: [{ ...paths, over: "layer head" }] }, "over"],
    [{ models, tasks: [{ ...paths, metric: "accuracy" }] }, 'metric is "accuracy"; give "loss"'],
    [{ models, tasks: [{ kind: "composition", norms: "own" }] }, 'norms is "own"'],
    [
      { models, seeds: { count: 2 ** 25 }, tasks: [1, 2, 3].map((n) => ({ ...task, name: `${n}` })) },
      "jobs; at most 67108864 are run",
    ],
    [{ models, tasks: [task, { kind: "own" }] }, 'column "layer" of kind own is there already, of head-scores'],
    [{ models, tasks: [{ kind: "common" }] }, 'column "seed" of kind common is there already, of every kind'],
  ] as const)("%j", (json, text) => {
    expect(String(refusal(() => parseJobPlan(json, { kinds: { own, common } })))).toContain(text);
  });

  test("a job that it does not have", () => {
    const plan = parseJobPlan({ models, tasks: [task] });
    for (const index of [-1, 1, 0.5, NaN]) expect(() => plan.job(index)).toThrow(/there is no job .*has 1/);
  });
});
