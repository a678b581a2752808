/** One request over `fetch`, and what can go wrong with it, as errors of this package. */

import { authorization } from "../credentials.js";
import {
  ConnectionError,
  type ErrorFields,
  errorOfJson,
  type PixelflightError,
  ProtocolError,
  TruncatedError,
} from "../errors.js";
import type { Credential } from "../transport.js";

/** What a connection is made of. */
export interface ConnectionOptions {
  /** Where `/api/v1` begins. */
  readonly base: string;
  readonly credential?: Credential | undefined;
  readonly fetch: typeof globalThis.fetch;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** One request. */
export interface HttpRequest {
  readonly method: string;
  /** Under `/api/v1`, or from the root where it begins with two slashes. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Headers that the client's own come before. */
  readonly defaults?: Readonly<Record<string, string>> | undefined;
  readonly body?: BodyInit | undefined;
  /** What `fetch` is told besides. */
  readonly init?: RequestInit | undefined;
  readonly signal: AbortSignal;
  /** Told of the answer's headers, once it is no error. */
  readonly onHeaders?: ((headers: Headers) => void) | undefined;
}

const PREFIX = "/api/v1";
const SECOND_MS = 1000;

/** The server as `fetch` reaches it. */
export class Connection {
  constructor(private readonly options: ConnectionOptions) {}

  /**
   * The answer, once its headers are there.
   *
   * @throws {@link PixelflightError} that the server tells, or {@link ConnectionError}; the
   * signal's reason if it ends the request.
   */
  async send(request: HttpRequest): Promise<Response> {
    const { method, signal } = request;
    const headers = await this.headers(request);
    const init: RequestInit = { ...request.init, method, headers, signal };
    if (request.body !== undefined) init.body = request.body;
    let response: Response;
    try {
      response = await this.options.fetch(this.address(request), init);
    } catch (cause) {
      throw this.broken(signal, cause);
    }
    if (!response.ok) throw await this.refused(response, signal);
    request.onHeaders?.(response.headers);
    return response;
  }

  /** The chunks of an answer's body. Whoever stops before its end ends the request. */
  async *chunks(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    if (!response.body) return;
    const reader = response.body.getReader();
    let done = false;
    try {
      while (!done) {
        const read = await reader.read().catch((cause: unknown) => {
          done = true;
          throw cut(signal, cause);
        });
        done = read.done;
        if (read.value) yield read.value;
      }
    } finally {
      if (!done) await reader.cancel().catch(() => undefined);
    }
  }

  private async headers(request: HttpRequest): Promise<Record<string, string>> {
    const { credential, headers } = this.options;
    const shown = await authorization(credential);
    return {
      ...request.defaults,
      ...headers,
      ...(shown === undefined ? {} : { authorization: shown }),
      ...request.headers,
    };
  }

  private address({ path, query = {} }: HttpRequest): string {
    const given = Object.entries(query).filter(([, value]) => (value ?? undefined) !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    const root = path.startsWith("//") ? path.slice(1) : PREFIX + path;
    return this.options.base + root + (given.length === 0 ? "" : `?${search}`);
  }

  private broken(signal: AbortSignal, cause: unknown): unknown {
    if (signal.aborted) return signal.reason;
    const why = reason(cause);
    // A page is told the same where a server is not there and where it does not allow the page.
    const origin = globalThis.location?.origin;
    const also =
      origin && !this.options.base.startsWith(origin)
        ? `, or its 'cors_origins' lack ${origin}`
        : "";
    return new ConnectionError(`No server answers at ${this.options.base}: ${why}${also}.`, {
      cause,
    });
  }

  private async refused(response: Response, signal: AbortSignal): Promise<PixelflightError> {
    const fields: ErrorFields = { status: response.status };
    const requestId = response.headers.get("x-request-id");
    if (requestId) fields.requestId = requestId;
    const wait = retryAfter(response.headers.get("retry-after"));
    if (wait !== undefined) fields.retryAfterMs = wait;
    const text = await response.text().catch(() => {
      if (signal.aborted) throw signal.reason;
      return "";
    });
    return errorOfJson(toldBy(text) ?? { message: untold(response, text) }, fields);
  }
}

/**
 * An answer's body, as text.
 *
 * @throws {@link TruncatedError} if it breaks off, or the signal's reason if that ends it.
 */
export async function textOf(response: Response, signal: AbortSignal): Promise<string> {
  return await response.text().catch((cause: unknown) => {
    throw cut(signal, cause);
  });
}

/**
 * An answer's body, as what its JSON says.
 *
 * @throws {@link ProtocolError} if it is no JSON, and as {@link textOf} does.
 */
export async function jsonOf(response: Response, signal: AbortSignal): Promise<unknown> {
  const text = await textOf(response, signal);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("The server's answer is no JSON.", { cause });
  }
}

function cut(signal: AbortSignal, cause: unknown): unknown {
  if (signal.aborted) return signal.reason;
  return new TruncatedError("The connection broke in the middle of the answer.", { cause });
}

/** Milliseconds that `Retry-After` asks for, which has seconds or a date. */
export function retryAfter(header: string | null, now = Date.now()): number | undefined {
  if (!header) return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * SECOND_MS);
  const moment = Date.parse(header);
  return Number.isNaN(moment) ? undefined : Math.max(0, moment - now);
}

function toldBy(text: string): unknown {
  try {
    return (JSON.parse(text) as { error?: unknown }).error;
  } catch {
    return undefined;
  }
}

function untold({ status, statusText }: Response, text: string): string {
  const rest = text.trim() === "" ? "" : `: ${text.trim().slice(0, 200)}`;
  return `The answer was ${status} ${statusText}${rest}`;
}

/** What `fetch` means by "fetch failed": Node hides it in the cause. */
function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner = cause.cause;
  const why = inner instanceof Error && inner.message ? inner.message : cause.message;
  if (/SSL.*wrong version/.test(why)) return "it does not speak TLS, but http://";
  return why.trim().replace(/[.?]$/, "");
}
