/** The kinds of jobs that the programs of the package know beside those of jobs/, which lies below them. */
import { serveJobs } from "../io/internal.ts";
import type { JobThread } from "../io/internal.ts";
import type { JobKinds } from "../jobs/index.ts";

/** Those kinds by name, loaded when a plan or a thread begins. */
export async function moreKinds(): Promise<JobKinds> {
  const [{ trainingJob }, { reportJob }] = await Promise.all([
    import("../train/index.ts"),
    import("../report/index.ts"),
  ]);
  return { train: trainingJob, report: reportJob };
}

/** Does the jobs that a thread is sent, of all kinds of the package. */
export async function serveSweep(thread: JobThread): Promise<void> {
  await serveJobs(thread, await moreKinds());
}
