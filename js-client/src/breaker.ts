/** A circuit breaker: a server that fails again and again is left alone for a while. */
import { check } from "./checks.js";
import { ArgumentError, PixelflightError, UnavailableError } from "./errors.js";

/** When a circuit opens, and for how long. */
export interface BreakerOptions {
  /** So many failures in a row open it. */
  readonly failures: number;
  /** So long it stays open; then one call tries the server. In milliseconds. */
  readonly resetMs: number;
}

/** One circuit, shared by all calls of a client. */
export class Breaker {
  private failures = 0;
  private openedAt = 0;
  private trying = false;

  constructor(
    private readonly options: BreakerOptions,
    private readonly now: () => number = Date.now,
  ) {
    const { failures, resetMs } = options;
    check(failures > 0 && resetMs >= 0, "breaker", options, "{ failures, resetMs }");
  }

  /**
   * Asks whether a call may be made.
   *
   * @throws {@link UnavailableError} while the circuit is open.
   */
  enter(): void {
    if (this.failures < this.options.failures) return;
    const left = this.openedAt + this.options.resetMs - this.now();
    if (left > 0 || this.trying) {
      throw new UnavailableError(
        `The server failed ${this.failures} times in a row: it is asked again in ${Math.max(0, left)} ms.`,
        { retryable: false },
      );
    }
    this.trying = true;
  }

  /** Says how a call went. Errors that are the caller's own close the circuit: the server answers. */
  leave(error?: unknown): void {
    this.trying = false;
    const failed =
      error instanceof PixelflightError && (error.retryable || error.code === "internal");
    if (error !== undefined && !failed) {
      const isAnswer = error instanceof PixelflightError && !(error instanceof ArgumentError);
      if (isAnswer) this.failures = 0;
      return;
    }
    this.failures = failed ? this.failures + 1 : 0;
    if (failed) this.openedAt = this.now();
  }
}
