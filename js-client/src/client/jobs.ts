/** Jobs that are waited for. */
import type { Answer } from "../answers.js";
import { CallSignal, pause } from "../retry.js";
import type { Schemas } from "../schemas.js";
import type { CallOptions } from "./options.js";
import { StreamCalls } from "./streams.js";

/** A job, as the server tells of it. */
export type Job = Answer<"describe_job">;

/** How a job is waited for. */
export interface WaitOptions extends CallOptions {
  /** Told how the job stands, each time that it is looked at. */
  readonly onProgress?: ((job: Job) => void) | undefined;
  /** How long it is left alone in between, in milliseconds; 200 without it. */
  readonly pauseMs?: number | undefined;
}

const PAUSE_MS = 200;

/** Families of calls about jobs. */
export class JobCalls<S extends object = Schemas> extends StreamCalls<S> {
  /**
   * The job once it has ended, however it has. `timeoutMs` is about all the wait; that of the
   * client about each look at the job.
   */
  async waitForJob(jobId: string, options: WaitOptions = {}): Promise<Job> {
    const { onProgress, pauseMs = PAUSE_MS } = options;
    const call = new CallSignal(options.signal, options.timeoutMs);
    try {
      for (;;) {
        const job = await this.getJob(jobId, { signal: call.signal });
        onProgress?.(job);
        if (job.status !== "pending" && job.status !== "running") return job;
        await pause(pauseMs, call.signal);
      }
    } finally {
      call.close();
    }
  }
}
