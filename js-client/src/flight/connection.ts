/** A server as gRPC reaches it: the kinds of calls that Flight has, on bytes. */
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { check, refuse } from "../checks.js";
import { authorization, hidden } from "../credentials.js";
import { ArgumentError } from "../errors.js";
import type { Credential } from "../transport.js";
import { Incoming } from "./incoming.js";
import { errorOfStatus } from "./status.js";

/** PEM, as a text or as bytes. */
export type Pem = string | Uint8Array;

/** What a connection over TLS needs beside the system's own authorities. */
export interface TlsOptions {
  /** The authorities that the server's certificate may be of, in place of the system's. */
  readonly roots?: Pem | undefined;
  /** The client's own certificate, where the server asks for one. */
  readonly certificate?: Pem | undefined;
  /** The key of the client's certificate. */
  readonly privateKey?: Pem | undefined;
}

/** Where a Flight server is, and who is asking. */
export interface FlightOptions {
  /** `grpc://HOST:PORT`, or with TLS `grpc+tls://HOST:PORT`. */
  readonly url: string;
  /** An API key or a token, or what gives one for each call. */
  readonly key?: Credential | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Headers of every call. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What one call needs. */
export interface CallContext {
  readonly signal: AbortSignal;
  /** Shown where the connection has no key of its own. */
  readonly credential?: Credential | undefined;
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined;
}

const SERVICE = "/arrow.flight.protocol.FlightService/";
const WINDOW_BYTES = 16 * 2 ** 20;

// grpc-js announces a window of 64 KiB unless it is told, with which a round trip is waited for
// after each 64 KiB. It limits messages to 4 MiB, which batches may exceed. What may be tried
// again is known to the client, and not to gRPC, which would keep what was sent for it.
const CHANNEL = {
  "grpc-node.flow_control_window": WINDOW_BYTES,
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.enable_retries": 0,
  // A server that is back is found soon, not after gRPC's growing patience.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
};

/** One server. Its connection is made by the first call, and again when it is lost. */
export class Connection {
  readonly url: string;
  private readonly client: Client;
  private readonly credential: Credential | undefined;
  private readonly headers: FlightOptions["headers"];
  private isClosed = false;

  /** @throws `ArgumentError` for a URL that is none of Flight. */
  constructor(options: FlightOptions) {
    check(typeof options === "object", "options", options, "{ url }");
    const { url, key, tls, headers, ...others } = options;
    refuse("flight", others);
    const { target, secure } = targetOf(url);
    this.url = url;
    this.credential = hidden(key);
    this.headers = headers;
    if (tls && !secure) {
      throw new ArgumentError(`${url} is without TLS: with 'tls', write grpc+tls://.`);
    }
    const access = secure ? tlsCredentials(tls ?? {}) : credentials.createInsecure();
    this.client = new Client(target, access, CHANNEL);
  }

  /** Asks once, and is answered once. */
  async unary(method: string, request: Buffer, context: CallContext): Promise<Uint8Array> {
    const metadata = await this.metadata(context);
    const { signal } = context;
    return await new Promise((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        SERVICE + method,
        asIs,
        asIs,
        request,
        metadata,
        {},
        (error, answer) => {
          signal.removeEventListener("abort", cancel);
          if (signal.aborted) reject(signal.reason);
          else if (error) reject(errorOfStatus(error, this.url, false));
          else resolve(answer as Buffer);
        },
      );
      const cancel = () => call.cancel();
      signal.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Asks once, and is answered by a stream, which may be fetched before anybody reads it. */
  async stream(method: string, request: Buffer, context: CallContext): Promise<Incoming> {
    const metadata = await this.metadata(context);
    const path = SERVICE + method;
    const call: ClientReadableStream<Buffer> = this.client.makeServerStreamRequest(
      path,
      asIs,
      asIs,
      request,
      metadata,
    );
    return new Incoming(call, context.signal, this.url);
  }

  /** Streams in both directions. */
  async duplex(
    method: string,
    context: CallContext,
  ): Promise<{ call: ClientDuplexStream<Buffer, Buffer>; incoming: Incoming }> {
    const metadata = await this.metadata(context);
    const call: ClientDuplexStream<Buffer, Buffer> = this.client.makeBidiStreamRequest(
      SERVICE + method,
      asIs,
      asIs,
      metadata,
    );
    return { call, incoming: new Incoming(call, context.signal, this.url) };
  }

  /** Lets go of the connection, for good. */
  close(): void {
    this.isClosed = true;
    this.client.close();
  }

  private async metadata({ signal, credential, headers }: CallContext): Promise<Metadata> {
    signal.throwIfAborted();
    const metadata = new Metadata();
    const shown = await authorization(this.credential ?? credential);
    if (shown !== undefined) metadata.set("authorization", shown);
    for (const [name, value] of Object.entries({ ...this.headers, ...headers })) {
      metadata.set(name, typeof value === "string" ? value : Buffer.from(value));
    }
    // A credential may be fetched, which takes time.
    signal.throwIfAborted();
    if (this.isClosed)
      throw new ArgumentError(`This client of ${this.url} is closed: make another.`);
    return metadata;
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function targetOf(url: string): { target: string; secure: boolean } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new ArgumentError(`${JSON.stringify(url)} is no URL: write grpc://HOST:PORT.`, { cause });
  }
  const { protocol, hostname, port } = parsed;
  const secure = protocol === "grpc+tls:";
  if (!secure && protocol !== "grpc:" && protocol !== "grpc+tcp:") {
    throw new ArgumentError(
      `${url} is no address of Flight: write grpc://HOST:PORT, or with TLS grpc+tls://HOST:PORT.`,
    );
  }
  if (!hostname || !port) {
    throw new ArgumentError(`${url} needs a host and a port: ${protocol}//HOST:PORT.`);
  }
  return { target: `${hostname.startsWith("[") ? "ipv6" : "dns"}:${hostname}:${port}`, secure };
}

function tlsCredentials({ roots, certificate, privateKey }: TlsOptions) {
  if ((certificate === undefined) !== (privateKey === undefined)) {
    throw new ArgumentError("A client's 'certificate' goes with its 'privateKey': give both.");
  }
  return credentials.createSsl(pem(roots), pem(privateKey), pem(certificate));
}

function pem(given: Pem | undefined): Buffer | null {
  return given === undefined ? null : Buffer.from(given);
}
