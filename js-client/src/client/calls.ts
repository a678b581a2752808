/** What all calls share: retries, deadlines, the circuit, JSON. */
import { Breaker } from "../breaker.js";
import { check, refuse } from "../checks.js";
import { hidden } from "../credentials.js";
import { ArgumentError, PixelflightError } from "../errors.js";
import { Connection, type HttpRequest, jsonOf } from "../http/connection.js";
import { HttpTransport } from "../http/transport.js";
import { jsonText } from "../json.js";
import { tableSegment } from "../names.js";
import { CallSignal, patience, type RetryOptions, retried } from "../retry.js";
import { CONVERSIONS, type Conversions, chosen } from "../rows.js";
import type { Credential, Transport } from "../transport.js";
import type { CallOptions, ClientOptions, Logger } from "./options.js";

/** A request whose body and answer are JSON. */
export interface JsonRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: HttpRequest["query"] | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Tells nothing. */
const SILENT: Logger = {};
const NO_CONTENT = 204;

/** The ground that the client's families of calls stand on. */
export class Calls {
  protected readonly connection: Connection;
  protected readonly transport: Transport;
  protected readonly conversions: Conversions;
  /** Who is asking. */
  protected readonly credential: Credential | undefined;
  private readonly retry: RetryOptions;
  private readonly timeoutMs: number | undefined;
  private readonly logger: Logger;
  private readonly breaker: Breaker | undefined;
  private isClosed = false;

  constructor(options: ClientOptions) {
    check(typeof options === "object", "options", options, "{ url, key }");
    const { url, key, token, fetch, headers, retry, breaker, transport, ...rest } = options;
    const { timeoutMs, logger = SILENT, conversions, ...others } = rest;
    refuse("createClient", others);
    const base = addressOf(url);
    if (key !== undefined && token !== undefined) {
      throw new ArgumentError("Give a 'key' or a 'token', not both.");
    }
    this.credential = hidden(key ?? token);
    this.connection = new Connection({
      base,
      credential: this.credential,
      // Called by itself: browsers refuse a fetch that is a method of something else.
      fetch: fetch ?? ((...given) => globalThis.fetch(...given)),
      headers,
    });
    check(!transport || transport.read, "transport", transport, "what flight({ url }) gives");
    this.transport = transport ?? new HttpTransport(this.connection);
    this.conversions = chosen(CONVERSIONS, conversions);
    this.retry = patience(retry);
    this.timeoutMs = timeoutMs;
    this.logger = logger;
    this.breaker = breaker && new Breaker(breaker);
  }

  /** Lets go of connections, for good. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  protected tablePath(table: string): string {
    return `/tables/${tableSegment(table)}`;
  }

  /**
   * Asks for JSON. Whatever writes carries a key by which the server knows it again; what is
   * answered with a secret, which the server does not keep, `isOnce`: it is not tried again.
   */
  protected async json<T>(
    request: JsonRequest,
    options: CallOptions = {},
    isOnce = false,
  ): Promise<T> {
    const { method, body, headers, ...rest } = request;
    const own: Record<string, string> = { accept: "application/json", ...headers };
    if (body !== undefined) own["content-type"] = "application/json";
    if (method !== "GET" && !isOnce) own["idempotency-key"] = crypto.randomUUID();
    const sent = { method, headers: own, ...rest };
    const ask = async (signal: AbortSignal) => {
      const text = body === undefined ? {} : { body: jsonText(body) };
      const response = await this.connection.send({ ...sent, ...text, signal });
      if (response.status === NO_CONTENT) return undefined as T;
      return (await jsonOf(response, signal)) as T;
    };
    return await this.attempted(`${method} ${request.path}`, options, ask, () => isOnce);
  }

  /** Runs a call within its deadline, again where that may help. */
  protected async attempted<T>(
    what: string,
    options: CallOptions,
    work: (signal: AbortSignal) => Promise<T>,
    isOver?: () => boolean,
  ): Promise<T> {
    const call = this.callSignal(options);
    try {
      return await this.again(what, call.signal, () => work(call.signal), isOver);
    } finally {
      call.close();
    }
  }

  protected callSignal({ signal, timeoutMs }: CallOptions): CallSignal {
    return new CallSignal(signal, timeoutMs ?? this.timeoutMs);
  }

  protected async again<T>(
    what: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    isOver?: () => boolean,
  ): Promise<T> {
    const once = async () => {
      signal.throwIfAborted();
      if (this.isClosed) throw new ArgumentError("This client is closed: make another.");
      this.breaker?.enter();
      try {
        const done = await work();
        this.breaker?.leave();
        return done;
      } catch (error) {
        this.breaker?.leave(error);
        throw error;
      }
    };
    const onRetry = ({
      attempt,
      waitMs,
      error,
    }: {
      attempt: number;
      waitMs: number;
      error: Error;
    }) =>
      this.logger.warn?.(`${what} failed, it is tried again: ${error.message}`, {
        attempt,
        waitMs,
      });
    this.logger.debug?.(what);
    return await retried(once, this.retry, { signal, onRetry }, isOver);
  }
}

/** The URL without what requests add, or what is no part of an address. */
function addressOf(url: string): string {
  let address = "";
  try {
    const { protocol, origin, pathname } = new URL(url);
    if (/^https?:$/.test(protocol)) address = origin + pathname.replace(/(\/api\/v1)?\/*$/, "");
  } catch {
    // Told as what begins with another word is.
  }
  const wanted = "http://HOST:PORT, as the server tells when it starts; Flight is a 'transport'";
  check(address, "url", url, wanted);
  return address;
}

/** Whether the error says that something named is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof PixelflightError && error.status === 404;
}
