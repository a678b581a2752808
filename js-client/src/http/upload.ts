/** A put over HTTP: one request, whose body is the stream. */
import { commitOfJson } from "../commits.js";
import { ARROW, END_OF_STREAM, framed, type IpcMessage } from "../ipc/message.js";
import { tableSegment } from "../names.js";
import type { CallSettings, Commit, IngestRequest } from "../transport.js";
import { type Connection, jsonOf } from "./connection.js";
import { streamsUp } from "./runtimes.js";

const PIECE_BYTES = 256 * 1024;
/**
 * A body that is sent while it is made is asked for by `duplex`. It cannot be sent to a second
 * address: the others keep Node from holding a copy of all of it for that.
 */
const STREAMED = { duplex: "half", redirect: "error", window: null } as const;

/** Sends the messages; the commit is what the server answers. */
export async function upload(
  connection: Connection,
  request: IngestRequest,
  messages: AsyncIterable<IpcMessage>,
  settings: CallSettings,
): Promise<Commit> {
  let failed: { error: unknown } | undefined;
  const noted = noting(messages, (error) => {
    failed = { error };
  });
  const pieces = bodyPieces(noted, settings);
  const streams = streamsUp();
  const body = streams ? readable(pieces) : await whole(pieces);
  const sent = connection.send({
    method: "POST",
    path: `/tables/${tableSegment(request.table)}/rows`,
    query: {
      mode: request.mode,
      key: request.key && JSON.stringify(request.key),
      token: request.token,
      create_if_missing: request.createIfMissing || undefined,
    },
    headers: { "content-type": ARROW, accept: "application/json" },
    body,
    init: streams ? STREAMED : undefined,
    signal: settings.signal,
  });
  // Where what is sent could not be made, that is what went wrong, and not the request.
  const response = await sent.catch((error: unknown) => {
    throw failed ? failed.error : error;
  });
  const commit = commitOfJson(await jsonOf(response, settings.signal));
  settings.onAck?.(commit);
  return commit;
}

/** The same messages; what goes wrong with them is told. */
async function* noting(
  messages: AsyncIterable<IpcMessage>,
  onError: (error: unknown) => void,
): AsyncGenerator<IpcMessage, void, undefined> {
  try {
    yield* messages;
  } catch (error) {
    onError(error);
    throw error;
  }
}

/** The stream in pieces that are large enough to be worth a step each. */
async function* bodyPieces(
  messages: AsyncIterable<IpcMessage>,
  { onBytes }: CallSettings,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let small: Uint8Array[] = [];
  let size = 0;
  const gathered = () => {
    const piece = joined(small, size);
    onBytes?.(size);
    small = [];
    size = 0;
    return piece;
  };
  for await (const message of messages) {
    for (const part of framed(message)) {
      small.push(part);
      size += part.byteLength;
    }
    if (size >= PIECE_BYTES) yield gathered();
  }
  small.push(END_OF_STREAM);
  size += END_OF_STREAM.byteLength;
  yield gathered();
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    piece.set(part, at);
    at += part.byteLength;
  }
  return piece;
}

function readable(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}

/** The whole stream: a browser keeps a large one on disk. */
async function whole(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>): Promise<Blob> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of pieces) all.push(piece);
  return new Blob(all);
}
