/** A model trained in the page, a stretch of steps at a time: between two of them the page may change its mind. */
import { edit } from "transformer-circuits/interventions";
import { drawTrainingFilm, drawTrainingFrame } from "transformer-circuits/figures";
import { loadTokenizer, trainTokenizer, writeSafetensors } from "transformer-circuits/io";
import { filmFrame, filmProbe, train, trainingFilm, trainingPhases, trainingRecipe } from "transformer-circuits/train";
import type {
  EditStretch,
  FilmFrame,
  FilmProbe,
  RecipeJSON,
  TextEncoding,
  TrainingRecipe,
  TrainingState,
} from "transformer-circuits/train";
import type {
  FiguresReply,
  RecipeReply,
  TrainAsk,
  TrainChoice,
  TrainedReply,
  TrainReply,
  TrainScore,
} from "../protocol.ts";
import { InputError } from "./errors.ts";
import type { HeadLabel } from "./session.ts";
import { send } from "./work.ts";

/** Milliseconds of a stretch. */
const STRETCH = 200;
/** Milliseconds from one drawing of the film to the next while it grows. */
const DRAWING = 1000;
/** Checkpoints of a film: measuring one takes as long as a few steps of a small model. */
const FRAMES = 50;
/** As large as a page may train. */
const MOST_PARAMETERS = 2e6;

interface Run {
  choice: TrainChoice;
  /** What the choice comes to; of more steps where the run goes on for longer. */
  recipe: TrainingRecipe;
  /** Of a text, as JSON. */
  readonly tokenizer: string | undefined;
  readonly probe: FilmProbe;
  every: number;
  readonly frames: FilmFrame[];
  /** Undefined before the first step. */
  state: TrainingState | undefined;
  /** The heads that are ablated, and from which step on. */
  readonly ablated: EditStretch[];
  off: readonly string[];
  drawn: number;
}

let run: Run | undefined;

/** What a choice comes to, before anything is trained. */
export function recipe({ choice }: { readonly choice: TrainChoice }): RecipeReply {
  const { config, options, data, floors, toJSON } = recipeOf(choice);
  const text = "length" in data ? `, ${data.length.toLocaleString("en")} tokens of text` : "";
  const { n_layers, n_heads, d_model, d_vocab, n_ctx } = config;
  const { optimizer, seed = 0 } = toJSON();
  return {
    name: data.name,
    steps: options.steps,
    rate: Number(optimizer?.["lr"]),
    n_layers,
    n_heads,
    d_model,
    seed,
    sizes: `${d_vocab} tokens, prompts of ${n_ctx}${text}`,
    floors: Object.entries(floors).map(([name, loss]) => ({ name, loss })),
  };
}

function recipeOf({ data, text, layers, heads, width, steps, rate, seed }: TrainChoice): TrainingRecipe {
  const model = { n_layers: layers, n_heads: heads, d_model: width };
  const beside = text === undefined ? {} : { text, tokenizer: (size: number) => encodingOf(text, size) };
  const usual = rate === undefined ? undefined : trainingRecipe({ data: { kind: data } }, beside).toJSON().optimizer;
  const json: RecipeJSON = {
    data: { kind: data },
    model,
    steps,
    seed,
    ...(usual && { optimizer: { ...usual, lr: rate } }),
  };
  const made = trainingRecipe(json, beside);
  const { n_layers, n_heads, d_model, d_head, d_vocab } = made.config;
  const parameters = n_layers * 4 * n_heads * d_model * d_head + 2 * d_vocab * d_model;
  if (parameters <= MOST_PARAMETERS) return made;
  throw new InputError(
    `A model of ${parameters.toLocaleString("en")} parameters is more than a page should train. Choose a smaller one, or train it with npx transformer-circuits train.`,
  );
}

interface Encoding extends TextEncoding {
  readonly text: string;
  readonly size: number;
  readonly json: string;
}

let encoding: Encoding | undefined;

/** The tokenizer that a text gives, and its ids: both are made once for a text. */
function encodingOf(text: string, size: number): Encoding {
  if (encoding?.text === text && encoding.size === size) return encoding;
  const json = trainTokenizer(text, { vocabSize: size });
  const tokenizer = loadTokenizer(json);
  const { vocabSize, bos } = tokenizer;
  const ids = tokenizer.encode(text);
  encoding = { text, size, json: JSON.stringify(json), vocabSize, bos, encode: () => ids };
  return encoding;
}

/** Trains for a moment: from the start where a run is asked for, or on from where it is. */
export async function trainOn({ choice, isNew, off }: TrainAsk): Promise<TrainReply> {
  if (isNew || run === undefined) run = begin(choice);
  const now = run;
  if (choice.steps !== now.choice.steps) lengthen(now, choice.steps);
  ablate(now, off);
  const { options, data, start } = now.recipe;
  const at = now.state?.step ?? 0;
  const next = Math.min(options.steps, (Math.floor(at / now.every) + 1) * now.every);
  const began = performance.now();
  const before = now.state?.model ?? start();
  let [steps, total] = [0, 0];
  if (at < options.steps) {
    const done = await train(now.state ?? before, data, {
      ...options,
      edits: now.ablated,
      steps: next,
      onStep: ({ loss }) => {
        steps++;
        total += loss;
        return performance.now() - began > STRETCH ? "stop" : undefined;
      },
    });
    if (at === 0) measure(now, 0, done.losses[0] ?? NaN, before);
    now.state = done.state;
    if (done.state.step === next) measure(now, next, total / steps, done.model);
  }
  return replyOf(now, steps === 0 ? NaN : total / steps);
}

function begin(choice: TrainChoice): Run {
  const made = recipeOf(choice);
  const { config, heldOut: data } = made;
  return {
    choice,
    recipe: made,
    tokenizer: choice.text === undefined ? undefined : encoding?.json,
    probe: filmProbe(config, { data }),
    every: everyOf(made),
    frames: [],
    state: undefined,
    ablated: [],
    off: [],
    drawn: -Infinity,
  };
}

/** A run that goes on to other steps; its film has as many checkpoints as one that was begun so. */
function lengthen(now: Run, steps: number | undefined): void {
  now.choice = { ...now.choice, steps };
  now.recipe = recipeOf(now.choice);
  now.every = Math.max(now.every, everyOf(now.recipe));
}

const everyOf = ({ options: { steps } }: TrainingRecipe): number => Math.max(1, Math.round(steps / FRAMES));

/** From this step on these heads give nothing, and others are as they are. */
function ablate(now: Run, off: readonly string[]): void {
  if (off.join() === now.off.join()) return;
  const step = now.state?.step ?? 0;
  const last = now.ablated.pop();
  if (last !== undefined && (last.from ?? 0) < step) now.ablated.push({ ...last, to: Math.min(last.to ?? step, step) });
  if (off.length > 0) now.ablated.push({ from: step, edits: off.map((label) => edit(label as HeadLabel, "zero")) });
  now.off = off;
}

function measure({ frames, probe }: Run, step: number, loss: number, model: TrainingState["model"]): void {
  frames.push(filmFrame(model, { step, loss, probe }));
}

function replyOf(now: Run, loss: number): TrainReply {
  const { frames, recipe: made, state } = now;
  const step = state?.step ?? 0;
  const isDone = step >= made.options.steps;
  const film = trainingFilm(frames, { floors: made.floors });
  const isDue = performance.now() - now.drawn >= DRAWING && frames[frames.length - 1]?.step === step;
  const figure = isDue && !isDone ? send(drawTrainingFrame(film)) : undefined;
  if (figure !== undefined) now.drawn = performance.now();
  return { step, steps: made.options.steps, loss, isDone, figure, scores: scoresOf(frames[frames.length - 1]) };
}

function scoresOf(frame: FilmFrame | undefined): readonly TrainScore[] {
  if (frame?.heads === undefined) return [];
  const { previous, prefixMatching } = frame.heads;
  const rows = ({ excess }: typeof previous): number[][] => excess.toNested() as number[][];
  return [
    { key: "induction", label: "induction", values: rows(prefixMatching) },
    { key: "previous", label: "previous token", values: rows(previous) },
  ];
}

/** The film as far as it is, with a slider, and what it shows. */
export function film(): FiguresReply {
  const { frames, recipe: made } = current();
  const whole = trainingFilm(frames, { floors: made.floors });
  return {
    figures: [send(drawTrainingFilm(whole))],
    notes: trainingPhases(whole).map(({ evidence: { text } }) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`),
  };
}

/** The model as it is, as the files of a checkpoint. */
export function trained(): TrainedReply {
  const { state, choice, recipe: made, tokenizer } = current();
  const model = state?.model ?? made.start();
  return {
    name: `${choice.data}-${state?.step ?? 0}.safetensors`,
    weights: writeSafetensors(model.weights, { metadata: { format: "pt" } }),
    config: `${JSON.stringify(model.config, null, 2)}\n`,
    tokenizer,
  };
}

function current(): Run {
  if (run !== undefined) return run;
  throw new InputError("Nothing was trained yet. Start a run first.");
}
