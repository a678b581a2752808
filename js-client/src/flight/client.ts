/** A client of any Flight server, whatever stands behind it. */
import type { Schema } from "apache-arrow";
import { ArgumentError, ProtocolError } from "../errors.js";
import { type Input, sourceOf } from "../inputs.js";
import { Decoder } from "../ipc/decoder.js";
import { Framer } from "../ipc/framer.js";
import type { IpcMessage } from "../ipc/message.js";
import { Result } from "../result.js";
import { CallSignal } from "../retry.js";
import { CONVERSIONS, type Row } from "../rows.js";
import { type CallContext, Connection, type FlightOptions } from "./connection.js";
import {
  type ActionType,
  actionBytes,
  actionType,
  criteriaBytes,
  descriptorBytes,
  type FlightDescriptor,
  type FlightInfo,
  flightInfo,
  handshakeBytes,
  handshakePayload,
  resultBody,
  type Ticket,
} from "./messages.js";
import { exchanged, messagesInOrder, messagesOf, type StreamContext, sent } from "./streams.js";

/** What any call takes. */
export interface FlightCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the call may take, in milliseconds; without it, as long as it does. */
  readonly timeoutMs?: number | undefined;
  /** Headers of this call alone. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What a put takes. */
export interface FlightPutOptions extends FlightCallOptions {
  /** Told of the metadata that the server sends while it takes the stream. */
  readonly onMetadata?: ((metadata: Uint8Array) => void) | undefined;
}

/** Where an endpoint says that whoever holds the flight shall ask where it asked. */
const SAME_CONNECTION = "arrow-flight-reuse-connection://";
/** How many endpoints of a flight are fetched at once. */
const PARALLEL = 4;
const NOTHING = new Uint8Array(0);

/**
 * A Flight server: any one, not only Pixelflight's.
 *
 * Nothing is sent before the first call, and nothing is tried twice. Every method throws the
 * errors of this package, and the signal's own reason where it ends a call.
 *
 * @example
 * const client = new FlightClient({ url: "grpc://127.0.0.1:8815" });
 * const info = await client.getFlightInfo({ path: ["flights"] });
 * for await (const batch of client.read(info)) console.log(batch.numRows);
 */
export class FlightClient {
  private readonly connection: Connection;
  /** What a handshake was answered with. */
  private session: Readonly<Record<string, string | Uint8Array>> = {};

  /** @throws `ArgumentError` for a URL that is none of Flight. */
  constructor(options: FlightOptions) {
    this.connection = new Connection(options);
  }

  /**
   * Shows a name and a password, and the token that the server gives for them with every later
   * call. They go as a header, and as the payload that older servers read.
   */
  async handshake(user: string, password: string, options: FlightCallOptions = {}): Promise<void> {
    const basic = Buffer.from(`${user}:${password}`).toString("base64");
    const headers = { ...options.headers, authorization: `Basic ${basic}` };
    await this.during({ ...options, headers }, async (context) => {
      const { call, incoming } = await this.connection.duplex("Handshake", context);
      call.end(handshakeBytes(user, password));
      let token: Uint8Array = NOTHING;
      for await (const bytes of incoming) token = handshakePayload(bytes);
      const given = incoming.header("authorization");
      if (given !== undefined) this.session = { authorization: given };
      else if (token.byteLength > 0) this.session = { "auth-token-bin": token };
      else throw new ProtocolError(`The handshake with ${this.connection.url} gave no token.`);
    });
  }

  /** The flights that the server has; what the criteria may say is the server's affair. */
  async listFlights(
    criteria: Uint8Array | string = NOTHING,
    options: FlightCallOptions = {},
  ): Promise<FlightInfo[]> {
    return await this.collected("ListFlights", criteriaBytes(criteria), flightInfo, options);
  }

  /** What the server says of a stream, and the tickets to fetch it with. */
  async getFlightInfo(
    descriptor: FlightDescriptor,
    options: FlightCallOptions = {},
  ): Promise<FlightInfo> {
    const asked = descriptorBytes(descriptor);
    return flightInfo(await this.asked("GetFlightInfo", asked, options));
  }

  /** The schema of a stream. */
  async getSchema(descriptor: FlightDescriptor, options: FlightCallOptions = {}): Promise<Schema> {
    const answer = await this.asked("GetSchema", descriptorBytes(descriptor), options);
    return schemaOf(resultBody(answer));
  }

  /** The batches of a ticket. Nothing is asked before the result is read. */
  doGet<T extends Row = Row>(ticket: Ticket, options: FlightCallOptions = {}): Result<T> {
    return this.result(options, (context) => messagesOf(this.connection, ticket, context));
  }

  /**
   * The batches of all endpoints of a flight, in their order, several of them fetched at once.
   *
   * @throws `ArgumentError` where an endpoint is at another server's: credentials go nowhere
   * by themselves. Fetch its ticket with a client of that server.
   */
  read<T extends Row = Row>(info: FlightInfo, options: FlightCallOptions = {}): Result<T> {
    for (const { locations } of info.endpoints) this.refuseElsewhere(locations);
    const tickets = info.endpoints.map(({ ticket }) => ticket);
    return this.result(options, (context) =>
      tickets.length === 0
        ? schemaMessages(info.schema)
        : messagesInOrder(this.connection, tickets, PARALLEL, context),
    );
  }

  /** The messages of a ticket's stream as they are, with the metadata that comes beside them. */
  async *messages(
    ticket: Ticket,
    options: FlightCallOptions = {},
  ): AsyncGenerator<IpcMessage, void, undefined> {
    const { signal, context } = this.begun(options);
    try {
      yield* messagesOf(this.connection, ticket, context);
    } finally {
      signal.close();
    }
  }

  /** Sends batches as a stream of that name. Ends when the server has taken all of it. */
  async doPut(
    descriptor: FlightDescriptor,
    data: Input,
    options: FlightPutOptions = {},
  ): Promise<void> {
    const messages = await sourceOf(data).messages();
    const told = options.onMetadata ?? (() => undefined);
    await this.during(options, (context) =>
      sent(this.connection, descriptor, messages, context, told),
    );
  }

  /** Sends batches as a stream of that name, and gives the batches that come back meanwhile. */
  doExchange<T extends Row = Row>(
    descriptor: FlightDescriptor,
    data: Input,
    options: FlightCallOptions = {},
  ): Result<T> {
    const { connection } = this;
    const source = sourceOf(data);
    return this.result(options, async function* (context) {
      yield* exchanged(connection, descriptor, await source.messages(), context);
    });
  }

  /** Has something done: the bodies of its results. */
  async doAction(
    type: string,
    body: Uint8Array | string = NOTHING,
    options: FlightCallOptions = {},
  ): Promise<Uint8Array[]> {
    return await this.collected("DoAction", actionBytes(type, body), resultBody, options);
  }

  /** What the server can do. */
  async listActions(options: FlightCallOptions = {}): Promise<ActionType[]> {
    return await this.collected("ListActions", Buffer.alloc(0), actionType, options);
  }

  /** Lets go of the connection. */
  async close(): Promise<void> {
    this.connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async asked(
    method: string,
    request: Buffer,
    options: FlightCallOptions,
  ): Promise<Uint8Array> {
    return await this.during(options, (context) => this.connection.unary(method, request, context));
  }

  private async collected<T>(
    method: string,
    request: Buffer,
    understood: (bytes: Uint8Array) => T,
    options: FlightCallOptions,
  ): Promise<T[]> {
    return await this.during(options, async (context) => {
      const all: T[] = [];
      const incoming = await this.connection.stream(method, request, context);
      for await (const bytes of incoming) all.push(understood(bytes));
      return all;
    });
  }

  private result<T extends Row>(
    options: FlightCallOptions,
    open: (context: StreamContext) => Iterable<IpcMessage> | AsyncIterable<IpcMessage>,
  ): Result<T> {
    const begun = () => this.begun(options);
    async function* messages(onBytes: (bytes: number) => void) {
      const { signal, context } = begun();
      try {
        for await (const message of open({ ...context, onBytes })) {
          // Metadata may come alone, which is no batch.
          if (message.header.byteLength > 0) yield message;
        }
      } finally {
        signal.close();
      }
    }
    return new Result<T>(messages, CONVERSIONS);
  }

  private async during<T>(
    options: FlightCallOptions,
    work: (context: CallContext) => Promise<T>,
  ): Promise<T> {
    const { signal, context } = this.begun(options);
    try {
      return await work(context);
    } finally {
      signal.close();
    }
  }

  private begun({ signal: outer, timeoutMs, headers }: FlightCallOptions) {
    const signal = new CallSignal(outer, timeoutMs);
    const context: CallContext = {
      signal: signal.signal,
      headers: { ...this.session, ...headers },
    };
    return { signal, context };
  }

  private refuseElsewhere(locations: readonly string[]): void {
    const here = (url: string) => url.startsWith(SAME_CONNECTION) || url === this.connection.url;
    if (locations.length === 0 || locations.some(here)) return;
    throw new ArgumentError(
      `The endpoint is at ${locations.join(", ")}: fetch its ticket with a FlightClient of that URL.`,
    );
  }
}

/**
 * The schema of the message that servers describe streams with.
 *
 * @throws `UnsupportedTypeError` for types that apache-arrow does not know.
 */
export function schemaOf(message: Uint8Array): Schema {
  const decoder = new Decoder();
  for (const one of schemaMessages(message)) decoder.decode(one);
  if (!decoder.schema) throw new ProtocolError("The server's schema is no message of Arrow.");
  return decoder.schema;
}

/** A schema's message out of its frame. */
function schemaMessages(framed: Uint8Array): Iterable<IpcMessage> {
  return new Framer().push(framed);
}
