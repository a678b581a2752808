/**
 * What is tried again, and when.
 *
 * Waits grow twofold and are drawn from the whole of their range ("full jitter"), so that clients
 * which failed together do not return together.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
import { check, refuse } from "./checks.js";
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

const RETRY: RetryOptions = { retries: 3, baseMs: 100, maxMs: 10_000 };
/** How patient a client is that was given these. */
export function patience(given: Partial<RetryOptions> | false = {}): RetryOptions {
  if (!given) return { ...RETRY, retries: 0 };
  const { retries, baseMs, maxMs, ...others } = { ...RETRY, ...given };
  refuse("retry", others);
  return { retries, baseMs, maxMs };
}

/** A server that asks to wait longer is not waited for. */
const RETRY_AFTER_MS_MAX = 60_000;
const CLOCK_MS_MAX = 2 ** 31;

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
    const ms = timeoutMs ?? Infinity;
    check(typeof ms === "number" && ms > 0, "timeoutMs", ms, "milliseconds, more than 0");
    check(!outer || outer.addEventListener, "signal", outer, "an AbortSignal");
    if (outer?.aborted) this.controller.abort(outer.reason);
    else if (outer) {
      this.forward = () => this.controller.abort(outer.reason);
      outer.addEventListener("abort", this.forward, { once: true });
    }
    // A clock that is set farther rings at once.
    if (ms < CLOCK_MS_MAX) {
      const late = () =>
        this.controller.abort(new TimeoutError(`The call took longer than ${ms} ms.`));
      this.timer = setTimeout(late, ms);
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
