/**
 * What is tried again, and when.
 *
 * Waits grow twofold and are drawn from the whole of their range ("full jitter"), so that clients
 * which failed together do not return together.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
import { PixelflightError, TimeoutError } from "./errors.js";

/** How often, and how patiently. */
export interface RetryOptions {
  /** How often a call is tried beside the first time; 0: never. */
  readonly retries: number;
  /** The longest first wait, in milliseconds. */
  readonly baseMs: number;
  /** The longest wait, in milliseconds; the server's own `Retry-After` may be longer. */
  readonly maxMs: number;
}

export const RETRY: RetryOptions = { retries: 3, baseMs: 100, maxMs: 10_000 };
/** A server that asks to wait longer is not waited for. */
const RETRY_AFTER_MS_MAX = 60_000;

/** What happened, for a logger. */
export interface Attempt {
  readonly attempt: number;
  readonly waitMs: number;
  readonly error: PixelflightError;
}

/** What a call may be made with. */
export interface RetryHooks {
  readonly signal: AbortSignal;
  readonly onRetry?: ((attempt: Attempt) => void) | undefined;
  readonly random?: () => number;
}

/**
 * Runs the work, again where it failed for a while only.
 *
 * `isOver` says that the work has had an effect which a second try would have again.
 */
export async function retried<T>(
  work: () => Promise<T>,
  options: RetryOptions,
  { signal, onRetry, random = Math.random }: RetryHooks,
  isOver: () => boolean = () => false,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const isPassing = error instanceof PixelflightError && error.retryable;
      // A call whose time is over, or that was taken back, is not tried again.
      if (!isPassing || signal.aborted || isOver() || attempt > options.retries) throw error;
      const asked = error.retryAfterMs ?? 0;
      if (asked > RETRY_AFTER_MS_MAX) throw error;
      const range = Math.min(options.maxMs, options.baseMs * 2 ** (attempt - 1));
      const waitMs = Math.max(asked, random() * range);
      onRetry?.({ attempt, waitMs, error });
      await pause(waitMs, signal);
    }
  }
}

/** Waits; the signal's reason is thrown if it ends the waiting. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const ended = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", ended);
      resolve();
    }, ms);
    signal.addEventListener("abort", ended, { once: true });
  });
}

/** A signal of one call: the caller's, the deadline's, and one that ends it from here. */
export class CallSignal {
  private readonly controller = new AbortController();
  private readonly timer: ReturnType<typeof setTimeout> | undefined;
  private readonly forward: (() => void) | undefined;

  constructor(
    private readonly outer: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ) {
    if (outer?.aborted) this.controller.abort(outer.reason);
    else if (outer) {
      this.forward = () => this.controller.abort(outer.reason);
      outer.addEventListener("abort", this.forward, { once: true });
    }
    if (timeoutMs !== undefined) {
      const late = () =>
        this.controller.abort(new TimeoutError(`The call took longer than ${timeoutMs} ms.`));
      this.timer = setTimeout(late, timeoutMs);
    }
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Ends the call, if it goes on still. */
  abort(reason?: unknown): void {
    this.controller.abort(reason);
  }

  /** Lets go of the clock and of the caller's signal. */
  close(): void {
    clearTimeout(this.timer);
    if (this.forward) this.outer?.removeEventListener("abort", this.forward);
  }
}
