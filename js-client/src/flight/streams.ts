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
  const answered = async () => {
    for await (const bytes of incoming) onAnswer(resultBody(bytes));
  };
  const answers = answered();
  answers.catch(() => undefined);
  try {
    await send(call, incoming, descriptor, messages, context);
    await answers;
  } finally {
    incoming.cancel();
  }
}

/**
 * Sends messages as a stream of that name, and gives those that come back meanwhile. What the
 * source throws, and whoever stops reading, ends the call.
 */
export async function* exchanged(
  connection: Connection,
  descriptor: FlightDescriptor,
  messages: AsyncIterable<IpcMessage>,
  context: StreamContext,
): AsyncGenerator<IpcMessage, void, undefined> {
  const { call, incoming } = await connection.duplex("DoExchange", context);
  let failed: { readonly reason: unknown } | undefined;
  const sending = send(call, incoming, descriptor, messages, context).catch((reason: unknown) => {
    failed = { reason };
    incoming.cancel();
  });
  try {
    yield* received(incoming, context);
  } catch (error) {
    // The call was cancelled because the source failed, which is the reason.
    throw failed ? failed.reason : error;
  } finally {
    incoming.cancel();
    await sending;
  }
}

/** Writes until there is no more, or the call has ended: how it did is for its reader to tell. */
async function send(
  call: ClientDuplexStream<Buffer, Buffer>,
  incoming: Incoming,
  descriptor: FlightDescriptor,
  messages: AsyncIterable<IpcMessage>,
  { onBytes }: StreamContext,
): Promise<void> {
  const source = messages[Symbol.asyncIterator]();
  let name: Buffer | undefined = descriptorBytes(descriptor);
  try {
    while (!incoming.ended) {
      const next = await incoming.during(source.next());
      if (next === undefined || next.done) break;
      const piece = flightData(next.value, name);
      name = undefined;
      if (!call.write(piece)) await incoming.during(drained(call));
      onBytes?.(piece.byteLength);
    }
    call.end();
  } finally {
    // It may be in the middle of a wait for its next batch, which nobody needs any more.
    Promise.resolve(source.return?.()).catch(() => undefined);
  }
}

function drained(call: ClientDuplexStream<Buffer, Buffer>): Promise<void> {
  return new Promise((resolve) => call.once("drain", resolve));
}
