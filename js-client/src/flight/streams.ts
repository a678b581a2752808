/** Streams of Arrow over Flight: in from one ticket or from many, out with acknowledgements. */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { MessageHeader } from "apache-arrow";
import { headerType } from "../ipc/header.js";
import type { IpcMessage } from "../ipc/message.js";
import type { CallContext, Connection } from "./connection.js";
import type { Incoming } from "./incoming.js";
import {
  descriptorBytes,
  type FlightDescriptor,
  flightData,
  ipcMessage,
  resultBody,
  type Ticket,
  ticketBytes,
} from "./messages.js";

/** How a stream is watched while it goes. */
export interface StreamContext extends CallContext {
  /** Told of each message as it comes or goes, in bytes. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * The messages of one ticket's stream, the schema first.
 *
 * Those that hold nothing but metadata have an empty header.
 */
export async function* messagesOf(
  connection: Connection,
  ticket: Ticket,
  context: StreamContext,
): AsyncGenerator<IpcMessage, void, undefined> {
  yield* received(await opened(connection, ticket, context), context);
}

/**
 * The messages of several tickets' streams as one stream, in the order of the tickets.
 *
 * So many are fetched at once, those after the first up to 16 messages ahead of it. They are in
 * order for flights that have none as well: nothing is slower for it, and dictionaries of one
 * stream never meet batches of another.
 */
export async function* messagesInOrder(
  connection: Connection,
  tickets: readonly Ticket[],
  parallel: number,
  context: StreamContext,
): AsyncGenerator<IpcMessage, void, undefined> {
  const running: Incoming[] = [];
  let begun = 0;
  try {
    for (let read = 0; read < tickets.length; read++) {
      for (; begun < Math.min(tickets.length, read + parallel); begun++) {
        const incoming = await opened(connection, tickets[begun] as Ticket, context);
        incoming.readAhead();
        running.push(incoming);
      }
      for await (const message of received(running.shift() as Incoming, context)) {
        if (read === 0 || !isSchema(message)) yield message;
      }
    }
  } finally {
    for (const incoming of running) incoming.cancel();
  }
}

async function opened(
  connection: Connection,
  ticket: Ticket,
  context: CallContext,
): Promise<Incoming> {
  return await connection.stream("DoGet", ticketBytes(ticket), context);
}

async function* received(
  incoming: Incoming,
  { onBytes }: StreamContext,
): AsyncGenerator<IpcMessage, void, undefined> {
  for await (const bytes of incoming) {
    onBytes?.(bytes.byteLength);
    yield ipcMessage(bytes);
  }
}

function isSchema({ header }: IpcMessage): boolean {
  return header.byteLength > 0 && headerType(header) === MessageHeader.Schema;
}

/**
 * Sends messages as a stream of that name, as fast as they are taken; `onAnswer` is told of the
 * metadata that comes back meanwhile. What either throws ends the call, so that the server keeps
 * nothing that it has not acknowledged.
 */
export async function sent(
  connection: Connection,
  descriptor: FlightDescriptor,
  messages: AsyncIterable<IpcMessage>,
  context: StreamContext,
  onAnswer: (metadata: Uint8Array) => void,
): Promise<void> {
  const { call, incoming } = await connection.duplex("DoPut", context);
  const source = messages[Symbol.asyncIterator]();
  const answers = new Answers(incoming, onAnswer);
  let name: Buffer | undefined = descriptorBytes(descriptor);
  try {
    while (!answers.ended) {
      const next = await answers.during(source.next());
      if (next === undefined || next.done) break;
      const piece = flightData(next.value, name);
      name = undefined;
      if (!call.write(piece)) await answers.during(drained(call));
      context.onBytes?.(piece.byteLength);
    }
    call.end();
    await answers.all;
  } finally {
    incoming.cancel();
    // It may be in the middle of a wait for its next batch, which nobody needs any more.
    Promise.resolve(source.return?.()).catch(() => undefined);
  }
}

function drained(call: ClientDuplexStream<Buffer, Buffer>): Promise<void> {
  return new Promise((resolve) => call.once("drain", resolve));
}

/** What comes back while a stream is sent. */
class Answers {
  /** Ends with the call, or fails as it does. */
  readonly all: Promise<void>;
  /** Whether the server has ended the call: it takes no more. */
  ended = false;
  private wake: () => void = () => undefined;

  constructor(incoming: Incoming, onAnswer: (metadata: Uint8Array) => void) {
    this.all = this.read(incoming, onAnswer);
    this.all.catch(() => undefined);
  }

  /** The promise's value, or nothing where the call ends before; its error where it fails. */
  async during<T>(promise: Promise<T>): Promise<T | undefined> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      promise.then(
        () => resolve(),
        () => resolve(),
      );
      if (this.ended) resolve();
    });
    if (!this.ended) return await promise;
    promise.catch(() => undefined);
    await this.all;
    return undefined;
  }

  private async read(incoming: Incoming, onAnswer: (metadata: Uint8Array) => void): Promise<void> {
    try {
      for await (const bytes of incoming) onAnswer(resultBody(bytes));
    } finally {
      this.ended = true;
      this.wake();
    }
  }
}
