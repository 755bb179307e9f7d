/** The section on the training run, where its film is given. */
import { drawTrainingFilm } from "../../figures/index.ts";
import { trainingFilmFromJSON, trainingPhases } from "../../train/index.ts";
import type { FilmFrame, TrainingPhase } from "../../train/index.ts";
import { reference, type PageContext, type Section } from "./context.ts";
import { markup } from "./html.ts";
import type { Html } from "./html.ts";
import { count, whole } from "./words.ts";

/** What formed while the model was trained; nothing without a film. */
export function training(page: PageContext): Section | undefined {
  if (page.data.film === undefined) return undefined;
  const film = trainingFilmFromJSON(page.data.film);
  const phases = trainingPhases(film);
  const [first, last] = [film.frames[0], film.frames.at(-1)] as [FilmFrame, FilmFrame];
  const when =
    film.frames.length === 1
      ? `once, at step ${whole(first.step)}`
      : `at ${count(film.frames.length, "checkpoint")}, from step ${whole(first.step)} to ${whole(last.step)}`;
  return {
    id: "training",
    title: "What formed while it was trained",
    short: "Training",
    body: markup`<div class="text">
        <p>
          While the model was trained it was measured ${when}: what its heads do, which of them compose, and what its
          losses were on prompts of the film’s own. A head formed where its attention rose surely above chance, and the
          bump (${reference("heads", true)}) is where the in-context score fell surely faster than evenly.
        </p>
        ${phases.length === 0 ? markup`<p>No phase can be told in it.</p>` : phaseList(phases)}
      </div>
      ${page.figure(drawTrainingFilm(film, { title: "", subtitle: "" }), {
        text: markup`The model at each checkpoint: losses, attention to the token before and to what followed earlier
        copies, composition, copying, and what each order of paths was worth. The slider goes from step to step.`,
      })}`,
  };
}

function phaseList(phases: readonly TrainingPhase[]): Html {
  return markup`<ul>
    ${phases.map(
      ({ name, from, to, evidence }) =>
        markup`<li><b>${name}</b>, steps ${whole(from)} to ${whole(to)}: ${evidence.text}.</li>`,
    )}
  </ul>`;
}
