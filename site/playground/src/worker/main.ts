/** The worker: one job at a time, as good as in the order asked; those cancelled in the queue are left out. */
import type { JobName, Jobs, Request, Response } from "../protocol.ts";
import { circuit } from "./circuits.ts";
import { compare } from "./comparison.ts";
import { composition } from "./composition.ts";
import { InputError, sent } from "./errors.ts";
import { expansion } from "./expansion.ts";
import { heads } from "./heads.ts";
import { open } from "./open.ts";
import { patch } from "./patching.ts";
import type { Session } from "./session.ts";
import { patterns, readText } from "./text.ts";
import { film, recipe, trained, trainOn } from "./training.ts";
import type { Work } from "./work.ts";

type Answer<J extends JobName> = Jobs[J]["reply"] | Promise<Jobs[J]["reply"]>;

let session: Session | undefined;

/** The model that is open. */
function current(): Session {
  if (session !== undefined) return session;
  throw new InputError("No model is open. Open the bundled one, or drop a checkpoint.");
}

const JOBS: { readonly [J in JobName]: (ask: Jobs[J]["ask"], work: Work) => Answer<J> } = {
  open: async (ask, work) => {
    const opened = await open(ask, work);
    session = opened.session;
    return opened.facts;
  },
  heads: (_, work) => heads(current(), work),
  text: (ask) => readText(current(), ask),
  patterns: (ask) => patterns(current(), ask),
  circuit: (ask, work) => circuit(current(), ask, work),
  composition: (ask, work) => composition(current(), ask, work),
  expansion: (ask, work) => expansion(current(), ask, work),
  patch: (ask, work) => patch(current(), ask, work),
  compare: (ask) => compare(current(), ask),
  recipe: (ask) => recipe(ask),
  train: (ask) => trainOn(ask),
  film: () => film(),
  trained: () => trained(),
};

const port = globalThis as unknown as DedicatedWorkerGlobalScope;
const say = (response: Response): void => port.postMessage(response);
const waiting = new Map<number, Extract<Request, { type: "ask" }>>();
let isBusy = false;

/** Milliseconds between reports of progress. */
const PACE = 80;

function workOf(id: number): Work {
  let last = -Infinity;
  return {
    onProgress: (done, total) => {
      const now = performance.now();
      if (now - last < PACE) return;
      last = now;
      say({ type: "progress", id, done, total });
    },
  };
}

/** What the rest of the page hangs on comes first. */
const URGENT: readonly JobName[] = ["open", "text", "heads"];

function nextOf(jobs: typeof waiting): Extract<Request, { type: "ask" }> | undefined {
  const list = [...jobs.values()];
  return list.find(({ job }) => URGENT.includes(job)) ?? list[0];
}

async function goOn(): Promise<void> {
  if (isBusy) return;
  isBusy = true;
  for (let next = nextOf(waiting); next !== undefined; next = nextOf(waiting)) {
    const { id, job, ask } = next;
    waiting.delete(id);
    try {
      const run = JOBS[job] as (ask: unknown, work: Work) => Answer<JobName>;
      say({ type: "done", id, reply: await run(ask, workOf(id)) });
    } catch (error) {
      say({ type: "failed", id, error: sent(error) });
    }
    // a turn of the event loop, in which cancellations arrive
    await new Promise((resolve) => setTimeout(resolve));
  }
  isBusy = false;
}

port.addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.type === "cancel") waiting.delete(data.id);
  else {
    waiting.set(data.id, data);
    void goOn();
  }
});
