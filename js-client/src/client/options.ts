import type { BreakerOptions } from "../breaker.js";
import type { RetryOptions } from "../retry.js";
import type { Conversions } from "../rows.js";
import type { Credential, Transport } from "../transport.js";

/** Where a client says what it does: `console` is one. */
export interface Logger {
  debug?(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn?(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What a client is made of. */
export interface ClientOptions {
  /** Where HTTP answers: `http://127.0.0.1:8816`. */
  readonly url: string;
  /** An API key, or what gives one for each request. */
  readonly key?: Credential | undefined;
  /** A token of `POST /auth/token`, or what gives one for each request; in place of a key. */
  readonly token?: Credential | undefined;
  /** How calls that failed for a while are tried again; `false`: never. */
  readonly retry?: Partial<RetryOptions> | false | undefined;
  /** How long a call may take, in milliseconds; without it, as long as it does. */
  readonly timeoutMs?: number | undefined;
  /** In place of the runtime's own. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly logger?: Logger | undefined;
  /**
   * How rows travel: over HTTP without it, by Flight with that of `pixelflight/flight`. It carries
   * those of `get`, `from`, `sql`, `diff`, `changes` and `put`. All else goes over HTTP to `url`:
   * single rows and searches, and what other methods ask for.
   */
  readonly transport?: Transport | undefined;
  /** Leaves a server alone that fails again and again. */
  readonly breaker?: BreakerOptions | undefined;
  /** What values of rows become; see {@link Conversions}. */
  readonly conversions?: Partial<Conversions> | undefined;
  /**
   * Headers of every request over HTTP. `{ "accept-encoding": "gzip" }` has a server that is far
   * away compress what it sends; pages always ask for that.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What any one call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** In place of the client's. */
  readonly timeoutMs?: number | undefined;
}
