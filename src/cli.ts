#!/usr/bin/env node
/**
 * The command: `transformer-circuits report` analyses a model and writes the report, `figure` makes one figure of the
 * papers; `train` makes a model from nothing; `sweep` runs the jobs of a plan; `inspect` lists a checkpoint's tensors,
 * `convert` makes safetensors of it; `docs` prints the documentation.
 *
 * The work of reports and figures runs in a worker thread, which is this same file.
 */
import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { isMainThread, workerData } from "node:worker_threads";
import { nearestNames } from "./nearest.ts";
import type {
  ConvertCommandOptions,
  FigureCommandOptions,
  FigureJob,
  InspectCommandOptions,
  JobThread,
  ReportCommandOptions,
  MergeCommandOptions,
  ReportJob,
  StatusCommandOptions,
  SweepCommandOptions,
  TrainCommandOptions,
  WorkCommandOptions,
} from "./cli/index.ts";

const NAME = "transformer-circuits";
const DEFAULT_OUTPUT = "transformer-circuits-report.html";
const CANCELLED = 130;

const EXAMPLES = `
Examples:
  $ ${NAME}
      analyses the model that comes with the package and writes ${DEFAULT_OUTPUT}
  $ ${NAME} report models/attn-only-2l --text moby-dick.txt -o attn-only-2l.html
      analyses a folder with weights, config.json and tokenizer.json on a text
  $ ${NAME} report downloads/attn_only_2L_half.pth --tokens ids.json
      analyses a single file, PyTorch's or any other that inspect takes
  $ ${NAME} report models/gpt2 --threads 8
      on eight threads, for large models
  $ ${NAME} report models/toy --tokens ids.json --seed 3 --json toy.json
      analyses a model without a tokenizer on token ids, and keeps the numbers
  $ ${NAME} figure ov-eigenvalues models/attn-only-2l -o eigenvalues.svg
      makes one figure; figure --list shows which there are
  $ ${NAME} train -o runs/one --film
      trains a model on repeated tokens until induction heads form; the same again goes on where it was stopped
  $ ${NAME} inspect attn_only_2L_half.pth
      lists the tensors of a checkpoint
  $ ${NAME} convert attn_only_2L_half.pth model.safetensors
      makes safetensors of it
  $ ${NAME} sweep plan.json --shard 3/64
      runs the third of 64 parts of a sweep; sweep status and sweep merge show and join the results
  $ ${NAME} docs logit lens
      lists what the documentation has on it; docs logitLens prints one name, docs alone what there is

The report is one HTML file that opens without a network. Exit status: 0 done, 1 failed, 2 wrong usage, ${CANCELLED} cancelled.`;

const TRAINING_DATA = ["repeated-tokens", "markov-chains", "skip-trigrams", "associative-recall", "max-of-k", "text"];

const TRAIN_EXAMPLES = `
Without options, induction heads form. What is left out is as in a run that is known to work on the data.

Examples:
  $ ${NAME} train --data markov-chains -o runs/chains --film
      Markov chains that the model learns in context; film.html shows what forms
  $ ${NAME} train --layers 1 -o runs/one-layer && ${NAME} report runs/one-layer --tokens ids.json
      one layer, which forms none; the report takes the folder
  $ ${NAME} train --text moby-dick.txt --vocab 1024 --steps 5000 -o runs/whale
      a text of one's own
  $ ${NAME} train -o runs/one --steps 2000
      takes up the run in that folder and comes to 2000 steps`;

/** This file, which the worker runs again. */
const command = fileURLToPath(import.meta.url);

type Commander = typeof import("commander");
type Program = InstanceType<Commander["Command"]>;
type End = (status: number) => void;

/** Reads the command line; returns the exit status. */
async function main(argv: readonly string[]): Promise<number> {
  const commander = await import("commander");
  let status = 0;
  const end: End = (code) => (status = code);
  const program = new commander.Command(NAME)
    .description("Takes transformers apart: circuits, composition, path expansion, induction heads.")
    .version(await ownVersion(), "-V, --version", "print the version")
    .addHelpText("after", EXAMPLES)
    .exitOverride();
  addReport(program, commander, end);
  addFigure(program, commander, end);
  addTrain(program, commander, end);
  addFiles(program, commander, end);
  addSweep(program, commander, end);
  addDocs(program, end);
  const meant = await commandMeant(argv[2], program);
  if (meant !== undefined) {
    process.stderr.write(`error: there is no command or path '${argv[2]}'. Did you mean ${meant}?\n`);
    return 2;
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof commander.CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return status;
}

/** The command that a first word comes near to which names none, and no file. */
async function commandMeant(word: string | undefined, program: Program): Promise<string | undefined> {
  const names = ["help", ...program.commands.map((one) => one.name())];
  if (word === undefined || !/^[a-z]+$/i.test(word) || names.includes(word)) return undefined;
  if (await stat(word).catch(() => undefined)) return undefined;
  return nearestNames(word, names, 1)[0];
}

/** Reads an option that is a whole number. */
function wholeNumber({ InvalidArgumentError }: Commander, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}

const TOKENS_HELP = "token ids instead of a text: a JSON list, or numbers between spaces or commas";
const SEED_HELP = "seed of the random tokens and heads";
const LAST_SEED = 2 ** 32 - 1;
const THREADS_HELP = "how many threads compute; the result is the same to the bit";
const MOST_THREADS = 64;

function addReport(program: Program, commander: Commander, end: End): void {
  program
    .command("report", { isDefault: true })
    .description("analyse a model and write the report (the default command)")
    .argument(
      "[path]",
      "a folder or file of weights, config.json and tokenizer.json beside it; the bundled model without one",
    )
    .option("-t, --text <file>", "the text to analyse the model on, UTF-8 (default: this package's declaration files)")
    .option("--tokens <file>", TOKENS_HELP)
    .option("-o, --output <file>", "where the report goes", DEFAULT_OUTPUT)
    .option("--json <file>", "where the numbers go as JSON; nowhere unless given")
    .option("--title <text>", "the report's title")
    .option("--film <file>", "the film of the model's training, film.json of train --film: a section of its own")
    .option("--seed <number>", SEED_HELP, wholeNumber(commander, 0, LAST_SEED), 0)
    .option("--max-tokens <number>", "how many tokens of the text are run", wholeNumber(commander, 1, 2 ** 31))
    .option("--threads <number>", THREADS_HELP, wholeNumber(commander, 1, MOST_THREADS), 1)
    .option("-f, --force", "overwrite files that are not reports")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string | undefined, options: ReportCommandOptions) => {
      const { report } = await import("./cli/index.ts");
      end(await report(command, path, options));
    });
}

function addFigure(program: Program, commander: Commander, end: End): void {
  program
    .command("figure")
    .description("make one figure of the papers of a model, as SVG, PNG or a page")
    .argument("[name]", "the figure's name; --list shows them")
    .argument(
      "[paths...]",
      "a model as report takes it, the bundled model without one; for figures of training several, or a folder of them",
    )
    .option("-l, --list", "list the figures by name, with what each needs")
    .option("-o, --output <file>", "where the figure goes, .svg, .png or .html (default: its name, in this folder)")
    .option("--png", "make an image; needs the optional package @resvg/resvg-js")
    .option("--json <file>", "where its data go as JSON; nowhere unless given")
    .option("-t, --text <file>", "the text to run the model on, UTF-8 (default: this package's declaration files)")
    .option("--tokens <file>", TOKENS_HELP)
    .option("--head <label>", "a head to show, as L1H4; once for each", (label, all: string[]) => [...all, label], [])
    .option("--title <text>", "the figure's title")
    .option("--seed <number>", SEED_HELP, wholeNumber(commander, 0, LAST_SEED), 0)
    .option("--threads <number>", THREADS_HELP, wholeNumber(commander, 1, MOST_THREADS), 1)
    .option("-f, --force", "overwrite files that are not figures")
    .action(async (name: string | undefined, paths: string[], options: FigureCommandOptions) => {
      const { figure } = await import("./cli/index.ts");
      end(await figure(command, name, paths, options));
    });
}

function addTrain(program: Program, commander: Commander, end: End): void {
  const { Option } = commander;
  const count = (most = 2 ** 31): ((text: string) => number) => wholeNumber(commander, 1, most);
  const rate = (text: string): number => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= 0 && value < Infinity) return value;
    throw new commander.InvalidArgumentError("Give a number of at least 0.");
  };
  program
    .command("train")
    .description("train a model from nothing; what was stopped goes on where it was, as if it had never stopped")
    .argument("[recipe]", "a file of JSON: a run, as run.json of another has it, or the configuration of a model")
    .option("-o, --out <folder>", "where the run lies", "training-run")
    .addOption(new Option("--data <kind>", "what it is trained on (default: repeated-tokens)").choices(TRAINING_DATA))
    .option("-t, --text <file>", "a text to train on, UTF-8; its tokenizer is trained too")
    .option("--vocab <number>", "tokens of the vocabulary", count())
    .option("--context <number>", "positions", count())
    .option("--batch <number>", "prompts in a step", count())
    .option("--layers <number>", "layers", wholeNumber(commander, 0, 1000))
    .option("--heads <number>", "heads of a layer", count(10_000))
    .option("--d-model <number>", "width of the residual stream", count())
    .option("--d-head <number>", "width of a head (default: d-model by heads)", count())
    .addOption(
      new Option("--positions <type>", "positional embeddings").choices(["standard", "shortformer", "rotary", "none"]),
    )
    .addOption(new Option("--norm <type>", "norms").choices(["LN", "RMS", "none"]))
    .addOption(new Option("--mlp <type>", "MLPs, by what is between their layers").choices(["none", "relu", "gelu"]))
    .option("--steps <number>", "steps to come to, those of an earlier run included", count())
    .addOption(new Option("--optimizer <name>", "the optimizer").choices(["adamw", "adam", "sgd"]))
    .option("--lr <number>", "its rate", rate)
    .option("--weight-decay <number>", "its weight decay", rate)
    .option("--warmup <steps>", "steps in which the rate climbs", count())
    .addOption(new Option("--schedule <kind>", "what the rate does then").choices(["constant", "linear", "cosine"]))
    .option("--clip <norm>", "the largest norm that gradients keep", rate)
    .addOption(
      new Option("--init <kind>", "how its weights begin").choices([
        ...["transformer-lens", "gpt2", "pytorch"],
        ...["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"],
      ]),
    )
    .option("--seed <number>", "seed of the first weights and of the data", wholeNumber(commander, 0, LAST_SEED))
    .option(
      "--zero <label>",
      "a head that gives nothing, as L0H1; once for each",
      (one, all: string[]) => [...all, one],
      [],
    )
    .option("--film", "film what forms: film.html, and film.json with its numbers")
    .option("--keep", "keep the model of each checkpoint, for the figures of training and for sweeps")
    .option("--every <steps>", "steps from one checkpoint to the next (default: a hundredth of all)", count())
    .option("-f, --force", "begin anew where the folder holds a run or a model")
    .addHelpText("after", TRAIN_EXAMPLES)
    .action(async (recipe: string | undefined, options: TrainCommandOptions) => {
      const { train } = await import("./cli/index.ts");
      end(await train(command, recipe, options));
    });
}

function addFiles(program: Program, { Option }: Commander, end: End): void {
  program
    .command("inspect")
    .description("list the tensors of a checkpoint, without reading them")
    .argument("<path>", "a file (safetensors, .pth, .pt, .bin, .ckpt, .npz, .npy), an index, or a folder")
    .option("--json", "print everything as JSON")
    .action(async (path: string, options: InspectCommandOptions) => {
      const { inspect } = await import("./cli/index.ts");
      end(await inspect(path, options));
    });
  program
    .command("convert")
    .description("convert a checkpoint to safetensors, with its config.json where there is one")
    .argument("<from>", "what inspect takes")
    .argument("<to>", "the file to be written, such as model.safetensors")
    .addOption(new Option("--dtype <type>", "round floating-point numbers").choices(["F32", "F16", "BF16"]))
    .option("-f, --force", "overwrite files that are there")
    .action(async (from: string, to: string, options: ConvertCommandOptions) => {
      const { convert } = await import("./cli/index.ts");
      end(await convert(from, to, options));
    });
}

function addSweep(program: Program, commander: Commander, end: End): void {
  const sweep = program
    .command("sweep")
    .description("run the jobs of a plan: patching, ablation, training, reports over seeds, checkpoints or models");
  const withPlan = (command: Program): Program =>
    command
      .argument("<plan>", "a file of JSON: models, seeds and tasks")
      .option("-r, --results <folder>", "where the results lie (default: beside the plan, plan-results for plan.json)")
      .option("--kinds <module>", "a module that exports further kinds of jobs");
  withPlan(sweep.command("run", { isDefault: true }))
    .description("run the jobs that are not done yet; what was killed goes on where it stopped (the default command)")
    .option("--shard <which>", "the part to run, as 3/64 (default: as Slurm or Kubernetes say, or all)")
    .option("--shards <number>", "how many there are, where only the index is told", wholeNumber(commander, 1, 1e6))
    .option("--threads <number>", "how many jobs run side by side", wholeNumber(commander, 1, 256), 1)
    .option("--queue <address>", "give the jobs to workers by way of Redis, as redis://host:6379")
    .action(async (path: string, options: SweepCommandOptions) => {
      const commands = await import("./cli/index.ts");
      end(await commands.sweep(command, path, options));
    });
  sweep
    .command("work")
    .description("do the jobs that sweep --queue gives, until told to stop")
    .requiredOption("--queue <address>", "where Redis is, as redis://host:6379")
    .option("--threads <number>", "how many jobs run side by side", wholeNumber(commander, 1, 256), 1)
    .option("--lock <ms>", "when the jobs of a killed worker go to others", wholeNumber(commander, 100, 1e7), 30_000)
    .option("--models <folder>", "from where paths count, of models and of what jobs save (default: this folder)")
    .option("--kinds <module>", "a module that exports further kinds of jobs")
    .action(async (options: WorkCommandOptions) => {
      const { sweepWork } = await import("./cli/index.ts");
      end(await sweepWork(command, options));
    });
  withPlan(sweep.command("merge"))
    .description("write the results of all shards into one file, in the order of the plan")
    .option("-o, --output <file>", "where they go (default: the folder's name and .jsonl)")
    .option("--partial", "go on where jobs are missing")
    .action(async (path: string, options: MergeCommandOptions) => {
      const { sweepMerge } = await import("./cli/index.ts");
      end(await sweepMerge(path, options));
    });
  withPlan(sweep.command("status"))
    .description("print how far the shards are")
    .option("--json", "print it as JSON")
    .action(async (path: string, options: StatusCommandOptions) => {
      const { sweepStatus } = await import("./cli/index.ts");
      end(await sweepStatus(path, options));
    });
}

function addDocs(program: Program, end: End): void {
  program
    .command("docs")
    .description("print the documentation: a document, a name, or what words lead to")
    .argument("[words...]", "a document, a name such as copyingScores, or words; what there is without any")
    .action(async (words: string[]) => {
      const { docs } = await import("./cli/index.ts");
      end(await docs(command, words));
    });
}

async function ownVersion(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return manifest.version;
}

/** The job that this file, run as a worker, was given. */
async function serve(job: FigureJob | ReportJob | JobThread): Promise<void> {
  const { serveFigure, serveReport, serveSweep } = await import("./cli/index.ts");
  if (job.command === "jobs") return serveSweep(job);
  await (job.command === "figure" ? serveFigure(job) : serveReport(job));
}

if (isMainThread) {
  // a reader that stops reading, such as head, is no failure
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  process.exitCode = await main(process.argv);
} else await serve(workerData as FigureJob | ReportJob | JobThread);
